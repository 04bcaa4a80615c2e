"""Sums made where a table lies: the same from every source, and what they leave out is said."""

import gzip
import hashlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow
import pytest
import yaml
from openpyxl import Workbook
from pyarrow import parquet

from sqm import counting, sources
from sqm.checks import Problem
from sqm.clock import Calendar
from sqm.roles import Table

SUMMED = """
summed:
  period: {column: arrived, each: week}
  unit: site
  part: reason
  n: rows
  events: {column: resolved, is: ["0"]}
"""
NAMES = ["arrived", "site", "reason", "resolved", "wait_s", "channel"]
MADRID = Calendar(time_zone="Europe/Madrid")


def described(text, **more):
    return Table.model_validate(yaml.safe_load(text) | more)


def contacts(rows=600):
    """Contacts over five weeks from a Wednesday to a Tuesday, some with nothing in a column."""
    rng = np.random.default_rng(1)
    minutes = rng.integers(0, 5 * 7 * 24 * 60 - 24 * 60, rows)
    table = pd.DataFrame(
        {
            "arrived": pd.Timestamp("2025-01-01") + pd.to_timedelta(minutes, unit="min"),
            "site": rng.choice(["North", "South"], rows),
            "reason": rng.choice(["bill", "line"], rows),
            "resolved": rng.choice(["0", "1"], rows, p=[0.3, 0.7]),
            "wait_s": rng.integers(0, 900, rows),
            "channel": rng.choice(["phone", "chat", "mail"], rows),
        }
    )
    table["arrived"] = table["arrived"].astype("datetime64[us]")
    table.loc[5:9, "resolved"] = None
    table.loc[10:12, "arrived"] = pd.NaT
    table.loc[13:14, "site"] = None
    return table


def kept_as(table, root, how):
    """Put a table into a place of this kind; what the description says of where it lies."""
    text = table.assign(arrived=table["arrived"].dt.strftime("%Y-%m-%d %H:%M:%S"))
    if how == "parquet":
        table.to_parquet(root / "t.parquet")
    elif how == "nanoseconds":
        table.astype({"arrived": "datetime64[ns]"}).to_parquet(root / "t.parquet")
        return {"path": "t.parquet"}
    elif how == "csv":
        text.to_csv(root / "t.csv", index=False)
    elif how == "gz":
        (root / "t.csv.gz").write_bytes(
            gzip.compress(text.to_csv(index=False, sep=";").encode("latin-1"), mtime=0)
        )
        return {"path": "t.csv.gz"}
    elif how == "xlsx":
        book = Workbook()
        for row in [NAMES, *text.astype(object).where(text.notna(), None).to_numpy().tolist()]:
            book.active.append(row)
        book.save(root / "t.xlsx")
    else:
        with sqlite3.connect(root / "t.db") as base:
            text.to_sql("t", base, index=False)
        base.close()
        return {"database": "sqlite:///t.db", "query": "SELECT * FROM t -- it's all: of them"}
    return {"path": f"t.{how}"}


@pytest.fixture
def read(tmp_path):
    def reads(place, text=SUMMED, *, name="counted", calendar=MADRID, **more):
        table = described(text, **place, **more)
        assert sources.check(table, name, root=tmp_path, calendar=calendar) == []
        return sources.read(table, name, root=tmp_path, calendar=calendar)

    return reads


def by_hand(table, *, first="2025-01-06", last="2025-02-03"):
    """The same sums by pandas: whole weeks only, rows whose event is known."""
    used = table[table["arrived"].notna() & table["resolved"].notna()]
    week = used["arrived"].dt.to_period("W").dt.start_time
    inside = (week >= first) & (week < last)
    by = [week[inside], used.loc[inside, "site"], used.loc[inside, "reason"]]
    events = (used.loc[inside, "resolved"] == "0").astype(float)
    found = events.groupby(by, dropna=False).agg(["size", "sum"]).reset_index()
    return found.set_axis(["period", "unit", "part", "n", "events"], axis="columns")


PLACES = ["parquet", "nanoseconds", "csv", "gz", "xlsx", "sqlite"]


