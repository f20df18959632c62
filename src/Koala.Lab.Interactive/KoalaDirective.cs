using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Koala.Cli;
using Microsoft.DotNet.Interactive;
using Microsoft.DotNet.Interactive.Commands;
using Microsoft.DotNet.Interactive.Events;
using Microsoft.DotNet.Interactive.Formatting;

namespace Koala.Lab.Interactive;

/// <summary>A line <c>#!koala</c> of a cell.</summary>
/// <remarks>
/// .NET Interactive's own parser drops what it does not know, and of an option that is given twice it keeps none. So the command reads the
/// line of the cell itself; the parser only finds it.
/// </remarks>
internal sealed partial class KoalaDirective : KernelCommand
{
    // How many of its lines each cell has run.
    private static readonly ConditionalWeakTable<KernelCommand, StrongBox<int>> s_linesRun = [];

    /// <summary>Runs the command of the line.</summary>
    public async Task RunAsync(KernelInvocationContext context)
    {
        try
        {
            var command = NotebookCommand.Parse(TakeLine());
            // The command may work for long, and this thread serves the kernel.
            var progress = new ProgressDisplay(context);
            using var output = new ContextWriter(context);
            var result = await Task.Run(() => command.Run(output, progress.Show, context.CancellationToken));
            if (result.Fault is not null) context.Fail(this, message: result.Fault);
            else await ShowAsync(command.Variable, result, context);
        }
        catch (KoalaException e)
        {
            context.Fail(this, message: e.Message);
        }
    }

    private string TakeLine()
    {
        var cell = (SubmitCode)Parent!;
        var number = s_linesRun.GetOrCreateValue(cell).Value++;
        return DirectiveLine().Matches(cell.Code)[number].Groups[1].Value;
    }

    private async Task ShowAsync(string? variable, NotebookResult result, KernelInvocationContext context)
    {
        if (variable is not null)
        {
            if (result.Value is null)
                throw new KoalaException("--name", $"is {variable}, but this command has no result", "leave --name out");
            var sent = await context.HandlingKernel.RootKernel.SendAsync(new SendValue(variable, result.Value, null, "csharp"));
            if (sent.Events.OfType<CommandFailed>().FirstOrDefault() is { } failed)
                throw new KoalaException("--name", $"is '{variable}', but {failed.Message}", "write it as --name report");
        }
        if (result is { Value: { } value, IsPrinted: false })
            context.Publish(new ReturnValueProduced(value, this, FormattedValue.CreateManyFromObject(value)));
    }

    [GeneratedRegex(@"^[ \t]*#!koala(?=\s|$)(.*)$", RegexOptions.Multiline)]
    private static partial Regex DirectiveLine();

    private sealed class ProgressDisplay(KernelInvocationContext context)
    {
        private DisplayedValue? _displayed;

        public void Show(string? text)
        {
            if (_displayed is not null) _displayed.Update(text ?? "");
            else if (text is not null) _displayed = KernelInvocationContextExtensions.Display(context, text, PlainTextFormatter.MimeType);
        }
    }
}
