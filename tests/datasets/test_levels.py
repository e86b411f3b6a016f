"""Pictures of ten or twelve bits in sixteen: read by the range that the whole clip uses."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from dferlib.datasets import DatasetError
from dferlib.datasets.faces.crops import read_clip
from dferlib.datasets.media.images import grey_levels, load_rgb
from dferlib.datasets.readers.scan import Clip

RAMP = np.tile(np.linspace(0, 1, 40), (30, 1))


def write_deep(folder, tops, bits, colour=False, suffix="png"):
    """Ramps up to a share of the range of so many bits, in pictures of sixteen."""
    paths = []
    for number, top in enumerate(tops):
        values = (RAMP * top * (2**bits - 1)).round().astype(np.uint16)
        paths.append(str(folder / f"{number}.{suffix}"))
        cv2.imwrite(paths[-1], np.stack([values] * 3, -1) if colour else values)
    return tuple(paths)


def crops_of(paths):
    return read_clip(Clip("c", "s", "fear", paths, 25.0, -1, cropped=True), 30)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_every_depth_gives_the_same_picture(tmp_path, bits, colour, suffix):
    paths = write_deep(tmp_path, (1.0, 0.5), bits, colour, suffix)
    assert grey_levels(paths) == 2**bits - 1
    crops = crops_of(paths)
    means = crops.frames.mean(axis=(1, 2, 3))
    assert means == pytest.approx([127, 63], abs=1.5)
    text = f"values up to {2**bits - 1} in pictures of sixteen bits, read as white"
    assert crops.note == ("" if bits == 16 else text)


def test_a_dark_frame_stays_dark_beside_a_bright_one(tmp_path):
    paths = write_deep(tmp_path, (0.05, 1.0), 12)
    assert crops_of(paths).frames.max(axis=(1, 2, 3)) == pytest.approx([12, 255], abs=3)
    assert load_rgb(paths[0]).max() > 200  # alone, nothing tells


def add_chunk(path, kind, data):
    """Put a chunk behind the head of a PNG."""
    whole = Path(path).read_bytes()
    chunk = struct.pack(">I", len(data)) + kind + data
    chunk += struct.pack(">I", zlib.crc32(kind + data))
    Path(path).write_bytes(whole[:33] + chunk + whole[33:])


def test_a_tag_of_the_file_counts_more_than_its_values(tmp_path):
    (path,) = write_deep(tmp_path, (0.2,), 12)
    assert grey_levels([path]) == 1023
    add_chunk(path, b"sBIT", bytes([12]))
    assert grey_levels([path]) == 4095
    assert load_rgb(path).max() == pytest.approx(51, abs=1)
    # by the book the significant bits are the upper ones: the range is that of sixteen
    (path,) = write_deep(tmp_path, (0.5,), 16)
    add_chunk(path, b"sBIT", bytes([12]))
    assert grey_levels([path]) == 65535
    tags = ImageFileDirectory_v2()
    tags[281] = 4095
    values = (RAMP * 1000).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "tagged.tif", tiffinfo=tags)
    assert grey_levels([tmp_path / "tagged.tif"]) == 4095


def test_deep_pictures_are_turned_and_laid_on_black_as_others(tmp_path):
    values = np.zeros((20, 30, 4), np.uint16)
    values[..., 2], values[:10, :, 3] = 65535, 65535
    cv2.imwrite(str(tmp_path / "clear.png"), values)
    assert load_rgb(tmp_path / "clear.png")[:, 0].tolist() == [[255, 0, 0]] * 10 + [[0, 0, 0]] * 10
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = Image.fromarray(np.full((4, 6), 60000, np.uint16))
    deep.save(tmp_path / "turned.png", exif=exif)
    assert load_rgb(tmp_path / "turned.png").shape == (6, 4, 3)


def test_eight_bits_have_no_range_to_find(tmp_path):
    Image.fromarray(np.full((4, 4), 3, np.uint8)).save(tmp_path / "dark.png")
    assert grey_levels([tmp_path / "dark.png"]) == 0
    assert load_rgb(tmp_path / "dark.png").max() == 3


@pytest.mark.parametrize("suffix", ["webp", "png", "tiff"])
def test_a_film_in_one_file_is_no_frame(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (3, 8, 8, 3), dtype=np.uint8)
    first, *others = map(Image.fromarray, noise)
    path = tmp_path / f"a.{suffix}"
    first.save(path, save_all=True, append_images=others)
    with pytest.raises(DatasetError, match=r"holds 3 pictures of one size; save each as a file"):
        load_rgb(path)
    first.save(path, **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(load_rgb(path), noise[0])


def test_a_preview_behind_a_picture_is_left_alone(tmp_path):
    first = Image.fromarray(np.full((8, 8, 3), 90, np.uint8))
    first.save(tmp_path / "a.tiff", save_all=True, append_images=[first.resize((4, 4))])
    assert load_rgb(tmp_path / "a.tiff").shape == (8, 8, 3)
