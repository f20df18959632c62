using System.Security.Cryptography;
using Koala.Lab.Checkpoints;
using Koala.Lab.Runtime;
using Koala.Lab.Runtime.Native;
using Koala.Lab.Text.Chat;
using Koala.Lab.Text.Tokenizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>The model whose output is wanted: a decoder of the Llama family with its tokenizer.</summary>
/// <remarks>B sequences, T new tokens each, D width, V vocabulary. The weights never take gradients.</remarks>
public sealed class Target : IDisposable
{
    // A longer prompt is read in chunks: the attention mask grows with the square of a chunk.
    private const int PrefillChunk = 512;

    // The one value of weights that rounds them.
    private const string EightBits = "int8";

    private readonly Lazy<TargetIdentity> _identity;
    private readonly Lazy<IReadOnlyList<int>> _endIds;
    private bool _disposed;

    private Target(string path, ModelFiles files, Tokenizer tokenizer, ScalarType weightDtype, Device device, string? weights)
    {
        Path = path;
        Name = files.Name;
        Config = files.Config;
        Tokenizer = tokenizer;
        Dtype = device.type == DeviceType.CPU ? ScalarType.Float32 : weightDtype;
        WeightDtype = weightDtype;
        Device = device;
        Weights = weights;
        Model = new TargetModel(files, weightDtype, Dtype, device, weights is not null);
        TargetIdentity Identify(Func<Tensor, Tensor> embed) =>
            new(Name, Config.HiddenSize, Config.VocabularySize, HashOfEmbedding(embed));
        // A head that was made for the target serves it with rounded weights too, so the file's own weights identify it.
        if (weights is not null)
        {
            using var scope = NewDisposeScope();
            var reader = new TargetReader(files, weightDtype);
            var embedding = reader.Read(TargetReader.Embedding, CPU);
            var scale = (float)Config.EmbeddingScale;
            var identity = Identify(ids => embedding.index_select(0, ids).to(ScalarType.Float32) * scale);
            _identity = new Lazy<TargetIdentity>(identity);
        }
        else
        {
            _identity = new Lazy<TargetIdentity>(() => Identify(Model.Embed));
        }
        _endIds = new Lazy<IReadOnlyList<int>>(() =>
        {
            var found = EndOfTurn.Find(Tokenizer).Where(id => id < Config.VocabularySize);
            return [.. Config.EndOfSequenceIds.Union(found).Order()];
        });
    }

    /// <summary>What reports call the target: the name of its folder or file, or org/name in the hub's cache.</summary>
    public string Name { get; }

    /// <summary>The folder or GGUF file it was loaded from.</summary>
    public string Path { get; }

    /// <summary>The model's sizes and switches.</summary>
    public ModelConfig Config { get; }

    /// <summary>The model's tokenizer, with the chat template.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>The dtype of the computation: fp32 on a CPU, that of the weights on a GPU.</summary>
    public ScalarType Dtype { get; }

    /// <summary>
    /// The dtype that the weights were rounded to: fp32 or bf16. On a CPU fp32 means that they are kept as the files store them.
    /// </summary>
    public ScalarType WeightDtype { get; }

    /// <summary>
    /// int8 if the matrices of a step were rounded to codes of 8 bits with a scale for each 32 inputs. Answers are then those of
    /// the rounded target. Null if they are as <see cref="WeightDtype"/> says.
    /// </summary>
    public string? Weights { get; }

    /// <summary>The device on which the target runs.</summary>
    public Device Device { get; }

    /// <summary>What a head made for this target stores about it.</summary>
    public TargetIdentity Identity
    {
        get
        {
            KoalaException.ThrowIfDisposed(_disposed, "the target");
            return _identity.Value;
        }
    }

    /// <summary>The number of weights; a tied embedding counts once.</summary>
    public long Parameters => Model.WeightCount;

    /// <summary>The bytes of all weights as they are kept. A step of one token has to read all of them.</summary>
    public long WeightBytes => Model.WeightBytes;

    /// <summary>
    /// The tokens that end an answer, in ascending order: those of the model's config, the one that the chat template
    /// writes after an answer, and added tokens that are known as such.
    /// </summary>
    public IReadOnlyList<int> EndIds => _endIds.Value;

