"""What is kept comes back as it was, whatever customers write, and nothing half is ever kept."""

import csv
import hashlib
import io
import itertools
import json
from dataclasses import dataclass
from xml.dom import minidom

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sqm import look, shelf, writing
from sqm.finding import Finding

HOSTILE = [
    "=1+1",
    '=HYPERLINK("http://x")',
    "+34 600",
    "-",
    "@here",
    "\tindented",
    "\rreturned",
    "＝wide",
    "'=quoted before",
    "''@twice",
    "'plain quote",
    "'",
    '"',
    'say "no", and go',
    "two\nlines",
    "two\r\nlines",
    "bare\rreturn",
    "bare\r=1+1",
    " edges ",
    "😀 等待 año ‮",
    "\ufeffmark",
    "NA",
    "nan",
    "True",
    "1.10",
    "a\x00b",
    "x" * 100_000,
]


@dataclass(frozen=True, eq=False)
class Answer(Finding):
    """A finding with one number of each kind, and a picture."""

    share: float = 0.5
    rows: int = 3
    steady: bool = True
    worst: str = "=Madrid"
    limits: tuple = (1.5, float("nan"), "x")

    def sentence(self):
        return "Half of them, 等 <b> & $5."

    def plot(self, ax=None):
        look.axes(ax).plot(range(3))
        return look.label(ax, title="How many?")


class Unseen(Answer):
    def plot(self, ax=None):
        raise NotImplementedError


class Torn(Answer):
    def plot(self, ax=None):
        raise ZeroDivisionError("while drawing")


class Mute(Answer):
    def sentence(self):
        raise ZeroDivisionError("while speaking")


@pytest.fixture
def keep(tmp_path):
    def keeps(finding, name="answer", where="shelf", answer=""):
        settings = {"confidence": 0.95, "names": ["a"]}
        place = tmp_path / where
        shelf.keep(finding, name, shelf=place, phase="measure", answer=answer, settings=settings)
        return place

    return keeps


@pytest.fixture
def back(keep):
    """Keep a table and take it from the shelf again."""

    def goes_and_comes(table):
        return shelf.recall("answer", shelf=keep(Unseen(table))).table

    return goes_and_comes


# --- types --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.array([2**63 - 1, -(2**63), 0]), id="int64"),
        pytest.param(np.array([2**64 - 1, 0], dtype="uint64"), id="uint64"),
        pytest.param(np.array([1, 2], dtype="int8"), id="int8"),
        pytest.param([0.1 + 0.2, np.nan, np.inf, -np.inf, -0.0, 5e-324, 1e308], id="float64"),
        pytest.param(np.array([0.1, 1 / 3], dtype="float32"), id="float32"),
        pytest.param([np.nan, np.nan], id="all blank"),
        pytest.param([True, False], id="bool"),
        pytest.param(pd.array([True, None, False], dtype="boolean"), id="boolean"),
        pytest.param(pd.array([3, None], dtype="Int64"), id="Int64"),
        pytest.param(pd.array([0.1, None], dtype="Float64"), id="Float64"),
        pytest.param(pd.to_datetime(["2025-01-01", None]), id="days"),
        pytest.param(
            pd.to_datetime(["2025-01-01 00:00:00.000001", "2025-01-02 00:00:00.000000"]), id="micro"
        ),
        pytest.param(pd.to_datetime(["2025-01-01 10:00"]).as_unit("ns"), id="ns"),
        pytest.param(pd.to_datetime([None, None]), id="no day at all"),
        pytest.param(pd.Series(HOSTILE), id="texts"),
        pytest.param(pd.Series(["", "a", ""]), id="empty texts"),
        pytest.param(pd.Series([], dtype="float64"), id="no row"),
    ],
)
def test_a_column_comes_back_as_it_was(back, values):
    table = pd.DataFrame({"row": range(len(values)), "value": values})
    pd.testing.assert_frame_equal(back(table), table, check_exact=True)
    alone = table[["value"]]
    pd.testing.assert_frame_equal(back(alone), alone, check_exact=True)


def test_times_with_a_zone_come_back_through_the_hour_that_comes_twice(back):
    utc = pd.to_datetime(
        ["2025-10-26 00:30", "2025-10-26 01:30:00.5", "2025-01-01", None],
        format="ISO8601",
        utc=True,
    )
    table = pd.DataFrame({"at": utc.tz_convert("Europe/Madrid"), "utc": utc})
    pd.testing.assert_frame_equal(back(table), table)


def test_twenty_thousand_numbers_come_back_to_the_last_bit(back):
    rng = np.random.default_rng(1)
    values = rng.normal(size=20_000) * 10.0 ** rng.integers(-300, 300, 20_000)
    assert back(pd.DataFrame({"value": values}))["value"].tolist() == values.tolist()


