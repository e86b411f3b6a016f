"""Files that were damaged while nobody looked: found, named, repeated, and never a wrong number."""

import json

import pytest

from benchmarks.trust import damage
from dferlib.evidence import __main__ as command
from dferlib.evidence import checked_table
from dferlib.evidence.checked_table import checksum_file, is_checked, write_table
from dferlib.evidence.damage import DamagedFileError
from dferlib.evidence.runs import load_run
from dferlib.evidence.summary import SUMMARY_COLUMNS, read_summary
from dferlib.files import SEAL, csv_bytes, write_json


@pytest.mark.parametrize("name", damage.KINDS)
def test_damage_is_named_or_harmless(name, tmp_path, monkeypatch):
    monkeypatch.setattr(checked_table, "LOOKS", 1)  # nobody else writes here
    cases = 20 if name == "store" else 60
    found = damage.measure(damage.KINDS[name](tmp_path), cases, tmp_path)
    assert not found["bad"]
    assert found["named"] + found["repeated"] > cases / 2


def test_what_has_no_checksum_is_read_and_said(tmp_path, capsys):
    (path, _, name), (other, _, _) = damage.save_toy_runs(tmp_path / "toy" / "oulu-synthetic-x")
    folder = path.parents[1]
    record = json.loads(path.read_bytes())
    del record[SEAL]
    write_json(path, record)
    assert SEAL not in load_run(folder, name).record
    assert command.main(["verify", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "runs: 1 whole, 1 without a checksum" in told
    assert "aggregates: 2 whole" in told
    assert '-p variants "toy" -p folds "1,2" -p seeds "0"\n  2 runs, about 25 s' in told
    record["metrics"][0]["war"] += 0.05  # no checksum would tell, but its predictions do
    write_json(path, record)
    other.write_text(other.read_text().replace("0.5", "0.25", 1))
    (folder / "runs" / ".x.json.12-ab.tmp").write_text("{")
    assert command.main(["verify", str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert "its predictions give" in told
    assert f"{other}, key 'record', is damaged: its checksum differs. Delete" in told
    assert "left by a kill" in told
    assert command.main(["verify", str(tmp_path / "none")]) == 2


def test_a_summary_and_its_checksum_fit_at_every_moment(tmp_path, monkeypatch):
    import pandas as pd

    path, real = tmp_path / "summary.csv", checked_table.write_atomic
    tables = [pd.DataFrame([[n] * len(SUMMARY_COLUMNS)], columns=SUMMARY_COLUMNS) for n in (1, 2)]
    path.write_bytes(csv_bytes(tables[0]).replace(b"\n", b"\r\n"))  # as Windows checks it out
    assert is_checked(path) is None
    write_table(path, tables[0])
    seen = []

    def watched(*args, **options):
        real(*args, **options)
        seen.append((is_checked(path), int(read_summary(path)["ours"].iloc[0])))

    monkeypatch.setattr(checked_table, "write_atomic", watched)
    write_table(path, tables[1])
    assert seen == [(True, 1), (True, 2), (True, 2)]
    monkeypatch.setattr(checked_table, "LOOKS", 1)
    path.write_bytes(csv_bytes(tables[0]))
    with pytest.raises(DamagedFileError, match=r"does not fit summary.csv.sha256.* back from git"):
        read_summary(path)
    checksum_file(path).unlink()
    path.write_text("")
    with pytest.raises(DamagedFileError, match="is no table"):
        read_summary(path)
