using System.CommandLine;
using System.CommandLine.Completions;
using Koala.Cli;
using Microsoft.DotNet.Interactive.Directives;

namespace Koala.Lab.Interactive;

/// <summary>Describes <c>#!koala</c> with its commands and their options for .NET Interactive, which completes them.</summary>
internal static class DirectiveDescription
{
    public static KernelActionDirective Create()
    {
        var directive = New("#!koala", "Runs a command of Koala, whose result is the value of the cell.");
        foreach (var option in (string[])["--help", "--version"]) directive.Parameters.Add(new(option, null) { Flag = true });
        foreach (var command in KoalaCommand.ForNotebooks().Subcommands) directive.Subcommands.Add(OfCommand(command));
        return directive;
    }

    private static KernelActionDirective OfCommand(Command command)
    {
        var directive = New(command.Name, command.Description ?? "");
        foreach (var option in command.Options) directive.Parameters.Add(OfOption(option));
        directive.Parameters.Add(new("--name", "The variable that gets the result."));
        return directive;
    }

    private static KernelDirectiveParameter OfOption(Option option)
    {
        var parameter = new KernelDirectiveParameter(option.Name, option.Description) { Flag = option.Arity.MaximumNumberOfValues == 0 };
        parameter.AddCompletions(() => option
            .GetCompletions(CompletionContext.Empty).Select(item => item.Label));
        return parameter;
    }

    private static KernelActionDirective New(string name, string description) =>
        new(name, description) { KernelCommandType = typeof(KoalaDirective) };
}
