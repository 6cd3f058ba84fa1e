"""The relative-position term of the image encoder, as the released weights were trained with it.

Each axis has a table of 2S - 1 rows, where S is the edge length of the attention window. With the unscaled query q and
R_a[i, j] = table_a[i - j + S - 1], the projections of the query at (d, h, w) are

    D[d, h, w, k] = q(d, h, w) . R_d[d, k]
    H[d, h, w, k] = q(d, h, w) . R_h[h, k]
    W[d, h, w, k] = q(d, h, w) . R_w[w, k]

and the attention logit of query (d, h, w) and key (kd, kh, kw) gains

    D[d, h, w, kw] + H[d, h, kd, kw] + W[d, h, kh, kw].

The key's coordinates stand where the query's width should: a slip of the public code that is now part of the weights.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class AxisTerms:
    """D, H and W of the module's formula for n images and heads: each [n, g, g, g, S], g tokens an edge."""

    depth: Tensor
    height: Tensor
    width: Tensor


def relative_rows(table: Tensor, window_size: int) -> Tensor:
    """Rows of a relative-position table: [2S - 1, c] -> R [S, S, c], R[i, j] = table[i - j + S - 1]."""
    position = torch.arange(window_size, device=table.device)
    return table[position[:, None] - position[None, :] + window_size - 1]


def axis_terms(queries: Tensor, tables: tuple[Tensor, Tensor, Tensor], *, window_size: int) -> AxisTerms:
    """Project unscaled queries on the three tables.

    Args:
        queries: [n, g, g, g, c], n images times heads, g <= window_size; axes (depth, height, width).
        tables: relative-position tables of depth, height and width, each [2 * window_size - 1, c].
        window_size: edge length S of the attention window, in tokens.
    """
    grid_size = queries.shape[1]
    depth, height, width = (relative_rows(table, window_size)[:grid_size] for table in tables)
    return AxisTerms(
        depth=torch.einsum("ndhwc,dkc->ndhwk", queries, depth).contiguous(),
        height=torch.einsum("ndhwc,hkc->ndhwk", queries, height).contiguous(),
        width=torch.einsum("ndhwc,wkc->ndhwk", queries, width).contiguous(),
    )


def real_key_bias(terms: AxisTerms) -> Tensor:
    """The term for every pair of a query and a key of the grid: [n, g^3, g^3]."""
    n, grid_size = terms.depth.shape[:2]
    depth, height, width = (axis[..., :grid_size] for axis in (terms.depth, terms.height, terms.width))
    # dimensions: n, d, h, w, kd, kh, kw; the third of H and W is indexed by the key
    same_for_all_w = height[:, :, :, None, :, None, :] + width[:, :, :, None, None, :, :]
    bias = depth[:, :, :, :, None, None, :] + same_for_all_w
    return bias.view(n, grid_size**3, grid_size**3)


def padded_keys_bias(
    terms: AxisTerms, padded_query: Tensor, tables: tuple[Tensor, Tensor, Tensor], *, window_size: int
) -> Tensor:
    """The bias of one virtual key that stands for all padded keys of a window: [n, g^3], float32.

    A padded token's key and value are the qkv bias whatever its place, so the padded keys' share of the softmax is
    that of a single key whose bias is log(sum over padded keys of exp(term)). The term separates once kw is given:
    the sum is that over kw of exp(D) * [sum over (kd, kh)], and (kd, kh) is padded everywhere if kw is, else where
    kd is (any kh) or where kd is not and kh is. All sums are in log space and none is a difference.

    Args:
        terms: of the g^3 real queries, each [n, g, g, g, S].
        padded_query: [heads, c], the query of every padded token; n must be a multiple of heads, heads innermost.
        tables: relative-position tables of depth, height and width.
        window_size: S > g.
    """
    n, grid_size = terms.depth.shape[:2]
    heads, n_padded = len(padded_query), window_size - grid_size
    _, height_rows, width_rows = (relative_rows(table, window_size) for table in tables)
    # H and W at the padded places w' >= g of a row (d, h): they hold the padded query, whatever d
    padded_height = torch.einsum("mc,hkc->mhk", padded_query, height_rows[:grid_size])[:, None]
    padded_width = torch.einsum("mc,wkc->mwk", padded_query, width_rows[grid_size:])[:, None, None]
    # float32 under autocast: sums of up to S^3 exponentials
    pad_kd = (padded_height.float() + math.log(n_padded)).repeat(n // heads, 1, 1, 1)
    pad_kh = padded_width.float().logsumexp(dim=-2).repeat(n // heads, 1, 1, 1)
    real_kd, real_kh = terms.height.float().logsumexp(dim=3), terms.width.float().logsumexp(dim=3)
    full_kd, full_kh = torch.logaddexp(real_kd, pad_kd), torch.logaddexp(real_kh, pad_kh)
    all_padded = full_kd + full_kh
    some_padded = torch.logaddexp(full_kd + pad_kh, pad_kd + real_kh)
    over_kd_and_kh = torch.cat([some_padded[..., :grid_size], all_padded[..., grid_size:]], dim=-1)
    return (terms.depth + over_kd_and_kh[:, :, :, None]).logsumexp(dim=-1).flatten(start_dim=1)
