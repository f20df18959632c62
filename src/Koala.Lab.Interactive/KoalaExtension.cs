using Microsoft.DotNet.Interactive;

namespace Koala.Lab.Interactive;

/// <summary>
/// Adds <c>#!koala</c> to .NET Interactive, which calls this class when a notebook asks for the package. The formatters come with the
/// package Koala.Lab.
/// </summary>
public sealed class KoalaExtension : IKernelExtension
{
    /// <inheritdoc/>
    public Task OnLoadAsync(Kernel kernel)
    {
        kernel.RootKernel.AddDirective<KoalaDirective>(DirectiveDescription.Create(), (command, context) => command.RunAsync(context));
        return Task.CompletedTask;
    }
}
