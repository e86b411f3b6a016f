"""The way into the benchmarks, the plain way's parity, the toy run, the page, the GPU's parts."""

import json
import sys

import numpy as np
import pytest
import torch

from benchmarks import __main__ as entry
from benchmarks import gpu, start
from benchmarks.models import layers
from benchmarks.parts import FOLDER, PARTS
from benchmarks.speed import models, page, plain, timing
from benchmarks.speed.cases import PAPERS, SIZES, cloud_store, find_case
from dferlib.analysis.cost import count_cost
from dferlib.datasets.batches import NORMALISATIONS, ClipLoader
from dferlib.models import create_model, list_models
from dferlib.models.parts.frames import FrameModel
from dferlib.protocols import load_protocol

CPU = torch.device("cpu")


def test_every_script_is_a_part_and_says_what_it_measures(capsys):
    scripts = {p for p in FOLDER.rglob("*.py") if "__main__" in p.read_text(encoding="utf-8")}
    assert {part.path for part in PARTS.values()} == scripts - {FOLDER / "__main__.py"}
    assert all(part.what.endswith((".", "?")) for part in PARTS.values())
    assert entry.main(["list"]) == 0
    assert "takes 2 min a case" in capsys.readouterr().out
    assert entry.main(["sped"]) == 2
    assert "did you mean 'speed'?" in capsys.readouterr().err


def test_a_part_runs_with_the_words_after_its_name(monkeypatch):
    class Done:
        returncode = 7

    given = []
    monkeypatch.setattr(entry.subprocess, "run", lambda words, env: given.append(words) or Done)
    assert entry.main(["layers", "stcam", "--rows", "3"]) == 7
    (words,) = given
    assert words == [sys.executable, str(PARTS["layers"].path), "stcam", "--rows", "3"]


# ------------------------------------------------------------------ speed


@pytest.mark.parametrize("name", ["fan", "former_dfer", "hacn", "ecnn_fsa"])
def test_the_plain_loop_computes_what_one_batch_does(name):
    case = find_case(name, "quick", toy=True)
    model = case.build().eval()
    clip = torch.randn(2, *case.shape)
    with torch.no_grad():
        looped = plain.loop_over_frames(model, 2).eval()
        calls = []
        looped.backbone.register_forward_hook(lambda module, given, out: calls.append(len(given)))
        torch.testing.assert_close(looped(clip), model(clip), rtol=1e-4, atol=1e-5)
    assert isinstance(model, FrameModel)
    assert calls  # the patched copy was used


def test_the_plain_reader_gives_the_clips_of_the_loader(tmp_path):
    store = cloud_store(4, 3, 32)
    loader = ClipLoader(store, "neutral_to_peak", 3, 32, 2, CPU)
    rows = loader.draw().frames
    plain.write_frames(store, rows, tmp_path)
    files = plain.FrameFiles(tmp_path, rows, 32, NORMALISATIONS["imagenet"])
    found = torch.cat(list(plain.read_in_workers(files, 2, workers=0)))
    wanted = loader.gather(np.arange(4))
    assert found.shape == wanted.shape
    assert (found - wanted).abs().mean() < 0.5  # all that JPEG takes of hard-edged colours


def test_turns_are_counted_without_the_first():
    calls = []
    ways = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    found = timing.take_turns(ways, CPU, seconds=0, rounds=(2, 9))
    assert calls == ["a", "b"] * 3
    assert found["a"]["rounds"] == 2
    assert timing.summary([1.0, 2.0, 3.0, 4.0, 5.0]) == {
        "median": 3.0,
        "low": 2.0,
        "high": 4.0,
        "rounds": 5,
    }


def test_every_network_has_a_case_at_both_sizes():
    for name in list_models():
        assert {find_case(name, size).size for size in SIZES} == set(SIZES)
    case = find_case("stcam", "paper")
    assert case.recipe.variant == "stcam"
    assert case.shape == (3, 7, 224, 224)
    with pytest.raises(ValueError, match="no paper trains 'vit'; the models are c3d, "):
        find_case("vit", "quick")


@pytest.fixture(scope="module")
def record():
    """What a toy leaves, measured for real; without worker processes, which take seconds."""
    case = find_case("peak_cnn", "quick", toy=True)
    turns = {"seconds": 0, "rounds": (1, 1)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain, "WORKERS", 0)
        patch.setattr(plain.read_in_workers, "__defaults__", (0,))
        patch.setitem(timing.SIDE, "cpu", 64)
        return models.measure(case, CPU, 2, 2, turns)


