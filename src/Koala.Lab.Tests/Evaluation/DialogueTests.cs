using Koala.Lab.Data;
using Koala.Lab.Evaluation;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Tests.Evaluation;

public sealed class DialogueTests
{
    private static readonly Prompt s_two = new("1", "", ["First?", "Second?"], null);

    [Fact]
    public void Turns_follow_the_answers_before()
    {
        var dialogue = new Dialogue(ShippedModels.Nano, s_two, allTurns: true);
        Assert.Equal(Ids(new Message("user", "First?")), dialogue.Next());
        dialogue.Answer("One.");
        Assert.Equal(Ids(new("user", "First?"), new("assistant", "One."), new("user", "Second?")), dialogue.Next());
        dialogue.Answer("Two.");
        Assert.Null(dialogue.Next());
        Assert.Null(dialogue.Next());
    }

    [Fact]
    public void Only_the_first_turn_is_asked_unless_all_are_wanted()
    {
        var dialogue = new Dialogue(ShippedModels.Nano, s_two, allTurns: false);
        Assert.NotNull(dialogue.Next());
        dialogue.Answer("One.");
        Assert.Null(dialogue.Next());
    }

    [Fact]
    public void A_conversation_is_one_turn_after_its_history()
    {
        Message[] messages =
            [new("system", "Be brief."), new("user", "First?"), new("assistant", "One."), new("user", "Second?")];
        var dialogue = new Dialogue(ShippedModels.Nano, new Prompt("1", "", ["First?", "Second?"], messages),
            allTurns: true, system: "Ignored.");
        Assert.Equal(Ids(messages), dialogue.Next());
        dialogue.Answer("Two.");
        Assert.Null(dialogue.Next());
    }

    [Fact]
    public void A_system_message_comes_before_the_first_turn() =>
        Assert.Equal(Ids(new("system", "Be brief."), new("user", "First?")),
            new Dialogue(ShippedModels.Nano, s_two, false, "Be brief.").Next());

    [Fact]
    public void A_raw_prompt_is_used_unchanged() =>
        Assert.Equal(ShippedModels.Nano.Tokenizer.Encode("First?", addSpecialTokens: true),
            new Dialogue(ShippedModels.Nano, new Prompt("1", "", ["First?"], null, Raw: true), false).Next());

    private static IReadOnlyList<int> Ids(params Message[] messages) => ShippedModels.Nano.Tokenizer.EncodeChat(messages);
}
