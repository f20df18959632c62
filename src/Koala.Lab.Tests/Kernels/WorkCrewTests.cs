using Koala.Lab.Kernels;

namespace Koala.Lab.Tests.Kernels;

/// <summary>Every chunk of a piece of work runs once, whoever runs it, and threads sleep when there is none.</summary>
public sealed class WorkCrewTests
{
    // Longer than any machine keeps a thread off its cores; tests that pass do not wait for it.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    public static MatrixTheoryData<int, int> ThreadsAndChunks => new([1, 2, 4], [0, 1, 2, 3, 1000, 65535]);

    [Theory, MemberData(nameof(ThreadsAndChunks))]
    public void Every_chunk_runs_exactly_once(int threads, int chunks)
    {
        using var crew = new WorkCrew(threads);
        var work = new Counting(chunks, threads);
        for (var piece = 1; piece <= 3; piece++)
        {
            crew.Run(work, chunks);
            work.AssertRuns(piece, chunks);
        }
    }

    [Theory, InlineData(1), InlineData(2), InlineData(4)]
    public void Every_chunk_of_20000_pieces_in_a_row_runs_exactly_once(int threads)
    {
        using var crew = new WorkCrew(threads);
        var random = new Random(threads);
        var works = Enumerable.Range(0, 3).Select(_ => new Counting(40, threads)).ToArray();
        for (var piece = 0; piece < 20_000; piece++)
        {
            // Another object each time, so that a thread that is late would count in the wrong one.
            var (work, chunks) = (works[piece % works.Length], random.Next(41));
            work.Clear();
            crew.Run(work, chunks);
            work.AssertRuns(1, chunks);
        }
    }

    [Fact]
    public void Two_callers_at_the_same_time_get_their_work_done()
    {
        using var crew = new WorkCrew(3);
        var faults = new Exception?[2];
        Thread Caller(int number) => new(() => faults[number] = Record.Exception(() =>
        {
            var work = new Counting(20, 3);
            for (var piece = 0; piece < 5000; piece++)
            {
                work.Clear();
                crew.Run(work, piece % 21);
                work.AssertRuns(1, piece % 21);
            }
        }));
        Thread[] callers = [Caller(0), Caller(1)];
        foreach (var caller in callers) caller.Start();
        foreach (var caller in callers) caller.Join();
        Assert.All(faults, Assert.Null);
    }

    [Fact]
    public void Work_can_call_the_crew_that_runs_it()
    {
        using var crew = new WorkCrew(2);
        var runs = 0;
        var inner = new Calling(() => Interlocked.Increment(ref runs));
        var caller = new Thread(() => crew.Run(new Calling(() => crew.Run(inner, 10)), 8)) { IsBackground = true };
        caller.Start();
        Assert.True(caller.Join(s_patience), "it waits for work that nobody does");
        Assert.Equal(80, runs);
    }

    [Fact]
    public void A_piece_has_no_more_chunks_than_a_ticket_can_count()
    {
        using var crew = new WorkCrew(2);
        var work = new Counting(WorkCrew.MaxChunks + 1, 2);
        Assert.Throws<ArgumentOutOfRangeException>(() => crew.Run(work, WorkCrew.MaxChunks + 1));
        work.AssertRuns(0, 0);
        crew.Run(work, WorkCrew.MaxChunks);
        work.AssertRuns(1, WorkCrew.MaxChunks);
    }

    [Fact]
    public void A_crew_that_is_disposed_has_no_threads_left_and_its_caller_does_the_work()
    {
        var crew = new WorkCrew(4);
        crew.Dispose();
        var work = new Counting(10, 1);
        crew.Run(work, 10);
        work.AssertRuns(1, 10);
        crew.Dispose();
    }

    [Theory, InlineData(2), InlineData(4)]
    public void Threads_that_sleep_are_woken(int threads)
    {
        for (var repetition = 0; repetition < 5; repetition++)
        {
            using var crew = new WorkCrew(threads);
            Thread.Sleep(50);
            // Each chunk waits for all the others, so each needs a thread of its own.
            using var meeting = new Barrier(threads);
            var met = 0;
            crew.Run(new Calling(() =>
            {
                if (meeting.SignalAndWait(s_patience)) Interlocked.Increment(ref met);
            }), threads);
            Assert.Equal(threads, met);
        }
    }

    /// <summary>
    /// A thread that is slow to wake sees many pieces go by. It must not spin once for each of them, but sleep again.
    /// </summary>
    [Fact]
    public void Threads_that_were_woken_late_sleep_again()
    {
        using var crew = new WorkCrew(4);
        var work = new Counting(8, 4);
        for (var burst = 0; burst < 20; burst++)
        {
            for (var piece = 0; piece < 500; piece++) crew.Run(work, 8);
            Thread.Sleep(1);
        }
        Thread.Sleep(20);
        Assert.InRange(crew.Wakes, 0, 3);
    }

    [Fact]
    public void The_process_keeps_one_crew_for_each_number_of_threads()
    {
        var (one, two) = (WorkCrew.Shared(1), WorkCrew.Shared(2));
        Assert.Equal((1, 2), (one.Threads, two.Threads));
        Assert.Same(one, WorkCrew.Shared(1));
        Assert.Same(two, WorkCrew.Shared(2));
    }

    private sealed class Calling(Action action) : ICrewWork
    {
        public void Do(int chunk, int worker) => action();
    }

    // Counts how often each chunk runs, and whether two chunks at the same time have the same worker.
    private sealed class Counting(int chunks, int threads) : ICrewWork
    {
        private readonly int[] _runs = new int[chunks];
        private readonly int[] _busy = new int[threads];
        private int _faults;

        public void Do(int chunk, int worker)
        {
            if (worker >= threads || Interlocked.Increment(ref _busy[worker]) != 1) Interlocked.Increment(ref _faults);
            else
            {
                Interlocked.Increment(ref _runs[chunk]);
                Interlocked.Decrement(ref _busy[worker]);
            }
        }

        public void Clear() => Array.Clear(_runs);

        public void AssertRuns(int times, int first)
        {
            Assert.Equal(0, _faults);
            for (var chunk = 0; chunk < chunks; chunk++)
                if (Volatile.Read(ref _runs[chunk]) != (chunk < first ? times : 0))
                    Assert.Fail($"chunk {chunk} of {first} ran {_runs[chunk]} times instead of {times}");
        }
    }
}
