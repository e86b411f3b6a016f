"""Decoding one image file to RGB, whatever its mode, with errors that name the file.

Pictures of more than eight bits are often written by cameras that fill ten or twelve of sixteen:
scaled as if all were filled they are black. `grey_levels` reads the range that a clip's pictures
use, which must be one for all of them, or the light would flicker.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from dferlib.datasets.manifest import DatasetError

MAX_PIXELS = (
    50_000_000  # far above any dataset here; stops decompression bombs before they are decoded
)
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")  # others have more ways to go wrong
FILMS = ("PNG", "TIFF", "WEBP")  # of these a file can hold several pictures
DEPTHS = (8, 10, 12, 14, 16, 32)  # bits that cameras fill
FULL = 65535  # highest value of sixteen bits
TIFF_MAXIMUM = 281  # the tag MaxSampleValue
SIGNIFICANT = b"sBIT"  # the chunk of a PNG that says how many bits mean something
PNG_HEAD = 8 + 25  # bytes of a PNG before its first chunk that is not the header


def load_rgb(path: str | Path, top: int = 0) -> np.ndarray:
    """Read an image as uint8 RGB (H, W, 3).

    Grey becomes three equal channels, transparency lies on black, EXIF rotation is applied. Of more
    than eight bits a channel `top` becomes 255; 0 takes the picture's own range, see `grey_levels`.
    DatasetError naming the file if it is missing, truncated, no image, or absurdly large.
    """
    # Pillow, not torchvision.io: the latter crashes the interpreter on damaged PNG files
    with _open(path) as image:
        if not _is_deep(image):
            return np.asarray(_to_rgb(ImageOps.exif_transpose(image)))
        values = _deep_values(image, path)
        top = top or _range_of(image, path, int(values.max()))
        shallow = Image.fromarray((values * (255.0 / top)).clip(0, 255).astype(np.uint8))
        shallow.info["exif"] = image.getexif().tobytes()
        return np.asarray(_to_rgb(ImageOps.exif_transpose(shallow)))


def grey_levels(paths: Sequence[str | Path]) -> int:
    """Highest value that the pictures of a clip can have, the same for all, 0 for eight bits.

    From a tag of the files where there is one (MaxSampleValue of a TIFF, sBIT of a PNG), else from
    the highest value in any of the pictures: the least of 8, 10, 12, 14 and 16 bits that holds it.
    Only pictures of more than eight bits are decoded. DatasetError as for `load_rgb`.
    """
    tops = [0]
    for path in paths:
        with _open(path) as image:
            if _is_deep(image):
                tops.append(_range_of(image, path, int(_deep_values(image, path).max())))
    return max(tops)


def note_on_levels(top: int) -> str:
    """What `grey_levels` found, in words; empty if nothing is to be said."""
    if top in (0, FULL):
        return ""
    return f"values up to {top} in pictures of sixteen bits, read as white"


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
            _refuse_several(image)
            yield image
    except DatasetError:
        raise
    except Exception as error:  # decoders raise anything on damaged files
        what = "cannot be opened" if isinstance(error, FileNotFoundError) else "cannot be decoded"
        raise DatasetError(
            f"image {path} {what} ({error}). "
            "Copy it anew from the dataset, or put its clip into exclude.txt"
        ) from error


def _refuse_several(image: Image.Image) -> None:
    """ValueError for a film in one file, of which only the first picture would be read.

    A smaller second picture is a preview, as cameras write it.
    """
    if image.format not in FILMS or (count := getattr(image, "n_frames", 1)) < 2:
        return
    first = image.size
    image.seek(1)
    same = image.size == first
    image.seek(0)
    if same:
        raise ValueError(f"it holds {count} pictures of one size; save each as a file of its own")


def _is_deep(image: Image.Image) -> bool:
    """Whether a channel has more than eight bits: grey by its mode, colour by how it is stored."""
    return image.mode.startswith("I") or any(";16" in str(tile[3]) for tile in image.tile)


def _deep_values(image: Image.Image, path: str | Path) -> np.ndarray:
    """All bits of a deep picture: integers (H, W) or (H, W, channels), RGB or RGBA."""
    if image.mode.startswith("I"):
        return np.asarray(image).astype(np.int64).clip(0)
    image.load()  # which finds damage, and leaves out the lower byte of colours
    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise ValueError("its sixteen bits cannot be read")
    if values.ndim == 2:
        return values
    return cv2.cvtColor(values, cv2.COLOR_BGR2RGB if values.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)


def _range_of(image: Image.Image, path: str | Path, highest: int) -> int:
    """The value that stands for white, by the picture's tag, else by its highest value."""
    bits = _significant_bits(path) if image.format == "PNG" else 0
    said = 2**bits - 1
    if image.format == "TIFF":
        tag = image.tag_v2.get(TIFF_MAXIMUM, 0)
        said = int(max(tag) if isinstance(tag, tuple) else tag)
    if said >= max(highest, 1):
        return said
    if said and highest <= FULL:
        return FULL  # a PNG by the book: its significant bits are the upper ones
    return next(2**depth - 1 for depth in DEPTHS if highest < 2**depth)


def _significant_bits(path: str | Path) -> int:
    """Most bits that mean something in a channel, as a PNG says; 0 if it does not."""
    with open(path, "rb") as file, suppress(struct.error):
        file.seek(PNG_HEAD)
        while True:
            length, kind = struct.unpack(">I4s", file.read(8))
            if kind == SIGNIFICANT:
                return max(file.read(length), default=0)
            if kind in (b"IDAT", b"IEND"):
                return 0
            file.seek(length + 4, 1)
    return 0


def _to_rgb(image: Image.Image) -> Image.Image:
    if "A" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, rgba).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point images have no defined range")
    return image.convert("RGB")
