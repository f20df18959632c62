# The decoder layers of the Llama family, in TorchScript's Python: one native call runs a whole step.
# Nothing is read on the host and shapes depend on (B, T, L) only, so that a step can be captured in a CUDA graph.
#
# B sequences, T new tokens each, N = B*T rows, D width, I inner width, L cache slots that attention looks at,
# H query heads, G key/value heads, R = H // G query heads for each of them, d head width.
# keys, values: one tensor per layer, [B*G*capacity,d]. cos, sin: one per layer, [B,T,1,d], the first half of sin negated.
# mask: one per layer, is added to the scores, [B or 1,1,R*T,L]. slots: cache rows of the new tokens, [B*G*T].
# bias: whether queries, keys and values have biases. qk_norm: whether queries and keys are normed. output_norms: whether the outputs of
# attention and of the feed-forward part are. gelu: whether the activation is gelu (its tanh form) and not silu. scale: what queries are
# multiplied by beside 1 / sqrt(d); 0 for nothing. cap: scores go through cap * tanh(scores / cap); 0 for none.


def rms_norm(x, w, eps: float):
    return torch.rms_norm(x, [x.size(-1)], w, eps)


def tensors_per_layer(bias: bool, qk_norm: bool, output_norms: bool) -> int:
    # input_norm, qkv, o, post_norm, gate_up, down, then qkv_bias, then q_norm and k_norm, then the norms of the outputs of attention and
    # of the feed-forward part, where the family has them.
    return 6 + (1 if bias else 0) + (2 if qk_norm else 0) + (2 if output_norms else 0)


def attend(q, k, v, mask, scale: float, cap: float):
    if scale != 0:
        q = q * scale
    if cap == 0:
        return torch.scaled_dot_product_attention(q, k, v, mask)
    scores = torch.matmul(q, k.transpose(-2, -1)) * (float(q.size(-1)) ** -0.5)
    scores = torch.tanh(scores / cap) * cap + mask
    return torch.matmul(torch.softmax(scores, -1), v)


def layer(x, h, w: List[Tensor], at: int, keys, values, cos, sin, mask, slots, B: int, L: int,
          H: int, G: int, d: int, eps: float, bias: bool, qk_norm: bool, output_norms: bool, gelu: bool, scale: float, cap: float):
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
    a = attend(q, k, v, mask, scale, cap)                                # [B,G,R*T,d]
    a = a.view(B, G, R, T, d).permute([0, 3, 1, 2, 4]).reshape(B * T, H * d)
    a = torch.linear(a, w[at + 1])                                       # [N,D]
    last = at + tensors_per_layer(bias, qk_norm, output_norms) - 2
    if output_norms:
        a = rms_norm(a, w[last - 1], eps)
    x = x + a
    u = torch.linear(rms_norm(x, w[at + 2], eps), w[at + 3])             # [N,2I]
    I = u.size(1) // 2
    g = torch.gelu(u[:, :I], approximate="tanh") if gelu else torch.silu(u[:, :I])
    f = torch.linear(g * u[:, I:], w[at + 4])                            # [N,D]
    if output_norms:
        f = rms_norm(f, w[last], eps)
    return x + f


def target_states(x, w: List[Tensor], keys: List[Tensor], values: List[Tensor], cos: List[Tensor], sin: List[Tensor], mask: List[Tensor],
                  slots, B: int, L: int, H: int, G: int, d: int, eps: float, bias: bool, qk_norm: bool, output_norms: bool, gelu: bool, scale: float, cap: float):
    # x: embedded tokens, [N,D]. w: the layers' tensors one after another, then the final norm.
    # Returns the output of each layer, the last one after the final norm, [N,D] each.
    states: List[Tensor] = []
    for i in range(len(keys)):
        at = i * tensors_per_layer(bias, qk_norm, output_norms) + 1
        h = rms_norm(x, w[at - 1], eps)
        x = layer(x, h, w, at, keys[i], values[i], cos[i], sin[i], mask[i], slots, B, L, H, G, d, eps, bias, qk_norm,
                  output_norms, gelu, scale, cap)
        states.append(x)
    states[len(keys) - 1] = rms_norm(x, w[len(w) - 1], eps)
    return states


def target_forward(x, w: List[Tensor], keys: List[Tensor], values: List[Tensor], cos: List[Tensor], sin: List[Tensor], mask: List[Tensor],
                   slots, B: int, L: int, H: int, G: int, d: int, eps: float, bias: bool, qk_norm: bool, output_norms: bool, gelu: bool, scale: float, cap: float):
    # As target_states, but returns only the last layer's output after the final norm, [N,D].
    for i in range(len(keys)):
        at = i * tensors_per_layer(bias, qk_norm, output_norms) + 1
        h = rms_norm(x, w[at - 1], eps)
        x = layer(x, h, w, at, keys[i], values[i], cos[i], sin[i], mask[i], slots, B, L, H, G, d, eps, bias, qk_norm,
                  output_norms, gelu, scale, cap)
    return rms_norm(x, w[len(w) - 1], eps)


def head_forward(pairs, w: List[Tensor], keys: List[Tensor], values: List[Tensor], cos: List[Tensor], sin: List[Tensor], mask: List[Tensor],
                 slots, B: int, L: int, H: int, G: int, d: int, eps: float, bias: bool, qk_norm: bool, output_norms: bool, gelu: bool, scale: float, cap: float,
                 pair_bias: bool):
    # pairs: embeddings and features concatenated, [N,2D]. w: the linear layer over them, its bias where it has one (pair_bias), the
    # layers' tensors one after another. The first layer has no input norm, and no norm follows the last one.
    # Returns the last layer's output, [N,D].
    x = torch.linear(pairs, w[0])                                        # [N,D]
    if pair_bias:
        x = x + w[1]
    for i in range(len(keys)):
        at = i * tensors_per_layer(bias, qk_norm, output_norms) + (2 if pair_bias else 1)
        h = x if i == 0 else rms_norm(x, w[at - 1], eps)
        x = layer(x, h, w, at, keys[i], values[i], cos[i], sin[i], mask[i], slots, B, L, H, G, d, eps, bias, qk_norm,
                  output_norms, gelu, scale, cap)
    return x


def eagle3_forward(pairs, w: List[Tensor], keys: List[Tensor], values: List[Tensor], cos: List[Tensor], sin: List[Tensor],
                   mask: List[Tensor], slots, B: int, L: int, H: int, G: int, d: int, eps: float, bias: bool, qk_norm: bool,
                   output_norms: bool, gelu: bool, scale: float, cap: float, norm_before_residual: bool):
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
        at = i * tensors_per_layer(bias, qk_norm, output_norms) + 2
        if i > 0:
            h = rms_norm(x, w[at - 1], eps)
        x = layer(x, h, w, at, keys[i], values[i], cos[i], sin[i], mask[i], slots, B, L, H, G, d, eps, bias, qk_norm,
                  output_norms, gelu, scale, cap)
    return x
