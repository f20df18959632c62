# The decoder layers of the Llama family, in TorchScript's Python: one native call runs a whole step.
# Nothing is read on the host and shapes depend on (B, T, L) only, so that a step can be captured in a CUDA graph.
#
# B sequences, T new tokens each, N = B*T rows, D width, I inner width, L cache slots that attention looks at,
# H query heads, G key/value heads, R = H // G query heads for each of them, d head width.
# keys, values: one tensor per layer, [B*G*capacity,d]. cos, sin: [B,T,1,d], the first half of sin negated.
# mask: is added to the scores, [B or 1,1,R*T,L]. slots: cache rows of the new tokens, [B*G*T].
# bias: whether queries, keys and values have biases. qk_norm: whether queries and keys are normed.


def rms_norm(x, w, eps: float):
    return torch.rms_norm(x, [x.size(-1)], w, eps)


def tensors_per_layer(bias: bool, qk_norm: bool) -> int:
    # input_norm, qkv, o, post_norm, gate_up, down, then qkv_bias, then q_norm and k_norm where the family has them.
    return 6 + (1 if bias else 0) + (2 if qk_norm else 0)


def layer(x, h, w: List[Tensor], at: int, keys, values, cos, sin, mask, slots, B: int, L: int,
          H: int, G: int, d: int, eps: float, bias: bool, qk_norm: bool):
    # x: [N,D]. h: x after the input norm, or x itself where the layer has none. w[at]: the layer's qkv; the others follow it.
    T = x.size(0) // B
    R = H // G
    p = torch.linear(h, w[at])                                           # [N,(H+2G)*d]
    if bias:
        p = p + w[at + 5]
    qk = p[:, :(H + G) * d].view(B, T, H + G, d)
    if qk_norm:
        n = at + 6 if bias else at + 5
        qk = torch.cat([rms_norm(qk[:, :, :H], w[n], eps), rms_norm(qk[:, :, H:], w[n + 1], eps)], 2)
    qk = torch.addcmul(qk * cos, torch.roll(qk, d // 2, -1), sin)        # rotary embedding; roll swaps the halves
    keys.index_copy_(0, slots, qk[:, :, H:].transpose(1, 2).reshape(-1, d))
    values.index_copy_(0, slots, p[:, (H + G) * d:].view(B, T, G, d).transpose(1, 2).reshape(-1, d))
    k = keys.view(B, G, -1, d)[:, :, :L]                                 # [B,G,L,d]
    v = values.view(B, G, -1, d)[:, :, :L]                               # [B,G,L,d]
    # Query heads that share a key/value head are laid out as extra query rows, so that attention reads each key once.
    q = qk[:, :, :H].view(B, T, G, R, d).permute([0, 2, 3, 1, 4]).reshape(B, G, R * T, d)
    a = torch.scaled_dot_product_attention(q, k, v, mask)                # [B,G,R*T,d]
    a = a.view(B, G, R, T, d).permute([0, 3, 1, 2, 4]).reshape(B * T, H * d)
    x = x + torch.linear(a, w[at + 1])                                   # [N,D]
    u = torch.linear(rms_norm(x, w[at + 2], eps), w[at + 3])             # [N,2I]
    I = u.size(1) // 2
    return x + torch.linear(torch.silu(u[:, :I]) * u[:, I:], w[at + 4])


def target_states(x, w: List[Tensor], keys: List[Tensor], values: List[Tensor], cos, sin, mask, slots, B: int, L: int,
                  H: int, G: int, d: int, eps: float, bias: bool, qk_norm: bool):
    # x: embedded tokens, [N,D]. w: the layers' tensors one after another, then the final norm.
    # Returns the output of each layer, the last one after the final norm, [N,D] each.
    states: List[Tensor] = []
    for i in range(len(keys)):
        at = i * tensors_per_layer(bias, qk_norm) + 1
        h = rms_norm(x, w[at - 1], eps)
        x = layer(x, h, w, at, keys[i], values[i], cos, sin, mask, slots, B, L, H, G, d, eps, bias, qk_norm)
        states.append(x)
    states[len(keys) - 1] = rms_norm(x, w[len(w) - 1], eps)
    return states


def target_forward(x, w: List[Tensor], keys: List[Tensor], values: List[Tensor], cos, sin, mask, slots, B: int, L: int,
                   H: int, G: int, d: int, eps: float, bias: bool, qk_norm: bool):
    # As target_states, but returns only the last layer's output after the final norm, [N,D].
    for i in range(len(keys)):
        at = i * tensors_per_layer(bias, qk_norm) + 1
        h = rms_norm(x, w[at - 1], eps)
        x = layer(x, h, w, at, keys[i], values[i], cos, sin, mask, slots, B, L, H, G, d, eps, bias, qk_norm)
    return rms_norm(x, w[len(w) - 1], eps)


def head_forward(pairs, w: List[Tensor], keys: List[Tensor], values: List[Tensor], cos, sin, mask, slots, B: int, L: int,
                 H: int, G: int, d: int, eps: float, bias: bool, qk_norm: bool, pair_bias: bool):
    # pairs: embeddings and features concatenated, [N,2D]. w: the linear layer over them, its bias where it has one (pair_bias), the
    # layers' tensors one after another. The first layer has no input norm, and no norm follows the last one.
    # Returns the last layer's output, [N,D].
    x = torch.linear(pairs, w[0])                                        # [N,D]
    if pair_bias:
        x = x + w[1]
    for i in range(len(keys)):
        at = i * tensors_per_layer(bias, qk_norm) + (2 if pair_bias else 1)
        h = x if i == 0 else rms_norm(x, w[at - 1], eps)
        x = layer(x, h, w, at, keys[i], values[i], cos, sin, mask, slots, B, L, H, G, d, eps, bias, qk_norm)
    return x


def eagle3_forward(pairs, w: List[Tensor], keys: List[Tensor], values: List[Tensor], cos, sin, mask, slots, B: int, L: int,
                   H: int, G: int, d: int, eps: float, bias: bool, qk_norm: bool, norm_before_residual: bool):
    # pairs: embeddings and features concatenated, [N,2D]. w: the layers' tensors one after another, where the first layer has the
    # norm of the feature after that of the embedding. The attention of the first layer reads both norms, [N,2D].
    # Returns the last layer's output, [N,D].
    D = pairs.size(1) // 2
    x = pairs[:, D:]
    n = rms_norm(x, w[1], eps)
    h = torch.cat([rms_norm(pairs[:, :D], w[0], eps), n], 1)
    if norm_before_residual:
        x = n
    for i in range(len(keys)):
        at = i * tensors_per_layer(bias, qk_norm) + 2
        if i > 0:
            h = rms_norm(x, w[at - 1], eps)
        x = layer(x, h, w, at, keys[i], values[i], cos, sin, mask, slots, B, L, H, G, d, eps, bias, qk_norm)
    return x
