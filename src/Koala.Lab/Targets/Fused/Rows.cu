// What kernels of several sources share: types, the description of a row, and the choice among logits. It is put before each of them.

typedef unsigned short bf16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define ROW_INTS 128        // the ints of a row's description: token, sequence, slot, position, first, count, the row of what a head is
                            // given, 0, then the further slots. A row attends to the slots 0 .. first-1 and to count-first further ones.
#define ROW_HEADER 8
#define INFINITE __int_as_float(0x7f800000)

__device__ __forceinline__ float widen(bf16 x) { return __uint_as_float((u32)x << 16); }

// Waits for the launch before, where the two overlap.
__device__ __forceinline__ void wait_for_launch()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
    __threadfence();
#endif
}

// Lets the launch after this one begin, up to its own wait.
__device__ __forceinline__ void let_next_begin()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// A choice among logits as a number of which the largest is the best one, of equal logits the first; one that is not finite wins.
__device__ __forceinline__ u64 best_key(float logit, int index)
{
    const u32 bits = __float_as_uint(logit);
    const u32 order = fabsf(logit) < INFINITE || logit == -INFINITE ? (bits & 0x80000000u ? ~bits : bits | 0x80000000u) : 0xffffffffu;
    return (u64)order << 32 | (0xffffffffu - index);
}
