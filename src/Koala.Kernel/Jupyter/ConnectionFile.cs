using System.Text.Json;
using System.Text.Json.Serialization;

namespace Koala.Kernel.Jupyter;

/// <summary>
/// The addresses at which a kernel listens and the key with which it signs. A port of 0 asks the kernel to choose a
/// port and to write it to the file.
/// </summary>
internal sealed record ConnectionFile
{
    private const long MaxBytes = 1 << 20;

    private static readonly JsonSerializerOptions s_options = new() { RespectNullableAnnotations = true };

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
    /// The file cannot be read, or asks for a transport, a signature or an address that this kernel does not support.
    /// </exception>
    public static ConnectionFile Read(string path)
    {
        ConnectionFile file;
        try
        {
            // A pipe or a device has no length, and opening it could wait for ever.
            if (new FileInfo(path).Length is 0 or > MaxBytes) throw new JsonException("it is empty, too large, or not a regular file");
            file = StrictJson.Parse(File.ReadAllBytes(path)).Deserialize<ConnectionFile>(s_options)
                ?? throw new JsonException("it is null");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            throw Fault.Create(path, $"is not a connection file ({Excerpt.Of(e.Message.TrimEnd('.'))})",
                "let Jupyter start the kernel; it writes the file", e);
        }
        if (file.Transport != "tcp")
        {
            throw Fault.Create(path, $"asks for the transport '{Excerpt.Of(file.Transport)}', but this kernel uses tcp",
                "set c.KernelManager.transport to tcp");
        }
        if (file.SignatureScheme != Signing.Scheme)
        {
            throw Fault.Create(path,
                $"asks for signatures by '{Excerpt.Of(file.SignatureScheme)}', but this kernel uses {Signing.Scheme}",
                "leave signature_scheme as it is");
        }
        int[] ports = [file.ShellPort, file.IopubPort, file.StdinPort, file.ControlPort, file.HeartbeatPort];
        if (ports.Any(port => port is < 0 or > ushort.MaxValue))
        {
            throw Fault.Create(path, $"asks for the ports {string.Join(", ", ports)}, but ports are from 0 to {ushort.MaxValue}",
                "let Jupyter start the kernel; it writes the file");
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
