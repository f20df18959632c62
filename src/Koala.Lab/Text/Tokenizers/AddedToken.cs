namespace Koala.Lab.Text.Tokenizers;

/// <summary>A token beside the model's vocabulary: text that spells it becomes this one id.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Content">The text that spells it, not empty.</param>
/// <param name="Special">Whether decoding can leave it out.</param>
/// <param name="LeftStrip">Whether it takes the white space before it.</param>
/// <param name="RightStrip">Whether it takes the white space after it.</param>
/// <param name="SingleWord">Whether it counts only where no letter, digit or underscore touches it.</param>
/// <param name="Normalized">Whether it is looked for after the text was normalized (else before).</param>
internal sealed record AddedToken(
    int Id, string Content, bool Special, bool LeftStrip = false, bool RightStrip = false, bool SingleWord = false, bool Normalized = false);
