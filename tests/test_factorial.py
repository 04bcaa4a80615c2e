"""Two-level trials: published designs, brute force, the handbook's analysis, broken plans."""

import json
from itertools import combinations, product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.methods.factorial import _critical, factorial_effects, factorial_plan

REFERENCE = Path(__file__).parent / "reference" / "factorial_eddy_current.json"


def planned(k, **settings):
    factors = {f"factor {i}": [-1, 1] for i in range(k)}
    return factorial_plan(factors, rng=np.random.default_rng(1), **settings)


def signs(plan):
    rows = plan.table[~plan.table["centre"]].sort_values(["replicate", "standard_order"])
    return rows[list(plan.factors)].to_numpy(dtype=float)


def words(matrix):
    """Lengths of all products of columns that never change, by multiplication alone."""
    k = matrix.shape[1]
    found = []
    for size in range(1, k + 1):
        for chosen in combinations(range(k), size):
            if abs(matrix[:, chosen].prod(axis=1).sum()) == len(matrix):
                found.append(size)
    return tuple(found.count(i) for i in range(3, max(found, default=2) + 1))


# Montgomery, D. C., Design and Analysis of Experiments, table of recommended fractions
PUBLISHED = {
    (4, 8): ("IV", "D = ABC"),
    (5, 16): ("V", "E = ABCD"),
    (5, 8): ("III", "D = AB", "E = AC"),
    (6, 16): ("IV", "E = ABC", "F = BCD"),
    (6, 8): ("III", "D = AB", "E = AC", "F = BC"),
    (7, 16): ("IV", "E = ABC", "F = BCD", "G = ACD"),
    (7, 8): ("III", "D = AB", "E = AC", "F = BC", "G = ABC"),
    (8, 16): ("IV", "E = BCD", "F = ACD", "G = ABC", "H = ABD"),
    (8, 64): ("V", "G = ABCD", "H = ABEF"),
}


@pytest.mark.parametrize(("k", "runs"), PUBLISHED)
def test_designs_are_as_good_as_the_published_ones(k, runs):
    resolution, *generators = PUBLISHED[k, runs]
    base = int(np.log2(runs))
    letters = "ABCDEFGH"
    basic = np.array(list(product([-1, 1], repeat=base)))
    made = [
        basic[:, [letters.index(each) for each in generator.split(" = ")[1]]].prod(axis=1)
        for generator in generators
    ]
    plan = planned(k, runs=runs)
    assert plan.word_lengths == words(np.column_stack([basic, *made])) == words(signs(plan))
    assert {"III": 3, "IV": 4, "V": 5}[resolution] == plan.resolution
    assert plan.proved


@pytest.mark.parametrize(("k", "runs"), [(4, 8), (5, 8), (6, 16), (7, 8)])
def test_no_other_choice_of_generators_does_better(k, runs):
    """Every choice of columns for the factors that products set, by multiplication."""
    base = int(np.log2(runs))
    basic = np.array(list(product([-1, 1], repeat=base)))
    columns = [
        basic[:, chosen].prod(axis=1)
        for size in range(2, base + 1)
        for chosen in combinations(range(base), size)
    ]

    def padded(lengths):
        return (*lengths, *[0] * (k - 2 - len(lengths)))

    best = min(
        padded(words(np.column_stack([basic, *chosen])))
        for chosen in combinations(columns, k - base)
    )
    assert padded(planned(k, runs=runs).word_lengths) == best


@pytest.mark.parametrize(
    ("k", "runs", "lengths"),
    [  # minimum aberration word-length patterns: Chen, J., Sun, D. X., Wu, C. F. J. (1993),
        # International Statistical Review 61, 131-145. doi:10.2307/1403599
        (7, 32, (0, 1, 2)),
        (8, 32, (0, 3, 4)),
        (9, 32, (0, 6, 8, 0, 0, 1)),
        (10, 32, (0, 10, 16, 0, 0, 5)),
        (11, 16, (12, 26, 28, 24, 20, 13, 4)),
    ],
)
def test_larger_designs_have_minimum_aberration(k, runs, lengths):
    assert planned(k, runs=runs).word_lengths == lengths


