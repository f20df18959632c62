// A step of a decoder of the Llama family in bf16, for 1 to 64 rows. NVRTC compiles it for one model: the sizes below are macros.
//
// The work is a list of phases: embed, then for each layer qkv, (norm and rotate,) attend, output, gate_up, down, and last the final
// norm. The layers of an EAGLE head are the same; its first phases join embeddings and features instead of embedding tokens. The kernel
// `step` runs a range of phases. One launch over all of them is the persistent form: its blocks wait for each other between phases. One
// launch for each phase is the fused form: the blocks wait for the launch before. Both compute the same bits.
//
// What a row gets does not depend on the other rows, nor on their number, nor on the number of blocks: each sum is split into
// parts that depend on its length only, and the parts are added in a fixed order.
//
// Rows.cu comes before this source.
//
// D: width, I: inner width, H: query heads, G: key/value heads, d: head width, N: rows.
// Macros: WIDTH (D), INNER (I), HEADS (H), KV_HEADS (G), HEAD_DIM (d), LAYERS, EPSILON, QK_NORM (0 or 1), and
// TILES_AT_ONCE, the number of 8 rows that a product computes at once: 1, 2 or 4. JOINED: 0 for a target; 1 for a head whose first
// phases join embedding and feature by a linear layer (EAGLE); 3 for one whose first layer attends to both side by side (EAGLE-3).

#define MAX_ROWS 64         // of a launch; FusedDecoder.cs has the same numbers
#define MAX_FEATURES 8
#define GROUP_WARPS 8       // the warps that share a product's tile: each takes a part of the inputs
#define QUERY_ROWS (HEADS * HEAD_DIM)
#define SQUARES (WIDTH / 16)
#define PHASES_PER_LAYER (5 + QK_NORM)
#define FIRST_PHASES (JOINED == 1 ? 2 : 1)      // the phases before the layers
#define LAST_PHASE (LAYERS * PHASES_PER_LAYER + FIRST_PHASES)

// The addresses of a layer's weights; 0 where the family has none.
struct Layer
{
    const bf16* input_norm;  // [D]
    const bf16* qkv;         // [(H+2G)d,D]
    const bf16* output;      // [D,Hd]
    const bf16* post_norm;   // [D]
    const bf16* gate_up;     // [2I,D]
    const bf16* down;        // [D,I]
    const bf16* qkv_bias;    // [(H+2G)d]
    const bf16* query_norm;  // [d]
    const bf16* key_norm;    // [d]
};

// A layer's keys and values, [B*G*capacity,d].
struct LayerCache
{
    bf16* keys;
    bf16* values;
};

struct Step
{
    int* rows;                 // [N,ROW_INTS]
    const bf16* embedding;     // [V,D]
    const Layer* layers;
    const LayerCache* caches;
    const bf16* final_norm;    // [D]
    const float* frequencies;  // [d/2], radians per position
    float* x;                  // [N,D], the residual stream
    bf16* scaled;              // [N,D], x times the weights of the norm that follows
    float* squares;            // [N,D/16], sums of 16 squares of x
    float* rotations;          // [N,d/2,2], cosines and sines
    float* queries;            // [N,Hd]
    float* keys;               // [N,Gd], keys before their norm
    bf16* attended;            // [N,Hd]
    bf16* inner;               // [N,I]
    bf16* hidden;              // [N,D], the result
    bf16* features;            // [N,feature_count*D], the outputs of the layers that were asked for
    u32* barrier;              // 2 numbers, both 0 between launches
    int count;                 // N
    int capacity;              // slots of a sequence
    int longest;               // at least the largest count of a row
    int feature_count;
    int feature_layers[MAX_FEATURES];
    // Of heads only:
    const bf16* given;         // [.,D], the features that embeddings are joined with
    const bf16* join_weights;  // JOINED 1: the linear layer, [D,2D]; JOINED 3: the norms of embedding and feature, [2,D]
    const bf16* join_bias;     // [D]; 0 where there is none
    const bf16* ones;          // [D]
    bf16* joined;              // [N,2D]
    const u64* chosen;         // [N], what the level before has chosen (best_key); 0 where the rows name the tokens
    const long long* ids;      // the target's token of each of the head's; 0 where they are the same
    int norm_residual;         // JOINED 3: whether the residual stream begins with the normed feature
};

// The compiler would compute the addresses of all phases before the first one, and spill them.
__device__ __forceinline__ int thread_index()
{
    int index;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(index));
    return index;
}

__device__ __forceinline__ int block_index()
{
    int index;
    asm volatile("mov.u32 %0, %%ctaid.x;" : "=r"(index));
    return index;
}

__device__ __forceinline__ float low(u32 pair) { return __uint_as_float(pair << 16); }

__device__ __forceinline__ float high(u32 pair) { return __uint_as_float(pair & 0xffff0000u); }

__device__ __forceinline__ u32 narrow2(float a, float b)
{
    u32 pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(b), "f"(a));
    return pair;
}

__device__ __forceinline__ bf16 narrow(float x) { return (bf16)narrow2(x, 0.0f); }

// 16 bytes of a weight, which nothing else reads in this step; zeros where it is not valid. The loads of weights stay where they are
// written, since they are to be under way before a block waits.
__device__ __forceinline__ uint4 load_weights(const bf16* at, bool valid)
{
    uint4 v;
    asm volatile(
        "{ .reg .pred p; setp.ne.u32 p, %5, 0; mov.u32 %0, 0; mov.u32 %1, 0; mov.u32 %2, 0; mov.u32 %3, 0;\n"
        "@p ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0, %1, %2, %3}, [%4]; }"
        : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(at), "r"((u32)valid));
    return v;
}

// 16 bytes that an earlier phase has written.
__device__ __forceinline__ uint4 load_rows(const bf16* at, bool valid)
{
    uint4 v;
    asm volatile(
        "{ .reg .pred p; setp.ne.u32 p, %5, 0; mov.u32 %0, 0; mov.u32 %1, 0; mov.u32 %2, 0; mov.u32 %3, 0;\n"
        "@p ld.global.v4.u32 {%0, %1, %2, %3}, [%4]; }"
        : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(at), "r"((u32)valid) : "memory");
    return v;
}

__device__ __forceinline__ float load_float(const float* at)
{
    float v;
    asm volatile("ld.global.f32 %0, [%1];" : "=f"(v) : "l"(at) : "memory");
    return v;
}

