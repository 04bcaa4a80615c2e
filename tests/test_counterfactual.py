"""Forecast from the other sites: against another program, identities, the flagship's shape."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.arima.model import ARIMA

from sqm.checks import Refusal
from sqm.counterfactual import counterfactual

WEEKS = pd.date_range("2023-01-02", periods=150, freq="7D")
CHANGE = "2025-04-21"  # the 120th week


def panel_of(rows, weeks=WEEKS):
    return pd.concat(
        pd.DataFrame({"site": site, "period": weeks, "n": 50, "mean": values})
        for site, values in rows.items()
    )


def asked(panel, change_on=CHANGE, treated=("T",)):
    return counterfactual(
        panel,
        treated=list(treated),
        change_on=change_on,
        confidence=0.95,
        rng=np.random.default_rng(1),
    )


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(4)
    shared, own = np.cumsum(rng.normal(size=150)), rng.normal(size=(3, 150))
    for t in range(1, 150):
        own[0, t] += 0.5 * own[0, t - 1]
    return {"T": shared + 3 + own[0], "A": shared + 0.01 * own[1], "B": shared + 0.01 * own[2]}


def test_it_agrees_with_the_state_space_forecast_of_the_gap(rows):
    """statsmodels' ARIMA(1, 0, 0) by maximum likelihood, on 119 weeks: the same but for what its
    limits leave out, the error of its own parameters."""
    found = asked(panel_of(rows))
    gap = rows["T"] - (rows["A"] + rows["B"]) / 2
    before = int((~found.groups.after).sum())
    theirs = ARIMA(gap[:before], order=(1, 0, 0)).fit().get_forecast(150 - before)
    mine = gap[before:] - (rows["T"][before:] - found.expected[before:])
    assert mine == pytest.approx(theirs.predicted_mean, abs=0.05)
    width = (found.high - found.low)[before:]
    theirs = np.diff(theirs.conf_int(), axis=1)[:, 0]
    assert width == pytest.approx(theirs, rel=0.06)
    assert (width > theirs).all()


def test_a_step_moves_the_answer_by_the_step_and_what_all_share_does_not(rows):
    after = np.asarray(WEEKS >= CHANGE)
    plain = asked(panel_of(rows)).rung
    stepped = asked(panel_of({**rows, "T": rows["T"] + 2 * after})).rung
    shared = asked(panel_of({site: each + 9 * after for site, each in rows.items()})).rung
    assert [stepped.estimate, stepped.low] == pytest.approx(
        [plain.estimate + 2, plain.low + 2], abs=1e-6
    )
    assert [shared.estimate, shared.high] == pytest.approx([plain.estimate, plain.high], abs=1e-6)
    assert plain.passed == "yes"


def test_a_drift_apart_before_the_change_is_found(rows):
    drifting = {**rows, "T": rows["T"] + np.linspace(0, 12, 150)}
    assert asked(panel_of(drifting)).rung.passed == "no"


def test_without_other_sites_it_is_refused(rows):
    with pytest.raises(Refusal, match="0 sites without the change"):
        asked(panel_of({"T": rows["T"]}))
