using System.Diagnostics;
using System.Text.Json.Nodes;
using Koala.Kernel.Tests.Cells;
using Koala.Lab.Runtime.Native;

namespace Koala.Kernel.Tests.Jupyter;

/// <summary>The real .NET Interactive, and a folder with Koala's packages for it.</summary>
public sealed class InteractiveTool : IDisposable
{
    private const string Tool = "dotnet-interactive";
    private static readonly string[] s_projects = ["Koala.Lab", "Koala.Lab.Interactive"];

    private readonly TemporaryFolder _feed = new();
    private readonly string _version = TestPackages.NewVersion("interactive");
    private readonly string? _path = Find();

    public InteractiveTool()
    {
        if (_path is null) return;
        foreach (var project in s_projects) TestPackages.Pack(project, _version, _feed.Path);
    }

    /// <summary>The path of the tool; without it, the calling test is skipped.</summary>
    public string Path
    {
        get
        {
            Assert.SkipWhen(_path is null, $"there is no {Tool} (dotnet tool install --global Microsoft.dotnet-interactive)");
            return _path;
        }
    }

    /// <summary>What _setup.csx does, with the package in place of the clone's build.</summary>
    public string Setup
    {
        get
        {
            var usings = File.ReadLines(TestFiles.At("notebooks", "_setup.csx"))
                .Where(line => line.StartsWith("global using ", StringComparison.Ordinal)).Select(line => line["global ".Length..]);
            return $"""
                #i "nuget: {_feed.Path}"
                #r "nuget: libtorch-cpu-linux-x64, {LibTorch.Version}"
                #r "nuget: Koala.Lab.Interactive, {_version}"
                {string.Join('\n', usings)}
                """;
        }
    }

    public void Dispose()
    {
        _feed.Dispose();
        foreach (var project in s_projects) TestPackages.Remove(project, _version);
    }

    private static string? Find()
    {
        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(System.IO.Path.PathSeparator);
        return folders.Append(System.IO.Path.Combine(home, ".dotnet", "tools"))
            .Select(folder => System.IO.Path.Combine(folder, Tool)).FirstOrDefault(File.Exists);
    }
}

/// <summary>A session with .NET Interactive as editors have it: commands and events are lines of JSON.</summary>
internal sealed class InteractiveSession : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(2);

    private readonly Process _process;
    private int _commands;

    public InteractiveSession(InteractiveTool tool, string folder)
    {
        var start = new ProcessStartInfo(tool.Path, ["stdio", "--default-kernel", "csharp"])
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            Environment = { ["DOTNET_INTERACTIVE_CLI_TELEMETRY_OPTOUT"] = "1" },
        };
        _process = Process.Start(start)!;
        Next(@event => (string?)@event["eventType"] == "KernelReady");
    }

    /// <summary>Sends a command, and returns its token.</summary>
    public string Send(string type, JsonObject command)
    {
        var token = $"command{++_commands}";
        _process.StandardInput.WriteLine(new JsonObject
        {
            ["token"] = token,
            ["commandType"] = type,
            ["command"] = command,
            ["routingSlip"] = new JsonArray(),
        }.ToJsonString());
        _process.StandardInput.Flush();
        return token;
    }

    /// <summary>Starts a cell.</summary>
    public string Submit(string code) => Send("SubmitCode", new JsonObject { ["code"] = code, ["targetKernelName"] = "csharp" });

    /// <summary>Runs a cell, and returns the text of its value; null if it has none.</summary>
    public string? Run(string code)
    {
        var events = Until(Submit(code));
        Assert.True((string?)events[^1]["eventType"] == "CommandSucceeded", events[^1].ToJsonString());
        var value = events.LastOrDefault(@event => (string?)@event["eventType"] == "ReturnValueProduced");
        return (string?)value?["event"]!["formattedValues"]![0]!["value"];
    }

    /// <summary>The events of a command up to one whose type begins with a text; the type of the event that ends it with Command.</summary>
    public IReadOnlyList<JsonNode> Until(string token, string last = "Command")
    {
        var events = new List<JsonNode>();
        Next(@event =>
        {
            // A command that is sent on to a kernel has there a token that begins with its own.
            var of = (string?)@event["command"]?["token"];
            if (of == token || of?.StartsWith($"{token}.", StringComparison.Ordinal) == true) events.Add(@event);
            return of == token && ((string)@event["eventType"]!).StartsWith(last, StringComparison.Ordinal);
        });
        return events;
    }

    public void Dispose()
    {
        _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
    }

    private void Next(Func<JsonNode, bool> isLast)
    {
        using var limit = new CancellationTokenSource(s_limit);
        var last = "";
        while (true)
        {
            var read = _process.StandardOutput.ReadLineAsync(limit.Token).AsTask();
            Assert.True(Task.WaitAny(read, Task.Delay(Timeout.Infinite, limit.Token)) == 0 && read.IsCompletedSuccessfully,
                $"the event did not come; the last one: {last}");
            var line = read.Result;
            Assert.True(line is not null, $"the process ended; the last event: {last}");
            if (line.StartsWith('{') && isLast(JsonNode.Parse(line)!)) return;
            last = line;
        }
    }
}
