using Koala.Lab.Runtime;
using Microsoft.DotNet.Interactive;

namespace Koala.Lab.Interactive;

/// <summary>
/// Adds <c>#!koala</c> to .NET Interactive, which calls this class when a notebook asks for the package, and lets its interrupts end work
/// of the library. The formatters come with the package Koala.Lab.
/// </summary>
public sealed class KoalaExtension : IKernelExtension
{
    /// <inheritdoc/>
    public Task OnLoadAsync(Kernel kernel)
    {
        kernel.RootKernel.AddMiddleware(async (command, context, next) =>
        {
            CellInterrupt.Token = context.CancellationToken;
            await next(command, context);
        });
        kernel.RootKernel.AddDirective<KoalaDirective>(DirectiveDescription.Create(), (command, context) => command.RunAsync(context));
        return Task.CompletedTask;
    }
}