@pytest.mark.parametrize("how", PLACES)
def test_the_sums_are_those_of_the_rows(how, read, tmp_path):
    table = contacts()
    found = read(kept_as(table, tmp_path, how))
    expected = by_hand(table).sort_values(["period", "unit", "part"], na_position="first")
    pd.testing.assert_frame_equal(found.table, expected.reset_index(drop=True), check_dtype=False)
    notes = {(n.column, n.what): (n.rows, n.treatment) for n in found.notes.itertuples()}
    cut = table["arrived"].lt("2025-01-06") | table["arrived"].ge("2025-02-03")
    assert notes["", "rows where the table lies"] == (600, "detected")
    assert notes["resolved", "blank"] == (5, "left out")
    assert notes["arrived", "blank"] == (3, "left out")
    assert notes["site", "blank"] == (2, "summed under no name")
    assert notes["arrived", "in a week cut off at an end of the data"] == (cut.sum(), "left out")
    assert found.rows == 600


@pytest.mark.parametrize("how", PLACES)
def test_rows_outside_are_left_out_and_counted(how, read, tmp_path):
    table = contacts()
    place = kept_as(table, tmp_path, how)
    where = {"channel": ["phone", "chat"], "arrived": {"from": "2025-01-13", "to": "2025-01-26"}}
    found = read(place, where=where)
    inside = table["channel"].isin(["phone", "chat"]) & table["arrived"].between(
        "2025-01-13", "2025-01-26 23:59:59"
    )
    assert found.table["n"].sum() == (inside & table["resolved"].notna()).sum()
    outside = found.notes.set_index("what").loc["outside `where`"]
    assert (outside["rows"], found.rows) == ((~inside).sum(), 600)
    assert outside["treatment"] == "not asked for"  # so Measure does not count it as set aside


@pytest.mark.parametrize("how", PLACES)
def test_a_table_of_rows_is_narrowed_too(how, read, tmp_path):
    table = contacts()
    text = "roles: {wait_s: {column: wait_s, type: number}, at: {column: arrived, type: time}}"
    where = {"wait_s": {"above": 300, "to": 600}, "channel": "phone"}
    found = read(kept_as(table, tmp_path, how), text, name="own", where=where)
    kept = table[table["wait_s"].between(301, 600) & (table["channel"] == "phone")]
    assert sorted(found.table["wait_s"]) == sorted(kept["wait_s"])
    assert found.notes["rows"].tolist()[:2] == [600, 600 - len(kept)]


@pytest.mark.parametrize(
    ("each", "starts", "periods"),
    [
        ("day", "Mon", 34),
        ("week", "Sun", 4),  # of 1 January to 3 February: 5 January on
        ("week", "Wed", 4),  # the last one ends on the day after the data
        ("month", "Mon", 1),
    ],
)
@pytest.mark.parametrize("how", ["parquet", "sqlite"])
def test_periods_are_the_calendars_and_whole(how, each, starts, periods, read, tmp_path):
    days = pd.date_range("2025-01-01 12:00", "2025-02-03 12:00", freq="D")
    table = pd.DataFrame(dict.fromkeys(NAMES, "x"), index=range(len(days)))
    table["arrived"] = days.astype("datetime64[us]")
    text = f"summed: {{period: {{column: arrived, each: {each}}}, n: rows}}"
    calendar = Calendar(time_zone="Europe/Madrid", week_starts=starts)
    found = read(kept_as(table, tmp_path, how), text, calendar=calendar).table
    assert len(found) == periods
    assert found["n"].unique().tolist() == [{"day": 1, "week": 7, "month": 31}[each]]
    if each == "week":
        assert set(found["period"].dt.day_name().str[:3]) == {starts}


def test_a_month_at_either_end_is_whole_if_all_its_worked_days_are_there(read, tmp_path):
    days = pd.date_range("2025-03-03", "2025-05-30", freq="D")  # a Monday to a Friday
    pd.DataFrame({"arrived": days}).to_parquet(tmp_path / "t.parquet")
    office = Calendar(days=("Mon", "Tue", "Wed", "Thu", "Fri"))
    text = "summed: {period: {column: arrived, each: month}, n: rows}"
    found = read({"path": "t.parquet"}, text, calendar=office).table
    assert found["n"].tolist() == [29, 30, 30]


