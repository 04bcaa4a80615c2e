"""Reading a table: what is detected, what is converted, and what is refused with its line."""

import sqlite3
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
import yaml

from sqm import sources
from sqm.checks import Problem
from sqm.clock import Calendar
from sqm.roles import Table, columns_of

MADRID = Calendar(
    time_zone="Europe/Madrid", opens=8, closes=20, days=("Mon", "Tue", "Wed", "Thu", "Fri")
)


def described(text, **more):
    return Table.model_validate(yaml.safe_load(text) | more)


@pytest.fixture
def read(tmp_path):
    """Read a table whose file holds these bytes, under this description."""

    def reads(content, description, *, name="own", file="t.csv", calendar=MADRID):
        if content is not None:
            (tmp_path / file).write_bytes(
                content if isinstance(content, bytes) else content.encode()
            )
        table = described(description, path=file)
        return sources.read(table, name, root=tmp_path, calendar=calendar)

    return reads


@pytest.fixture
def check(tmp_path):
    def checks(content, description, *, name="own", file="t.csv", calendar=MADRID):
        if content is not None:
            (tmp_path / file).write_bytes(
                content if isinstance(content, bytes) else content.encode()
            )
        table = described(description, path=file)
        return [str(p) for p in sources.check(table, name, root=tmp_path, calendar=calendar)]

    return checks


def whats(reading):
    return dict(zip(reading.notes["what"], reading.notes["rows"], strict=True))


A_TEXT = "roles: {a: {column: a, type: text}}"
ABC = """
roles:
  a: {column: a, type: category}
  b: {column: b, type: category}
  c: {column: c, type: category}
"""


# --- checking, and reading what was checked -----------------------------------------------------


def test_all_that_is_wrong_is_listed_at_once(check):
    said = check(None, "key: nothing\nroles: {opend: x}\ntime_zone: Mars", name="complaints")
    assert len(said) == 4
    for words, problem in zip(("'opend'", "'nothing'", "time zone", "no file"), said, strict=True):
        assert words in problem


def test_what_check_finds_is_refused_in_reading_too(read, check):
    for content, description, name in (
        ("x\n1\n", "roles: {opend: x}", "complaints"),
        ("courtesy_1,b\n1,2\n", "roles: {x: {column: curtesy_1, type: number}}", "own"),
        ("a\n", A_TEXT, "own"),
    ):
        (said,) = check(content, description, name=name)
        with pytest.raises(Problem) as refused:
            read(None, description, name=name)
        assert str(refused.value) == said


def test_what_was_detected_in_the_file_stands_in_the_notes(read):
    found = read("a;b\nx;1\ny;2\n", A_TEXT)
    assert (found.rows, found.file, found.table["a"].tolist()) == (2, "t.csv", ["x", "y"])
    assert found.notes.to_dict("records")[1] == {
        "table": "own",
        "column": "",
        "what": "separator ;",
        "rows": 2,
        "treatment": "detected",
    }


def test_the_same_file_reads_the_same(read):
    text = "a,b,c\n1,2,3\n4,,6\n"
    first, second = read(text, ABC), read(text, ABC)
    pd.testing.assert_frame_equal(first.table, second.table)
    pd.testing.assert_frame_equal(first.notes, second.notes)


# --- missing codes, ranges, copies, keys --------------------------------------------------------


def test_blank_and_missing_codes_are_counted(read):
    found = read(
        "a,b,c\n1,n/a,x\n 99 ,2,\n99.0,3,99\n4, ,n/a\n",
        """
missing: [n/a, 99]
roles:
  a: {column: a, type: number}
  b: {column: b, type: number, missing: [3]}
  c: {column: c, type: category}
""",
    )
    np.testing.assert_array_equal(found.table["a"], [1, np.nan, np.nan, 4])
    np.testing.assert_array_equal(found.table["b"], [np.nan, 2, np.nan, np.nan])
    assert found.table["c"].isna().tolist() == [False, True, True, True]
    noted = found.notes.set_index(["column", "what"])["rows"]
    assert noted["a", "missing code 99"] == 1
    assert noted["a", "missing code 99.0"] == 1
    assert noted["b", "blank"] == 1
    assert noted["b", "missing code 3"] == 1


