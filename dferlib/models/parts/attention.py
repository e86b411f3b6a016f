"""Dot-product attention: fast where only its result is needed, in steps where its weights are."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return softmax(q k^T / sqrt(D)) v, (..., N, D), for q, k and v of that shape.

    `mask` is False at keys that may not be read. With a handful of tokens, as in clips, the bf16
    backward pass of a CPU takes several times as long as the one in float32, so there the bf16 of
    autocast is left for it.
    """
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:
        with torch.autocast("cpu", enabled=False):
            read = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=mask)
        return read.bfloat16()
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def attention_weights(
    q: Tensor, k: Tensor, mask: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """Return softmax(scale q k^T) (..., N, M), its rows the reading tokens, for figures.

    `scale` is 1 / sqrt(D) unless given; `mask` is False at keys that may not be read.
    """
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    scores = scale * q @ k.mT
    scores = scores if mask is None else scores.masked_fill(~mask, -math.inf)
    return scores.softmax(-1)


def split_heads(projected: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return q, k and v, each (M, heads, N, D), of tokens (M, N, 3 heads D)."""
    return projected.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)


def merge_heads(read: Tensor) -> Tensor:
    """Put what the heads read (M, heads, N, D) side by side, (M, N, heads D)."""
    return read.transpose(1, 2).flatten(2)
