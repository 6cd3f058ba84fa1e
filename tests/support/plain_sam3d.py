"""Sam3D the published way: plain, slow, obviously right. Tests and benchmarks compare the fast one with it.

Functions of a state dictionary (the released names), so that nothing is shared with the classes under test: windows are
padded with zero tokens, every padded token attends and is attended to, one prompt is decoded at a time. All sizes but
those passed as arguments come from the shapes of the tensors.
"""

from collections.abc import Callable, Collection

import torch
from torch import Tensor
from torch.nn import functional

State = dict[str, Tensor]
RelativeTerm = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def plain_encode(
    state: State,
    image: Tensor,
    *,
    heads: int,
    window_size: int,
    global_blocks: Collection[int],
    relative_term: RelativeTerm | None = None,
) -> Tensor:
    """Image [B, 1, S, S, S] -> embedding [B, C, g, g, g].

    Args:
        state: tensors under the released names.
        image: z-normalised volume.
        heads, window_size, global_blocks: of the image encoder; they show in no tensor's shape.
        relative_term: `relative_term_by_broadcast` (default, as fast as the public code) or `relative_term_by_index`.
    """
    relative_term = relative_term or relative_term_by_broadcast
    state = sub_state(state, "image_encoder.")
    weight = state["patch_embed.proj.weight"]
    x = functional.conv3d(image, weight, state["patch_embed.proj.bias"], stride=weight.shape[-1])
    x = x.permute(0, 2, 3, 4, 1) + state["pos_embed"]
    depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    for index in range(depth):
        window = x.shape[1] if index in global_blocks else window_size
        block = sub_state(state, f"blocks.{index}.")
        x = plain_block(block, x, heads=heads, window_size=window, relative_term=relative_term)
    x = functional.conv3d(x.permute(0, 4, 1, 2, 3), state["neck.0.weight"])
    x = channel_norm(x, state["neck.1.weight"], state["neck.1.bias"])
    x = functional.conv3d(x, state["neck.2.weight"], padding=1)
    return channel_norm(x, state["neck.3.weight"], state["neck.3.bias"])


def plain_block(state: State, x: Tensor, *, heads: int, window_size: int, relative_term: RelativeTerm) -> Tensor:
    """One transformer block on [B, g, g, g, width]; the padding enters after the first norm, as zeros."""
    normed = functional.layer_norm(x, x.shape[-1:], state["norm1.weight"], state["norm1.bias"], eps=1e-6)
    size = x.shape[1]
    missing = -size % window_size
    padded = functional.pad(normed, (0, 0, 0, missing, 0, missing, 0, missing))
    attended = torch.empty_like(padded)
    for d in range(0, size, window_size):
        for h in range(0, size, window_size):
            for w in range(0, size, window_size):
                window = (slice(None), *(slice(start, start + window_size) for start in (d, h, w)))
                attended[window] = plain_attention(state, padded[window], heads=heads, relative_term=relative_term)
    x = x + attended[:, :size, :size, :size]
    normed = functional.layer_norm(x, x.shape[-1:], state["norm2.weight"], state["norm2.bias"], eps=1e-6)
    hidden = functional.gelu(linear(state, "mlp.lin1", normed))
    return x + linear(state, "mlp.lin2", hidden)


