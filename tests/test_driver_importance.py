"""Shares of what the drivers explain, against every model fitted again and sums by hand."""

from dataclasses import replace
from itertools import permutations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import expit

from sqm import importance
from sqm.checks import Problem, Refusal
from sqm.methods import driver_importance as room
from sqm.methods.driver_importance import importance_of
from sqm.regression import fit_outcome

KINDS = {
    "binary": {"outcome": "yes"},
    "ordered": {"outcome": "mark", "kind": "ordered"},
    "count": {"outcome": "letters", "kind": "count"},
    "time": {"outcome": "age_d", "kind": "time", "running": "age_d_open"},
}


def world(n=1500, *, seed=1, weights=(0.8, 0.4, 0.0), groups=40):
    """Numbers a, b, c that go together, and a category of three levels."""
    rng = np.random.default_rng(seed)
    group, k = rng.integers(0, groups, n), len(weights)
    numbers = 0.6 * rng.normal(size=(n, 1)) + 0.8 * rng.normal(size=(n, k))
    level = rng.choice(["low", "mid", "high"], n)
    eta = numbers @ np.array(weights) + 0.7 * (level == "high") - 0.5
    eta = eta + rng.normal(0, 0.2, groups)[group]
    ends, watched = np.ceil(20 * rng.exponential(size=n) * np.exp(-eta)), rng.integers(1, 60, n)
    records = pd.DataFrame(numbers, columns=list("abcdefghijklmnop")[:k])
    return records.assign(
        level=level,
        group=pd.Series(group).map("g{}".format),
        yes=rng.random(n) < expit(eta),
        mark=np.digitize(eta + rng.logistic(size=n), [-1, 0, 1]),
        letters=rng.poisson(np.exp(0.5 * eta)),
        age_d=np.minimum(ends, watched),
        age_d_open=ends > watched,
    )


def fitted(records=None, kind="binary", drivers=("a", "b", "c", "level"), **more):
    records = world() if records is None else records
    settings = {"fixed": "", "cluster": "group", **KINDS[kind], **more}
    return fit_outcome(records, drivers=list(drivers), **settings)


def found(fit, **more):
    return importance_of(fit, rng=np.random.default_rng(1), **{"resamples": 300, **more})


def test_shares_are_those_of_every_order_of_entry():
    # McFadden's R2 of all sixteen models by statsmodels, averaged over the 24 orders
    records, fit = world(), fitted()
    columns = {
        name: [i for i, t in enumerate(fit.terms) if t.column == name] for name in fit.drivers
    }

    def explained(names):
        chosen = [0, *(i for name in names for i in columns[name])]
        return sm.Logit(records["yes"].astype(float), fit.design[:, chosen]).fit(disp=0).prsquared

    gains = dict.fromkeys(fit.drivers, 0.0)
    for order in permutations(fit.drivers):
        for i, name in enumerate(order):
            gains[name] += (explained(order[: i + 1]) - explained(order[:i])) / 24
    answer = found(fit)
    shares = answer.table.set_index("driver")["estimate"]
    assert answer.explained == pytest.approx(sum(gains.values()), abs=1e-7)
    for name, gain in gains.items():
        assert shares[name] == pytest.approx(gain / answer.explained, abs=1e-6)


def test_weighted_least_squares_gives_the_working_shares():
    # of the working response, the shares are the LMG of the weighted correlations
    records = world(drivers := 1500)
    fit = fitted(records, drivers=("a", "b", "c"))
    sample = room._drawn(fit, np.random.default_rng(1))
    p = expit(fit.design @ fit.b)
    weight, z = p * (1 - p), fit.design @ fit.b + (fit.seen.y - p) / (p * (1 - p))
    both = np.cov(np.column_stack([fit.design[:, 1:], z]), rowvar=False, aweights=weight)
    r = both / np.sqrt(np.outer(np.diag(both), np.diag(both)))
    lmg = importance.lmg(r[:3, :3], r[:3, 3])
    johnson = importance.relative_weights(r[:3, :3], r[:3, 3])
    for how, other in ((room.WORKING, lmg), (room.WEIGHTS, johnson)):
        whole = room._quadratic(sample, how)[0]
        assert whole / whole.sum() == pytest.approx(other / other.sum(), abs=1e-6)
    assert len(records) == drivers


