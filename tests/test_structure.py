"""Structure against figures by hand, limiting cases, and what psych prints."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm.checks import Problem, Refusal
from sqm.methods.structure import (
    explore,
    explore_of_correlations,
    factorable,
    factorable_of_correlations,
    parallel_analysis,
    parallel_analysis_of_correlations,
)

REFERENCE = Path(__file__).parent / "reference"
DIMENSIONS = {"kind": ["a1", "a2", "a3"], "quick": ["b1", "b2", "b3"]}
ITEMS = [item for items in DIMENSIONS.values() for item in items]


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def answers():
    """Two groups of three items, on 1 to 7."""
    rng = np.random.default_rng(5)
    shared = np.repeat(rng.normal(size=(400, 2)), 3, axis=1)
    raw = 4 + 1.2 * shared + 0.8 * rng.normal(size=(400, 6))
    return pd.DataFrame(np.clip(raw.round(), 1, 7), columns=ITEMS)


def case(name):
    found = json.loads((REFERENCE / f"factors_{name}.json").read_text(encoding="utf-8"))
    return matrix(found["input"]["correlations"], found["input"]["items"]), found


def matrix(r, items):
    table = pd.DataFrame(r, columns=items)
    table.insert(0, "item", items)
    return table


def alike(r, items=5):
    """Items that all correlate r."""
    return matrix(np.full((items, items), r) + (1 - r) * np.eye(items), list("abcdefgh"[:items]))


@pytest.fixture(scope="module")
def bfi():
    table, found = case("bfi25")
    values = {name: each["values"] for name, each in found["expected"].items()}
    return table, found["input"]["respondents"], values


@pytest.fixture(scope="module")
def servqual():
    table, found = case("servqual_1992")
    spans = {k: v[1:].split("-") for k, v in found["input"]["dimensions"].items()}
    dimensions = {k: [f"Q{i}" for i in range(int(a), int(b) + 1)] for k, (a, b) in spans.items()}
    return table, found["expected"], dimensions


# --- sampling adequacy ----------------------------------------------------------------------------


def test_sampling_adequacy_by_hand():
    # five items that correlate .5: given the other three, .5 - .75 / 2 = .125 over
    # 1 - .75 / 2 = .625 is .2; adequacy .25 / (.25 + .04)
    found = factorable_of_correlations(alike(0.5), respondents=10**9)
    assert found.kmo == pytest.approx(0.25 / 0.29)
    assert found.estimate == pytest.approx(0.25 / 0.29, abs=1e-6)
    assert found.table["msa"].tolist() == pytest.approx([0.25 / 0.29] * 5)


def test_bartlett_by_hand():
    # determinant of five items that correlate .5: (1 + 4 * .5) * .5^4 = .1875
    found = factorable_of_correlations(alike(0.5), respondents=100)
    assert found.bartlett_chi2 == pytest.approx(-(99 - 15 / 6) * np.log(0.1875))
    assert found.bartlett_df == 10


def test_sampling_adequacy_as_psych_prints_it(bfi):
    table, n, expected = bfi
    expected = expected["kmo_bartlett_bfi25"]
    found = factorable_of_correlations(table, respondents=n)
    assert found.kmo == pytest.approx(expected["kmo_overall"], abs=1e-6)
    msa = found.table.set_index("item")["msa"].to_dict()
    assert msa == pytest.approx(expected["msa"], abs=1e-6)
    assert found.bartlett_chi2 == pytest.approx(expected["bartlett_chisq"], abs=1e-6)
    assert (found.bartlett_df, found.bartlett_p) == (expected["df"], expected["p"])


def test_the_slope_behind_the_interval_is_that_of_differences(answers):
    """The interval's width follows from the delta method: try it by jackknife."""
    wide = factorable(answers, items=ITEMS)
    left_out = [factorable(answers.drop(index=i), items=ITEMS).kmo for i in answers.index[::4]]
    odds = np.log(np.array(left_out) / (1 - np.array(left_out)))
    jackknife = np.sqrt(399 * ((odds - odds.mean()) ** 2).mean())  # over a quarter of the rows
    low, high = np.log(wide.low / (1 - wide.low)), np.log(wide.high / (1 - wide.high))
    assert (high - low) / 2 / 1.96 == pytest.approx(jackknife, rel=0.25)