def test_values_out_of_range_are_set_to_missing_and_counted(read):
    found = read(
        "a\n1\n3\n4\n9\n", "roles: {a: {column: a, type: number, range: [1, 3], missing: [9]}}"
    )
    np.testing.assert_array_equal(found.table["a"], [1, 3, np.nan, np.nan])
    assert whats(found)["outside 1 to 3"] == 1


def test_copies_are_set_aside_and_the_index_remembers_the_source(read):
    text = "a,b,c\n1,2,3\n1,2,4\n1,2,3\n7,8,9\n"
    once = read(text, "copies: once\nroles: {a: {column: a, type: identifier}}")
    assert once.table.index.tolist() == [0, 1, 3]
    assert once.rows == 4
    assert whats(once)["exact copies of another row"] == 1
    assert len(read(text, "roles: {a: {column: a, type: identifier}}").table) == 4


def test_a_key_that_repeats_is_reported(read):
    found = read('a\nx\ny\nx\n""\n', "key: a\nroles: {a: {column: a, type: identifier}}")
    assert whats(found)["a key that stands in an earlier row"] == 1


# --- numbers and flags --------------------------------------------------------------------------

NUMBER = "roles: {a: {column: a, type: number}}"


@pytest.mark.parametrize(
    ("value", "mend"),
    [
        ("12 min", "correct the source"),
        ("1e999", "correct the source"),
        ("nan", "correct the source"),
        ("3,5", 'decimal: ","'),
        ("1,250", 'thousands: ","'),
        ("1.250,50", "thousands"),
    ],
)
def test_a_number_that_is_none_names_rows_values_and_the_way_out(read, value, mend):
    with pytest.raises(Problem) as said:
        read(f'a;b\n1;1\n"{value}";2\n', NUMBER)
    assert "'a' has 1 values that are no numbers (first rows: 1; values: ['" in said.value.what
    assert mend in said.value.mend


def test_decimal_comma_and_thousands_if_they_are_declared(read):
    table = NUMBER + "\ndecimal: ','\nthousands: '.'"
    assert read("a;b\n1.250,5;1\n12;1\n-0,5;1\n", table).table["a"].tolist() == [1250.5, 12, -0.5]
    with pytest.raises(Problem, match=r"1\.25"):
        read("a;b\n1.25;1\n", table)
    with pytest.raises(Problem, match=r"1\.25"):
        read("a;b\n1.25;1\n", NUMBER + "\ndecimal: ','")


def test_units_are_converted_to_the_suffix_of_the_role(read):
    found = read("a\n2\n0.5\n", "roles: {wait_s: {column: a, unit: min}}", name="operations")
    assert found.table["wait_s"].tolist() == [120, 30]
    assert whats(found)["in min"] == 2


def test_flags_have_their_usual_words_in_three_languages(read):
    words = ["1", "0", "TRUE", "false", "Yes", "no", "y", "N", "sí", "si", "是", "否", "", "1.0"]
    found = read(
        "a,b,c\n" + "".join(f"{word},1,1\n" for word in words),
        "roles: {a: {column: a, type: flag}}",
    )
    assert found.table["a"].dtype == "boolean"
    wanted = [True, False, True, False, True, False, True, False, True, True, True, False, None]
    assert [None if pd.isna(v) else bool(v) for v in found.table["a"]] == [*wanted, True]


def test_words_of_ones_own_for_a_flag(read):
    description = "roles: {abandoned: {column: a, yes: [Abandoned], no: [served]}}"
    found = read("a\nabandoned\nServed\n", description, name="operations")
    assert found.table["abandoned"].tolist() == [True, False]
    with pytest.raises(Problem, match=r"neither yes nor no \(first rows: 1; values: \['lost'\]\)"):
        read("a\nserved\nlost\n", description, name="operations")


