using Microsoft.DotNet.Interactive.Formatting;
using TorchSharp;

namespace Koala.Kernel.Display;

/// <summary>Writes a tensor as text of bounded size; TorchSharp's text of a 1000×1000 tensor has 100 KB.</summary>
internal static class TensorText
{
    private const long MaxElements = 400;
    private const long ShownPerDimension = 8;

    public static void Register()
    {
        Formatter.Register<torch.Tensor>(Render, MimeBundle.PlainText);
        Formatter.SetPreferredMimeTypesFor(typeof(torch.Tensor), MimeBundle.PlainText);
    }

    public static string Render(torch.Tensor tensor)
    {
        if (tensor.IsInvalid) return "a disposed tensor";
        if (tensor.numel() <= MaxElements) return tensor.ToString(TensorStringStyle.Julia).TrimEnd('\n');
        using var scope = torch.NewDisposeScope();
        var corner = tensor.detach();
        for (var dimension = 0; dimension < tensor.dim(); dimension++)
        {
            var shown = dimension < tensor.dim() - 2 ? 1 : ShownPerDimension;
            corner = corner.narrow(dimension, 0, Math.Min(tensor.shape[dimension], shown));
        }
        var values = corner.cpu().ToString(TensorStringStyle.Julia).TrimEnd('\n');
        return $"[{string.Join('x', tensor.shape)}], type = {tensor.dtype}, device = {tensor.device}; its first values:\n{values}";
    }
}
