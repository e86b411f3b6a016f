"""The piece of a batch goes with it, also where batches are made ahead of their step."""

import numpy as np
import parallel_steps
import pytest
from toy import make_store

from dferlib.datasets import batches
from dferlib.training.pieces import Piece, PieceLoader


@pytest.mark.parametrize("ahead", [False, True])
def test_a_piece_is_that_of_the_batch_handed_out_however_early_others_are_made(ahead, monkeypatch):
    if ahead:
        monkeypatch.setattr(batches, "one_ahead", parallel_steps.one_early)
    store, clips = make_store(subjects=2), np.arange(9)
    whole = batches.ClipLoader(store, "neutral_to_peak", 2, 32, 4, "cpu")
    common = {name: getattr(whole, name) for name in batches.ClipLoader.__dataclass_fields__}
    expected = ([(0, 2, 4), (0, 2, 4), (0, 0, 1)], [(2, 2, 4), (2, 2, 4), (0, 1, 1)])
    for rank, pieces in enumerate(expected):
        loader = PieceLoader(**common, rank=rank, world=2)
        found = zip(loader.training(clips, 0, 0), whole.training(clips, 0, 0), strict=True)
        for (own, every), piece in zip(found, pieces, strict=True):
            assert loader.place.piece == Piece(*piece)
            first, count, total = piece
            assert len(every.target) == total
            shown = slice(first, first + max(1, count))
            assert np.array_equal(own.target, every.target[shown])
            assert np.array_equal(own.clip, every.clip[shown])
        assert loader.place.read == 5