def test_answers_and_their_correlations_say_the_same(answers):
    table = matrix(np.corrcoef(answers.T), ITEMS)
    whole = factorable(answers, items=ITEMS)
    same = factorable_of_correlations(table, respondents=400)
    assert whole.kmo == pytest.approx(same.kmo)
    assert whole.estimate == pytest.approx(same.estimate)
    assert whole.bartlett_chi2 == pytest.approx(same.bartlett_chi2)
    assert "taken as normal" not in whole.sentence()
    assert "correlations alone" in same.sentence()


def test_the_sentence_says_what_programs_print_and_what_is_left_of_it(answers):
    blank = answers.copy()
    blank.loc[:9, "a1"] = np.nan
    found = factorable(blank.assign(flat=3.0), items=[*ITEMS, "flat"])
    first, rest = found.sentence().split("\n")
    assert f"Kaiser-Meyer-Olkin {found.estimate:.2f} (95% interval" in first
    assert len(first) < 220
    assert f"As programs print it, it is {found.kmo:.3f}" in rest
    assert "390 respondents who answered every item; 10 left one blank" in rest
    assert "Not given: flat (everyone answered alike)." in rest
    assert found.table["note"].tolist()[-1] == "everyone answered alike"
    assert np.isnan(found.table["estimate"].iloc[-1])


def test_items_that_share_nothing_are_told(rng):
    noise = pd.DataFrame(rng.normal(size=(200, 6)), columns=ITEMS)
    assert (
        "cannot be told from items that share nothing" in factorable(noise, items=ITEMS).sentence()
    )


# --- parallel analysis ----------------------------------------------------------------------------


def test_parallel_analysis_as_psych_prints_it(bfi, rng):
    table, n, expected = bfi
    expected = expected["parallel_analysis_bfi25"]
    found = parallel_analysis_of_correlations(table, respondents=n, rng=rng, resamples=200)
    assert (found.components, found.factors) == (expected["ncomp"], expected["nfact"])
    rows = {kind: found.table[found.table["kind"] == kind] for kind in ("component", "factor")}
    assert rows["component"]["estimate"].to_numpy() == pytest.approx(
        np.array(expected["pc_values"]), abs=1e-6
    )
    assert rows["factor"]["estimate"].to_numpy() == pytest.approx(
        np.array(expected["fa_values"]), abs=0.001
    )
    # psych keeps the mean of its simulated eigenvalues
    for kind, name in (("component", "pc_sim"), ("factor", "fa_sim")):
        mean = rows[kind]["by_chance_mean"].to_numpy()
        assert mean == pytest.approx(np.array(expected[name]), abs=0.02)


def test_servqual_as_published(servqual, rng):
    table, expected, _ = servqual
    found = parallel_analysis_of_correlations(table, respondents=502, rng=rng, resamples=200)
    eigenvalues = found.table.query("kind == 'component'")["estimate"].tolist()
    assert eigenvalues == pytest.approx(expected["eigenvalues"], abs=1e-6)
    assert (
        (found.components, found.factors)
        == (2, 4)
        == (
            expected["parallel"]["ncomp"],
            expected["parallel"]["nfact"],
        )
    )
    assert found.first_component_share == pytest.approx(expected["harman_first_pc_share"], abs=1e-6)
    assert found.first_factor_share == pytest.approx(
        expected["harman_first_minres_share"], abs=1e-6
    )
    adequate = factorable_of_correlations(table, respondents=502)
    assert adequate.kmo == pytest.approx(expected["kmo"], abs=1e-6)


def test_parallel_analysis_counts_what_was_put_in(answers, rng):
    found = parallel_analysis(answers, items=ITEMS, rng=rng, resamples=100)
    assert (found.components, found.factors) == (2, 2)
    assert found.components_low <= 2 <= found.components_high
    assert found.sentence().startswith("The answers hold 2 components (approximate 95% interval ")
    assert found.table.query("kind == 'component'")["estimate"].sum() == pytest.approx(6)


