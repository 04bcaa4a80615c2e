"""What a log teaches, against what was put into it."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from small_service import CALENDAR, make_log

from sqm import service_model
from sqm.checks import Problem, Refusal
from sqm.clock import Calendar
from sqm.service_model import learn, replayed


@pytest.fixture(scope="module")
def tables():
    return make_log()


@pytest.fixture(scope="module")
def service(tables):
    log, staffing = tables
    return learn(log, staffing=staffing, calendar=CALENDAR, until=pd.Timestamp("2025-05-26"))


def test_arrivals_by_the_hour_follow_the_log(service):
    best = service.best()
    assert best.rate.shape == (1, 2, 5, 4)
    seen = service.arrivals.counts.sum(axis=(0, 2, 3)) / service.arrivals.site_days.sum(axis=(0, 2))
    np.testing.assert_allclose(best.rate[0].sum(axis=2).mean(axis=1), seen, rtol=1e-6)


def test_a_site_with_hours_of_its_own_is_followed():
    log, staffing = make_log(3)
    early = log["site"].eq("N1")
    hours = pd.to_timedelta(log["arrived"].dt.hour - 9, "h")
    log["arrived"] = log["arrived"].where(~early, log["arrived"] - hours)  # all in the first hour
    found = learn(log, staffing=staffing, calendar=CALENDAR)
    rate = found.best().rate[0, 0].sum(axis=0)
    assert np.isfinite(found.arrivals.strength) and rate[0] > 0.95 * rate.sum()


def test_plain_poisson_days_show_no_further_variation():
    log, staffing = make_log(4, cv=0)
    found = learn(log, staffing=staffing, calendar=CALENDAR)
    assert np.sqrt(sum(found.arrivals.spread)) < 0.09
    assert np.isinf(found.arrivals.strength) or found.arrivals.strength > 30


def test_a_year_has_the_share_of_its_weekdays_that_the_log_has():
    """Eight weeks without a Monday off, from Wednesday to Wednesday: still 5 days in 7."""
    dates = pd.Series(pd.bdate_range("2025-02-05", "2025-04-02"))
    calendar = Calendar(days=("Mon", "Tue", "Wed", "Thu", "Fri"))
    assert service_model._open_days(calendar, dates) == pytest.approx(365.25 * 5 / 7)
    assert service_model._open_days(calendar, dates.drop(range(4))) == pytest.approx(365.25 * 5 / 7)
    assert service_model._open_days(calendar, dates.drop([10])) == pytest.approx(
        365.25 * 5 / 7 * 40 / 41
    )


def test_a_holiday_is_no_open_day(tables):
    log, staffing = tables
    closed = Calendar(opens=9, closes=13, days=CALENDAR.days, holidays=(date(2025, 3, 4),))
    found = learn(log, staffing=staffing, calendar=closed)
    of_the_day = log["arrived"].dt.date.eq(date(2025, 3, 4)).sum()
    assert found.set_aside == of_the_day and of_the_day > 0


def test_one_day_of_data_is_refused(tables):
    log, staffing = tables
    with pytest.raises(Refusal, match="1 open day of"):
        learn(log, staffing=staffing, calendar=CALENDAR, until=pd.Timestamp("2025-03-04"))


def test_nobody_ever_on_duty_is_a_problem(tables):
    log, staffing = tables
    with pytest.raises(Problem, match="nobody on duty"):
        learn(log, staffing=staffing[staffing["hour"] != 10], calendar=CALENDAR)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda table: pd.concat([table, table.head(2)]), "2 rows name a site"),
        (lambda table: table.assign(agents=-1), "negative or missing"),
        (lambda table: table.drop(columns="hour"), "no column 'hour'"),
    ],
)
def test_bad_staffing_is_a_problem(tables, spoil, words):
    log, staffing = tables
    with pytest.raises(Problem, match=words):
        learn(log, staffing=spoil(staffing), calendar=CALENDAR)


def test_overload_without_abandonment_is_refused(tables):
    log, staffing = tables
    endless = log.assign(abandoned=False, service_s=log["service_s"].fillna(300) * 5)
    with pytest.raises(Refusal, match="nobody leaves"):
        learn(endless, staffing=staffing, calendar=CALENDAR)


def test_a_log_without_reasons_or_resolution_still_serves(tables):
    log, staffing = tables
    found = learn(
        log.drop(columns=["reason", "channel", "resolved"]), staffing=staffing, calendar=CALENDAR
    )
    assert np.isnan(found.best().resolution).all() and found.grid.reasons == ("(blank)",)


def test_few_weeks_resample_days(tables):
    log, staffing = tables
    short = learn(log, staffing=staffing, calendar=CALENDAR, until=pd.Timestamp("2025-03-24"))
    assert (short.resampled, len(short.arrivals.counts)) == ("days", 15)


def test_draws_vary_as_the_mean_of_weeks_does(service):
    """The weighted mean of B numbers has the variance of Student's t, s^2 / B (B - 1) / (B - 3)."""
    weights = service.parameters(draws=4000, rng=np.random.default_rng(1)).weights
    blocks = weights.shape[1]
    values = np.arange(blocks, dtype=float)
    means = weights @ values / blocks
    assert means.mean() == pytest.approx(values.mean(), rel=0.01)
    student = values.var(ddof=1) / blocks * (blocks - 1) / (blocks - 3)
    assert means.var() == pytest.approx(student, rel=0.08)


