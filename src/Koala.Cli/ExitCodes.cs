namespace Koala.Cli;

/// <summary>What the command's exit code says.</summary>
internal static class ExitCodes
{
    public const int Done = 0;

    /// <summary>A check failed: doctor found an error, or answers in fp32 were not the target's own.</summary>
    public const int CheckFailed = 1;

    /// <summary>An option, a file or the machine does not fit; one line on standard error says what, where, and how to fix it.</summary>
    public const int WrongInput = 2;

    /// <summary>A fault of Koala itself (EX_SOFTWARE of sysexits.h); its stack trace stands on standard error.</summary>
    public const int Fault = 70;

    /// <summary>Ctrl-C or SIGTERM (128 + SIGINT, as shells count).</summary>
    public const int Interrupted = 130;

    public const string Help = """
        Exit codes:
          0    done
          1    a check failed: doctor found an error, or evaluate found answers in fp32 that are not the target's own
          2    wrong input; one line says what, where, and how to fix it
          70   a fault of Koala itself; please report it
          130  interrupted; what was done is kept, and a line says how to go on
        """;
}
