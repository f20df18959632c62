using System.CommandLine;
using Koala.Cli.Options;
using Koala.Lab.Evaluation;

namespace Koala.Cli.Commands;

/// <summary><c>koala cost</c>: what answers cost with and without heads, from saved reports.</summary>
internal sealed class CostCommand
{
    private readonly Streams _streams;
    private readonly Argument<string[]> _reports = SharedOptions.PathsArgument("reports",
        "Reports of koala evaluate --out, or folders of training runs, whose newest report is taken.");
    private readonly Option<double?> _rate = SharedOptions.OptionalNumber("--rate", "The price of an hour of the device.");
    private readonly Option<double?> _trainingRate = SharedOptions.OptionalNumber("--training-rate",
        "The price of an hour of the device that trained the heads. Default: that of --rate.");
    private readonly Option<string?> _currency = SharedOptions.Text("--currency", "NAME", "The currency. Default: USD.");
    private readonly Option<bool> _json = SharedOptions.Json();

    private CostCommand(Streams streams) => _streams = streams;

    public static Command Create(Streams streams)
    {
        var self = new CostCommand(streams);
        var command = new Command("cost",
            "Compute what a million tokens cost with each head and without one, and after how many tokens a head has paid for its "
            + "training.");
        self._rate.Required = true;
        command.Arguments.Add(self._reports);
        command.AddOptions(self._rate, self._trainingRate, self._currency, self._json);
        command.SetAction(self.Run);
        return command;
    }

    private int Run(ParseResult result)
    {
        var (rate, trainingRate, currency) =
            (result.GetValue(_rate)!.Value, result.GetValue(_trainingRate), result.GetValue(_currency) ?? "USD");
        var report = CostReport.Create(result.GetValue(_reports)!, rate, trainingRate, currency);
        _streams.WriteResult(report, result.GetValue(_json));
        return ExitCodes.Done;
    }
}
