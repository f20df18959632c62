using System.CommandLine;
using System.Reflection;
using System.Text.RegularExpressions;
using Koala.Cli;
using Koala.Lab.Adversary;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.TreeFitting;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Regeneration;
using Koala.Lab.Training;

namespace Koala.Lab.Tests.Cli;

/// <summary>The library names options as in C# code; the command names them as they are typed.</summary>
public sealed partial class OptionNamesTests
{
    /// <summary>The commands that fill options, and the properties that a user of the command cannot set.</summary>
    public static TheoryData<string, object, string[]> Filled => new()
    {
        { "generate", new GenerationOptions(), [] },
        { "generate", new DynamicTree(), [] },
        { "evaluate", new GenerationOptions(), ["Stop"] },
        { "evaluate", new DynamicTree(), [] },
        { "evaluate", new EvaluationOptions(), [] },
        { "evaluate", new MedusaOptions(), [] },
        { "evaluate", new EagleOptions(), ["FusedLayers", "NormBeforeFc", "NormBeforeResidual", "OwnLmHead"] },
        { "train", new TrainingOptions(), [] },
        { "train", new AdversaryOptions(), [] },
        { "train", new LossTerm("kl"), [] },
        { "train", new MedusaOptions(), [] },
        { "train", new EagleOptions(), ["FusedLayers", "NormBeforeFc", "NormBeforeResidual", "OwnLmHead"] },
        { "fit-tree", new TreeFitOptions(), [] },
        { "regenerate", new RegenerationOptions { Prompts = "prompts", Out = "out" }, [] },
        { "regenerate", new GenerationOptions(), ["DraftLength", "ConfidenceThreshold", "Acceptance", "Stop"] },
    };

    private static readonly Command s_koala =
        KoalaCommand.Build(new Streams(TextWriter.Null, TextWriter.Null, TextReader.Null, default), []);

    [Theory, MemberData(nameof(Filled))]
    public void Every_property_that_may_be_refused_has_its_option(string command, object options, string[] notThere)
    {
        var refused = Refusals(options).ToArray();
        Assert.NotEmpty(refused);
        foreach (var (property, option) in refused)
        {
            if (options is not LossTerm) Assert.Equal(property, option.Split('.')[^1]);
            Assert.Equal(notThere.Contains(property), OptionNames.Find(option, CommandOf(command)) is null);
        }
    }

    [Fact]
    public void All_options_of_the_library_are_among_them()
    {
        var types = typeof(KoalaException).Assembly.GetTypes()
            .Where(type => type.Name.EndsWith("Options", StringComparison.Ordinal));
        var checkedTypes = types.Where(type => !type.IsAbstract && type.GetMethod("Validate", Type.EmptyTypes) is not null);
        var filled = Filled.Select(row => row.Data.Item2.GetType()).ToHashSet();
        Assert.All(checkedTypes, type => Assert.Contains(type, filled));
    }

    [Fact]
    public void Every_name_that_a_message_has_is_an_option_of_a_command()
    {
        var named = Sources()
            .SelectMany(file => Named().Matches(file.Text))
            .Select(match => NameOf(match.Groups[1].Value))
            .Distinct()
            .ToArray();
        Assert.True(named.Length > 40, string.Join(", ", named));
        Assert.All(named, name => Assert.Contains(s_koala.Subcommands, command => OptionNames.Find(name, command) is not null));
    }

    [Fact]
    public void The_library_does_not_use_command_line_spellings()
    {
        // Arguments of other programs, and one shell line that says how to get a model.
        string[] others = ["\"--porcelain=v2\", \"--branch\"", "dotnet restore --force", "llama-gguf-split --merge",
            "$\" --revision {name.Revision}\"", "$\"--gpu-architecture=sm_", "\"--std=c++17\"", "\"--fmad=false\""];
        foreach (var (path, text) in Sources())
        {
            var remaining = others.Aggregate(text, (rest, other) => rest.Replace(other, "", StringComparison.Ordinal));
            Assert.DoesNotMatch(Spelling(), $"{path}\n{remaining}");
        }
    }

    [Theory]
    [InlineData("--max-tokens 0", "--max-tokens: is 0, but an answer has at least one token. Fix: set it to 1 or more.")]
    [InlineData("--acceptance typical",
        "--acceptance: is typical, a rule for sampling, but --temperature is 0. Fix: set --temperature to about " +
        "0.7, or leave it out.")]
    public void The_command_names_options_as_they_are_typed(string wrong, string line)
    {
        string[] args = ["generate", "--target", "x", "--prompt", "a", "--head", "h", .. wrong.Split(' ')];
        Assert.Equal(line + "\n", CommandRun.Of(args).Error);
    }

