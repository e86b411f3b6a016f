"""Videos: counted, decoded, compared with what they declare, and read as crops of a face."""

import os
import sys

import numpy as np
import pytest
from films import count_decoded

from dferlib.datasets import DatasetError
from dferlib.datasets.faces.crops import NOTHING, read_clip
from dferlib.datasets.faces.finding import NO_FACE, look
from dferlib.datasets.faces.options import parse_faces
from dferlib.datasets.media import containers, video
from dferlib.datasets.media.containers import is_lfs_stub
from dferlib.datasets.media.video import (
    compare_counts,
    iter_frames,
    probe,
)
from dferlib.datasets.readers.scan import Clip, View


@pytest.fixture(scope="session")
def make_video():
    """Write a video in which frame t is a grey of 20 t, or given frames."""
    pytest.importorskip("av")
    from dferlib.datasets.standins.trees.film import write_video

    def make(path, count=9, fps=25, size=(48, 64), frames=None):
        if frames is None:
            frames = [np.full((*size, 3), 20 * t % 256, np.uint8) for t in range(count)]
        write_video(path, frames, fps)
        return path

    return make


def clip_of(path, count, **options):
    return Clip("c", "s", "fear", (), 25.0, -1, video=str(path), count=count, **options)


@pytest.fixture(scope="module")
def face():
    from dferlib.datasets.standins.trees.film import film

    return [picture.pixels for picture in film(0, 0, "happiness", 3, (320, 240))]


@pytest.mark.parametrize(("suffix", "fps"), [("avi", 25), ("mp4", 29.97), ("flv", 30)])
def test_facts_and_frames(make_video, tmp_path, suffix, fps):
    path = make_video(tmp_path / f"clip.{suffix}", fps=fps)
    facts = probe(path)
    assert facts.count == 9
    assert facts.fps == pytest.approx(fps, rel=1e-3)
    frames = list(iter_frames(path))
    assert len(frames) == 9
    assert frames[0].shape == (48, 64, 3)
    assert frames[0].dtype == np.uint8
    assert [round(frame.mean() / 20) for frame in frames] == list(range(9))
    assert count_decoded(path, 9) == ""


def test_counts_that_differ(tmp_path):
    assert compare_counts("a.avi", 40, 42) == "40 of 42 declared frames decoded"
    assert compare_counts("a.avi", 42, 41) == "42 of 41 declared frames decoded"
    for decoded, declared in ((39, 42), (45, 42), (0, 1)):
        with pytest.raises(DatasetError, match=rf"a\.avi is damaged: {decoded} of {declared}"):
            compare_counts("a.avi", decoded, declared)


def test_a_frame_too_few_is_held_and_noted(make_video, tmp_path):
    path = make_video(tmp_path / "clip.avi")
    frames, note, _ = read_clip(clip_of(path, 10, cropped=True), 16)
    assert frames.shape == (10, 16, 16, 3)
    assert np.array_equal(frames[8], frames[9])
    assert note == "9 of 10 declared frames decoded"
    frames, note, _ = read_clip(clip_of(path, 8, cropped=True), 16)
    assert len(frames) == 8
    assert note == "9 of 8 declared frames decoded"
    with pytest.raises(DatasetError, match="9 of 20 declared") as error:
        read_clip(clip_of(path, 20, cropped=True), 16)
    assert str(path) in str(error.value)


def test_damaged_videos_are_named(make_video, tmp_path):
    whole = make_video(tmp_path / "whole.avi", count=60).read_bytes()
    bad = {"empty.avi": b"", "page.mp4": b"<html>not found</html>", "cut.avi": whole[:200]}
    for name, data in bad.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(DatasetError, match=r"cannot be decoded|holds no video") as error:
            probe(path)
        assert str(path) in str(error.value)
    with pytest.raises(DatasetError, match=r"gone\.avi cannot be decoded"):
        probe(tmp_path / "gone.avi")
    half = tmp_path / "half.avi"
    half.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"half\.avi (cannot be decoded|is damaged: \d+ of 60)"):
        count_decoded(half, 60)


def test_stub_of_git_lfs_is_recognised(tmp_path):
    pytest.importorskip("av")
    path = tmp_path / "clip.flv"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    assert is_lfs_stub(path)
    with pytest.raises(DatasetError, match="git lfs pull"):
        probe(path)
    path.write_bytes(b"FLV\x01")
    assert not is_lfs_stub(path)


def test_huge_video_is_refused_before_it_is_decoded(make_video, tmp_path, monkeypatch):
    path = make_video(tmp_path / "clip.avi")
    monkeypatch.setattr(containers, "MAX_PIXELS", 1000)
    with pytest.raises(DatasetError, match="64 x 48 pixels"):
        probe(path)


def test_without_pyav_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    for read in (probe, lambda path: next(iter_frames(path))):
        with pytest.raises(DatasetError, match=r"pip install 'dferlib\[video\]'"):
            read(tmp_path / "clip.avi")


