namespace Koala.Lab.Heads;

/// <summary>The part of a target's vocabulary that a head predicts over: the LM head is most of a draft step of a small target.</summary>
/// <param name="Tokens">The target's token of each of the head's own ids, rising.</param>
/// <param name="Whole">Size of the target's vocabulary.</param>
public sealed record DraftVocabulary(IReadOnlyList<int> Tokens, int Whole)
{
    /// <summary>A choice among the head's own ids as one among the target's; tokens outside have probability zero.</summary>
    public Choice OfTarget(Choice choice)
    {
        float[]? whole = null;
        if (choice.Distribution is { } part)
        {
            whole = new float[Whole];
            for (var i = 0; i < part.Length; i++) whole[Tokens[i]] = part[i];
        }
        return new Choice(Tokens[choice.Token], choice.Q, whole);
    }
}
