#!/usr/bin/python3
# Makes families.json.gz: tiny random models of each family, with their logits and greedy tokens by an independent forward pass, written
# from the published architectures in plain PyTorch (float64, one sequence, head by head, nothing cached). Where transformers is
# installed, its model of the same config and weights is compared with it too. Needs PyTorch 1.13 or newer: families.py [OUT]
import gzip, json, math, os, sys, zlib
import numpy, torch

PROMPT = [3, 17, 42, 5, 29, 11, 61, 8, 23, 50, 2, 37]
NEW = 32
BASE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
        "vocab_size": 64, "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "rope_theta": 1000.0, "tie_word_embeddings": False,
        "eos_token_id": [1, 0]}
GEMMA = {"head_dim": 12, "hidden_activation": "gelu_pytorch_tanh", "tie_word_embeddings": True}


def family(architecture, model_type, **changes):
    return {**BASE, "architectures": [architecture], "model_type": model_type, **changes}


CASES = {
    "Llama 3": family("LlamaForCausalLM", "llama", rope_scaling={
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}),
    "Vicuna, linear": family("LlamaForCausalLM", "llama", num_key_value_heads=4, rope_scaling={"type": "linear", "factor": 4.0}),
    "TinyLlama, dynamic": family("LlamaForCausalLM", "llama", rope_scaling={"type": "dynamic", "factor": 2.0}),
    "Mistral, window": family("MistralForCausalLM", "mistral", sliding_window=5),
    "Qwen2, upper layers with a window": family("Qwen2ForCausalLM", "qwen2", use_sliding_window=True, sliding_window=6, max_window_layers=2),
    "Qwen2.5, yarn": family("Qwen2ForCausalLM", "qwen2", tie_word_embeddings=True, rope_scaling={
        "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}),
    "Qwen3": family("Qwen3ForCausalLM", "qwen3", head_dim=12),
    "SmolLM3": family("SmolLM3ForCausalLM", "smollm3", no_rope_layers=[1, 1, 0, 1], tie_word_embeddings=True),
    # With a tied output layer a small random model repeats its last token.
    "Gemma": family("GemmaForCausalLM", "gemma", **{**GEMMA, "tie_word_embeddings": False}),
    "Gemma 2": family("Gemma2ForCausalLM", "gemma2", **GEMMA, sliding_window=4, query_pre_attn_scalar=20, attn_logit_softcapping=2.0,
                      final_logit_softcapping=3.0),
    "Gemma 3": family("Gemma3ForCausalLM", "gemma3_text", **GEMMA, sliding_window=4, sliding_window_pattern=2, query_pre_attn_scalar=16,
                      rope_local_base_freq=50.0, rope_scaling={"rope_type": "linear", "factor": 8.0}),
    "Phi-3, longrope": family("Phi3ForCausalLM", "phi3", sliding_window=7, original_max_position_embeddings=48, rope_scaling={
        "type": "longrope", "short_factor": [1.0, 1.5, 2.0, 3.5], "long_factor": [2.0, 3.0, 4.0, 5.0]}),
    "Phi-4-mini, partly rotated": family(
        "Phi3ForCausalLM", "phi3", partial_rotary_factor=0.75, tie_word_embeddings=True, sliding_window=None,
        original_max_position_embeddings=48, rope_scaling={
        "type": "longrope", "short_factor": [1.0, 1.5, 2.5], "long_factor": [2.0, 3.0, 4.0]}),
}


def numbers(name, shape):
    """Numbers from -0.5 to 0.5 that follow from the tensor's name alone; the test computes the same."""
    x = numpy.arange(int(numpy.prod(shape)), dtype=numpy.uint64) * 2654435761 + zlib.crc32(name.encode()) & 0xffffffff
    for shift, factor in ((16, 0x85ebca6b), (13, 0xc2b2ae35), (16, 1)):
        x = (x ^ x >> numpy.uint64(shift)) * factor & 0xffffffff
    return torch.tensor((x.astype(numpy.float64) / 2**32 - 0.5).reshape(shape))


def weight(name, shape, seed, add_one):
    """Weights of norms are around 1, or around 0 where 1 is added; those of matrices have a standard deviation of 1 / sqrt(inputs)."""
    x = numbers(f"{seed} {name}", shape)
    x = x * 0.5 + (0 if add_one else 1) if name.endswith("norm.weight") else x if len(shape) == 1 else x * math.sqrt(12 / shape[1])
    return x.float()


def shapes(c):
    D, I, H, G = c["hidden_size"], c["intermediate_size"], c["num_attention_heads"], c["num_key_value_heads"]
    d = c.get("head_dim", D // H)
    yield "model.embed_tokens.weight", (c["vocab_size"], D)
    yield "model.norm.weight", (D,)
    if not c["tie_word_embeddings"]:
        yield "lm_head.weight", (c["vocab_size"], D)
    for i in range(c["num_hidden_layers"]):
        a, m, n = (f"model.layers.{i}.{part}" for part in ("self_attn.", "mlp.", ""))
        yield n + "input_layernorm.weight", (D,)
        yield n + "post_attention_layernorm.weight", (D,)
        if c["model_type"] in ("gemma2", "gemma3_text"):
            yield n + "pre_feedforward_layernorm.weight", (D,)
            yield n + "post_feedforward_layernorm.weight", (D,)
        if c["model_type"] == "phi3":
            yield a + "qkv_proj.weight", ((H + 2 * G) * d, D)
            yield m + "gate_up_proj.weight", (2 * I, D)
        else:
            for part, heads in (("q", H), ("k", G), ("v", G)):
                yield f"{a}{part}_proj.weight", (heads * d, D)
                if c["model_type"] == "qwen2":
                    yield f"{a}{part}_proj.bias", (heads * d,)
            yield m + "gate_proj.weight", (I, D)
            yield m + "up_proj.weight", (I, D)
        yield a + "o_proj.weight", (D, H * d)
        yield m + "down_proj.weight", (D, I)
        if c["model_type"] in ("qwen3", "gemma3_text"):
            yield a + "q_norm.weight", (d,)
            yield a + "k_norm.weight", (d,)


def frequencies(c, d, local):
    """Radians per position of each pair of d components, and the factor of the rotations."""
    theta = c.get("rope_local_base_freq", c["rope_theta"]) if local else c["rope_theta"]
    plain = [theta ** (-2 * i / d) for i in range(d // 2)]
    rope = c.get("rope_scaling")
    if rope is None or (local and c["model_type"] == "gemma3_text"):
        return plain, 1.0
    kind = rope.get("rope_type", rope.get("type"))
    if kind == "linear":
        return [f / rope["factor"] for f in plain], 1.0
    if kind == "llama3":
        result = []
        for f in plain:
            turns = f * rope["original_max_position_embeddings"] / (2 * math.pi)
            kept = (turns - rope["low_freq_factor"]) / (rope["high_freq_factor"] - rope["low_freq_factor"])
            kept = min(max(kept, 0), 1)
            result.append(f * kept + f / rope["factor"] * (1 - kept))
        return result, 1.0
    if kind == "yarn":
        def pair(turns):
            return d * math.log(rope["original_max_position_embeddings"] / (turns * 2 * math.pi)) / (2 * math.log(theta))
        low, high = max(math.floor(pair(32)), 0), min(math.ceil(pair(1)), d - 1)
        if low == high:
            high += 0.001
        ramp = [min(max((i - low) / (high - low), 0), 1) for i in range(d // 2)]
        return [f * (1 - r) + f / rope["factor"] * r for f, r in zip(plain, ramp)], 0.1 * math.log(rope["factor"]) + 1
    if kind == "longrope":
        original = c["original_max_position_embeddings"]
        factor = math.sqrt(1 + math.log(c["max_position_embeddings"] / original) / math.log(original))
        return [f / s for f, s in zip(plain, rope["short_factor"])], factor
    return plain, 1.0   # dynamic scaling begins behind max_position_embeddings


def window(c, i):
    kind = c["model_type"]
    if kind in ("mistral", "phi3"):
        return c["sliding_window"]
    if kind == "qwen2" and c.get("use_sliding_window") and i >= c["max_window_layers"]:
        return c["sliding_window"]
    if kind == "gemma2" and i % 2 == 0 or kind == "gemma3_text" and (i + 1) % c["sliding_window_pattern"] != 0:
        return c["sliding_window"]
    return None


def forward(c, w, tokens):
    H, G = c["num_attention_heads"], c["num_key_value_heads"]
    d = c.get("head_dim", c["hidden_size"] // H)
    gemma = c["model_type"].startswith("gemma")
    sandwich = c["model_type"] in ("gemma2", "gemma3_text")
    T = len(tokens)

    def norm(x, name):
        scale = w[name] + 1 if gemma else w[name]
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + c["rms_norm_eps"]) * scale

    def linear(x, name):
        y = x @ w[name + ".weight"].T
        return y + w[name + ".bias"] if name + ".bias" in w else y

    def cap(x, key):
        return c[key] * torch.tanh(x / c[key]) if c.get(key) else x

    x = w["model.embed_tokens.weight"][torch.tensor(tokens)] * (math.sqrt(c["hidden_size"]) if gemma else 1)
    for i in range(c["num_hidden_layers"]):
        at, width = f"model.layers.{i}.", window(c, i)
        h = norm(x, at + "input_layernorm.weight")
        if c["model_type"] == "phi3":
            q, k, v = linear(h, at + "self_attn.qkv_proj").split([H * d, G * d, G * d], -1)
        else:
            q, k, v = (linear(h, f"{at}self_attn.{part}_proj") for part in "qkv")
        rotated = int(d * c.get("partial_rotary_factor", 1))
        freqs, factor = frequencies(c, rotated, width is not None)
        angles = torch.arange(T, dtype=torch.float64)[:, None] * torch.tensor(freqs, dtype=torch.float64)[None]
        cos, sin = angles.cos() * factor, angles.sin() * factor

        def head(rows, number, norm_name):
            r = rows[:, number * d:(number + 1) * d]
            if at + norm_name in w:
                r = norm(r, at + norm_name)
            if c.get("no_rope_layers", [1] * 99)[i] == 0:
                return r
            a, b = r[:, :rotated // 2], r[:, rotated // 2:rotated]
            return torch.cat([a * cos - b * sin, b * cos + a * sin, r[:, rotated:]], -1)

        heads = []
        for number in range(H):
            shared = number // (H // G)
            scores = head(q, number, "self_attn.q_norm.weight") @ head(k, shared, "self_attn.k_norm.weight").T
            scores = cap(scores / math.sqrt(c.get("query_pre_attn_scalar", d)), "attn_logit_softcapping")
            rows, columns = torch.arange(T)[:, None], torch.arange(T)[None]
            hidden = columns > rows
            if width is not None:
                hidden |= columns <= rows - width
            heads.append(scores.masked_fill(hidden, -math.inf).softmax(-1) @ v[:, shared * d:(shared + 1) * d])
        a = linear(torch.cat(heads, -1), at + "self_attn.o_proj")
        x = x + (norm(a, at + "post_attention_layernorm.weight") if sandwich else a)
        h = norm(x, at + ("pre_feedforward_layernorm.weight" if sandwich else "post_attention_layernorm.weight"))
        if c["model_type"] == "phi3":
            g, u = linear(h, at + "mlp.gate_up_proj").chunk(2, -1)
        else:
            g, u = linear(h, at + "mlp.gate_proj"), linear(h, at + "mlp.up_proj")
        g = 0.5 * g * (1 + torch.tanh(math.sqrt(2 / math.pi) * (g + 0.044715 * g ** 3))) if gemma else g * torch.sigmoid(g)
        f = linear(g * u, at + "mlp.down_proj")
        x = x + (norm(f, at + "post_feedforward_layernorm.weight") if sandwich else f)
    x = norm(x, "model.norm.weight")
    head = "model.embed_tokens.weight" if c["tie_word_embeddings"] else "lm_head.weight"
    return cap(x @ w[head].T, "final_logit_softcapping")


def compare_with_transformers(name, c, w, logits):
    try:
        from transformers import AutoConfig, AutoModelForCausalLM
    except ImportError:
        return
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        # Some families' defaults name tokens that so small a vocabulary lacks.
        config = {**c, "pad_token_id": None, "bos_token_id": None}
        json.dump(config, open(os.path.join(folder, "config.json"), "w"))
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), attn_implementation="eager").eval()
    model.load_state_dict({n: t.float() for n, t in w.items()}, strict=False)
    with torch.no_grad():
        apart = (model(torch.tensor([PROMPT])).logits[0] - logits).abs().max().item()
    print(f"{name}: {apart:.1e} from transformers")
    assert apart < 2e-3, name


def main():
    result = {}
    for name, c in CASES.items():
        # The first seed whose greedy answer has no near ties, so that rounding decides nothing.
        for seed in range(1000):
            w = {n: weight(n, s, seed, c["model_type"].startswith("gemma")).double() for n, s in shapes(c)}
            tokens, gap = list(PROMPT), math.inf
            for _ in range(NEW):
                best = forward(c, w, tokens)[-1].topk(2)
                gap = min(gap, (best.values[0] - best.values[1]).item())
                if gap < 0.02:
                    break
                tokens.append(best.indices[0].item())
            if gap >= 0.02 and len(set(tokens[len(PROMPT):])) > 8:
                break
        logits = forward(c, w, PROMPT)
        compare_with_transformers(name, c, w, logits)
        result[name] = {"config": c, "seed": seed, "logits": [round(x, 4) for x in logits[-1].tolist()], "greedy": tokens[len(PROMPT):]}
        print(f"{name}: seed {seed}, smallest gap {gap:.3f}, {len(set(result[name]['greedy']))} different tokens")
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "families.json.gz")
    data = json.dumps({"prompt": PROMPT, "cases": result}, separators=(",", ":")).encode()
    with open(out, "wb") as file:
        file.write(gzip.compress(data, 9, mtime=0))


main()
