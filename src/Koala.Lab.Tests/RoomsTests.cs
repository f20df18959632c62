using System.Text.RegularExpressions;

namespace Koala.Lab.Tests;

/// <summary>The order of the rooms in docs/architecture.md: a room uses only rooms above it.</summary>
public sealed partial class RoomsTests
{
    private static readonly string[] s_rooms =
        ["Runtime", "Runs", "Checkpoints", "Text", "Data", "Kernels", "Targets", "Drafting", "Heads", "Decoding", "Regeneration",
            "Adversary", "Training", "Evaluation", "Results", "Sweeps", "Charts"];

    [Fact]
    public void A_room_uses_only_rooms_above_it()
    {
        var wrong = new List<string>();
        foreach (var (room, at) in s_rooms.Select((room, i) => (room, i)))
            foreach (var file in Directory.GetFiles(TestFiles.At("src", "Koala.Lab", room), "*.cs",
                SearchOption.AllDirectories))
                foreach (Match use in Use().Matches(File.ReadAllText(file)))
                    if (Array.IndexOf(s_rooms, use.Groups[1].Value) > at)
                        wrong.Add($"{room}/{Path.GetFileName(file)} uses {use.Groups[1].Value}");
        Assert.Empty(wrong);
    }

    [Fact]
    public void The_rooms_are_those_of_the_library_and_of_its_description()
    {
        var folders = Directory.GetDirectories(TestFiles.At("src", "Koala.Lab"))
            .Select(path => Path.GetFileName(path))
            .Where(name => name is not ("bin" or "obj" or "Package"));
        Assert.Equal(s_rooms.Order(), folders.Order());
        var described = Row()
            .Matches(File.ReadAllText(TestFiles.At("docs", "architecture.md")))
            .Select(m => m.Groups[1].Value)
            .Where(s_rooms.Contains);
        Assert.Equal(s_rooms, described);
    }

    [GeneratedRegex(@"^using (?:static )?Koala\.Lab\.(\w+)", RegexOptions.Multiline)]
    private static partial Regex Use();

    [GeneratedRegex(@"^\| (\w+) \|", RegexOptions.Multiline)]
    private static partial Regex Row();
}
