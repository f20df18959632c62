namespace Koala.Lab.Checkpoints.Hub;

/// <summary>
/// The settings of the Hugging Face hub: its address, the user's token and the cache. They come from the environment variables that
/// huggingface_hub reads, with its defaults.
/// </summary>
/// <param name="Cache">
/// The cache's folder: <c>HF_HUB_CACHE</c>, else <c>HF_HOME/hub</c>, else <c>XDG_CACHE_HOME/huggingface/hub</c>, else
/// <c>~/.cache/huggingface/hub</c>.
/// </param>
/// <param name="Endpoint">The hub's address without a final slash: <c>HF_ENDPOINT</c>, else https://huggingface.co.</param>
/// <param name="Token">
/// The user's token: <c>HF_TOKEN</c>, else the contents of the file <c>HF_TOKEN_PATH</c> or <c>HF_HOME/token</c>; null if there is none.
/// </param>
/// <param name="Offline">
/// Whether Koala must not use the network: <c>HF_HUB_OFFLINE</c> or <c>TRANSFORMERS_OFFLINE</c> is 1, on, yes or true.
/// </param>
public sealed record HubSettings(string Cache, string Endpoint, string? Token, bool Offline)
{
    private const string StandardEndpoint = "https://huggingface.co";
    private static readonly string[] s_true = ["1", "ON", "YES", "TRUE"];

    /// <summary>Reads the settings of this process.</summary>
    /// <exception cref="KoalaException">HF_ENDPOINT is not an address, or the token cannot be read.</exception>
    public static HubSettings Read() => Read(Environment.GetEnvironmentVariable);

    /// <param name="variable">Returns the value of an environment variable; null if it is not set.</param>
    internal static HubSettings Read(Func<string, string?> variable)
    {
        // An empty variable counts as not set.
        string? Get(string name) => variable(name) is { Length: > 0 } value ? value : null;
        var user = Get("HOME")
            ?? Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify);
        string Folder(string path) => path == "~" || path.StartsWith("~/", StringComparison.Ordinal) ? user + path[1..] : path;

        var home = Folder(Get("HF_HOME") ?? Path.Combine(Get("XDG_CACHE_HOME") ?? Path.Combine(user, ".cache"), "huggingface"));
        var cache = Folder(Get("HF_HUB_CACHE") ?? Get("HUGGINGFACE_HUB_CACHE") ?? Path.Combine(home, "hub"));
        var tokenFile = Folder(Get("HF_TOKEN_PATH") ?? Path.Combine(home, "token"));
        var token = Get("HF_TOKEN") ?? Get("HUGGING_FACE_HUB_TOKEN") ?? ReadFile(tokenFile);
        var offline = Get("HF_HUB_OFFLINE") ?? Get("TRANSFORMERS_OFFLINE");
        return new HubSettings(
            Path.GetFullPath(cache),
            EndpointOf(Get("HF_ENDPOINT") ?? StandardEndpoint),
            TokenOf(token),
            s_true.Contains(offline?.ToUpperInvariant()));
    }

    /// <summary>Returns the settings without the token, which is a secret.</summary>
    public override string ToString() =>
        $"{Endpoint}, cache {Cache}{(Token is null ? "" : ", with a token")}{(Offline ? ", offline" : "")}";

    private static string EndpointOf(string text)
    {
        var isAddress = Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"
            && uri is { Query: "", Fragment: "", UserInfo: "" };
        return isAddress
            ? text.TrimEnd('/')
            : throw new KoalaException("HF_ENDPOINT",
                $"is '{MessageText.Text(text)}', but an address such as {StandardEndpoint} is expected", "correct it, or unset it");
    }

    private static string? TokenOf(string? text)
    {
        var token = text?.Trim();
        if (string.IsNullOrEmpty(token)) return null;
        // The message does not contain the token, because messages end up in logs.
        return token.AsSpan().ContainsAnyExceptInRange('!', '~')
            ? throw new KoalaException("HF_TOKEN",
                "contains characters that no token has (spaces, control characters or letters outside ASCII)",
                "set it to the token alone; if it is not set, Koala reads the token's file in HF_HOME")
            : token;
    }

    private static string? ReadFile(string path)
    {
        try
        {
            return File.Exists(path) ? File.ReadAllText(path) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(path, $"cannot be read ({e.Message.TrimEnd('.')})",
                "make the token's file readable, or set HF_TOKEN", e);
        }
    }
}
