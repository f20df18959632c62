namespace Koala.Kernel.Scripting;

/// <summary>
/// The value that <see cref="CSharpSession.AssignAsync"/> gives to a variable. The code that declares the variable reads it; nobody
/// writes that code by hand.
/// </summary>
public static class AssignedValue
{
    /// <summary>The value of the declaration that runs.</summary>
    public static object? Current { get; internal set; }
}
