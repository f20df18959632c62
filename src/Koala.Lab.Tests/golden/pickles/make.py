"""Makes tensors.pt (an archive) and tensors-old.pt (the older stream) in a folder: make.py FOLDER. Needs PyTorch; 1.13 made those here."""
import collections
import sys

import torch

base = torch.arange(24, dtype=torch.float32)
module = torch.nn.Linear(2, 1)
with torch.no_grad():
    module.weight.copy_(base[:2].view(1, 2))
    module.bias.copy_(base[5:6])

tensors = collections.OrderedDict()
for name in "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8".split():
    tensors[name] = torch.arange(6).to(getattr(torch, name)).view(2, 3)
tensors["bool"] = torch.tensor([True, False, True])
tensors["offset"] = base[6:12]
tensors["transposed"] = base.view(4, 6).t()
tensors["strided"] = base[1::5]
tensors["expanded"] = base[3:4].expand(4)
tensors["scalar"] = torch.tensor(7.0)
tensors["empty"] = torch.zeros(0, 3)
tensors["parameter"] = torch.nn.Parameter(base[2:4].clone())
everything = {"tensors": tensors, "module": module.state_dict(), "epoch": 3, "losses": [1.5, None, torch.tensor([9.0])], "name": "é"}
torch.save(everything, f"{sys.argv[1]}/tensors.pt")
torch.save(everything, f"{sys.argv[1]}/tensors-old.pt", _use_new_zipfile_serialization=False)