AT = "2025-01-01 23:30"  # in UTC; in Madrid it is half past midnight


@pytest.mark.parametrize(
    ("values", "zone", "day"),
    [
        (pd.Series([AT]).astype("datetime64[us, UTC]"), None, "2025-01-02"),
        (pd.Series([AT]).astype("datetime64[us]"), None, "2025-01-01"),
        (pd.Series([AT]).astype("datetime64[us]"), "UTC", "2025-01-02"),
        (pd.Series(["2025-01-01T23:30Z"]), None, "2025-01-02"),
        (pd.Series(["2025-01-01 23:30:00+00:00"]), None, "2025-01-02"),
        (pd.Series(["2025-01-01 23:30"]), "UTC", "2025-01-02"),
        (pd.Series(["2025-01-01"]), None, "2025-01-01"),
        (pd.to_datetime(pd.Series([AT])).dt.date, None, "2025-01-01"),
    ],
)
def test_days_are_those_of_the_studys_clock(values, zone, day, read, tmp_path):
    values.to_frame("arrived").to_parquet(tmp_path / "t.parquet")
    text = "summed: {period: {column: arrived, each: day}, n: rows}"
    found = read({"path": "t.parquet"}, text, time_zone=zone).table
    assert found["period"].dt.strftime("%Y-%m-%d").tolist() == [day]
    where = {"arrived": {"from": day, "to": day}}
    assert len(read({"path": "t.parquet"}, text, time_zone=zone, where=where).table) == 1


def test_times_written_another_way_need_their_format(read, tmp_path):
    (tmp_path / "t.csv").write_text("day\n03/04/2025\n28/04/2025\n", encoding="utf-8")
    how = '{column: day, each: day, format: "%d/%m/%Y"}'
    found = read({"path": "t.csv"}, f"summed: {{period: {how}, n: rows}}").table
    assert found["period"].dt.strftime("%m-%d").tolist() == ["04-03", "04-28"]
    with pytest.raises(Problem, match=r"(?s)'day' has 2 values .*'03/04/2025'.*give a `format`"):
        read({"path": "t.csv"}, "summed: {period: {column: day, each: day}, n: rows}")


COUNTS = "a,hours,late\nx,2,1.0\nx,3,0\ny,4,no\ny,,1\n"


@pytest.mark.parametrize(
    ("how", "n", "events"),
    [
        ("{n: rows, events: {column: late, is: [1]}}", 4, 2),  # 1.0 is 1, in text too
        ("{n: rows, events: {column: late, is: ['no', '1']}}", 4, 3),
        ("{n: {added: hours}, events: {column: late, is: ['0']}}", 9, 1),
        ("{n: rows, events: {column: hours, above: 2}}", 3, 2),  # a blank is no case
        ("{n: rows, events: {column: hours, below: 4, above: 2}}", 3, 1),
    ],
)
def test_what_is_counted(how, n, events, read, tmp_path):
    (tmp_path / "t.csv").write_text(COUNTS, encoding="utf-8")
    found = read({"path": "t.csv"}, f"summed: {how}").table
    assert found[["n", "events"]].to_numpy().tolist() == [[n, events]]


def test_codes_for_no_value_are_none_in_sums(read, tmp_path):
    (tmp_path / "t.csv").write_text("a,b\nx,1\n99,0\nx,99\n 99 ,1\n", encoding="utf-8")
    text = "summed: {unit: a, n: rows, events: {column: b, is: [1]}}"
    found = read({"path": "t.csv"}, text, missing=[99])
    assert found.table["unit"].isna().tolist() == [True, False]
    assert found.table["n"].tolist() == [2, 1]
    notes = found.notes.set_index(["column", "what"])["rows"]
    assert (notes["a", "blank"], notes["b", "blank"]) == (2, 1)


def test_a_sum_that_happens_to_be_a_code_stays(read, tmp_path):
    (tmp_path / "t.csv").write_text("a\n" + "x\n" * 99, encoding="utf-8")
    found = read({"path": "t.csv"}, "summed: {unit: a, n: rows}", missing=[99])
    assert found.table["n"].tolist() == [99]


