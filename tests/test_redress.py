"""Shares and means by hand; who counts in which; money that is skewed."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats

from sqm.checks import Problem, Refusal
from sqm.interval import wilson
from sqm.methods.redress import care, mean_limits


def complaints(n, seed):
    rng = np.random.default_rng(seed)
    opened = pd.Timestamp("2025-01-06") + pd.to_timedelta(rng.random(n), unit="D")
    money = np.exp(rng.normal(3, 1, n))
    return pd.DataFrame(
        {
            "closed": pd.Series(opened).where(rng.random(n) < 0.8),
            "reopened": pd.array(rng.random(n) < 0.1, dtype="boolean"),
            "escalated": pd.array(rng.random(n) < 0.2, dtype="boolean"),
            "cost": money,
            "compensation": np.where(rng.random(n) < 0.3, money, 0.0),
            "customer": rng.integers(n, size=n).astype(str),
        }
    )


def rng():
    return np.random.default_rng(1)


def test_by_hand():
    """Of 14 cases 12 are closed, one more is open again; 2 of these 13 were reopened."""
    cases = pd.DataFrame(
        {
            "closed": [pd.Timestamp("2025-01-06")] * 12 + [pd.NaT] * 2,
            "reopened": [True] + [False] * 11 + [True, False],
            "escalated": [True] * 3 + [False] * 11,
            "compensation": [20.0] * 3 + [0.0] * 9 + [np.nan] * 2,
        }
    )
    found = care(cases, rng=rng(), targets={"reopened": 0.5, "escalated": 0.05})
    rows = found.table.set_index("measure")
    assert rows["estimate"].tolist() == pytest.approx([2 / 13, 3 / 14, 3 / 12, 5.0])
    assert rows["cases"].tolist() == [13, 14, 12, 12]
    assert (rows.loc["reopened", "low"], rows.loc["reopened", "high"]) == pytest.approx(
        wilson(2 / 13, 13)
    )
    assert (found.met, found.not_met) == (("reopened",), ("escalated",))
    assert found.absent == ("cost",)
    assert rows.loc["compensation", "dearest"] == pytest.approx(1 / 3)
    assert "cost (not in the table)" in found.sentence()


def test_verdicts_need_the_whole_interval():
    cases = complaints(400, 1)
    share = care(cases, rng=rng()).table.set_index("measure").loc["escalated"]
    for target, verdict in (
        (share["high"] + 0.01, "met"),
        (share["low"] - 0.01, "not met"),
        (share["estimate"], "not known"),
    ):
        found = care(cases, rng=rng(), targets={"escalated": target})
        assert found.table.set_index("measure").loc["escalated", "verdict"] == verdict


def test_a_blank_that_may_be_nothing_is_not_guessed():
    cases = complaints(200, 2).assign(compensation=lambda c: c["compensation"].replace(0, np.nan))
    found = care(cases, rng=rng())
    row = found.table.set_index("measure").loc["compensated"]
    assert np.isnan(row["estimate"])
    assert "say whether a blank means" in row["note"]
    told = care(cases, rng=rng(), blank_is_nothing=True)
    paid = complaints(200, 2)
    done = paid["closed"].notna() | paid["reopened"].astype(bool)
    # of a case that was reopened, or closed, a blank is nothing
    assert told.table.set_index("measure").loc["compensated", "estimate"] == pytest.approx(
        (paid.loc[done, "compensation"] > 0).mean()
    )


def test_the_mean_of_normal_money_has_students_interval():
    x = 100 + rng().normal(size=400)
    mean, low, high = mean_limits(x, None, 0.95, rng())
    half = stats.t.ppf(0.975, 399) * x.std(ddof=1) / 20
    assert mean == pytest.approx(x.mean())
    assert (low, high) == pytest.approx((mean - half, mean + half), abs=0.015)


def test_skewed_money_reaches_farther_upwards():
    x = np.exp(1.2 * rng().normal(size=200))
    mean, low, high = mean_limits(x, None, 0.95, rng())
    assert high - mean > 1.15 * (mean - low)


def test_the_formula_of_large_files_agrees_with_the_resamples(monkeypatch):
    x = np.exp(rng().normal(size=3000))
    drawn = mean_limits(x, None, 0.95, rng())
    monkeypatch.setattr("sqm.methods.redress.MOST_RESAMPLED", 100)
    assert mean_limits(x, None, 0.95, rng()) == pytest.approx(drawn, rel=0.01)


def test_copies_weigh_as_clusters():
    cases = complaints(200, 3).assign(case=np.arange(200).astype(str))
    copies = pd.concat([cases] * 4, ignore_index=True)
    one = care(cases, rng=rng()).table
    aware = care(copies, rng=rng(), clusters="case").table
    width = [(each["high"] - each["low"]).to_numpy() for each in (one, aware)]
    assert width[1] == pytest.approx(width[0], rel=0.08)
    assert (
        "Cases of the same case may be alike" in care(copies, rng=rng(), clusters="case").sentence()
    )


def test_same_seed_same_answer():
    one, other = (care(complaints(300, 4), rng=rng()).table for _ in range(2))
    pd.testing.assert_frame_equal(one, other)


def test_too_few_and_nothing():
    cases = complaints(40, 5)
    cases.loc[8:, "cost"] = np.nan
    found = care(cases, rng=rng())
    assert found.table.set_index("measure").loc["cost", "note"] == "only 8 cases"
    assert "cost (only 8 cases)" in found.sentence()
    with pytest.raises(Refusal, match="have none of"):
        care(cases[["customer"]], rng=rng())
    with pytest.raises(Refusal, match="No measure can be given"):
        care(cases.head(5), rng=rng())


def test_no_money_at_all():
    found = care(complaints(50, 6).assign(compensation=0.0), rng=rng())
    rows = found.table.set_index("measure")
    assert rows.loc["compensation", "estimate"] == 0  # nothing paid so far shows no spread:
    assert rows.loc["compensation", ["low", "high"]].isna().all()  # no interval, not 0 to 0
    assert rows.loc["compensated", "estimate"] == 0
    assert rows.loc["compensated", "high"] > 0


def test_bad_input():
    cases = complaints(50, 7)
    with pytest.raises(Problem, match="did you mean 'reopened'"):
        care(cases, rng=rng(), targets={"reopend": 0.1})
    with pytest.raises(Problem, match="give a share from 0 to 1"):
        care(cases, rng=rng(), targets={"reopened": 10})
    with pytest.raises(Problem, match="negative sum"):
        care(cases.assign(cost=-1.0), rng=rng())
    with pytest.raises(Problem, match="holds no yes or no"):
        care(cases.assign(escalated="often"), rng=rng())
    with pytest.raises(Problem, match="does not hold numbers"):
        care(cases.assign(cost="dear"), rng=rng())
    with pytest.raises(Refusal, match="no column 'who'"):
        care(cases, rng=rng(), clusters="who")


def test_sentences_and_pictures():
    found = care(complaints(300, 8), rng=rng(), currency="MXN", targets={"reopened": 0.05})
    row = found.table.iloc[0]
    assert f"{100 * row['estimate']:.1f} % (95% interval" in found.sentence().splitlines()[0]
    assert "MXN" in found.sentence()
    assert "approximate" in found.sentence()
    assert len(found.sentence().splitlines()[0]) <= 220
    money = care(complaints(300, 8)[["cost"]], rng=rng())
    for each in (found, money):
        ax = each.plot(plt.figure().subplots())
        assert len(ax.get_yticklabels()) >= 1
        assert ax.get_xlabel()
    plt.close("all")


def test_the_first_line_names_each_missed_target_beside_its_verdict():
    targets = {"reopened": 0.0, "escalated": 0.0, "cost": 1e6}
    found = care(complaints(600, 8), rng=rng(), targets=targets)
    assert found.not_met == ("reopened", "escalated") and found.met == ("cost",)
    first = found.sentence().splitlines()[0]
    assert first.endswith("targets: 1 met, 2 not met (reopened and escalated).")


def test_money_that_is_all_alike_has_no_interval():
    """Nothing paid in 30 cases does not show that nothing ever is: no interval of 0 to 0."""
    cases = complaints(30, 8).assign(compensation=0.0, cost=5.0)
    found = care(cases, rng=rng(), targets={"compensation": 1.0, "cost": 6.0})
    money = found.table.set_index("measure").loc[["cost", "compensation"]]
    assert money["estimate"].tolist() == [5.0, 0.0]
    assert money[["low", "high"]].isna().all(axis=None)
    assert set(money["verdict"]) == {"not known"}
    assert "cost: 5 EUR (no interval)" in found.sentence()
    assert "nan" not in found.sentence()
