"""Synthetic control: cases worked by hand, optimality, placebos, refusals."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from sqm.checks import Refusal
from sqm.synthetic_control import blend, synthetic_control

WEEKS = pd.date_range("2024-01-01", periods=52, freq="7D")
CHANGE = "2024-09-30"  # 39 weeks before, 13 after


def panel_of(rows, weeks=WEEKS):
    return pd.concat(
        pd.DataFrame({"site": site, "period": weeks[: len(values)], "n": 50, "mean": values})
        for site, values in rows.items()
    )


def asked(rows, change_on=CHANGE):
    return synthetic_control(
        panel_of(rows),
        treated=["T"],
        change_on=change_on,
        confidence=0.95,
        rng=np.random.default_rng(1),
    )


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(7)
    others = dict(zip("ABCDEF", rng.normal(size=(6, 52)) + np.arange(6)[:, None], strict=True))
    mine = 0.25 * others["A"] + 0.75 * others["D"] + 10 + rng.normal(0, 0.05, 52)
    return {"T": mine + 2 * (np.arange(52) >= 39), **others}


def test_the_weights_and_the_step_are_found_at_any_level(rows):
    found = asked(rows)
    assert found.weights == pytest.approx([0.25, 0, 0, 0.75, 0, 0], abs=0.04)
    assert found.weights.sum() == pytest.approx(1, abs=1e-12)
    assert found.rung.low < 2 < found.rung.high
    assert found.rung.high - found.rung.low < 0.2
    assert (found.as_large, found.placebos, found.p) == (1, 7, 1 / 7)
    assert found.rung.passed == "yes"


def test_weights_are_the_best_on_the_simplex():
    """Against a general optimiser."""
    rng = np.random.default_rng(2)
    mine, others = rng.normal(size=20), rng.normal(size=(20, 4))
    best = optimize.minimize(
        lambda w: ((mine - others @ w) ** 2).sum(),
        np.full(4, 0.25),
        bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-14},
    )
    assert blend(mine, others) == pytest.approx(best.x, abs=1e-4)


def test_a_site_that_nothing_else_moves_like_cannot_say(rows):
    alone = {**rows, "T": np.random.default_rng(9).normal(size=52)}
    found = asked(alone)
    assert found.fit < 0
    assert found.rung.passed != "yes"
    assert found.rung.low < 0 < found.rung.high


def test_too_little_is_refused(rows):
    with pytest.raises(Refusal, match="4 sites without the change"):
        asked({site: rows[site] for site in "TABCD"})
    with pytest.raises(Refusal, match="Only 9 whole weeks before"):
        asked(rows, "2024-03-04")