@pytest.mark.parametrize("kind", KINDS)
def test_the_quick_shares_are_near_the_exact_ones(kind):
    sample = room._drawn(fitted(kind=kind), np.random.default_rng(1))
    exact, parts, _ = room._exact(sample)
    assert parts.sum(axis=0) == pytest.approx(exact)
    for how, off in ((room.WORKING, 0.025), (room.WEIGHTS, 0.03)):
        quick, quick_parts, _ = room._quadratic(sample, how)
        assert quick / quick.sum() == pytest.approx(exact / exact.sum(), abs=off)
        assert quick_parts.sum(axis=0) == pytest.approx(quick)


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_of_a_row_is_what_its_weight_does(kind):
    # each row twice is each row with weight 2; then one group twice, to first order
    fit = fitted(world(600), kind=kind)
    sample = room._drawn(fit, np.random.default_rng(1))
    whole, parts, _ = room._exact(sample)
    some = np.flatnonzero(sample.members == 3)
    twice = np.sort(np.concatenate([np.tile(np.arange(600), 20), some]))
    doubled = replace(
        sample, seen=sample.seen.at(twice), design=sample.design[twice], members=twice
    )
    once = np.sort(np.tile(np.arange(600), 20))
    plain = replace(sample, seen=sample.seen.at(once), design=sample.design[once], members=once)
    moved = room._exact(doubled)[0] - room._exact(plain)[0]
    # a tie of twenty copies is not a tie of one: the parts of the copied rows themselves
    expected = room._exact(plain)[1][np.isin(once, some)].sum(axis=0) / 20
    assert moved == pytest.approx(expected, abs=0.02 * np.abs(whole).max() + 0.02)
    assert parts.shape == (600, 4)


def test_standard_errors_are_those_of_fitting_again():
    fit = fitted(world(1500), drivers=("a", "b", "level"))
    sample = room._drawn(fit, np.random.default_rng(1))
    whole, parts, _ = room._exact(sample)
    share = whole / whole.sum()
    sums = room._influence(whole, parts, sample.members)
    quick = np.sqrt((sums**2).sum(axis=0))
    rng, again = np.random.default_rng(2), []
    rows = [np.flatnonzero(sample.members == g) for g in range(len(sums))]
    for _ in range(150):
        chosen = np.concatenate([rows[g] for g in rng.integers(0, len(rows), len(rows))])
        design, seen = sample.design[chosen], sample.seen.at(chosen)
        gain = room._exact(replace(sample, seen=seen, design=design, members=chosen))[0]
        again.append(gain / gain.sum())
    assert quick == pytest.approx(np.std(again, axis=0), rel=0.2)
    assert share == pytest.approx(np.mean(again, axis=0), abs=0.02)


def test_the_weights_of_the_orders_sum_to_one():
    for k in (2, 3, 5):
        turns = np.array([room._turns(mask, k) for mask in range(2**k)])
        assert turns[turns > 0].sum() == pytest.approx(k)
        assert turns.sum(axis=0) == pytest.approx(np.zeros(k))
        assert turns.sum(axis=1)[[0, -1]] == pytest.approx([-1, 1])  # the whole less the null


def test_equal_drivers_share_a_rank():
    cells = [
        (a, b, y)
        for a in (0, 1)
        for b in (0, 1)
        for y in [1] * (2 + 3 * (a + b)) + [0] * (8 - 3 * (a + b))
    ]
    records = pd.DataFrame(cells * 10, columns=["a", "b", "complained"])
    table = found(fit_outcome(records, drivers=["a", "b"], fixed="", cluster="")).table
    assert table["rank"].tolist() == [1, 1]
    assert table[["rank_low", "rank_high"]].to_numpy().tolist() == [[1, 2], [1, 2]]


def test_more_rows_settle_the_order():
    few, many = (found(fitted(world(n))) for n in (400, 12_000))
    assert (many.table["rank_low"] == many.table["rank_high"]).all()
    assert many.table["driver"].iloc[0] == "a" and many.table["driver"].iloc[-1] == "c"
    assert "whole order is settled" in many.sentence()
    width = [(each.table["rank_high"] - each.table["rank_low"]).sum() for each in (few, many)]
    assert width[0] > width[1] == 0


def test_interval_of_a_share_stays_between_nothing_and_all():
    table = found(fitted(world(400))).table
    assert ((table["low"] >= 0) & (table["high"] <= 1)).all()
    assert ((table["low"] <= table["estimate"]) & (table["estimate"] <= table["high"])).all()
    assert table["estimate"].sum() == pytest.approx(1)


