"""Truth: by hand, identities of the model, and mixes whose chances are known."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from sqm.case_mix import expected, need_calibrated, units_of, units_of_counts
from sqm.checks import Problem, Refusal

CHANCE = {("phone", "a"): -2.0, ("phone", "b"): -1.0, ("chat", "a"): -1.2, ("chat", "b"): -0.2}


@pytest.fixture(scope="module")
def records():
    rng = np.random.default_rng(1)
    n = 6_000
    table = pd.DataFrame(
        {
            "arrived": pd.Timestamp("2025-01-06")
            + pd.to_timedelta(np.sort(rng.uniform(0, 210, n)), unit="D"),
            "channel": rng.choice(["phone", "chat"], n),
            "reason": rng.choice(["a", "b"], n),
            "site": rng.choice(["N $1", "S<", "东"], n),
        }
    )
    eta = np.array([CHANCE[key] for key in zip(table["channel"], table["reason"], strict=True)])
    return table.assign(chance=expit(eta), bad=rng.random(n) < expit(eta))


def test_the_baseline_expects_what_occurred_and_each_level_too(records):
    found = expected(records, outcome="bad", mix=["channel", "reason"])
    assert found.expected.sum() == pytest.approx(records["bad"].sum())
    seen = records["bad"].groupby(records["reason"]).sum()
    due = found.expected.groupby(records["reason"]).sum()
    assert due.to_numpy() == pytest.approx(seen.to_numpy(), rel=1e-3)  # but for the prior
    assert np.abs(found.expected - records["chance"]).max() < 0.03
    assert found.calibrated == "yes" and found.slope_low < 1 < found.slope_high
    assert "calibration slope" in found.words()


def test_later_records_do_not_teach_and_new_kinds_are_counted(records):
    later = records["arrived"] >= "2025-06-02"
    spoiled = records.assign(bad=(records["bad"] | later).astype("boolean"))
    spoiled.loc[spoiled.index[-3:], "channel"] = "fax"
    spoiled.loc[spoiled.index[-5], "bad"] = pd.NA
    found = expected(spoiled, outcome="bad", mix=["channel"], until="2025-06-02")
    alone = expected(records[~later], outcome="bad", mix=["channel"])
    assert found.expected[~later].to_numpy() == pytest.approx(alone.expected.to_numpy())
    assert (found.unmet, found.blank, found.records) == (3, 1, int((~later).sum()))
    assert found.expected.isna().sum() == 4


def test_a_crossing_that_the_model_lacks_is_found(records):
    crossed = (records["channel"] == "chat") ^ (records["reason"] == "b")
    rng = np.random.default_rng(2)
    odd = records.assign(bad=rng.random(len(records)) < np.where(crossed, 0.4, 0.1))
    found = expected(odd, outcome="bad", mix=["channel", "reason"])
    assert found.calibrated == "no"
    with pytest.raises(Refusal, match="not borne out"):
        need_calibrated(found)


def test_counts_and_means_have_their_own_models(records):
    rng = np.random.default_rng(3)
    level = np.where(records["channel"] == "chat", 2.0, 1.0)
    table = records.assign(calls=rng.poisson(level), minutes=level + rng.normal(size=len(level)))
    for outcome, kind in (("calls", "count"), ("minutes", "mean")):
        found = expected(table, outcome=outcome, mix=["channel"], kind=kind)
        seen = table[outcome].groupby(table["channel"]).mean()
        assert found.expected.groupby(table["channel"]).mean().to_numpy() == pytest.approx(
            seen.to_numpy(), rel=1e-3
        )
        assert found.model.scale == pytest.approx(1, abs=0.06)


def test_hours_are_read_off_the_time_and_blanks_are_a_level(records):
    table = records.assign(channel=records["channel"].where(records.index % 3 > 0))
    found = expected(table, outcome="bad", mix=["channel", "weekday"])
    assert "(blank)" in found.model.levels[0]
    assert found.model.levels[1] == ("Fri", "Mon", "Sat", "Sun", "Thu", "Tue", "Wed")


@pytest.mark.parametrize(
    ("mix", "outcome", "error", "says"),
    [
        (["wait_s"], "bad", Problem, "service brings about itself"),
        ("channel", "bad", Problem, "No list"),
        (["channel", "channel"], "bad", Problem, "twice"),
        (["chanel"], "bad", Refusal, "did you mean 'channel'"),
        (["channel"], "site", Problem, "true and false"),
        (["channel"], "never", Refusal, "rarer outcome"),
    ],
)
def test_what_cannot_be_expected_is_said(records, mix, outcome, error, says):
    with pytest.raises(error, match=says):
        expected(records.assign(never=False), outcome=outcome, mix=mix)


def test_units_are_summed_with_their_expectation(records):
    given = expected(records, outcome="bad", mix=["channel", "reason"])
    table = records.assign(site=records["site"].where(records.index > 9))
    units = units_of(table, unit="site", given=given, time="arrived").set_index("unit")
    one = (table["site"] == "S<").fillna(False)
    assert units.loc["S<", "value"] == records.loc[one, "bad"].sum()
    assert units.loc["S<", "expected"] == pytest.approx(given.expected[one].sum())
    assert (units["unnamed"] == 10).all() and units["n"].sum() == len(records) - 10
    # records that differ vary less than so many of one chance; weeks are steady
    p = given.expected[one]
    ratio = (p * (1 - p)).sum() / (one.sum() * p.mean() * (1 - p.mean()))
    assert 0.999 * ratio < units.loc["S<", "dispersion"] < 1.2
    with pytest.raises(Refusal, match="No record names"):
        units_of(table.assign(site=""), unit="site", outcome="bad")


def test_weeks_that_differ_widen_a_units_error():
    # 0 and 20 of 40 in turn: each week is off by 10, variance 40 * 0.25 * 0.75 = 7.5, so 13.3
    days = pd.date_range("2025-01-06", periods=20, freq="7D").repeat(40)
    bad = np.tile(np.repeat([0, 1], [60, 20]), 10).astype(bool)
    table = pd.DataFrame({"arrived": days, "bad": bad, "site": "N"})
    units = units_of(table, unit="site", outcome="bad", time="arrived")
    assert units.loc[0, "dispersion"] == pytest.approx(20 * 100 / 7.5 / 19)


def test_some_of_the_records_keep_their_own_expectation(records):
    given = expected(records, outcome="bad", mix=["channel", "reason"])
    some = records[records["arrived"] >= "2025-05-01"]
    mine = units_of(some, unit="site", given=given)
    due = given.expected[some.index].groupby(some["site"]).sum()
    assert mine.set_index("unit")["expected"].to_dict() == pytest.approx(due.to_dict())
    with pytest.raises(Problem, match="records have an expectation"):
        units_of(some.set_index(some.index + 10_000), unit="site", given=given)


def test_counts_are_summed_by_unit_and_what_is_wrong_is_named():
    counts = pd.DataFrame(
        {
            "unit": ["S", "N", "N", "Z", "", "N"],
            "period": pd.to_datetime(["2025-02-01", *["2025-03-01"] * 5]),
            "n": [10.0, 20, 30, 0, 5, np.nan],
            "events": [1.0, 2, 3, 0, 1, 1],
        }
    )
    found = units_of_counts(counts)
    assert found[["unit", "n", "value"]].to_numpy().tolist() == [["N", 50, 5.0], ["S", 10, 1.0]]
    assert (found["left_out"].iloc[0], found["unnamed"].iloc[0]) == (1, 1)
    later = units_of_counts(counts, period="period", since="2025-03-01")
    assert later["unit"].tolist() == ["N"]
    with pytest.raises(Problem, match=r"1 row .* has events below 0 or above the cases"):
        units_of_counts(counts.assign(events=[11.0, 2, 3, 0, 1, 1]))