__device__ __forceinline__ float2 load_float2(const float* at)
{
    float2 v;
    asm volatile("ld.global.v2.f32 {%0, %1}, [%2];" : "=f"(v.x), "=f"(v.y) : "l"(at) : "memory");
    return v;
}

__device__ __forceinline__ float4 load_float4(const float* at)
{
    float4 v;
    asm volatile("ld.global.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "l"(at) : "memory");
    return v;
}

// Calls f with the constants FIRST .. END-1. Arrays that are indexed with them stay in registers; a compiler that unrolls an ordinary
// loop late leaves them in memory.
template <int VALUE> struct Constant
{
    static constexpr int value = VALUE;
};

template <int FIRST, int END, class Body> __device__ __forceinline__ void repeat(const Body& f)
{
    if constexpr (FIRST < END)
    {
        f(Constant<FIRST>());
        repeat<FIRST + 1, END>(f);
    }
}

// Brings numbers near that a phase will need soon.
__device__ __forceinline__ void fetch(const bf16* from, int count)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" :: "l"(from), "r"(count * 2));
#endif
}

__device__ __forceinline__ void multiply(float (&sum)[4], u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1)
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3]) : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

__device__ __forceinline__ void wait_for(int barrier, int threads)
{
    asm volatile("bar.sync %0, %1;" :: "r"(barrier), "r"(threads) : "memory");
}

// What stands between two phases. In one launch over several phases the blocks count themselves; in a launch of its own a phase waits
// for the launch before.
struct Gate
{
    u32* counter;
    u32 expected;
    bool alone;

    __device__ __forceinline__ void wait()
    {
        if (alone) wait_for_launch();
        else if (expected != 0)
        {
            // The last warps have no part in most products.
            if (thread_index() == blockDim.x - 1)
            {
                u32 arrived;
                do asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(arrived) : "l"(counter) : "memory");
                while (arrived < expected);
            }
            __syncthreads();
        }
    }

    __device__ __forceinline__ void arrive()
    {
        __syncthreads();
        if (thread_index() == blockDim.x - 1) asm volatile("red.release.gpu.global.add.u32 [%0], 1;" :: "l"(counter) : "memory");
        expected += gridDim.x;
    }
};

// A lane's share of the sum of a row's squares.
__device__ __forceinline__ float squares_share(const float* squares, int row, int lane)
{
    float sum = 0.0f;
    #pragma unroll
    for (int i = 0; i < (SQUARES + 31) / 32; i++)
        if (lane + i * 32 < SQUARES) sum += load_float(squares + row * SQUARES + lane + i * 32);
    return sum;
}

// What a row's norm multiplies by, from the shares of a warp's lanes; all lanes get it.
__device__ __forceinline__ float norm_scale(float share)
{
    #pragma unroll
    for (int step = 16; step > 0; step /= 2) share += __shfl_xor_sync(0xffffffffu, share, step);
    return rsqrtf(share * (1.0f / WIDTH) + EPSILON);
}

// The number of steps of 32 inputs whose weights a thread holds.
template <int TILES> __host__ __device__ constexpr int held_steps(int most)
{
    const int limit = TILES <= 2 ? 8 : TILES == 4 ? 6 : 4;
    if (most <= limit) return most;
    for (int held = limit; held > limit / 2; held--)
        if (most % held == 0) return held;
    return limit;
}

