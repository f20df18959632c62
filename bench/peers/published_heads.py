"""An independent reference of draft heads in the formats of other projects, in plain PyTorch (1.13 or newer, nothing else).

    python3 bench/peers/published_heads.py OUT.json [FOLDER]

writes what the heads of CASES predict after a prompt to OUT.json, and with FOLDER the heads themselves as torch.save writes them. The
target is checkpoints/koala-nano; its hidden states are those that transformers recorded (koala-nano.safetensors.gz in
src/Koala.Lab.Tests/golden). Weights are a formula of their place (weights_of), so that a test can make the same heads without PyTorch.
"""
import gzip
import json
import math
import pathlib
import struct
import sys

import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
H, V, HEADS, KV, D, INNER, EPS, THETA = 64, 512, 4, 2, 16, 24, 1e-5, 10000.0
VD = 40          # the size of the draft vocabulary
PROMPT = 20      # tokens of the prompt, the last one is the root
NEXT = [17, 301]  # the tokens drafted after the root, which the head continues from

CASES = {
    "medusa": dict(kind="medusa", heads=3, layers=2, names="{h}.{k}.linear.{p}", lm_head="{h}.2.weight", bias=True),
    "medusa-vllm": dict(kind="medusa", heads=2, layers=1, names="blocks.{h}.layers.{k}.{p}", lm_head="lm_head.weight", bias=False),
    "medusa-blocks-only": dict(kind="medusa", heads=2, layers=1, names="medusa_head.{h}.{k}.linear.{p}", lm_head=None, bias=True),
    "eagle": dict(kind="eagle", layers=1, bias=True),
    "eagle-k2": dict(kind="eagle", layers=2, bias=False),
    "eagle3": dict(kind="eagle3", layers=1, midlayer=True),
    "eagle3-speculators": dict(kind="eagle3", layers=2, norm_before_residual=True),
    "eagle3-norms": dict(kind="eagle3", layers=1, fc_norm=True, norm_output=True),
    "eagle3-norm-before-fc": dict(kind="eagle3", layers=1, norm_before_fc=True),
}
IDS = [1, 2, 3]  # the states that enter these layers of koala-nano, which has 4


def read(path):
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    types = {"F32": torch.float32, "BF16": torch.bfloat16, "I64": torch.int64, "I32": torch.int32}
    return {name: torch.frombuffer(bytearray(data[slice(*x["data_offsets"])]), dtype=types[x["dtype"]]).view(x["shape"])
            for name, x in header.items() if name != "__metadata__"}


def weights_of(shape, place):
    """Matrices have rows of about unit gain, norms are near one."""
    i = torch.arange(math.prod(shape), dtype=torch.float64).view(shape)
    wave = torch.sin(i * 12.9898 + place * 78.233) * 43758.5453
    noise = wave - wave.floor() - 0.5
    return (noise * (3.0 / math.sqrt(shape[-1])) if len(shape) == 2 else 1 + noise * 0.3).float()


def shapes_of(case):
    c = CASES[case]
    if c["kind"] == "medusa":
        shapes = {}
        for h in range(c["heads"]):
            for k in range(c["layers"]):
                shapes[c["names"].format(h=h, k=k, p="weight")] = [H, H]
                if c["bias"]:
                    shapes[c["names"].format(h=h, k=k, p="bias")] = [H]
            if c["lm_head"]:
                shapes[c["lm_head"].format(h=h)] = [V, H]
        return shapes
    three = c["kind"] == "eagle3"
    shapes = {"fc.weight": [H, 3 * H if three else 2 * H]}
    if c.get("bias"):
        shapes["fc.bias"] = [H]
    for i in range(c["layers"]):
        at = "midlayer." if c.get("midlayer") else f"layers.{i}."
        width = 2 * H if three and i == 0 else H
        for name, rows in (("q", HEADS * D), ("k", KV * D), ("v", KV * D)):
            shapes[f"{at}self_attn.{name}_proj.weight"] = [rows, width]
        shapes[f"{at}self_attn.o_proj.weight"] = [H, HEADS * D]
        shapes[f"{at}mlp.gate_proj.weight"] = shapes[f"{at}mlp.up_proj.weight"] = [INNER, H]
        shapes[f"{at}mlp.down_proj.weight"] = [H, INNER]
        shapes[f"{at}post_attention_layernorm.weight"] = [H]
        if three or i > 0:
            shapes[f"{at}input_layernorm.weight"] = [H]
        if three and i == 0:
            shapes[f"{at}hidden_norm.weight"] = [H]
    if three:
        shapes["norm.weight"] = [H]
        shapes["lm_head.weight"] = [VD, H]
    if c.get("norm_before_fc"):
        shapes["input_norm.weight"] = [3 * H]
    if c.get("fc_norm"):
        shapes.update({f"fc_norm.{i}.weight": [H] for i in range(3)})
    return shapes


