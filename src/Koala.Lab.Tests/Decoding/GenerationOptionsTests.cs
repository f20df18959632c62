using Koala.Lab.Decoding;

namespace Koala.Lab.Tests.Decoding;

/// <summary>A value out of range is refused with the name of its option.</summary>
public sealed class GenerationOptionsTests
{
    public static TheoryData<GenerationOptions, string> Faults => new()
    {
        { new() { MaxTokens = 0 }, "maxTokens" },
        { new() { MaxTokens = -1 }, "maxTokens" },
        { new() { Temperature = -0.1 }, "temperature" },
        { new() { Temperature = double.NaN }, "temperature" },
        { new() { Temperature = double.PositiveInfinity }, "temperature" },
        { new() { TopK = -1 }, "topK" },
        { new() { TopP = 0 }, "topP" },
        { new() { TopP = 1.01 }, "topP" },
        { new() { TopP = double.NaN }, "topP" },
        { new() { DraftLength = -1 }, "draftLength" },
        { new() { DraftLength = 5 }, "draftLength" },
        { new() { Stop = ["a", ""] }, "stop" },
    };

    [Theory, MemberData(nameof(Faults))]
    public void Values_out_of_range_are_refused_by_name(GenerationOptions options, string name)
    {
        using var head = PlainDecoding.RecordedHead();   // drafts 4
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        Assert.Equal(name, Assert.Throws<KoalaException>(() => decoder.Generate([1], options)).Where);
    }

    [Fact]
    public void The_ends_of_the_ranges_are_allowed()
    {
        using var head = PlainDecoding.RecordedHead();
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        foreach (var options in (GenerationOptions[])[new() { MaxTokens = 1 }, new() { MaxTokens = 2, DraftLength = 4 },
            new() { MaxTokens = 2, DraftLength = 0 },
            new() { MaxTokens = 2, Temperature = 1, TopK = 1, TopP = 1 }])
            Assert.Equal(options.MaxTokens, decoder.Generate(Golden.Prompts("koala-nano")[0].Ids, options).Tokens.Count);
    }
}
