"""Weights of needs: consistent judges are followed exactly, the others are named."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm.checks import Problem, Refusal
from sqm.methods.pairwise import ahp_weights, consistency

REFERENCE = Path(__file__).parent / "reference"


def said(matrix, needs, judge="J"):
    """The upper half of a matrix as rows."""
    matrix = np.asarray(matrix, dtype=float)
    i, j = np.triu_indices(len(needs), 1)
    names = np.array(needs)
    return pd.DataFrame(
        {"judge": judge, "first": names[i], "second": names[j], "times": matrix[i, j]}
    )


def consistent(weights, needs, judge="J"):
    weights = np.asarray(weights, dtype=float)
    return said(weights[:, None] / weights[None, :], needs, judge)


@pytest.fixture(scope="module")
def house():
    case = json.loads((REFERENCE / "ahp_saaty_house.json").read_text("utf-8"))
    matrix = [[float(Fraction(each)) for each in row] for row in case["input"]["matrix"]]
    return np.array(matrix), case["input"]["needs"], case["expected"], case["tolerance"]


def test_saaty_house(house):
    matrix, needs, expected, tolerance = house
    row = consistency(said(matrix, needs, "family")).table.loc[0]
    for name in ("lambda_max", "consistency_index", "consistency_ratio"):
        assert row[name] == pytest.approx(expected[name], abs=tolerance)
    assert not row["acceptable"]


def test_the_weights_are_row_geometric_means(house):
    matrix, needs, expected, _ = house
    means = np.exp(np.log(matrix).mean(axis=1))
    found = ahp_weights(said(matrix, needs)).table.set_index("need").loc[needs, "estimate"]
    assert found.tolist() == pytest.approx((means / means.sum()).tolist(), abs=1e-12)
    # and lie near the printed eigenvector, whose order they keep at the top
    assert np.abs(found.to_numpy() - expected["eigenvector"]).max() < 0.04
    assert found.idxmax() == "financing"


def test_a_consistent_judge_is_followed_exactly_even_with_pairs_missing():
    weights = np.array([0.4, 0.3, 0.2, 0.1])
    full = consistent(weights, list("abcd"))
    chain = full[full["first"].add(full["second"]).isin(["ab", "bc", "cd"])]
    for given in (full, chain):
        found = ahp_weights(given).table.set_index("need")["estimate"]
        assert found.loc[list("abcd")].tolist() == pytest.approx(weights.tolist(), abs=1e-12)
        assert consistency(given).table["consistency_ratio"][0] == pytest.approx(0, abs=1e-9)
    assert consistency(chain).table["missing"][0] == 3


def test_harker_with_a_missing_pair_by_hand():
    """Four needs, five pairs: a cycle a-b-c that multiplies to 8, d known from a and b only.

    Harker's matrix of c and d missing has 2 on their diagonal places.
    """
    rows = [("a", "b", 2), ("b", "c", 2), ("a", "c", 0.5), ("a", "d", 4), ("b", "d", 2)]
    table = pd.DataFrame(rows, columns=["first", "second", "times"]).assign(judge="J")
    matrix = np.array([[1, 2, 0.5, 4], [0.5, 1, 2, 2], [2, 0.5, 2, 0], [0.25, 0.5, 0, 2]])
    largest = np.linalg.eigvals(matrix).real.max()
    row = consistency(table).table.loc[0]
    assert row["lambda_max"] == pytest.approx(largest, abs=1e-12)
    # random index 0.90 (1 - 2 / 6)
    assert row["consistency_ratio"] == pytest.approx((largest - 4) / 3 / 0.6, abs=1e-12)


def test_the_order_of_a_pair_does_not_matter():
    table = consistent([0.5, 0.3, 0.2], list("abc"))
    turned = table.rename(columns={"first": "second", "second": "first"})
    turned["times"] = 1 / turned["times"]
    for given in (turned, pd.concat([table, turned], ignore_index=True)):
        found = ahp_weights(given)
        assert found.table["estimate"].tolist() == pytest.approx([0.5, 0.3, 0.2])
        assert found.comparisons == 3


def test_a_group_is_the_geometric_mean_of_its_judges():
    one, two = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.5, 0.3])
    mean = np.sqrt(one * two)
    found = ahp_weights(
        pd.concat([consistent(one, list("abc"), "one"), consistent(two, list("abc"), "two")])
    )
    table = found.table.set_index("need").loc[list("abc")]
    assert table["estimate"].tolist() == pytest.approx((mean / mean.sum()).tolist())
    assert table["judge_min"].tolist() == pytest.approx([0.2, 0.3, 0.1])
    assert table["judge_max"].tolist() == pytest.approx([0.6, 0.5, 0.3])


def test_two_needs_have_students_interval_on_the_log_ratio():
    """Log ratios ln 2, ln 4, ln 8: mean ln 4, sd ln 2, t(2) = 4.3027, half 4.3027 ln 2 / sqrt 3."""
    table = pd.DataFrame({"judge": list("xyz"), "first": "a", "second": "b", "times": [2, 4, 8]})
    found = ahp_weights(table)
    half = 4.302653 * np.log(2) / np.sqrt(3)
    odds = np.exp(np.log(4) + np.array([0, -half, half]))
    row = found.table.set_index("need").loc["a"]
    limits = odds / (1 + odds)
    assert [row["estimate"], row["low"], row["high"]] == pytest.approx(limits.tolist(), abs=1e-6)
    assert [found.lead, found.lead_low, found.lead_high] == pytest.approx(odds.tolist(), rel=1e-6)
    assert "The first place is not certain" in found.sentence()


def test_how_far_a_weight_may_move():
    """0.5 falls to meet 0.3 where w = 0.3 (1 - w) / 0.5: w = 0.375, so by 0.125."""
    table = ahp_weights(consistent([0.5, 0.3, 0.2], list("abc"))).table.set_index("need")
    assert table.loc["a", "may_fall"] == pytest.approx(0.125)
    # 0.3 rises to meet 0.5 (1 - w) / 0.7 at w = 5/12
    assert table.loc["b", "may_rise"] == pytest.approx(5 / 12 - 0.3)
    assert np.isnan(table.loc["c", "may_fall"])


def test_one_judge_has_no_interval_and_says_so():
    found = ahp_weights(consistent([0.5, 0.3, 0.2], list("abc")))
    assert found.table["low"].isna().all()
    assert "One judge has no interval" in found.sentence()
    found.plot(plt.figure().subplots())
    plt.close("all")


def test_judges_who_say_the_same_have_an_interval_without_width():
    parts = [consistent([0.5, 0.3, 0.2], list("abc"), judge) for judge in "xyz"]
    assert "no width" in ahp_weights(pd.concat(parts)).sentence()


def test_an_inconsistent_judge_is_named_with_the_pair():
    good = [consistent([0.5, 0.3, 0.2], list("abc"), judge) for judge in ("x", "y")]
    # a over b over c, and c over a: lambda_max = 1 + 27^(1/3) + 27^(-1/3) = 1 + 3 + 1/3
    bad = pd.DataFrame(
        {"judge": "loop", "first": list("aba"), "second": list("bcc"), "times": [3, 3, 1 / 3]}
    )
    table = pd.concat([*good, bad], ignore_index=True)
    found = consistency(table)
    assert found.inconsistent == ("loop",)
    assert found.table["lambda_max"][0] == pytest.approx(1 + 3 + 1 / 3)
    assert found.table["consistency_ratio"][0] == pytest.approx((4 + 1 / 3 - 3) / 2 / 0.58)
    assert "2 of 3 judges compare consistently" in found.sentence()
    assert "loop" in found.sentence()
    weights = ahp_weights(table)
    assert weights.inconsistent == ("loop",)
    alone = weights.table.set_index("need").loc[list("abc"), "consistent_only"]
    assert alone.tolist() == pytest.approx([0.5, 0.3, 0.2])
    assert "beyond a consistency ratio of 0.1: loop" in weights.sentence()
    found.plot(plt.figure().subplots())
    plt.close("all")


def test_a_judge_who_does_not_link_the_needs_counts_but_has_no_ratio():
    full = consistent([0.4, 0.3, 0.2, 0.1], list("abcd"), "full")
    part = pd.DataFrame({"judge": "part", "first": ["a"], "second": ["b"], "times": [2.0]})
    table = pd.concat([full, part], ignore_index=True)
    row = consistency(table).table.set_index("judge").loc["part"]
    assert np.isnan(row["consistency_ratio"])
    assert row["note"] == "the comparisons do not link all needs"
    assert "Not given: part" in consistency(table).sentence()
    assert ahp_weights(table).judges == 2


def test_above_fifteen_needs_there_is_no_random_index():
    needs = [f"n{i:02d}" for i in range(16)]
    found = consistency(consistent(np.linspace(1, 2, 16), needs))
    assert "no random index" in found.sentence()
    assert found.judged == 0


def test_bad_comparisons():
    good = consistent([0.5, 0.3, 0.2], list("abc"))
    with pytest.raises(Problem, match=r"outside 1/9 to 9 .*values: \[0.0\]"):
        ahp_weights(good.assign(times=[0.0, 1, 1]))
    with pytest.raises(Problem, match="outside 1/9 to 9"):
        ahp_weights(good.assign(times=[-3.0, 1, 1]))
    with pytest.raises(Problem, match="does not hold numbers"):
        ahp_weights(good.assign(times="1/3"))
    with pytest.raises(Problem, match="compare a need with itself"):
        ahp_weights(good.assign(second=good["first"]))
    twice = pd.concat([good, good.assign(times=good["times"] * 2)], ignore_index=True)
    with pytest.raises(Problem, match="J compares a and b more than once and differently"):
        ahp_weights(twice)
    with pytest.raises(Refusal, match="name 0 needs"):
        ahp_weights(good.assign(times=np.nan))
    apart = pd.DataFrame({"judge": "J", "first": list("ac"), "second": list("bd"), "times": 2.0})
    with pytest.raises(Refusal, match="no common measure: a, b / c, d"):
        ahp_weights(apart)
    with pytest.raises(Refusal, match="no column 'times'"):
        ahp_weights(good.drop(columns="times"))
    left = pd.concat([good, good[:1].assign(judge="blank", times=np.nan)])
    assert ahp_weights(left).left_out == 1


def test_rounded_fractions_are_taken_as_meant():
    """0.33 for 1/3 and 0.11 for 1/9 are within what people write."""
    table = pd.DataFrame(
        {"judge": "J", "first": list("ab"), "second": list("ba"), "times": [0.33, 3]}
    )
    assert ahp_weights(table).comparisons == 1
    assert ahp_weights(table.assign(times=[0.11, 9])).comparisons == 1


def test_sentences_and_pictures():
    rng = np.random.default_rng(2)
    parts = [
        consistent(np.exp(rng.normal([1, 0.5, 0], 0.2)), ["$5 <b>", "速度", "care"], judge)
        for judge in "vwxyz"
    ]
    found = ahp_weights(pd.concat(parts))
    row = found.table.loc[0]
    first = found.sentence().splitlines()[0]
    assert f"{100 * row['estimate']:.1f} % (95% interval {100 * row['low']:.1f} to" in first
    assert len(first) <= 220
    assert "approximate" in found.sentence()
    ax = found.plot(plt.figure().subplots())
    assert (ax.get_title() or ax.get_title(loc="left")).endswith("?")
    assert len(ax.get_yticklabels()) == 3
    plt.close("all")
