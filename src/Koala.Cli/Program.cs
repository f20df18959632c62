using TorchSharp;
Console.WriteLine(Koala.Lab.Runtime.LibTorch.Origin + " " + Koala.Lab.Runtime.LibTorch.Folder);
Koala.Lab.Runtime.LibTorch.EnsureLoaded();
Console.WriteLine(torch.ones(3).sum().item<float>() + " " + Koala.Lab.Runtime.LibTorch.BindingsMended);
