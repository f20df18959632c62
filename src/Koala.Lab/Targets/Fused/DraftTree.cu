// Plans a draft tree on the GPU, as DynamicTree.cs does on the host: for each level the best tokens after each parent (`rank`), the nodes
// that they make and the rows of those that are expanded (`grow`), and at the end the nodes that stay (`keep`).
//
// B: sequences, K: nodes that are expanded per level and children of each, at most 16, N: nodes of the draft, P: nodes of a sequence so
// far. A level has 1 parent per sequence under the root, and K from then on. Rows.cu comes before this source.

#define MOST_NODES 4096     // TreePlan.cs has the same numbers
#define MOST_TOP 16
#define RANK_WARPS 32

struct Node
{
    int token;              // of the target
    int parent;             // the node; -1 for the root
    float score;            // the sum of log_q on the path
    float log_q;            // the head's log-probability
};

struct Level
{
    const int* best;            // [B*width,K], the head's tokens
    const float* log_q;         // [B*width,K]
    const long long* ids;       // the target's token of each of the head's; 0 where they are the same
    Node* nodes;                // [B,most]
    int* beam;                  // [B,K], the nodes that are expanded; not read under the root
    const int* parents;         // [B*width,ROW_INTS], their rows
    int* children;              // [B*K,ROW_INTS], gets the rows of the next level; 0 at the last one
    int width;                  // parents of a sequence
    int top;                    // K
    int first;                  // P
    int most;
    int drafted;                // the slots that the levels before have taken in each sequence; 0 under the root
};

__device__ __forceinline__ u64 largest_of_warp(u64 key)
{
    #pragma unroll
    for (int step = 16; step > 0; step /= 2)
    {
        const u64 theirs = __shfl_xor_sync(0xffffffffu, key, step);
        if (theirs > key) key = theirs;
    }
    return key;
}

// The best of a thread's logits below a key; 0 if there is none.
__device__ __forceinline__ u64 next_best(const bf16* logits, int vocabulary, u64 below)
{
    u64 best = 0;
    #pragma unroll 8
    for (int i = threadIdx.x; i < vocabulary; i += RANK_WARPS * 32)
    {
        const u64 key = best_key(widen(logits[i]), i);
        if (key < below && key > best) best = key;
    }
    return best;
}

// The K best tokens of each row of logits, of equal ones the first, and their log-probabilities, which are NaN if a logit is no number.
extern "C" __global__ void __launch_bounds__(RANK_WARPS * 32, 1)
rank(const bf16* logits, int vocabulary, int top, int* best, float* log_q)
{
    __shared__ u64 keys[RANK_WARPS * MOST_TOP];
    __shared__ float sums[RANK_WARPS];
    let_next_begin();
    wait_for_launch();
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const bf16* own = logits + (size_t)blockIdx.x * vocabulary;
    u64 key = next_best(own, vocabulary, 0xffffffffffffffffull);
    for (int k = 0; k < top; k++)
    {
        const u64 largest = largest_of_warp(key);
        if (lane == 0) keys[warp * MOST_TOP + k] = largest;
        if (key == largest && largest != 0) key = next_best(own, vocabulary, largest);
    }
    __syncthreads();

    // Every warp finds the best logit of the row, from the first key of each warp; the index is the rest of the key.
    const u64 best_of_row = largest_of_warp(keys[lane * MOST_TOP]);
    const float most = widen(own[0xffffffffu - (u32)best_of_row]);
    float sum = 0.0f;
    #pragma unroll 8
    for (int i = threadIdx.x; i < vocabulary; i += RANK_WARPS * 32) sum += expf(widen(own[i]) - most);
    #pragma unroll
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    if (lane == 0) sums[warp] = sum;
    __syncthreads();

    if (warp != 0) return;
    sum = sums[lane];
    #pragma unroll
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    const float logarithm = most + logf(sum);
    // Each lane offers the best key that is left of a warp.
    int taken = 0;
    for (int k = 0; k < top; k++)
    {
        const u64 offer = taken < top ? keys[lane * MOST_TOP + taken] : 0;
        const u64 largest = largest_of_warp(offer);
        if (offer != largest || largest == 0) continue;
        taken++;
        const int index = 0xffffffffu - (u32)largest;
        best[blockIdx.x * top + k] = index;
        log_q[blockIdx.x * top + k] = widen(own[index]) - logarithm;
    }
}

