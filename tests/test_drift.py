"""Agreement over the months against statsmodels, and cases where nothing drifts."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from matplotlib import pyplot as plt

from sqm.checks import Problem, Refusal
from sqm.interval import wilson
from sqm.methods.drift import agreement_drift


@pytest.fixture(scope="module")
def cases():
    """400 cases, three raters, .85 right, else at random among four ordered categories."""
    rng = np.random.default_rng(11)
    truth = rng.choice(4, 400, p=[0.4, 0.3, 0.2, 0.1])
    given = {
        f"coder_{c}": np.where(rng.random(400) < 0.85, truth, rng.choice(4, 400)).astype(str)
        for c in "abc"
    }
    return pd.DataFrame(given)


def months(cases, falls=0.0):
    rng = np.random.default_rng(2)
    at = np.arange(len(cases)) * 300 / len(cases)
    spoilt = cases["coder_b"].where(rng.random(len(cases)) > falls * at / 300, "9")
    coded = pd.Timestamp("2025-01-01", tz="UTC") + pd.to_timedelta(at, unit="D")
    return cases.assign(coder_b=spoilt, coded=coded)


def test_drift_is_the_slope_of_statsmodels(cases):
    data = months(cases, falls=0.5)
    found = agreement_drift(data)
    x = (data["coded"] - data["coded"].min()) / pd.Timedelta(days=30.4375)
    alike = (data["coder_a"] == data["coder_b"]).astype(float)
    fit = sm.OLS(alike, sm.add_constant(x.to_numpy())).fit(cov_type="HC3", use_t=True)
    low, high = fit.conf_int().to_numpy()[1]
    assert (found.slope, found.low, found.high) == pytest.approx((fit.params.iloc[1], low, high))
    assert found.verdict == "sinks"
    assert found.table["cases"].sum() == found.cases == 400
    january = alike[data["coded"] < "2025-02-01"]
    assert found.table.loc[0, ["low", "high"]].tolist() == pytest.approx(
        wilson(january.mean(), len(january))
    )


def test_no_drift_is_said_with_what_is_not_excluded(cases):
    found = agreement_drift(months(cases), raters=list(cases))
    assert found.verdict == "no drift shown"
    assert f"A loss of up to {-100 * found.low:.2f} points a month" in found.sentence()


def test_drift_from_a_standard_needs_one_rater(cases):
    data = months(cases)
    found = agreement_drift(data, raters=["coder_b"], standard="coder_a")
    assert found.slope == pytest.approx(agreement_drift(data).slope)
    with pytest.raises(Problem, match="name two columns"):
        agreement_drift(data, raters=["coder_b"])


def test_bad_input(cases):
    data = months(cases)
    with pytest.raises(Refusal, match="in one month"):
        agreement_drift(data.assign(coded=data["coded"].iloc[0]))
    with pytest.raises(Refusal, match="agree to the same extent"):
        agreement_drift(data.assign(coder_b=data["coder_a"]))
    with pytest.raises(Problem, match="holds no times"):
        agreement_drift(data.assign(coded="June"))
    gaps = data.assign(coded=data["coded"].where(data.index > 9))
    assert agreement_drift(gaps).left_out == 10


def test_it_draws_and_speaks(cases):
    found = agreement_drift(months(cases, 0.3))
    ax = found.plot(plt.figure().subplots())
    assert ax.get_title(loc="left") + ax.get_title()
    assert ax.lines
    first = found.sentence().splitlines()[0]
    assert "95% interval" in first
    assert len(first) <= 220
    plt.close("all")