// y = x * wT for up to 8*TILES rows. A group of warps computes 16 outputs of all rows at once: each of its warps takes a part of the
// inputs, and the parts are added in the order of the warps. In a tile's sums, output p and output p+8 belong to one thread, so what
// has to be combined (a rotated pair, a gate and what it gates) is put there by the tile's choice of outputs.
//
// Epilogue: tiles(); outputs(tile, p, low, high), the two weight rows; begin(tile, index, p, row), loads what finish needs;
// finish(tile, index, p, row, valid, a, b), takes the two results; all lanes of a warp call it together.
template <int TILES, int INPUTS, bool NORMED, class Epilogue>
__device__ __forceinline__ void product(const Step& s, const bf16* weights, const bf16* x, Epilogue& epilogue, Gate& gate, float* shared)
{
    constexpr int STEPS = INPUTS / 32;
    constexpr int MOST = (STEPS + GROUP_WARPS - 1) / GROUP_WARPS;
    constexpr int HELD = held_steps<TILES>(MOST);
    constexpr int AT_ONCE = TILES >= 8 ? 1 : 8 / TILES;
    constexpr int STRIDE = 8 * TILES + 4;
    constexpr int PAIRS = TILES * 64;
    constexpr int THREADS = GROUP_WARPS * 32;
    constexpr int EACH = (PAIRS + THREADS - 1) / THREADS;

    const int index = thread_index();
    const int lane = index % 32;
    const int thread = index % THREADS;
    const int warp = thread / 32;
    const int group = index / THREADS;
    const int slots = gridDim.x * (blockDim.x / THREADS);
    const int blocks = (s.count + TILES * 8 - 1) / (TILES * 8);
    const int units = epilogue.tiles() * blocks;
    const int begin = warp * STEPS / GROUP_WARPS;
    const int end = (warp + 1) * STEPS / GROUP_WARPS;
    const int within = (lane % 4) * 8;
    float* sums = shared + group * (GROUP_WARPS * 16 * STRIDE + MAX_ROWS);
    float* scales = sums + GROUP_WARPS * 16 * STRIDE;

    uint4 lows[HELD], highs[HELD];
    const bf16* low_row;
    const bf16* high_row;
    int unit = group * gridDim.x + block_index();

    // Loads nothing behind the last unit. What is loaded is set in any case: else the compiler keeps its registers through all phases.
    auto choose = [&](int next)
    {
        const bool any = next < units;
        int lo, hi;
        epilogue.outputs(blocks == 1 ? next : next / blocks, lane / 4, lo, hi);
        low_row = weights + (size_t)lo * INPUTS + within;
        high_row = weights + (size_t)hi * INPUTS + within;
        repeat<0, HELD>([&](auto index)
        {
            constexpr int u = decltype(index)::value;
            lows[u] = load_weights(low_row + (begin + u) * 32, any && begin + u < end);
            highs[u] = load_weights(high_row + (begin + u) * 32, any && begin + u < end);
        });
    };

    choose(unit);
    gate.wait();

    int scaled = -1;     // the block whose scales are ready
    while (unit < units)
    {
        const int tile = blocks == 1 ? unit : unit / blocks, block = unit - tile * blocks, from = block * TILES * 8;
        const int count = min(s.count - from, TILES * 8);
        // Each warp prepares the scales of TILES rows. Their sums are finished behind the product, which does not wait for them.
        float shares[TILES] = {};
        if (NORMED && block != scaled)
        {
            repeat<0, TILES>([&](auto index)
            {
                constexpr int i = decltype(index)::value;
                const int row = warp + i * GROUP_WARPS;
                shares[i] = row < count ? squares_share(s.squares, from + row, lane) : 0.0f;
            });
        }
        repeat<0, EACH>([&](auto index)
        {
            constexpr int i = decltype(index)::value;
            const int e = thread + i * THREADS;
            if (e < PAIRS && e / 8 < count) epilogue.begin(tile, index, e % 8, from + e / 8);
        });

        float sum[TILES][4] = {};
        for (int part = begin; part < (MOST == HELD ? begin + 1 : end); part += HELD)
        {
            repeat<0, (HELD + AT_ONCE - 1) / AT_ONCE>([&](auto number)
            {
                constexpr int FIRST = decltype(number)::value * AT_ONCE;
                constexpr int STEPS_NOW = AT_ONCE < HELD - FIRST ? AT_ONCE : HELD - FIRST;
                uint4 rows[STEPS_NOW][TILES];
                repeat<0, STEPS_NOW * TILES>([&](auto index)
                {
                    constexpr int u = decltype(index)::value / TILES, t = decltype(index)::value % TILES;
                    const int step = part + FIRST + u, row = t * 8 + lane / 4;
                    rows[u][t] = load_rows(x + (from + row) * INPUTS + within + step * 32, row < count && step < end);
                });
                repeat<0, STEPS_NOW>([&](auto index)
                {
                    constexpr int u = decltype(index)::value;
                    const uint4 lo = lows[FIRST + u], hi = highs[FIRST + u];
                    repeat<0, TILES>([&](auto column)
                    {
                        constexpr int t = decltype(column)::value;
                        multiply(sum[t], lo.x, hi.x, lo.y, hi.y, rows[u][t].x, rows[u][t].y);
                        multiply(sum[t], lo.z, hi.z, lo.w, hi.w, rows[u][t].z, rows[u][t].w);
                    });
                    if constexpr (MOST > HELD)
                    {
                        const int next = part + FIRST + u + HELD;
                        lows[FIRST + u] = load_weights(low_row + next * 32, next < end);
                        highs[FIRST + u] = load_weights(high_row + next * 32, next < end);
                    }
                });
            });
        }

        float* own = sums + warp * 16 * STRIDE;
        repeat<0, TILES>([&](auto index)
        {
            constexpr int t = decltype(index)::value;
            const int column = t * 8 + lane % 4 * 2;
            *(float2*)(own + lane / 4 * STRIDE + column) = make_float2(sum[t][0], sum[t][1]);
            *(float2*)(own + (lane / 4 + 8) * STRIDE + column) = make_float2(sum[t][2], sum[t][3]);
        });
        if (NORMED && block != scaled)
        {
            repeat<0, TILES>([&](auto index)
            {
                constexpr int i = decltype(index)::value;
                const float scale = norm_scale(shares[i]);
                if (lane == 0) scales[warp + i * GROUP_WARPS] = scale;
            });
            scaled = block;
        }
        unit += slots;
        choose(unit);
        wait_for(1 + group, THREADS);
        repeat<0, EACH>([&](auto index)
        {
            constexpr int i = decltype(index)::value;
            const int e = thread + i * THREADS;
            // Whole warps go on, so that an epilogue may exchange values; those of no valid row stop.
            if (e >= PAIRS || (e & ~31) / 8 >= count) return;
            const int p = e % 8, row = e / 8;
            float a = 0.0f, b = 0.0f;
            #pragma unroll
            for (int w = 0; w < GROUP_WARPS; w++)
            {
                a += sums[(w * 16 + p) * STRIDE + row];
                b += sums[(w * 16 + p + 8) * STRIDE + row];
            }
            if (NORMED)
            {
                a *= scales[row];
                b *= scales[row];
            }
            epilogue.finish(tile, index, p, from + row, row < count, a, b);
        });
        wait_for(1 + group, THREADS);
    }
}

// Queries, keys and values: the two outputs of a thread are a pair that is rotated. Keys and values go to the cache.
template <int EACH> struct QkvEpilogue
{
    const Step& s;
    const Layer& layer;
    const LayerCache& cache;
    float2 rotation[EACH] = {};

    __device__ QkvEpilogue(const Step& step, const Layer& own, const LayerCache& own_cache) : s(step), layer(own), cache(own_cache) {}

    __device__ __forceinline__ int tiles() const { return (HEADS + 2 * KV_HEADS) * (HEAD_DIM / 16); }

    __device__ __forceinline__ void outputs(int tile, int p, int& lo, int& hi) const
    {
        lo = tile / (HEAD_DIM / 16) * HEAD_DIM + tile % (HEAD_DIM / 16) * 8 + p;
        hi = lo + HEAD_DIM / 2;
    }

    template <class Index> __device__ __forceinline__ void begin(int tile, Index, int p, int row)
    {
        const int pair = tile % (HEAD_DIM / 16) * 8 + p;
        rotation[Index::value] = load_float2(s.rotations + (row * (HEAD_DIM / 2) + pair) * 2);
    }

    template <class Index> __device__ __forceinline__ void finish(int tile, Index, int p, int row, bool valid, float a, float b)
    {
        if (!valid) return;
        int lo, hi;
        outputs(tile, p, lo, hi);
        if (layer.qkv_bias)
        {
            a += widen(layer.qkv_bias[lo]);
            b += widen(layer.qkv_bias[hi]);
        }
        const int head = lo / HEAD_DIM, dim = lo % HEAD_DIM;
        if (head < HEADS + KV_HEADS && QK_NORM)
        {
            float* to = head < HEADS ? s.queries + row * QUERY_ROWS + lo : s.keys + row * KV_HEADS * HEAD_DIM + lo - QUERY_ROWS;
            to[0] = a;
            to[HEAD_DIM / 2] = b;
            return;
        }
        if (head < HEADS + KV_HEADS)
        {
            const float c = rotation[Index::value].x, r = rotation[Index::value].y, x = a;
            a = x * c - b * r;
            b = b * c + x * r;
        }
        if (head < HEADS)
        {
            s.queries[row * QUERY_ROWS + lo] = a;
            s.queries[row * QUERY_ROWS + hi] = b;
            return;
        }
        const int* description = s.rows + row * ROW_INTS;
        const bool is_key = head < HEADS + KV_HEADS;
        const int kv_head = head - HEADS - (is_key ? 0 : KV_HEADS);
        const size_t at = ((size_t)(description[1] * KV_HEADS + kv_head) * s.capacity + description[2]) * HEAD_DIM + dim;
        bf16* to = is_key ? cache.keys : cache.values;
        to[at] = narrow(a);
        to[at + HEAD_DIM / 2] = narrow(b);
    }
};

