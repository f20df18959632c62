using System.Runtime.Intrinsics.X86;
using System.Runtime.Intrinsics.Arm;

namespace Koala.Lab.Kernels;

/// <summary>Work that is divided into chunks, which may run in any order and at the same time.</summary>
internal interface ICrewWork
{
    /// <param name="chunk">The number of the chunk.</param>
    /// <param name="worker">The number of the thread that runs it, below <see cref="WorkCrew.MaxThreads"/>; for memory of its own.</param>
    void Do(int chunk, int worker);
}

/// <summary>
/// A few threads that share the chunks of a piece of work. A step of a small model has some sixty such pieces in a millisecond.
/// </summary>
/// <remarks>
/// Threads claim one chunk after another. So a thread that the system has taken off its core delays the work by the chunk that it holds,
/// and one that never came by nothing. Between pieces a thread spins for some microseconds, since waking it takes longer than a piece of
/// a small model, and then sleeps, so that other programs get the core. While another process takes the core again and again, the chunk
/// that a thread holds can cost more than all the others bring. So the caller compares how long pieces take with what they would have taken
/// at its own pace, and works alone for a while when it gains nothing.
/// </remarks>
internal sealed class WorkCrew : IDisposable
{
    /// <summary>More threads than this do not help: a step reads memory, which a few threads keep busy.</summary>
    public const int MaxThreads = 64;

    private const int SpinsBeforeSleep = 2000;
    private const int SpinsBeforeYield = 4000;

    // The pieces that are compared, the pieces that the caller then does alone at first, and the most of these.
    private const int Compared = 32;
    private const int FewestAlone = 200;
    private const int MostAlone = 20_000;

    private readonly Thread[] _threads;
    private readonly SemaphoreSlim _wake = new(0);
    private readonly Lock _oneCaller = new();

    // The chunks of a piece of work are claimed from its ticket: the number of the piece in the upper 32 bits, then 16 bits with the
    // number of its chunks, then 16 bits with the next chunk. All three change at once, so a late thread cannot claim a chunk that
    // belongs to another piece.
    private long _ticket;
    private int _finished;
    private int _sleeping;
    private ICrewWork? _work;
    private uint _piece;
    private bool _stopped;
    private int _alone;          // pieces that the caller still does alone
    private int _aloneNext = FewestAlone;
    private int _compared;       // pieces in the two times that follow
    private double _together;    // the time that they took
    private double _byOne;       // the time that the caller would have taken for them

    private static readonly Lock s_sharing = new();
    private static readonly WorkCrew?[] s_shared = new WorkCrew?[MaxThreads + 1];   // by the number of threads

    /// <param name="threads">The number of threads, the caller's included; 1 to <see cref="MaxThreads"/>.</param>
    public WorkCrew(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        Threads = Math.Min(threads, MaxThreads);
        _threads = [.. Enumerable.Range(1, Threads - 1).Select(NewThread)];
    }

    /// <summary>
    /// The process's crew of so many threads. The number can change between steps, also back and forth: each number keeps its crew, which
    /// sleeps as long as nobody uses it.
    /// </summary>
    /// <param name="threads">The number of threads, at least 1.</param>
    public static WorkCrew Shared(int threads)
    {
        threads = Math.Min(threads, MaxThreads);
        if (Volatile.Read(ref s_shared[threads]) is { } crew) return crew;
        lock (s_sharing)
        {
            if (s_shared[threads] is null) Volatile.Write(ref s_shared[threads], new WorkCrew(threads));
            return s_shared[threads]!;
        }
    }

    /// <summary>The largest number of chunks of a piece of work.</summary>
    public static int MaxChunks => ushort.MaxValue;

    /// <summary>The number of threads, the caller's included.</summary>
    public int Threads { get; }

    /// <summary>The number of threads that were woken and have not noticed yet.</summary>
    internal int Wakes => _wake.CurrentCount;

