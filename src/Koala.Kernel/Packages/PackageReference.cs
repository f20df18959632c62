namespace Koala.Kernel.Packages;

/// <summary>A package that a notebook asks for.</summary>
/// <param name="Name">Its id; case does not matter.</param>
/// <param name="Version">As NuGet writes it: a minimum, <c>[exact]</c>, <c>*</c> for the newest.</param>
internal sealed record PackageReference(string Name, string Version);