// Adds to the residual stream, and prepares the norm that follows.
template <int EACH> struct ResidualEpilogue
{
    const Step& s;
    const bf16* norm;     // 0 where what follows does not read `scaled`
    int layer;            // whose output this is; -1 within a layer
    float2 before[EACH] = {};

    __device__ ResidualEpilogue(const Step& step, const bf16* weights, int number) : s(step), norm(weights), layer(number) {}

    __device__ __forceinline__ int tiles() const { return WIDTH / 16; }

    __device__ __forceinline__ void outputs(int tile, int p, int& lo, int& hi) const
    {
        lo = tile * 16 + p;
        hi = lo + 8;
    }

    template <class Index> __device__ __forceinline__ void begin(int tile, Index, int p, int row)
    {
        const float* from = s.x + row * WIDTH + tile * 16 + p;
        before[Index::value] = make_float2(load_float(from), load_float(from + 8));
    }

    template <class Index> __device__ __forceinline__ void finish(int tile, Index, int p, int row, bool valid, float a, float b)
    {
        int lo, hi;
        outputs(tile, p, lo, hi);
        a = valid ? a + before[Index::value].x : 0.0f;
        b = valid ? b + before[Index::value].y : 0.0f;
        float squares = a * a + b * b;
        #pragma unroll
        for (int step = 4; step > 0; step /= 2) squares += __shfl_xor_sync(0xffffffffu, squares, step);
        if (!valid) return;
        s.x[row * WIDTH + lo] = a;
        s.x[row * WIDTH + hi] = b;
        if (p == 0) s.squares[row * SQUARES + tile] = squares;
        s.scaled[row * WIDTH + lo] = narrow(a * widen(norm[lo]));
        s.scaled[row * WIDTH + hi] = narrow(b * widen(norm[hi]));
        for (int f = 0; f < s.feature_count; f++)
        {
            if (s.feature_layers[f] != layer || layer == LAYERS - 1) continue;
            bf16* to = s.features + (row * s.feature_count + f) * WIDTH;
            to[lo] = narrow(a);
            to[hi] = narrow(b);
        }
    }
};

// SiLU of the gate times what it gates.
struct GateEpilogue
{
    const Step& s;

    __device__ GateEpilogue(const Step& step) : s(step) {}

    __device__ __forceinline__ int tiles() const { return INNER / 8; }

    __device__ __forceinline__ void outputs(int tile, int p, int& lo, int& hi) const
    {
        lo = tile * 8 + p;
        hi = INNER + lo;
    }

    template <class Index> __device__ __forceinline__ void begin(int, Index, int, int) {}

    template <class Index> __device__ __forceinline__ void finish(int tile, Index, int p, int row, bool valid, float a, float b)
    {
        if (valid) s.inner[row * INNER + tile * 8 + p] = narrow(__fdividef(a, 1.0f + __expf(-a)) * b);
    }
};

// All outputs of a matrix. What is behind the last one repeats it.
struct AllOutputs
{
    int count;

    __device__ AllOutputs(int number) : count(number) {}

    __device__ __forceinline__ int tiles() const { return (count + 15) / 16; }

    __device__ __forceinline__ void outputs(int tile, int p, int& lo, int& hi) const
    {
        lo = min(tile * 16 + p, count - 1);
        hi = min(tile * 16 + p + 8, count - 1);
    }

    template <class Index> __device__ __forceinline__ void begin(int, Index, int, int) {}
};

// Stores results as they are, [N,outputs].
struct PlainEpilogue : AllOutputs
{
    bf16* to;

    __device__ PlainEpilogue(bf16* results, int number) : AllOutputs(number), to(results) {}

    template <class Index> __device__ __forceinline__ void finish(int tile, Index, int p, int row, bool valid, float a, float b)
    {
        const int lo = tile * 16 + p, hi = lo + 8;
        if (valid && lo < count) to[(size_t)row * count + lo] = narrow(a);
        if (valid && hi < count) to[(size_t)row * count + hi] = narrow(b);
    }
};

// The cosines and sines of a row's position.
__device__ __forceinline__ void rotate(const Step& s, int row, int position)
{
    for (int pair = thread_index(); pair < HEAD_DIM / 2; pair += blockDim.x)
    {
        float sine, cosine;
        sincosf(position * s.frequencies[pair], &sine, &cosine);
        s.rotations[(row * (HEAD_DIM / 2) + pair) * 2] = cosine;
        s.rotations[(row * (HEAD_DIM / 2) + pair) * 2 + 1] = sine;
    }
}

