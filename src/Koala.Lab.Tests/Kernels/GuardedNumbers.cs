using Koala.Lab.Kernels;

namespace Koala.Lab.Tests.Kernels;

/// <summary>
/// fp32 numbers for a kernel, between guards. The guards are not numbers, so a kernel that computes with what lies beside its numbers
/// shows in its result, and one that writes there shows in the guards.
/// </summary>
internal sealed unsafe class GuardedNumbers : IDisposable
{
    // At least the widest group of vectors that a kernel loads or stores at once.
    private const int Guards = 128;
    private const int Guard = 0x7FC0BEEF;

    private readonly NativeBuffer _memory;

    /// <summary>Numbers that nobody has written yet: they are guards too.</summary>
    public GuardedNumbers(int count)
    {
        Count = count;
        _memory = new NativeBuffer((count + 2L * Guards) * sizeof(float));
        All.Fill(BitConverter.Int32BitsToSingle(Guard));
    }

    public GuardedNumbers(ReadOnlySpan<float> numbers)
        : this(numbers.Length) => numbers.CopyTo(Numbers);

    public int Count { get; }

    public float* Address => _memory.Floats + Guards;

    public Span<float> Numbers => new(Address, Count);

    private Span<float> All => new(_memory.Floats, Count + 2 * Guards);

    /// <summary>Whether nobody has written a number.</summary>
    public static bool IsGuard(float number) => BitConverter.SingleToInt32Bits(number) == Guard;

    /// <summary>Asserts that nobody has written beside the numbers.</summary>
    public void AssertGuards(string what)
    {
        for (var i = 0; i < Guards; i++)
            if (!IsGuard(All[i]) || !IsGuard(All[^(i + 1)])) Assert.Fail($"{what}: written beside the numbers");
    }

    public void Dispose() => _memory.Dispose();
}
