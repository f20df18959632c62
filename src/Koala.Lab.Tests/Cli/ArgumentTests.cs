using Koala.Lab.Training;
namespace Koala.Lab.Tests.Cli;

public sealed class ArgumentTests
{
    [Fact]
    public void Without_arguments_it_prints_its_commands_and_exit_codes()
    {
        var run = CommandRun.Of().AssertDone();
        foreach (var word in (string[])["doctor", "inspect", "tokenize", "generate", "train", "evaluate", "130"])
            Assert.Contains(word, run.Output, StringComparison.Ordinal);
        Assert.Equal(run.Output, CommandRun.Of("--help").Output);
    }

    [Fact]
    public void Version_is_one_line() => Assert.Matches(@"^\d+\.\d+\.\d+\n$", CommandRun.Of("--version").AssertDone().Output);

    [Fact]
    public void Help_shows_defaults_of_the_library_even_where_options_are_missing()
    {
        var help = CommandRun.Of("train", "--help").AssertDone().Output;
        Assert.Matches($@"--steps <N> .*\[default: {new TrainingOptions().Steps}\]", help);
        Assert.Matches(@"--preset <koala\|eagle-3-like\|eagle-1\|medusa-1> .*\[default: koala\]", help);
        Assert.Matches(@"--max-tokens <N> .*\[default: 256\]", CommandRun.Of("generate", "--help").AssertDone().Output);
        Assert.Matches(@"--max-tokens <N> .*\[default: 64\]", CommandRun.Of("evaluate", "--help").AssertDone().Output);
    }

    /// <summary>Those of a sweep follow from the library's options, so one that nothing describes could slip in.</summary>
    [Theory]
    [InlineData("sweep")]
    [InlineData("train")]
    [InlineData("evaluate")]
    [InlineData("generate")]
    [InlineData("export")]
    public void Every_option_is_described(string command)
    {
        var help = CommandRun.Of(command, "--help").AssertDone().Output;
        Assert.DoesNotMatch(@"(?m)^  --[a-z0-9, -]+(<[^>]+>)?\s*$", help);
    }

    [Theory]
    [InlineData("generate --tempreature 0.5",
        "unknown option --tempreature: did you mean --temperature? See koala generate --help")]
    [InlineData("generate --tempreature=0.5",
        "unknown option --tempreature: did you mean --temperature? See koala generate --help")]
    [InlineData("tokenize --txt hello", "unknown option --txt: did you mean --text? See koala tokenize --help")]
    [InlineData("trian --steps 3", "unknown command trian: did you mean train? See koala --help")]
    [InlineData("serenade", "unknown command serenade. See koala --help")]
    [InlineData("doctor --colour", "unknown option --colour. See koala doctor --help")]
    [InlineData("doctor now", "unknown argument now. See koala doctor --help")]
    [InlineData("generate --prompt hello", "--target PATH is missing. See koala generate --help")]
    [InlineData("tokenize", "TARGET is missing. See koala tokenize --help")]
    [InlineData("generate --target", "--target needs a value. See koala generate --help")]
    [InlineData("generate --target x --top-k many",
        "--top-k is 'many', but a whole number is expected. See koala generate --help")]
    [InlineData("generate --target x --top-k 99999999999",
        "--top-k is '99999999999', but a whole number is expected. See koala generate --help")]
    [InlineData("generate --target x --temperature warm",
        "--temperature is 'warm', but a number is expected. See koala generate --help")]
    [InlineData("train --target x --data y --head eagel",
        "--head is 'eagel', but it must be medusa or eagle: did you mean eagle? See koala train --help")]
    [InlineData("generate --target x --dtype fp16", "--dtype is 'fp16', but it must be fp32 or bf16. See koala generate --help")]
    public void Unknown_arguments_are_refused_in_one_line(string line, string answer)
    {
        var run = CommandRun.Of(line.Split(' '));
        run.AssertRefused();
        Assert.Equal(answer, run.Error.TrimEnd('\n'));
    }