def test_noise_seldom_shows_a_dimension(rng):
    """Beyond the 95 % quantile in 5 of 100 sets; over 6 of 40 has a chance of 0.3 %."""
    shown = 0
    for _ in range(40):
        noise = pd.DataFrame(rng.normal(size=(60, 4)), columns=list("abcd"))
        found = parallel_analysis(noise, items=list("abcd"), rng=rng, resamples=100)
        shown += found.components > 0
    assert shown <= 6
    assert "0 components (approximate 95% interval 0 to " in found.sentence()


def test_chance_comes_from_the_generator(answers):
    same = [
        parallel_analysis(answers, items=ITEMS, rng=np.random.default_rng(1), resamples=100).table
        for _ in range(2)
    ]
    pd.testing.assert_frame_equal(*same)


# --- factors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["minres", "maximum likelihood"])
def test_items_group_as_they_were_made(answers, rng, method):
    found = explore(
        answers,
        items=ITEMS,
        factors=2,
        rng=rng,
        method=method,
        resamples=100,
        dimensions=DIMENSIONS,
    )
    assert (found.with_dimension, found.placed, found.strays) == (6, 6, ())
    assert found.sentence().startswith("Of 6 items, 6 (95% interval 6 to 6) group as")
    loadings = found.table.query("kind == 'loading'")
    assert (loadings["low"] < loadings["estimate"]).all()
    # a group's share of an item's variance is 1.44 / (1.44 + .64) = .69, its root .83
    assert loadings.query("main")["estimate"].to_numpy() == pytest.approx(np.full(6, 0.83), abs=0.1)
    shared = found.table.query("kind == 'communality'")["estimate"]
    explained = found.table.query("kind == 'explained'")["estimate"].item()
    assert shared.mean() == pytest.approx(explained) == pytest.approx(found.explained)


def test_an_item_in_the_wrong_dimension_is_named(answers, rng):
    wrong = {"kind": ["a1", "a2", "b1"], "quick": ["a3", "b2", "b3"]}
    found = explore(answers, items=ITEMS, factors=2, rng=rng, resamples=100, dimensions=wrong)
    assert found.with_dimension == 4
    assert found.strays == ("a3", "b1")
    assert "With another group: a3, b1." in found.sentence()


def test_residuals_as_psych_prints_them(bfi, rng):
    table, n, expected = bfi
    expected = expected["efa_minres_oblimin_bfi25"]
    found = explore_of_correlations(table, respondents=n, factors=5, rng=rng, resamples=100)
    assert found.residual == pytest.approx(expected["rms"], abs=1e-6)
    loadings = found.table.query("kind == 'loading'").pivot_table(
        index="item", columns="factor", values="estimate"
    )
    theirs = pd.DataFrame(expected["loadings"]).T.loc[loadings.index]
    for column in theirs:
        gap = [
            np.abs(loadings[own] - theirs[column] * s).max() for own in loadings for s in (1, -1)
        ]
        assert min(gap) < 0.005


def test_servquals_five_dimensions_do_not_come_back(servqual, rng):
    table, _, dimensions = servqual
    found = explore_of_correlations(
        table, respondents=502, factors=5, rng=rng, resamples=100, dimensions=dimensions
    )
    assert found.with_dimension < 22
    assert "RES" in found.shared
    assert found.heywood == ("Q2",)
    assert found.sentence().startswith("No sound solution (a Heywood case). Of 22 items")
    assert "Explained wholly" in found.sentence()


def test_resamples_are_turned_to_match(answers, rng):
    """Unmatched, factors that swap places would widen a loading of .83 to -.8 to .9."""
    swapped = answers[ITEMS[::-1]]
    found = explore(swapped, items=list(swapped), factors=2, rng=rng, resamples=100)
    main = found.table.query("kind == 'loading' and main")
    assert (main["high"] - main["low"] < 0.3).all()


def test_one_factor_claims_nothing(answers, rng):
    found = explore(answers, items=ITEMS, factors=1, rng=rng, resamples=100, dimensions=DIMENSIONS)
    assert found.with_dimension == -1
    assert found.sentence().startswith("1 factor was drawn; ")
    assert found.table.query("kind == 'factor correlation'").empty


