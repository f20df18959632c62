using System.CommandLine;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab;
using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Drafting;
using Koala.Lab.Evaluation;
using Koala.Lab.Heads;
using Koala.Lab.Targets;
using Spectre.Console;

namespace Koala.Cli.Commands;

/// <summary><c>koala generate</c>: answers one prompt or a file of prompts, with a draft head or without one.</summary>
internal sealed class GenerateCommand
{
    private readonly Streams _streams;
    private readonly ModelOptions _model = new();
    private readonly SamplingOptions _sampling = new(() => new GenerationOptions());
    private readonly TreeOptions _tree = new();
    private readonly PromptOptions _prompts = new();
    private readonly DraftOptions _draft = new(" Default: the target without a head.");
    private readonly Option<string?> _prompt = SharedOptions.Text("--prompt", "TEXT",
        "The prompt to answer; - reads standard input, without the line break at its end.");
    private readonly Option<bool> _raw = SharedOptions.Flag("--raw",
        "Use the prompts as they are, without the chat template.");
    private readonly Option<string?> _system = SharedOptions.Text("--system", "TEXT",
        "A system message before the prompt. Default: none.");
    private readonly Option<string[]> _stop = new("--stop")
    {
        HelpName = "TEXT",
        Description = "A text that ends the answer and is cut off; it may contain special tokens. "
            + "The option may be given more than once. Default: none.",
        AllowMultipleArgumentsPerToken = false,
    };
    private readonly Option<string> _trace = SharedOptions.OptionalChoice("--trace",
        "Show each round; with --json, full adds every candidate with its probabilities, which costs time. "
        + "Default: no rounds; with --json and a head, rounds.", "rounds", "full");
    private readonly Option<bool> _colour = SharedOptions.Flag("--colour",
        "Show accepted and bonus tokens in colours, where standard output is a terminal and NO_COLOR is not set.");
    private readonly Option<bool> _json = SharedOptions.Json();
    private readonly Option<bool> _quiet = SharedOptions.Quiet();

    // How many answers have been started: each has its own random stream.
    private int _answers;

    // For a notebook, whose cell takes them as objects; a command line would only keep their memory.
    private readonly List<Generation> _generations = [];

    private GenerateCommand(Streams streams) => _streams = streams;

    /// <summary>What stays the same for all prompts.</summary>
    /// <param name="Arguments">The arguments.</param>
    /// <param name="Target">The target.</param>
    /// <param name="Source">The draft source; null for the target without a head.</param>
    /// <param name="FromFile">Whether the prompts come from a file.</param>
    /// <param name="Colours">The terminal that shows answers in colours; null if they are plain text.</param>
    /// <param name="Summary">Counts the answers.</param>
    private sealed record Context(
        ParseResult Arguments, Target Target, IDraftSource? Source, bool FromFile, IAnsiConsole? Colours, GenerationSummary Summary);

    public static Command Create(Streams streams)
    {
        var self = new GenerateCommand(streams);
        var command = new Command("generate", "Answer prompts with a target, with a draft head or without one.");
        self._model.Target.Required = true;
        self._model.AddTo(command);
        self._model.AddWeightsTo(command);
        self._draft.AddTo(command);
        command.AddOptions(self._prompt, self._raw, self._system);
        self._prompts.AddTo(command);
        self._sampling.AddTo(command);
        self._tree.AddTo(command);
        command.AddOptions(self._stop, self._trace, self._colour, self._json, self._quiet);
        command.SetAction(self.Run);
        return command;
    }

    private int Run(ParseResult result)
    {
        Check(result);
        var options = _tree.Read(result, _sampling.Read(result)) with
        {
            Stop = result.GetValue(_stop) ?? [],
            FullTrace = result.GetValue(_trace) == "full",
        };
        options.Validate();
        var location = _draft.Find(result);
        var file = result.GetValue(_prompts.File);
        var prompts = file is null ? [OnePrompt(result)] : _prompts.Read(result, file);
        if (result.GetValue(_raw)) prompts = [.. prompts.Select(prompt => prompt with { Raw = true })];

        using var interruption = new Interruption(_streams);
        using var target = Load(result);
        var source = location?.Load(target);
        RoundedTargetNote.Write(_streams, result.GetValue(_quiet), target, source);
        using var disposable = source as IDisposable;
        if (source is DraftHead { Origin: { } origin } && !result.GetValue(_quiet)) _streams.Error.WriteLine($"head: {origin}");
        var summary = new GenerationSummary(options.MaxTokens, target.Config.ContextLength, target.EndIds, source is not null);
        var context = new Context(result, target, source, file is not null, Colours(result), summary);
        if (source is not null && options is { DraftLength: null, Tree: null })
            options = ChooseDraftLength(context, source, prompts, options, interruption.Token);
        using var decoder = new SpeculativeDecoder(target, source);
        var skipped = 0;
        foreach (var prompt in prompts)
            if (!Answer(context, decoder, prompt, options, interruption.Token)) skipped++;
        _streams.Cell?.SetValue(file is null ? _generations.Single() : _generations.ToArray(), isPrinted: true);
        if (skipped > 0)
        {
            _streams.Error.WriteLine($"{skipped} of {prompts.Count} prompts skipped: "
                + $"they leave no room in the context of {target.Config.ContextLength} tokens");
        }
        if (!result.GetValue(_quiet) && _answers > 0) _streams.Error.WriteLine(summary);
        return ExitCodes.Done;
    }

