namespace Koala.Lab.Tests;

public sealed class KoalaExceptionTests
{
    [Fact]
    public void A_message_says_where_what_and_how_to_fix_it()
    {
        var e = new KoalaException("a.json", $"has {3} tensors and {0.26:F1} more, but {"two"} are expected",
            "get the file again");
        Assert.Equal("a.json: has 3 tensors and 0.3 more, but two are expected. Fix: get the file again.", e.Message);
        Assert.Equal(("a.json", "get the file again", null), (e.Where, e.Fix, e.Option));
        Assert.Equal(e.Message, e.MessageWith(name => throw new InvalidOperationException(name)));
    }

    [Fact]
    public void Messages_name_options_in_CSharp_or_as_the_caller_spells_them()
    {
        var e = KoalaException.ForOption("MaxTokens", $"is 0, but {new OptionName("Tree.TopK")} is 3",
            $"set {new OptionName("Seed")}");
        Assert.Equal("maxTokens: is 0, but tree.topK is 3. Fix: set seed.", e.Message);
        Assert.Equal("MaxTokens", e.Option);
        Assert.Equal("<MaxTokens>: is 0, but <Tree.TopK> is 3. Fix: set seed.",
            e.MessageWith(name => name == "Seed" ? null : $"<{name}>"));
    }

    [Fact]
    public void Adding_the_location_later_leaves_option_names_unchanged()
    {
        var cause = KoalaException.ForOption("TopP", "is 2", $"lower {new OptionName("TopP")}");
        var e = cause.Within("line 4", cause);
        Assert.Equal("line 4: topP: is 2. Fix: lower topP.", e.Message);
        Assert.Equal("line 4: --top-p: is 2. Fix: lower --top-p.", e.MessageWith(_ => "--top-p"));
        Assert.Equal(("TopP", cause), (e.Option, e.InnerException));
    }
}
