using Koala.Lab.Decoding;
using Koala.Lab.Drafting;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Regeneration;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests;

/// <summary>
/// Wrong arguments of public members name the argument and are never native exceptions of libtorch: what a first use touches says in one
/// line what is wrong and how to fix it, and tensors, caches and trees throw .NET's exceptions.
/// </summary>
public sealed class ArgumentTests
{
    private static Target Nano => ShippedModels.Nano;

    /// <summary>A name, the parameter at fault, and the call.</summary>
    private static readonly (string Name, string Parameter, Action Call)[] s_wrong =
    [
        ("Append: no token", "tokens", () => WithCache(cache => Nano.Append(cache, ReadOnlySpan<int>.Empty))),
        ("Append: no cache", "cache", () => Nano.Append(null!, [1])),
        ("Append: another target's cache", "cache", () => { using var c = ShippedModels.Mini.NewCache(1, 8); Nano.Append(c, [1]); }),
        ("Append: too many tokens", "trees", () => WithCache(cache => Nano.Append(cache, new int[9]))),
        ("Append: too many sequences", "trees", () => WithCache(cache => Nano.Append(cache, [[1], [2]]))),
        ("Append: null list", "tokens", () => WithCache(cache => Nano.Append(cache, (IReadOnlyList<int[]>)null!))),
        ("Append: parents missing", "trees", () => WithCache(cache => Nano.Append(cache, new TokenTrees([[1, 2]], [[-1]]), []))),
        ("Append: no such layer", "featureLayers", () => WithCache(cache => Nano.Append(cache, TokenTrees.Chains([[1]]), [4]))),
        ("Append: negative layer", "featureLayers", () => WithCache(cache => Nano.Append(cache, TokenTrees.Chains([[1]]), [-1]))),
        ("Append: no layers", "featureLayers", () => WithCache(cache => Nano.Append(cache, TokenTrees.Chains([[1]]), null!))),
        ("NewCache: no sequence", "batch", () => Nano.NewCache(0)),
        ("NewCache: no capacity", "capacity", () => Nano.NewCache(1, 0)),
        ("States: no token", "tokens", () => Nano.States([])),
        ("Logits: null", "hidden", () => Nano.Logits(null!)),
        ("Logits: another width", "hidden", () => Nano.Logits(zeros(2, 63))),
        ("Logits: another dtype", "hidden", () => Nano.Logits(zeros(2, 64, ScalarType.Float64))),
        ("Embed: another dtype", "ids", () => Nano.Embed(zeros(2))),
        ("Embed: another shape", "ids", () => Nano.Embed(zeros(2, 2, ScalarType.Int64))),
        ("Embed: id too large", "ids", () => Nano.Embed(tensor([512L]))),
        ("Embed: null", "ids", () => Nano.Embed(null!)),
        ("Features: another shape", "positions", () => WithCache(cache => Nano.Features(cache, Ids(1, 4), Ids(1, 5), Ids(1, 4), []))),
        ("Features: more rows than sequences", "tokens",
            () => WithCache(cache => Nano.Features(cache, Ids(2, 4), Ids(2, 4), Ids(2, 4), []))),
        ("Features: too long", "tokens", () => WithCache(cache => Nano.Features(cache, Ids(1, 9), Ids(1, 9), Ids(1, 9), []))),
        ("Truncate: no such sequence", "sequence", () => WithCache(cache => cache.Truncate(1, 0))),
        ("Truncate: too long", "length", () => WithCache(cache => cache.Truncate(0, 1))),
        ("Compact: too few sequences", "starts", () => WithCache(cache => cache.Compact([], [[]]))),
        ("Compact: no such token", "accepted", () => WithCache(cache => cache.Compact([0], [[0]]))),
        ("Chains: null", "tokens", () => TokenTrees.Chains(null!)),
    ];