def plain_attention(state: State, x: Tensor, *, heads: int, relative_term: RelativeTerm) -> Tensor:
    """Attention among all S^3 tokens of one window: [B, S, S, S, width] -> the same shape."""
    batch, size, width = x.shape[0], x.shape[1], x.shape[-1]
    qkv = linear(state, "attn.qkv", x).reshape(batch, size**3, 3, heads, width // heads)
    q, k, v = qkv.permute(2, 0, 3, 1, 4).reshape(3, batch * heads, size**3, width // heads).unbind(0)
    logits = (q * (width // heads) ** -0.5) @ k.transpose(1, 2)
    queries = q.reshape(batch * heads, size, size, size, width // heads)
    tables = (state[f"attn.rel_pos_{axis}"] for axis in "dhw")
    logits = (logits.view(-1, *6 * (size,)) + relative_term(queries, *tables)).view(-1, size**3, size**3)
    attended = (logits.softmax(dim=-1) @ v).view(batch, heads, size, size, size, -1)
    return linear(state, "attn.proj", attended.permute(0, 2, 3, 4, 1, 5).reshape(x.shape))


def relative_term_by_broadcast(q: Tensor, table_d: Tensor, table_h: Tensor, table_w: Tensor) -> Tensor:
    """The three terms by broadcasting, as the public code adds them; axes are n, d, h, w, kd, kh, kw."""
    depth, height, width = _project(q, table_d, table_h, table_w)
    return depth[:, :, :, :, None, None] + height[:, :, :, None, :, None] + width[:, :, :, None, None, :]


def relative_term_by_index(q: Tensor, table_d: Tensor, table_h: Tensor, table_w: Tensor) -> Tensor:
    """D[d, h, w, kw] + H[d, h, kd, kw] + W[d, h, kh, kw], every index written out: [n, S, S, S, S, S, S]."""
    depth, height, width = _project(q, table_d, table_h, table_w)
    d, h, w, kd, kh, kw = torch.meshgrid(*6 * (torch.arange(q.shape[1]),), indexing="ij")
    return depth[:, d, h, w, kw] + height[:, d, h, kd, kw] + width[:, d, h, kh, kw]


def _project(q: Tensor, table_d: Tensor, table_h: Tensor, table_w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    size = q.shape[1]
    rows = torch.arange(size, device=q.device)
    index = rows[:, None] - rows[None, :] + size - 1
    depth = torch.einsum("ndhwc,dkc->ndhwk", q, table_d[index])
    height = torch.einsum("ndhwc,hkc->ndhwk", q, table_h[index])
    width = torch.einsum("ndhwc,wkc->ndhwk", q, table_w[index])
    return depth, height, width


def plain_decode(
    state: State,
    embedding: Tensor,
    *,
    image_size: int,
    heads: int,
    points: Tensor | None = None,
    labels: Tensor | None = None,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Decode one prompt of one image.

    Args:
        state: tensors under the released names.
        embedding: [1, C, g, g, g].
        image_size: edge length of the cube, in voxels.
        heads: of the mask decoder.
        points: [N, 3] in voxels of the cube, with labels [N] in {1, 0}.
        mask: [M, M, M].

    Returns:
        logits [M, M, M] and predicted IoU [].
    """
    prompts, decoder = sub_state(state, "prompt_encoder."), sub_state(state, "mask_decoder.")
    matrix = prompts["pe_layer.positional_encoding_gaussian_matrix"]
    tokens = torch.cat([decoder["iou_token.weight"], decoder["mask_tokens.weight"]])
    if points is not None and labels is not None:
        rows = [prompts[f"point_embeddings.{int(label)}.weight"][0] for label in labels]
        placed = fourier((points + 0.5) / image_size, matrix) + torch.stack(rows)
        tokens = torch.cat([tokens, placed, prompts["not_a_point_embed.weight"]])
    image = embedding + _dense_prompt(prompts, mask)
    positions = grid_positions(embedding.shape[-1], matrix)
    transformer = sub_state(decoder, "transformer.")
    tokens, image = plain_two_way(transformer, tokens[None], image, positions=positions, heads=heads)
    upscaled = plain_upscale(decoder, image)
    n_masks = len(decoder["mask_tokens.weight"])
    classifiers = [
        relu_mlp(sub_state(decoder, f"output_hypernetworks_mlps.{index}."), tokens[:, 1 + index])
        for index in range(n_masks)
    ]
    masks = torch.stack(classifiers, dim=1) @ upscaled.flatten(2)
    iou = relu_mlp(sub_state(decoder, "iou_prediction_head."), tokens[:, 0])
    return masks[0, 0].view(upscaled.shape[2:]), iou[0, 0]


def _dense_prompt(state: State, mask: Tensor | None) -> Tensor:
    if mask is None:
        return state["no_mask_embed.weight"].view(1, -1, 1, 1, 1)
    layer = sub_state(state, "mask_downscaling.")
    x = functional.conv3d(mask[None, None], layer["0.weight"], layer["0.bias"], stride=2)
    x = functional.gelu(channel_norm(x, layer["1.weight"], layer["1.bias"]))
    x = functional.conv3d(x, layer["3.weight"], layer["3.bias"], stride=2)
    x = functional.gelu(channel_norm(x, layer["4.weight"], layer["4.bias"]))
    return functional.conv3d(x, layer["6.weight"], layer["6.bias"])


def fourier(positions: Tensor, matrix: Tensor) -> Tensor:
    """Random Fourier features of positions [..., 3] in [0, 1]."""
    phases = 2 * torch.pi * ((2 * positions - 1) @ matrix)
    return torch.cat([phases.sin(), phases.cos(), phases.sin()], dim=-1)


def grid_positions(size: int, matrix: Tensor) -> Tensor:
    """Positional encoding [1, size^3, C] of cell centres: x counts along axis 1, y along axis 0, z along axis 2."""
    ones = torch.ones(size, size, size, device=matrix.device)
    x, y, z = ((ones.cumsum(axis) - 0.5) / size for axis in (1, 0, 2))
    return fourier(torch.stack([x, y, z], dim=-1), matrix).flatten(0, 2)[None]


def plain_two_way(
    state: State, tokens: Tensor, image: Tensor, *, positions: Tensor, heads: int
) -> tuple[Tensor, Tensor]:
    """Two-way transformer on tokens [1, T, C] and image [1, C, g, g, g]; both keep their shapes."""
    shape = image.shape
    image = image.flatten(2).transpose(1, 2)
    point_positions = tokens
    depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("layers."))
    for index in range(depth):
        layer = sub_state(state, f"layers.{index}.")
        if index == 0:
            tokens = token_attention(layer, "self_attn", tokens, tokens, tokens, heads=heads)
        else:
            q = tokens + point_positions
            tokens = tokens + token_attention(layer, "self_attn", q, q, tokens, heads=heads)
        tokens = token_norm(layer, "norm1", tokens)
        q, k = tokens + point_positions, image + positions
        tokens = tokens + token_attention(layer, "cross_attn_token_to_image", q, k, image, heads=heads)
        tokens = token_norm(layer, "norm2", tokens)
        hidden = functional.relu(linear(layer, "mlp.lin1", tokens))
        tokens = token_norm(layer, "norm3", tokens + linear(layer, "mlp.lin2", hidden))
        q, k = image + positions, tokens + point_positions
        image = image + token_attention(layer, "cross_attn_image_to_token", q, k, tokens, heads=heads)
        image = token_norm(layer, "norm4", image)
    q, k = tokens + point_positions, image + positions
    tokens = tokens + token_attention(state, "final_attn_token_to_image", q, k, image, heads=heads)
    return token_norm(state, "norm_final_attn", tokens), image.transpose(1, 2).view(shape)


def plain_upscale(state: State, image: Tensor) -> Tensor:
    """[1, C, g, g, g] -> [1, C / 8, 4g, 4g, 4g] by two transposed convolutions."""
    layer = sub_state(state, "output_upscaling.")
    x = functional.conv_transpose3d(image, layer["0.weight"], layer["0.bias"], stride=2)
    x = functional.gelu(channel_norm(x, layer["1.weight"], layer["1.bias"]))
    return functional.gelu(functional.conv_transpose3d(x, layer["3.weight"], layer["3.bias"], stride=2))


def token_attention(state: State, name: str, q: Tensor, k: Tensor, v: Tensor, *, heads: int) -> Tensor:
    """Multi-head attention of [1, Q, C] on [1, L, C]."""
    q, k, v = (
        linear(state, f"{name}.{part}_proj", tensor).unflatten(-1, (heads, -1)).transpose(1, 2)
        for part, tensor in (("q", q), ("k", k), ("v", v))
    )
    attended = ((q @ k.transpose(2, 3)) / q.shape[-1] ** 0.5).softmax(dim=-1) @ v
    return linear(state, f"{name}.out_proj", attended.transpose(1, 2).flatten(2))


def token_norm(state: State, name: str, x: Tensor) -> Tensor:
    """Layer normalisation of the mask decoder, epsilon 1e-5."""
    return functional.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-5)


def channel_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Layer normalisation over the channels of [B, C, X, Y, Z], epsilon 1e-6."""
    centred = x - x.mean(1, keepdim=True)
    normed = centred / torch.sqrt(centred.pow(2).mean(1, keepdim=True) + 1e-6)
    return weight[:, None, None, None] * normed + bias[:, None, None, None]


def relu_mlp(state: State, x: Tensor) -> Tensor:
    """Three linear layers, ReLU after the first two."""
    x = functional.relu(linear(state, "layers.0", x))
    x = functional.relu(linear(state, "layers.1", x))
    return linear(state, "layers.2", x)


def linear(state: State, name: str, x: Tensor) -> Tensor:
    """The linear layer called `name`."""
    return functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])


def sub_state(state: State, prefix: str) -> State:
    """The tensors whose names start with `prefix`, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
