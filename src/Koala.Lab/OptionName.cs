namespace Koala.Lab;

/// <summary>An option that a message names, by its C# name: <c>$"set {new OptionName(nameof(Temperature))} to 0"</c>.</summary>
/// <param name="name">
/// The property or parameter that a caller sets; the path to it, <c>Adversary.Weight</c>, where its options are a property of other options.
/// </param>
/// <remarks>
/// A ref struct, so that the compiler refuses it in every interpolated string that is not a <see cref="MessageTemplate"/>: an ordinary string
/// could not be translated any more.
/// </remarks>
public readonly ref struct OptionName(string name)
{
    /// <summary>The C# name.</summary>
    public string Name { get; } = name;
}