    /// <summary>What a first use touches: a name, where the message says the fault is, and the call.</summary>
    private static readonly (string Name, string Where, Action Call)[] s_refused =
    [
        ("Append: id too large", "trees", () => WithCache(cache => Nano.Append(cache, [512]))),
        ("Append: negative id", "trees", () => WithCache(cache => Nano.Append(cache, [-1]))),
        ("States: id too large", "tokens", () => Nano.States([1, 512])),
        ("States: null", "tokens", () => Nano.States(null!)),
        ("Load: null", "path", () => Target.Load(null!)),
        ("SpeculativeDecoder: null", "target", () => new SpeculativeDecoder(null!)),
        ("Generate: null", "prompt", () => { using var d = new SpeculativeDecoder(Nano); d.Generate(null!); }),
        ("GenerateAll: no prompt", "prompts", () => { using var d = new SpeculativeDecoder(Nano); d.GenerateAll([]); }),
        ("GenerateAll: batch 0", "batch", () => { using var d = new SpeculativeDecoder(Nano); d.GenerateAll([[1]], batch: 0); }),
        ("BatchDecoder: null", "target", () => new BatchDecoder(null!, 1, new GenerationOptions())),
        ("BatchDecoder: null prompt", "prompts",
            () => { using var d = new BatchDecoder(Nano, 1, new GenerationOptions()); d.Run([new BatchPrompt(null!)], _ => { }); }),
        ("DraftModel: null", "model", () => new DraftModel(null!, Nano)),
        ("DraftHead.Create: null options", "options", () => DraftHead.Create(null!, Nano)),
        ("DraftHead.Create: null target", "target", () => DraftHead.Create(new MedusaOptions(), null!)),
        ("DraftHead.Load: null folder", "folder", () => DraftHead.Load(null!, Nano)),
        ("HeadFolder.IsHead: null", "folder", () => HeadFolder.IsHead(null!)),
        ("Append: null sequence", "trees", () => WithCache(cache => Nano.Append(cache, new TokenTrees([null!], [[-1]]), []))),
        ("Generate: id outside the vocabulary", "the prompt", () => { using var d = new SpeculativeDecoder(Nano); d.Generate([512]); }),
        ("GenerateAsync: null", "message", () => { using var d = new SpeculativeDecoder(Nano); d.GenerateAsync(null!); }),
        ("AnswerPieces: null", "chunk", () => new AnswerPieces(Nano.Tokenizer).Append(null!)),
        ("Encode: null", "text", () => Nano.Tokenizer.Encode(null!)),
        ("Decode: null", "ids", () => Nano.Tokenizer.Decode(null!)),
        ("Decode: negative id", "token id", () => Nano.Tokenizer.Decode([-1])),
    ];

    public static TheoryData<string> Wrong => [.. s_wrong.Select(wrong => wrong.Name)];

    [Theory, MemberData(nameof(Wrong))]
    public void A_wrong_argument_is_named(string name)
    {
        using var scope = NewDisposeScope();
        var (_, parameter, call) = s_wrong.Single(wrong => wrong.Name == name);
        Assert.Equal(parameter, Assert.ThrowsAny<ArgumentException>(call).ParamName);
    }

    public static TheoryData<string> Refused => [.. s_refused.Select(refused => refused.Name)];

    [Theory, MemberData(nameof(Refused))]
    public void What_a_first_use_gets_wrong_is_one_line(string name)
    {
        var (_, where, call) = s_refused.Single(refused => refused.Name == name);
        var e = Assert.Throws<KoalaException>(call);
        Assert.Equal(where, e.Where);
        Assert.DoesNotContain('\n', e.Message);
        Assert.Contains(". Fix: ", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_disposed_says_so()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        var target = Target.Load(ChangedModel.Copy(folder.At("m")));
        var cache = target.NewCache(1, 8);
        cache.Dispose();
        foreach (var call in (Action[])[() => target.Append(cache, [1]), cache.Clear, () => cache.Truncate(0, 0)])
            Assert.Throws<ObjectDisposedException>(call);
        cache = target.NewCache(1, 8);
        target.Dispose();
        foreach (var call in (Action[])
            [
                () => target.Append(cache, [1]), () => target.NewCache(), () => target.States([1]), () => target.Logits(zeros(1, 64)),
                () => target.Embed(tensor([1L])), () => _ = target.LmHead, () => _ = target.Identity,
            ])
            Assert.Contains("is disposed", Assert.Throws<KoalaException>(call).Message, StringComparison.Ordinal);
        cache.Dispose();
        var head = DraftHead.Create(new MedusaOptions(), Nano);
        head.Dispose();
        foreach (var call in (Action[])[() => head.Save(folder.At("h"), "card"), () => head.NewDrafter(Nano, 1, 8)])
            Assert.Contains("is disposed", Assert.Throws<KoalaException>(call).Message, StringComparison.Ordinal);
        var decoder = new SpeculativeDecoder(Nano);
        decoder.Dispose();
        Assert.Equal("the decoder: is disposed. Fix: create another one, or dispose it after its last use.",
            Assert.Throws<KoalaException>(() => decoder.Generate([1])).Message);
    }

    private static void WithCache(Action<KeyValueCache> work)
    {
        using var cache = Nano.NewCache(1, 8);
        work(cache);
    }

    private static Tensor Ids(int rows, int length) => zeros(rows, length, ScalarType.Int64);
}
