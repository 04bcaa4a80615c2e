"""Rolled throughput yield against products done by hand, limiting cases and the definition."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm.checks import Problem, Refusal
from sqm.interval import wilson
from sqm.methods.throughput import rolled_yield

CASE = json.loads(
    (Path(__file__).parent / "reference/rolled_throughput_yield.json").read_text(encoding="utf-8")
)


def steps(units, defects, **more):
    names = [f"step {i}" for i in range(1, len(units) + 1)]
    return pd.DataFrame({"step": names, "units": units, "defects": defects, **more})


def rolled(table, **settings):
    return rolled_yield(table, rng=np.random.default_rng(1), **settings)


def test_the_definition():
    given, want = CASE["input"], CASE["expected"]
    found = rolled(steps([1000] * 3, [round(1000 * (1 - y)) for y in given["fty"]]))
    assert found.table["estimate"].tolist() == pytest.approx(given["fty"], abs=1e-12)
    assert found.rolled == pytest.approx(want["rty"], abs=CASE["tolerance"])
    assert found.normalised == pytest.approx(want["normalised_yield"], abs=CASE["tolerance"])
    assert found.defects_per_case == pytest.approx(want["dpu_total"], abs=CASE["tolerance"])


def test_defects_per_opportunity_and_sigma():
    given, want = CASE["input"], CASE["expected"]
    table = steps([given["units"]], [given["defects"]], chances=[given["opportunities"]])
    found = rolled(table, opportunities="chances", counted="defects")
    row = found.table.iloc[0]
    assert row["dpu"] == pytest.approx(want["dpu"], abs=CASE["tolerance"])
    assert found.dpo == row["dpo"] == pytest.approx(want["dpo"], abs=CASE["tolerance"])
    assert found.dpmo == pytest.approx(want["dpmo"], abs=CASE["tolerance"])
    assert found.sigma_shifted == pytest.approx(want["sigma"], abs=CASE["tolerance"])
    assert "20,800 defects" in found.sentence() and "1.5 shift calls 3.54" in found.sentence()


def test_one_step_is_wilson():
    found = rolled(steps([50], [5]))
    assert (found.low, found.high) == pytest.approx(wilson(0.9, 50))
    assert found.worst_chance == 1


def test_poisson_yield_and_its_score_interval():
    # no defect in 100 units: at most z^2 = 3.8415 expected, so a yield of exp(-0.038415)
    found = rolled(steps([100], [0]), counted="defects")
    assert found.rolled == 1 and found.high == 1
    assert found.low == pytest.approx(np.exp(-0.038415), abs=1e-6)
    # 4 defects: 4 + 1.9207 -+ 1.96 sqrt(4 + 0.9604) = 1.5555 and 10.2860
    row = rolled(steps([100], [4], k=[1]), counted="defects", opportunities="k").table.iloc[0]
    assert (row["dpo_low"], row["dpo_high"]) == pytest.approx((0.015555, 0.102860), abs=1e-6)
    assert rolled(steps([100], [200]), counted="defects").rolled == pytest.approx(np.exp(-2))


def test_a_step_without_loss_widens_but_does_not_move_the_product():
    one, two = rolled(steps([200], [20])), rolled(steps([200, 200], [20, 0]))
    assert two.rolled == pytest.approx(one.rolled)
    assert two.low < one.low
    assert two.high == pytest.approx(one.high)
    assert "Without any defect: step 2" in two.sentence()


def test_equal_steps_have_their_yield_as_the_normalised_one():
    found = rolled(steps([100] * 4, [10] * 4))
    assert found.normalised == pytest.approx(0.9)
    assert found.defects_per_case == pytest.approx(-4 * np.log(0.9))
    assert found.table["loses_most"].sum() == pytest.approx(1)
    assert found.table["loses_most"].between(0.2, 0.3).all()


def test_weeks_of_a_step_are_added_up_in_order_of_appearance():
    rows = pd.DataFrame(
        {"step": ["b", "a", "b"], "units": [50, 100, 50], "defects": [5, 30, 5]},
    )
    found = rolled(rows)
    assert found.table["step"].tolist() == ["b", "a"]
    assert found.table["units"].tolist() == [100, 100]
    assert (found.worst, found.worst_chance) == ("a", pytest.approx(1, abs=0.01))


def test_nothing_passes_a_step():
    found = rolled(steps([20, 100], [20, 0]))
    assert (found.rolled, found.low) == (0, 0)
    assert found.high == pytest.approx(wilson(0, 20)[1])
    assert found.defects_per_case == np.inf
    assert found.table["note"].tolist() == ["nothing passed", "no defect seen"]
    assert found.sentence().startswith("0.0 % (95% interval 0.0 to ")


def test_blank_rows_are_counted_and_empty_steps_passed_over():
    table = steps([100, 100, 0], [10, np.nan, 0])
    found = rolled(table)
    assert (found.steps, found.left_out) == (1, 1)
    assert "1 row with a blank count left out" in found.sentence()


@pytest.mark.parametrize(
    ("table", "settings", "message"),
    [
        (steps([10], [11]), {}, "11 defects where 10 are possible"),
        (steps([10], [21], k=[2]), {"opportunities": "k", "counted": "defects"}, "where 20 are"),
        (steps([10], [-1]), {}, "'defects' has 1 values that are no count"),
        (steps([10.5], [1]), {}, "'units' has 1 values that are no count"),
        (steps(["ten"], [1]), {}, "'units' does not hold numbers"),
        (steps([10], [1], k=[0]), {"opportunities": "k"}, "'opportunities' has 1 values"),
        (steps([10], [1]), {"counted": "defect"}, "did you mean 'defects'"),
        (steps([10], [1]), {"confidence": 95}, "confidence is 95"),
    ],
)
def test_bad_input_is_a_problem(table, settings, message):
    with pytest.raises(Problem, match=message):
        rolled(table, **settings)


def test_two_numbers_of_opportunities_for_one_step():
    table = steps([10, 10], [1, 1], k=[2, 3]).assign(step="same")
    with pytest.raises(Problem, match="several numbers of opportunities"):
        rolled(table, opportunities="k")


def test_no_unit_is_a_refusal():
    with pytest.raises(Refusal, match="No step has a unit"):
        rolled(steps([0, 0], [0, 0]))


def test_the_sentence_and_the_picture():
    found = rolled(steps([400, 300, 250], [8, 60, 5]).assign(step=["开始", "$<b>", "🙂"]))
    first = found.sentence().splitlines()[0]
    assert (
        f"{100 * found.rolled:.1f} % (95% interval" in first and "$<b> loses most, 20.0 %" in first
    )
    assert len(first) <= 220
    ax = found.plot()
    assert len(ax.get_yticklabels()) == 4
    assert ax.get_title().endswith("?")
    plt.close(ax.figure)
