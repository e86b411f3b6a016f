"""Decoding one image file to RGB, whatever its mode, with errors that name the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from dferlib.datasets.manifest import DatasetError

MAX_PIXELS = (
    50_000_000  # far above any dataset here; stops decompression bombs before they are decoded
)
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")  # others have more ways to go wrong


def load_rgb(path: str | Path) -> np.ndarray:
    """Read an image as uint8 RGB (H, W, 3).

    Grey becomes three equal channels, 16 bits are scaled to 8, transparency lies on black, EXIF
    rotation is applied. DatasetError naming the file if it is missing, truncated, no image, or
    absurdly large.
    """
    # Pillow, not torchvision.io: the latter crashes the interpreter on damaged PNG files
    with _open(path) as image:
        return np.asarray(_to_rgb(ImageOps.exif_transpose(image)))


def picture_of(path: str | Path) -> tuple[int, int, str]:
    """Width, height and mode of an image, such as "L" or "RGB", from its header.

    DatasetError naming the file if it has none.
    """
    with _open(path) as image:
        return image.width, image.height, image.mode


@contextmanager
def _open(path: str | Path) -> Iterator[Image.Image]:
    try:
        if not Path(path).is_file():  # a pipe would be waited for
            raise FileNotFoundError(f"no file {path}")
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DatasetError(
                    f"{path} is {image.width} x {image.height} pixels: no video frame"
                )
            yield image
    except DatasetError:
        raise
    except Exception as error:  # decoders raise anything on damaged files
        what = "cannot be opened" if isinstance(error, FileNotFoundError) else "cannot be decoded"
        raise DatasetError(
            f"image {path} {what} ({error}). "
            "Copy it anew from the dataset, or put its clip into exclude.txt"
        ) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16-bit grey; Pillow itself would clip it to 255 instead of scaling it
        grey = np.asarray(image).astype(np.int64) >> 8
        return Image.fromarray(grey.clip(0, 255).astype(np.uint8)).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, rgba).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point images have no defined range")
    return image.convert("RGB")
