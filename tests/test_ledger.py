"""A ledger is added to, and whatever else happens to it is found out."""

import hashlib

import pandas as pd
import pytest

from sqm import ledger
from sqm.checks import Problem

ROWS = pd.DataFrame({"option": ["train", "=1+1"], "estimate": [-12.5, 1 / 3], "note": ["", "ok"]})


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
