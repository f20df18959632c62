using Microsoft.DotNet.Interactive.Formatting;
using TorchSharp;

namespace Koala.Kernel.Display;

/// <summary>A tensor as text of bounded size: TorchSharp's own of 1000×1000 has 100 KB.</summary>
internal static class TensorText
{
    private const long ShownWhole = 400;
    private const long ShownOfEachDimension = 8;

    public static void Register()
    {
        Formatter.Register<torch.Tensor>(Render, MimeBundle.PlainText);
        Formatter.SetPreferredMimeTypesFor(typeof(torch.Tensor), MimeBundle.PlainText);
    }

    public static string Render(torch.Tensor tensor)
    {
        if (tensor.IsInvalid) return "a tensor that is disposed";
        if (tensor.numel() <= ShownWhole) return tensor.ToString(TensorStringStyle.Julia).TrimEnd('\n');
        using var scope = torch.NewDisposeScope();
        var corner = tensor.detach();
        for (var dimension = 0; dimension < tensor.dim(); dimension++)
            corner = corner.narrow(dimension, 0, Math.Min(tensor.shape[dimension], dimension < tensor.dim() - 2 ? 1 : ShownOfEachDimension));
        return $"[{string.Join('x', tensor.shape)}], type = {tensor.dtype}, device = {tensor.device}; its first values:\n{corner.cpu().ToString(TensorStringStyle.Julia).TrimEnd('\n')}";
    }
}
