"""Pieces of a batch in several processes that compute as one: norms, loss, gradients.

What `dferlib.training.data_parallel` trains with; there stands what is equal to one process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.overrides import TorchFunctionMode

from dferlib.datasets.batches import Batch, ClipLoader, Draw
from dferlib.device import widened

# of F.batch_norm, in order
_BATCH_NORM = (
    "input",
    "running_mean",
    "running_var",
    "weight",
    "bias",
    "training",
    "momentum",
    "eps",
)


class Piece(NamedTuple):
    """Which clips of a batch are this process's: `first` to `first + count` of `total`.

    `count` is 0 where the batch has fewer clips than there are processes. The process then computes
    with a clip that counts for nothing, because the others wait for it.
    """

    first: int = 0
    count: int = 0
    total: int = 0


class PieceBatch(Batch):
    """A batch that knows which piece of the whole it is; loaders may make it long before its step.

    `piece` is set by the loader.
    """

    piece: Piece


@dataclass
class Place:
    """Where a process is in its epoch: the piece of the step it takes, and clips read so far."""

    piece: Piece = field(default_factory=Piece)
    read: int = 0


@dataclass(frozen=True)
class PieceLoader(ClipLoader):
    """A loader of which every process reads its own piece of each batch.

    `place` is that of the training batch handed out last, however far ahead others are made.
    """

    rank: int = 0
    world: int = 1
    place: Place = field(default_factory=Place)

    def training(self, clips: np.ndarray, seed: int, epoch: int) -> Iterator[Batch]:
        """This process's pieces of the batches; see `ClipLoader.training`."""
        for batch in super().training(clips, seed, epoch):
            self.place.piece = batch.piece
            self.place.read += len(batch.target)
            yield batch

    def _batches(self, order: np.ndarray, draw: Draw) -> Iterator[Batch]:
        for part in self._parts(order, draw):
            first, end = (len(part) * (self.rank + k) // self.world for k in (0, 1))
            own = part[first:end] if end > first else part[:1]
            batch = PieceBatch(*self._batch(own, draw))
            batch.piece = Piece(first, end - first, len(part))
            yield batch


def in_pieces(loader: ClipLoader) -> PieceLoader:
    """The same loader, reading this process's piece of each batch."""
    fields = {name: getattr(loader, name) for name in ClipLoader.__dataclass_fields__}
    return PieceLoader(**fields, rank=dist.get_rank(), world=dist.get_world_size())


def put_together(rows: Tensor, piece: Piece) -> Tensor:
    """Rows of all pieces, (total, ...), of which this process has (count, ...); differentiable."""
    whole = rows.new_zeros(piece.total, *rows.shape[1:])
    if piece.count:
        whole[piece.first : piece.first + piece.count] = rows
    else:
        whole = whole + 0 * rows.sum()  # every parameter gets a gradient here, too: zero
    return all_reduce(whole)


class Together(TorchFunctionMode):
    """Inside, batch norm in training takes its statistics from the batches of all processes.

    It takes over `F.batch_norm`, so that every norm of every model is meant. SyncBatchNorm does not
    run on a CPU, where this is tested, and knows only the norms of torch itself.
    """

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Take over `F.batch_norm` with `training` set; everything else runs as it is."""
        if func is F.batch_norm:
            named = dict(zip(_BATCH_NORM, args, strict=False)) | (kwargs or {})
            if named.get("training"):
                named.pop("training")
                return norm_together(counts=self.place.piece.count > 0, **named)
        return func(*args, **(kwargs or {}))


def norm_together(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    counts: bool = True,
) -> Tensor:
    """`F.batch_norm` in training of (B, C, ...) with the mean and variance over all processes.

    Each sends its mean, variance and number of values per channel; they are joined by the formula
    of T. F. Chan, G. H. Golub, R. J. LeVeque (1979), which loses no digits. A process that does not
    count sends zero values and is normalised by the others'.
    """
    values = widened(input)
    others = [d for d in range(values.ndim) if d != 1]
    size = float(values.numel() // values.shape[1]) if counts else 0.0
    own = torch.stack([values.mean(others), values.var(others, unbiased=False)])
    own = torch.cat([own, torch.full_like(own[:1], size).detach()])
    everyone = own.new_zeros(dist.get_world_size(), *own.shape)
    everyone[dist.get_rank()] = own
    means, variances, sizes = all_reduce(everyone).unbind(1)  # (W, C) each
    total = sizes.sum(0)
    mean = (sizes * means).sum(0) / total
    variance = (sizes * (variances + (means - mean).square())).sum(0) / total
    _follow(running_mean, mean, momentum)
    _follow(running_var, variance * total / (total - 1).clamp(min=1), momentum)
    shape = [1, -1] + [1] * (values.ndim - 2)
    scale = (variance + eps).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    return (values * scale.view(shape) + shift.view(shape)).to(input.dtype)


@torch.no_grad()
def _follow(running: Tensor | None, found: Tensor, momentum: float) -> None:
    if running is not None:
        running.mul_(1 - momentum).add_(momentum * found.detach().to(running.dtype))


class WholeLoss(nn.Module):
    """A loss of the whole batch, computed in every process from the pieces of all."""

    def __init__(self, criterion: Callable[..., Tensor], loader: PieceLoader) -> None:
        super().__init__()
        self.criterion, self.loader = criterion, loader
        self.needs_features = getattr(criterion, "needs_features", False)

    def forward(self, logits: Tensor, target: Tensor, *features: Tensor) -> Tensor:
        """Loss of the whole batch, from logits (b, K), classes (b,) and features (b, D) of a piece.

        A whole batch that is predicted without pieces cannot come here: only steps have a loss.
        """
        piece = self.loader.place.piece
        whole = [put_together(widened(part), piece) for part in (logits, *features)]
        classes = put_together(target.double(), piece).long()
        return self.criterion(whole[0], classes, *whole[1:])


def average_gradients(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Replace every gradient by its mean over the processes; a hook before an optimiser's step."""
    found = [p.grad for group in optimizer.param_groups for p in group["params"]]
    found = [gradient for gradient in found if gradient is not None]
    flat = torch.cat([gradient.flatten() for gradient in found])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, part in zip(found, flat.split([g.numel() for g in found]), strict=True):
        gradient.copy_(part.view_as(gradient))