@pytest.mark.parametrize(
    ("values", "asked", "n"),
    [
        ([True, False, None], "0", 1),
        ([True, False, None], "yes", 1),
        ([0.0, 1.5, 0.0], "0", 2),
        ([0.0, 1.5, 0.0], 1.5, 1),
    ],
)
def test_typed_columns_are_asked_in_their_own_words(values, asked, n, read, tmp_path):
    pd.DataFrame({"a": values}).to_parquet(tmp_path / "t.parquet")
    found = read({"path": "t.parquet"}, "summed: {n: rows}", where={"a": asked})
    assert found.table["n"].tolist() == [n]


EVENTS = "summed: {n: rows, events: {column: wait, above: 300}}"


def test_what_is_not_a_number_is_blank_and_what_is_infinite_unreadable(read, tmp_path):
    nan, inf = float("nan"), float("inf")
    table = pyarrow.table({"wait": pyarrow.array([nan, 100.0, 400.0, None])})
    parquet.write_table(table, tmp_path / "t.parquet")
    found = read({"path": "t.parquet"}, EVENTS)
    assert found.table.to_numpy().tolist() == [[2, 1]]
    assert found.notes.set_index(["column", "what"])["rows"]["wait", "blank"] == 2
    parquet.write_table(pyarrow.table({"wait": [inf, 100.0, -inf]}), tmp_path / "t.parquet")
    with pytest.raises(Problem, match="'wait' has 2 values"):
        read({"path": "t.parquet"}, EVENTS)


@pytest.mark.parametrize("how", ["parquet", "csv", "sqlite"])
def test_a_fraction_is_not_added_in_silence(how, read, tmp_path):
    table = contacts(4).assign(wait_s=[2.5, 1.0, 2.0, 3.5])
    with pytest.raises(Problem, match=r"'wait_s' has 2 values"):
        read(kept_as(table, tmp_path, how), "summed: {n: {added: wait_s}}")
    (tmp_path / "t.db").unlink(missing_ok=True)
    whole = kept_as(table.assign(wait_s=[3.0, 1.0, 2.0, 4.0]), tmp_path, how)
    assert read(whole, "summed: {n: {added: wait_s}}").table["n"].tolist() == [10]


