using System.Text.RegularExpressions;
using Koala.Kernel.Scripting;
using Koala.Lab.Runtime.Files;

namespace Koala.Kernel;

/// <summary>
/// Runs <c>#!value</c> and <c>#!share</c>. In .NET Interactive the first keeps a text in a kernel of its own and the second brings values
/// from one kernel to another. Here C# is the only kernel, so a value is a variable of C# at once.
/// </summary>
internal sealed partial class ValueCells(CSharpSession session)
{
    private const string Name = "--name";
    private const string FromFile = "--from-file";
    private const string From = "--from";
    private const string As = "--as";
    private const long MaxBytes = 64L << 20;

    // The kernels of .NET Interactive whose values are variables of C# here.
    private static readonly string[] s_here = ["csharp", "value"];

    /// <summary>Gives a text to a variable.</summary>
    /// <param name="line">What follows <c>#!value</c>: the name, and the file if the text is one's.</param>
    /// <param name="content">The lines of the cell after the directive.</param>
    /// <param name="number">The execution count of the cell.</param>
    /// <param name="cancel">A token that is cancelled when the cell is interrupted.</param>
    /// <exception cref="Koala.Lab.KoalaException">The line is not valid, or the file cannot be read.</exception>
    public async Task<CSharpOutcome> ValueAsync(string line, string content, int number, CancellationToken cancel)
    {
        var options = Read("#!value", line, [Name, FromFile]);
        if (!options.TryGetValue(Name, out var name))
            throw Fault.Create("#!value", "has no name", $"write it as #!value {Name} text, with the text in the lines below");
        VariableName.Check(Name, name);
        var hasFile = options.TryGetValue(FromFile, out var file);
        if (hasFile && content.Length > 0)
            throw Fault.Create("#!value", $"has a file and lines below it, but {name} gets one text", $"leave {FromFile} or the lines out");
        var text = hasFile ? InputFile.ReadText(file!, MaxBytes) : content;
        return new CSharpOutcome(false, null, await session.AssignAsync(name, text, number, cancel));
    }

    /// <summary>Gives a variable a second name, or accepts that it is there already.</summary>
    /// <param name="line">What follows <c>#!share</c>: the variable, the kernel that it comes from, and perhaps its new name.</param>
    /// <param name="number">The execution count of the cell.</param>
    /// <param name="cancel">A token that is cancelled when the cell is interrupted.</param>
    /// <exception cref="Koala.Lab.KoalaException">
    /// The line is not valid, it names another kernel, or there is no such variable.
    /// </exception>
    public async Task<CSharpOutcome> ShareAsync(string line, int number, CancellationToken cancel)
    {
        var options = Read("#!share", line, [Name, From, As]);
        if (!options.TryGetValue(Name, out var name))
            throw Fault.Create("#!share", "names no variable", "write it as #!share report --from value");
        if (options.TryGetValue(From, out var kernel) && !s_here.Contains(kernel))
        {
            throw Fault.Create("#!share",
                $"takes {Excerpt.Of(name)} from the kernel '{Excerpt.Of(kernel)}', but Koala's kernel runs C# alone",
                "make the variable in C#, or choose the kernel .NET Interactive");
        }
        if (session.Variables.All(variable => variable.Name != name))
            throw Fault.Create("#!share", $"there is no variable '{Excerpt.Of(name)}'", "run the cell that makes it first");
        if (!options.TryGetValue(As, out var alias)) return new CSharpOutcome(false, null, null);
        VariableName.Check(As, alias);
        return await session.RunAsync($"var {alias} = {name};", number, cancel);
    }

    // A word without an option is the name, as in .NET Interactive.
    private static Dictionary<string, string> Read(string directive, string line, string[] known)
    {
        var words = Word().Matches(line).Select(word => word.Groups[1].Success ? word.Groups[1].Value : word.Value).ToArray();
        var options = new Dictionary<string, string>();
        for (var i = 0; i < words.Length; i++)
        {
            var isOption = words[i].StartsWith('-');
            if (isOption && !known.Contains(words[i]))
            {
                throw Fault.Create(directive, $"'{Excerpt.Of(words[i])}' is not an option in Koala's kernel",
                    $"use {string.Join(", ", known)}");
            }
            if (isOption && i + 1 == words.Length) throw Fault.Create(directive, $"{words[i]} has no value", "write one after it");
            var (option, value) = isOption ? (words[i], words[++i]) : (Name, words[i]);
            if (!options.TryAdd(option, value))
            {
                throw Fault.Create(directive, $"has two values of {option}, {Excerpt.Of(options[option])} and {Excerpt.Of(value)}",
                    "give one");
            }
        }
        return options;
    }

    [GeneratedRegex("\"([^\"]*)\"|\\S+")]
    private static partial Regex Word();
}
