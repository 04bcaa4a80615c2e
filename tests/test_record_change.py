"""Records before and after at the changed sites: by hand, a published case, and bad input."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.clock import Calendar
from sqm.record_change import (
    Changed,
    adjusted,
    before_and_after,
    chance_of,
    changed_records,
    kish_of_cells,
    odds,
    standardised_differences,
    stratified,
    weighted,
)

REFERENCE = Path(__file__).parent / "reference"


def rows_of(counts, values, *, sites="AB", before=8, after=2):
    """The same records in each site and week: counts[after][level] of values[after][level]."""
    weeks = pd.date_range("2025-01-06", periods=before + after, freq="7D")
    rows = [
        {"site": s, "period": w, "after": i >= before, "channel": level, "value": v}
        for s in sites
        for i, w in enumerate(weeks)
        for level, count in counts[i >= before].items()
        for v in [values[i >= before][level]] * count
    ]
    return Changed(pd.DataFrame(rows), tuple(sites), 0)


@pytest.fixture(scope="module")
def mixed():
    """Calls grow from 2 of 4 to 3 of 4; chats go from 1 to 2, calls stay at 5."""
    counts = {False: {"chat": 2, "call": 2}, True: {"chat": 1, "call": 3}}
    return rows_of(counts, {False: {"chat": 1.0, "call": 5.0}, True: {"chat": 2.0, "call": 5.0}})


def log(rng, *, sites=4, weeks=20, a_day=4, step=0.0):
    """A contact log: twenty weeks, the change after twelve; chats grow and wait less."""
    days = pd.date_range("2025-01-06", periods=7 * weeks, freq="D")
    n = sites * len(days) * a_day
    day = np.tile(np.repeat(np.arange(len(days)), a_day), sites)
    after = day >= 7 * 12
    chat = rng.random(n) < np.where(after, 0.7, 0.3)
    site = np.repeat(np.arange(sites), len(days) * a_day)
    wait = 100 + 10 * site - 40 * chat + step * after + rng.normal(0, 20, n)
    return pd.DataFrame(
        {
            "arrived": days[day] + pd.to_timedelta(rng.integers(8, 20, n), unit="h"),
            "site": [f"S{each}" for each in site],
            "channel": np.where(chat, "chat", "call"),
            "wait_s": wait,
        }
    )


def pick(records, **settings):
    settings = {"treated": ["S0", "S1", "S2", "S3"], "change_on": "2025-03-31"} | settings
    return changed_records(
        records,
        time="arrived",
        site="site",
        measure=settings.pop("measure", "wait_s"),
        calendar=Calendar(),
        columns=settings.pop("columns", ["channel"]),
        **settings,
    )


# --- A published case -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lalonde():
    case = json.loads((REFERENCE / "ipw_att_lalonde.json").read_text(encoding="utf-8"))
    rows = pd.DataFrame(case["rows"], columns=case["columns"])
    return case, rows


def test_published_weights_of_the_treated(lalonde):
    """R's glm and weights e / (1 - e): coefficients, effect, effective number, differences."""
    case, rows = lalonde
    said, near = case["expected"], case["tolerance"]
    names = [name for name in said["ps_coef"] if name != "(Intercept)"]
    columns = rows[names].to_numpy(float)
    design = np.column_stack([np.ones(len(rows)), columns])
    treated = rows["treat"].to_numpy(float)
    b = chance_of(design, treated, 1 - treated)
    assert b == pytest.approx(list(said["ps_coef"].values()), rel=1e-6)
    weight, y = odds(design, b) * (1 - treated), rows["re78"].to_numpy()
    found = treated @ y / treated.sum() - weight @ y / weight.sum()
    assert found == pytest.approx(said["att_ipw_hajek"], abs=near["att"])
    assert kish_of_cells(odds(design, b), 1 - treated) == pytest.approx(
        said["ess_control"], abs=near["ess"]
    )
    for weights, key in ((1 - treated, "smd_before"), (weight, "smd_after")):
        apart = standardised_differences(columns, treated, weights)
        assert apart == pytest.approx([said[key][name] for name in names], abs=near["smd"])


# --- By hand --------------------------------------------------------------------------------------


def test_like_with_like_by_hand(mixed):
    """Plain: 4.25 - 3; within channels: 1/4 of 1 and 3/4 of 0; regression and weights the same."""
    assert before_and_after(mixed, confidence=0.95).estimate == pytest.approx(1.25)
    for found in (
        stratified(mixed, strata=["channel"], confidence=0.95),
        adjusted(mixed, mix=["channel"], confidence=0.95),
        weighted(mixed, mix=["channel"], confidence=0.95),
    ):
        assert found.estimate == pytest.approx(0.25)
        assert (found.clusters, found.passed) == (2, "yes")


def test_effective_number_by_hand(mixed):
    """Before, 32 chats of weight 1/2 and 32 calls of 3/2: 64^2 / (32 / 4 + 32 * 9 / 4) = 51.2."""
    found = weighted(mixed, mix=["channel"], confidence=0.95)
    assert found.effective_n == pytest.approx(51.2 + 16)
    assert "64 records before weigh as much as 51" in found.check