#if JOINED == 0
// Embeddings of the tokens, the first norm's preparation and the rotations.
__device__ void embed(const Step& s, Gate& gate)
{
    gate.wait();
    for (int row = block_index(); row < s.count; row += gridDim.x)
    {
        const int* description = s.rows + row * ROW_INTS;
        const bf16* from = s.embedding + (size_t)description[0] * WIDTH;
        for (int part = thread_index(); part < SQUARES; part += blockDim.x)
        {
            float squares = 0.0f;
            #pragma unroll
            for (int i = part * 16; i < part * 16 + 16; i += 8)
            {
                const uint4 embedded = load_weights(from + i, true), norms = load_weights(s.layers[0].input_norm + i, true);
                const u32 pairs[4] = { embedded.x, embedded.y, embedded.z, embedded.w };
                const u32 factors[4] = { norms.x, norms.y, norms.z, norms.w };
                #pragma unroll
                for (int k = 0; k < 4; k++)
                {
                    const float a = low(pairs[k]), b = high(pairs[k]);
                    squares += a * a + b * b;
                    *(float2*)(s.x + row * WIDTH + i + k * 2) = make_float2(a, b);
                    *(u32*)(s.scaled + row * WIDTH + i + k * 2) = narrow2(a * low(factors[k]), b * high(factors[k]));
                }
            }
            s.squares[row * SQUARES + part] = squares;
        }
        rotate(s, row, description[3]);
    }
}
#else
// Embeddings and features side by side, and the rotations. Where the level before has chosen the tokens, a row is the child of the
// row that it was: it moves on by one slot.
__device__ void join(const Step& s, Gate& gate)
{
    gate.wait();
    for (int row = block_index(); row < s.count; row += gridDim.x)
    {
        int* description = s.rows + row * ROW_INTS;
        const int moved = s.chosen ? 1 : 0, position = description[3] + moved;
        int token = description[0];
        if (s.chosen)
        {
            token = 0xffffffffu - (u32)s.chosen[row];
            if (s.ids) token = (int)s.ids[token];
        }
        const bf16* embedding = s.embedding + (size_t)token * WIDTH;
        const bf16* feature = s.given + (size_t)description[6] * WIDTH;
        bf16* to = s.joined + (size_t)row * 2 * WIDTH;
#if JOINED == 1
        for (int i = thread_index(); i < WIDTH; i += blockDim.x)
        {
            to[i] = embedding[i];
            to[WIDTH + i] = feature[i];
        }
#else
        // Each warp computes both sums for itself.
        float embedded = 0.0f, given = 0.0f;
        for (int i = thread_index() % 32; i < WIDTH; i += 32)
        {
            embedded += widen(embedding[i]) * widen(embedding[i]);
            given += widen(feature[i]) * widen(feature[i]);
        }
        embedded = norm_scale(embedded);
        given = norm_scale(given);
        for (int i = thread_index(); i < WIDTH; i += blockDim.x)
        {
            const float x = widen(feature[i]), normed = x * given * widen(s.join_weights[WIDTH + i]);
            to[i] = narrow(widen(embedding[i]) * embedded * widen(s.join_weights[i]));
            to[WIDTH + i] = narrow(normed);
            s.x[row * WIDTH + i] = s.norm_residual ? normed : x;
        }
#endif
        rotate(s, row, position);
        __syncthreads();
        if (moved && thread_index() == 0)
        {
            description[0] = token;
            for (int i = 2; i < 6; i++) description[i]++;
        }
    }
}

// What the linear layer over embedding and feature begins the residual stream with.
struct JoinEpilogue : AllOutputs
{
    const Step& s;

    __device__ JoinEpilogue(const Step& step) : AllOutputs(WIDTH), s(step) {}

    template <class Index> __device__ __forceinline__ void finish(int tile, Index, int p, int row, bool valid, float a, float b)
    {
        if (!valid) return;
        int lo, hi;
        outputs(tile, p, lo, hi);
        if (s.join_bias)
        {
            a += widen(s.join_bias[lo]);
            b += widen(s.join_bias[hi]);
        }
        s.x[row * WIDTH + lo] = a;
        s.x[row * WIDTH + hi] = b;
        s.scaled[row * WIDTH + lo] = narrow(a);
        s.scaled[row * WIDTH + hi] = narrow(b);
    }
};

// The best of a row's results, [N]; the results themselves are not kept.
struct BestEpilogue : AllOutputs
{
    u64* best;

    __device__ BestEpilogue(u64* keys, int number) : AllOutputs(number), best(keys) {}

    template <class Index> __device__ __forceinline__ void finish(int tile, Index, int p, int row, bool valid, float a, float b)
    {
        // Logits are compared as they are stored elsewhere, rounded.
        int lo, hi;
        outputs(tile, p, lo, hi);
        u64 key = best_key(widen(narrow(a)), lo);
        const u64 other = best_key(widen(narrow(b)), hi);
        if (other > key) key = other;
        #pragma unroll
        for (int step = 4; step > 0; step /= 2)
        {
            const u64 theirs = __shfl_xor_sync(0xffffffffu, key, step);
            if (theirs > key) key = theirs;
        }
        if (valid && p == 0) atomicMax(best + row, key);
    }
};
#endif

// The final norm.
__device__ void finish(const Step& s, Gate& gate)
{
    gate.wait();
    for (int row = block_index(); row < s.count; row += gridDim.x)
    {
        const float scale = norm_scale(squares_share(s.squares, row, thread_index() % 32));
        for (int i = thread_index(); i < WIDTH; i += blockDim.x)
        {
            const bf16 result = narrow(load_float(s.x + row * WIDTH + i) * scale * widen(s.final_norm[i]));
            s.hidden[row * WIDTH + i] = result;
            for (int f = 0; f < s.feature_count; f++)
                if (s.feature_layers[f] == LAYERS - 1) s.features[(row * s.feature_count + f) * WIDTH + i] = result;
        }
    }
}

#if QK_NORM
// Norms and rotates queries and keys, a head for each warp; keys go to the cache.
__device__ void norm_and_rotate(const Step& s, const Layer& layer, const LayerCache& cache, Gate& gate)
{
    gate.wait();
    constexpr int EACH = HEAD_DIM / 64;
    const int lane = thread_index() % 32, warps = blockDim.x / 32;
    for (int unit = block_index() * warps + thread_index() / 32; unit < s.count * (HEADS + KV_HEADS); unit += gridDim.x * warps)
    {
        const int row = unit / (HEADS + KV_HEADS), head = unit % (HEADS + KV_HEADS);
        const bool is_key = head >= HEADS;
        float* from = is_key ? s.keys + (row * KV_HEADS + head - HEADS) * HEAD_DIM : s.queries + row * QUERY_ROWS + head * HEAD_DIM;
        const bf16* norm = is_key ? layer.key_norm : layer.query_norm;
        float a[EACH], b[EACH], squares = 0.0f;
        #pragma unroll
        for (int i = 0; i < EACH; i++)
        {
            a[i] = load_float(from + lane + i * 32);
            b[i] = load_float(from + lane + i * 32 + HEAD_DIM / 2);
            squares += a[i] * a[i] + b[i] * b[i];
        }
        #pragma unroll
        for (int step = 16; step > 0; step /= 2) squares += __shfl_xor_sync(0xffffffffu, squares, step);
        const float scale = rsqrtf(squares / HEAD_DIM + EPSILON);
        const int* description = s.rows + row * ROW_INTS;
        const size_t at = ((size_t)(description[1] * KV_HEADS + head - HEADS) * s.capacity + description[2]) * HEAD_DIM;
        #pragma unroll
        for (int i = 0; i < EACH; i++)
        {
            const int pair = lane + i * 32;
            const float2 r = load_float2(s.rotations + (row * (HEAD_DIM / 2) + pair) * 2);
            const float x = a[i] * scale * widen(norm[pair]), y = b[i] * scale * widen(norm[pair + HEAD_DIM / 2]);
            const float u = x * r.x - y * r.y, v = y * r.x + x * r.y;
            if (is_key)
            {
                cache.keys[at + pair] = narrow(u);
                cache.keys[at + pair + HEAD_DIM / 2] = narrow(v);
            }
            else
            {
                from[pair] = u;
                from[pair + HEAD_DIM / 2] = v;
            }
        }
    }
}
#endif