    /// <summary>
    /// Runs all chunks and returns when they are done. A second caller at the same time does its work alone, and so does a chunk that
    /// calls.
    /// </summary>
    /// <param name="work">The work; it must not throw.</param>
    /// <param name="chunks">The number of chunks, at most <see cref="MaxChunks"/>.</param>
    public void Run(ICrewWork work, int chunks)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(chunks, MaxChunks);
        if (chunks > 1 && _threads.Length > 0 && !_oneCaller.IsHeldByCurrentThread && _oneCaller.TryEnter())
        {
            try
            {
                if (_alone == 0)
                {
                    RunTogether(work, chunks);
                    return;
                }
                _alone--;
            }
            finally
            {
                _oneCaller.Exit();
            }
        }
        for (var chunk = 0; chunk < chunks; chunk++) work.Do(chunk, 0);
    }

    /// <summary>Runs something for each number below <paramref name="count"/>. For work that is done once: it allocates.</summary>
    public void ForEach(int count, Action<int> action)
    {
        var each = (count + MaxChunks - 1) / MaxChunks;
        Run(new ActionWork(action, count, each), (count + each - 1) / Math.Max(each, 1));
    }

    /// <summary>Ends the threads. No work may be running.</summary>
    public void Dispose()
    {
        if (_stopped) return;
        Volatile.Write(ref _stopped, true);
        Interlocked.MemoryBarrier();
        Wake(_threads.Length);
        foreach (var thread in _threads) thread.Join();
        _wake.Dispose();
    }

    private void RunTogether(ICrewWork work, int chunks)
    {
        var start = TimeProvider.System.GetTimestamp();
        _work = work;
        Volatile.Write(ref _finished, 0);
        _piece++;
        Interlocked.Exchange(ref _ticket, ((long)_piece << 32) | ((long)chunks << 16));
        Wake(chunks - 1);
        var own = DoChunks(_piece, 0);
        if (own == chunks) return;
        var end = TimeProvider.System.GetTimestamp();
        WaitForOthers(chunks);
        if (own > 0) Compare(TimeProvider.System.GetTimestamp() - start, (double)(end - start) / own * chunks);
    }

    private void WaitForOthers(int chunks)
    {
        for (var spins = 0; Volatile.Read(ref _finished) != chunks; spins++)
        {
            if (spins < SpinsBeforeYield) Pause();
            else Thread.Yield();
        }
    }

    private void Compare(double together, double byOne)
    {
        _together += together;
        _byOne += byOne;
        if (++_compared < Compared) return;
        if (_together > _byOne)
        {
            _alone = _aloneNext;
            _aloneNext = Math.Min(2 * _aloneNext, MostAlone);
        }
        else _aloneNext = FewestAlone;
        (_compared, _together, _byOne) = (0, 0, 0);
    }

    private Thread NewThread(int number)
    {
        var thread = new Thread(() => Loop(number)) { IsBackground = true, Name = $"koala worker {number}" };
        thread.Start();
        return thread;
    }

    private void Loop(int worker)
    {
        uint seen = 0;
        for (var spins = 0; !Volatile.Read(ref _stopped); spins++)
        {
            var piece = (uint)(Volatile.Read(ref _ticket) >> 32);
            if (piece != seen)
            {
                seen = piece;
                spins = 0;
                DoChunks(piece, worker);
            }
            else if (spins < SpinsBeforeSleep) Pause();
            else
            {
                Sleep(seen);
                spins = 0;
            }
        }
    }

    // Who goes to sleep says so first and then looks again, so that no piece is missed for longer than the next one.
    private void Sleep(uint seen)
    {
        Interlocked.Increment(ref _sleeping);
        var canSleep = (uint)(Volatile.Read(ref _ticket) >> 32) == seen && !Volatile.Read(ref _stopped);
        // Where nobody is left to take off the count, this thread is being woken already and takes what wakes it along.
        if (canSleep || TakeSleeping(1) == 0) _wake.Wait();
    }

    private void Wake(int most)
    {
        var woken = TakeSleeping(most);
        if (woken > 0) _wake.Release(woken);
    }

    // Takes some threads off the count of those that sleep, and returns how many. Whoever wakes a thread takes it off, not the thread
    // itself: it may be slow, and the pieces until then would wake it again and again.
    private int TakeSleeping(int most)
    {
        while (true)
        {
            var sleeping = Volatile.Read(ref _sleeping);
            var taken = Math.Min(sleeping, most);
            if (taken == 0 || Interlocked.CompareExchange(ref _sleeping, sleeping - taken, sleeping) == sleeping) return taken;
        }
    }

    // Returns the number of chunks that this thread has done.
    private int DoChunks(uint piece, int worker)
    {
        for (var done = 0; ; done++)
        {
            var ticket = Volatile.Read(ref _ticket);
            var next = (int)(ticket & 0xFFFF);
            if ((uint)(ticket >> 32) != piece || next >= (int)((ticket >> 16) & 0xFFFF)) return done;
            if (Interlocked.CompareExchange(ref _ticket, ticket + 1, ticket) != ticket)
            {
                done--;
                continue;
            }
            // The piece cannot end before this chunk is finished, so its work is still the one to do.
            _work!.Do(next, worker);
            Interlocked.Increment(ref _finished);
        }
    }

    private sealed class ActionWork(Action<int> action, int count, int each) : ICrewWork
    {
        public void Do(int chunk, int worker)
        {
            for (var i = chunk * each; i < Math.Min(count, (chunk + 1) * each); i++) action(i);
        }
    }

    private static void Pause()
    {
        if (X86Base.IsSupported) X86Base.Pause();
        else if (ArmBase.IsSupported) ArmBase.Yield();
        else Thread.SpinWait(1);
    }
}