def test_a_word_cannot_mean_both_yes_and_no(read):
    with pytest.raises(Problem, match="'x' both as `yes` and as `no`"):
        read("a\nx\n", "roles: {a: {column: a, type: flag, yes: [x], no: [X, y]}}")


def test_blanks_around_a_category_are_cut_off_and_counted_and_a_text_keeps_them(read):
    description = "roles: {a: {column: a, type: category}, b: {column: b, type: text}}"
    found = read("a,b\n x , x \ny,y\n", description)
    assert found.table.to_numpy().tolist() == [["x", " x "], ["y", "y"]]
    assert whats(found)["blanks around the value"] == 1


# --- surveys ------------------------------------------------------------------------------------

SURVEY = """
scale: [1, 7]
dimensions: {care: [p1, p2]}
expectations: {p1: e1}
reverse: [p2]
roles: {respondent: id, satisfaction: {column: s, scale: [1, 5]}}
"""


def test_items_keep_their_names_and_are_not_turned_round(read):
    found = read("id,p1,p2,e1,s\nr,1,7,6,5\nt,2,,3,1\n", SURVEY, name="survey")
    assert list(found.table) == ["respondent", "satisfaction", "p1", "p2", "e1"]
    np.testing.assert_array_equal(found.table["p2"], [7, np.nan])
    assert columns_of(described(SURVEY, path="x.csv")) == tuple(found.table)


@pytest.mark.parametrize(
    ("row", "words"),
    [("u,9,1,1,1", "'p1' has 1 answers outside 1"), ("u,1,1,1,6", "'s'|satisfaction")],
)
def test_an_answer_off_the_scale_is_refused_with_its_row(read, row, words):
    with pytest.raises(Problem, match=words):
        read(f"id,p1,p2,e1,s\nr,1,7,6,5\n{row}\n", SURVEY, name="survey")


def test_an_item_that_is_a_word_is_refused(read):
    with pytest.raises(Problem, match="'p2' has 1 values that are no numbers"):
        read("id,p1,p2,e1,s\nr,1,agree,6,5\n", SURVEY, name="survey")


def test_an_item_or_a_time_all_missing_is_refused_and_another_column_noted(read):
    with pytest.raises(Problem, match="'p2' is missing in all 1 rows"):
        read("id,p1,p2,e1,s\nr,1,,6,5\n", SURVEY, name="survey")
    with pytest.raises(Problem, match="'b' is missing in all 1 rows"):
        read("a,b\n1,\n", "roles: {a: {column: b, type: time}}")
    both = "roles: {a: {column: a, type: time}, b: {column: b, type: time}}"
    still = read("a,b\n2025-01-01T08:00,\n", both)  # all are open: that is no fault of the table
    assert still.table["b"].isna().all() and still.table["b"].dt.tz is not None
    assert whats(still)["missing in every row"] == 1
    found = read("a,b\n1,\n", "roles: {a: {column: b, type: number}}")
    assert whats(found)["missing in every row"] == 1
    assert found.table["a"].dtype == "float64"


# --- times --------------------------------------------------------------------------------------


def opened(read, values, format="", zone="", calendar=MADRID):
    extra = f", format: '{format}'" if format else ""
    table = f"roles: {{opened: {{column: a{extra}}}}}" + (f"\ntime_zone: {zone}" if zone else "")
    text = "a|b\n" + "".join(f"{value}|x\n" for value in values)
    return read(text, table, name="complaints", calendar=calendar)


def test_dates_stay_dates_and_clock_times_get_the_studys_zone(read):
    assert opened(read, ["2025-03-04", ""]).table["opened"].dt.tz is None
    found = opened(read, ["2025-03-04 10:00"], zone="America/New_York").table["opened"]
    assert found[0] == pd.Timestamp("2025-03-04 16:00", tz="Europe/Madrid")
    found = opened(read, ["2025-03-04T10:00:00Z", "2025-07-04T10:00:00+02:00"]).table["opened"]
    assert [str(t) for t in found] == ["2025-03-04 11:00:00+01:00", "2025-07-04 10:00:00+02:00"]


