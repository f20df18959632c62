using System.Buffers.Binary;
using System.Diagnostics;
using System.IO.Compression;
using System.Text.Json.Nodes;
using System.Xml.Linq;
using Koala.Kernel.Jupyter;
using Koala.Lab.Charts;

namespace Koala.Kernel.Tests.Installation;

/// <summary>
/// <c>koala kernel install</c> and <c>koala lab</c>, with a data folder and a path only for the test.
/// </summary>
public sealed class InstallTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Installs_under_both_names_and_again_over_itself()
    {
        for (var i = 0; i < 2; i++)
        {
            var run = Koala("kernel", "install");
            Assert.Equal(0, run.ExitCode);
            Assert.Contains("koala-csharp: installed", run.Output, StringComparison.Ordinal);
            Assert.Contains(".net-csharp: installed", run.Output, StringComparison.Ordinal);
        }
        foreach (var name in (string[])["koala-csharp", ".net-csharp"])
        {
            var spec = JsonNode.Parse(File.ReadAllText(_folder.At("kernels", name, "kernel.json")))!;
            Assert.Equal("message", spec["interrupt_mode"]!.ToString());
            Assert.True(File.Exists(spec["argv"]![0]!.ToString()));
            Assert.Equal("{connection_file}", spec["argv"]!.AsArray()[^1]!.ToString());
            foreach (var size in (int[])[32, 64])
            {
                var png = File.ReadAllBytes(_folder.At("kernels", name, $"logo-{size}x{size}.png"));
                // The width and the height are in the header.
                Assert.Equal(size, BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(16)));
                Assert.Equal(size, BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(20)));
            }
            using var script = new StreamReader(
                new GZipStream(File.OpenRead(_folder.At("kernels", name, "figures.js.gz")), CompressionMode.Decompress));
            Assert.Equal(PlotlyScript.Text, script.ReadToEnd());
            Assert.Equal("svg", XDocument.Load(_folder.At("kernels", name, "logo-svg.svg")).Root!.Name.LocalName);
        }
    }

    [Fact]
    public void Another_kernel_keeps_its_name_and_a_message_says_so()
    {
        Directory.CreateDirectory(_folder.At("kernels", ".net-csharp"));
        var other = _folder.Write("kernels/.net-csharp/kernel.json",
            """{"argv":["dotnet","interactive"],"display_name":".NET (C#)","language":"C#"}""");
        var before = File.ReadAllText(other);
        var run = Koala("kernel", "install");

        Assert.Equal(0, run.ExitCode);
        Assert.Contains("koala-csharp: installed", run.Output, StringComparison.Ordinal);
        Assert.Contains("left as it is; another kernel has the name .net-csharp", run.Output, StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllText(other));
    }

    [Fact]
    public void Without_Jupyter_lab_says_in_one_line_how_to_get_it()
    {
        var run = Koala("lab");

        Assert.Equal(2, run.ExitCode);
        Assert.StartsWith("jupyter: neither JupyterLab nor Jupyter Notebook is on the path. Fix: ", run.Error, StringComparison.Ordinal);
        Assert.Single(run.Error.TrimEnd('\n').Split('\n'));
    }

    [Fact]
    public void Lab_opens_the_installed_Jupyter_and_installs_the_kernel()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the program is a shell script");
        var program = _folder.Write("jupyter-lab", $"#!/bin/sh\necho \"$@\" > '{_folder.At("opened")}'\n");
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        var run = Koala("lab", _folder.Path);

        Assert.Equal(0, run.ExitCode);
        Assert.Equal(_folder.Path + "\n", File.ReadAllText(_folder.At("opened")));
        Assert.True(File.Exists(_folder.At("kernels", "koala-csharp", "kernel.json")));
    }

    [Fact]
    public void Lab_passes_on_what_follows_two_dashes()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the program is a shell script");
        var program = _folder.Write("jupyter-lab", $"#!/bin/sh\necho \"$@\" > '{_folder.At("opened")}'\n");
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        foreach (var (args, passed) in new[] { ((string[])["--", "--allow-root", "a"], "--allow-root a"),
            ([_folder.Path, "--", "--port", "9999"], $"{_folder.Path} --port 9999") })
        {
            Assert.Equal(0, Koala(["lab", .. args]).ExitCode);
            Assert.Equal(passed + "\n", File.ReadAllText(_folder.At("opened")));
        }
        var wrong = Koala("lab", _folder.Path, _folder.Path);
        Assert.Equal(2, wrong.ExitCode);
        Assert.Contains("after --", wrong.Error, StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    private (int ExitCode, string Output, string Error) Koala(params string[] args)
    {
        var command = KernelProcess.CommandLine();
        var start = new ProcessStartInfo(command[0], [.. command[1..], .. args])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["JUPYTER_DATA_DIR"] = _folder.Path;
        start.Environment["JUPYTER_PATH"] = "";
        start.Environment["PATH"] = _folder.Path;
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.Result);
    }
}