def rms(x, weight):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS) * weight


def rotate(x, positions):
    angles = positions[:, None] * THETA ** (-torch.arange(0, D, 2, dtype=torch.float32) / D)
    cos, sin = torch.cat([angles.cos()] * 2, 1)[:, None], torch.cat([angles.sin()] * 2, 1)[:, None]
    return x * cos + torch.cat([-x[..., D // 2:], x[..., :D // 2]], -1) * sin


def layer(w, at, residual, read_by_attention):
    count = residual.shape[0]
    positions = torch.arange(count, dtype=torch.float32)
    q, k, v = (read_by_attention @ w[f"{at}self_attn.{n}_proj.weight"].T for n in "qkv")
    q, k, v = (x.view(count, -1, D) for x in (q, k, v))
    q, k = rotate(q, positions), rotate(k, positions)
    k, v = (x.repeat_interleave(HEADS // KV, 1) for x in (k, v))
    scores = torch.einsum("qhd,khd->hqk", q, k) / math.sqrt(D)
    scores = scores.masked_fill(torch.ones(count, count).triu(1).bool(), -math.inf)
    attended = torch.einsum("hqk,khd->qhd", scores.softmax(-1), v).reshape(count, -1)
    x = residual + attended @ w[f"{at}self_attn.o_proj.weight"].T
    y = rms(x, w[f"{at}post_attention_layernorm.weight"])
    y = torch.nn.functional.silu(y @ w[f"{at}mlp.gate_proj.weight"].T) * (y @ w[f"{at}mlp.up_proj.weight"].T)
    return x + y @ w[f"{at}mlp.down_proj.weight"].T


def eagle(case, w, features, tokens, embedding, lm_head):
    """Logits after the committed pairs, and after each of NEXT from the head's own output."""
    c, logits = CASES[case], []
    three = c["kind"] == "eagle3"
    if three:
        states = features
        if c.get("norm_before_fc"):
            states = rms(states, w["input_norm.weight"])
        if c.get("fc_norm"):
            states = torch.cat([rms(s, w[f"fc_norm.{i}.weight"]) for i, s in enumerate(states.split(H, 1))], 1)
        features = states @ w["fc.weight"].T
    for follow in [None] + NEXT:
        if follow is not None:
            features, tokens = torch.cat([features, output[-1:]]), tokens + [follow]
        e, f = embedding[torch.tensor(tokens)], features
        if three:
            first = "midlayer." if c.get("midlayer") else "layers.0."
            normed = rms(f, w[f"{first}hidden_norm.weight"])
            x = layer(w, first, normed if c.get("norm_before_residual") else f,
                      torch.cat([rms(e, w[f"{first}input_layernorm.weight"]), normed], 1))
        else:
            x = torch.cat([e, f], 1) @ w["fc.weight"].T + w.get("fc.bias", torch.zeros(H))
            x = layer(w, "layers.0.", x, x)
        for i in range(1, c["layers"]):
            x = layer(w, f"layers.{i}.", x, rms(x, w[f"layers.{i}.input_layernorm.weight"]))
        normed = rms(x, w["norm.weight"]) if three else x
        output = normed if c.get("norm_output") else x
        logits.append(normed[-1] @ (w["lm_head.weight"] if three else lm_head).T)
    return logits


def medusa(case, w, feature, lm_head):
    c, logits = CASES[case], []
    for h in range(c["heads"]):
        x = feature
        for k in range(c["layers"]):
            y = w[c["names"].format(h=h, k=k, p="weight")] @ x
            x = x + torch.nn.functional.silu(y + w[c["names"].format(h=h, k=k, p="bias")] if c["bias"] else y)
        logits.append((w[c["lm_head"].format(h=h)] if c["lm_head"] else lm_head) @ x)
    return logits


def config_of(case):
    c = CASES[case]
    if c["kind"] == "medusa":  # the head count of published configs is wrong
        return {"medusa_num_heads": 9, "medusa_num_layers": 1} if c["bias"] else {"model_type": "medusa", "num_heads": c["heads"]}
    sizes = {"model_type": "llama", "hidden_size": H, "num_attention_heads": HEADS, "num_key_value_heads": 3, "num_hidden_layers": 40,
             "rms_norm_eps": EPS, "rope_theta": THETA, "vocab_size": V, "intermediate_size": INNER}
    if c["kind"] == "eagle":
        return {"architectures": ["LlamaForCausalLM"], "bias": c["bias"], **sizes}
    flags = {"eagle_aux_hidden_state_layer_ids": IDS, "draft_vocab_size": VD,
             "norm_before_residual": c.get("norm_before_residual", False), "norm_output": c.get("norm_output", False)}
    if c.get("midlayer"):
        return {"architectures": ["LlamaForCausalLMEagle3"], **sizes, **flags}
    return {"architectures": ["Eagle3Speculator"], "speculators_model_type": "eagle3", "transformer_layer_config": sizes, **flags}


def main(out, folder=None):
    golden = read(ROOT / "src/Koala.Lab.Tests/golden/koala-nano.safetensors.gz")
    target = {name: x.float() for name, x in read(ROOT / "checkpoints/koala-nano/model.safetensors").items()}
    embedding = target["model.embed_tokens.weight"]
    lm_head = target.get("lm_head.weight", embedding)
    ids = golden["ids"].view(-1).tolist()[:PROMPT]
    d2t = torch.arange(VD) * 11 + 5 - torch.arange(VD)
    result = {"ids": ids, "next": NEXT, "cases": {}}
    for case, c in CASES.items():
        shapes = shapes_of(case)
        w = {name: weights_of(shape, place) for place, (name, shape) in enumerate(shapes.items())}
        if c["kind"] == "medusa":
            logits = medusa(case, w, golden["hidden.4"].view(-1, H)[PROMPT - 2], lm_head)
        else:
            states = [golden[f"hidden.{i}"] for i in IDS] if c["kind"] == "eagle3" else [golden["hidden.4"]]
            features = torch.cat([s.view(-1, H)[:PROMPT - 1].float() for s in states], 1)
            logits = eagle(case, w, features, ids[1:], embedding, lm_head)
        result["cases"][case] = {
            "config": config_of(case), "shapes": shapes,
            "logits": [[round(x, 5) for x in step[:12].tolist()] for step in logits],
            "best": [int(step.argmax()) for step in logits],
        }
        if folder:
            path = pathlib.Path(folder) / case
            path.mkdir(parents=True)
            extra = {"d2t": d2t} if c["kind"] == "eagle3" else {"embed_tokens.weight": embedding.half()} if c["kind"] == "eagle" else {}
            torch.save({**w, **extra}, path / ("medusa_lm_head.pt" if c["kind"] == "medusa" else "pytorch_model.bin"))
            (path / "config.json").write_text(json.dumps(config_of(case)))
    text = json.dumps(result, separators=(",", ":"))
    pathlib.Path(out).write_text(text + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