def test_the_hour_that_comes_twice_and_the_hour_that_never_was(read):
    # In Madrid, 30 March 2025 has no 2:30, and 26 October 2025 has two.
    found = opened(read, ["2025-03-30 02:30", "2025-10-26 02:30", "2025-10-26 03:30"])
    assert [str(t) for t in found.table["opened"]] == [
        "2025-03-30 03:00:00+02:00",
        "2025-10-26 02:30:00+02:00",
        "2025-10-26 03:30:00+01:00",
    ]
    assert whats(found)["local times that a clock change makes happen twice"] == 1
    assert whats(found)["local times that a clock change skips"] == 1


def test_day_and_month_are_never_guessed(read):
    with pytest.raises(Problem) as said:
        opened(read, ["2025-01-01", "03/04/2025", "05/06/2025"])
    assert "'a' has 2 of 3 times that cannot be read as ISO 8601" in said.value.what
    assert "(first rows: 1, 2; values: ['03/04/2025', '05/06/2025'])" in said.value.what
    with pytest.raises(Problem, match='"%d/%m/%Y" and "%m/%d/%Y" read every row'):
        opened(read, ["03/04/2025", "05/06/2025"])
    with pytest.raises(Problem, match='format: "%d/%m/%Y %H:%M"'):
        opened(read, ["03/04/2025 10:00", "28/06/2025 11:30"])


def test_a_format_is_followed_and_what_it_cannot_read_is_named(read):
    found = opened(read, ["03/04/2025", "28/06/2025"], format="%d/%m/%Y").table["opened"]
    assert found.tolist() == [pd.Timestamp(2025, 4, 3), pd.Timestamp(2025, 6, 28)]
    with pytest.raises(Problem, match=r"first rows: 1; values: \['28/13/2025'\]"):
        opened(read, ["03/04/2025", "28/13/2025"], format="%d/%m/%Y")
    with pytest.raises(Problem, match=r"first rows: 0; values: \['2025-02-30'\]"):
        opened(read, ["2025-02-30"])
    with pytest.raises(Problem, match="is no format"):
        opened(read, ["2025-02-03"], format="%Q")


def test_two_formats_in_one_column_are_named_with_the_rows_that_could_be_either(read):
    days = ["28/04/2025", "04/28/2025", "03/04/2025", "05/05/2025"]
    with pytest.raises(Problem) as said:
        opened(read, days)
    assert '"%d/%m/%Y" reads 3 of 4 rows, "%m/%d/%Y" the other 1' in said.value.mend
    assert "and 1 could be either" in said.value.mend  # 5 May reads the same both ways
    with pytest.raises(Problem, match=r'"%Y-%m-%d" reads 2 .* "%d/%m/%Y" the other 1, and no row'):
        opened(read, ["2025-04-28", "2025-04-03", "28/04/2025"])
    with pytest.raises(Problem, match="no one format reads every row"):
        opened(read, ["2025-04-28", "28/04/2025", "soon"])


def test_rows_in_which_day_and_month_could_be_exchanged_are_counted(read):
    days = ["03/04/2025", "28/04/2025", "05/05/2025", ""]
    found = opened(read, days, format="%d/%m/%Y")
    assert whats(found)["times that could be read with day and month exchanged"] == 1
    assert "times that could be" not in " ".join(whats(opened(read, ["2025-03-04"])))


def test_some_times_with_an_offset_and_some_without_are_refused(read):
    with pytest.raises(Problem, match=r"first rows: 1"):
        opened(read, ["2025-01-01T10:00Z", "2025-01-01T10:00"])


def test_a_day_among_times_with_an_offset_is_read_and_a_zone_code_is_followed(read):
    found = opened(read, ["2025-01-01T10:00Z", "2025-01-02"]).table["opened"]
    assert [str(t) for t in found] == ["2025-01-01 11:00:00+01:00", "2025-01-02 01:00:00+01:00"]
    found = opened(read, ["01/02/2025 10:00 +0000"], format="%d/%m/%Y %H:%M %z").table["opened"]
    assert str(found[0]) == "2025-02-01 11:00:00+01:00"