@pytest.mark.parametrize(
    ("decimal", "cells", "bad"),
    [
        (",", ["1.234", "200", "12,5"], "1.234"),
        (".", ["1_000", "200", "12.5"], "1_000"),
        (".", ["0x1F", "200", "1e3"], "0x1F"),
        (".", ["1,5", "200", "5."], "1,5"),
        (".", ["nan", "200", "-.5"], "nan"),
    ],
)
def test_a_number_is_written_plainly_or_unreadable(decimal, cells, bad, read, tmp_path):
    pd.DataFrame({"wait": cells}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(Problem, match=f"(?s)'wait' has 1 values .* such as '{bad}'"):
        read({"path": "t.csv"}, EVENTS, decimal=decimal)
    pd.DataFrame({"wait": ["400", *cells[1:]]}).to_csv(tmp_path / "t.csv", index=False)
    assert read({"path": "t.csv"}, EVENTS, decimal=decimal).table["n"].tolist() == [3]


WEEKS = "summed: {period: {column: day, each: week}, n: rows}"


@pytest.mark.parametrize("typed", [True, False])
def test_a_sentinel_among_days_is_no_day(typed, read, tmp_path):
    days = [f"2025-01-{day:02d}" for day in range(6, 20)]
    cells = pd.Series([*days, "9999-12-31"])
    held = pd.Series([*map(date.fromisoformat, cells)]) if typed else cells
    held.to_frame("day").to_parquet(tmp_path / "t.parquet")
    with pytest.raises(Problem, match=r"'day' has 1 values .* '9999-12-31"):
        read({"path": "t.parquet"}, WEEKS)
    found = read({"path": "t.parquet"}, WEEKS, missing=["9999-12-31"])
    assert found.table["n"].tolist() == [7, 7]
    assert found.notes.set_index(["column", "what"])["rows"]["day", "blank"] == 1


def test_a_format_may_hold_an_offset(read, tmp_path):
    (tmp_path / "t.csv").write_text("day\n01/01/2025 23:30:00+0000\n", encoding="utf-8")
    how = '{column: day, each: day, format: "%d/%m/%Y %H:%M:%S%z"}'
    found = read({"path": "t.csv"}, f"summed: {{period: {how}, n: rows}}").table
    assert found["period"].dt.strftime("%Y-%m-%d").tolist() == ["2025-01-02"]  # in Madrid


def test_sqlite_does_not_take_30_february_for_a_day(tmp_path):
    with sqlite3.connect(tmp_path / "t.db") as base:
        pd.DataFrame({"day": ["2025-02-30", "2025-02-28 10:00"]}).to_sql("t", base, index=False)
    base.close()
    table = described(WEEKS, database="sqlite:///t.db", query="select * from t")
    with pytest.raises(Problem, match=r"'day' has 1 values .* '2025-02-30'"):
        sources.read(table, "counted", root=tmp_path, calendar=MADRID)


def test_a_value_that_never_occurs_is_noted(read, tmp_path):
    (tmp_path / "t.csv").write_text('r\n0\n1\n""\n0\n', encoding="utf-8")
    found = read({"path": "t.csv"}, "summed: {n: rows, events: {column: r, is: ['no']}}")
    assert found.table.to_numpy().tolist() == [[3, 0]]
    notes = found.notes.set_index("what").loc["never holds what is counted (no)"]
    assert notes[["column", "rows", "treatment"]].tolist() == ["r", 3, "kept"]
    found = read({"path": "t.csv"}, "summed: {n: rows, events: {column: r, is: ['0']}}")
    assert not found.notes["what"].str.startswith("never").any()


def test_labels_of_an_spss_file_hold_where_it_is_narrowed_or_summed(read, tmp_path):
    pyreadstat = pytest.importorskip("pyreadstat")
    frame = pd.DataFrame({"way": [1.0, 2.0, 1.0], "k": ["a", "b", "a"]})
    labels = {"way": {1.0: "phone", 2.0: "chat"}}
    pyreadstat.write_sav(frame, tmp_path / "t.sav", variable_value_labels=labels)
    sums = read({"path": "t.sav"}, "summed: {unit: way, n: rows}").table
    assert sums.to_numpy().tolist() == [["chat", 1], ["phone", 2]]
    text = "roles: {way: {column: way, type: category}}"
    rows = read({"path": "t.sav"}, text, name="own", where={"k": "a"}).table
    assert rows["way"].tolist() == ["phone", "phone"]


def test_the_digest_of_an_answer_does_not_depend_on_the_order_of_its_rows(read, tmp_path):
    table = contacts(20)
    text = "roles: {site: {column: site, type: category}}"
    found = set()
    for rows in (table, table[::-1], table[:19]):
        with sqlite3.connect(tmp_path / "t.db") as base:
            rows.astype(str).to_sql("t", base, index=False, if_exists="replace")
        base.close()
        place = {"database": "sqlite:///t.db", "query": "SELECT * FROM t"}
        found.add(read(place, text, name="own", where={"wait_s": {"is": list(range(900))}}).sha256)
    assert len(found) == 2


@pytest.mark.parametrize("how", ["parquet", "csv", "sqlite"])
def test_of_a_column_its_values_alone_come_in(how, tmp_path):
    place = kept_as(contacts(), tmp_path, how)
    table = described(
        "roles: {site: {column: site, type: category}}", where={"channel": "fax"}, **place
    )
    found = counting.values(table, "own", "site", root=tmp_path)
    there = contacts()["site"].fillna("").unique().tolist()
    assert found.under(["site"])["site"].tolist() == there  # as they first appear


# --- files ----------------------------------------------------------------------------------------


def test_a_folder_and_a_pattern_are_one_table(read, tmp_path):
    table = contacts()
    (tmp_path / "parts").mkdir()
    for at in range(3):
        table[at::3].to_parquet(tmp_path / "parts" / f"part-{at}.parquet")
    whole = read(kept_as(table, tmp_path, "parquet"))
    for path in ("parts", "parts/part-*.parquet"):
        found = read({"path": path})
        pd.testing.assert_frame_equal(found.table, whole.table)
        assert found.sha256 != whole.sha256
    two = read({"path": "parts/part-[01].parquet"})
    assert (two.rows, two.sha256 != found.sha256) == (400, True)


def test_the_hash_is_that_of_the_file(read, tmp_path):
    (tmp_path / "t.csv").write_bytes(b"a\nx\n")
    found = read({"path": "t.csv"}, "summed: {n: rows}").sha256
    assert found == hashlib.sha256(b"a\nx\n").hexdigest()


def test_csv_files_of_one_table_are_written_alike(tmp_path):
    for name, text in {"a.csv": "x,y\n1,2\n", "b.csv": "y,x\n1,2\n"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    table = described("summed: {n: rows}", path="*.csv")
    (problem,) = sources.check(table, "counted", root=tmp_path, calendar=MADRID)
    assert "b.csv has other columns than a.csv" in str(problem)


def test_checking_reads_no_rows(tmp_path):
    contacts(5000).to_parquet(tmp_path / "t.parquet", row_group_size=1000)
    content = bytearray((tmp_path / "t.parquet").read_bytes())
    content[100 : len(content) // 2] = b"\xff" * (len(content) // 2 - 100)  # the footer is whole
    (tmp_path / "t.parquet").write_bytes(content)
    table = described(SUMMED, path="t.parquet")
    assert sources.check(table, "counted", root=tmp_path, calendar=MADRID) == []
    with pytest.raises(Problem, match="could not be read where it lies"):
        sources.read(table, "counted", root=tmp_path, calendar=MADRID)


def test_duckdb_sees_the_named_file_and_nothing_else(tmp_path):
    contacts().to_parquet(tmp_path / "t.parquet")
    (tmp_path / "other.csv").write_text("a\nsecret\n", encoding="utf-8")
    table = described(SUMMED, path="t.parquet")
    with counting._opened(table, "counted", tmp_path) as source:
        ask = source.base.execute
        for sql in (
            f"SELECT * FROM read_csv('{tmp_path / 'other.csv'}')",
            f"COPY source TO '{tmp_path / 'made.csv'}'",
            f"ATTACH '{tmp_path / 'made.db'}'",
            "INSTALL httpfs",
            "LOAD httpfs",
        ):
            with pytest.raises(duckdb.PermissionException):
                ask(sql)
        with pytest.raises(duckdb.InvalidInputException, match="locked"):
            ask("SET enable_external_access = true")
        spill = Path(ask("SELECT current_setting('temp_directory')").fetchone()[0])
        assert spill.is_dir()
    assert not spill.exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other.csv", "t.parquet"]


# --- what is refused ------------------------------------------------------------------------------


HOSTILE = ['a"b', "a'b", "a;DROP TABLE source", "a`b]", "é 中", "source", "a:b", "%(x)s", "$1"]


@pytest.mark.parametrize("how", ["parquet", "csv", "sqlite"])
def test_names_and_values_are_never_sql(how, read, tmp_path):
    table = contacts(100)
    for name in HOSTILE:
        table[name] = table["site"].fillna("") + name
    sums = {f"unit{at}": name for at, name in enumerate(HOSTILE)}
    given = {"summed": sums | {"n": "rows"}, "where": {name: "South" + name for name in HOSTILE}}
    found = read(kept_as(table, tmp_path, how), "{}", **given).table
    expected = [*("South" + name for name in HOSTILE), (table["site"] == "South").sum()]
    assert found.to_numpy().tolist() == [expected]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("{unit: sit, n: rows}", r"no column 'sit'.*did you mean 'site'"),
        ("{n: {added: arrived}}", r"'arrived' cannot be read as a number"),
        ("{n: {added: reason}}", r"'reason' has 600 values that are neither blank nor"),
        ("{n: rows, events: {column: wait_s, is: [slow]}}", r"'wait_s' is asked to be 'slow'"),
        ("{n: rows, period: {column: wait_s, each: day}}", r"'wait_s' cannot be read as a time"),
        ("{n: rows, unit: wait_s}", r"more than 3 sums"),
    ],
)
def test_what_cannot_be_summed_is_said(said, words, tmp_path, monkeypatch):
    monkeypatch.setattr(counting, "MOST_SUMS", 3)
    contacts().to_parquet(tmp_path / "t.parquet")
    table = described(f"summed: {said}", path="t.parquet")
    with pytest.raises(Problem, match=f"(?s){words}"):
        sources.read(table, "counted", root=tmp_path, calendar=MADRID)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"a,b\n", "has no rows"),
        (b"a,b\nx,1\ny\n", "could not be read where it lies"),
        (b'a,b\nx,"1\n', "could not be read|quotation"),
        (b"a,b\ncaf\xe9,1\n", r"is written in cp1252, which cannot be read where it lies"),
        (b"a,b\n\xd0\xd1,1\n" * 1 + b"\xcf\xf0\xe8\xe2\xe5\xf2,2\n" * 40, "cannot be read where"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_problem(content, words, tmp_path):
    (tmp_path / "t.csv").write_bytes(content)
    table = described("summed: {unit: a, n: rows}", path="t.csv")
    with pytest.raises(Problem, match=words):
        sources.read(table, "counted", root=tmp_path, calendar=MADRID)


def test_no_row_left_is_a_problem(tmp_path):
    contacts().to_parquet(tmp_path / "t.parquet")
    for text in (SUMMED, "roles: {site: {column: site, type: category}}"):
        table = described(text, path="t.parquet", where={"channel": "fax"})
        with pytest.raises(Problem, match="no row that meets channel"):
            sources.read(table, "own", root=tmp_path, calendar=MADRID)


@pytest.mark.parametrize(
    ("address", "words"),
    [("mysql://db/x", "how mysql sums"), ("sqlite:///gone.db", "SQLite file is not there")],
)
def test_other_databases_are_told_to_sum_in_the_query(address, words, tmp_path):
    table = described(SUMMED, database=address, query="select 1")
    with pytest.raises(Problem, match=words):
        sources.read(table, "counted", root=tmp_path, calendar=MADRID)


def test_sqlite_does_not_take_an_offset_off_in_silence(tmp_path):
    with sqlite3.connect(tmp_path / "t.db") as base:
        pd.DataFrame({"at": ["2025-01-01T23:30:00-05:00"]}).to_sql("t", base, index=False)
    base.close()
    text = "summed: {period: {column: at, each: day}, n: rows}"
    table = described(text, database="sqlite:///t.db", query="select * from t")
    with pytest.raises(Problem, match="'at' has 1 values"):
        sources.read(table, "counted", root=tmp_path, calendar=MADRID)


# --- PostgreSQL -----------------------------------------------------------------------------------


def _program(name):
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(places[-1]) if places else None)


