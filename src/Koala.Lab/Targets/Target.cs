using System.Security.Cryptography;
using Koala.Lab.Checkpoints;
using Koala.Lab.Runtime;
using Koala.Lab.Runtime.Cuda;
using Koala.Lab.Runtime.Native;
using Koala.Lab.Text.Tokenizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>The model whose output is wanted: a decoder of the Llama family with its tokenizer.</summary>
/// <remarks>B sequences, T new tokens each, D width, V vocabulary. Its weights never take gradients.</remarks>
public sealed class Target : IDisposable
{
    // Attention looks at a multiple of this many cache slots, so that the shapes of a step change rarely. A GPU looks at a few hundred in the time of one,
    // and there each shape costs a recording.
    private const int Bucket = 64;
    private const int GpuBucket = 256;

    // A longer prompt is read in chunks: the attention mask grows with the square of a chunk.
    private const int PrefillChunk = 512;

    private readonly TargetWeights _weights;
    private readonly DecoderScript _script;
    private readonly RotaryEmbedding _rotary;
    private readonly Tensor _slotNumbers;   // 0 .. context-1
    private readonly Lazy<TargetIdentity> _identity;

    private Target(string path, ModelFiles files, Tokenizer tokenizer, ScalarType dtype, Device device)
    {
        (Path, Name, Config, Tokenizer, Dtype, Device) = (path, files.Name, files.Config, tokenizer, dtype, device);
        _weights = TargetWeights.Load(files, dtype, device);
        _script = new DecoderScript(Config, dtype, device);
        _rotary = new RotaryEmbedding(Config, dtype, device);
        _slotNumbers = arange(Config.ContextLength, ScalarType.Int64, device).DetachFromDisposeScope();
        _identity = new Lazy<TargetIdentity>(() => new TargetIdentity(Name, Config.HiddenSize, Config.VocabularySize, HashOf(_weights.Embedding)));
    }

    /// <summary>What reports call the target: the name of its folder or file, or org/name in the hub's cache.</summary>
    public string Name { get; }

    /// <summary>The folder or GGUF file it was loaded from.</summary>
    public string Path { get; }

    /// <summary>Sizes and switches.</summary>
    public ModelConfig Config { get; }

    /// <summary>Its tokenizer, with the chat template.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>What the weights are kept and computed in.</summary>
    public ScalarType Dtype { get; }

    /// <summary>Where it runs.</summary>
    public Device Device { get; }

    /// <summary>What a head made for this target remembers of it.</summary>
    public TargetIdentity Identity => _identity.Value;

    /// <summary>Number of weights; a tied embedding counts once.</summary>
    public long Parameters => _weights.Count;

    /// <summary>Bytes of all weights as they are kept: what a step of one token has to read.</summary>
    public long WeightBytes => _weights.Bytes;

    /// <summary>Loads a Hugging Face folder (config.json, safetensors, tokenizer.json) or a GGUF file.</summary>
    /// <param name="path">The folder or file, or a model's name in the hub's cache (org/name).</param>
    /// <param name="dtype">fp32 or bf16; null: fp32 on a CPU, bf16 on a GPU.</param>
    /// <param name="device">cpu or cuda.</param>
    /// <exception cref="KoalaException">Something in the folder or file, the dtype or the device is wrong.</exception>
    public static Target Load(string path, string? dtype = null, string device = "cpu")
    {
        LibTorch.EnsureLoaded();
        path = ModelLocation.Find(path).Path;
        var place = Devices.Parse(device);
        var number = dtype is null ? (place.type == DeviceType.CUDA ? ScalarType.BFloat16 : ScalarType.Float32) : Dtypes.Parse(dtype);
        using var files = ModelFiles.Open(path);
        var tokenizer = Tokenizer.Load(path);
        CheckVocabulary(tokenizer, files.Config);
        return new Target(path, files, tokenizer, number, place);
    }