def test_the_first_factor_changes_fastest_in_standard_order():
    assert signs(planned(3)).tolist() == [list(row[::-1]) for row in product([-1, 1], repeat=3)]


def test_the_half_of_four_factors_is_the_textbook_one():
    plan = planned(4, runs=8)
    assert plan.generators == ("D = ABC",)
    assert plan.defining_relation == ("ABCD",)
    assert plan.aliases == ("AB = CD", "AC = BD", "AD = BC")
    assert "resolution IV: main effects are clear of pairs" in plan.sentence()


def test_stated_aliases_are_equal_columns_and_no_others_are():
    plan = planned(6, runs=16)
    matrix = signs(plan)
    column = {
        "ABCDEF"[i] if i == j else "ABCDEF"[i] + "ABCDEF"[j]: matrix[:, sorted({i, j})].prod(axis=1)
        for i in range(6)
        for j in range(i, 6)
    }
    said = {
        frozenset(pair) for chain in plan.aliases for pair in combinations(chain.split(" = "), 2)
    }
    equal = {
        frozenset((a, b))
        for a, b in combinations(column, 2)
        if abs(column[a] @ column[b]) == len(matrix)
    }
    assert said == equal


@pytest.mark.parametrize(("k", "resolution", "runs"), [(4, 4, 8), (5, 5, 16), (5, 3, 8), (3, 5, 8)])
def test_a_resolution_takes_the_fewest_runs(k, resolution, runs):
    assert planned(k, resolution=resolution).distinct == runs


def test_the_order_is_drawn_and_levels_are_balanced():
    plan = planned(3, replicates=2)
    again = planned(3, replicates=2)
    pd.testing.assert_frame_equal(plan.table, again.table)
    order = plan.table["standard_order"].tolist()
    assert order != sorted(order)
    assert (plan.table[list(plan.factors)].sum() == 0).all()
    assert plan.table["run_order"].tolist() == list(range(1, 17))
    assert plan.table["result"].isna().all()


def test_blocks_hold_whole_replicates_or_mix_the_highest_interaction():
    whole = planned(3, replicates=2, blocks=2)
    assert whole.table.groupby("replicate")["block"].apply(set).tolist() == [{1}, {2}]
    split = planned(3, blocks=2).table
    abc = split[[f"factor {i}" for i in range(3)]].prod(axis=1)
    assert sorted(abc.groupby(split["block"]).sum()) == [-4, 4]
    assert planned(3, blocks=2).with_blocks == ()
    quarter = planned(3, blocks=4)
    assert len(quarter.with_blocks) == 3  # three pairs must go
    assert "Mixed with the blocks" in quarter.sentence()


def test_runs_in_the_middle_lie_in_every_block():
    plan = factorial_plan(
        {"agents": [3, 5], "minutes": [10, 20]}, centre_points=4, blocks=2,
        rng=np.random.default_rng(1),
    )  # fmt: skip
    middle = plan.table[plan.table["centre"]]
    assert set(middle["agents"]) | set(middle["minutes"]) == {4.0, 15.0}
    assert middle.groupby("block").size().tolist() == [2, 2]


@pytest.mark.parametrize(
    ("factors", "settings", "kind", "match"),
    [
        ({f"f{i}": [0, 1] for i in range(8)}, {"runs": 8}, Refusal, "too few for 8 factors"),
        ({"a": [0, 1], "b": [0, 1]}, {"runs": 6}, Problem, "power of two"),
        ({"a": [0, 1], "b": [0, 1]}, {"runs": 8}, Problem, "more than once"),
        ({"a": [0, 1]}, {}, Problem, "Fewer than two"),
        ({"a": [0, 0], "b": [0, 1]}, {}, Problem, "two that differ"),
        ({"a": ["x", "y"], "b": [0, 1]}, {"centre_points": 2}, Problem, "no middle"),
        ({"block": [0, 1], "b": [0, 1]}, {}, Problem, "column of the plan"),
        ({"a": [0, 1], "b": [0, 1]}, {"blocks": 3}, Problem, "blocks"),
        ({"a": [0, 1], "b": [0, 1]}, {"replicates": 0}, Problem, "replicates is 0"),
        ({f"f{i}": [0, 1] for i in range(12)}, {}, Problem, "4,096 runs"),
    ],
)
def test_a_plan_that_cannot_be_is_named(factors, settings, kind, match):
    with pytest.raises(kind, match=match):
        factorial_plan(factors, rng=np.random.default_rng(1), **settings)


