"""Predictions over many cycles: by hand, when all is well, when the team is optimistic."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sqm.checks import Problem, Refusal
from sqm.methods.track_record import over_cycles, track_record

Z90, Z95 = stats.norm.ppf([0.95, 0.975])


def record(predicted, realised, *, half=4.0, error=1.0, **more):
    """Predictions at 90 % with this half width; outcomes at 95 % with this standard error."""
    predicted, realised = np.asarray(predicted, float), np.asarray(realised, float)
    head = {"study": "a", "cycle": range(1, len(predicted) + 1), "measure": "wait", "unit": "s"}
    promise = {
        "predicted": predicted,
        "predicted_low": predicted - half,
        "predicted_high": predicted + half,
    }
    came = {
        "realised": realised,
        "realised_low": realised - Z95 * error,
        "realised_high": realised + Z95 * error,
    }
    levels = {"predicted_confidence": 0.9, "confidence": 0.95}
    return pd.DataFrame({**head, **promise, **came, **levels, **more})


def made(rng, cycles, *, ratio=1.0, honest=1.0):
    """Cycles whose true changes scatter about ``ratio`` times what was promised."""
    predicted = rng.uniform(-30, -10, cycles)
    true = ratio * predicted + 2.0 * rng.standard_normal(cycles)
    return record(predicted, true + rng.standard_normal(cycles), half=honest * Z90 * 2.0)


def test_inside_and_what_is_due_by_hand():
    """4 off is inside, 5 is not; an error of 4 / 1.645 = 2.43 beside 1 holds 0.871, not 0.9."""
    table = track_record(record([-10, -10, -10], [-6, -5, -10])).table
    assert table["inside"].tolist() == [1, 0, 1]
    spread = np.hypot(4 / Z90, 1)
    assert table["due_inside"].tolist() == pytest.approx([2 * stats.norm.cdf(4 / spread) - 1] * 3)


def test_scores_by_hand():
    """Width 8 and a miss by 1 at 90 %: 8 + 20; the rival's 2 * 1.645 + 20 (5 - 1.645); over 10."""
    row = track_record(record([-10, -10], [-5, -5])).table.loc[0]
    assert row["score"] == pytest.approx((8 + 20 * 1) / 10)
    assert row["naive_score"] == pytest.approx((2 * Z90 + 20 * (5 - Z90)) / 10)


def test_measures_of_one_cycle_count_as_one():
    """0.8 twice in the first cycle, then 0.9 and 1: the mean over cycles is 0.9, over rows less."""
    rows = record([-10, -20, -10, -10], [-8, -16, -9, -10], cycle=[1, 1, 2, 3])
    rows["measure"] = ["wait", "cost", "wait", "wait"]
    found = track_record(rows)
    assert (found.predictions, found.cycles, found.ratio_cycles) == (4, 3, 3)
    assert found.ratio == pytest.approx(0.9)


def test_cycles_have_the_variance_that_explains_the_spread():
    """Values 0 and 4 with errors 1: (4^2 / 2) / (1 + t^2) = 1, so that t^2 is 7."""
    mean, _, between = over_cycles(np.array([0.0, 4.0]), np.ones(2), confidence=0.95)
    assert (mean, between) == pytest.approx((2, 7))
    assert over_cycles(np.array([1.0, 1.1]), np.ones(2), confidence=0.95)[2] == 0


def test_an_honest_team_is_not_refuted_and_an_optimistic_one_is_named():
    rng = np.random.default_rng(3)
    honest = track_record(made(rng, 40))
    assert honest.verdict == "as it should be"
    assert honest.inside_low < honest.due_inside < honest.inside_high
    assert "Neither optimism nor undue caution is shown" in honest.sentence()
    keen = track_record(made(rng, 40, ratio=0.6))
    assert keen.ratio_low < 0.6 < keen.ratio_high < 1
    assert keen.verdict == "too narrow"
    assert "The team was optimistic, over 40 cycles" in keen.sentence()
    assert track_record(made(rng, 60, honest=4)).verdict == "too wide"


def test_the_first_line_holds_the_numbers():
    found = track_record(made(np.random.default_rng(3), 12))
    first = found.sentence().split("\n")[0]
    assert first.startswith("Of 12 predictions in 12 cycles, ")
    assert f"{found.due_inside:.0%} is due" in first
    assert f"{found.ratio:.2f} (95% interval {found.ratio_low:.2f}" in first
    assert len(first) <= 220
    least, likeliest, most = found.recommended
    assert likeliest == pytest.approx(found.ratio)
    assert 0 <= least < likeliest < most <= 2
    assert f"`realised: [{least:.2f}, {likeliest:.2f}, {most:.2f}]`" in found.sentence()


def test_one_cycle_has_no_ratio_and_four_no_range():
    one = track_record(record([-10], [-9]))
    assert np.isnan([one.ratio, one.saved]).all()
    assert "not told from 1 cycle whose promise is clear of 0; 3 are the fewest" in one.sentence()
    four = track_record(record([-10] * 4, [-9, -8, -7, -9]))
    assert four.recommended == ()
    assert "5 cycles are the fewest" in four.sentence()


def test_what_cannot_be_judged_is_left_out_and_counted():
    rows = record([-10, -10, -10, -10, 2], [-9, -9, -9, np.nan, 1])
    rows.loc[1, ["realised_low", "realised_high"]] = np.nan
    rows.loc[2, ["predicted_low", "predicted_high"]] = [-10.001, -9.999]
    found = track_record(rows)
    assert found.table["note"].tolist() == [
        "",
        "realised without an interval",
        "assumed, not foretold",
        "not realised",
        "the promise holds 0, so no ratio",
    ]
    assert (found.predictions, found.left_out) == (2, 3)
    assert "Left out: 1 assumed, not foretold, 1 not realised" in found.sentence()


def test_the_last_entry_of_a_cycle_counts_and_levels_may_differ():
    rows = pd.concat([record([-10], [-1]), record([-10], [-9])])
    assert track_record(rows).inside == 1
    mixed = record([-10, -10], [-9, -8], predicted_confidence=[0.8, 0.95])
    assert "promised at 80% to 95%, each judged by its own level" in track_record(mixed).sentence()


def test_the_picture_marks_as_promised():
    ax = track_record(record([-10] * 3, [-9, -8, -2])).plot(plt.figure().gca())
    assert ax.get_title() == "Can the team's predictions be believed?"
    assert "mean over cycles" in [text.get_text() for text in ax.get_legend().get_texts()]
    marks = [line.get_marker() for line in ax.lines if len(line.get_xdata()) == 1]
    assert (marks.count("^"), marks.count("v")) == (2, 1)
    plt.close("all")


def test_what_is_wrong_is_a_problem():
    good = record([-10], [-9])
    with pytest.raises(Problem, match="'predicted_confidence' is missing"):
        track_record(good.assign(predicted_confidence=np.nan))
    with pytest.raises(Problem, match="does not lie between"):
        track_record(good.assign(realised_low=5.0))
    with pytest.raises(Refusal, match="No prediction can be held"):
        track_record(good.assign(realised=np.nan))
    with pytest.raises(Refusal, match="no column 'cycle'"):
        track_record(good.drop(columns="cycle"))
