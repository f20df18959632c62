using Koala.Lab.Targets;

namespace Koala.Lab.Tests;

/// <summary>The targets that ship with the repository, loaded once for all tests.</summary>
internal static class ShippedModels
{
    private static readonly Lazy<Target> s_nano = new(() => Target.Load(Folder("koala-nano")));
    private static readonly Lazy<Target> s_mini = new(() => Target.Load(Folder("koala-mini")));

    public static Target Nano => s_nano.Value;

    public static Target Mini => s_mini.Value;

    public static Target Of(string name) => name == "koala-nano" ? Nano : Mini;

    public static string Folder(string name) => TestFiles.At("checkpoints", name);
}