    // Colours in a file would be escape sequences in a text.
    private IAnsiConsole? Colours(ParseResult result)
    {
        if (!result.GetValue(_colour)) return null;
        var console = _streams.ConsoleOf(_streams.Output);
        var quiet = result.GetValue(_quiet);
        if (!TokenStyle.ShownBy(console))
        {
            if (!quiet) _streams.Error.WriteLine("no colours: standard output is not a terminal that has them, or NO_COLOR is set");
            return null;
        }
        if (!quiet) _streams.ConsoleOf(_streams.Error).Write(TokenStyle.Legend);
        if (!quiet) _streams.Error.WriteLine();
        // The terminal breaks the lines of an answer, as without colours.
        console.Profile.Width = int.MaxValue;
        return console;
    }

    // Loading a large target takes long enough that a person wonders; a terminal shows it.
    private Target Load(ParseResult result)
    {
        Target? target = null;
        ProgressLine.Run(_streams, result.GetValue(_quiet), show =>
        {
            show(0, 1, $"loading {result.GetValue(_model.Target)}", milestone: false);
            target = _model.Load(result);
        });
        return target!;
    }

    // Returns false if a turn does not fit the context; the turns after it would not fit either.
    private bool Answer(
        Context context, SpeculativeDecoder decoder, Prompt prompt, GenerationOptions options, CancellationToken cancel)
    {
        var json = context.Arguments.GetValue(_json);
        var allTurns = _prompts.AllTurns(context.Arguments);
        var dialogue = new Dialogue(context.Target, prompt, allTurns, context.Arguments.GetValue(_system));
        for (var turn = 1; dialogue.Next() is { } tokens; turn++)
        {
            if (context.FromFile && tokens.Count >= context.Target.Config.ContextLength) return false;
            if (context.FromFile && !json) _streams.Output.WriteLine(allTurns ? $"[{prompt.Id}, turn {turn}]" : $"[{prompt.Id}]");
            var generation = decoder.Generate(tokens, options with { Stream = _answers++ }, json ? null : Printer(context), cancel);
            dialogue.Answer(generation.Text);
            if (_streams.Cell is not null) _generations.Add(generation);
            context.Summary.Add(generation);
            if (json)
            {
                var line = LineOf(context, prompt, allTurns ? turn : null, generation);
                _streams.Output.WriteLine(JsonOutput.Line(line));
                continue;
            }
            _streams.Output.WriteLine();
            if (context.Arguments.Has(_trace)) _streams.Error.WriteLine(decoder.Trace.ToTable());
        }
        return true;
    }

    private Action<GenerationChunk> Printer(Context context)
    {
        if (context.Colours is { } console) return new ColouredAnswer(console, context.Target.Tokenizer).Write;
        return chunk =>
        {
            _streams.Output.Write(chunk.Text);
            _streams.Output.Flush();
        };
    }

    private AnswerLine LineOf(Context context, Prompt prompt, int? turn, Generation generation)
    {
        var withRounds = context.Source is not null || context.Arguments.Has(_trace);
        return new AnswerLine(
            context.FromFile ? prompt.Id : null,
            context.FromFile ? turn : null,
            generation.PromptTokens,
            generation.Tokens,
            generation.Text,
            generation.FinishReason,
            generation.Seconds,
            withRounds ? generation.Rounds : null);
    }

    // Measures with the first prompt that fits the context.
    private GenerationOptions ChooseDraftLength(
        Context context, IDraftSource source, IReadOnlyList<Prompt> prompts, GenerationOptions options, CancellationToken cancel)
    {
        var system = context.Arguments.GetValue(_system);
        var firstTurns = prompts.Select(prompt => new Dialogue(context.Target, prompt, allTurns: false, system).Next()!);
        var fitting = firstTurns.FirstOrDefault(tokens => tokens.Count > 0 && tokens.Count < context.Target.Config.ContextLength);
        if (fitting is null) return options;
        var (choice, _) = DraftLengthTuner.Measure(
            context.Target, source, [[fitting]], options, DraftLengthTuner.Budget, _streams.Limits, cancel);
        if (!context.Arguments.GetValue(_quiet)) _streams.Error.WriteLine(ChosenDraftText.Render(choice));
        return choice.ApplyTo(options);
    }

    private Prompt OnePrompt(ParseResult result)
    {
        var text = result.GetValue(_prompt)!;
        return new Prompt("prompt", "", [text == "-" ? _streams.ReadPrompt() : text], null);
    }

    private void Check(ParseResult result)
    {
        if (result.Has(_prompt) == result.Has(_prompts.File))
        {
            throw new KoalaException("--prompt",
                result.Has(_prompt) ? "is given together with --prompts, but only one of them is answered" : "is missing",
                "give --prompt TEXT, --prompt - for standard input, or --prompts FILE");
        }
        if (!result.Has(_prompts.File) && result.FirstGiven(_prompts.Limit, _prompts.Categories, _prompts.Turns) is { } ofFile)
        {
            throw new KoalaException(ofFile.Name, "chooses from a file of prompts, but there is none",
                "give --prompts FILE, or leave it out");
        }
        if (result.Has(_colour) && result.Has(_json))
        {
            throw new KoalaException(_colour.Name, "colours text, but --json prints none", "leave one of them out");
        }
        if (result.Has(_raw) && result.Has(_system))
        {
            throw new KoalaException("--system", "goes through the chat template, which --raw leaves out",
                "leave one of them out");
        }
        if (_draft.IsGiven(result)) return;
        if ((result.FirstGiven(_sampling.DraftLength) ?? _tree.FirstGiven(result)) is { } ofDraft)
        {
            throw new KoalaException(ofDraft.Name, "is given, but nothing drafts",
                "give --head or --draft-model, or leave it out");
        }
    }
}
