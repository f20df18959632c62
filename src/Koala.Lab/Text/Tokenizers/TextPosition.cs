namespace Koala.Lab.Text.Tokenizers;

/// <summary>Where a part of a text stands, on which depends whether a tokenizer puts a space before it.</summary>
internal enum TextPosition
{
    /// <summary>At the beginning of the text.</summary>
    Start,

    /// <summary>After an added token.</summary>
    AfterAddedToken,

    /// <summary>After other text, which it continues.</summary>
    Within,
}
