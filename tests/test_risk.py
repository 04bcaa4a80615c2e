"""Severity goes first, ranges become chances, ties are told, and what is missing is named."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sqm.checks import Problem, Refusal
from sqm.methods import risk
from sqm.methods.risk import failure_modes

REFERENCE = Path(__file__).parent / "reference"


def _mode(name, severity, occurrence, detection, **more):
    return {
        "name": name,
        "severity": severity,
        "occurrence": occurrence,
        "detection": detection,
    } | more


def _found(*modes, seed=1, **more):
    return failure_modes(list(modes), rng=np.random.default_rng(seed), **more)


WORDS = {"owner": "site manager", "prevention": "cover", "emergency": "call back"}


@pytest.fixture(scope="module")
def three():
    return _found(
        _mode("queue", [4, 6, 8], [5, 7, 9], [1, 2, 3], after={"occurrence": [2, 3, 4]}, **WORDS,
              share=[0.2, 0.5, 0.8], loss=1000),
        _mode("data told", 9, 2, 3, owner=" ", prevention="ask twice"),
        _mode("hurry", 5, [2, 5, 8], 4, **WORDS, after={"severity": [4, 5, 6]}),
        worst=1, currency="EUR",
    )  # fmt: skip


def test_equal_products_are_told_apart_by_severity():
    """Published: 10x2x3, 5x3x4 and 3x10x2 are all 60; the ranking must show the tie."""
    case = json.loads((REFERENCE / "rpn_fmea.json").read_text(encoding="utf-8"))
    modes = [_mode(f"m{i}", *scores) for i, scores in enumerate(case["input"]["modes"])]
    found = _found(*reversed(modes), worst=1)
    assert found.table.sort_values("mode")["rpn"].tolist() == case["expected"]["rpn"]
    assert found.table["mode"].tolist() == ["m0", "m1", "m2"]
    assert found.table["rank_low"].tolist() == found.table["rank_high"].tolist() == [1, 2, 3]
    assert found.table["chance_worst"].tolist() == [1.0, 0.0, 0.0]
    assert found.tied == 3 and found.table["tied_with"][0] == "m2; m1"
    assert "60 is the product of 'm0' (severity 10), 'm1' (severity 5) and 'm2'" in found.sentence()
    assert "is not a measurement" in found.sentence()


def test_a_single_score_has_no_spread():
    row = _found(_mode("a", 3, 4, 5)).table.iloc[0]
    assert (row["rpn"], row["estimate"], row["low"], row["high"]) == (60, 60, 60, 60)


def test_a_range_is_drawn_from_its_triangle():
    """Severity 2, 5, 8 is symmetric: P(below x) = (x - 2)^2 / 18, so 5 % lie below 2 + .9486."""
    row = _found(_mode("a", [2, 5, 8], 2, 1), draws=200_000).table.iloc[0]
    assert row["estimate"] == pytest.approx(10, abs=0.02)
    assert row["low"] == pytest.approx(2 * (2 + 0.9**0.5), abs=0.03)
    assert row["high"] == pytest.approx(2 * (8 - 0.9**0.5), abs=0.03)


def test_independent_scores_multiply_in_the_mean():
    row = _found(_mode("a", [2, 5, 8], [1, 2, 6], [3, 3, 9]), draws=200_000).table.iloc[0]
    assert row["estimate"] == pytest.approx(5 * 3 * 5, rel=0.01)
    assert row["rpn"] == 5 * 2 * 3


def test_the_chance_of_being_among_the_worst():
    """4, 5, 6 against a fixed 5: half of the draws are above it; by hand 1 of 8 above 5.5."""
    found = _found(_mode("a", [4, 5, 6], 1, 1), _mode("b", 5, 1, 1), _mode("c", 5.5, 1, 1), worst=1,
                   draws=100_000)  # fmt: skip
    chance = found.table.set_index("mode")["chance_worst"]
    assert chance["a"] == pytest.approx(1 / 8, abs=0.005)
    assert chance["b"] == 0 and chance["c"] == pytest.approx(7 / 8, abs=0.005)
    assert found.likeliest == "c"


@pytest.mark.parametrize("worst", [1, 2, 3])
def test_so_many_modes_are_among_the_worst_as_are_asked_for(worst):
    modes = [_mode(f"m{i}", [1, 4, 9], [1, 2 + i % 3, 8], [1, 5, 10]) for i in range(6)]
    found = _found(*modes, worst=worst)
    assert found.table["chance_worst"].sum() == pytest.approx(worst)


def test_modes_that_are_alike_share_a_rank():
    found = _found(_mode("a", 5, 5, 5), _mode("b", 5, 5, 5), _mode("c", 1, 1, 1), worst=1)
    assert found.table["rank_low"].tolist() == [1, 1, 3]


def test_severity_goes_before_any_product(three):
    assert three.table["mode"].tolist() == ["data told", "queue", "hurry"]
    assert three.severest == "data told" and three.severe == ("data told",)
    assert three.likeliest in ("hurry", "queue")
    first = three.sentence().splitlines()[0]
    assert first.startswith("Worst by severity: 'data told' (9 of 10). Likeliest among the worst 1")
    assert len(first) < 220


def test_a_severity_that_may_reach_nine_is_noted():
    """The triangle 6, 8, 10 lies above 9 with chance 1 / 8."""
    row = _found(_mode("a", [6, 8, 10], 1, 1), draws=100_000).table.iloc[0]
    assert row["chance_severe"] == pytest.approx(1 / 8, abs=0.005)
    assert "severity may reach 9 or more" in row["note"]


def test_what_prevention_leaves(three):
    table = three.table.set_index("mode")
    assert table.loc["queue", "chance_lower"] == 1  # at most 4 where it was at least 5
    assert table.loc["hurry", "chance_lower"] == pytest.approx(0.5, abs=0.03)
    assert table.loc["queue", "after_estimate"] == pytest.approx(6 * 3 * 2, rel=0.03)
    assert np.isnan(table.loc["data told", "chance_lower"])
    assert table.loc["data told", "note"] == "what prevention would change is not given"
    assert "for 1 mode it is not given" in three.sentence()
    assert "least sure: 'hurry'" in three.sentence()


def test_a_score_that_prevention_leaves_alone_keeps_its_draws():
    """Detection halves, the rest is common: the product halves draw by draw."""
    after = {"detection": 2}
    row = _found(_mode("a", [1, 5, 10], [1, 5, 10], 4, after=after)).table.iloc[0]
    assert row["after_low"] == pytest.approx(row["low"] / 2)
    assert row["chance_lower"] == 1


def test_what_nobody_has_planned_is_named(three):
    table = three.table.set_index("mode")
    assert table.loc["data told", "gaps"] == "no owner, no emergency"
    assert three.gaps == ("data told",)
    assert "Still open: 'data told' (no owner, no emergency)." in three.sentence()


def test_expected_loss_adds_up():
    """A half of 1,000, and a tenth of 5,000 that prevention brings to a twentieth."""
    found = _found(
        _mode("a", 5, 5, 5, share=[0.2, 0.5, 0.8], loss=1000),
        _mode("b", 4, 4, 4, share=0.1, loss=5000, after={"share": 0.05}),
        _mode("c", 3, 3, 3),
        currency="EUR",
        draws=50_000,
    )
    assert found.loss == pytest.approx(1000, rel=0.01)
    assert found.after == pytest.approx(750, rel=0.01)
    tail = 0.6 * (0.05 / 2) ** 0.5  # 5 % of a symmetric triangle of width 0.6
    assert found.loss_low == pytest.approx(1000 * (0.2 + tail) + 500, rel=0.01)
    assert np.isnan(found.table.set_index("mode").loc["c", "loss_per_year"])
    assert f"Expected loss of 2 modes: {found.loss:,.0f} EUR (90% interval" in found.sentence()
    assert f"after prevention {found.after:,.0f} EUR" in found.sentence()
    assert "taken as before" in found.table.set_index("mode").loc["a", "note"]


def test_a_loss_that_prevention_is_not_said_to_change():
    found = _found(_mode("a", 5, 5, 5, share=0.5, loss=10), currency="EUR")
    assert np.isnan(found.after) and "not given after prevention" in found.sentence()
    none = _found(_mode("a", 5, 5, 5))
    assert np.isnan(none.loss) and "Expected loss" not in none.sentence()


@pytest.mark.parametrize(
    ("modes", "words"),
    [
        ("fire", "The failure modes are 'fire'"),
        ([{"severity": 3}], "has no name"),
        (["fire"], "has no name"),
        ([_mode("a", 11, 1, 1)], "severity of failure mode 'a' is 11"),
        ([_mode("a", 0, 1, 1)], "severity of failure mode 'a' is 0"),
        ([_mode("a", [1, 2, 12], 1, 1)], "severity of failure mode 'a' is"),
        ([_mode("a", [5, 3, 4], 1, 1)], "order"),
        ([_mode("a", "high", 1, 1)], "severity of failure mode 'a' is 'high'"),
        ([_mode("a", None, 1, 1)], "has no severity"),
        ([_mode("a", 1, 1, 1, ownr="x")], "did you mean 'owner'"),
        ([_mode("a", 1, 1, 1, after={"ocurrence": 1})], "did you mean 'occurrence'"),
        ([_mode("a", 1, 1, 1, after=[1])], "`after` of failure mode 'a' is"),
        ([_mode("a", 1, 1, 1, after={"share": 0.1})], "has a share that it lacks before"),
        ([_mode("a", 1, 1, 1), _mode("a", 2, 2, 2)], "Two failure modes are called 'a'"),
        ([_mode("a", 1, 1, 1, share=0.2)], "only one of `share` and `loss`"),
        ([_mode("a", 1, 1, 1, share=1.2, loss=5)], "share of failure mode 'a' is 1.2"),
        ([_mode("a", 1, 1, 1, share=0.2, loss=-5)], "loss of failure mode 'a' is -5"),
    ],
)
def test_what_makes_no_sense_is_a_problem(modes, words):
    with pytest.raises(Problem, match=r".+") as caught:
        failure_modes(modes, currency="EUR", rng=np.random.default_rng(1))
    assert words in str(caught.value) and not isinstance(caught.value, Refusal)


def test_money_needs_a_currency_and_nothing_is_refused():
    with pytest.raises(Problem, match="no currency"):
        _found(_mode("a", 1, 1, 1, share=0.1, loss=5))
    with pytest.raises(Refusal, match="No failure mode"):
        _found()
    with pytest.raises(Problem, match="worst is 0"):
        _found(_mode("a", 1, 1, 1), worst=0)


def test_one_mode_alone_and_fewer_modes_than_count_as_worst():
    one = _found(_mode("a", 3, 4, 5))
    assert one.worst == 1 and "Largest product of scores: the same, 60" in one.sentence()
    two = _found(_mode("a", 3, 4, 5), _mode(7, 3, 4, 6))
    assert "Largest product of scores: the same, 72" in two.sentence()


def test_the_order_given_does_not_matter_and_chance_is_the_only_chance():
    modes = [_mode(name, 5, 5, 5) for name in "cab"]
    assert _found(*modes).table["mode"].tolist() == ["a", "b", "c"]
    wide = [_mode("a", [1, 5, 9], [1, 5, 9], 5), _mode("b", 5, 5, 5)]
    assert _found(*wide).table.equals(_found(*wide).table)


def test_a_picture_is_drawn(three):
    axes = plt.figure().gca()
    assert three.plot(axes).get_title() == "Which failure is worst, before and after prevention?"
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["data told", "queue", "hurry"]
    words = {text.get_text() for text in axes.texts}
    assert "among worst 1" in words and risk._chance(three.table["chance_worst"][0]) in words
    plt.close(axes.figure)


def test_names_may_hold_anything():
    found = _found(_mode("<b>$x$ 等待 & 😀" * 5, 5, 5, 5), _mode("b", 4, 4, 4))
    axes = plt.figure().gca()
    assert found.plot(axes).get_title() and "<b>$x$" in found.sentence()
    plt.close(axes.figure)
