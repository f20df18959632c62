namespace Koala.Lab.Tests.Checkpoints.Hub;

/// <summary>
/// Sets the environment variables of the hub during a test and unsets those that are not named. Tests run one at a
/// time.
/// </summary>
internal sealed class EnvironmentScope : IDisposable
{
    private static readonly string[] s_names =
        ["HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_ENDPOINT", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN",
            "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"];

    private readonly Dictionary<string, string?> _before =
        s_names.ToDictionary(name => name, Environment.GetEnvironmentVariable);

    public EnvironmentScope(params (string Name, string Value)[] variables)
    {
        foreach (var name in s_names)
            Environment.SetEnvironmentVariable(name, variables.FirstOrDefault(v => v.Name == name).Value);
    }

    public void Dispose()
    {
        foreach (var (name, value) in _before) Environment.SetEnvironmentVariable(name, value);
    }
}
