"""What training wrote and reads again, with a flipped bit or a missing key: named, never raw."""

import json

import pytest
import torch
from torch import nn

from dferlib.evidence.damage import DamagedFileError, read_record
from dferlib.files import write_json
from dferlib.training import pace
from dferlib.training.checkpoint import resume, save_checkpoint
from dferlib.training.pace import Pace, Work, measure_pace
from dferlib.training.state import State
from dferlib.training.weights import load_weights, save_weights, weights_record


def flips(data: bytes):
    """The content with one bit flipped, a bit for every byte in turn."""
    for place in range(len(data)):
        yield data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]


def outcomes(path, read):
    """What `read` gives for every flipped bit; an error other than the named one is raised."""
    found, errors = [], []
    for content in flips(path.read_bytes()):
        path.write_bytes(content)
        try:
            found.append(read())
        except DamagedFileError as error:
            errors.append(error)
    for error in errors:
        assert str(error).startswith(str(error.path))
        assert "damaged" in error.reason
        assert error.way_out.startswith("Delete")
    return found, errors


def test_no_flipped_bit_beside_weights_is_read_as_something_else(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(nn.Linear(2, 2), path, {"stills": {"holdout_accuracy": 0.5}, "seconds": 1.5})
    whole, weights = weights_record(path), load_weights(path)
    beside = path.with_suffix(".json")
    content = beside.read_bytes()
    found, errors = outcomes(beside, lambda: weights_record(path))
    assert len(errors) > len(found)
    assert all({name: record.get(name) for name in whole} == whole for record in found)
    beside.write_bytes(content)
    assert load_weights(path).keys() == weights.keys()
    write_json(beside, {"sha256": whole["sha256"]})  # as the first records were
    assert weights_record(path) == {"sha256": whole["sha256"]}
    path.unlink()
    with pytest.raises(DamagedFileError, match=r"w\.safetensors is missing .* Delete"):
        load_weights(path)


def test_no_flipped_bit_in_a_kept_pace_ends_raw(tmp_path, monkeypatch):
    monkeypatch.setattr(pace, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(pace, "time_layouts", lambda _: {"contiguous": 0.25, "channels_last": 0.5})
    work = Work("stcam", {}, 6, 7, 32, 16)
    assert measure_pace(work) == Pace("contiguous", 0.25)
    (path,) = (tmp_path / "pace").iterdir()
    found, errors = outcomes(path, lambda: measure_pace(work))
    assert errors
    assert {kept.layout for kept in found} == {"contiguous"}
    assert all(kept.seconds > 0 for kept in found)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not valid JSON"),
        ("[]", "no names with values"),
        ('{"b": 1}', r"key 'a', is damaged: the key is not there"),
        ('{"a": "1"}', r"key 'a', is damaged: the value is of type str"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_a_record_names_file_key_reason_and_way_out(text, reason, tmp_path):
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(DamagedFileError, match=f"record.json.*{reason}.*Try this") as error:
        read_record(path, {"a": int}, "Try this")
    assert error.value.path == path


def test_a_whole_checkpoint_of_something_else_is_named(tmp_path):
    def state(width: int) -> State:
        model = nn.Linear(width, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
        return State(model, optimizer, scheduler, nn.CrossEntropyLoss())

    path = tmp_path / "run.resume"
    save_checkpoint(state(2), path)
    resume(state(2), path)
    with pytest.raises(DamagedFileError, match=r"run\.resume is of another .*Delete it"):
        resume(state(3), path)


def test_the_record_of_a_run_without_what_its_readers_take_for_granted(tmp_path):
    from dferlib.evidence.runs import load_run

    path = tmp_path / "runs" / "a-f01.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"run_id": "a-f01", "paper": "stcam"}))
    with pytest.raises(DamagedFileError, match=r"key .dataset., .* Delete .* the notebook again"):
        load_run(tmp_path, "a-f01")