@pytest.mark.parametrize(
    "index",
    [
        pd.Index(["=Madrid", "Leon"], name="site"),
        pd.Index(["a", "b"], name="=site"),
        pd.DatetimeIndex(["2025-01-06", "2025-01-13"], name="week"),
        pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["site", "month"]),
    ],
    ids=["text", "formula", "week", "two"],
)
def test_the_index_comes_back_with_its_name(back, index):
    table = pd.DataFrame({"estimate": [1.5, 2.5]}, index=index)
    pd.testing.assert_frame_equal(back(table), table)


def test_headings_come_back_as_they_were(back):
    table = pd.DataFrame({"=a": [1], "-b": [2.5], "'=c": ["x"], 'd"e,f': ["y"], "等\ng": [True]})
    pd.testing.assert_frame_equal(back(table), table)


def test_the_callers_table_is_left_alone(keep):
    table = pd.DataFrame({"=a": ["=1", None]}, index=pd.Index([3, 4], name="row"))
    before = table.copy(deep=True)
    keep(Answer(table))
    pd.testing.assert_frame_equal(table, before)


# --- what others read ---------------------------------------------------------------------------


def test_no_cell_and_no_heading_starts_a_formula(keep):
    table = pd.DataFrame({"=text": HOSTILE, "plain": range(len(HOSTILE))}).set_index("=text")
    content = (keep(Unseen(table)) / "answer.csv").read_bytes().decode()
    csv.field_size_limit(200_000)
    rows = list(csv.reader(io.StringIO(content, newline="")))
    assert len(rows) == len(HOSTILE) + 1
    assert [cell for row in rows for cell in row if cell.startswith(tuple("=+-@\t\r＝"))] == []
    assert rows[1] == ["'=1+1", "0"]


@pytest.mark.parametrize(
    ("text", "guarded"),
    [
        ("  =1", "  '=1"),
        ("\u200b＋1", "\u200b'＋1"),
        ('"=1"', '"\'=1"'),
        ("a;=1; -2", "a;'=1; '-2"),  # a spreadsheet set to Spanish begins a cell there
        ("a\n\n=1", "a\n\n'=1"),
        ("a\t@b", "a\t'@b"),
        ("a - b, c = d; e+f", "a - b, c = d; e+f"),
        ("late;\nrude, and -1", "late;\nrude, and -1"),
    ],
)
def test_the_guard_stands_where_a_cell_may_begin(text, guarded):
    assert shelf.guard(text) == guarded
    assert shelf.unguard(guarded) == text


def test_every_text_comes_back_from_behind_its_guard():
    for letters in itertools.product("=-\t\n;'\" a", repeat=5):
        text = "".join(letters)
        assert shelf.unguard(shelf.guard(text)) == text


def test_a_record_printed_in_a_terminal_cannot_turn_or_colour_it(keep):
    place = keep(Answer(pd.DataFrame({"a": [1]}), worst="a\x9b31m\u202eb\x1b"))
    content = (place / "answer.json").read_text(encoding="utf-8")
    assert "a\\u009b31m\\u202eb\\u001b" in content
    assert shelf.recall("answer", shelf=place).numbers["worst"] == "a\x9b31m\u202eb\x1b"


def test_a_control_character_does_not_spoil_a_picture(keep):
    class Named(Answer):
        def plot(self, ax=None):
            return look.label(look.axes(ax), title="a\x00\x1b\ufffeb \ud83d", x="\x08")

    minidom.parse(str(keep(Named(pd.DataFrame({"a": [1]}))) / "answer.svg"))


def test_a_negative_number_is_a_number_and_no_formula(keep):
    content = (keep(Unseen(pd.DataFrame({"v": [-1.5]}))) / "answer.csv").read_text()
    assert content == "v\n-1.5\n"


def test_half_a_letter_does_not_stop_the_study(keep):
    place = keep(Unseen(pd.DataFrame({"text": ["torn \ud83d", "whole"]}, dtype=object)))
    assert shelf.recall("answer", shelf=place).table["text"].tolist() == ["torn ?", "whole"]


# --- the record ---------------------------------------------------------------------------------


def test_sentence_and_numbers_come_back(keep):
    kept = shelf.recall("answer", shelf=keep(Answer(pd.DataFrame({"a": [1]}), share=float("nan"))))
    assert kept.sentence == "Half of them, 等 <b> & $5."
    assert kept.numbers == {
        "share": None,  # what is not a number is null
        "rows": 3,
        "steady": True,
        "worst": "=Madrid",
        "limits": [1.5, None, "x"],
    }
    assert kept.numbers["steady"] is True