__host__ __device__ constexpr int heads_at_once(int all)
{
    for (int heads = 4; heads > 1; heads--)
        if (all % heads == 0) return heads;
    return 1;
}

#define PARTS 16                       // the parts that a row's keys are split into, chunk by chunk
#define KEY_LANES (HEAD_DIM / 8)       // the lanes that hold a key
#define KEYS_AT_ONCE (32 / KEY_LANES)
#define CHUNK (8 * KEYS_AT_ONCE)       // the keys that a warp takes at once
#define SHARED_HEADS (HEADS / KV_HEADS)
#define HEADS_AT_ONCE (heads_at_once(SHARED_HEADS))

// A step of a sum over lanes of several numbers: afterwards a lane has half as many numbers, summed over two lanes.
template <int LEFT> __device__ __forceinline__ void exchange(float (&shares)[8], int lane)
{
    constexpr int DISTANCE = LEFT * (KEY_LANES / 8);
    const bool upper = lane & DISTANCE;
    #pragma unroll
    for (int i = 0; i < LEFT; i++)
    {
        const float kept = upper ? shares[i + LEFT] : shares[i], given = upper ? shares[i] : shares[i + LEFT];
        shares[i] = kept + __shfl_xor_sync(0xffffffffu, given, DISTANCE);
    }
}

