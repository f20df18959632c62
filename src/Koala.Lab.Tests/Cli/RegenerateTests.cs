using System.Diagnostics;
using Koala.Cli;

namespace Koala.Lab.Tests.Cli;

public sealed class RegenerateTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Chats_are_written_in_order_and_printed_as_they_end()
    {
        var run = CommandRun.Of([.. Line("chats.jsonl.gz"), "--json"]).AssertDone();
        var file = Koala.Lab.Data.Conversations.Load(_folder.At("chats.jsonl.gz"));
        Assert.Equal(Enumerable.Range(0, 30).Select(i => $"q{i}"), file.Select(c => c.Id));
        Assert.Equal(file.Select(c => c.Id).Order(),
            run.Lines.Select(l => CommandRun.Parse(l).GetProperty("id").GetString()!).Order());
        Assert.Contains("answers 30/30", run.Error, StringComparison.Ordinal);
        Assert.Contains("30 chats with 30 answers", run.Error, StringComparison.Ordinal);

        var quiet = CommandRun.Of([.. Line("quiet.jsonl"), "--quiet"]).AssertDone();
        Assert.Equal("", quiet.Error);
        Assert.StartsWith(_folder.At("quiet.jsonl"), Assert.Single(quiet.Lines), StringComparison.Ordinal);
        CommandRun.Of(Line("quiet.jsonl")).AssertRefused("quiet.jsonl", "exists already");
    }

    [Fact]
    public void Interrupted_it_says_how_to_go_on()
    {
        CommandRun.Of([.. Line("whole.jsonl")]).AssertDone();
        var stopped = CommandRun.Interrupted("answers 4/30", Line("chats.jsonl"));
        Assert.Equal(130, stopped.ExitCode);
        Assert.Matches(@"interrupted: \d+ of 30 answers are saved in .*chats\.jsonl\.part\. Go on with the same " +
            "command and --resume",
            stopped.Error);
        CommandRun.Of(Line("chats.jsonl")).AssertRefused("chats.jsonl.part", "--resume");
        CommandRun.Of([.. Line("chats.jsonl"), "--resume", "--seed", "9"]).AssertRefused("--seed 0", "9");
        CommandRun.Of([.. Line("chats.jsonl"), "--resume"]).AssertDone();
        Assert.Equal(File.ReadAllText(_folder.At("whole.jsonl")), File.ReadAllText(_folder.At("chats.jsonl")));
    }

    [Fact]
    public void A_killed_run_continues_too()
    {
        CommandRun.Of([.. Line("whole.jsonl")]).AssertDone();
        var part = _folder.At("chats.jsonl.part");
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
            ["exec", typeof(KoalaCommand).Assembly.Location, .. Line("chats.jsonl")])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        // The first line of progress is printed when answers are in the file.
        Assert.StartsWith("answers ", process.StandardError.ReadLine(), StringComparison.Ordinal);
        process.Kill();
        process.WaitForExit();
        if (File.Exists(part)) CommandRun.Of([.. Line("chats.jsonl"), "--resume"]).AssertDone();
        Assert.Equal(File.ReadAllText(_folder.At("whole.jsonl")), File.ReadAllText(_folder.At("chats.jsonl")));
    }

    [Fact]
    public void Wrong_arguments_are_one_line()
    {
        CommandRun.Of("regenerate", "--target", "a", "--prompts", "b").AssertRefused("--out FILE is missing");
        CommandRun.Of([.. Line("a.jsonl"), "--batch", "0"]).AssertRefused("--batch");
        CommandRun.Of([.. Line("a.jsonl"), "--draft-length", "2"]).AssertRefused("--draft-length");
        CommandRun.Of([.. Line("a.jsonl"), "--resume"]).AssertRefused("a.jsonl.part", "nothing to resume");
        CommandRun.Of([.. Line("a.jsonl"), "--limit", "0"]).AssertRefused("--limit");
    }

    private string[] Line(string name)
    {
        var prompts = _folder.At("prompts.jsonl");
        if (!File.Exists(prompts))
            File.WriteAllLines(prompts,
                Enumerable.Range(0, 30).Select(i => $$"""{"id":"q{{i}}","prompt":"Say {{i}}."}"""));
        return ["regenerate", "--target", ShippedModels.Folder("koala-nano"), "--prompts", prompts, "--out",
            _folder.At(name), "--batch", "4", "--max-tokens", "12"];
    }
}