# --- what the data cannot bear --------------------------------------------------------------------


def test_refusals(answers, rng):
    with pytest.raises(Refusal, match="2 items that vary cannot show a structure"):
        factorable(answers, items=ITEMS[:2])
    with pytest.raises(Refusal, match="1 item that varies"):
        factorable(answers.assign(x=1.0, y=2.0), items=["a1", "x", "y"])
    with pytest.raises(Refusal, match=r"12 respondents answered all of 6 items, where .* needs 30"):
        parallel_analysis(answers.head(12), items=ITEMS, rng=rng)
    careless = answers.assign(**dict.fromkeys(ITEMS, answers["a1"]))
    with pytest.raises(Refusal, match="not positive definite"):
        explore(careless, items=ITEMS, factors=2, rng=rng)
    with pytest.raises(Refusal, match="cannot tell 4 factors apart"):
        explore(answers, items=ITEMS, factors=4, rng=rng)
    with pytest.raises(Refusal, match="has no column 'z9'"):
        factorable(answers, items=["a1", "a2", "z9"])
    rare = answers.assign(b3=[1.0] * 399 + [2.0])
    found = parallel_analysis(rare, items=ITEMS, rng=rng, resamples=100)
    assert 20 < found.unused < 50  # a resample misses one row of 400 with chance 1/e
    assert f"{found.unused} resamples could not be used" in found.sentence()


def test_problems(answers, rng):
    with pytest.raises(Problem, match="named twice"):
        factorable(answers, items=["a1", "a1", "a2"])
    with pytest.raises(Problem, match="does not hold numbers"):
        factorable(answers.astype(str), items=ITEMS)
    with pytest.raises(Problem, match="endless"):
        factorable(answers.replace(7, np.inf), items=ITEMS)
    with pytest.raises(Problem, match="resamples is 10"):
        parallel_analysis(answers, items=ITEMS, rng=rng, resamples=10)
    with pytest.raises(Problem, match="quantile is 95"):
        parallel_analysis(answers, items=ITEMS, rng=rng, quantile=95)
    with pytest.raises(Problem, match="method is 'mle'"):
        explore(answers, items=ITEMS, factors=2, rng=rng, method="mle")
    settings = {"items": ITEMS, "factors": 2, "rng": rng}
    with pytest.raises(Problem, match="'a1' is named twice"):
        explore(answers, dimensions={"x": ["a1"], "y": ["a1"]}, **settings)
    with pytest.raises(Problem, match="'z' is not among the items"):
        explore(answers, dimensions={"x": ["z"]}, **settings)
    covariances = alike(0.5).set_index("item") * 2
    with pytest.raises(Problem, match="not one of correlations"):
        factorable_of_correlations(covariances.reset_index(), respondents=100)


def test_pictures_and_strange_names(answers, rng):
    names = ["$cost$", "<b>", "服务", "a" * 60, "😀", "x y"]
    odd = answers.set_axis(names, axis=1)
    dimensions = {"服务 $": names[:3], "<i>": names[3:]}
    few = {"rng": rng, "resamples": 100, "items": names}
    found = [
        factorable(odd.assign(flat=1.0), items=[*names, "flat"]),
        parallel_analysis(odd, **few),
        explore(odd, factors=2, dimensions=dimensions, **few),
        explore(odd.assign(flat=1.0), factors=1, rng=rng, resamples=100, items=[*names, "flat"]),
    ]
    for each in found:
        ax = each.plot(plt.figure().subplots())
        assert ax.get_title().endswith("?")
        assert ax.lines
        assert len(each.sentence().split("\n")[0]) < 220
        assert each.sentence().endswith(".")
    assert "Not given: flat" in found[-1].sentence()
    plt.close("all")


def test_a_matrix_without_its_number_of_respondents_is_refused():
    table = pd.DataFrame(np.eye(6) * 0.6 + 0.4, columns=list("abcdef")).assign(item=list("abcdef"))
    with pytest.raises(Refusal, match="Nobody is said to have answered"):
        factorable_of_correlations(table, respondents=0)