    /// <summary>A cache for <paramref name="batch"/> sequences of at most <paramref name="capacity"/> tokens (cut at the context length).</summary>
    public KeyValueCache NewCache(int batch = 1, int? capacity = null) => new(Config.Layers, batch,
        Math.Min(capacity ?? Config.ContextLength, Config.ContextLength), Config.KeyValueHeads, Config.HeadDim, Dtype, Device);

    /// <summary>Appends tokens to the one sequence of a cache.</summary>
    /// <returns>Hidden states after the final norm, [T,D].</returns>
    public Tensor Append(KeyValueCache cache, ReadOnlySpan<int> tokens)
    {
        using var scope = NewDisposeScope();
        return Prefill(cache, [tokens.ToArray()], []).Hidden[0].MoveToOuterDisposeScope();
    }

    /// <summary>Appends tokens to every sequence of a batch; sequences may differ in how many they get.</summary>
    /// <returns>Hidden states, [B,T,D] with T the largest count; rows behind a sequence's own count are padding.</returns>
    /// <exception cref="ArgumentException">The number of sequences is not the cache's, or they do not fit into it.</exception>
    public Tensor Append(KeyValueCache cache, IReadOnlyList<int[]> tokens) =>
        Append(cache, TokenTrees.Chains(tokens), [], 0, recorded: false).Hidden;

    /// <summary>Appends a tree of tokens to every sequence of a batch, in one step.</summary>
    /// <remarks>A round's step: on a GPU it is recorded the second time its shape is met.</remarks>
    /// <param name="cache">Holds B sequences. Every token gets the next slot of its own; see <see cref="KeyValueCache.Compact"/>.</param>
    /// <param name="trees">A token stands one position after its parent, and sees what the cache holds, its ancestors and itself.</param>
    /// <param name="featureLayers">Layers whose outputs are wanted beside the hidden states, counted from 0; may be empty.</param>
    /// <param name="held">
    /// How many of the tokens that the cache holds last belong to the trees, in every sequence. The trees' parents then begin with those of
    /// these tokens.
    /// </param>
    /// <returns>A row per token; rows behind a sequence's own tree are padding.</returns>
    /// <exception cref="ArgumentException">
    /// The number of sequences is not the cache's, they do not fit into it, or a token comes before its parent.
    /// </exception>
    public TargetOutput Append(KeyValueCache cache, TokenTrees trees, IReadOnlyList<int> featureLayers, int held = 0) =>
        Append(cache, trees, featureLayers, held, recorded: true);

    /// <summary>Reads prompts, a chunk of each per step.</summary>
    /// <param name="cache">Holds B sequences.</param>
    /// <param name="prompts">Token ids of each sequence, of which one at least is not empty; they may differ in length.</param>
    /// <param name="featureLayers">Layers whose outputs are wanted beside the hidden states, counted from 0; may be empty.</param>
    /// <returns>A row per token; T is the length of the longest prompt, and rows behind a prompt's own length are padding.</returns>
    /// <exception cref="ArgumentException">The number of prompts is not the cache's, or they do not fit into it.</exception>
    internal TargetOutput Prefill(KeyValueCache cache, IReadOnlyList<IReadOnlyList<int>> prompts, IReadOnlyList<int> featureLayers)
    {
        using var scope = NewDisposeScope();
        var steps = new List<TargetOutput>();
        foreach (var chunk in Chunks(prompts)) steps.Add(Append(cache, TokenTrees.Chains(chunk), featureLayers, 0, recorded: false));
        return TargetOutput.Concatenate(steps).MoveToOuterDisposeScope();
    }

