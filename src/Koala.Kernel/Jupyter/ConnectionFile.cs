using System.Text.Json;
using System.Text.Json.Serialization;

namespace Koala.Kernel.Jupyter;

/// <summary>
/// The addresses at which a kernel listens and the key with which it signs. A port of 0 asks the kernel to choose a
/// port and to write it to the file.
/// </summary>
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
    public string SignatureScheme { get; init; } = Signing.Scheme;

    [JsonIgnore]
    public bool IsReady => ShellPort > 0 && IopubPort > 0 && StdinPort > 0 && ControlPort > 0 && HeartbeatPort > 0;

    /// <exception cref="Koala.Lab.KoalaException">
    /// The file cannot be read, or asks for a transport or a signature that this kernel does not support.
    /// </exception>
    public static ConnectionFile Read(string path)
    {
        ConnectionFile? file;
        try
        {
            file = JsonSerializer.Deserialize<ConnectionFile>(File.ReadAllBytes(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            throw Fault.Create(path, $"is not a connection file ({e.Message.TrimEnd('.')})",
                "let Jupyter start the kernel; it writes the file", e);
        }
        if (file is not { Transport: "tcp" })
        {
            throw Fault.Create(path, $"asks for the transport '{file?.Transport}', but this kernel uses tcp",
                "set c.KernelManager.transport to tcp");
        }
        if (file.SignatureScheme != Signing.Scheme)
        {
            throw Fault.Create(path, $"asks for signatures by '{file.SignatureScheme}', but this kernel uses {Signing.Scheme}",
                "leave signature_scheme as it is");
        }
        return file;
    }

    /// <summary>Writes a file that only its owner can read, because whoever has the key can run code.</summary>
    /// <remarks>
    /// This does not use the library's AtomicFile, because loading the library loads libtorch, and the client waits for
    /// this file.
    /// </remarks>
    public void Write(string path)
    {
        var temporary = path + ".new";
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        using (var file = new FileStream(temporary, options)) JsonSerializer.Serialize(file, this);
        File.Move(temporary, path, overwrite: true);
    }
}
