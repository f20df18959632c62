using System.Security.Cryptography;

namespace Koala.Lab.Tests.Cli;

/// <summary>A training run of the command that tests disturb, and what it has to end as.</summary>
/// <param name="Head">The kind of head.</param>
/// <param name="Adversary">Whether the run has an adversary and a control.</param>
/// <param name="Shipped">Whether the run is trained on the chats that ship with Koala; otherwise on a few of them.</param>
/// <param name="Threads">The number of threads.</param>
/// <param name="Layers">The number of layers of the head.</param>
internal sealed record DisturbedTraining(string Head, bool Adversary, bool Shipped, int Threads, int Layers)
{
    private const int FewChats = 400;

    /// <summary>All runs that differ in the five; there are 32.</summary>
    public static IReadOnlyList<DisturbedTraining> All { get; } =
    [
        .. from head in (string[])["medusa", "eagle"]
           from layers in (int[])[1, 2]
           from adversary in (bool[])[false, true]
           from shipped in (bool[])[false, true]
           from threads in (int[])[1, 2]
           select new DisturbedTraining(head, adversary, shipped, threads, layers),
    ];

    /// <summary>
    /// The arguments that start the run in a folder, or continue it there if it has a record. That is all that a user has to know.
    /// </summary>
    /// <param name="run">The folder of the run.</param>
    /// <param name="few">The file that <see cref="WriteFewChats"/> wrote.</param>
    public string[] Arguments(string run, string few)
    {
        if (File.Exists(Path.Combine(run, "run.json"))) return ["train", "--resume", run, "--quiet"];
        var data = Shipped ? TestFiles.At("data", "chats-validation.jsonl.gz") : few;
        string[] adversary = Adversary ? ["--adversary-weight", "0.1", "--with-controls", "none"] : [];
        return ["train", "--target", ShippedModels.Folder("koala-nano"), "--head", Head, "--layers", $"{Layers}",
            "--data", data, "--validation", few, "--steps", "24", "--save-every", "3", "--batch", "2", "--row-length", "128",
            "--threads", $"{Threads}", "--out", run, "--quiet", .. adversary];
    }

    /// <summary>Writes a file of some of the chats that ship with Koala.</summary>
    public static void WriteFewChats(string file)
    {
        var chats = TestFiles.Unpacked("data", "chats-validation.jsonl.gz").Split('\n');
        File.WriteAllLines(file, chats.Take(FewChats));
    }

    /// <summary>The SHA-256 of the weights of a finished run's head, and of its control's.</summary>
    public static string WeightsOf(string run) => string.Join(' ', Directory
        .GetFiles(run, "model.safetensors", SearchOption.AllDirectories)
        .Order(StringComparer.Ordinal)
        .Select(file => $"{Path.GetRelativePath(run, file)} {Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file)))}"));

    /// <summary>Asserts that nothing temporary is left in folders.</summary>
    public static void AssertNothingIsLeft(params string[] folders) => Assert.All(folders, folder =>
        Assert.Empty(Directory.GetFileSystemEntries(folder, "*.tmp", SearchOption.AllDirectories)));
}