def test_look_cuts_and_turns_clockwise():
    frame = np.arange(2 * 6 * 3).reshape(2, 6, 3)
    assert np.array_equal(look(frame, View("left")), frame[:, :3])
    assert np.array_equal(look(frame, View("right")), frame[:, 3:])
    turned = look(frame, View(turn=90))
    assert turned.shape == (6, 2, 3)
    assert np.array_equal(turned[0, 1], frame[0, 0])  # top left comes to the top right
    assert np.array_equal(look(frame, View(turn=180)), frame[::-1, ::-1])
    assert np.array_equal(look(frame, View(turn=270))[0, 0], frame[0, 5])


@pytest.mark.parametrize("turn", [0, 90, 270])
def test_the_view_with_a_face_is_taken(make_video, tmp_path, face, turn):
    path = make_video(tmp_path / "t.avi", frames=[np.rot90(f, turn // 90) for f in face])
    views = (View(turn=270), View(turn=90), View())
    frames, note, _ = read_clip(clip_of(path, 3, views=views), 32)
    upright, _, _ = read_clip(clip_of(make_video(tmp_path / "u.avi", frames=face), 3), 32)
    assert note == ""
    assert np.corrcoef(frames.ravel(), upright.ravel())[0, 1] > 0.9


def test_the_half_with_a_face_is_taken(make_video, tmp_path, face):
    # the recipe of a dual view: the other half has no face that the detector knows
    both = [np.concatenate([np.full_like(f, 100), f], axis=1) for f in face]
    path = make_video(tmp_path / "dual.avi", frames=both)
    for faces in ("box=clip", "box=frame"):
        options = parse_faces(faces)
        dual = clip_of(path, 3, views=(View("left"), View("right")))
        frames, note, record = read_clip(dual, 32, options)
        alone = read_clip(clip_of(make_video(tmp_path / "u.avi", frames=face), 3), 32, options)
        assert (note, record.own) == ("", 3)
        assert np.corrcoef(frames.ravel(), alone.frames.ravel())[0, 1] > 0.9


def test_clips_without_a_face_or_without_anything(make_video, tmp_path):
    path = make_video(tmp_path / "plain.avi", count=4)
    frames, note, _ = read_clip(clip_of(path, 4, views=(View(turn=90), View())), 16)
    assert note == NO_FACE
    assert frames.shape == (4, 16, 16, 3)
    frames, note, _ = read_clip(Clip("c", "s", "fear", (), 25.0, -1), 16)
    assert (frames.shape, note) == ((1, 16, 16, 3), NOTHING)
    assert set(frames.ravel()) == {128}


def test_frames_are_counted_once_and_anew_after_a_change(make_video, tmp_path, monkeypatch):
    monkeypatch.setenv("DFER_CACHE", str(tmp_path / "cache"))
    paths = [
        make_video(tmp_path / f"{name}/clip.flv", count=count)
        for name, count in (("a", 5), ("b", 7))
    ]
    (tmp_path / "b/none.flv").write_text("no video")
    paths.append(tmp_path / "b/none.flv")
    facts, errors = video.probe_all(paths)
    assert [fact.count for fact in facts.values()] == [5, 7]
    assert len(errors) == 1
    opened = []
    monkeypatch.setattr(video, "probe", lambda path: opened.append(path) or probe(path))
    assert video.probe_all(paths) == (facts, errors)
    assert opened == paths[2:]  # what could not be opened is tried again
    make_video(paths[0], count=6)
    assert video.probe_all(paths)[0][str(paths[0])].count == 6
    (note,) = (tmp_path / "cache/videos").glob("*.json")
    note.write_text("{torn")
    assert video.probe_all(paths[:2])[0][str(paths[1])].count == 7


def test_a_cache_that_cannot_be_written_is_no_hindrance(make_video, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DFER_CACHE", str(tmp_path / "file"))
    path = make_video(tmp_path / "clip.flv")
    assert video.probe_all([path])[0][str(path)].count == 9
    assert video.probe_all([]) == ({}, [])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every name is text")
def test_videos_whose_names_are_no_text_are_refused_by_name(make_video, tmp_path, monkeypatch):
    monkeypatch.setenv("DFER_CACHE", str(tmp_path / "cache"))
    good = make_video(tmp_path / "a/clip.flv")
    bad = tmp_path / os.fsdecode(b"caf\xe9") / "clip.flv"
    bad.parent.mkdir()
    bad.write_bytes(good.read_bytes())
    for paths in ([bad, good], [good, bad]):
        facts, errors = video.probe_all(paths)
        assert list(facts) == [str(good)]
        assert errors == [
            f"{bad}: the name of the file or of a folder above it is no UTF-8; rename it"
        ]
    assert video.probe_all([bad])[0] == {}
