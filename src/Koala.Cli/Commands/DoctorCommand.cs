using System.CommandLine;
using Koala.Cli.Options;
using Koala.Lab.Runtime.Machine;

namespace Koala.Cli.Commands;

/// <summary><c>koala doctor</c>: says what this machine can do, and how to fix what is missing.</summary>
internal static class DoctorCommand
{
    public static Command Create(Streams streams)
    {
        var json = SharedOptions.Json();
        var command = new Command("doctor", "Say what this machine can do, and how to fix what is missing.") { json };
        command.SetAction(result => Run(streams, result.GetValue(json)));
        return command;
    }

    private static int Run(Streams streams, bool json)
    {
        var report = Doctor.Examine();
        streams.WriteResult(report, json);
        return report.Findings.Any(finding => finding.Level == FindingLevel.Error) ? ExitCodes.CheckFailed : ExitCodes.Done;
    }
}
