"""Truth: limiting cases, and identities of ranks."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sqm.checks import Problem
from sqm.methods.league import league


def units(values, n=1_000):
    return pd.DataFrame({"unit": [f"u{i}" for i in range(len(values))], "n": n, "value": values})


@pytest.fixture(scope="module")
def clear():
    return league(units([50.0, 100, 200, 400]), draws=1_000, rng=np.random.default_rng(1))


def test_levels_far_apart_leave_no_doubt(clear):
    assert clear.table["unit"].tolist() == ["u0", "u1", "u2", "u3"]
    assert clear.table["rank"].to_numpy() == pytest.approx([1, 2, 3, 4], abs=0.01)
    assert clear.best_chance > 0.99 and clear.worst_chance > 0.99 and clear.sure == 2
    assert clear.top == 1
    first, rest = clear.sentence().split("\n")
    assert "Most likely best: u0 (100%, rank 1 to 1)" in first and len(first) <= 220
    assert "fewer than 20" in rest


def test_chances_and_ranks_add_up(clear):
    same = league(units([80.0] * 25), draws=1_000, rng=np.random.default_rng(1))
    assert same.top == 3
    for found in (clear, same):
        assert found.table[["best", "worst"]].sum().to_numpy() == pytest.approx([found.top] * 2)
        m = found.units
        assert found.table["rank"].mean() == pytest.approx((m + 1) / 2)
    assert same.table["best"].max() < 0.3 and same.sure == 0
    assert (same.table["rank_high"] - same.table["rank_low"]).min() >= 20


def test_less_is_known_of_a_small_unit_so_it_is_drawn_more():
    table = units([20.0, 2_000, 1_000, 1_100, 900, 1_050], n=[100, 10_000] + [10_000] * 4)
    found = league(table, draws=2_000, rng=np.random.default_rng(1)).table.set_index("unit")
    # both were seen at 20 % where the rest is near 10 %
    assert found.loc["u0", "crude"] == found.loc["u1", "crude"] == 0.2
    assert found.loc["u0", "estimate"] < found.loc["u1", "estimate"]
    assert found.loc["u0", "pull"] > found.loc["u1", "pull"]
    assert found.loc["u1", "estimate"] == pytest.approx(0.2, abs=0.005)


def test_direction_mix_groups_rates_and_means():
    rng = np.random.default_rng(1)
    up = league(units([50.0, 100, 200]), better="higher", draws=200, rng=rng)
    assert up.likely_best == "u2"
    given = units([50.0, 100, 400]).assign(expected=[25.0, 100, 800])
    mixed = league(given, kind="rate", draws=200, rng=rng)
    assert mixed.mixed and mixed.likely_best == "u2" and mixed.likely_worst == "u0"
    # u5 is worse than its own site, u0 better than its own, though their sites are the other way
    grouped = units([150.0, 300, 310, 50, 55, 100]).assign(within=["N"] * 3 + ["S"] * 3)
    found = league(grouped, draws=1_000, rng=rng)
    assert (found.likely_best, found.likely_worst) == ("u0", "u5")
    means = units([5.0, 6.0, 9.0], n=400).assign(sd=2.0)
    level = league(means, kind="mean", draws=1_000, rng=rng).table.set_index("unit")
    assert level["estimate"].to_numpy() == pytest.approx([5, 6, 9], abs=0.1)
    assert (level["high"] - level["low"]).to_numpy() == pytest.approx([0.392] * 3, rel=0.12)


def test_bad_settings():
    with pytest.raises(Problem, match="draws"):
        league(units([50.0, 100, 200]), draws=10, rng=np.random.default_rng(1))


def test_the_same_seed_gives_the_same_league():
    one, two = (
        league(units([50.0, 60, 70]), draws=200, rng=np.random.default_rng(5)) for _ in range(2)
    )
    pd.testing.assert_frame_equal(one.table, two.table)


def test_the_picture(clear):
    ax = clear.plot(plt.figure().add_subplot())
    assert ax.get_yticklabels()[0].get_text() == "u0 (best 100%)"
    plt.close("all")