def test_a_toy_is_measured_whole_and_its_page_written(record, tmp_path):
    ours = record["ours"]
    plain_step, step = record["step"]["plain"], record["step"][ours["way"]]
    assert ours["times_as_fast"]["step"] == round(plain_step["median"] / step["median"], 2)
    case = find_case("peak_cnn", "quick", toy=True)
    macs = count_cost(create_model("peak_cnn", 7, **case.options), case.shape).macs
    share = 6 * macs / step["median"] / 1e9
    assert ours["share_of_product"] == pytest.approx(
        share / record["gmacs_a_second"][ours["way"].split()[0]], abs=1e-3
    )
    assert record["batches"] == 2
    assert "peak_cnn" not in models.line_of(record)

    page.write_page(tmp_path)  # nothing is stored
    assert (tmp_path / "README.md").read_text().count("*Not measured.*") == 3
    busy = {"mean": 2.0, "cores_taken_by_others": 1.0}
    stored = json.loads(json.dumps({**record, "load_before": busy}, default=str))
    (tmp_path / "peak_cnn-quick-cpu.json").write_text(json.dumps(stored))
    assert models.is_stored(tmp_path / "peak_cnn-quick-cpu.json")
    page.write_page(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "| peak_cnn* | quick | 2 |" in text
    assert "*Not measured:* c3d paper, c3d quick, " in text
    assert "## GPU\n\n*Not measured.*" in text
    assert "<svg" in (tmp_path / "speed.svg").read_text()


def test_the_slowest_layers_are_named_in_both_layouts(capsys):
    assert layers.main(["resnet3d_18", "--dry", "--rows", "4"]) == 0
    told = capsys.readouterr().out
    assert "convolution_backward" in told
    assert "channels_last" in told
    assert "weights alone" in told


def test_dear_imports_are_summed_by_package():
    told = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:   1000000 |    1000000 |   torch._C\n"
        "import time:    500000 |    1500000 | torch\n"
        "import time:    250000 |     250000 | dferlib.models.stcam\n"
    )
    assert start.dearest(told) == {"torch": 1.5, "dferlib.models": 0.25}


# ------------------------------------------------------------------ GPU


def test_without_a_gpu_nothing_is_measured_and_nothing_fails(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main([]) == 0
    assert "not measured" in capsys.readouterr().out


def test_the_gpus_parts_stand_in_the_order_of_what_decides(capsys):
    names = [part.name.partition(":")[0] for part in gpu.parts()]
    assert list(dict.fromkeys(names)) == ["tests", "speed", "start", "page", "notebook"]
    notebooks = [part for part in gpu.parts() if part.name.startswith("notebook")]
    assert [part.name.rpartition(", ")[2] for part in notebooks[-5:]] == ["all"] * 5
    for slug, baseline in gpu.BASELINES.items():
        paper = load_protocol(slug)
        dataset = next(iter(paper.datasets))
        chosen = paper.presets["gpu"].variants.get(dataset, (tuple(paper.variants), ""))[0]
        assert {baseline, slug} <= set(chosen)
    assert set(gpu.BASELINES) == set(PAPERS)
    assert {part.words[3] for part in gpu.parts() if part.words[2] == "speed"} == {*list_models()}
    for part in gpu.parts(dry=True):
        assert "cuda" not in part.words
    assert gpu.main(["--list", "--dry", "--only", "speed: stcam"]) == 0
    assert "to do    speed: stcam" in capsys.readouterr().out


def test_parts_that_are_stopped_go_on_and_failed_ones_let_others_pass(
    tmp_path, monkeypatch, capsys
):
    slow, broken = (gpu.Part(name, ("-c", "")) for name in ("slow", "broken"))
    ends = {"broken": [3], "slow": [None, None, 0]}
    monkeypatch.setattr(gpu, "run_part", lambda part, *rest: ends[part.name].pop(0))
    progress = gpu.Progress(tmp_path / "state.json")
    assert gpu.run_parts([broken, slow], progress, tmp_path) == 1
    assert {name: part["state"] for name, part in progress.parts.items()} == {
        "broken": "failed",
        "slow": "done",
    }
    assert "the same command goes on: broken" in capsys.readouterr().out
    again = gpu.Progress(tmp_path / "state.json")
    assert gpu.run_parts([slow], again, tmp_path) == 0  # not begun again, or there were no end left
    assert gpu.run_parts([broken], again, tmp_path, minutes=-1) == 1  # nor is this one


def test_a_part_is_stopped_when_its_time_is_over(tmp_path):
    part = gpu.Part("slow", ("-c", "import time; time.sleep(600)"))
    assert gpu.run_part(part, tmp_path, 0.01, dry=False) is None
