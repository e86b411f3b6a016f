"""Images of every kind and damage; boxes around landmarks; squares cut out of frames."""

import numpy as np
import pytest
from PIL import Image

from dferlib.datasets import DatasetError
from dferlib.datasets.faces.geometry import (
    centre_square,
    clip_box,
    crop,
    cut,
    share_outside,
    tight_squares,
)
from dferlib.datasets.media.images import load_rgb


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
    out = crop(frame, (90, 40, 110, 60), 22, margin=0.1)
    assert (out[2:20, 2:20] == 255).all()
    assert out[0].max() == out[:, 0].max() == 0
    tall = crop(frame, (95, 30, 105, 70), 44, margin=0.1)  # 40 high, so 44 x 44 pixels at scale 1
    assert (tall[..., 0] > 127).sum() == 400


def test_crop_beyond_the_frame_repeats_its_edge():
    frame = np.full((50, 50, 3), 80, np.uint8)
    frame[0] = 200
    out = crop(frame, (10, -20, 40, 10), 33, margin=0.1)
    assert (out[:15] == 200).all()
    assert (out[-5:] == 80).all()
    with pytest.raises(DatasetError, match="is empty"):
        crop(frame, (10, 10, 10, 10), 33, margin=0.1)


def test_centre_square_is_the_whole_height():
    frame = np.arange(240 * 320 * 3, dtype=np.uint64).astype(np.uint8).reshape(240, 320, 3)
    assert np.array_equal(cut(frame, centre_square(320, 240), 240), frame[:, 40:280])


def test_clip_box_spans_all_frames_and_not_a_lost_track():
    points = np.zeros((40, 68, 2)) + np.linspace(50, 90, 68)[None, :, None]
    assert clip_box(points).tolist() == [50, 50, 90, 90]
    points[7] += 300  # the tracker is lost in one frame
    assert clip_box(points).tolist() == [50, 50, 90, 90]


@pytest.mark.parametrize("margin", [0.0, 0.1, 0.25])
def test_margins_against_hand_worked_boxes(margin):
    # a box of 40 x 80 around (100, 60): a square of 80, enlarged to 80, 88 or 100
    frame = np.zeros((120, 200, 3), np.uint8)
    frame[20:100, 60:140] = 255
    side = {0.0: 80, 0.1: 88, 0.25: 100}[margin]
    out = crop(frame, (80, 20, 120, 100), side, margin)[..., 0]
    edge = (side - 80) // 2
    assert (out[edge : side - edge, edge : side - edge] == 255).all()
    assert (out > 127).sum() == 80 * 80


@pytest.mark.parametrize("degrees", [-40, -10, 25, 90])
@pytest.mark.parametrize("side", [60.0, 150.0])
def test_a_turned_square_is_cut_out_upright(degrees, side):
    # pixel by pixel: a smooth picture, read where the turned square's pixels lie
    def picture(x, y):
        return 120 + 60 * np.sin(x / 25) + 60 * np.cos(y / 31)

    rows, columns = np.mgrid[:300, :400] + 0.5
    frame = np.repeat(picture(columns, rows)[..., None], 3, axis=2).round().astype(np.uint8)
    size, angle = 50, np.radians(degrees)
    out = cut(frame, (210, 140, side, angle), size)
    assert out.shape == (size, size, 3)
    v, u = ((np.mgrid[:size, :size] + 0.5) / size - 0.5) * side
    x = 210 + np.cos(angle) * u - np.sin(angle) * v
    y = 140 + np.sin(angle) * u + np.cos(angle) * v
    assert np.abs(out[..., 0] - picture(x, y)).max() < 4


def test_a_turned_square_beyond_the_frame_repeats_its_edge():
    frame = np.full((50, 50, 3), 80, np.uint8)
    frame[:, :5] = 200
    out = cut(frame, (-40, 25, 30, 0.3), 20)
    assert (out == 200).all()
    with pytest.raises(DatasetError, match="is empty"):
        cut(frame, (10, 10, np.nan, 0.0), 20)


def test_tight_squares_of_a_turned_face():
    # a 40 x 20 rectangle of points around (100, 50), turned by 30 degrees clockwise
    flat = np.array([[-20, -10], [20, -10], [20, 10], [-20, 10]] * 17, float)
    angle = np.radians(30)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = np.stack([flat @ turn.T, flat]) + np.array([100, 50])
    squares = tight_squares(points, np.array([angle, 0.0]))
    assert squares == pytest.approx(np.array([[100, 50, 40], [100, 50, 40]]), abs=1e-9)
    level = tight_squares(points[:1], np.zeros(1))[0, 2]
    assert level == pytest.approx(2 * (20 * np.cos(angle) + 10 * np.sin(angle)))


def test_share_outside_of_hand_worked_windows():
    windows = np.array([[50, 50, 40, 0.0], [0, 50, 40, 0.0], [0, 0, 40, 0.0]])
    assert share_outside(windows[:1], 100, 100) == 0
    assert share_outside(windows, 100, 100) == pytest.approx((0 + 0.5 + 0.75) / 3)
