"""Where a model looks: class activation maps and attention maps of clips, and how good they are.

pytorch-grad-cam does the methods. It is wrapped because on its own it leaves the model in
evaluation mode, drops gradients, fails on frozen backbones and enlarges 3-D maps by cubic splines,
which overshoot: here the model comes back as it was, and maps are enlarged trilinearly.

The procedural faces know which part of the face moves, so that a map can be scored against truth.
A share of a map says little alone: `map_scores` puts rivals beside it that know nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

METHODS = {  # our name -> class of pytorch_grad_cam; those that work on 3-D networks
    "gradcam": "GradCAM",
    "gradcam++": "GradCAMPlusPlus",
    "hirescam": "HiResCAM",
    "xgradcam": "XGradCAM",
    "layercam": "LayerCAM",
    "eigencam": "EigenCAM",
}


class _Loader(Protocol):
    """What brings clips (B, 3, T, H, W) of rows of a manifest; `batches.ClipLoader` is one."""

    def gather(self, rows: np.ndarray) -> Tensor:
        """Return the clips of these rows."""


def grad_cam(
    model: nn.Module,
    clips: Tensor,
    targets: Tensor | list[int] | None = None,
    *,
    method: str = "gradcam",
    layer: nn.Module | None = None,
    enlarge: bool = True,
) -> Tensor:
    """Return class activation maps (B, T, H, W) in 0 to 1 of clips (B, 3, T, H, W), on the CPU.

    `targets` are class indices (B,), by default the predicted ones; `layer` is `model.cam_layer`
    unless given. Each clip's map runs from 0 to 1 over the whole clip, so frames can be compared.
    Without `enlarge` the map has the layer's own resolution. ValueError for an unknown method.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; valid: {', '.join(METHODS)}")
    if targets is not None and len(targets) != len(clips):
        raise ValueError(f"{len(targets)} targets for {len(clips)} clips; one for each needed")
    layer = model.cam_layer if layer is None else layer
    device = next(model.parameters()).device
    with _borrowed(model), torch.enable_grad():
        maps = _low_resolution(model, clips.detach().to(device), targets, method, layer)
    return enlarge_maps(maps, clips.shape[2:]) if enlarge else maps


def attention_maps(model: nn.Module, clips: Tensor) -> dict[str, Tensor]:
    """Return the attention maps of clips (B, 3, T, H, W) by name, in evaluation mode, on the CPU.

    STCAM: "<place>.stam" (B, T, h, w) and "<place>.3dcam" (B, C), for its five places. A model
    without attention gives an empty dict.
    """
    device = next(model.parameters()).device
    with _borrowed(model), torch.no_grad():
        model.record_attention = True
        model(clips.to(device))
        return {name: value.float().cpu() for name, value in model.attention.items()}


def attention_of_rows(
    model: nn.Module, loader: _Loader, rows: np.ndarray, *, at_once: int = 8
) -> dict[str, np.ndarray]:
    """Return the attention maps of many clips, by the rows of the loader's manifest.

    As `attention_maps`, but `at_once` clips at a time, so that memory does not grow with them.
    """
    parts = [rows[start : start + at_once] for start in range(0, len(rows), at_once)]
    maps = [attention_maps(model, loader.gather(part)) for part in parts]
    return {name: torch.cat([part[name] for part in maps]).numpy() for name in maps[0]}


def enlarge_maps(maps: Tensor, size: tuple[int, int, int]) -> Tensor:
    """Resize maps (B, t, h, w) trilinearly to (B, *size)."""
    size = tuple(size)
    return F.interpolate(maps[:, None], size=size, mode="trilinear", align_corners=False)[:, 0]


def mass_inside(maps: Tensor, masks: Tensor) -> Tensor:
    """Return the share of each map that lies on the mask, (B,); NaN for a map of zeros.

    Maps (B, T, H, W) and masks (B, T, h, w) in 0 to 1; uint8 masks of 0 to 255 are scaled. Masks of
    another size are resized to the maps.
    """
    masks = _fit(masks, maps)
    return (maps * masks).flatten(1).sum(1) / maps.flatten(1).sum(1)


def pointing_game(maps: Tensor, masks: Tensor) -> Tensor:
    """Return 1 where the highest point of a map lies on its mask, else 0, (B,).

    Equal maxima share the point, so a constant map gets the area of the mask.
    """
    inside = (_fit(masks, maps) >= 0.5).flatten(1).double()
    flat = maps.flatten(1)
    top = (flat == flat.amax(1, keepdim=True)).double()
    return (top * inside).sum(1) / top.sum(1)


def _low_resolution(model, clips: Tensor, targets, method: str, layer: nn.Module) -> Tensor:
    import pytorch_grad_cam  # takes seconds, so only when it is used
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    class LowResolution(getattr(pytorch_grad_cam, METHODS[method])):
        def get_cam_image(self, *args, **options):
            self.raw = super().get_cam_image(*args, **options)
            return self.raw

        def get_target_width_height(self, input_tensor):
            return None  # no enlargement by cubic splines

    reshape = getattr(model, "cam_reshape", None)
    if reshape is not None:
        reshape = partial(reshape, num_frames=clips.shape[2])
    chosen = None if targets is None else [ClassifierOutputTarget(int(t)) for t in targets]
    cam = LowResolution(model, [layer], reshape_transform=reshape)
    cam.compute_input_gradient = True  # activations need gradients even where weights do not
    try:
        cam(clips, chosen)
        return _to_unit(torch.from_numpy(np.asarray(cam.raw)).float().clamp(min=0))
    finally:
        cam.activations_and_grads.release()


@contextmanager
def _borrowed(model: nn.Module) -> Iterator[None]:
    """Set evaluation mode with frozen weights, and give the model back as it was."""
    modes = {module: module.training for module in model.modules()}
    weights = {p: (p.requires_grad, p.grad) for p in model.parameters()}
    kept = {name: getattr(model, name, None) for name in ("record_attention", "attention")}
    try:
        model.eval()
        for parameter in weights:
            parameter.requires_grad_(False)
            parameter.grad = None
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for parameter, (needed, gradient) in weights.items():
            parameter.requires_grad_(needed)
            parameter.grad = gradient
        for name, value in kept.items():
            if hasattr(model, name):
                setattr(model, name, value)


def _to_unit(maps: Tensor) -> Tensor:
    """Stretch each clip's map (B, T, H, W) to 0 to 1, however small its values are."""
    low, high = maps.amin((1, 2, 3), keepdim=True), maps.amax((1, 2, 3), keepdim=True)
    return (maps - low) / torch.where(high > low, high - low, 1)


def _fit(masks: Tensor, maps: Tensor) -> Tensor:
    if masks.shape[:2] != maps.shape[:2]:
        raise ValueError(
            f"masks {tuple(masks.shape)} and maps {tuple(maps.shape)} differ in clips or frames"
        )
    scale = 255 if masks.dtype == torch.uint8 and masks.max() > 1 else 1
    masks = masks.to(maps) / scale
    if masks.shape == maps.shape:
        return masks
    return F.interpolate(masks, size=maps.shape[2:], mode="area")


def layer_name(model: nn.Module, layer: nn.Module) -> str:
    """Return the name of a module of the model."""
    return next(name for name, module in model.named_modules() if module is layer)