    /// <summary>The weights and the steps. The target owns this object and disposes it.</summary>
    internal TargetModel Model { get; }

    /// <summary>Loads a Hugging Face folder (config.json, safetensors, tokenizer.json) or a GGUF file.</summary>
    /// <param name="path">The folder or file, or a model's name in the hub's cache (org/name).</param>
    /// <param name="dtype">
    /// fp32 or bf16; null means fp32 on a CPU and bf16 on a GPU. On a GPU this is the dtype of weights and computation. On a CPU the
    /// computation is fp32, with the weights kept as the files store them; bf16 rounds them to 16 bits.
    /// </param>
    /// <param name="device">cpu or cuda.</param>
    /// <param name="weights">
    /// int8 rounds the matrices of a step to codes of 8 bits with a scale for each 32 inputs, on a CPU; see <see cref="Weights"/>. Matrices
    /// that a file holds in codes already stay as they are, unless the dtype is bf16. Null rounds nothing.
    /// </param>
    /// <exception cref="KoalaException">Something in the folder or file, the dtype, the device or the weights is wrong.</exception>
    public static Target Load(string path, string? dtype = null, string device = "cpu", string? weights = null)
    {
        KoalaException.ThrowIfNull(path);
        KoalaException.ThrowIfNull(device);
        if (weights is not (null or EightBits))
            throw KoalaException.ForOption(nameof(Weights),
                $"is '{MessageText.Text(weights)}', but weights are rounded to int8 or not at all", "set it to int8, or leave it out");
        if (weights is not null && device == "cuda")
            throw KoalaException.ForOption(nameof(Weights), "is int8, but only a CPU computes with such weights",
                $"leave it out, or set {new OptionName(nameof(Device))} to cpu");
        LibTorch.EnsureLoaded();
        path = ModelLocation.Find(path).Path;
        var torchDevice = Devices.Parse(device);
        var standard = torchDevice.type == DeviceType.CUDA ? ScalarType.BFloat16 : ScalarType.Float32;
        var scalarType = dtype is null ? standard : Dtypes.Parse(dtype);
        using var files = ModelFiles.Open(path);
        var tokenizer = Tokenizer.Load(path);
        CheckVocabulary(tokenizer, files.Config);
        return new Target(path, files, tokenizer, scalarType, torchDevice, weights);
    }