def test_nights_without_any_contact_are_learnt_as_empty(tables):
    """A calendar of 24 hours over a log from 9 to 13 o'clock."""
    log, staffing = tables
    round_the_clock = Calendar(days=CALENDAR.days)
    found = learn(log, staffing=staffing, calendar=round_the_clock)
    assert found.quiet_hours == (*range(9), *range(13, 24))
    assert found.best().rate[0][:, :, list(found.quiet_hours)].sum() == 0
    assert found.contacts == len(log)


def test_staffed_days_without_a_contact_are_counted(tables):
    log, staffing = tables
    gone = log[log["arrived"].dt.date != date(2025, 4, 2)]
    assert learn(gone, staffing=staffing, calendar=CALENDAR).empty_days == 1
    assert learn(log, staffing=staffing, calendar=CALENDAR).empty_days == 0


def test_the_refusal_says_what_was_set_aside(tables):
    log, staffing = tables
    with pytest.raises(Refusal, match=r"0 open days .*served before they came"):
        learn(log.assign(wait_s=-log["wait_s"] - 1), staffing=staffing, calendar=CALENDAR)


def test_a_few_contacts_in_hours_without_staff_are_counted(tables):
    log, staffing = tables
    first = pd.to_datetime(staffing["date"]).eq("2025-03-03") & staffing["site"].eq("N1")
    short = staffing[~(first & staffing["hour"].eq(9))]
    arrived = log["arrived"]
    came = (
        arrived.dt.date.eq(date(2025, 3, 3)) & arrived.dt.hour.eq(9) & log["site"].eq("N1")
    ).sum()
    assert came > 0
    assert learn(log, staffing=short, calendar=CALENDAR).alone == came


def test_a_site_without_staff_on_a_day_is_set_aside_with_its_reason(tables):
    log, staffing = tables
    off = pd.to_datetime(staffing["date"]).eq("2025-03-03") & staffing["site"].eq("N1")
    of_the_day = (log["arrived"].dt.date.eq(date(2025, 3, 3)) & log["site"].eq("N1")).sum()
    found = learn(log, staffing=staffing[~off], calendar=CALENDAR)
    assert found.aside == (("at a site without staff that day", of_the_day),)


def test_days_played_again_look_like_the_days(service):
    parameters = service.parameters(draws=30, rng=np.random.default_rng(2))
    sums = replayed(service, parameters, service.roster, rng=np.random.default_rng(3))
    assert sums.shape == (30, len(service.roster.date), 4)
    contacts, _, left, long = sums.sum(axis=1).T
    assert contacts.mean() == pytest.approx(service.contacts, rel=0.03)
    assert left.mean() / contacts.mean() == pytest.approx(
        service.patience.leavers.sum() / service.contacts, rel=0.1
    )
    assert (long == 0).all()  # no limit was given


def test_large_services_are_played_in_smaller_parts(service, monkeypatch):
    monkeypatch.setattr(service_model, "CUSTOMERS_AT_ONCE", 1)
    parameters = service.parameters(draws=3, rng=np.random.default_rng(2))
    sums = replayed(service, parameters, service.roster, rng=np.random.default_rng(3))
    assert len(sums) == 3