@pytest.fixture(scope="module")
def postgres():
    """A server of its own on a private socket, gone when the tests are."""
    psycopg = pytest.importorskip("psycopg")
    programs = [_program(name) for name in ("initdb", "pg_ctl")]
    if None in programs:
        pytest.skip("no PostgreSQL server program (initdb, pg_ctl) is installed")
    as_user = {"user": "nobody", "group": None} if os.geteuid() == 0 else {}
    if as_user:  # the server refuses to be root
        import pwd

        nobody = pwd.getpwnam("nobody")
        as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    place = Path(tempfile.mkdtemp(prefix="sqm-pg-"))
    place.chmod(0o700)
    if as_user:
        os.chown(place, as_user["user"], as_user["group"])
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "cwd": place, **as_user}
    data, options = str(place / "data"), f"-k {place} -c listen_addresses= -F"
    try:
        subprocess.run([programs[0], "-D", data, "-A", "trust", "-U", "sqm", "-N"], **quiet)
        log = str(place / "log")
        subprocess.run([programs[1], "-D", data, "-o", options, "-l", log, "-w", "start"], **quiet)
        try:
            with psycopg.connect(host=str(place), user="sqm", dbname="postgres") as base:
                yield base, f"postgresql+psycopg://sqm@/postgres?host={place}"
        finally:
            subprocess.run([programs[1], "-D", data, "-m", "immediate", "stop"], **quiet)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def test_postgresql_gives_the_same_sums(postgres, read, tmp_path, monkeypatch):
    base, address = postgres
    table = contacts()
    monkeypatch.setenv("SQM_BASE", address)
    with base.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS t")
        cursor.execute(
            "CREATE TABLE t (arrived timestamp, site text, reason text, resolved text,"
            " wait_s int, channel text, zoned timestamptz)"
        )
        for row in table.astype(object).where(table.notna(), None).to_numpy().tolist():
            cursor.execute("INSERT INTO t VALUES (%s, %s, %s, %s, %s, %s)", row)
        cursor.execute("UPDATE t SET zoned = arrived AT TIME ZONE 'America/Lima'")
    base.commit()
    place = {"database": "env:SQM_BASE", "query": "SELECT * FROM t"}
    for more in (
        {},
        {"where": {"channel": ["phone"], "arrived": {"from": "2025-01-13"}}},
        {"where": {"wait_s": {"above": 100, "below": 800}}, "missing": ["bill"]},
        {"time_zone": "America/Lima"},
    ):
        here = read(kept_as(table, tmp_path, "parquet"), **more)
        there = read(place, **more)
        pd.testing.assert_frame_equal(there.table, here.table)
        pd.testing.assert_frame_equal(there.notes, here.notes)
    zoned = read(place, SUMMED.replace("arrived", "zoned"))  # the same moments, with their zone
    pd.testing.assert_frame_equal(zoned.table, there.table)
    events = SUMMED.replace('{column: resolved, is: ["0"]}', "{column: wait_s, above: 300}")
    here, there = read({"path": "t.parquet"}, events), read(place, events)
    pd.testing.assert_frame_equal(there.table, here.table)


