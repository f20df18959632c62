using Koala.Lab.Text.Chat;

namespace Koala.Lab.Tests.Text;

public sealed class MultiTurnChatTests
{
    private static readonly Message s_first = new("user", "First?");
    private static readonly Message s_second = new("user", "Second?");

    [Fact]
    public void Each_turn_follows_the_answers_before_it()
    {
        var chat = new MultiTurnChat([], [s_first, s_second], null);
        Assert.Empty(chat.Messages);
        Assert.Equal([s_first], chat.Prompt!);
        chat.Answer("One.");
        Assert.Equal([s_first, new("assistant", "One.")], chat.Messages);
        Assert.Equal([s_first, new("assistant", "One."), s_second], chat.Prompt!);
        chat.Answer("Two.");
        Assert.Equal([s_first, new("assistant", "One."), s_second, new("assistant", "Two.")], chat.Messages);
        Assert.Null(chat.Prompt);
        Assert.Throws<InvalidOperationException>(() => chat.Answer("Three."));
    }

    [Fact]
    public void What_is_given_is_said_already()
    {
        Message[] given = [s_first, new("assistant", "One.")];
        var chat = new MultiTurnChat(given, [s_second], null);
        Assert.Equal(given, chat.Messages);
        Assert.Equal([.. given, s_second], chat.Prompt!);
    }

    [Fact]
    public void A_system_message_comes_first_unless_the_chat_has_its_own()
    {
        Message asked = new("system", "Be brief."), own = new("system", "Be kind.");
        Assert.Equal([asked, s_first], new MultiTurnChat([], [s_first], "Be brief.").Prompt!);
        Assert.Equal([own, s_first], new MultiTurnChat([own], [s_first], "Be brief.").Prompt!);
        Assert.Equal([s_first], new MultiTurnChat([], [s_first, own, s_second], "Be brief.").Prompt!);
    }

    [Fact]
    public void A_system_message_between_two_turns_follows_the_answer_to_the_first()
    {
        Message between = new("system", "Be kind.");
        var chat = new MultiTurnChat([], [s_first, between, s_second, between], null);
        chat.Answer("One.");
        Assert.Equal([s_first, new("assistant", "One."), between, s_second], chat.Prompt!);
        chat.Answer("Two.");
        Assert.Null(chat.Prompt);
        Assert.Equal("Two.", chat.Messages[^1].Content);
    }
}
