"""Stand-ins are cut by the rule that cuts real pictures."""

import numpy as np
import pytest
import torch

from dferlib.datasets.faces.geometry import eye_centres
from dferlib.datasets.faces.options import parse_faces
from dferlib.datasets.manifest import DatasetError
from dferlib.datasets.readers import afew, bu4dfe, ckplus, dfew, mmi, oulu
from dferlib.datasets.standins.plans import STANDINS, plan_standin
from dferlib.synthface.camera import to_pixels
from dferlib.synthface.scene import film

READERS = {"ckplus": ckplus, "oulu": oulu, "mmi": mmi, "bu4dfe": bu4dfe, "afew": afew, "dfew": dfew}


def landmarks(name: str, faces: str = "", row: int = 0, size: int = 100) -> np.ndarray:
    """Landmarks (T, 68, 2) of a clip in pixels of its crops, without rendering it."""
    scene = plan_standin(name, faces=faces).scene(row)
    return to_pixels(scene.landmarks(), scene.windows, size).numpy()


@pytest.mark.parametrize("name", READERS)
def test_a_paper_that_says_nothing_cuts_as_the_reader(name):
    own, real = plan_standin(name).cut, parse_faces("", READERS[name].FACES)
    assert (own.box, own.margin, own.align) == (real.box, real.margin, real.align)


@pytest.mark.parametrize("name", ["oulu", "afew"])
def test_the_face_fills_the_crop(name):
    """As in crops of real pictures, where eyes lie .21 below the top (MTCNN) to .23 (Haar)."""
    first = np.stack([landmarks(name, row=row)[0] for row in range(0, 200, 8)]) / 100
    width = np.ptp(first[..., 0], axis=1)
    eyes = eye_centres(first).mean(axis=1)[:, 1]
    assert 0.8 < np.median(width) < 0.97
    assert 0.17 < np.median(eyes) < 0.27
    assert width.std() > 0.01, "a detector's error is missing"


def test_margin_and_alignment_are_the_papers():
    tight, wide = (np.ptp(landmarks("oulu", faces=f"margin={m}"), axis=1) for m in (0.1, 0.6))
    np.testing.assert_allclose(tight / wide, 1.6 / 1.1, rtol=1e-3)
    row = 3

    def turn(faces: str) -> np.ndarray:
        left, right = eye_centres(landmarks("afew", faces, row)).transpose(1, 0, 2)
        seen = np.isfinite(left[:, 0])
        return np.degrees(np.arctan2(*(right - left)[seen].T[::-1]))

    upright, first, tilted = turn("align=upright"), turn("align=first"), turn("")
    assert np.abs(tilted).max() > 2 > np.abs(upright).mean()
    assert np.ptp(first) < np.ptp(tilted) or np.ptp(tilted) < 2


def test_one_box_serves_a_clip_and_a_stranger_borrows_it():
    still = plan_standin("oulu").scene(1).windows
    assert torch.equal(still, still[:1].expand_as(still))
    followed = plan_standin("oulu", faces="box=frame").scene(1).windows
    assert followed[:, 0].std() > 0
    plan = plan_standin("afew", 0.1)
    away = [s for s in map(plan.scene, range(25)) if bool(s.nuisances.shows.any())]
    assert away
    assert all(bool(scene.windows.isfinite().all()) for scene in away)


def test_the_cut_is_part_of_the_fingerprint_and_a_detector_is_not():
    prints = [
        plan_standin("oulu", 0.1, faces=faces).fingerprint()
        for faces in ("", "box=clip", "detector=mtcnn", "margin=0.25")
    ]
    assert prints[0] == prints[1] == prints[2] != prints[3]
    with pytest.raises(DatasetError, match="is not one of"):
        plan_standin("oulu", faces="edge=3")


def test_subjects_who_share_a_face_are_built_once_and_look_the_same():
    plan = plan_standin("oulu")
    scenes = [plan.scene(row).take([0]) for row in (0, 1)]
    assert scenes[0].people is scenes[1].people
    together, _ = film(scenes, 32)
    alone = np.concatenate([film([scene], 32)[0] for scene in scenes])
    np.testing.assert_array_equal(together, alone)


def test_every_standin_has_a_rule():
    assert {spec.cut for spec in STANDINS.values()} == {"box=clip", "box=frame"}