# --- the analysis -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def eddy():
    case = json.loads(REFERENCE.read_text(encoding="utf-8"))
    rows = [row[::-1] for row in product([-1, 1], repeat=3)]
    runs = pd.DataFrame(rows, columns=case["input"]["factors"]).assign(result=case["input"]["y"])
    return case, runs, {name: [-1, 1] for name in case["input"]["factors"]}


def test_the_handbooks_effects_are_found(eddy):
    case, runs, factors = eddy
    found = factorial_effects(runs, factors=factors)
    effects = found.table.set_index("letters")["estimate"]
    for name, value in case["expected"]["effects"].items():
        letters = name.replace("X1", "A").replace("X2", "B").replace("X3", "C")
        assert effects[letters] == pytest.approx(value, abs=case["tolerance"])
    assert found.mean == pytest.approx(case["expected"]["mean"], abs=case["tolerance"])


def test_the_handbooks_error_is_that_of_the_interaction_left_out(eddy):
    case, runs, factors = eddy
    found = factorial_effects(runs, factors=factors, largest=2)
    expected = case["expected"]
    assert found.error_from == "effects left out"
    assert found.standard_error == pytest.approx(expected["sd_of_effect"], abs=case["tolerance"])
    turns = found.table.iloc[0]
    assert round(turns["estimate"] / found.standard_error, 1) == expected["t_X1"]
    pseudo = found.standard_error * np.sqrt(8) / 2
    assert pseudo == pytest.approx(expected["pseudo_sd"], abs=case["tolerance"])


def test_lenths_error_by_hand(eddy):
    """Median |effect| 0.2475, s0 0.37125; below 0.928 lie six, their median 0.23."""
    _, runs, factors = eddy
    found = factorial_effects(runs, factors=factors)
    assert found.standard_error == pytest.approx(1.5 * 0.23)
    assert found.error_from == "the small effects"
    assert found.table["stands_out"].tolist() == [True] + [False] * 6
    first = found.sentence().splitlines()[0]
    assert first.startswith("1 of 7 effects on result stands out of chance: turns 3.10 (95%")


@pytest.mark.parametrize(
    ("m", "one", "every"), [(7, 2.297, 4.867), (15, 2.156, 4.240)]
)  # Ye and Hamada (2000), 5 %: for one effect, and for all at once
def test_lenths_critical_values_are_the_published_ones(m, one, every):
    assert _critical(m, 0.95) == pytest.approx((one, every), rel=0.02)


def made(k=3, replicates=2, seed=1, **effects):
    factors = {name: [-1, 1] for name in "abcdefg"[:k]}
    rows = pd.DataFrame(list(product([-1, 1], repeat=k)) * replicates, columns=list(factors))
    result = np.random.default_rng(seed).normal(10, 0.5, len(rows))
    for name, size in effects.items():
        result += size / 2 * rows[list(name)].prod(axis=1)
    return rows.assign(result=result), factors


def test_repeated_runs_give_least_squares_and_students_interval():
    import statsmodels.formula.api as smf

    runs, factors = made(a=3, ab=-2)
    found = factorial_effects(runs, factors=factors).table.set_index("letters")
    fit = smf.ols("result ~ a * b * c", runs).fit()
    for letters, name in (("A", "a"), ("AB", "a:b"), ("ABC", "a:b:c")):
        assert found.loc[letters, "estimate"] == pytest.approx(2 * fit.params[name])
        assert found.loc[letters, "low"] == pytest.approx(2 * fit.conf_int().loc[name, 0])
    assert found["stands_out"].loc[["A", "AB"]].all()


def test_a_fraction_repeats_what_each_effect_is_mixed_with():
    plan = planned(4, runs=8, replicates=2)
    result = plan.table["factor 0"] * 2 + np.random.default_rng(1).normal(0, 0.3, 16)
    found = factorial_effects(
        plan.table.assign(result=result), factors={name: [-1, 1] for name in plan.factors}
    )
    mixed = found.table.set_index("letters")["mixed_with"]
    assert mixed["AB"] == "CD"
    assert mixed["A"] == ""
    assert len(found.table) == 7
    assert "AB with CD" in found.sentence()
    assert not found.broken


