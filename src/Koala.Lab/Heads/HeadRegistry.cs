using System.Collections.Concurrent;
using Koala.Lab.Checkpoints;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Targets;

namespace Koala.Lab.Heads;

/// <summary>The kinds of head by name: Koala's own kinds and those that users add.</summary>
public static class HeadRegistry
{
    private static readonly ConcurrentDictionary<string, HeadRegistration> s_kinds = new();

    static HeadRegistry()
    {
        Register<MedusaOptions>(MedusaOptions.KindName,
            MedusaHead.Create,
            (options, target, source) => MedusaStateDict.Read(source, options, target.Identity, target.Dtype, target.Device));
        Register<EagleOptions>(EagleOptions.KindName,
            EagleHead.Create,
            (options, target, source) => EagleStateDict.Read(source, options, target));
    }

    /// <summary>The names, in alphabetical order.</summary>
    public static IReadOnlyList<string> Names => [.. s_kinds.Keys.Order(StringComparer.Ordinal)];

    /// <summary>The types of the options, in the order of the names.</summary>
    internal static IEnumerable<Type> OptionTypes => Names.Select(name => s_kinds[name].OptionsType);

    /// <summary>
    /// Registers a kind. It replaces a kind of the same name, so that a notebook's cell can be run again.
    /// </summary>
    /// <typeparam name="TOptions">The options of the kind, a record that JSON can write and read.</typeparam>
    /// <param name="name">The name, which must equal <see cref="HeadOptions.Kind"/> of the options.</param>
    /// <param name="create">
    /// Creates a new head in fp32 on the target's device. Its random initial values follow from the seed.
    /// </param>
    /// <param name="read">
    /// Reads a head's file in the target's dtype and on its device. <see cref="DraftHead.ToStateDict"/> names the
    /// tensors of the file.
    /// </param>
    public static void Register<TOptions>(
        string name, Func<TOptions, Target, int, DraftHead> create, Func<TOptions, Target, ITensorSource, DraftHead> read)
        where TOptions : HeadOptions =>
        s_kinds[name] = new HeadRegistration(
            typeof(TOptions),
            (options, target, seed) => create((TOptions)options, target, seed),
            (options, target, source) => read((TOptions)options, target, source));

    internal static HeadRegistration? Find(string name) => s_kinds.GetValueOrDefault(name);

    internal static HeadRegistration Find(HeadOptions options) => Find(options.Kind)
        ?? throw new KoalaException($"the kind of head '{options.Kind}'",
            $"is not registered; the registered kinds are {string.Join(", ", Names)}",
            "register it with HeadRegistry.Register first");
}

/// <summary>How heads of a kind are created and read.</summary>
/// <param name="OptionsType">The type of the options.</param>
/// <param name="Create">Creates a new head.</param>
/// <param name="Read">Reads a head from its file.</param>
internal sealed record HeadRegistration(
    Type OptionsType,
    Func<HeadOptions, Target, int, DraftHead> Create,
    Func<HeadOptions, Target, ITensorSource, DraftHead> Read);
