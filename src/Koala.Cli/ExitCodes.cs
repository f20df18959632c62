namespace Koala.Cli;

/// <summary>The exit codes of the command.</summary>
internal static class ExitCodes
{
    public const int Done = 0;

    /// <summary>
    /// A check failed: doctor found an error, answers in fp32 were not the target's own, a threshold of a gate or a cell of a sweep
    /// failed, or the machine was too busy to measure a speed.
    /// </summary>
    public const int CheckFailed = 1;

    /// <summary>
    /// The input was wrong: an option, a file or the machine. One line on standard error says what, where, and how to
    /// fix it.
    /// </summary>
    public const int WrongInput = 2;

    /// <summary>A fault in Koala itself (EX_SOFTWARE of sysexits.h); its stack trace is on standard error.</summary>
    public const int Fault = 70;

    /// <summary>The command was interrupted by Ctrl-C or SIGTERM (128 + SIGINT, as in shells).</summary>
    public const int Interrupted = 130;

    public const string Help = """
        Exit codes:
          0    done
          1    a check failed: doctor found an error, evaluate found answers in fp32 that are not the target's own,
               a threshold of gate failed, cells of a sweep failed, or evaluate, compare --target, train --evaluate,
               sweep or fit-tree found the machine too busy to measure a speed
          2    the input was wrong; one line says what, where, and how to fix it
          70   a fault in Koala itself; please report it
          130  interrupted; Koala keeps what is done, and one line says how to go on
        """;
}