def test_a_run_without_a_result_breaks_the_plan_and_least_squares_goes_on():
    import statsmodels.formula.api as smf

    runs, factors = made(a=3)
    runs.loc[[0, 9], "result"] = np.nan
    found = factorial_effects(runs, factors=factors)
    fit = smf.ols("result ~ a * b * c", runs.dropna()).fit()
    row = found.table.set_index("letters").loc["A"]
    assert (row["estimate"], row["high"]) == pytest.approx(
        (2 * fit.params["a"], 2 * fit.conf_int().loc["a", 1])
    )
    assert found.broken
    assert "The plan is broken (2 runs without a result" in found.sentence()


def test_a_broken_plan_without_repeated_runs_keeps_something_to_judge_by():
    runs, factors = made(k=4, replicates=1, a=5)
    runs.loc[3, "result"] = np.nan
    found = factorial_effects(runs, factors=factors)
    assert found.error_from == "effects left out"
    assert found.table["order"].max() == 2
    assert found.table.iloc[0]["effect"] == "a"


def test_differences_between_blocks_do_not_touch_the_effects():
    runs, factors = made(a=3)
    runs["day"] = np.repeat(["Mon", "Tue"], 8)
    plain = factorial_effects(runs, factors=factors, block="day")
    moved = factorial_effects(
        runs.assign(result=runs["result"] + 50 * (runs["day"] == "Tue")), factors=factors,
        block="day",
    )  # fmt: skip
    columns = ["estimate", "low", "high"]
    assert np.allclose(plain.table[columns], moved.table[columns])


def test_runs_in_the_middle_show_a_bend():
    runs, factors = made(a=3)
    middle = pd.DataFrame(dict.fromkeys(factors, 0), index=range(4)).assign(
        result=[14, 14.5, 15, 14]
    )
    found = factorial_effects(pd.concat([runs, middle]), factors=factors)
    assert found.curvature == pytest.approx(runs["result"].mean() - 14.375)
    assert found.curvature_high < 0
    assert "is bent" in found.sentence()


def test_names_may_hold_anything():
    factors = {"£ & <b>": ["old", "new"], "座席": [1, 2]}
    plan = factorial_plan(factors, replicates=2, rng=np.random.default_rng(1))
    result = np.where(plan.table["£ & <b>"] == "new", 5.0, 1.0) + np.arange(8) / 50
    found = factorial_effects(plan.table.assign(result=result), factors=factors)
    assert found.table.iloc[0]["effect"] == "£ & <b>"
    plan.plot()
    plt.close("all")


@pytest.mark.parametrize(
    ("change", "kind", "match"),
    [
        (lambda r: r.assign(result=5.0), Refusal, "all the same"),
        (lambda r: r.assign(result=np.nan), Refusal, "0 runs have a result"),
        (lambda r: r.assign(result="a"), Problem, "does not hold numbers"),
        (lambda r: r.assign(a=r["a"] * 2), Problem, "at another level"),
        (lambda r: r.assign(a=0), Problem, "in the middle and others not"),
        (lambda r: r[r["a"] == 1], Refusal, "cannot be told apart"),
        (lambda r: r.drop(columns="b"), Refusal, "no column 'b'"),
    ],
)
def test_results_that_cannot_be_used_are_named(change, kind, match):
    runs, factors = made()
    with pytest.raises(kind, match=match):
        factorial_effects(change(runs), factors=factors)


def test_four_runs_without_anything_left_are_refused():
    runs, factors = made(k=2, replicates=1)
    with pytest.raises(Refusal, match="no repeated runs"):
        factorial_effects(runs, factors=factors)


def test_it_draws(eddy):
    _, runs, factors = eddy
    ax = factorial_effects(runs, factors=factors, unit="mV").plot()
    assert "half-normal" in ax.get_ylabel()
    assert "mV" in ax.get_xlabel()
    assert any(text.get_text() == "turns" for text in ax.texts)
    plt.close("all")
