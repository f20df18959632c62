using System.Text.Json;
using System.Text.Json.Serialization;

namespace Koala.Kernel.Jupyter;

/// <summary>Where a kernel listens and what it signs with. A port of 0 asks the kernel to choose one and to write it back.</summary>
internal sealed record ConnectionFile
{
    [JsonPropertyName("shell_port")]
    public required int ShellPort { get; init; }

    [JsonPropertyName("iopub_port")]
    public required int IopubPort { get; init; }

    [JsonPropertyName("stdin_port")]
    public required int StdinPort { get; init; }

    [JsonPropertyName("control_port")]
    public required int ControlPort { get; init; }

    [JsonPropertyName("hb_port")]
    public required int HeartbeatPort { get; init; }

    [JsonPropertyName("ip")]
    public required string Ip { get; init; }

    [JsonPropertyName("key")]
    public required string Key { get; init; }

    [JsonPropertyName("transport")]
    public required string Transport { get; init; }

    [JsonPropertyName("signature_scheme")]
    public string SignatureScheme { get; init; } = "hmac-sha256";

    [JsonIgnore]
    public bool IsReady => ShellPort > 0 && IopubPort > 0 && StdinPort > 0 && ControlPort > 0 && HeartbeatPort > 0;

    /// <exception cref="Koala.Lab.KoalaException">It cannot be read, or asks for what this kernel does not do.</exception>
    public static ConnectionFile Read(string path)
    {
        ConnectionFile? file;
        try
        {
            file = JsonSerializer.Deserialize<ConnectionFile>(File.ReadAllBytes(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            throw Fault.Create(path, $"is no connection file ({e.Message.TrimEnd('.')})", "let Jupyter start the kernel; it writes the file", e);
        }
        if (file is not { Transport: "tcp" }) throw Fault.Create(path, $"asks for the transport '{file?.Transport}', but this kernel speaks tcp", "set c.KernelManager.transport to tcp");
        if (file.SignatureScheme != "hmac-sha256") throw Fault.Create(path, $"asks for signatures by '{file.SignatureScheme}', but this kernel signs by hmac-sha256", "leave signature_scheme as it is");
        return file;
    }

    /// <summary>Writes it so that only its owner reads it: who has the key runs code.</summary>
    /// <remarks>Not through the library's AtomicFile, whose assembly loads libtorch: the client waits for this file.</remarks>
    public void Write(string path)
    {
        var temporary = path + ".new";
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        using (var file = new FileStream(temporary, options)) JsonSerializer.Serialize(file, this);
        File.Move(temporary, path, overwrite: true);
    }
}
