"""Every flaw planted in a small study is found, and a clean one is called clean."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm.checks import Problem, Refusal
from sqm.clock import Calendar
from sqm.methods.fitness import data_fitness

CALENDAR = Calendar(
    opens=8, closes=20, days=("Mon", "Tue", "Wed", "Thu", "Fri"), holidays=(date(2025, 1, 6),)
)
NO_NOTES = pd.DataFrame(columns=["table", "column", "what", "rows", "treatment"])


def contacts(weeks=20, per_day=10):
    days = pd.bdate_range("2025-01-07", periods=weeks * 5 - 1)
    arrived = days.repeat(per_day) + pd.to_timedelta(
        np.tile(np.arange(per_day), len(days)) + 9, "h"
    )
    n, rng = len(arrived), np.random.default_rng(1)
    abandoned = rng.random(n) < 0.1
    return pd.DataFrame(
        {
            "contact": [f"K{i}" for i in range(n)],
            "arrived": arrived,
            "site": rng.choice(["N", "S"], n),
            "abandoned": abandoned,
            "wait_s": rng.exponential(60, n),
            "service_s": np.where(abandoned, np.nan, rng.exponential(300, n)),
        }
    )


def fitness(table, notes=NO_NOTES, **settings):
    return data_fitness(
        {"operations": table},
        notes=notes,
        times=settings.pop("times", {"operations": "arrived", "complaints": "opened"}),
        keys={"operations": "contact"},
        calendar=CALENDAR,
        **settings,
    )


def row(found, check, column=None):
    rows = found.table[found.table["check"] == check]
    rows = rows if column is None else rows[rows["column"] == column]
    assert len(rows) == 1
    return rows.iloc[0]


def test_clean_data_are_called_clean():
    found = fitness(contacts())
    assert found.threats == 0
    assert set(found.table["check"]) == {"coverage", "missing by design"}
    assert row(found, "coverage")["detail"] == "2025-01-07 to 2025-05-23, 99 worked days"
    assert "Nothing endangers the questions" in found.sentence()
    assert "990 rows in 1 table" in found.sentence()


def test_blanks_are_by_design_only_where_a_flag_explains_them():
    table = contacts()
    meant = int(table["abandoned"].sum())
    table.loc[table.index[~table["abandoned"]][:60], "service_s"] = np.nan
    table.loc[:9, "site"] = None
    found = fitness(table)
    assert row(found, "missing by design")["rows"] == meant
    assert row(found, "missing", "service_s")[["rows", "share", "threat"]].tolist() == [
        60,
        60 / 990,
        True,
    ]
    assert row(found, "missing", "site")[["rows", "threat"]].tolist() == [10, False]
    assert "operations, service_s: 6.1% missing" in found.sentence()
    assert fitness(table, tolerable=0.1).threats == 0


def test_impossible_durations():
    table = contacts()
    table.loc[:2, "wait_s"] = [-1, 12 * 3600, 12 * 3600 + 1]
    table["handled_d"] = np.r_[-1.0, 136.0, 137.0, np.zeros(987)]  # the data reach back 136.4 days
    rows = fitness(table).table.query("check == 'impossible'")
    assert rows[["column", "rows", "detail"]].to_numpy().tolist() == [
        ["wait_s", 1, "1 below 0"],
        ["wait_s", 1, "1 longer than the service is open in a day"],
        ["handled_d", 1, "1 below 0"],
        ["handled_d", 1, "1 longer than the data reach back"],
    ]


def test_doubled_keys_and_copies():
    table = contacts()
    copy = table.iloc[[5]].assign(contact="K9999")
    found = fitness(pd.concat([table, table.iloc[[3]].assign(wait_s=0.0), copy]))
    assert row(found, "duplicate key")[["column", "rows", "threat"]].tolist() == [
        "contact",
        1,
        True,
    ]
    assert row(found, "copies")["rows"] == 1
    assert found.table["check"].iloc[0] == "duplicate key"


def test_equal_codes_of_different_cases_are_no_copies():
    codes = pd.DataFrame({"complaint": range(40), "coder_a": ["x", "y"] * 20})
    found = data_fitness(
        {"coders": codes}, notes=NO_NOTES, times={}, keys={"coders": "complaint"}, calendar=CALENDAR
    )
    assert found.table.empty
    assert found.threats == 0


def test_complaints_closed_before_they_were_opened():
    opened = pd.Series(pd.date_range("2025-01-07", periods=20, freq="D"))
    closed = opened + pd.to_timedelta([-1] + [3] * 18 + [None], "D")
    found = data_fitness(
        {"complaints": pd.DataFrame({"opened": opened, "closed": closed})},
        notes=NO_NOTES,
        times={"complaints": "opened"},
        keys={},
        calendar=Calendar(),
    )
    assert row(found, "closed before opened")[["column", "rows", "share"]].tolist() == [
        "closed",
        1,
        0.05,
    ]
    assert row(found, "missing")["column"] == "closed"


def test_a_date_from_another_century():
    table = contacts()
    table["answered"] = table["arrived"]
    table.loc[7, "answered"] = pd.Timestamp("2052-01-10")
    found = row(fitness(table), "stray date")
    assert (found["column"], found["rows"]) == ("answered", 1)
    assert "2052-01-10" in found["detail"]


def test_days_without_records_are_held_against_chance():
    table = contacts()
    gone = table["arrived"].dt.normalize().isin(pd.date_range("2025-03-03", "2025-03-07"))
    found = fitness(table[~gone])
    days = row(found, "gap in time")
    assert days[["rows", "share", "threat"]].tolist() == [5, 5 / 99, True]
    assert "2025-03-03, 2025-03-04, 2025-03-05, …; chance alone leaves 0" in days["detail"]
    week = row(found, "thin week")
    assert week["rows"] == 1
    assert sum(found.week_thin) == 1
    sparse = contacts(per_day=1).sample(frac=0.5, random_state=1)
    assert not row(fitness(sparse), "gap in time")["threat"]


def test_a_holiday_is_no_gap():
    table = contacts()
    early = table.head(10).assign(arrived=pd.Timestamp("2025-01-03 10:00"), wait_s=np.arange(10.0))
    early["contact"] = [f"E{i}" for i in range(10)]
    assert "gap in time" not in set(fitness(pd.concat([early, table])).table["check"])


def test_a_column_that_never_varies():
    found = row(fitness(contacts().assign(currency="EUR")), "constant")
    assert (found["column"], found["threat"], found["detail"]) == ("currency", False, "always EUR")


def test_what_was_set_aside_is_repeated():
    notes = pd.DataFrame(
        [("operations", "wait_s", "code 9999", 99, "read as missing")], columns=NO_NOTES.columns
    )
    found = fitness(contacts(), notes=notes)
    assert row(found, "set aside")[["column", "rows", "share"]].tolist() == ["wait_s", 99, 0.1]
    assert "99 values or rows were set aside" in found.sentence()
    assert "parameters declare (operations, wait_s)" in found.sentence()


def test_what_stayed_was_not_set_aside():
    notes = pd.DataFrame(
        [("operations", "wait_s", "answers between two points", 99, "kept")],
        columns=NO_NOTES.columns,
    )
    found = fitness(contacts(), notes=notes)
    assert found.set_aside == 0
    assert "set aside" not in found.sentence()


def test_a_picture_of_nothing_missing_says_so():
    found = fitness(contacts()[["contact", "wait_s"]], times={})
    assert not (found.table["check"] == "missing").any()
    assert "nothing is missing" in [each.get_text() for each in found.plot().texts]
    plt.close("all")


def test_hard_cases_do_not_stop_it():
    one = fitness(contacts().head(1))
    assert one.threats == 0
    empty = fitness(contacts().head(0))
    assert row(empty, "empty")["threat"]
    blank = fitness(contacts().assign(arrived=pd.NaT, site=None), notes=pd.DataFrame())
    assert row(blank, "missing", "site")["detail"] == "blank throughout"
    zoned = contacts().assign(arrived=lambda t: t["arrived"].dt.tz_localize("Europe/Madrid"))
    assert fitness(zoned).threats == 0


def test_bad_input():
    with pytest.raises(Refusal, match="no table"):
        data_fitness({}, notes=NO_NOTES, times={}, keys={}, calendar=CALENDAR)
    with pytest.raises(Problem, match="no column 'arived'"):
        fitness(contacts(), times={"operations": "arived"})
    with pytest.raises(Problem, match="'site' does not hold dates"):
        fitness(contacts(), times={"operations": "site"})
    with pytest.raises(Problem, match="tolerable is 5"):
        fitness(contacts(), tolerable=5)


def test_pictures():
    ax = fitness(contacts()).plot(plt.figure().subplots())
    assert ax.get_title() == "Do the data cover the whole time?"
    assert len(ax.lines[0].get_xdata()) == 20
    still = fitness(contacts().assign(site=None), times={})
    bars = still.plot(plt.figure().subplots())
    assert [text.get_text() for text in bars.get_yticklabels()] == ["operations, site"]
    plt.close("all")


def test_what_is_blank_where_a_flag_says_no_is_missing_by_design():
    """Who did not answer has no respondent's number: no reason to doubt the table."""
    table = pd.DataFrame(
        {"answered": [True, False] * 50, "respondent": ["R1", None, "R2", None] * 25}
    )
    found = data_fitness({"invited": table}, notes=NO_NOTES, times={}, keys={}, calendar=CALENDAR)
    assert found.table.query("column == 'respondent'")["check"].tolist() == ["missing by design"]
    assert "blank wherever answered is no" in " ".join(found.table["detail"])