def test_a_stratum_without_records_before_is_counted():
    counts = {False: {"call": 4}, True: {"call": 3, "app": 1}}
    values = {False: {"call": 5.0}, True: {"call": 4.0, "app": 0.0}}
    found = stratified(rows_of(counts, values), strata=["channel"], confidence=0.95)
    assert found.estimate == pytest.approx(-1.0)
    assert "4 of 16 records after" in found.check
    assert found.passed == "no"
    for design in (adjusted, weighted):
        found = design(rows_of(counts, values), mix=["channel"], confidence=0.95)
        assert found.estimate == pytest.approx(-1.0)
        assert "4 of 16 records after" in found.check


def test_the_jackknife_of_equal_sites_is_welch_of_their_changes():
    """Changes of 1, 2, 6: mean 3, error sd / root 3, t with two degrees of freedom."""
    weeks = pd.date_range("2025-01-06", periods=10, freq="7D")
    rows = pd.DataFrame(
        [
            {
                "site": s,
                "period": w,
                "after": i > 7,
                "channel": "call",
                "value": d * (i > 7) + i % 2,
            }
            for s, d in zip("ABC", (1.0, 2, 6), strict=True)
            for i, w in enumerate(weeks)
        ]
    )
    found = stratified(Changed(rows, tuple("ABC"), 0), strata=["channel"], confidence=0.95)
    half = 4.302653 * np.std([1, 2, 6], ddof=1) / np.sqrt(3)
    assert (found.estimate, found.high - found.estimate) == pytest.approx((3.0, half), rel=1e-6)
    plain = before_and_after(Changed(rows, tuple("ABC"), 0), confidence=0.95)
    assert (plain.low, plain.high) == pytest.approx((found.low, found.high))


def test_a_change_of_mix_is_no_change():
    changed = pick(log(np.random.default_rng(1)))
    naive = before_and_after(changed, confidence=0.95)
    assert naive.high < 0  # 0.4 of the contacts moved to a channel that waits 40 s less
    assert naive.estimate == pytest.approx(-16, abs=2)
    for found in (
        stratified(changed, strata=["channel"], confidence=0.95),
        adjusted(changed, mix=["channel"], confidence=0.95),
        weighted(changed, mix=["channel"], confidence=0.95),
    ):
        assert found.low < 0 < found.high
        assert found.high - found.low < 10


# --- What comes in --------------------------------------------------------------------------------


def test_hour_and_weekday_are_read_off_the_local_time():
    records = log(np.random.default_rng(1))
    records["arrived"] = records["arrived"].dt.tz_localize("Europe/Madrid")
    rows = pick(records, columns=["hour", "weekday"]).rows
    assert set(rows["weekday"]) == DAYS
    assert rows["hour"].astype(int).between(8, 19).all()


DAYS = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}


def test_blanks_are_a_stratum_and_a_week_that_holds_the_change_is_left_out():
    records = log(np.random.default_rng(1))
    records.loc[::7, "channel"] = None
    records.loc[:9, "wait_s"] = np.nan
    found = pick(records, change_on="2025-04-02")
    assert "(blank)" in set(found.rows["channel"])
    assert pd.Timestamp("2025-03-31") not in set(found.rows["period"])
    assert found.left_out == 10


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"treated": ["S1"]}, "one cluster"),
        ({"change_on": "2025-01-06"}, "one cluster"),  # a step at the first point: no site before
        ({"change_on": "2025-02-24"}, "7 whole weeks before"),
        ({"change_on": "2025-05-19"}, "1 whole week after"),
        ({"columns": ["chanel"]}, "no column 'chanel'"),
    ],
)
def test_what_cannot_be_borne_is_refused(settings, words):
    with pytest.raises(Refusal, match=words):
        pick(log(np.random.default_rng(1)), **settings)


def test_bad_records():
    records = log(np.random.default_rng(1))
    with pytest.raises(Problem, match="holds text"):
        pick(records, measure="channel", columns=[])
    with pytest.raises(Refusal, match="the same in every record"):
        pick(records.assign(wait_s=0.0))
    with pytest.raises(Refusal, match="blanks among its numbers"):
        pick(records.assign(age=np.where(records.index == 3, np.nan, 4.0)), columns=["age"])


def test_a_mix_that_gives_the_date_away_is_refused():
    records = log(np.random.default_rng(1))
    records["tool"] = np.where(records["arrived"] >= "2025-03-31", "new", "old")
    changed = pick(records, columns=["tool"])
    for design in (weighted, adjusted):
        with pytest.raises(Refusal, match="without error"):
            design(changed, mix=["tool"], confidence=0.95)
    age = changed.rows.assign(age=np.where(changed.rows["after"], 5.0, 1.0))
    with pytest.raises(Refusal, match="without error"):
        weighted(Changed(age, changed.sites, 0), mix=["age"], confidence=0.95)
    with pytest.raises(Refusal, match="strata with records on both sides"):
        stratified(changed, strata=["tool"], confidence=0.95)
    with pytest.raises(Refusal, match="No column is named under mix"):
        adjusted(changed, mix=[], confidence=0.95)