    /// <summary>Reads prompts as <see cref="Prefill"/> does, but keeps only each one's last hidden state: many fit into memory.</summary>
    /// <param name="cache">Holds B sequences.</param>
    /// <param name="prompts">Token ids of each sequence, at least one each; they may differ in length.</param>
    /// <returns>The hidden state after the final norm at each prompt's last token, [B,D].</returns>
    /// <exception cref="ArgumentException">The number of prompts is not the cache's, or they do not fit into it.</exception>
    internal Tensor PrefillLast(KeyValueCache cache, IReadOnlyList<IReadOnlyList<int>> prompts)
    {
        using var scope = NewDisposeScope();
        var last = zeros(prompts.Count, Config.HiddenSize, Dtype, Device);
        foreach (var chunk in Chunks(prompts))
        {
            using var step = NewDisposeScope();
            var hidden = Append(cache, chunk);                                                            // [B,T,D]
            // A prompt that goes on is overwritten by its next chunk.
            int[] read = [.. Enumerable.Range(0, chunk.Length).Where(b => chunk[b].Length > 0)];
            var rows = tensor(read.Select(b => b * hidden.shape[1] + chunk[b].Length - 1).ToArray(), device: Device);
            last.index_copy_(0, tensor(read.Select(b => (long)b).ToArray(), device: Device), hidden.flatten(0, 1).index_select(0, rows));
        }
        return last.MoveToOuterDisposeScope();
    }

    /// <summary>How many of so many tokens a step of <see cref="Prefill"/> reads.</summary>
    internal static int ChunkLength(int tokens) => Math.Min(tokens, PrefillChunk);

    private static IEnumerable<int[][]> Chunks(IReadOnlyList<IReadOnlyList<int>> prompts)
    {
        var longest = prompts.Max(prompt => prompt.Count);
        for (var start = 0; start < longest; start += PrefillChunk)
            yield return [.. prompts.Select(prompt => prompt.Skip(start).Take(PrefillChunk).ToArray())];
    }

    private TargetOutput Append(KeyValueCache cache, TokenTrees trees, IReadOnlyList<int> featureLayers, int held, bool recorded)
    {
        var tokens = trees.Tokens;
        var count = tokens.Max(t => t.Length);
        if (tokens.Count != cache.Batch)
            throw new ArgumentException($"{tokens.Count} sequences for a cache of {cache.Batch}", nameof(trees));
        if (cache.Lengths.Max() + count > cache.Capacity)
            throw new ArgumentException($"{cache.Lengths.Max()} + {count} tokens do not fit a cache of {cache.Capacity}", nameof(trees));

        using var scope = NewDisposeScope();
        var (ids, starts) = (new long[cache.Batch * count], new long[cache.Batch]);
        for (var b = 0; b < cache.Batch; b++)
        {
            // Padding gets token 0; its keys stand behind the sequence's length, where the next step overwrites them.
            for (var t = 0; t < tokens[b].Length; t++) ids[b * count + t] = tokens[b][t];
            starts[b] = cache.Lengths[b];
        }
        var keyValueLength = KeyValueLength(cache, cache.Lengths.Max() + count);
        var slots = _slotNumbers.narrow(0, 0, keyValueLength);
        Tensor NewSlots(Tensor first) => first + _slotNumbers.narrow(0, 0, count);                          // [B,T]
        Tensor[] inputs = [tensor(ids), tensor(starts).view(-1, 1)];
        var chain = trees.IsChain;
        if (!chain)
        {
            var (positions, masked) = TreeAttention.Compute(trees.Parents, cache.Lengths, held, count, NewSlots(inputs[1].to(Device)), slots);
            inputs = [.. inputs, positions, masked];                                                        // [B,T], [B,T,L]
        }
        // Everything that changes from step to step comes in by x, so that the step can be recorded.
        Tensor[] Step(Tensor[] x)
        {
            var newSlots = NewSlots(x[1]);
            var (positions, masked) = chain ? (newSlots, slots > newSlots.unsqueeze(-1)) : (x[2], x[3]);
            var (hidden, features) = Run(x[0], positions, cache.Slots(newSlots), masked, keyValueLength, cache, featureLayers);
            return featureLayers.Count == 0 ? [hidden] : [hidden, features];
        }
        var work = new GraphKey($"{(chain ? "chain" : "tree")} {string.Join(',', featureLayers)}", count, keyValueLength);
        // The steps of rounds have the same few shapes again and again, so a captured one is used often; prompts come in too many lengths for that.
        var outputs = recorded ? cache.Graphs.Run(work, inputs, Step) : Step([.. inputs.Select(x => x.to(Device))]);
        for (var b = 0; b < cache.Batch; b++) cache.Extend(b, tokens[b].Length);
        return new TargetOutput(outputs[0], outputs[^1]).MoveToOuterDisposeScope();
    }