def test_a_date_drops_its_clock_in_the_studys_zone(read):
    found = read("a,b\n2025-01-01T23:30:00Z,1\n", "roles: {date: a}", name="staffing")
    assert found.table["date"][0] == pd.Timestamp("2025-01-02")
    assert whats(found)["clock time in a date"] == 1


# --- durations ----------------------------------------------------------------------------------

DURATION = """
roles:
  opened: a
  closed: b
  resolution_{unit}: {{type: duration, start: opened, end: closed{more}}}
"""


def lasted(read, rows, unit="d", more=""):
    text = "a,b\n" + "".join(f"{a},{b}\n" for a, b in rows)
    return read(text, DURATION.format(unit=unit, more=more), name="complaints")


def test_days_between_dates_and_those_still_running(read):
    found = lasted(read, [("2025-01-01", "2025-01-05"), ("2025-01-03", ""), ("", "2025-01-09")])
    np.testing.assert_array_equal(found.table["resolution_d"], [4, 6, np.nan])  # to 9 January
    assert found.table["resolution_d_open"].tolist() == [False, True, False]
    assert whats(found)["still running at 2025-01-09"] == 1


def test_until_is_the_last_day_counted(read):
    rows = [
        ("2025-01-01 12:00", "2025-01-02 12:00"),
        ("2025-01-01 12:00", ""),
        ("2025-02-01 00:01", ""),
    ]
    found = lasted(read, rows, more=", until: 2025-01-31")
    np.testing.assert_allclose(found.table["resolution_d"], [1, 30.5, np.nan])
    assert whats(found)["begun after `until`"] == 1


def test_until_among_days_without_a_clock_is_a_day_too(read):
    found = lasted(
        read, [("2025-01-01", "2025-01-02"), ("2025-01-01", "")], more=", until: 2025-01-31"
    )
    assert found.table["resolution_d"].tolist() == [1, 30]


def test_hours_count_the_long_sunday_in_full(read):
    found = lasted(read, [("2025-10-26 00:00", "2025-10-26 23:59")], unit="h")
    assert found.table["resolution_h"][0] == pytest.approx(24 + 59 / 60)


def test_the_working_clock_stops_at_night_and_at_the_weekend(read):
    # Friday 19:00 to Monday 09:00, open 8 to 20: two hours, a sixth of a working day.
    rows = [("2025-06-06 19:00", "2025-06-09 09:00")]
    more = ", clock: working"
    assert lasted(read, rows, "h", more).table["resolution_h"][0] == pytest.approx(2)
    assert lasted(read, rows, "d", more).table["resolution_d"][0] == pytest.approx(2 / 12)


def test_a_date_beside_a_clock_time_begins_at_midnight(read):
    found = lasted(read, [("2025-01-01", "2025-01-02 12:00")])
    assert found.table["resolution_d"][0] == pytest.approx(1.5)
    assert found.table["opened"].dt.tz is not None


def test_a_duration_may_end_at_a_date_or_be_counted_to_a_moment(read):
    description = """
roles:
  begun: {column: a, type: time}
  ended: {column: b, type: date}
  lasted_h: {type: duration, start: begun, end: ended, until: 2025-01-05 12:00:00}
"""
    found = read("a,b\n2025-01-01 12:00,2025-01-02\n2025-01-05 10:00,\n", description)
    assert found.table["lasted_h"].tolist() == [12, 2]


def test_a_zone_whose_clocks_change_at_midnight(read):
    # In Santiago, 7 September 2025 begins at 1:00.
    santiago = Calendar(time_zone="America/Santiago")
    text = "a,b\n2025-09-07,\n2025-09-05 12:00,2025-09-06\n"
    description = DURATION.format(unit="h", more=", until: 2025-09-06")
    found = read(text, description, name="complaints", calendar=santiago)
    assert str(found.table["opened"][0]) == "2025-09-07 01:00:00-03:00"
    assert found.table["resolution_h"].tolist() == [0, -12 + 24]


