"""Scaled dot-product attention in the precision that is fast on the device."""

from __future__ import annotations

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
