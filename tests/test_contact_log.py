"""Rows that cannot have happened are told by their reason."""

import pandas as pd
import pytest
from small_service import CALENDAR, make_log

from sqm.checks import Problem, Refusal
from sqm.contact_log import aside_words, text_of, usable_log


@pytest.fixture(scope="module")
def log():
    return make_log(weeks=3)[0]


@pytest.mark.parametrize(
    ("column", "value", "left", "why"),
    [
        ("wait_s", -5.0, True, "that hung up before they came (negative wait)"),
        ("wait_s", -5.0, False, "served before they came (negative wait)"),
        ("wait_s", float("nan"), False, "without a wait"),
        ("wait_s", 4 * 3600 + 1.0, False, "that waited longer than a day is open"),
        ("service_s", float("nan"), False, "served without a service time"),
        ("service_s", 0.0, False, "served in no time or less"),
        ("service_s", -60.0, False, "served in no time or less"),
        ("arrived", pd.NaT, False, "without a time, a site or an outcome"),
        ("arrived", pd.Timestamp("2025-03-08 10:00"), False, "on days that are not worked"),
        ("arrived", pd.Timestamp("2025-03-04 08:59"), False, "outside opening hours"),
        ("contact", "K9", False, "that repeat another contact"),
    ],
)
def test_each_impossible_row_is_set_aside_with_its_reason(log, column, value, left, why):
    bad = log.copy()
    bad.loc[bad.index[bad["abandoned"].eq(left)][-1], column] = value
    good, aside = usable_log(bad, calendar=CALENDAR)
    assert aside == ((why, 1),) and len(good) == len(log) - 1
    assert aside_words(aside) == f"1 {why}"


def test_a_service_time_of_one_who_hung_up_does_not_matter(log):
    odd = log.assign(service_s=log["service_s"].where(~log["abandoned"], -1.0))
    assert usable_log(odd, calendar=CALENDAR)[1] == ()


def test_columns_of_the_wrong_kind_are_problems(log):
    with pytest.raises(Problem, match="'wait_s' does not hold numbers"):
        usable_log(log.assign(wait_s="soon"), calendar=CALENDAR)
    with pytest.raises(Problem, match="'arrived' does not hold times"):
        usable_log(log.assign(arrived="noon"), calendar=CALENDAR)
    with pytest.raises(Refusal, match="no column 'wait_s'"):
        usable_log(log.drop(columns="wait_s"), calendar=CALENDAR)


def test_an_empty_log_is_an_empty_log(log):
    good, aside = usable_log(log.head(0), calendar=CALENDAR)
    assert len(good) == 0 and aside == ()


def test_names_may_hold_anything(log):
    assert text_of(log.assign(site="$<店>"), "site").unique().tolist() == ["$<店>"]
