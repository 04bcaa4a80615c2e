"""Delays of charts: computed where they can be, simulated where not, in the unit of the series."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sqm import run_length
from sqm.checks import Problem, Refusal
from sqm.methods.alarm_delay import _Lengths, alarm_delay, computed
from sqm.signal_rules import rule_set, rules_of


def chart(series="Wait", sigma=0.02, **columns):
    z = np.array([-1.5, -0.5, 0.0, 0.5, 1.5, np.nan])
    table = pd.DataFrame(
        {
            "series": series,
            "data": "share",
            "period": pd.date_range("2025-01-06", periods=6, freq="7D"),
            "rate": 0.1 + sigma * z,
            "centre": 0.1,
            "z": z,
            "mature": True,
        }
    )
    return table.assign(**columns)


def of(found, name, shift):
    rows = found.table[(found.table["name"] == name) & (found.table["shift_sigma"] == shift)]
    return rows.iloc[0]


def test_published_lengths_stand_in_the_table():
    """Champ and Woodall (1987): limits 43.89 and with a run of eight 14.58 after one sigma."""
    found = alarm_delay(chart(), rivals=["limits and run of 8"], rng=np.random.default_rng(1))
    assert of(found, "in use", 1.0)["estimate"] == pytest.approx(43.89, abs=0.01)
    assert of(found, "limits and run of 8", 1.0)["estimate"] == pytest.approx(14.58, abs=0.01)
    assert of(found, "limits and run of 8", 0.0)["estimate"] == pytest.approx(152.7, abs=0.1)
    assert set(found.table["how"]) == {"computed"}
    assert of(found, "in use", 1.0)["shift"] == pytest.approx(0.02)
    assert "after 44 periods on average" in found.sentence().splitlines()[0]
    assert "Wait 2 percentage points" in found.sentence()


@pytest.mark.parametrize("rules", ["beyond 3 + 2 of 3 beyond 2 + run over 7", "15 within 1"])
def test_what_is_simulated_agrees_with_what_is_computed(rules):
    lengths = _Lengths([0.0, 1.0], 2000, 0.95, np.random.default_rng(3))
    for shift in (0.0, 1.0):
        exact = computed(rules_of(rules), shift)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sqm.methods.alarm_delay.computed", lambda *_: None)
            told = lengths._one(rules_of(rules), shift)
        half = np.log(told["high"] / told["low"]) / 2
        assert abs(np.log(told["estimate"] / exact)) < 1.7 * half  # 3.3 standard errors


def test_memory_charts_are_computed_with_their_limits():
    ewma = computed(rules_of("beyond 3 + ewma 0.2 at 2.86"), 1.0)
    assert ewma == run_length.ewma(1.0, weight=0.2, width=2.86, exact=True, sigmas=3.0)
    assert computed(rules_of("cusum 0.5 at 4"), 0.0) == pytest.approx(167.68, abs=0.01)
    assert computed(rules_of("ewma 0.2 at 3 + cusum 0.5 at 5"), 0.0) is None
    assert computed(rule_set("Nelson"), 0.0) is None


def test_rules_that_stand_in_the_charts_are_those_in_use():
    charts = pd.concat([chart(rules="beyond 3"), chart("Cost", rules="beyond 2", data="mean")])
    found = alarm_delay(charts, rivals=[], rng=np.random.default_rng(1))
    assert found.table.groupby("series")["rules"].first().to_dict() == {
        "Cost": "beyond 2",
        "Wait": "beyond 3",
    }
    assert found.steady_least == pytest.approx(1 / 0.0455, rel=1e-3)
    assert found.steady_most == pytest.approx(370.4, abs=0.1)
    assert "once in 22 to 370" in found.sentence()


def test_a_sigma_that_cannot_be_read_is_not_given():
    flat = chart().assign(z=0.0, rate=0.1)
    found = alarm_delay(flat, rivals=[], rng=np.random.default_rng(1))
    assert found.table["shift"].isna().all()
    assert set(found.table["note"]) == {"the unit of one sigma is not known"}
    uneven = chart().assign(rate=[0.0, 0.05, 0.1, 0.11, 0.16, 0.1])
    found = alarm_delay(uneven, rivals=[], rng=np.random.default_rng(1))
    assert "differs from period to period" in found.table["note"].iloc[0]


def test_the_same_seed_gives_the_same_table():
    first, again = (
        alarm_delay(chart(), rivals=["Nelson"], simulations=100, rng=np.random.default_rng(7))
        for _ in range(2)
    )
    pd.testing.assert_frame_equal(first.table, again.table)
    assert (first.table.query("name == 'Nelson'")["how"] == "simulated").all()


def test_picture():
    charts = chart(series="花费 $ <b> 'x'")
    ax = alarm_delay(charts, rng=np.random.default_rng(1)).plot(plt.figure().subplots())
    assert ax.get_title() == "How long until the chart tells?"
    assert len(ax.get_legend().get_texts()) == 4  # in use, and the three rivals that differ
    plt.close("all")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"shifts": [0.0]}, "The shifts are"),
        ({"shifts": [np.inf]}, "The shifts are"),
        ({"rivals": ["Western"]}, "is no rule"),
        ({"confidence": 95}, "confidence is 95"),
    ],
)
def test_bad_input(wrong, says):
    with pytest.raises(Problem, match=says):
        alarm_delay(chart(), rng=np.random.default_rng(1), **wrong)


def test_no_chart_is_refused():
    with pytest.raises(Refusal, match="no chart"):
        alarm_delay(chart().head(0), rng=np.random.default_rng(1))
    with pytest.raises(Refusal, match="no column 'z'"):
        alarm_delay(chart().drop(columns="z"), rng=np.random.default_rng(1))