// Marks the best of some scores, of equal ones the first. All threads of the block call it.
__device__ __forceinline__ void mark_best(const float* scores, int count, int most, u32* marks)
{
    for (int start = 0; start < count; start += blockDim.x)
    {
        const int i = start + threadIdx.x;
        const float own = i < count ? scores[i] : 0.0f;
        int before = 0;
        for (int j = 0; j < count; j++)
        {
            const float other = scores[j];
            before += other > own || (other == own && j < i);
        }
        const u32 mark = __ballot_sync(0xffffffffu, i < count && before < most);
        if (threadIdx.x % 32 == 0) marks[i / 32] = mark;
    }
    __syncthreads();
}

__device__ __forceinline__ bool is_marked(const u32* marks, int index) { return marks[index / 32] >> (index % 32) & 1; }

// The number of marks before an index.
__device__ __forceinline__ int marks_before(const u32* marks, int index)
{
    int count = __popc(marks[index / 32] & ((1u << (index % 32)) - 1));
    for (int word = 0; word < index / 32; word++) count += __popc(marks[word]);
    return count;
}

// What cannot be compared comes last.
__device__ __forceinline__ float comparable(float score) { return score == score ? score : -INFINITE; }

// A block for each sequence.
extern "C" __global__ void __launch_bounds__(256, 1) grow(const Level level)
{
    __shared__ float scores[MOST_TOP * MOST_TOP];
    __shared__ u32 marks[MOST_TOP * MOST_TOP / 32];
    let_next_begin();
    wait_for_launch();
    const int b = blockIdx.x, t = threadIdx.x, count = level.width * level.top;
    const int parent = t / level.top, parent_row = b * level.width + parent;
    Node* nodes = level.nodes + (size_t)b * level.most;
    Node node;
    if (t < count)
    {
        const int token = level.best[parent_row * level.top + t % level.top];
        node.token = level.ids ? (int)level.ids[token] : token;
        node.parent = level.drafted == 0 ? -1 : level.beam[b * level.top + parent];
        node.log_q = level.log_q[parent_row * level.top + t % level.top];
        node.score = node.log_q + (node.parent < 0 ? 0.0f : nodes[node.parent].score);
        nodes[level.first + t] = node;
        scores[t] = comparable(node.score);
    }
    __syncthreads();
    if (level.children == 0) return;
    mark_best(scores, count, level.top, marks);
    if (t >= count || !is_marked(marks, t)) return;
    const int place = marks_before(marks, t);
    level.beam[b * level.top + place] = level.first + t;
    // The child attends to what its parent attends to, and to itself.
    const int* from = level.parents + parent_row * ROW_INTS;
    int* to = level.children + (b * level.top + place) * ROW_INTS;
    const int slot = from[4] + level.drafted + place, further = from[5] - from[4];
    to[0] = node.token;
    to[1] = from[1];
    to[2] = slot;
    to[3] = from[3] + 1;
    to[4] = from[4];
    to[5] = from[5] + 1;
    to[6] = parent_row;
    for (int i = 0; i < further; i++) to[ROW_HEADER + i] = from[ROW_HEADER + i];
    to[ROW_HEADER + further] = slot;
}

// The best nodes of each sequence, in their order, in a block for each. A child scores no better than its parent, so the ancestors of a
// node that stays stay too.
// draft: [B,N+1,3]. First the number of nodes that stay and whether a score is no number; then the token of each, the place of its parent
// among them (-1 for the root), and the bits of log_q.
extern "C" __global__ void __launch_bounds__(1024, 1) keep(const Node* nodes, int count, int most, int number, int* draft)
{
    __shared__ float scores[MOST_NODES];
    __shared__ u32 marks[MOST_NODES / 32];
    wait_for_launch();
    const Node* own = nodes + (size_t)blockIdx.x * most;
    int* to = draft + (size_t)blockIdx.x * (number + 1) * 3;
    bool broken = false;
    for (int i = threadIdx.x; i < count; i += blockDim.x)
    {
        const float score = own[i].score;
        broken |= score != score;
        scores[i] = comparable(score);
    }
    broken = __syncthreads_or(broken);
    mark_best(scores, count, number, marks);
    if (threadIdx.x == 0)
    {
        to[0] = min(count, number);
        to[1] = broken;
    }
    for (int i = threadIdx.x; i < count; i += blockDim.x)
    {
        if (!is_marked(marks, i)) continue;
        int* own_place = to + (marks_before(marks, i) + 1) * 3;
        own_place[0] = own[i].token;
        own_place[1] = own[i].parent < 0 ? -1 : marks_before(marks, own[i].parent);
        own_place[2] = __float_as_int(own[i].log_q);
    }
}
