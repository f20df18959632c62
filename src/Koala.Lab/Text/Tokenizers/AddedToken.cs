namespace Koala.Lab.Text.Tokenizers;

/// <summary>A token in addition to the model's vocabulary. Text that is equal to it becomes its id.</summary>
/// <param name="Id">The id of the token.</param>
/// <param name="Content">The text of the token, not empty.</param>
/// <param name="Special">Whether decoding can leave it out.</param>
/// <param name="LeftStrip">Whether the token includes the white space before it.</param>
/// <param name="RightStrip">Whether the token includes the white space after it.</param>
/// <param name="SingleWord">Whether the token counts only if no letter, digit or underscore is next to it.</param>
/// <param name="Normalized">
/// Whether the token is looked for in the normalized text; otherwise it is looked for before the text is normalized.
/// </param>
internal sealed record AddedToken(
    int Id,
    string Content,
    bool Special,
    bool LeftStrip = false,
    bool RightStrip = false,
    bool SingleWord = false,
    bool Normalized = false);
