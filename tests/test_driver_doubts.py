"""Planted faults raise the alarm that is theirs; a sound world raises none."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from matplotlib import pyplot as plt
from scipy.special import expit

from sqm.checks import Problem
from sqm.methods import driver_doubts as room
from sqm.methods.driver_doubts import doubts_of
from sqm.regression import fit_logistic, fit_outcome


def world(n=4000, *, seed=1, agents=80):
    rng = np.random.default_rng(seed)
    records = pd.DataFrame(
        {
            "agent": pd.Series(rng.integers(0, agents, n)).map("a{:02d}".format),
            "wait_s": rng.exponential(300, n),
            "age": rng.normal(50, 10, n),
            "code": rng.integers(1, 9, n),
            "channel": rng.choice(["phone", "chat", "mail"], n),
        }
    )
    records["complained"] = rng.random(n) < expit(-1.5 + 0.002 * records["wait_s"])
    return records


def again(records, eta, seed=2):
    return np.random.default_rng(seed).random(len(records)) < expit(eta)


def asked(records, drivers, **settings):
    given = {"fixed": "", "cluster": "agent", **settings}
    return doubts_of(fit_logistic(records, drivers=drivers, **given), records)


def of(found, doubt, driver=None):
    rows = found.table[found.table["doubt"] == doubt]
    return rows if driver is None else rows[rows["driver"] == driver].iloc[0]


@pytest.fixture(scope="module")
def sound():
    return asked(world(), ["wait_s", "age", "code", "channel"])


def test_a_sound_world_raises_no_alarm(sound):
    assert sound.alarms == 0
    # collinearity 4 + 1, shapes 3, interaction 1, few events 1, clusters 4, blanks 1 + 4
    assert sound.sentence().startswith("None of 19 checks speaks against the drivers found.")
    assert "That nothing else is wrong is not shown" in sound.sentence()


def test_inflation_is_that_of_the_weighted_regression():
    """VIF = 1 / (1 - R2), R2 of one driver on the others with the weights p (1 - p)."""
    records = world()
    records["other"] = records["age"] + np.random.default_rng(0).normal(0, 5, 4000)
    fit = fit_logistic(records, drivers=["age", "other"], fixed="", cluster="")
    p = expit(fit.design @ fit.b)
    r2 = sm.WLS(fit.design[:, 1], fit.design[:, [0, 2]], weights=p * (1 - p)).fit().rsquared
    value = of(doubts_of(fit, records), "collinearity", "age")["value"]
    assert value**2 == pytest.approx(1 / (1 - r2), rel=1e-6)


def test_inflation_of_a_category_by_hand():
    # correlations .5 between the driver's two columns, .4 of one with the other driver:
    # (1 - .25) * 1 / det, det = 1 - .25 - .16
    matrix = np.array([[1, 0.5, 0.4], [0.5, 1, 0.0], [0.4, 0.0, 1]])
    assert room._inflation(matrix, ["a", "a", "b"], "a") == pytest.approx(0.75 / 0.59)
    assert room._inflation(matrix, ["a", "a", "b"], "b") == pytest.approx(0.75 / 0.59)


def test_drivers_that_stand_in_for_each_other_are_named():
    records = world()
    records["hold_s"] = records["wait_s"] + np.random.default_rng(0).normal(0, 20, 4000)
    found = asked(records, ["wait_s", "hold_s", "age"])
    row = of(found, "collinearity", "wait_s")
    assert row["alarm"] and row["words"] == "wait_s and hold_s stand in for each other"
    assert not of(found, "collinearity", "age")["alarm"]
    assert "stand in for each other" in found.sentence().splitlines()[0]


def test_condition_number_of_a_balanced_design():
    # columns of ones and of half ones: cosine 1 / sqrt 2, so sqrt((1 + c) / (1 - c)) = 2.414
    records = pd.DataFrame({"a": ["x", "y"] * 200, "complained": ([1] * 2 + [0] * 2) * 100})
    found = doubts_of(fit_logistic(records, drivers=["a"], fixed="", cluster=""), records)
    assert of(found, "collinearity", "(all)")["value"] == pytest.approx(1 + np.sqrt(2))


def test_a_code_that_acts_as_a_number_is_found():
    records = world()
    effect = pd.Series([1.0, -1, 1, -1, 1, -1, 1, -1], index=range(1, 9))
    records["complained"] = again(records, -1 + records["code"].map(effect))
    found = asked(records, ["wait_s", "code"])
    row = of(found, "code as number", "code")
    assert row["alarm"] and row["value"] < 0.001 and "look like codes" in row["words"]


def test_few_steps_that_only_rise_are_a_curve_not_a_code():
    records = world()
    records["complained"] = again(records, -3 + 3 * (records["code"] > 4))
    found = asked(records, ["wait_s", "code"])
    assert of(found, "curve", "code")["alarm"]
    assert of(found, "code as number").empty


def test_monotone_share_by_hand():
    values, counts = np.arange(3.0), np.ones(3)
    assert room._monotone(values, np.array([0.1, 0.2, 0.6]), counts) == 1
    # 0, 1, 0: rising fits 0, .5, .5 and leaves .5 of 2/3
    assert room._monotone(values, np.array([0.0, 1, 0]), counts) == pytest.approx(0.25)


def test_a_curve_is_found():
    records = world()
    z = (records["age"] - 50) / 10
    records["complained"] = again(records, -2 + z**2)
    row = of(asked(records, ["wait_s", "age"]), "curve", "age")
    assert row["alarm"] and "straight line" in row["words"] and "p < 0.001" in row["words"]


def test_an_interaction_is_found_and_named():
    records = world()
    z = (records["age"] - 50) / 10
    records["complained"] = again(records, -1 + z * np.where(records["channel"] == "chat", 1, -1))
    row = of(asked(records, ["wait_s", "age", "channel"]), "interaction").iloc[0]
    assert row["alarm"] and row["driver"] == "age with channel"


def test_score_tests_hold_their_level():
    """100 worlds with a straight line: p below .05 in about 5 (.9999 binomial limit: 15)."""
    below = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        x, group = rng.normal(size=400), np.repeat(np.arange(40), 10)
        y = rng.random(400) < expit(-0.5 + 0.5 * x + rng.normal(0, 0.5, 40)[group])
        records = pd.DataFrame({"x": x, "g": pd.Series(group).map("g{}".format), "complained": y})
        fit = fit_logistic(records, drivers=["x"], fixed="", cluster="g")
        below += room._score_test(fit, x[:, None] ** 2)[0] < 0.05
    assert below <= 15


def test_a_level_with_few_events_is_named():
    records = world()
    records.loc[:29, "channel"] = "fax"
    records.loc[:29, "complained"] = [True, True] + [False] * 28
    row = of(asked(records, ["wait_s", "channel"]), "few events", "channel")
    assert row["alarm"] and row["value"] == 2 and row["words"] == "channel fax rests on 2 events"


def test_one_cluster_that_makes_the_effect_is_named():
    records = world(1000, agents=40)
    rogue = records["agent"] == "a07"
    records.loc[rogue, "age"] = 200.0
    records.loc[rogue, "complained"] = True
    row = of(asked(records, ["wait_s", "age"]), "single cluster", "age")
    assert row["alarm"] and "without agent a07" in row["words"]


def test_one_step_is_near_the_refit():
    records = world(1500, agents=30)
    fit = fit_logistic(records, drivers=["wait_s", "age"], fixed="", cluster="agent")
    found = of(doubts_of(fit, records), "single cluster", "age")["value"]
    place, moved = 2, []
    for agent in records["agent"].unique():
        other = fit_logistic(
            records[records["agent"] != agent], drivers=["wait_s", "age"], fixed="", cluster="agent"
        )
        moved.append(abs(other.b[place] - fit.b[place]) / np.sqrt(fit.covariance[place, place]))
    assert found == pytest.approx(max(moved), rel=0.05)


def test_blanks_where_the_outcome_differs():
    records = world()
    lost = np.random.default_rng(3).random(4000) < np.where(records["complained"], 0.4, 0.1)
    records["age"] = records["age"].mask(lost)
    found = asked(records, ["wait_s", "age"])
    row = of(found, "blanks", "age")
    given = records["age"].notna()
    complained = records["complained"]
    assert row["value"] == pytest.approx(complained[~given].mean() - complained[given].mean())
    assert row["alarm"] and row["low"] > 0 and "age is blank in" in row["words"]
    assert not of(found, "blanks", "wait_s")["alarm"]


def test_blank_outcomes_are_told():
    records = world()
    records["complained"] = records["complained"].astype("boolean")
    records.loc[:399, "complained"] = pd.NA
    row = of(asked(records, ["wait_s"]), "blanks", "complained")
    assert row["alarm"] and row["value"] == pytest.approx(0.1)


def test_too_few_clusters_for_a_test_are_noted():
    records = world(agents=12)
    records["complained"] = again(records, -1 + 0 * records["age"])
    found = asked(records, ["code", "age"])
    row = found.table[(found.table["driver"] == "code") & (found.table["measure"] == "p")].iloc[0]
    assert np.isnan(row["value"]) and "12 clusters are too few" in row["note"]
    assert "could not be made" in found.sentence()


def test_other_kinds_are_examined_too():
    rng = np.random.default_rng(4)
    records = world(1500)
    z = (records["age"] - 50) / 10
    records["complaints"] = rng.poisson(np.exp(0.4 * z**2 - 0.5))
    records["mark"] = np.clip(np.round(4 + z**2 + rng.normal(size=1500)), 1, 7)
    records["days"] = rng.exponential(np.exp(-0.5 * z**2))
    for outcome, kind in (("complaints", "count"), ("mark", "ordered"), ("days", "time")):
        fit = fit_outcome(
            records, drivers=["age", "channel"], outcome=outcome, kind=kind, fixed="",
            cluster="agent",
        )  # fmt: skip
        found = doubts_of(fit, records)
        assert of(found, "curve", "age")["alarm"], kind
        assert not of(found, "collinearity", "age")["alarm"], kind


def test_other_records_are_a_problem():
    records = world()
    fit = fit_logistic(records, drivers=["wait_s"], fixed="", cluster="agent")
    with pytest.raises(Problem, match="rests on 4,000 records, and 100"):
        doubts_of(fit, records.head(100))


def test_picture(sound):
    ax = sound.plot(plt.figure().add_subplot())
    assert len(ax.get_yticklabels()) == sound.tried and ax.get_title().endswith("?")
    assert "$" not in "".join(label.get_text() for label in ax.get_xticklabels())
    plt.close("all")


def test_pairs_of_drivers_that_could_not_be_tried_are_noted():
    """4 levels with 20 take more columns than 80 clusters can test; the wait with each does not."""
    records, rng = world(), np.random.default_rng(3)
    records["many"] = rng.choice([f"m{i}" for i in range(20)], len(records))
    records["four"] = rng.choice(list("ABCD"), len(records))
    found = asked(records, ["wait_s", "many", "four"])
    row = of(found, "interaction").iloc[0]
    assert np.isfinite(row["value"])
    assert row["note"] == "1 pair of drivers not tried: too many levels"
    assert "1 test could not be made, or only in part" in found.sentence()