def test_clusters_that_are_alike_widen_the_intervals():
    records = world(1000)
    eightfold = pd.concat([records.assign(person=np.arange(1000).astype(str))] * 8)
    by_row = found(fitted(eightfold, cluster="")).table.set_index("driver")
    by_person = found(fitted(eightfold, cluster="person")).table.set_index("driver")
    width, wider = (t["high"] - t["low"] for t in (by_row, by_person))
    # eight times the same: as wide as a thousand rows, sqrt(8) times the rest
    assert (wider / width)[["a", "level"]].to_numpy() == pytest.approx(8**0.5, rel=0.05)


def test_a_sign_that_turns_is_said():
    rng = np.random.default_rng(5)
    load = rng.normal(size=4000)
    staff = 0.9 * load + 0.4 * rng.normal(size=4000)
    records = pd.DataFrame({"load": load, "staff": staff, "z": rng.normal(size=4000)})
    records["complained"] = rng.random(4000) < expit(2 * load - 1.5 * staff - 1)
    fit = fit_outcome(records, drivers=["load", "staff", "z"], fixed="", cluster="")
    answer = found(fit)
    row = answer.table.set_index("driver").loc["staff"]
    assert row["sign_flips"] and row["alone"] > 0 > row["adjusted"]
    assert answer.table["sign_flips"].sum() == 1
    assert "staff: alone, the effect has the opposite sign" in answer.sentence()


def test_fixed_groups_are_in_every_model():
    records = world()
    records["site"] = np.where(records["yes"] ^ (np.arange(1500) % 4 == 0), "N", "S")
    within = found(fitted(records, fixed="site"))
    assert set(within.table["driver"]) == {"a", "b", "c", "level"}
    assert "beyond each site's own level" in within.sentence()
    assert within.explained != pytest.approx(found(fitted(records)).explained, rel=0.01)


@pytest.mark.parametrize(("k", "how"), [(11, "working"), (15, "weights")])
def test_many_drivers(k, how):
    records = world(3000, weights=tuple(np.linspace(0.9, 0, k)))
    names = [*"abcdefghijklmnop"[:k], "level"]
    answer = found(fitted(records, kind="count", drivers=names))
    assert answer.how == how and answer.table["estimate"].sum() == pytest.approx(1)
    assert answer.table["driver"].iloc[0] in ("a", "b", "c")
    assert "approximate" in answer.sentence()


def test_many_rows_are_sampled_and_it_is_said(monkeypatch):
    monkeypatch.setitem(room.MOST_WORK, "binary", 16_000)  # sixteen models
    answer = found(fitted(world(4000)))
    assert (answer.records, answer.used) == (4000, 1000)
    assert "on 1,000 of 4,000 rows, drawn by chance" in answer.sentence()


@pytest.mark.parametrize("kind", KINDS)
def test_said_and_drawn(kind):
    answer = found(fitted(kind=kind))
    first = answer.sentence().splitlines()[0]
    top = answer.table.iloc[0]
    assert f"{top['driver']} {100 * top['estimate']:.0f} % (95% interval" in first
    assert len(first) <= 220 and "no sign" in answer.sentence()
    assert f"{100 * answer.explained:.1f} %" in answer.sentence()
    ax = answer.plot(plt.figure().add_subplot())
    assert len(ax.lines) == 2 * 4 and "95% interval" in ax.get_xlabel()
    plt.close("all")


def test_few_rows_make_small_shares_approximate():
    assert "small shares are approximate" in found(fitted(world(600))).sentence()
    assert "approximate" not in found(fitted(world(1500))).sentence()


def test_a_driver_of_no_effect_reaches_as_far_as_chance():
    # alone and unrelated: twice the gain is chi-squared of one degree
    rng = np.random.default_rng(1)
    records = pd.DataFrame({"x": rng.normal(size=4000), "z": rng.normal(size=4000)})
    records["complained"] = rng.random(4000) < expit(records["x"])
    fit = fit_outcome(records, drivers=["x", "z"], fixed="", cluster="")
    sample = room._drawn(fit, rng)
    total = room._quadratic(sample, room.WORKING)[0].sum()
    mean, variance = (each[1] for each in room._near_nothing(sample))
    assert mean * total == pytest.approx(0.5, rel=0.15)
    assert variance * total**2 == pytest.approx(0.5, rel=0.3)


def test_the_same_seed_gives_the_same_answer():
    fit = fitted(world(600))
    pd.testing.assert_frame_equal(found(fit).table, found(fit).table)


def test_what_cannot_be_asked():
    with pytest.raises(Refusal, match="only driver"):
        found(fitted(drivers=("a",)))
    with pytest.raises(Problem, match="resamples is 5"):
        found(fitted(), resamples=5)
    with pytest.raises(Problem, match="confidence is 95"):
        found(fitted(), confidence=95)
