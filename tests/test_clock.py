"""Hours and weeks by the service's own clock, counted by hand on a calendar on the wall."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.clock import (
    Calendar,
    after,
    hours_between,
    local,
    read_day,
    span_words,
    split,
    week_of,
    whole_weeks,
    working_hours,
)

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri")
OFFICE = Calendar(time_zone="Europe/Madrid", opens=8, closes=20, days=WEEKDAYS)
# 1 May 2025 was a Thursday; 29 September 2025 a Monday; the clocks changed on 30 March (02:00 to
# 03:00) and on 26 October (03:00 to 02:00), both Sundays.


def times(*given):
    return pd.Series(pd.to_datetime(list(given), format="ISO8601"))


def madrid(*given):
    return times(*given).dt.tz_localize("Europe/Madrid")


def worked(start, end, calendar=OFFICE):
    return working_hours(times(start), times(end), calendar=calendar)[0]


# --- hours --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("2025-09-29 09:00", "2025-09-29 10:30", 1.5),  # within a day
        ("2025-09-29 19:30", "2025-09-30 08:30", 1),  # over a night: 0.5 + 0.5
        ("2025-09-29 06:00", "2025-09-29 23:00", 12),  # all of a day
        ("2025-10-03 19:00", "2025-10-06 09:00", 2),  # Friday to Monday
        ("2025-10-04 10:00", "2025-10-05 18:00", 0),  # within a weekend
        ("2025-10-04 10:00", "2025-10-06 09:00", 1),  # from Saturday
        ("2025-09-29 08:00", "2025-10-06 08:00", 60),  # a week
        ("2025-09-29 21:00", "2025-09-30 07:00", 0),  # within a night
        ("2025-12-31 19:00", "2026-01-01 09:00", 2),  # over the year's end
        ("1969-12-31 19:00", "1970-01-02 09:00", 1 + 12 + 1),  # over the origin of the count
    ],
)
def test_working_hours_by_hand(start, end, hours):
    assert worked(start, end) == pytest.approx(hours)
    assert worked(end, start) == pytest.approx(-hours)


def test_a_holiday_is_not_worked():
    free = Calendar(opens=8, closes=20, days=WEEKDAYS, holidays=(date(2025, 5, 1),))
    # Wednesday 19:00 to Friday 09:00: 1 + 0 + 1; a holiday on a Sunday changes nothing
    assert worked("2025-04-30 19:00", "2025-05-02 09:00", free) == 2
    assert worked("2025-04-30 19:00", "2025-05-02 09:00") == 14
    assert worked("2025-05-01 09:00", "2025-05-01 12:00", free) == 0
    sunday = Calendar(opens=8, closes=20, days=WEEKDAYS, holidays=(date(2025, 5, 4),))
    assert worked("2025-05-02 19:00", "2025-05-05 09:00", sunday) == 2


def test_working_hours_add_up():
    """From a to b and from b to c is from a to c, wherever b lies."""
    rng = np.random.default_rng(1)
    free = Calendar(
        opens=7.5, closes=21.25, days=("Mon", "Wed", "Sat"), holidays=(date(2025, 6, 4),)
    )
    minutes = np.sort(rng.integers(0, 60 * 24 * 30, (200, 3)), axis=1)
    a, b, c = (pd.Series(pd.Timestamp("2025-05-20") + pd.to_timedelta(m, "min")) for m in minutes.T)
    parts = working_hours(a, b, calendar=free) + working_hours(b, c, calendar=free)
    assert np.allclose(parts, working_hours(a, c, calendar=free))
    assert parts.max() > 0


def test_a_service_that_never_closes_works_by_the_wall():
    assert worked("2025-06-06 19:30", "2025-06-09 07:00", Calendar()) == pytest.approx(59.5)


def test_the_day_on_which_the_clocks_change_has_23_or_25_hours():
    start = madrid("2025-03-30", "2025-10-26", "2025-06-01")
    end = madrid("2025-03-31", "2025-10-27", "2025-06-02")
    assert hours_between(start, end).tolist() == [23, 25, 24]


def test_the_hour_that_comes_twice_is_an_hour():
    twice = pd.Series(pd.to_datetime(["2025-10-26 00:30", "2025-10-26 01:30"], utc=True))
    shown = twice.dt.tz_convert("Europe/Madrid")
    assert [f"{t:%H:%M}" for t in shown] == ["02:30", "02:30"]
    assert hours_between(shown[:1], shown[1:].reset_index(drop=True)).tolist() == [1]


@pytest.mark.parametrize("sunday", ["2025-03-30", "2025-10-26"])
def test_an_opening_has_its_twelve_hours_on_a_day_on_which_the_clocks_change(sunday):
    always = Calendar(time_zone="Europe/Madrid", opens=8, closes=20)
    day = pd.Timestamp(sunday)
    start = madrid(day - pd.Timedelta(hours=5))  # Saturday 19:00
    end = madrid(day + pd.Timedelta(hours=33))  # Monday 09:00
    assert working_hours(start, end, calendar=always).tolist() == [1 + 12 + 1]
    assert working_hours(start, end, calendar=OFFICE).tolist() == [1]


def test_a_missing_time_gives_a_missing_result_in_its_own_row():
    start = times("2025-09-29 09:00", None, "2025-09-29 09:00")
    end = times("2025-09-29 10:00", "2025-09-29 10:00", None)
    start.index = end.index = [7, 3, 5]
    found = working_hours(start, end, calendar=OFFICE)
    assert found.index.tolist() == [7, 3, 5]
    assert found[7] == 1
    assert found[[3, 5]].isna().all()
    assert working_hours(start[[3]], end[[3]], calendar=OFFICE).isna().all()


# --- weeks --------------------------------------------------------------------------------------


def test_a_week_begins_where_the_calendar_says():
    sunday = times("2025-10-05 23:59")
    starts = {
        day: f"{week_of(sunday, calendar=Calendar(week_starts=day))[0]:%m-%d %H:%M}"
        for day in ("Mon", "Sun", "Sat")
    }
    assert starts == {"Mon": "09-29 00:00", "Sun": "10-05 00:00", "Sat": "10-04 00:00"}


def test_a_week_goes_by_the_local_day():
    midnight = pd.Series(pd.to_datetime(["2025-10-05 22:30"], utc=True))  # Monday 00:30 in Madrid
    in_madrid = week_of(midnight.dt.tz_convert("Europe/Madrid"), calendar=OFFICE)
    assert in_madrid[0] == pd.Timestamp("2025-10-06")
    assert week_of(midnight, calendar=OFFICE)[0] == pd.Timestamp("2025-09-29")


def test_a_missing_time_is_in_no_week():
    assert week_of(times("2025-10-05", None), calendar=OFFICE).isna().tolist() == [False, True]


def weeks(first, last, calendar=OFFICE):
    days = pd.Series(pd.date_range(first, last))
    return [f"{week:%m-%d}" for week in whole_weeks(days, calendar=calendar)]


def test_parts_of_weeks_at_either_end_are_left_out():
    assert weeks("2025-09-29", "2025-10-10") == ["09-29", "10-06"]
    assert weeks("2025-09-30", "2025-10-10") == ["10-06"]
    assert weeks("2025-09-29", "2025-10-09") == ["09-29"]
    assert weeks("2025-09-30", "2025-10-02") == []


def test_a_week_that_lacks_only_days_nobody_works_is_whole():
    free = Calendar(days=WEEKDAYS, holidays=(date(2025, 9, 29), date(2025, 10, 10)))
    assert weeks("2025-09-30", "2025-10-09", free) == ["09-29", "10-06"]
    assert weeks("2025-10-01", "2025-10-09", free) == ["10-06"]
    assert weeks("2025-09-30", "2025-10-08", free) == ["09-29"]


def test_another_first_day_moves_the_edges():
    sundays = Calendar(week_starts="Sun", days=WEEKDAYS)
    assert weeks("2025-09-29", "2025-10-10", sundays) == ["09-28", "10-05"]
    every_day = Calendar(week_starts="Sun")
    assert weeks("2025-09-29", "2025-10-10", every_day) == []
    assert weeks("2025-09-28", "2025-10-11", every_day) == ["09-28", "10-05"]


def test_an_empty_week_in_the_middle_is_no_part_of_the_data():
    shown = madrid("2025-09-29", "2025-10-03", None, "2025-10-13", "2025-10-17")
    found = whole_weeks(shown, calendar=OFFICE)
    assert [f"{week:%m-%d}" for week in found] == ["09-29", "10-13"]
    assert len(whole_weeks(times(None), calendar=OFFICE)) == 0


# --- the calendar -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"days": ("Mon", "Lunes")}, "'Lunes' is no weekday"),
        ({"week_starts": "monday"}, "'monday' is no weekday"),
        ({"opens": 20, "closes": 8}, "opens at 20 and closes at 8"),
        ({"opens": 8, "closes": 8}, "opens at 8 and closes at 8"),
        ({"opens": -1}, "opens at -1"),
        ({"closes": 25}, "closes at 25"),
        ({"opens": float("nan")}, "opens at nan"),
        ({"days": ()}, "no day"),
    ],
)
def test_a_calendar_that_cannot_be(given, message):
    with pytest.raises(Problem, match=message):
        Calendar(**given)


# --- parts in time ------------------------------------------------------------------------------


def test_split_leaves_out_rows_without_a_time_and_after_the_end():
    table = pd.DataFrame({"at": madrid("2025-10-26 12:00", None, "2025-10-25 23:59", "2025-10-30")})
    early, late = split(table, time="at", day="2025-10-26", until="2025-10-30")
    assert (early.index.tolist(), late.index.tolist()) == ([2], [0])
    early, late = split(table, time="at", day="2025-10-26")
    assert late.index.tolist() == [0, 3]


def test_split_by_share_goes_by_time_not_by_rows():
    table = pd.DataFrame({"at": times(*["2025-01-01"] * 50, "2025-01-06 12:00", "2025-01-11")})
    early, late = split(table, time="at", share=0.5)
    assert (len(early), len(late)) == (50, 2)


def test_split_without_a_row_is_refused():
    with pytest.raises(Refusal, match="before 2025-01-01"):
        split(pd.DataFrame({"at": times("2025-01-01")}), time="at", until="2025-01-01")
    with pytest.raises(Refusal, match="No row has its 'at' before 2020-01-01"):
        split(pd.DataFrame({"at": times("2025-01-01")}), time="at", day="2020-01-01")
    with pytest.raises(Refusal, match="No row has a time in 'at'"):
        split(pd.DataFrame({"at": times(None)}), time="at")


def test_a_day_is_read_or_explained():
    assert read_day("2025-12-31") == pd.Timestamp("2025-12-31")
    for wrong in ("31/12/2025", "2025-02-30", "", "soon"):
        with pytest.raises(Problem, match="is no day") as caught:
            read_day(wrong)
        assert caught.value.mend == "write days as 2025-12-31."


def test_local_takes_the_zone_away_and_leaves_the_clock():
    assert local(madrid("2025-07-01 09:00"))[0] == pd.Timestamp("2025-07-01 09:00")
    naive = times("2025-07-01 09:00")
    assert local(naive) is naive


def test_a_span_in_words():
    assert span_words(madrid("2025-03-04", None, "2025-01-02")) == "2025-01-02 to 2025-03-04"
    assert span_words([pd.Timestamp("2025-01-02")]) == "2025-01-02 to 2025-01-02"
    assert span_words(times(None)) == "no date"


def test_without_times_nothing_is_held_out():
    table = pd.DataFrame({"x": [1, 2]})
    early, late = split(table, time="")
    assert len(early) == 2
    assert late.empty


def test_after_leaves_the_day_itself_out():
    table = pd.DataFrame({"at": times("2025-01-01 23:59", "2025-01-02 00:00", None)})
    assert len(after(table, time="at", day="2025-01-01")) == 1
