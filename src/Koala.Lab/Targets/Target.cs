using System.Security.Cryptography;
using Koala.Lab.Checkpoints;
using Koala.Lab.Runtime;
using Koala.Lab.Text;
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

    // A longer prompt goes through in pieces: the attention mask grows with the square of a piece.
    internal const int PromptPiece = 512;

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
        path = ModelPlace.Find(path).Path;
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
        if (tokens.Length <= PromptPiece) return Append(cache, [tokens.ToArray()])[0].MoveToOuterDisposeScope();
        var pieces = new List<Tensor>();
        for (var start = 0; start < tokens.Length; start += PromptPiece)
            pieces.Add(Append(cache, [tokens[start..Math.Min(start + PromptPiece, tokens.Length)].ToArray()])[0]);
        return cat(pieces, 0).MoveToOuterDisposeScope();
    }

    /// <summary>Appends tokens to every sequence of a batch; sequences may differ in how many they get.</summary>
    /// <returns>Hidden states, [B,T,D] with T the largest count; rows behind a sequence's own count are padding.</returns>
    /// <exception cref="ArgumentException">The number of sequences is not the cache's, or they do not fit into it.</exception>
    public Tensor Append(KeyValueCache cache, IReadOnlyList<int[]> tokens) => Append(cache, tokens, null, []).Hidden;

    /// <summary>Appends tokens, or trees of them, to every sequence of a batch, in one step.</summary>
    /// <param name="cache">Of B sequences; every token gets a slot after the sequence's own, in the order given. See <see cref="KeyValueCache.Keep"/>.</param>
    /// <param name="tokens">Of each sequence; they may differ in number.</param>
    /// <param name="parents">
    /// Of each token the index of the token before it among those of its sequence, -1 where that is the cache's last; parents come first. A token stands one
    /// place after its parent, and sees what the cache holds, its ancestors and itself. Null: one after another.
    /// </param>
    /// <param name="featureLayers">Layers whose outputs are wanted beside the hidden states, counted from 0; may be empty.</param>
    /// <param name="held">How many of the tokens that the cache holds last belong to the trees, in every sequence: parents are given of them first.</param>
    /// <returns>Hidden states after the final norm, [B,T,D] with T the largest count (rows behind a sequence's own count are padding), and features: these, or the layers' outputs side by side, [B,T,D·layers].</returns>
    /// <exception cref="ArgumentException">The number of sequences is not the cache's, or they do not fit into it.</exception>
    public (Tensor Hidden, Tensor Features) Append(KeyValueCache cache, IReadOnlyList<int[]> tokens, IReadOnlyList<int[]>? parents, IReadOnlyList<int> featureLayers, int held = 0)
    {
        var count = tokens.Max(t => t.Length);
        if (tokens.Count != cache.Batch) throw new ArgumentException($"{tokens.Count} sequences for a cache of {cache.Batch}", nameof(tokens));
        if (cache.Lengths.Max() + count > cache.Capacity)
            throw new ArgumentException($"{cache.Lengths.Max()} + {count} tokens do not fit a cache of {cache.Capacity}", nameof(tokens));

        using var scope = NewDisposeScope();
        var (ids, starts) = (new long[cache.Batch * count], new long[cache.Batch]);
        for (var b = 0; b < cache.Batch; b++)
        {
            // Padding gets token 0; its keys stand behind the sequence's length, where the next step overwrites them.
            for (var t = 0; t < tokens[b].Length; t++) ids[b * count + t] = tokens[b][t];
            starts[b] = cache.Lengths[b];
        }
        var limit = Limit(cache, cache.Lengths.Max() + count);
        Tensor Places(Tensor first) => first + _slotNumbers.narrow(0, 0, count);                            // [B,T]
        var slots = _slotNumbers.narrow(0, 0, limit);
        Tensor[] inputs = [tensor(ids), tensor(starts).view(-1, 1)];
        var chain = TreeStep.IsChain(parents);
        if (!chain)
        {
            var (positions, unseen) = TreeStep.Of(parents!, cache.Lengths, held, count, Places(inputs[1].to(Device)), slots);
            inputs = [.. inputs, positions, unseen];                                                        // [B,T], [B,T,L]
        }
        Tensor[] Step(Tensor[] x)
        {
            var places = Places(x[1]);
            var (hidden, features) = Run(x[0], chain ? places : x[2], cache.Slots(places), chain ? slots > places.unsqueeze(-1) : x[3], limit, cache, featureLayers);
            return featureLayers.Count == 0 ? [hidden] : [hidden, features];
        }
        // Rounds have parents, and are many alike; prompts have none.
        var outputs = parents is null ? Step([.. inputs.Select(x => x.to(Device))]) : cache.Recorded.Do(new WorkKey($"{(chain ? "chain" : "tree")} {string.Join(',', featureLayers)}", count, limit), inputs, Step);
        var (hidden, features) = (outputs[0], outputs[^1]);
        for (var b = 0; b < cache.Batch; b++) cache.Extend(b, tokens[b].Length);
        return (hidden.MoveToOuterDisposeScope(), featureLayers.Count == 0 ? hidden : features.MoveToOuterDisposeScope());
    }

    /// <summary>Hidden states of packed rows, as training needs them: tokens see earlier tokens of their own segment only.</summary>
    /// <param name="cache">Memory of B sequences of at least T tokens; what it held is lost.</param>
    /// <param name="tokens">[B,T], int64.</param>
    /// <param name="positions">Position of each token in its segment, [B,T], int64.</param>
    /// <param name="segments">Number of each token's segment, [B,T], int64.</param>
    /// <param name="featureLayers">Layers whose outputs are wanted beside the hidden states, counted from 0; may be empty.</param>
    /// <returns>Hidden states after the final norm, [B,T,D], and features: these, or the layers' outputs side by side, [B,T,D·layers].</returns>
    public (Tensor Hidden, Tensor Features) Features(KeyValueCache cache, Tensor tokens, Tensor positions, Tensor segments, IReadOnlyList<int> featureLayers)
    {
        using var scope = NewDisposeScope();
        var count = (int)tokens.shape[1];
        cache.Clear();
        var slots = _slotNumbers.narrow(0, 0, count);
        var later = slots.unsqueeze(0) > slots.unsqueeze(1);                                              // [T,T]
        var unseen = (segments.unsqueeze(2) != segments.unsqueeze(1)).logical_or_(later);                 // [B,T,T]
        var (hidden, features) = Run(tokens.view(-1), positions, cache.Slots(slots), unseen, count, cache, featureLayers);
        return (hidden.MoveToOuterDisposeScope(), featureLayers.Count == 0 ? hidden : features.MoveToOuterDisposeScope());
    }

    /// <summary>
    /// Appends a token to every sequence of a batch, with all it needs on the device and nothing read on the host, so that the step can be
    /// captured in a CUDA graph. The cache's lengths stay as they are: the caller keeps count.
    /// </summary>
    /// <param name="cache">Of B sequences.</param>
    /// <param name="ids">[B], int64.</param>
    /// <param name="positions">Where each token stands and its keys go, below the cache's capacity, [B,1], int64.</param>
    /// <param name="limit">Cache slots that attention looks at: above all positions that count, at most the cache's capacity.</param>
    /// <returns>Hidden states after the final norm, [B,D].</returns>
    internal Tensor Step(KeyValueCache cache, Tensor ids, Tensor positions, int limit)
    {
        using var scope = NewDisposeScope();
        var unseen = (_slotNumbers.narrow(0, 0, limit) > positions).unsqueeze(1);                         // [B,1,L]
        return Run(ids, positions, cache.Slots(positions), unseen, limit, cache, []).Hidden.squeeze(1).MoveToOuterDisposeScope();
    }

    /// <summary>How many cache slots attention has to look at for so many tokens: whole buckets, at most the cache's capacity.</summary>
    internal static int Limit(KeyValueCache cache, int tokens) => Limit(cache, tokens, cache.Device.type == DeviceType.CUDA ? GpuBucket : Bucket);

    /// <summary>The same with buckets of another size.</summary>
    internal static int Limit(KeyValueCache cache, int tokens, int bucket) => Math.Min(cache.Capacity, (tokens + bucket - 1) / bucket * bucket);

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

    private (Tensor Hidden, Tensor Features) Run(Tensor ids, Tensor positions, Tensor slots, Tensor unseen, int limit, KeyValueCache cache, IReadOnlyList<int> featureLayers)
    {
        var rows = Embed(ids);                                                                            // [N,D]
        var step = Inputs(positions, slots, unseen, limit);
        Tensor Shaped(Tensor x) => x.view(cache.Batch, -1, x.shape[1]);
        if (featureLayers.Count == 0)
        {
            var hidden = Shaped(_script.Forward(rows, _weights.Layers, step, cache));
            return (hidden, hidden);
        }
        var states = _script.States(rows, _weights.Layers, step, cache);
        return (Shaped(states[^1]), Shaped(cat([.. featureLayers.Select(layer => states[layer])], -1)));
    }

    /// <summary>Cosines and signed sines of rotary positions [B,T]: [B,T,1,headDim] each.</summary>
    internal (Tensor Cos, Tensor Sin) Rotations(Tensor positions) => _rotary.At(positions);

    /// <summary>What the layers of a step need beside the tokens. Slots are given beside the positions, from which they differ in packed rows and trees.</summary>
    /// <param name="positions">[B,T].</param>
    /// <param name="slots">Cache rows of the new tokens, [B·kvHeads·T].</param>
    /// <param name="unseen">Slots that a token does not see, [B or 1,T,limit], or [T,limit].</param>
    /// <param name="limit">Cache slots that attention looks at.</param>
    internal StepInputs Inputs(Tensor positions, Tensor slots, Tensor unseen, int limit)
    {
        var count = positions.shape[1];
        var (cos, sin) = Rotations(positions);
        var group = Config.Heads / Config.KeyValueHeads;
        var mask = zeros(unseen.shape, Dtype, Device).masked_fill_(unseen, double.NegativeInfinity).view(-1, 1, 1, count, limit)
            .expand(-1, 1, group, count, limit).reshape(-1, 1, group * count, limit);
        return new StepInputs(cos, sin, mask, slots, limit);
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
