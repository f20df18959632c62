using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Runtime.Machine;

namespace Koala.Lab.Runs;

/// <summary>The contents of run.json: a run's options, software, machine and state.</summary>
public sealed record RunRecord
{
    /// <summary>The format version that this Koala writes and reads.</summary>
    public const int CurrentFormat = 1;

    private const long LargestFile = 16 << 20;

    /// <summary>The version of the file's format.</summary>
    [JsonPropertyOrder(-1)]
    public int FormatVersion { get; init; } = CurrentFormat;

    /// <summary>The kind of work, which is the name of the command: <c>train</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>
    /// The command line, argument by argument, without the program's name; empty if a notebook or a program started the run.
    /// </summary>
    public required IReadOnlyList<string> Command { get; init; }

    /// <summary>All options, including the defaults.</summary>
    public required JsonNode Options { get; init; }

    /// <summary>
    /// The SHA-256 of <see cref="Options"/>, in lower-case hexadecimal digits; null in the records of earlier versions. A run that is
    /// resumed must have the options that it was begun with.
    /// </summary>
    public string? OptionsHash { get; init; }

    /// <summary>The seeds, by the names of what they seed.</summary>
    public required IReadOnlyDictionary<string, long> Seeds { get; init; }

    /// <summary>The git commit of Koala's sources; null if Koala runs outside a clone or there is no git.</summary>
    public required GitCommit? Commit { get; init; }

    /// <summary>The versions of Koala and its packages, by name.</summary>
    public required IReadOnlyDictionary<string, string> Packages { get; init; }

    /// <summary>The machine.</summary>
    public required MachineInfo Machine { get; init; }

    /// <summary>The device: <c>cpu</c> or <c>cuda</c>.</summary>
    public required string Device { get; init; }

    /// <summary>The dtype: <c>fp32</c> or <c>bf16</c>.</summary>
    public required string Dtype { get; init; }

    /// <summary>When the run first began.</summary>
    public required DateTimeOffset Started { get; init; }

    /// <summary>When the run ended, in whatever way; null while it runs and if it died.</summary>
    public DateTimeOffset? Ended { get; init; }

    /// <summary>The state of the run.</summary>
    public RunState State { get; init; }

    /// <summary>The error that ended a failed run; otherwise null.</summary>
    public string? Failure { get; init; }

    /// <summary>Creates the record of a run that begins now on this machine.</summary>
    /// <param name="kind">See <see cref="Kind"/>.</param>
    /// <param name="command">See <see cref="Command"/>.</param>
    /// <param name="options">See <see cref="Options"/>.</param>
    /// <param name="seeds">See <see cref="Seeds"/>.</param>
    /// <param name="device">See <see cref="Device"/>.</param>
    /// <param name="dtype">See <see cref="Dtype"/>.</param>
    /// <param name="time">The clock. Default the system's clock.</param>
    public static RunRecord Begin(string kind, IReadOnlyList<string> command, JsonNode options,
        IReadOnlyDictionary<string, long> seeds, string device, string dtype, TimeProvider? time = null) => new()
        {
            Kind = kind,
            Command = command,
            Options = options,
            OptionsHash = CanonicalJson.Hash(options),
            Seeds = seeds,
            Commit = GitCommit.OfKoala,
            Packages = PackageVersions.Read(),
            Machine = MachineInfo.Current,
            Device = device,
            Dtype = dtype,
            Started = (time ?? TimeProvider.System).GetUtcNow(),
        };

    /// <summary>Returns the record of the same run when it runs again after a stop.</summary>
    public RunRecord Resume() => this with { State = RunState.Running, Ended = null, Failure = null };

    /// <summary>Returns the record of the same run when it ends now.</summary>
    /// <param name="state">How the run ended; not <see cref="RunState.Running"/>.</param>
    /// <param name="failure">The error of a failed run.</param>
    /// <param name="time">The clock. Default the system's clock.</param>
    public RunRecord End(RunState state, string? failure = null, TimeProvider? time = null) =>
        this with { State = state, Failure = failure, Ended = (time ?? TimeProvider.System).GetUtcNow() };

    /// <summary>Whether the options are those that the run was begun with, as far as the record says.</summary>
    internal bool HasOriginalOptions => OptionsHash is null || OptionsHash == CanonicalJson.Hash(Options);

    internal void Write(string file) => AtomicFile.WriteText(file, JsonSerializer.Serialize(this, JsonFormat.Document) + "\n");

    /// <exception cref="KoalaException">The file cannot be read, is malformed, or has another format version.</exception>
    internal static RunRecord Read(string file)
    {
        var text = InputFile.ReadText(file, LargestFile);
        try
        {
            CheckFormat(file, text);
            return JsonSerializer.Deserialize<RunRecord>(text, JsonFormat.Document) ?? throw new JsonException("it is null");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or ArgumentException)
        {
            // The last two are thrown for half a surrogate pair and for a key that occurs twice.
            throw new KoalaException(file, $"cannot be read as a run's record ({e.Message.ReplaceLineEndings(" ").TrimEnd('.')})",
                "restore the file, or begin a new run", e);
        }
    }

    // The version is checked first, because this Koala does not know the fields of another version.
    private static void CheckFormat(string file, string text)
    {
        using var document = JsonDocument.Parse(text);
        var root = document.RootElement;
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("formatVersion", out var version))
            throw new JsonException("it has no formatVersion");
        if (version.ValueKind != JsonValueKind.Number || !version.TryGetInt32(out var number) || number != CurrentFormat)
        {
            var found = MessageText.Text(version.GetRawText());
            throw new KoalaException(file, $"has format version {found}, but this Koala reads {CurrentFormat}",
                "use the version of Koala that wrote it");
        }
    }
}