def test_days_far_away_can_be_read(read):
    found = opened(read, ["9999-12-31 23:59", "1900-01-01 00:00"]).table["opened"]
    assert found.dt.year.tolist() == [9999, 1900]


def test_closed_before_opened_is_read_as_it_is(read):
    found = lasted(read, [("2025-01-05", "2025-01-01"), ("2025-01-05", "2025-01-05")])
    assert found.table["resolution_d"].tolist() == [-4, 0]
    assert whats(found)["ended before it began"] == 1


def test_texts_of_every_kind_come_through_whole(read):
    odd = [
        "مرحبا \u202b12\u202c",
        "👩\u200d💻🔥",
        "a" * 1_000_000,
        "<b>$x$</b>",
        "=1+1",
        "two\nlines",
    ]
    rows = "".join('"' + text.replace('"', '""') + '",1\n' for text in [*odd, "", "  "])
    found = read("a,b\n" + rows, A_TEXT)
    assert found.table["a"].dropna().tolist() == odd
    assert whats(found)["blank"] == 2


# --- what other programs wrote ------------------------------------------------------------------

FRAME = pd.DataFrame(
    {
        "id": [1, 2],
        "when": [datetime(2025, 1, 2, 9, 30), datetime(2025, 1, 3)],
        "score": [4.5, None],
        "ok": [True, False],
        "word": ["sí", None],
    }
)
TYPED = """
roles:
  id: {column: id, type: identifier}
  when: {column: when, type: time}
  score: {column: score, type: number}
  ok: {column: ok, type: flag}
  word: {column: word, type: category}
"""


@pytest.fixture
def written(tmp_path):
    """The same table, as each program keeps it."""
    FRAME.to_excel(tmp_path / "t.xlsx", index=False)
    FRAME.to_parquet(tmp_path / "t.parquet")
    base = sqlite3.connect(tmp_path / "x.db")
    FRAME.assign(when=FRAME["when"].astype(str)).to_sql("t", base, index=False)
    base.close()
    return tmp_path


@pytest.mark.parametrize(
    "place",
    [
        {"path": "t.xlsx"},
        {"path": "t.xlsx", "decimal": ","},
        {"path": "t.parquet"},
        {"database": "sqlite:///x.db", "query": "select * from t order by id"},
    ],
    ids=lambda place: next(iter(place.values())),
)
def test_typed_values_come_through_as_they_were(written, place):
    table = described(TYPED, **place)
    assert sources.check(table, "own", root=written, calendar=MADRID) == []
    reading = sources.read(table, "own", root=written, calendar=MADRID)
    found = reading.table
    assert reading.file == place.get("path", place.get("query"))
    assert found["id"].tolist() == ["1", "2"]
    assert str(found["when"][0]) == "2025-01-02 09:30:00+01:00"
    np.testing.assert_array_equal(found["score"], [4.5, np.nan])
    assert found["ok"].tolist() == [True, False]
    assert found["word"].isna().tolist() == [False, True]


def test_value_labels_stand_in_place_of_codes(read, tmp_path):
    pyreadstat = pytest.importorskip("pyreadstat")
    frame = pd.DataFrame({"q1": [1.0, 7.0, 9.0], "place": [1.0, 2.0, 1.0]})
    pyreadstat.write_sav(
        frame,
        str(tmp_path / "t.sav"),
        missing_ranges={"q1": [9]},
        variable_value_labels={"place": {1: "Soria", 2: "Ávila"}},
    )
    description = "scale: [1, 7]\ndimensions: {all: [q1]}\nroles: {site: place}"
    found = read(None, description, name="survey", file="t.sav")
    np.testing.assert_array_equal(found.table["q1"], [1, 7, np.nan])
    assert found.table["site"].tolist() == ["Soria", "Ávila", "Soria"]
    assert whats(found)["value labels"] == 3
