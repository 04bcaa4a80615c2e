"""What a log teaches, as the first answer of Improve tells it."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from small_service import CALENDAR, make_log

from sqm.clock import Calendar
from sqm.methods import calibration as room
from sqm.methods.calibration import calibrate
from sqm.service_model import learn


@pytest.fixture(scope="module")
def tables():
    return make_log()


@pytest.fixture(scope="module")
def service(tables):
    log, staffing = tables
    return learn(log, staffing=staffing, calendar=CALENDAR, until=pd.Timestamp("2025-05-26"))


@pytest.fixture(scope="module")
def calibration(service):
    return calibrate(service, rng=np.random.default_rng(1))


def test_what_was_put_in_is_learnt(calibration):
    table = calibration.table.set_index(["quantity", "group"])
    truth = {
        ("contacts a day", "N1"): 60,
        ("contacts a day", "S1"): 90,
        ("service time, mean, by site", "N1"): 301,
        ("service time, mean, by reason", "bill"): 201,
        ("service time, median, by reason", "fault"): 400 * np.log(2) + 1,
        ("would still wait after 5 min if nobody answered", "all"): np.exp(-0.5),
        ("resolved, share of served", "bill"): 0.7,
        ("patience, median", "all"): 600 * np.log(2),
        ("patience, Weibull shape", "all"): 1.0,
    }
    for place, value in truth.items():
        row = table.loc[place]
        reach = 1.6 * (row["high"] - row["low"]) / 2  # about three standard errors
        assert abs(row["estimate"] - value) < reach, place
    assert 0.08 < calibration.day_variation < 0.22


def test_the_mean_wait_of_those_who_left_is_not_their_patience(calibration):
    assert calibration.naive_patience_s < 0.5 * 600
    assert calibration.low < 600 * np.log(2) < calibration.high
    assert f"{calibration.naive_patience_s / 60:.1f} minutes" in calibration.sentence()


def test_impossible_contacts_are_set_aside_and_counted(tables, calibration):
    log, staffing = tables
    bad = log.iloc[:4].copy()
    bad["contact"] = ["a", "b", "K9", "d"]
    bad.loc[bad.index[0], "wait_s"] = -3
    bad.loc[bad.index[1], "wait_s"] = 90_000
    bad.loc[bad.index[3], "arrived"] = pd.Timestamp("2025-03-08 10:00")  # a Saturday
    found = learn(pd.concat([log, bad], ignore_index=True), staffing=staffing, calendar=CALENDAR)
    assert (found.contacts, found.set_aside) == (len(log), 4)
    assert found.aside == (
        ("that repeat another contact", 1),
        ("on days that are not worked", 1),
        ("served before they came (negative wait)", 1),
        ("that waited longer than a day is open", 1),
    )
    assert "set aside" not in calibration.sentence()
    told = calibrate(found, draws=20, replays=2, rng=np.random.default_rng(1)).sentence()
    assert "set aside: 1 that repeat another contact, 1 on days that are not worked" in told


def test_where_nobody_hangs_up_patience_has_no_limit(tables):
    log, staffing = tables
    patient = log[~log["abandoned"]]
    found = calibrate(
        learn(patient, staffing=staffing, calendar=CALENDAR), draws=20, rng=np.random.default_rng(1)
    )
    assert np.isnan(found.patience_median_s) and "Nobody hung up" in found.sentence()
    assert found.plot().get_xlabel() == "time without an answer (minutes)"
    plt.close()


def test_a_picture_is_drawn(calibration):
    axes = plt.figure().gca()
    assert len(calibration.plot(axes).lines) == 3
    plt.close(axes.figure)


def test_the_naive_mean_loses_customers_that_stayed(calibration):
    """Days played again lose as many as they did, and more with the mean of those who left."""
    rows = calibration.table.set_index("quantity")
    fitted = rows.loc["hung up, days played again with patience as fitted"]
    naive = rows.loc["hung up, days played again with patience of the naive mean"]
    assert fitted["low"] < calibration.abandoned < fitted["high"]
    assert naive["low"] > 1.3 * calibration.abandoned
    assert f"{calibration.abandoned_naive:.1%}" in calibration.sentence()


def test_service_times_are_exponential_as_they_were_made(calibration):
    rows = calibration.table.set_index(["quantity", "group"])["note"]
    for reason in ("bill", "fault"):
        for family, word in (("exponential", "compatible"), ("lognormal", "not compatible")):
            name = f"service time, farthest from a curve of the {family} family"
            assert rows[name, reason].startswith(f"{word},"), (family, reason)
    assert "exponential 2 of 2, lognormal 0 of 2" in calibration.sentence()


@pytest.mark.parametrize(
    ("family", "drawn"),
    [
        ("lognormal", lambda rng, shape: np.exp(rng.normal(5, 0.5, shape))),
        ("gamma", lambda rng, shape: rng.gamma(3, 100, shape)),
        ("exponential", lambda rng, shape: rng.exponential(200, shape)),
    ],
)
def test_a_family_finds_its_own_numbers(family, drawn):
    one, two = room._fitted(drawn(np.random.default_rng(1), (1, 200_000)), family)
    truth = {"lognormal": (5, 0.5), "gamma": (3, 100), "exponential": (200, 200)}[family]
    assert (one[0, 0], two[0, 0]) == pytest.approx(truth, rel=0.02)


def test_the_largest_distance_by_hand():
    """Of 1, 2, 3 from an exponential curve of mean 2: below the first step, 1 - exp(-1 / 2)."""
    found = room._distance(np.array([[1.0, 2.0, 3.0]]), "exponential")
    assert found[0] == pytest.approx(1 - np.exp(-0.5))


def test_days_that_vary_by_chance_alone_are_not_called_varied():
    log, staffing = make_log(4, cv=0)
    found = calibrate(
        learn(log, staffing=staffing, calendar=CALENDAR), draws=20, replays=2,
        rng=np.random.default_rng(1),
    )  # fmt: skip
    assert found.day_variation_p > 0.05 and found.day_variation_low == 0
    assert "no more than pure chance makes it" in found.sentence()


def test_days_that_vary_are_told_with_an_interval(calibration):
    assert calibration.day_variation_p < 0.001
    assert 0.08 < calibration.day_variation_low < calibration.day_variation
    assert calibration.day_variation < calibration.day_variation_high < 0.22
    assert "beyond pure chance (p < 0.001)" in calibration.sentence()


def test_a_median_under_weights_is_that_of_the_repeated_rows():
    rng = np.random.default_rng(1)
    time, block = rng.exponential(300, 4000), rng.integers(0, 2, 4000)
    found = room._weighted_median(time, block, np.array([[1.0, 3.0]]))[0]
    truth = np.median(np.r_[time, time[block == 1], time[block == 1]])
    assert found == pytest.approx(truth, rel=0.002)


def test_cautions_are_said(tables):
    log, staffing = tables
    hasty = log.copy()
    hasty.loc[hasty.index[hasty["abandoned"]], "wait_s"] = 0.0
    hasty = hasty[hasty["arrived"].dt.date.astype(str) != "2025-04-02"]
    found = calibrate(
        learn(hasty, staffing=staffing, calendar=Calendar(days=CALENDAR.days)), draws=20, replays=2,
        rng=np.random.default_rng(1),
    )  # fmt: skip
    said = found.sentence()
    assert "No contact ever came in 20 opening hours (0:00, 1:00, 2:00, 3:00 and 16 more)" in said
    assert "On 1 staffed date no contact came" in said
    assert "simulated from midnight with nobody waiting" in said
    assert f"{found.at_once:.1%} hung up within a second" in said and found.at_once > 0.05


def test_everybody_resolved_has_an_interval_below_one(tables):
    log, staffing = tables
    fine = log.assign(resolved=log["resolved"].mask(log["resolved"].notna(), True))
    found = calibrate(
        learn(fine, staffing=staffing, calendar=CALENDAR), draws=20, replays=2,
        rng=np.random.default_rng(1),
    ).table  # fmt: skip
    row = found[found["quantity"].eq("resolved, share of served")].iloc[0]
    assert row["estimate"] == pytest.approx(1) and 0.99 < row["low"] < 1
    assert "all alike" in row["note"]


def test_the_first_line_fits_the_first_screen(calibration):
    assert len(calibration.sentence().splitlines()[0]) <= 220
