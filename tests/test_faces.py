"""Images of every kind and damage; face boxes and crops."""

import numpy as np
import pytest
from PIL import Image

from dferlib.datasets import (
    DatasetError,
)
from dferlib.datasets.faces import (
    centre_square,
    choose_face,
    clip_box,
    crop,
    haar_to_landmark_box,
    read_landmarks,
    track_face,
)
from dferlib.datasets.images import load_rgb


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA", "CMYK", "1", "I;16"])
def test_images_of_every_mode(tmp_path, mode):
    grey = np.tile(np.linspace(0, 255, 40).astype(np.uint8), (30, 1))
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(grey).convert(mode)
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    image.save(path)
    pixels = load_rgb(path)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (30, 40, 3)
    if mode == "1":
        assert set(pixels.ravel()) == {0, 255}
    else:
        assert np.abs(pixels - grey[..., None].astype(int)).max() <= 3


def test_image_transparency_and_rotation(tmp_path):
    clear = np.zeros((4, 6, 4), np.uint8)
    clear[..., 0] = 200
    clear[:2, :, 3] = 255
    Image.fromarray(clear).save(tmp_path / "clear.png")
    assert load_rgb(tmp_path / "clear.png")[:, 0, 0].tolist() == [200, 200, 0, 0]
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    Image.new("RGB", (6, 4)).save(tmp_path / "turned.jpeg", exif=exif)
    assert load_rgb(tmp_path / "turned.jpeg").shape == (6, 4, 3)


def test_unreadable_images_are_named(tmp_path):
    whole = tmp_path / "whole.png"
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole)
    data = whole.read_bytes()
    bad = {
        "cut.png": data[: len(data) // 2],
        "empty.png": b"",
        "page.png": b"<html>not found</html>",
        "flipped.png": data[:60] + bytes([data[60] ^ 255]) + data[61:],
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DatasetError, match="cannot be decoded") as error:
            load_rgb(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)
    with pytest.raises(DatasetError, match="cannot be opened"):
        load_rgb(tmp_path / "gone.png")


def test_huge_image_is_refused_before_it_is_decoded(tmp_path):
    Image.new("1", (8000, 8000)).save(tmp_path / "bomb.png")
    with pytest.raises(DatasetError, match=r"bomb\.png"):
        load_rgb(tmp_path / "bomb.png")


def test_crop_enlarges_to_a_square_around_the_box():
    frame = np.zeros((100, 200, 3), np.uint8)
    frame[40:60, 90:110] = 255  # 20 x 20 in the middle of the frame
    out = crop(frame, (90, 40, 110, 60), 22)
    assert (out[2:20, 2:20] == 255).all()
    assert out[0].max() == out[:, 0].max() == 0
    tall = crop(frame, (95, 30, 105, 70), 44)  # 40 high, so 44 x 44 pixels at scale 1
    assert (tall[..., 0] > 127).sum() == 400


def test_crop_beyond_the_frame_repeats_its_edge():
    frame = np.full((50, 50, 3), 80, np.uint8)
    frame[0] = 200
    out = crop(frame, (10, -20, 40, 10), 33)
    assert (out[:15] == 200).all()
    assert (out[-5:] == 80).all()
    with pytest.raises(DatasetError, match="is empty"):
        crop(frame, (10, 10, 10, 10), 33)


def test_centre_square_is_the_whole_height():
    frame = np.arange(240 * 320 * 3, dtype=np.uint64).astype(np.uint8).reshape(240, 320, 3)
    assert np.array_equal(crop(frame, centre_square(frame), 240), frame[:, 40:280])


def test_clip_box_spans_all_frames_and_not_a_lost_track():
    points = np.zeros((40, 68, 2)) + np.linspace(50, 90, 68)[None, :, None]
    assert clip_box(points).tolist() == [50, 50, 90, 90]
    points[7] += 300  # the tracker is lost in one frame
    assert clip_box(points).tolist() == [50, 50, 90, 90]


def test_choose_face_takes_the_largest_that_stays():
    face, small, flash = [10, 10, 60, 60], [200, 10, 220, 30], [100, 100, 170, 170]
    found = [np.array(boxes, float) for boxes in ([face, small], [small, face], [flash], [face])]
    assert choose_face(found).tolist() == [face] * 4
    moved = [12, 10, 62, 60]
    chosen = choose_face([np.zeros((0, 4)), np.array([face]), np.zeros((0, 4)), np.array([moved])])
    assert chosen.tolist() == [face, face, face, moved]
    assert choose_face([np.zeros((0, 4))] * 3) is None


def test_detected_box_lies_where_the_landmarks_are(ckplus_tree):
    for subject in ("S005", "S012", "S999"):
        frames = [load_rgb(path) for path in sorted(ckplus_tree.rglob(f"{subject}_001_*.png"))]
        files = sorted(ckplus_tree.rglob(f"{subject}_001_*_landmarks.txt"))
        box = clip_box(np.stack([read_landmarks(path) for path in files]))
        found = haar_to_landmark_box(np.median(track_face(frames), axis=0))
        side = max(box[2:] - box[:2])
        assert np.abs((found[:2] + found[2:]) / 2 - (box[:2] + box[2:]) / 2).max() < 0.1 * side
        assert abs((found[2] - found[0]) / side - 1) < 0.2


def test_no_face_in_a_plain_frame():
    assert track_face([np.full((240, 320, 3), 127, np.uint8)] * 3) is None