// Attention. A unit is a row with some of the query heads that share a key/value head. Its keys, in the order of the sequence, are cut
// into chunks, which go round to PARTS parts; the parts are merged in their order. How many warps share the parts changes nothing.
template <int HB> __device__ __forceinline__ void attend(const Step& s, const LayerCache& cache, Gate& gate, float* shared)
{
    constexpr int BLOCKS = SHARED_HEADS / HB;
    constexpr int PART_FLOATS = HB * (HEAD_DIM + 2);
    const float scale = 1.4426950408889634f * rsqrtf((float)HEAD_DIM);   // exponents are to the base of 2

    int parts = 1;
    while (parts < PARTS && parts * CHUNK < s.longest) parts *= 2;
    const int warps = blockDim.x / 32;
    const int unit_warps = min(max(parts, 2), warps);   // there are 15 named barriers
    const int index = thread_index();
    const int sub = index / 32 / unit_warps, warp = index / 32 % unit_warps, lane = index % 32;
    const int thread = index % (unit_warps * 32);
    const int key = lane / KEY_LANES, dims = lane % KEY_LANES * 8;
    float* merged = shared + sub * parts * PART_FLOATS;
    const int units = s.count * KV_HEADS * BLOCKS;
    const int stride = gridDim.x * (warps / unit_warps);
#if JOINED
    // A head's first phase writes the descriptions.
    gate.wait();
    bool waited = true;
#else
    bool waited = false;
#endif

    for (int unit = sub * gridDim.x + block_index(); unit < units || !waited; unit += stride)
    {
        if (unit >= units)
        {
            gate.wait();
            break;
        }
        const int heads = unit / s.count, row = unit - heads * s.count;
        const int kv_head = heads / BLOCKS, first_head = heads * HB;
        const int* description = s.rows + row * ROW_INTS;
        const int first = description[4], count = description[5];
        const size_t base = (size_t)(description[1] * KV_HEADS + kv_head) * s.capacity * HEAD_DIM + dims;
        const bf16* keys = cache.keys + base;
        const bf16* values = cache.values + base;
        const int chunks = (count + CHUNK - 1) / CHUNK;
        if (!waited) gate.wait();
        waited = true;

        for (int part = warp; part < min(parts, chunks); part += unit_warps)
        {
            float most[HB], total[HB], sum[HB][8];
            #pragma unroll
            for (int h = 0; h < HB; h++)
            {
                most[h] = -INFINITE;
                total[h] = 0.0f;
                #pragma unroll
                for (int i = 0; i < 8; i++) sum[h][i] = 0.0f;
            }
            for (int chunk = part; chunk < chunks; chunk += PARTS)
            {
                uint4 loaded[8];
                int slots[8];
                #pragma unroll
                for (int it = 0; it < 8; it++)
                {
                    const int i = chunk * CHUNK + it * KEYS_AT_ONCE + key;
                    slots[it] = i < first ? i : i < count ? description[ROW_HEADER + i - first] : -1;
                    loaded[it] = load_rows(keys + (size_t)max(slots[it], 0) * HEAD_DIM, slots[it] >= 0);
                }
                // Two heads and more leave no registers for the values beside the keys.
                uint4 held[HB == 1 ? 8 : 1];
                if constexpr (HB == 1)
                    repeat<0, 8>([&](auto index)
                    {
                        constexpr int it = decltype(index)::value;
                        held[it] = load_rows(values + (size_t)max(slots[it], 0) * HEAD_DIM, slots[it] >= 0);
                    });
                // Each lane has a share of 8 scores. They are exchanged so that each lane ends with the sum of one of them.
                const int turn = lane % KEY_LANES / (KEY_LANES / 8);
                const bool valid = chunk * CHUNK + turn * KEYS_AT_ONCE + key < count;
                float scores[HB], shares[HB][8];
                {
                    float query[HB][8];
                    #pragma unroll
                    for (int h = 0; h < HB; h++)
                    {
                        const float* from = s.queries + row * QUERY_ROWS + (first_head + h) * HEAD_DIM + dims;
                        const float4 q0 = load_float4(from), q1 = load_float4(from + 4);
                        query[h][0] = q0.x;
                        query[h][1] = q0.y;
                        query[h][2] = q0.z;
                        query[h][3] = q0.w;
                        query[h][4] = q1.x;
                        query[h][5] = q1.y;
                        query[h][6] = q1.z;
                        query[h][7] = q1.w;
                    }
                    #pragma unroll
                    for (int it = 0; it < 8; it++)
                    {
                        const uint4 k = loaded[it];
                        const float numbers[8] = { low(k.x), high(k.x), low(k.y), high(k.y), low(k.z), high(k.z), low(k.w), high(k.w) };
                        #pragma unroll
                        for (int h = 0; h < HB; h++)
                        {
                            float share = query[h][0] * numbers[0];
                            #pragma unroll
                            for (int i = 1; i < 8; i++) share = fmaf(query[h][i], numbers[i], share);
                            shares[h][it] = share;
                        }
                    }
                }
                #pragma unroll
                for (int h = 0; h < HB; h++)
                {
                    exchange<4>(shares[h], lane);
                    exchange<2>(shares[h], lane);
                    exchange<1>(shares[h], lane);
                    #pragma unroll
                    for (int step = KEY_LANES / 16; step > 0; step /= 2) shares[h][0] += __shfl_xor_sync(0xffffffffu, shares[h][0], step);
                    scores[h] = valid ? shares[h][0] * scale : -INFINITE;
                }
                #pragma unroll
                for (int it = 0; it < 8; it++)
                {
                    if constexpr (HB == 1) loaded[it] = held[it];
                    else loaded[it] = load_rows(values + (size_t)max(slots[it], 0) * HEAD_DIM, slots[it] >= 0);
                }
                #pragma unroll
                for (int h = 0; h < HB; h++)
                {
                    float top = fmaxf(most[h], scores[h]);
                    #pragma unroll
                    for (int step = 16; step > 0; step /= 2) top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, step));
                    const float shrink = exp2f(most[h] - top);
                    scores[h] = exp2f(scores[h] - top);
                    most[h] = top;
                    // Where a key has more lanes than a chunk has turns, several lanes hold the same score.
                    total[h] = total[h] * shrink + (lane % (KEY_LANES / 8) == 0 ? scores[h] : 0.0f);
                    #pragma unroll
                    for (int i = 0; i < 8; i++) sum[h][i] *= shrink;
                }
                #pragma unroll
                for (int it = 0; it < 8; it++)
                {
                    const uint4 v = loaded[it];
                    const float numbers[8] = { low(v.x), high(v.x), low(v.y), high(v.y), low(v.z), high(v.z), low(v.w), high(v.w) };
                    #pragma unroll
                    for (int h = 0; h < HB; h++)
                    {
                        const float weight = __shfl_sync(0xffffffffu, scores[h], key * KEY_LANES + it * (KEY_LANES / 8));
                        #pragma unroll
                        for (int i = 0; i < 8; i++) sum[h][i] = fmaf(weight, numbers[i], sum[h][i]);
                    }
                }
            }
            #pragma unroll
            for (int h = 0; h < HB; h++)
            {
                float* to = merged + part * PART_FLOATS + h * (HEAD_DIM + 2);
                #pragma unroll
                for (int step = 16; step > 0; step /= 2) total[h] += __shfl_xor_sync(0xffffffffu, total[h], step);
                #pragma unroll
                for (int step = 16; step >= KEY_LANES; step /= 2)
                {
                    #pragma unroll
                    for (int i = 0; i < 8; i++) sum[h][i] += __shfl_xor_sync(0xffffffffu, sum[h][i], step);
                }
                if (key != 0) continue;
                #pragma unroll
                for (int i = 0; i < 8; i++) to[dims + i] = sum[h][i];
                if (dims == 0)
                {
                    to[HEAD_DIM] = most[h];
                    to[HEAD_DIM + 1] = total[h];
                }
            }
        }
        wait_for(1 + sub, unit_warps * 32);
        for (int e = thread; e < HB * HEAD_DIM; e += unit_warps * 32)
        {
            const float* from = merged + e / HEAD_DIM * (HEAD_DIM + 2);
            const int used = min(parts, chunks);
            float tops[PARTS], top = -INFINITE, total = 0.0f, sum = 0.0f;
            #pragma unroll
            for (int part = 0; part < PARTS; part++)
            {
                tops[part] = part < used ? from[part * PART_FLOATS + HEAD_DIM] : -INFINITE;
                top = fmaxf(top, tops[part]);
            }
            #pragma unroll
            for (int part = 0; part < PARTS; part++)
            {
                const float* own = from + part * PART_FLOATS;
                const float weight = exp2f(tops[part] - top);
                total = fmaf(part < used ? own[HEAD_DIM + 1] : 0.0f, weight, total);
                sum = fmaf(part < used ? own[e % HEAD_DIM] : 0.0f, weight, sum);
            }
            s.attended[row * QUERY_ROWS + first_head * HEAD_DIM + e] = narrow(__fdividef(sum, total));
        }
        wait_for(1 + sub, unit_warps * 32);
    }
}

// Brings the weights that a group will need first in a product near.
template <class Epilogue> __device__ __forceinline__ void fetch_first(const bf16* weights, int inputs, int blocks, const Epilogue& epilogue)
{
    const int index = thread_index(), p = index % (GROUP_WARPS * 32);
    const int tile = (index / (GROUP_WARPS * 32) * gridDim.x + block_index()) / blocks;
    if (p >= 16 || tile >= epilogue.tiles()) return;
    int lo, hi;
    epilogue.outputs(tile, p % 8, lo, hi);
    fetch(weights + (size_t)(p < 8 ? lo : hi) * inputs, inputs);
}

// Brings the keys and values of earlier steps near. The rows of a sequence follow one another, and the first of them does it.
__device__ __forceinline__ void fetch_cache(const Step& s, const LayerCache& cache)
{
    const int from_end = blockDim.x - 1 - thread_index();
    const int unit = from_end * gridDim.x + block_index(), row = unit / KV_HEADS;
    if (row >= s.count) return;
    const int* description = s.rows + row * ROW_INTS;
    if (row > 0 && description[1] == description[1 - ROW_INTS]) return;
    const size_t at = (size_t)(description[1] * KV_HEADS + unit % KV_HEADS) * s.capacity * HEAD_DIM;
    const int known = min(description[4], description[2]);
    if (known == 0) return;
    fetch(cache.keys + at, known * HEAD_DIM);
    fetch(cache.values + at, known * HEAD_DIM);
}

// The phases before the layers.
template <int TILES> __device__ __forceinline__ void begin(const Step& s, int phase, Gate& gate, float* shared)
{
#if JOINED == 0
    embed(s, gate);
#else
    if (phase == 0) join(s, gate);
#if JOINED == 1
    else
    {
        JoinEpilogue epilogue(s);
        product<TILES, 2 * WIDTH, false>(s, s.join_weights, s.joined, epilogue, gate, shared);
    }
#endif
#endif
}

