"""Reading clips in one pass gives the bits of cutting and normalising whole batches."""

import gc

import numpy as np
import pytest
import torch

from dferlib.datasets import pixels, residence
from dferlib.datasets.batches import NORMALISATIONS

FRAMES = np.random.default_rng(0).integers(0, 256, (40, 20, 20, 3), dtype=np.uint8)
ROWS = np.random.default_rng(1).integers(0, 40, (5, 7))
MIRROR = np.array([True, False, True, False, True])


def cut_whole(corner, size):
    """Crops (B, T, size, size, 3) by one index over the whole batch."""
    steps = np.arange(size)
    down = corner[:, :1] + steps
    across = corner[:, 1:] + np.where(MIRROR[:, None], steps[::-1], steps)
    return FRAMES[ROWS[:, :, None, None], down[:, None, :, None], across[:, None, None, :]]


@pytest.mark.parametrize("kind", NORMALISATIONS)
@pytest.mark.parametrize("size", [20, 13, 1])
def test_every_way_gives_the_same_bits(kind, size, monkeypatch):
    corner = np.random.default_rng(2).integers(0, 20 - size, (5, 2), endpoint=True)
    crops = cut_whole(corner, size)
    where = (ROWS, corner, MIRROR)
    assert np.array_equal(pixels.read_crops(FRAMES, *where, size), crops)
    tensors = [torch.from_numpy(array) for array in (FRAMES, *where)]
    assert np.array_equal(pixels.index_crops(*tensors, size), crops)

    mean, std, blue_first = NORMALISATIONS[kind]
    mean, std = (torch.tensor(value).mul(255) for value in (mean, std))
    wanted = ((torch.from_numpy(crops).float() - mean) / std).permute(0, 4, 1, 2, 3)
    wanted = wanted.flip(1) if blue_first else wanted
    for room in (2**20, 12 * size * size * 2):  # all frames of a clip at a time, or two of seven
        monkeypatch.setattr(pixels, "IN_CACHE", room)
        found = pixels.read_clips(FRAMES, *where, size, NORMALISATIONS[kind])
        assert torch.equal(found, wanted)
        assert found.is_contiguous()
    assert torch.equal(pixels.normalise(torch.from_numpy(crops), NORMALISATIONS[kind]), wanted)


def test_a_store_that_fits_is_kept_on_the_device_until_nothing_reads_it(monkeypatch):
    here = torch.device("cpu")
    assert residence.frames_on(here, FRAMES) is None  # a processor reads frames where they lie
    monkeypatch.setattr(residence, "free_memory", lambda device: 2 * FRAMES.nbytes)
    frames = FRAMES.copy()
    placed = residence.frames_on(here, frames)
    assert np.array_equal(placed, frames)
    assert residence.frames_on(here, frames) is placed
    larger = np.concatenate([frames, frames])
    assert residence.frames_on(here, larger) is None
    assert not residence._kept
    residence.frames_on(here, frames)
    monkeypatch.setattr(residence, "free_memory", lambda device: 0)
    del frames
    gc.collect()
    assert not residence._kept


def test_what_is_sent_arrives_in_order():
    here = torch.device("cpu")
    turned = np.arange(6).reshape(2, 3).T
    assert np.array_equal(residence.send(turned, here), turned)
    assert list(residence.one_ahead(iter([(1,), (2,)]), here)) == [(1,), (2,)]