    /// <summary>
    /// A cache for <paramref name="batch"/> sequences of at most <paramref name="capacity"/> tokens; the context length
    /// is the upper limit.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The batch or the capacity is below 1.</exception>
    public KeyValueCache NewCache(int batch = 1, int? capacity = null)
    {
        KoalaException.ThrowIfDisposed(_disposed, "the target");
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity ?? 1, 1, nameof(capacity));
        return Model.NewCache(batch, capacity);
    }

    /// <summary>Appends tokens to the one sequence of a cache.</summary>
    /// <returns>Hidden states after the final norm, [T,D].</returns>
    /// <exception cref="ArgumentException">
    /// There is no token, an id is not a token of the target, or they do not fit into the cache.
    /// </exception>
    public Tensor Append(KeyValueCache cache, ReadOnlySpan<int> tokens)
    {
        Check(cache);
        if (tokens.IsEmpty) throw new ArgumentException("It has no token.", nameof(tokens));
        using var scope = NewDisposeScope();
        return Prefill(cache, [tokens.ToArray()], []).Hidden[0].MoveToOuterDisposeScope();
    }

    /// <summary>Appends tokens to every sequence of a batch; sequences may differ in how many they get.</summary>
    /// <returns>
    /// Hidden states, [B,T,D] with T the largest count; rows behind a sequence's own count are padding.
    /// </returns>
    /// <exception cref="ArgumentException">
    /// The number of sequences is not the cache's, or they do not fit into it.
    /// </exception>
    public Tensor Append(KeyValueCache cache, IReadOnlyList<int[]> tokens)
    {
        Check(cache);
        return Model.Append(cache, TokenTrees.Chains(tokens), [], 0, capture: false).Hidden;
    }

    /// <summary>Appends a tree of tokens to every sequence of a batch, in one step.</summary>
    /// <remarks>
    /// This is the step of a round. A GPU captures each shape of it the second time it occurs. Rounds have the same few
    /// shapes again and again, so a captured step is used often; prompts come in too many lengths for that.
    /// </remarks>
    /// <param name="cache">
    /// A cache of B sequences. Every token gets the next free slot of its sequence; see
    /// <see cref="KeyValueCache.Compact"/>.
    /// </param>
    /// <param name="trees">
    /// The trees. A token's position is one after its parent's, and it attends to what the cache holds, its ancestors
    /// and itself.
    /// </param>
    /// <param name="featureLayers">
    /// The layers whose outputs are wanted beside the hidden states, counted from 0; may be empty.
    /// </param>
    /// <param name="held">
    /// The number of tokens at the end of the cache that belong to the trees, in every sequence. The parents in the
    /// trees then begin with those of these tokens.
    /// </param>
    /// <returns>A row per token; rows behind a sequence's own tree are padding.</returns>
    /// <exception cref="ArgumentException">
    /// The number of sequences is not the cache's, they do not fit into it, or a token comes before its parent.
    /// </exception>
    public TargetOutput Append(KeyValueCache cache, TokenTrees trees, IReadOnlyList<int> featureLayers, int held = 0)
    {
        Check(cache);
        Check(featureLayers);
        return Model.Append(cache, trees, featureLayers, held, capture: true);
    }

    /// <summary>Reads prompts, a chunk of each per step.</summary>
    /// <param name="cache">A cache of B sequences.</param>
    /// <param name="prompts">
    /// The token ids of each sequence; at least one sequence is not empty, and they may differ in length.
    /// </param>
    /// <param name="featureLayers">
    /// The layers whose outputs are wanted beside the hidden states, counted from 0; may be empty.
    /// </param>
    /// <returns>
    /// A row per token; T is the length of the longest prompt, and rows behind a prompt's own length are padding.
    /// </returns>
    /// <exception cref="ArgumentException">
    /// The number of prompts is not the cache's, or they do not fit into it.
    /// </exception>
    internal TargetOutput Prefill(
        KeyValueCache cache, IReadOnlyList<IReadOnlyList<int>> prompts, IReadOnlyList<int> featureLayers)
    {
        using var scope = NewDisposeScope();
        var steps = new List<TargetOutput>();
        foreach (var chunk in Chunks(prompts))
            steps.Add(Model.Append(cache, TokenTrees.Chains(chunk), featureLayers, 0, capture: false));
        return TargetOutput.Concatenate(steps).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Reads prompts into some sequences of a cache, whose other sequences stay as they are. Only the prompts cost time: they are read in
    /// a cache of their own, which is copied, unless they are all that the cache holds.
    /// </summary>
    /// <param name="cache">A cache of B sequences.</param>
    /// <param name="sequences">G of its sequences, in ascending order. They are replaced.</param>
    /// <param name="prompts">The token ids of each of the G prompts, at least one each.</param>
    /// <param name="featureLayers">
    /// The layers whose outputs are wanted beside the hidden states, counted from 0; may be empty.
    /// </param>
    /// <returns>As that of <see cref="Prefill"/>, with G sequences.</returns>
    /// <exception cref="ArgumentException">The prompts do not fit into the cache.</exception>
    internal TargetOutput PrefillSome(KeyValueCache cache, IReadOnlyList<int> sequences, IReadOnlyList<IReadOnlyList<int>> prompts,
        IReadOnlyList<int> featureLayers)
    {
        if (sequences.Count == cache.Batch)
        {
            cache.Clear();
            return Prefill(cache, prompts, featureLayers);
        }
        using var scope = NewDisposeScope();
        using var own = NewCache(prompts.Count, prompts.Max(prompt => prompt.Count));
        var output = Prefill(own, prompts, featureLayers);
        cache.CopyFrom(own, [.. Enumerable.Range(0, prompts.Count)], sequences);
        return output.MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Reads prompts as <see cref="Prefill"/> does, but keeps only each one's last hidden state, so that many fit into
    /// memory.
    /// </summary>
    /// <param name="cache">A cache of B sequences.</param>
    /// <param name="prompts">The token ids of each sequence, at least one each; they may differ in length.</param>
    /// <returns>The hidden state after the final norm at each prompt's last token, [B,D].</returns>
    /// <exception cref="ArgumentException">
    /// The number of prompts is not the cache's, or they do not fit into it.
    /// </exception>
    internal Tensor PrefillLast(KeyValueCache cache, IReadOnlyList<IReadOnlyList<int>> prompts)
    {
        using var scope = NewDisposeScope();
        var last = zeros(prompts.Count, Config.HiddenSize, Dtype, Device);
        foreach (var chunk in Chunks(prompts))
        {
            using var step = NewDisposeScope();
            var hidden = Append(cache, chunk);                                                            // [B,T,D]
            // The next chunk of a longer prompt overwrites its row.
            int[] read = [.. Enumerable.Range(0, chunk.Length).Where(b => chunk[b].Length > 0)];
            var sequences = tensor(read.Select(b => (long)b).ToArray(), device: Device);
            var rows = tensor(read.Select(b => b * hidden.shape[1] + chunk[b].Length - 1).ToArray(), device: Device);
            last.index_copy_(0, sequences, hidden.flatten(0, 1).index_select(0, rows));
        }
        return last.MoveToOuterDisposeScope();
    }

    /// <summary>
    /// How many tokens of a prompt with <paramref name="tokens"/> tokens left one step of <see cref="Prefill"/> reads.
    /// </summary>
    internal static int ChunkLength(int tokens) => Math.Min(tokens, PrefillChunk);

    private static IEnumerable<int[][]> Chunks(IReadOnlyList<IReadOnlyList<int>> prompts)
    {
        var longest = prompts.Max(prompt => prompt.Count);
        for (var start = 0; start < longest; start += PrefillChunk)
            yield return [.. prompts.Select(prompt => prompt.Skip(start).Take(PrefillChunk).ToArray())];
    }

    /// <summary>
    /// Hidden states of packed rows, as training needs them: tokens see earlier tokens of their own segment only.
    /// </summary>
    /// <param name="cache">A cache of B sequences of at least T tokens, whose contents are lost.</param>
    /// <param name="tokens">The token ids, [B,T], int64.</param>
    /// <param name="positions">The position of each token in its segment, [B,T], int64.</param>
    /// <param name="segments">The number of each token's segment, [B,T], int64.</param>
    /// <param name="featureLayers">
    /// The layers whose outputs are wanted beside the hidden states, counted from 0; may be empty.
    /// </param>
    /// <returns>A row per token.</returns>
    /// <exception cref="ArgumentException">
    /// A tensor is null or has another dtype, device or shape, a token is not one of the target's, or a layer does not exist.
    /// </exception>
    public TargetOutput Features(
        KeyValueCache cache, Tensor tokens, Tensor positions, Tensor segments, IReadOnlyList<int> featureLayers)
    {
        Check(cache);
        Check(featureLayers);
        TensorArgument.Check(tokens, ScalarType.Int64, Device, [cache.Batch, -1], nameof(tokens));
        TensorArgument.Check(positions, ScalarType.Int64, Device, tokens.shape, nameof(positions));
        TensorArgument.Check(segments, ScalarType.Int64, Device, tokens.shape, nameof(segments));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(tokens.shape[1], cache.Capacity, nameof(tokens));
        CheckIds(tokens, nameof(tokens));
        return Model.Features(cache, tokens, positions, segments, featureLayers);
    }

    /// <summary>
    /// The LM head over hidden states: logits [...,V] in the target's dtype. Gradients flow to
    /// <paramref name="hidden"/>.
    /// </summary>
    /// <exception cref="ArgumentException">The tensor is null or has another dtype, device or width.</exception>
    public Tensor Logits(Tensor hidden)
    {
        KoalaException.ThrowIfDisposed(_disposed, "the target");
        TensorArgument.CheckWidth(hidden, Dtype, Device, Config.HiddenSize, nameof(hidden));
        using var scope = NewDisposeScope();
        return Model.Logits(hidden).MoveToOuterDisposeScope();
    }

    /// <summary>Embeddings of tokens, [N,D], from their ids on the device, [N]. No gradients flow.</summary>
    /// <exception cref="ArgumentException">
    /// The tensor is null or has another dtype, device or shape, or an id is not a token of the target.
    /// </exception>
    public Tensor Embed(Tensor ids)
    {
        KoalaException.ThrowIfDisposed(_disposed, "the target");
        TensorArgument.Check(ids, ScalarType.Int64, Device, [-1], nameof(ids));
        CheckIds(ids, nameof(ids));
        return Model.Embed(ids);
    }

    /// <summary>The weights of the LM head, [V,D]. The target owns them: the caller must not dispose them.</summary>
    public Tensor LmHead
    {
        get
        {
            KoalaException.ThrowIfDisposed(_disposed, "the target");
            return Model.Weights.LmHead;
        }
    }

    /// <summary>
    /// The hidden states of one sequence, layer by layer: the embedding, then each layer's output, the last one after
    /// the final norm; [T,D] each.
    /// </summary>
    /// <exception cref="ArgumentException">There is no token, an id is not a token of the target, or they exceed the context.</exception>
    public IReadOnlyList<Tensor> States(IReadOnlyList<int> tokens)
    {
        KoalaException.ThrowIfDisposed(_disposed, "the target");
        TokenIds.Check(tokens, Config.VocabularySize, nameof(tokens));
        if (tokens.Count == 0 || tokens.Count > Config.ContextLength)
            throw new ArgumentException($"It has {tokens.Count} tokens, but 1 to {Config.ContextLength} are expected.", nameof(tokens));
        return Model.States(tokens);
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose()
    {
        _disposed = true;
        Model.Dispose();
    }

    /// <summary>The error for logits or features that are not finite. The weights were checked when they were read.</summary>
    internal KoalaException NotFinite()
    {
        MessageTemplate fix = $"set {new OptionName("Dtype")} to fp32";
        return new KoalaException(Path,
            $"the target computes numbers that are not finite (NaN or infinity) in {Dtypes.Name(Dtype)}, though its weights are finite",
            Dtype == ScalarType.Float32 ? "use another model" : fix);
    }

    private void Check(KeyValueCache cache)
    {
        KoalaException.ThrowIfDisposed(_disposed, "the target");
        ArgumentNullException.ThrowIfNull(cache);
        cache.ThrowIfDisposed();
        if (cache.Keys.Length != Config.Layers || cache.Device.type != Device.type || cache.Keys[0].dtype != Dtype)
            throw new ArgumentException("It is the cache of another target.", nameof(cache));
    }

    private void Check(IReadOnlyList<int> featureLayers)
    {
        ArgumentNullException.ThrowIfNull(featureLayers);
        foreach (var layer in featureLayers)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(layer, nameof(featureLayers));
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(layer, Config.Layers, nameof(featureLayers));
        }
    }

    private void CheckIds(Tensor ids, string name)
    {
        using var scope = NewDisposeScope();
        if (ids.numel() == 0) throw new ArgumentException("It has no token.", name);
        ArgumentOutOfRangeException.ThrowIfNegative(ids.min().item<long>(), name);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(ids.max().item<long>(), Config.VocabularySize, name);
    }

    // Models round their vocabulary up, so a tokenizer may have a few percent fewer tokens. Tokens that someone has
    // added beyond the vocabulary do no harm: the model never says them, and prompts with them are refused.
    private static void CheckVocabulary(Tokenizer tokenizer, ModelConfig config)
    {
        var (own, all) = (tokenizer.UnaddedVocabularySize, tokenizer.VocabularySize);
        if (own > config.VocabularySize || all < 0.95 * config.VocabularySize)
            throw new KoalaException(tokenizer.Source,
                $"knows {all} tokens, but the model's config has {config.VocabularySize}",
                "use this model's own tokenizer");
    }

    // The hash of the embedding in bf16, so that it is the same in both dtypes.
    private string HashOfEmbedding(Func<Tensor, Tensor> embed)
    {
        const int Rows = 4096;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (var start = 0; start < Config.VocabularySize; start += Rows)
        {
            using var scope = NewDisposeScope();
            var ids = arange(start, Math.Min(start + Rows, Config.VocabularySize), ScalarType.Int64, Device);
            hash.AppendData(embed(ids).to(ScalarType.BFloat16).cpu().contiguous().bytes);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset())[..32];
    }
}
