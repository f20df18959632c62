using Koala.Lab.Evaluation.Gates;

namespace Koala.Lab.Tests.Cli;

/// <summary>The heads in the repository keep the acceptance that their gates hold, and lose nothing.</summary>
public sealed class ShippedGatesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string> Heads =>
        [.. Directory.GetDirectories(TestFiles.At("checkpoints"), "*-k?").Select(folder => Path.GetFileName(folder)).Order()];

    [Theory, MemberData(nameof(Heads))]
    public void A_shipped_head_passes_its_gate(string head)
    {
        var (gate, report) = (Path.Combine(ShippedModels.Folder(head), "gate.json"), _folder.At("report.json"));
        // The command is typed in the root of the repository, and tests run elsewhere.
        string[] command = [.. Gate.Load(gate).Command!.Select(word => Path.Exists(TestFiles.At(word)) ? TestFiles.At(word) : word)];
        CommandRun.Of([.. command, "--out", report]);
        var checkedGate = CommandRun.Of("gate", gate, "--report", report);
        Assert.True(checkedGate.ExitCode == 0, checkedGate.Output + checkedGate.Error);
        Assert.Contains("all 2 thresholds passed", checkedGate.Output, StringComparison.Ordinal);
    }
}
