"""A ledger is added to, and whatever else happens to it is found out."""

import hashlib
import subprocess
import sys

import filelock
import pandas as pd
import pytest

from sqm import ledger
from sqm.checks import Problem

ROWS = pd.DataFrame({"option": ["train", "=1+1"], "estimate": [-12.5, 1 / 3], "note": ["", "ok"]})


ADDER = """\
import sys
from pathlib import Path
import pandas as pd
from sqm import ledger
path, who = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for n in range(20):
    ledger.append(path, pd.DataFrame({"who": [who], "n": [n]}))
    assert ledger.append_new(path, pd.DataFrame({"who": ["any"], "n": [n]})) in (0, 1)
"""


@pytest.fixture
def path(tmp_path):
    ledger.append(tmp_path / "forecasts.csv", ROWS)
    return tmp_path / "forecasts.csv"


def test_what_is_written_is_read(path):
    pd.testing.assert_frame_equal(ledger.read(path), ROWS, check_dtype=False)
    assert ledger.read(path.with_name("none.csv")).empty


def test_rows_are_added_and_the_old_bytes_stay(path):
    before = path.read_bytes()
    whole = ledger.append(path, ROWS.head(1))
    assert path.read_bytes().startswith(before)
    assert whole["option"].tolist() == ["train", "=1+1", "train"]


def test_the_first_seal_by_hand(path):
    line = path.read_text("utf-8").splitlines()[1]
    seal = hashlib.sha256("\x1f".join(["", "train", "-12.5", ""]).encode()).hexdigest()
    assert line == f"train,-12.5,,{seal[:16]}"


def test_a_formula_is_written_as_text(path):
    assert "'=1+1" in path.read_text("utf-8")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("-12.5", "-20.5"),
        lambda text: "\n".join([text.splitlines()[0], *text.splitlines()[2:]]),
        lambda text: text + "train,1.0,,0123456789abcdef\n",
    ],
)
def test_a_changed_ledger_is_a_problem(path, spoil):
    path.write_text(spoil(path.read_text("utf-8")), encoding="utf-8")
    with pytest.raises(Problem, match="does not stand as it was written"):
        ledger.read(path)
    with pytest.raises(Problem):
        ledger.append(path, ROWS)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n"])
def test_any_other_file_is_a_problem(path, text):
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Problem, match="is no ledger"):
        ledger.read(path)


def test_other_columns_are_a_problem(path):
    with pytest.raises(Problem, match="the new rows have others"):
        ledger.append(path, ROWS.rename(columns={"note": "remark"}))


def test_odd_texts_survive(tmp_path):
    given = ["a\nb", "c\x1fd", "'quoted", "中文", "\x00", '"']
    odd = pd.DataFrame({"option": given, "n": range(6)})
    ledger.append(tmp_path / "odd.csv", odd)
    read = ledger.read(tmp_path / "odd.csv")["option"].tolist()
    assert read == ["a b", "c d", "'quoted", "中文", "", '"']


def test_two_processes_that_add_at_the_same_time_lose_nothing(tmp_path):
    path = tmp_path / "forecasts.csv"
    adders = [
        subprocess.Popen(
            [sys.executable, "-c", ADDER, str(path), who],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for who in "ab"
    ]
    try:
        assert [adder.stdout.readline() for adder in adders] == ["ready\n"] * 2
        for adder in adders:
            adder.stdin.write("go\n")
            adder.stdin.flush()
        for adder in adders:
            adder.communicate(timeout=60)
    finally:
        for adder in adders:
            adder.kill()
            adder.communicate()
    assert [adder.returncode for adder in adders] == [0, 0]
    rows = ledger.read(path)
    for who in ("a", "b", "any"):
        assert rows.loc[rows["who"] == who, "n"].tolist() == list(range(20)), who
    assert len(rows) == 60
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize("add", [ledger.append, ledger.append_new])
def test_a_ledger_that_another_holds_is_a_problem(path, monkeypatch, add):
    monkeypatch.setattr(ledger, "PATIENCE", 0.1)
    before = path.read_bytes()
    with (
        filelock.FileLock(path.with_name(".forecasts.csv.lock")),
        pytest.raises(Problem, match=r"forecasts\.csv is being written by another process"),
    ):
        add(path, ROWS.assign(note="new"))
    assert path.read_bytes() == before
    add(path, ROWS.assign(note="new"))
    assert len(ledger.read(path)) == 4


def test_a_ledger_that_cannot_be_written_is_a_problem(tmp_path):
    (tmp_path / "ledger").write_text("no folder")
    with pytest.raises(Problem, match=r"forecasts\.csv cannot be written"):
        ledger.append(tmp_path / "ledger" / "forecasts.csv", ROWS)
    (tmp_path / "forecasts.csv").mkdir()
    with pytest.raises(Problem, match=r"forecasts\.csv cannot be written"):
        ledger.append(tmp_path / "forecasts.csv", ROWS)
    assert not list(tmp_path.glob(".*.part"))