def test_numpys_numbers_are_numbers(keep):
    made = Answer(
        pd.DataFrame({"a": [1]}),
        share=np.float64(0.1) + 0.2,
        rows=np.int64(7),
        steady=np.bool_(False),
        limits=(np.float32(0.5), pd.NA, pd.NaT, np.array([1, 2])),
    )
    numbers = shelf.recall("answer", shelf=keep(made)).numbers
    assert numbers["share"] == 0.1 + 0.2
    assert (numbers["rows"], numbers["steady"]) == (7, False)
    assert numbers["limits"] == [0.5, None, None, [1, 2]]


def test_the_record_says_where_it_came_from(keep):
    table = pd.DataFrame({"low": [1.0]}, index=pd.Index(["a"], name="site"))
    record = json.loads(
        (keep(Answer(table), answer="Is it good?") / "answer.json").read_text("utf8")
    )
    assert record["method"] == f"{__name__}.Answer"
    assert (record["name"], record["phase"]) == ("answer", "measure")
    assert (record["question"], record["answer"]) == ("How many?", "Is it good?")
    assert (record["columns"], record["index"]) == ({"site": "str", "low": "float64"}, ["site"])
    assert record["settings"] == {"confidence": 0.95, "names": ["a"]}


def test_a_letter_without_a_font_is_noted(keep):
    class Rare(Answer):
        def plot(self, ax=None):
            return look.label(ax, title="\U00013000?")

    record = json.loads((keep(Rare(pd.DataFrame({"a": [1]}))) / "answer.json").read_text("utf8"))
    assert "HIEROGLYPH" in record["picture_notes"][0]


# --- files --------------------------------------------------------------------------------------


def test_the_same_finding_is_the_same_bytes(keep):
    table = pd.DataFrame({"text": HOSTILE, "v": np.linspace(0, 1, len(HOSTILE))})
    with mpl.rc_context():
        look.apply()
        first, second = keep(Answer(table), where="a"), keep(Answer(table), where="b")
    assert len(shelf.files_of("answer", shelf=first)) == 3
    for name in shelf.files_of("answer", shelf=first):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_files_are_named_with_their_hashes(keep):
    place = keep(Answer(pd.DataFrame({"a": [1]})))
    (place / ".answer.csv.part").write_text("half")
    (place / "answer.txt").write_text("somebody's notes")
    assert shelf.files_of("answer", shelf=place) == {
        name: hashlib.sha256((place / name).read_bytes()).hexdigest()
        for name in ("answer.csv", "answer.json", "answer.svg")
    }
    assert shelf.files_of("other", shelf=place) == {}


def test_a_finding_without_a_picture_has_none_not_even_an_old_one(keep):
    table = pd.DataFrame({"a": [1]})
    place = keep(Answer(table))
    assert (place / "answer.svg").is_file()
    keep(Unseen(table))
    assert sorted(shelf.files_of("answer", shelf=place)) == ["answer.csv", "answer.json"]
    assert json.loads((place / "answer.json").read_text("utf8"))["question"] == "answer"


@pytest.mark.parametrize("broken", [Torn, Mute])
def test_a_finding_that_breaks_is_not_kept_at_all(keep, tmp_path, broken):
    with pytest.raises(ZeroDivisionError):
        keep(broken(pd.DataFrame({"a": [1]})))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("broken", [Torn, Mute])
def test_a_finding_that_breaks_leaves_the_one_before_it_whole(keep, broken):
    before = pd.DataFrame({"a": [1]})
    place = keep(Answer(before))
    files = shelf.files_of("answer", shelf=place)
    with pytest.raises(ZeroDivisionError):
        keep(broken(pd.DataFrame({"b": ["another"], "c": [2]})))
    assert shelf.files_of("answer", shelf=place) == files
    pd.testing.assert_frame_equal(shelf.recall("answer", shelf=place).table, before)


def test_no_figure_is_left_open(keep):
    before = plt.get_fignums()
    keep(Answer(pd.DataFrame({"a": [1]})))
    with pytest.raises(ZeroDivisionError):
        keep(Torn(pd.DataFrame({"a": [1]})))
    assert plt.get_fignums() == before


def test_a_full_disk_leaves_the_file_that_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    writing.write(path, b"whole")
    monkeypatch.setattr(type(path), "write_bytes", _full)
    with pytest.raises(OSError, match="No space left"):
        writing.write(path, b"another")
    assert path.read_bytes() == b"whole"


def _full(path, content):
    with path.open("wb") as half:
        half.write(content[:3])
    raise OSError(28, "No space left on device")