    [Fact]
    public void A_notebook_names_options_as_they_are_written_in_CSharp()
    {
        Assert.Equal("maxTokens: is 0, but an answer has at least one token. Fix: set it to 1 or more.",
            Assert.Throws<KoalaException>(new GenerationOptions { MaxTokens = 0 }.Validate).Message);
        Assert.Equal("acceptance: is typical, a rule for sampling, but temperature is 0. Fix: set temperature to " +
            "about 0.7, or leave it out.",
            Assert.Throws<KoalaException>(new GenerationOptions { Acceptance = AcceptanceMode.Typical }.Validate).Message);
    }

    [Fact]
    public void An_option_that_the_command_does_not_have_keeps_its_CSharp_name()
    {
        Assert.Null(OptionNames.Find("Raw", CommandOf("regenerate")));
        Assert.Equal("--raw", OptionNames.Find("Raw", CommandOf("generate")));
        Assert.Equal("--tree-top-k", OptionNames.Find("Tree.TopK", CommandOf("generate")));
        Assert.Equal("--top-k", OptionNames.Find("TopK", CommandOf("generate")));
        Assert.Equal("--tree-levels", OptionNames.Find("Tree.Levels", CommandOf("generate")));
        Assert.Equal("--loss", OptionNames.Find("Losses", CommandOf("train")));
        Assert.Equal("--medusa-heads", OptionNames.Find("Heads", CommandOf("train")));
        Assert.Equal("--out", OptionNames.Find("RunFolder", CommandOf("train")));
        Assert.Equal("--head", OptionNames.Find("source", CommandOf("fit-tree")));
    }

    private static Command CommandOf(string name) => s_koala.Subcommands.Single(command => command.Name == name);

    // Each property is set to values that some option cannot have. Values that are refused because of a file have no
    // option.
    private static IEnumerable<(string Property, string Option)> Refusals(object options)
    {
        var type = options.GetType();
        var clone = type.GetMethod("<Clone>$", Type.EmptyTypes)!;
        var validate = type.GetMethod("Validate", Type.EmptyTypes)!;
        foreach (var property in type.GetProperties().Where(property => property.SetMethod is not null))
            foreach (var value in Values(property.PropertyType))
            {
                var wrong = clone.Invoke(options, null)!;
                property.SetValue(wrong, value);
                if (RefusedBy(() => validate.Invoke(wrong, null)) is { } option) yield return (property.Name, option);
            }
    }

    private static string? RefusedBy(Action validate)
    {
        try
        {
            validate();
            return null;
        }
        catch (TargetInvocationException e) when (e.InnerException is KoalaException refused)
        {
            return refused.Option;
        }
    }

    private static IEnumerable<object> Values(Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (type == typeof(int)) return [int.MinValue, 0, int.MaxValue];
        if (type == typeof(double)) return [double.NaN, -1.0, double.PositiveInfinity];
        if (type == typeof(bool)) return [true, false];
        if (type == typeof(string)) return [""];
        if (type.IsEnum) return Enum.GetValues(type).Cast<object>();
        if (type == typeof(IReadOnlyList<string>)) return [new[] { "" }];
        if (type == typeof(IReadOnlyList<LossTerm>)) return [Array.Empty<LossTerm>()];
        if (type == typeof(IReadOnlyList<int>)) return [Array.Empty<int>()];
        // Option records, which are in the list above, trees, and limits that the command does not offer.
        Assert.Contains(type, (Type[])
            [typeof(GenerationOptions), typeof(AdversaryOptions), typeof(DraftTree), typeof(DisturbanceLimits), typeof(EagleDecoderSizes)]);
        return [];
    }

    private static IEnumerable<(string Path, string Text)> Sources()
    {
        var files = Directory.GetFiles(TestFiles.At("src", "Koala.Lab"), "*.cs", SearchOption.AllDirectories);
        var obj = $"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}";
        return files.Where(path => !path.Contains(obj, StringComparison.Ordinal))
            .Select(path => (path, File.ReadAllText(path)));
    }

    // The value of nameof(options.Batch), "Device" or $"Tree.{nameof(Levels)}".
    private static string NameOf(string expression)
    {
        var written = NameOfCall().Replace(expression, match => match.Groups[1].Value.Split('.')[^1]);
        return written.Trim('$', '"').Replace("{", "", StringComparison.Ordinal).Replace("}", "", StringComparison.Ordinal);
    }

    // The names that are written where they are used; those in constants and parameters are found through refused
    // values.
    [GeneratedRegex(@"(?:ForOption|new OptionName)\((nameof\([\w.]+\)|""[\w.]+""|\$""[\w.]+\{nameof\(\w+\)\}"")[,)]")]
    private static partial Regex Named();

    [GeneratedRegex(@"nameof\(([\w.]+)\)")]
    private static partial Regex NameOfCall();

    [GeneratedRegex("--[a-z]", RegexOptions.IgnoreCase)]
    private static partial Regex Spelling();
}
