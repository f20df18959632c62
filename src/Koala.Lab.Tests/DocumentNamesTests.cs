using System.Reflection;
using System.Text.RegularExpressions;
using Koala.Cli;

namespace Koala.Lab.Tests;

/// <summary>What README and docs name in backticks exists: C# types, members and namespaces, and options of the command.</summary>
public sealed partial class DocumentNamesTests
{
    private static readonly Type[] s_types = [.. ((Assembly[])
    [
        typeof(KoalaException).Assembly,
        typeof(KoalaCommand).Assembly,
        typeof(Koala.Kernel.Notebooks.NotebookRunner).Assembly,
        typeof(DocumentNamesTests).Assembly,
        typeof(Microsoft.Data.Analysis.DataFrame).Assembly,
        typeof(Microsoft.DotNet.Interactive.Formatting.DisplayedValue).Assembly,
    ]).SelectMany(assembly => assembly.GetTypes())];

    public static TheoryData<string> Pages =>
        ["README.md", .. Directory.GetFiles(TestFiles.At("docs"), "*.md").Select(file => $"docs/{Path.GetFileName(file)}")];

    [Theory, MemberData(nameof(Pages))]
    public void Every_type_and_member_exists(string page)
    {
        foreach (var name in Quoted(page).Select(text => text.TrimEnd('(', ')')).Where(text => CSharpName().IsMatch(text)))
        {
            var parts = name.Split('.');
            var type = s_types.Where(t => t.Name.Split('`')[0] == parts[0]).ToArray();
            var exists = parts.Length == 1
                ? type.Length > 0 || s_types.Any(t => Has(t, name) || IsPartOfNamespace(t, name))
                : type.Any(t => Has(t, parts[1]));
            Assert.True(exists, $"{page} names {name}");
        }
    }

    [Theory, MemberData(nameof(Pages))]
    public void Every_option_exists(string page)
    {
        var koala = KoalaCommand.Build(new Streams(TextWriter.Null, TextWriter.Null, TextReader.Null, default), []);
        var options = koala.Subcommands.SelectMany(c => c.Subcommands).Concat(koala.Subcommands).Append(koala)
            .SelectMany(c => c.Options)
            .SelectMany(o => (string[])[o.Name, .. o.Aliases])
            .Append(NotebookCommand.NameOption)
            .ToHashSet();
        // The options of dotnet are not Koala's.
        var ofKoala = Quoted(page).Where(text => !text.StartsWith("dotnet ", StringComparison.Ordinal));
        var named = ofKoala.SelectMany(text => Option().Matches(text));
        foreach (Match option in named) Assert.True(options.Contains(option.Value), $"{page} names {option.Value}");
    }

    // docs/architecture.md names the kernel's folders, which are its namespaces.
    private static bool IsPartOfNamespace(Type type, string name) =>
        type.Namespace?.EndsWith($".{name}", StringComparison.Ordinal) == true;

    private static bool Has(Type type, string member) =>
        type.GetMember(member, BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static).Length > 0;

    private static IEnumerable<string> Quoted(string page)
    {
        var text = Block().Replace(File.ReadAllText(TestFiles.At(page.Split('/'))), "");
        return Code().Matches(text).Select(match => match.Groups[1].Value);
    }

    [GeneratedRegex("```.*?```", RegexOptions.Singleline)]
    private static partial Regex Block();

    [GeneratedRegex("`([^`\n]+)`")]
    private static partial Regex Code();

    // One or two words in PascalCase; a word in capitals stands for a value (RUN).
    [GeneratedRegex(@"^[A-Z][a-z][A-Za-z0-9]*(\.[A-Z][A-Za-z0-9]*)?$")]
    private static partial Regex CSharpName();

    [GeneratedRegex(@"(?<![\w-])--[a-z][a-z0-9-]*")]
    private static partial Regex Option();
}
