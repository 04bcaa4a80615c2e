"""Raking and survey means: by hand, by identities, and as R survey gives them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm.checks import Problem, Refusal
from sqm.methods.weighting import raking, raking_weights, survey_mean, weighted_means

CASE = json.loads(
    (Path(__file__).parent / "reference/survey_design_api.json").read_text(encoding="utf-8")
)
R = CASE["expected"]
STRAT, CLUS = (pd.DataFrame(CASE["input"][name]) for name in ("strat", "clus"))


def population(**margins):
    rows = [(v, level, n) for v, levels in margins.items() for level, n in levels.items()]
    return pd.DataFrame(rows, columns=["variable", "level", "count"])


API = population(**CASE["input"]["margins"])


@pytest.fixture
def survey():
    return pd.DataFrame(
        {
            "channel": ["phone"] * 6 + ["chat"] * 2,
            "region": ["north", "south"] * 4,
            "satisfaction": [5.0, 6, 5, 7, 6, 5, 2, 3],
        }
    )


@pytest.fixture
def people():
    return population(channel={"phone": 500, "chat": 500}, region={"north": 400, "south": 600})


def test_stratified_and_clustered_means_as_r_survey():
    found = survey_mean(
        STRAT["api00"], weights=STRAT["pw"], strata=STRAT["stype"], population=STRAT["fpc"]
    )
    assert found.estimate == pytest.approx(R["strat_mean"], rel=1e-9)
    assert found.se == pytest.approx(R["strat_se"], rel=1e-9)
    found = survey_mean(
        CLUS["api00"], weights=CLUS["pw"], clusters=CLUS["dnum"], population=CLUS["fpc"]
    )
    assert found.estimate == pytest.approx(R["clus_mean"], rel=1e-9)
    assert found.se == pytest.approx(R["clus_se"], rel=1e-9)
    assert found.design_effect == pytest.approx(R["clus_deff"], rel=1e-9)


def test_raked_and_poststratified_means_as_r_survey():
    weights = raking_weights(CLUS, population=API) * R["raked_weights_sum"] / len(CLUS)
    design = {"clusters": CLUS["dnum"], "population": CLUS["fpc"]}
    found = survey_mean(
        CLUS["api00"], weights=weights, margins=CLUS[["stype", "sch.wide"]], **design
    )
    tolerance = CASE["tolerance"]["rake_mean"]
    assert found.estimate == pytest.approx(R["raked_mean"], abs=tolerance)
    assert found.se == pytest.approx(R["raked_se"], abs=tolerance)
    assert [weights.min(), weights.max()] == pytest.approx(R["raked_weight_range"], abs=tolerance)
    assert raking(CLUS, population=API).design_effect == pytest.approx(
        R["kish_deff_clus_raked"], abs=1e-5
    )
    one = API[API["variable"] == "stype"]
    weights = raking_weights(CLUS, population=one) * R["raked_weights_sum"] / len(CLUS)
    found = survey_mean(CLUS["api00"], weights=weights, margins=CLUS[["stype"]], **design)
    assert found.estimate == pytest.approx(R["poststrat_mean"], rel=1e-9)
    assert found.se == pytest.approx(R["poststrat_se"], rel=1e-9)


def test_raking_meets_every_margin_and_keeps_to_its_limits(survey, people):
    found = raking(survey, population=people)
    assert found.converged
    assert found.table["weighted"].to_numpy() == pytest.approx(found.table["population"], abs=1e-6)
    held = raking(survey, population=people, largest=1.3)
    assert not held.converged
    assert held.trimmed >= 2
    assert held.largest == pytest.approx(1.3)
    assert "did not meet every share" in held.sentence()


def test_by_hand(survey):
    """Phone mean 34/6, chat mean 2.5; half and half: 4.0833; as answered 39/8."""
    found = weighted_means(
        survey,
        outcomes={"satisfaction": ["satisfaction"]},
        population=population(channel={"phone": 50, "chat": 50}),
    )
    row = found.table.loc[0]
    assert row["estimate"] == pytest.approx((34 / 6 + 2.5) / 2, abs=1e-5)
    assert row["unweighted"] == pytest.approx(39 / 8)
    assert row["change"] == pytest.approx(row["estimate"] - 39 / 8)
    assert row["change_low"] < row["change"] < row["change_high"]
    assert "4.1 (95% interval" in found.sentence() or "4.08 (95% interval" in found.sentence()


def test_equal_weights_change_nothing(survey):
    found = weighted_means(
        survey.assign(weight=2.0), outcomes={"s": ["satisfaction"]}, weight="weight"
    )
    row, y = found.table.loc[0], survey["satisfaction"]
    assert row["se"] == pytest.approx(y.std() / len(y) ** 0.5)
    assert (row["change"], row["change_low"], row["change_high"]) == pytest.approx((0, 0, 0))
    assert (row["design_effect"], found.kish) == pytest.approx((1, 1))


def test_clusters_cost_what_kish_does_not_see():
    found = weighted_means(CLUS, outcomes={"api": ["api00"]}, population=API, cluster="dnum")
    assert found.table["design_effect"][0] > 9 > 1.06 > found.kish
    assert "15 clusters (dnum). That is few: the intervals are approximate" in found.sentence()


def test_clusters_never_narrow_an_interval(survey):
    """Clusters that are all alike show no variance between them, which is luck."""
    pairs = survey.assign(satisfaction=[2.0, 6] * 4, site=np.repeat(list("abcd"), 2), weight=1.0)
    ask = {"outcomes": {"s": ["satisfaction"]}, "weight": "weight"}
    alone = weighted_means(pairs, **ask).table.loc[0]
    row = weighted_means(pairs, **ask, cluster="site").table.loc[0]
    assert row["se"] == pytest.approx(alone["se"])
    assert row["high"] - row["low"] > alone["high"] - alone["low"]
    found = survey_mean(pairs["satisfaction"], weights=pairs["weight"], clusters=pairs["site"])
    assert found.se == 0 and np.isnan(found.effective_n)


def test_a_weight_of_zero_is_a_row_that_adds_nothing():
    y, w = STRAT["api00"].head(40), pd.Series([0.0] * 5 + [1.0] * 35)
    found = survey_mean(y, weights=w, margins=STRAT[["stype"]].head(40))
    assert found.estimate == pytest.approx(y[5:].mean())
    assert np.isfinite([found.se, found.low, found.high]).all()


def test_people_without_a_variable_have_no_weight(survey, people):
    survey.loc[0, "channel"] = None
    means = weighted_means(survey, outcomes={"s": ["satisfaction"]}, population=people)
    assert means.left_out == 1
    assert "Left out for want of channel or region: 1." in means.sentence()
    assert raking(survey, population=people).left_out == 1
    assert raking_weights(survey, population=people).isna().sum() == 1


def test_an_outcome_without_variation_gets_a_note(survey, people):
    found = weighted_means(
        survey.assign(flat=3.0),
        outcomes={"flat": ["flat"], "satisfaction": ["satisfaction"]},
        population=people,
    )
    assert np.isnan(found.table["estimate"][0])
    assert "flat (all answers are alike" in found.sentence()


@pytest.mark.parametrize(
    ("weights", "message"), [([0.0] * 8, "sum to zero"), ([-1.0] + [1.0] * 7, "negative")]
)
def test_weights_that_are_none(survey, weights, message):
    survey["weight"] = weights
    with pytest.raises(Problem, match=message):
        weighted_means(survey, outcomes={"s": ["satisfaction"]}, weight="weight")
    with pytest.raises(Problem, match=message):
        survey_mean(survey["satisfaction"], weights=survey["weight"])


def test_a_population_that_does_not_fit(survey):
    cases = [
        (population(channel={"phone": 1, "chat": 1, "post": 1}), "Nobody who answered"),
        (population(channel={"phone": 1}), "levels that the population lacks: chat"),
        (population(channel={"phone": -1, "chat": 2}), "below 0"),
        (population(channel={"phone": 0, "chat": 0}), "'channel' add up to 0: it holds nobody"),
        (
            population(channel={"phone": 5, "chat": 5}, region={"north": 9, "south": 9}),
            "do not describe the same people: channel 10, region 18",
        ),
    ]
    for people, message in cases:
        with pytest.raises(Problem, match=message):
            raking_weights(survey, population=people)
    with pytest.raises(Refusal, match="neither a population"):
        weighted_means(survey, outcomes={"s": ["satisfaction"]})
    with pytest.raises(Refusal, match="one cluster"):
        survey_mean(
            survey["satisfaction"], weights=survey["satisfaction"], strata=survey["satisfaction"]
        )


def test_pictures_and_sentences(survey, people):
    for found in (
        raking(survey, population=people),
        weighted_means(survey, outcomes={"<$ 服务>": ["satisfaction"]}, population=people),
    ):
        ax = found.plot(plt.figure().subplots())
        assert ax.get_title().endswith("?")
        assert len(found.sentence().splitlines()[0]) <= 220
        plt.close("all")
