namespace Koala.Kernel.Packages;

/// <summary>A package that a notebook requests.</summary>
/// <param name="Name">The id of the package; case does not matter.</param>
/// <param name="Version">
/// The version in NuGet's notation: a minimum, <c>[exact]</c>, or <c>*</c> for the newest.
/// </param>
internal sealed record PackageReference(string Name, string Version);
