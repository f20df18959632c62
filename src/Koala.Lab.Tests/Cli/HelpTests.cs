using System.CommandLine;
using System.Text.RegularExpressions;
using Koala.Cli;
using Koala.Cli.Help;

namespace Koala.Lab.Tests.Cli;

/// <summary>The help of every command: its groups of options, its optional arguments and its examples.</summary>
public sealed class HelpTests
{
    private static readonly Command s_koala =
        KoalaCommand.Build(new Streams(TextWriter.Null, TextWriter.Null, TextReader.Null, default), []);

    public static TheoryData<string> Names => [.. s_koala.Subcommands.SelectMany(WithSubcommands).Select(CommandName.OfHelp)
        .Select(name => name[(s_koala.Name.Length + 1)..])];

    [Theory, MemberData(nameof(Names))]
    public void Every_command_ends_its_help_with_examples_that_its_parser_takes(string name)
    {
        var command = Find(name);
        var help = CommandRun.Of([.. name.Split(' '), "--help"]).AssertDone().Output;
        var end = help[help.IndexOf("\nExamples:\n", StringComparison.Ordinal)..];
        var examples = end.Split('\n', StringSplitOptions.RemoveEmptyEntries)[1..];
        // The commands of a group have little to choose.
        Assert.InRange(examples.Length, name.Contains(' ', StringComparison.Ordinal) ? 1 : 2, 3);
        Assert.Equal(Examples.Of(command).Count, examples.Length);
        foreach (var example in Examples.Of(command)) Assert.Empty(s_koala.Parse(example.Split(" < ")[0]).Errors);
    }

    [Theory, MemberData(nameof(Names))]
    public void Every_file_that_an_example_reads_is_in_the_clone(string name)
    {
        foreach (var example in Examples.Of(Find(name)))
            foreach (Match path in Regex.Matches(example, "(checkpoints|data|notebooks)/[^ ]+"))
                Assert.True(Path.Exists(TestFiles.At(path.Value.Split('/'))), path.Value);
    }

    /// <summary>The quick ones that need neither network nor notebooks; the others are too long for a test.</summary>
    [Theory, InlineData("inspect"), InlineData("tokenize"), InlineData("generate")]
    public void Quick_examples_work(string name)
    {
        foreach (var example in Examples.Of(Find(name)))
        {
            var words = Regex.Matches(example.Split(" < ")[0], "\"([^\"]*)\"|[^ ]+")
                .Select(match => match.Groups[1].Success ? match.Groups[1].Value : match.Value);
            var paths = words.Select(word => Regex.IsMatch(word, "^(checkpoints|data)/") ? TestFiles.At(word.Split('/')) : word);
            string[] shorter = name == "generate" ? ["--max-tokens", "4"] : [];
            Assert.NotEqual("", CommandRun.WithInput("A text.\n", [.. paths, .. shorter]).AssertDone().Output);
        }
    }

    [Theory]
    [InlineData("train", "Model,Head,Data,Recipe,Adversary,Output")]
    [InlineData("generate", "Model,Drafter,Prompts,Answers,Draft tree,Output")]
    [InlineData("evaluate", "Model,Drafter,Prompts,Answers,Draft tree,Measurement,Untrained head,Output")]
    public void The_many_options_of_a_command_are_in_groups(string name, string headings)
    {
        var help = CommandRun.Of(name, "--help").AssertDone().Output;
        var found = Regex.Matches(help, @"^([A-Z][a-z ]+):$", RegexOptions.Multiline).Select(match => match.Groups[1].Value);
        Assert.Equal(["Description", "Usage", .. headings.Split(','), "Examples"], found);
        // No option is lost, and none stands under the heading of another group.
        var command = Find(name);
        var listed = Regex.Matches(help, @"^  (--[a-z0-9-]+)", RegexOptions.Multiline).Select(match => match.Groups[1].Value);
        Assert.Equal(command.Options.Select(option => option.Name), listed);
    }

    [Theory]
    [InlineData("pull --help", "koala pull <REPO> [FILE] [options]")]
    [InlineData("pull --help", "  [FILE]  One file")]
    [InlineData("lab --help", "koala lab [PATH] [-- OPTIONS] [options]")]
    [InlineData("inspect --help", "koala inspect <PATH> [options]")]
    [InlineData("--help", "  pull <REPO> [FILE] ")]
    [InlineData("--help", "  lab [PATH] ")]
    public void An_optional_argument_stands_in_brackets(string line, string words) =>
        Assert.Contains(words, CommandRun.Of(line.Split(' ')).AssertDone().Output, StringComparison.Ordinal);

    private static Command Find(string name) =>
        name.Split(' ').Aggregate((Command)s_koala, (parent, word) => parent.Subcommands.Single(c => c.Name == word));

    private static IEnumerable<Command> WithSubcommands(Command command) =>
        [command, .. command.Subcommands.SelectMany(WithSubcommands)];
}
