using System.Runtime.InteropServices;

namespace Koala.Cli;

/// <summary>The first Ctrl-C or SIGTERM cancels <see cref="Token"/>; a second one ends the process at once.</summary>
internal sealed class Interruption : IDisposable
{
    private readonly CancellationTokenSource _source;
    private readonly PosixSignalRegistration[] _registrations;

    public Interruption(Streams streams)
    {
        _source = CancellationTokenSource.CreateLinkedTokenSource(streams.Cancel);
        // In a notebook the signals are the kernel's, which cancels the token of the streams.
        _registrations = streams.Cell is not null ? [] :
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal),
        ];
    }

    public CancellationToken Token => _source.Token;

    public void Dispose()
    {
        foreach (var registration in _registrations) registration.Dispose();
        _source.Dispose();
    }

    private void OnSignal(PosixSignalContext context)
    {
        // A signal that is not cancelled has its usual effect: the process ends.
        context.Cancel = !_source.IsCancellationRequested;
        _source.Cancel();
    }
}