template <int TILES> __device__ __forceinline__ void run(const Step& s, int first, int last)
{
    extern __shared__ float shared[];
    // Addresses would come from far away in each phase, since a step's weights drive everything else out of the cache.
    __shared__ Layer layers[LAYERS + 1];
    __shared__ LayerCache caches[LAYERS];
    constexpr int EACH = (TILES * 64 + GROUP_WARPS * 32 - 1) / (GROUP_WARPS * 32);
    const int blocks = (s.count + TILES * 8 - 1) / (TILES * 8);
    Gate gate = { s.barrier, 0, last - first == 1 };
    if (gate.alone) let_next_begin();
    const int from = gate.alone ? max(first - FIRST_PHASES, 0) / PHASES_PER_LAYER : 0, end = gate.alone ? min(from + 2, LAYERS) : LAYERS;
    for (int i = from * 9 + thread_index(); i < end * 9; i += blockDim.x) ((size_t*)layers)[i] = ((const size_t*)s.layers)[i];
    for (int i = from * 2 + thread_index(); i < end * 2; i += blockDim.x) ((size_t*)caches)[i] = ((const size_t*)s.caches)[i];
    // What follows the last layer of a head gets its output as it is.
    if (thread_index() == 0) layers[LAYERS].input_norm = JOINED == 0 ? s.final_norm : s.ones;
    __syncthreads();
    for (int phase = first; phase < last; phase++)
    {
        const int layer = (phase - FIRST_PHASES) / PHASES_PER_LAYER;
        const int kind = (phase - FIRST_PHASES) % PHASES_PER_LAYER;
        if (phase < FIRST_PHASES) begin<TILES>(s, phase, gate, shared);
        else if (phase == LAST_PHASE) finish(s, gate);
        else
        {
            const Layer& own = layers[layer];
            if (kind == 0)
            {
                QkvEpilogue<EACH> epilogue(s, own, caches[layer]);
                if (!gate.alone)
                {
                    fetch_first(own.output, QUERY_ROWS, blocks, ResidualEpilogue<EACH>(s, 0, 0));
                    fetch_cache(s, caches[layer]);
                }
#if JOINED == 1
                if (layer == 0) product<TILES, WIDTH, false>(s, own.qkv, s.scaled, epilogue, gate, shared);
                else
#elif JOINED == 3
                if (layer == 0) product<TILES, 2 * WIDTH, false>(s, own.qkv, s.joined, epilogue, gate, shared);
                else
#endif
                product<TILES, WIDTH, true>(s, own.qkv, s.scaled, epilogue, gate, shared);
            }
#if QK_NORM
            else if (kind == 1) norm_and_rotate(s, own, caches[layer], gate);
#endif
            else if (kind == 1 + QK_NORM)
            {
                if (!gate.alone) fetch_first(own.gate_up, WIDTH, blocks, GateEpilogue(s));
                // A head alone leaves less to do for a block, as long as there are blocks.
                if (s.count * HEADS <= gridDim.x) attend<1>(s, caches[layer], gate, shared);
                else attend<HEADS_AT_ONCE>(s, caches[layer], gate, shared);
            }
            else if (kind == 2 + QK_NORM)
            {
                ResidualEpilogue<EACH> epilogue(s, own.post_norm, -1);
                if (!gate.alone) fetch_first(own.down, INNER, blocks, epilogue);
                product<TILES, QUERY_ROWS, false>(s, own.output, s.attended, epilogue, gate, shared);
            }
            else if (kind == 3 + QK_NORM)
            {
                GateEpilogue epilogue(s);
                if (!gate.alone && layer + 1 < LAYERS)
                    fetch_first(layers[layer + 1].qkv, WIDTH, blocks, QkvEpilogue<EACH>(s, own, caches[layer]));
                product<TILES, WIDTH, true>(s, own.gate_up, s.scaled, epilogue, gate, shared);
            }
            else
            {
                ResidualEpilogue<EACH> epilogue(s, layers[layer + 1].input_norm, layer);
                product<TILES, INNER, false>(s, own.down, s.inner, epilogue, gate, shared);
            }
        }
        if (phase + 1 < last) gate.arrive();
    }
    if (gate.alone) return;
    // The last block to leave clears the counters for the next launch.
    __syncthreads();
    if (thread_index() == 0 && atomicAdd(s.barrier + 1, 1) == gridDim.x - 1)
    {
        s.barrier[0] = 0;
        s.barrier[1] = 0;
    }
}

template <int TILES, class Epilogue>
__device__ __forceinline__ void project(const bf16* weights, const bf16* x, Epilogue epilogue, int count)
{
    extern __shared__ float shared[];
    let_next_begin();
    Step s;
    s.count = count;
    Gate gate = { 0, 0, true };
    product<TILES, WIDTH, false>(s, weights, x, epilogue, gate, shared);
}

extern "C" __global__ void __launch_bounds__(512, 1) step(const __grid_constant__ Step s, int first, int last)
{
    run<TILES_AT_ONCE>(s, first, last);
}

extern "C" __global__ void __launch_bounds__(512, 1) linear(const bf16* weights, const bf16* x, bf16* y, int outputs, int count)
{
    project<TILES_AT_ONCE>(weights, x, PlainEpilogue(y, outputs), count);
}

#if JOINED
// What a draft begins with: the outputs of the rows that the descriptions name, one for each sequence. They become the rows that the first
// level is given.
extern "C" __global__ void pick(int* rows, const bf16* outputs, const bf16* hidden, bf16* root, bf16* root_hidden)
{
    Gate gate = { 0, 0, true };
    gate.wait();
    const int row = block_index();
    int* description = rows + row * ROW_INTS;
    const size_t from = (size_t)description[6] * WIDTH, to = (size_t)row * WIDTH;
    for (int i = thread_index(); i < WIDTH; i += blockDim.x)
    {
        root[to + i] = outputs[from + i];
        root_hidden[to + i] = hidden[from + i];
    }
    __syncthreads();
    if (thread_index() == 0) description[6] = row;
}

// best: [count], zeros.
extern "C" __global__ void __launch_bounds__(512, 1) choose(const bf16* weights, const bf16* x, u64* best, int outputs, int count)
{
    project<TILES_AT_ONCE>(weights, x, BestEpilogue(best, outputs), count);
}
#endif
