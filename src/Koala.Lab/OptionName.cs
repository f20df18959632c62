namespace Koala.Lab;

/// <summary>An option that a message names, by its C# name: <c>$"set {new OptionName(nameof(Temperature))} to 0"</c>.</summary>
/// <param name="name">
/// The name of the property or parameter that a caller sets, or the path to it, <c>Adversary.Weight</c>, if its options are a
/// property of other options.
/// </param>
/// <remarks>
/// It is a ref struct, so that the compiler refuses it in every interpolated string that is not a <see cref="MessageTemplate"/>:
/// an ordinary string could no longer be translated.
/// </remarks>
public readonly ref struct OptionName(string name)
{
    /// <summary>The C# name.</summary>
    public string Name { get; } = name;
}
