using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using Koala.Lab;
using Koala.Lab.Runtime;

namespace Koala.Cli;

/// <summary>
/// Several processes of <c>koala sweep</c> on one machine that share a sweep's folder, each on the GPU that it is given. They end when
/// this process does: they read an input that is then closed.
/// </summary>
internal sealed class SweepProcesses : IDisposable
{
    private readonly List<Process> _processes = [];

    private SweepProcesses()
    {
    }

    /// <summary>Whether this assembly is a program, which another process can run.</summary>
    public static bool CanStart => Assembly.GetExecutingAssembly().EntryPoint is not null;

    /// <summary>Starts the processes.</summary>
    /// <param name="arguments">The arguments of each.</param>
    /// <param name="devices">The GPU of each; null for a process on the CPU.</param>
    public static SweepProcesses Start(IReadOnlyList<string> arguments, IReadOnlyList<int?> devices)
    {
        var all = new SweepProcesses();
        foreach (var device in devices) all._processes.Add(StartOne(arguments, device));
        return all;
    }

    /// <summary>Checks that GPUs are there.</summary>
    /// <param name="text">Their numbers, separated by commas.</param>
    /// <exception cref="KoalaException">The text is no list of numbers, or one of the GPUs is not there.</exception>
    public static int?[] ReadDevices(string text)
    {
        int[] devices = [.. text.Split(',').Select(number =>
            int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var device)
                ? device
                : throw new KoalaException("--devices", $"is '{text}', but numbers of GPUs are expected", "write it as 0,1,2,3"))];
        var count = Devices.CudaCount;
        if (devices.Any(device => device >= count))
        {
            var missing = devices.First(device => device >= count);
            throw new KoalaException("--devices", $"names GPU {missing}, but this machine has {count} that libtorch can use",
                count == 0 ? "leave it out, or see koala doctor" : $"use numbers from 0 to {count - 1}");
        }
        return [.. devices.Select(device => (int?)device)];
    }

    /// <summary>Waits until all have ended.</summary>
    /// <param name="cancel">Asks them to save their state and to end.</param>
    /// <returns>Their exit codes.</returns>
    public IReadOnlyList<int> Wait(CancellationToken cancel)
    {
        using var registration = cancel.Register(AskToEnd);
        foreach (var process in _processes) process.WaitForExit();
        return [.. _processes.Select(process => process.ExitCode)];
    }

    public void Dispose()
    {
        AskToEnd();
        foreach (var process in _processes) process.Dispose();
    }

    /// <summary>A token that is cancelled when the process that started this one ends, or asks this one to.</summary>
    public static CancellationToken EndOfParent(TextReader input)
    {
        // The thread lives as long as this process.
        var source = new CancellationTokenSource();
        new Thread(() =>
        {
            input.ReadToEnd();
            source.Cancel();
        })
        { IsBackground = true }.Start();
        return source.Token;
    }

    private void AskToEnd()
    {
        foreach (var process in _processes) process.StandardInput.Close();
    }

    private static Process StartOne(IReadOnlyList<string> arguments, int? device)
    {
        var program = Environment.ProcessPath!;
        // `dotnet koala.dll` is the program dotnet with the assembly as its first argument.
        string[] ofDotnet = Path.GetFileNameWithoutExtension(program) == "dotnet" ? ["exec", Assembly.GetExecutingAssembly().Location] : [];
        var start = new ProcessStartInfo(program, [.. ofDotnet, .. arguments]) { RedirectStandardInput = true };
        if (device is { } number) start.Environment[Devices.VisibleGpusVariable] = Visible(number);
        return Process.Start(start)!;
    }

    // The GPUs of this process are numbered among those that it was given.
    private static string Visible(int number) => Environment.GetEnvironmentVariable(Devices.VisibleGpusVariable) is { Length: > 0 } given
        ? given.Split(',')[number].Trim()
        : number.ToString(CultureInfo.InvariantCulture);
}
