// Moves the keys and values of accepted tokens to their places in a cache, in all layers at once.

typedef unsigned long long u64;

#define MOST_MOVES 256      // CacheMoves.cs has the same number

// In the order of the slots that they go to, for each sequence.
struct Moves
{
    int count;
    int sequences[MOST_MOVES];
    int from[MOST_MOVES];
    int to[MOST_MOVES];
};

// A block for each head of each layer's keys and of its values, a warp for each sequence at once. A slot is read before another token is
// moved into it, since the tokens move towards the first slot in their order.
// addresses: [layers,2]; pieces: those of 16 bytes of a head's numbers.
extern "C" __global__ void __launch_bounds__(1024, 1)
move(const u64* addresses, int heads, int capacity, int pieces, const __grid_constant__ Moves moves)
{
    const int head = blockIdx.x % heads, lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    uint4* rows = (uint4*)addresses[blockIdx.x / heads];
    for (int i = 0; i < moves.count; i++)
    {
        if (moves.sequences[i] % warps != warp) continue;
        const size_t start = (size_t)(moves.sequences[i] * heads + head) * capacity;
        for (int piece = lane; piece < pieces; piece += 32)
            rows[(start + moves.to[i]) * pieces + piece] = rows[(start + moves.from[i]) * pieces + piece];
    }
}