    /// <summary>Hidden states of packed rows, as training needs them: tokens see earlier tokens of their own segment only.</summary>
    /// <param name="cache">Memory of B sequences of at least T tokens; what it held is lost.</param>
    /// <param name="tokens">[B,T], int64.</param>
    /// <param name="positions">Position of each token in its segment, [B,T], int64.</param>
    /// <param name="segments">Number of each token's segment, [B,T], int64.</param>
    /// <param name="featureLayers">Layers whose outputs are wanted beside the hidden states, counted from 0; may be empty.</param>
    /// <returns>A row per token.</returns>
    public TargetOutput Features(KeyValueCache cache, Tensor tokens, Tensor positions, Tensor segments, IReadOnlyList<int> featureLayers)
    {
        using var scope = NewDisposeScope();
        var count = (int)tokens.shape[1];
        cache.Clear();
        var slots = _slotNumbers.narrow(0, 0, count);
        var later = slots.unsqueeze(0) > slots.unsqueeze(1);                                              // [T,T]
        var masked = (segments.unsqueeze(2) != segments.unsqueeze(1)).logical_or_(later);                 // [B,T,T]
        return Run(tokens.view(-1), positions, cache.Slots(slots), masked, count, cache, featureLayers).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Appends a token to every sequence of a batch, with all it needs on the device and nothing read on the host, so that the step can be
    /// captured in a CUDA graph. The cache's lengths stay as they are: the caller keeps count.
    /// </summary>
    /// <param name="cache">Of B sequences.</param>
    /// <param name="ids">[B], int64.</param>
    /// <param name="positions">Where each token stands and its keys go, below the cache's capacity, [B,1], int64.</param>
    /// <param name="keyValueLength">Cache slots that attention looks at: above all positions that count, at most the cache's capacity.</param>
    /// <returns>Hidden states after the final norm, [B,D].</returns>
    internal Tensor Step(KeyValueCache cache, Tensor ids, Tensor positions, int keyValueLength)
    {
        using var scope = NewDisposeScope();
        var masked = (_slotNumbers.narrow(0, 0, keyValueLength) > positions).unsqueeze(1);                         // [B,1,L]
        return Run(ids, positions, cache.Slots(positions), masked, keyValueLength, cache, []).Hidden.squeeze(1).MoveToOuterDisposeScope();
    }

    /// <summary>How many cache slots attention has to look at for so many tokens: whole buckets, at most the cache's capacity.</summary>
    internal static int KeyValueLength(KeyValueCache cache, int tokens) => KeyValueLength(cache, tokens, cache.Device.type == DeviceType.CUDA ? GpuBucket : Bucket);

    /// <summary>The same with buckets of another size.</summary>
    internal static int KeyValueLength(KeyValueCache cache, int tokens, int bucket) => Math.Min(cache.Capacity, (tokens + bucket - 1) / bucket * bucket);

    /// <summary>The LM head over hidden states: logits [...,V] in the target's dtype. Gradients flow to <paramref name="hidden"/>.</summary>
    public Tensor Logits(Tensor hidden)
    {
        using var scope = NewDisposeScope();
        return _script.Product(hidden, _weights.LmHead).MoveToOuterDisposeScope();
    }

    /// <summary>Embeddings of tokens, [N,D] of [N] ids on the device. No gradients flow.</summary>
    public Tensor Embed(Tensor ids) => _weights.Embedding.index_select(0, ids);

    /// <summary>A layer's kind of product, for benchmarks: x [N,in] by one of <see cref="Products"/>.</summary>
    internal Tensor Product(Tensor x, Tensor weight) => _script.Product(x, weight);

    /// <summary>The matrices a step multiplies with, in its order, the LM head last: [out,in] each. For benchmarks.</summary>
    internal IReadOnlyList<Tensor> Products => [.. _weights.Layers.Where(t => t.dim() == 2), _weights.LmHead];

    /// <summary>The weights of the LM head, [V,D]. The target's own: do not dispose.</summary>
    public Tensor LmHead => _weights.LmHead;

    /// <summary>Hidden states of one sequence by layer: the embedding, then each layer's output, the last one after the final norm; [T,D] each.</summary>
    public IReadOnlyList<Tensor> States(IReadOnlyList<int> tokens)
    {
        using var scope = NewDisposeScope();
        using var cache = NewCache(1, tokens.Count);
        var slots = _slotNumbers.narrow(0, 0, tokens.Count);
        var step = Inputs(slots.view(1, -1), cache.Slots(slots), slots.unsqueeze(0) > slots.unsqueeze(1), tokens.Count);
        var rows = _weights.Embedding.index_select(0, tensor(tokens.Select(t => (long)t).ToArray(), device: Device));
        Tensor[] states = [rows, .. _script.States(rows, _weights.Layers, step, cache)];
        foreach (var state in states) state.MoveToOuterDisposeScope();
        return states;
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose()
    {
        _weights.Dispose();
        _rotary.Dispose();
        _slotNumbers.Dispose();
    }

    private TargetOutput Run(Tensor ids, Tensor positions, Tensor slots, Tensor masked, int keyValueLength, KeyValueCache cache,
        IReadOnlyList<int> featureLayers)
    {
        var rows = Embed(ids);                                                                            // [N,D]
        var step = Inputs(positions, slots, masked, keyValueLength);
        Tensor Shaped(Tensor x) => x.view(cache.Batch, -1, x.shape[1]);
        if (featureLayers.Count == 0)
        {
            var hidden = Shaped(_script.Forward(rows, _weights.Layers, step, cache));
            return new TargetOutput(hidden, hidden);
        }
        var states = _script.States(rows, _weights.Layers, step, cache);
        return new TargetOutput(Shaped(states[^1]), Shaped(cat([.. featureLayers.Select(layer => states[layer])], -1)));
    }

    /// <summary>Cosines and signed sines of rotary positions [B,T]: [B,T,1,headDim] each.</summary>
    internal (Tensor Cos, Tensor Sin) Rotations(Tensor positions) => _rotary.At(positions);

    /// <summary>What the layers of a step need beside the tokens. Slots are given beside the positions, from which they differ in packed rows and trees.</summary>
    /// <param name="positions">[B,T].</param>
    /// <param name="slots">Cache rows of the new tokens, [B·kvHeads·T].</param>
    /// <param name="masked">Slots that a token does not see, [B or 1,T,limit], or [T,limit].</param>
    /// <param name="keyValueLength">Cache slots that attention looks at.</param>
    internal StepInputs Inputs(Tensor positions, Tensor slots, Tensor masked, int keyValueLength)
    {
        var count = positions.shape[1];
        var (cos, sin) = Rotations(positions);
        var group = Config.Heads / Config.KeyValueHeads;
        var mask = zeros(masked.shape, Dtype, Device).masked_fill_(masked, double.NegativeInfinity).view(-1, 1, 1, count, keyValueLength)
            .expand(-1, 1, group, count, keyValueLength).reshape(-1, 1, group * count, keyValueLength);
        return new StepInputs(cos, sin, mask, slots, keyValueLength);
    }

    // Models round their vocabulary up, so a few percent fewer tokens are no fault.
    private static void CheckVocabulary(Tokenizer tokenizer, ModelConfig config)
    {
        if (tokenizer.VocabularySize > config.VocabularySize || tokenizer.VocabularySize < 0.95 * config.VocabularySize)
            throw new KoalaException(tokenizer.Source, $"knows {tokenizer.VocabularySize} tokens, but the model's config has {config.VocabularySize}",
                "use this model's own tokenizer");
    }

    private static string HashOf(Tensor embedding)
    {
        using var scope = NewDisposeScope();
        var bits = embedding.to(ScalarType.BFloat16).cpu().contiguous();
        return Convert.ToHexStringLower(SHA256.HashData(bits.bytes))[..32];
    }
}