    [Theory]
    [InlineData("generate --target x --prompt a --max-tokens 0", "--max-tokens: is 0")]
    [InlineData("evaluate --target x --prompts y", "--head: is missing")]
    [InlineData("generate --target x --prompt a --temperature -1", "--temperature: is -1")]
    [InlineData("generate --target x --prompt a --temperature NaN", "--temperature: is NaN")]
    [InlineData("generate --target x --prompt a --top-p 0", "--top-p: is 0")]
    [InlineData("generate --target x --prompt a --draft-length 2", "--draft-length: is given, but nothing drafts")]
    [InlineData("generate --target x --prompt a --tree dynamic", "--tree: is given, but nothing drafts")]
    [InlineData("generate --target x --prompt a --acceptance typical --temperature 1",
        "--acceptance: is given, but nothing drafts")]
    [InlineData("generate --target x --prompt a --head h --tree eagle-1 --draft-length 2",
        "--draft-length: is the length of a chain, but --tree is eagle-1")]
    [InlineData("generate --target x --prompt a --head h --tree-top-k 3",
        "--tree-top-k: shapes a dynamic tree, but --tree is chain")]
    [InlineData("evaluate --target x --head y --prompts z --tree eagle-1 --tree-tokens 9",
        "--tree-tokens: shapes a dynamic tree, but --tree is eagle-1")]
    [InlineData("evaluate --target x --head y --prompts z --tree dynamic --tree-tokens 1", "--tree-tokens: is 1")]
    [InlineData("evaluate --target x --head y --prompts z --tree eagel-1", "--tree: eagel-1 is no file")]
    [InlineData("evaluate --target x --head y --prompts z --acceptance typical",
        "--acceptance: is typical, a rule for sampling")]
    [InlineData("generate --target x --prompt a --head h --confidence-threshold 2", "--confidence-threshold: is 2")]
    [InlineData("generate --target x --prompt a --head h --tree dynamic --confidence-threshold 0.3",
        "--confidence-threshold: cuts a chain, but --tree is dynamic")]
    [InlineData("generate --target x --prompt a --confidence-threshold 0.3", "--confidence-threshold: is given, but nothing drafts")]
    [InlineData("generate --target x --prompt a --prompts b", "one of them is answered")]
    [InlineData("generate --target x", "--prompt: is missing")]
    [InlineData("generate --target x --prompt a --limit 3", "--limit: chooses from a file")]
    [InlineData("generate --target x --prompt a --raw --system s", "--system: goes through the chat template")]
    [InlineData("evaluate --target x --head y --prompts z --repeats 0", "--repeats: is 0")]
    [InlineData("train --data y", "--target: is missing")]
    [InlineData("train --target x", "--data: is missing")]
    [InlineData("train --target x --data y --layers 0", "K is 0")]
    [InlineData("train --target x --data y --steps 0", "--steps: is 0")]
    [InlineData("train --target x --data y --loss seer",
        "--loss: 'seer' is not a registered loss; the registered losses are acceptance, cross-entropy")]
    [InlineData("train --target x --data y --loss kl=much", "--loss: is 'kl=much', but 'much' is not a number")]
    [InlineData("train --target x --data y --loss kl=1@2", "--loss: decay of kl is 2")]
    [InlineData("train --target x --data y --loss kl --loss kl", "--loss: kl is given twice")]
    [InlineData("train --target x --data y --preset eagle-1",
        "--loss: smooth-l1 compares features, but a medusa head predicts none")]
    [InlineData("train --target x --data y --draft-vocabulary 8", "--draft-vocabulary: does not apply to a medusa head")]
    [InlineData("train --target x --data y --head eagle --tied", "--tied: does not apply to an eagle head")]
    [InlineData("train --target x --data y --feature-norms", "--feature-norms: does not apply to a medusa head")]
    [InlineData("train --target x --data y --head eagle --norm-output", "--norm-output: is set, but only the architecture of EAGLE-3")]
    [InlineData("train --target x --data y --head eagle --fusion-weights", "--fusion-weights: weights the fused states, but the features")]
    [InlineData("train --target x --data y --head eagle --window 8", "--window: is 8, but a window holds at least the longest draft")]
    [InlineData("train --target x --data y --window 64", "--window: does not apply to a medusa head")]
    [InlineData("train --target x --data y --confidence-weight 2", "--confidence-weight: is given, but the head has no confidence")]
    [InlineData("train --target x --data y --confidence --confidence-weight 0", "--confidence-weight: is 0")]
    [InlineData("train --target x --data y --head eagle --training-time-test 0", "--training-time-test: is 0 steps")]
    [InlineData("train --target x --data y --with-controls", "--with-controls: trains the same without")]
    [InlineData("train --target x --data y --max-tokens 3", "--max-tokens: belongs to --evaluate")]
    [InlineData("train --resume r --steps 3", "--steps is given too")]
    [InlineData("train --resume r --threads 3", "--threads is given too")]
    public void Options_out_of_range_or_without_a_meaning_are_refused_before_anything_is_read(string line, string words) =>
        CommandRun.Of(line.Split(' ')).AssertRefused(words, "Fix: ");

    [Fact]
    public void A_prompt_may_look_like_a_file_of_arguments_or_an_option() =>
        CommandRun.Of("generate", "--target", "no/such/target", "--prompt", "@home --and --away")
            .AssertRefused("no/such/target", "does not exist");
}