def test_postgresql_is_read_only_and_says_what_it_cannot_read(postgres, tmp_path, monkeypatch):
    base, address = postgres
    monkeypatch.setenv("SQM_BASE", address)
    base.execute("DROP TABLE IF EXISTS gone")
    base.execute("CREATE OR REPLACE FUNCTION harm() RETURNS int LANGUAGE plpgsql AS"
                 " $$BEGIN CREATE TABLE gone (a int); RETURN 1; END$$")  # fmt: skip
    base.commit()
    for query, words in (
        ("SELECT harm() AS site, now() AS arrived, 'x' AS reason, '0' AS resolved", "read-only"),
        ("SELECT 'x' AS site, 'x' AS reason, '0' AS resolved, '2025' AS arrived", "as a time"),
    ):
        table = described(SUMMED, database="env:SQM_BASE", query=query)
        with pytest.raises(Problem, match=words):
            sources.read(table, "counted", root=tmp_path, calendar=MADRID)
    assert base.execute("SELECT to_regclass('gone')").fetchone() == (None,)
    base.rollback()


def test_postgresql_has_types_of_its_own(postgres, read, tmp_path, monkeypatch):
    base, address = postgres
    monkeypatch.setenv("SQM_BASE", address)
    query = "SELECT * FROM (VALUES {}) t (way, wait, who)"
    base.execute("DROP TYPE IF EXISTS way CASCADE")
    base.execute("CREATE TYPE way AS ENUM ('phone', 'chat')")
    base.commit()
    rows = ["('phone'::way, 'NaN'::float8, 'Ana Gil')", "('phone', 100, '1')", "('chat', 400, '2')"]
    place = {"database": "env:SQM_BASE", "query": query.format(", ".join(rows))}
    assert read(place, "summed: {n: rows}", where={"way": "phone"}).table["n"].tolist() == [2]
    assert read(place, EVENTS).table.to_numpy().tolist() == [[2, 1]]
    endless = place["query"].replace("'NaN'", "'-Infinity'")
    with pytest.raises(Problem, match="'wait' has 1 values"):
        read(place | {"query": endless}, EVENTS)
    cast = f"SELECT who::int AS unit FROM ({place['query']}) u"
    with pytest.raises(Problem) as raised:
        read(place | {"query": cast}, "summed: {unit: unit, n: rows}")
    assert "invalid input syntax for type integer: …" in str(raised.value)
    assert "Ana" not in str(raised.value)
