"""Alpha against sums done by hand, identities, and what psych and careless print."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pingouin
import pytest
from matplotlib import pyplot as plt

from sqm.checks import Problem
from sqm.methods.reliability import cronbach_alpha, item_table

REFERENCE = Path(__file__).parent / "reference"
PERQ = [f"PERQ{i}" for i in range(1, 8)]


@pytest.fixture
def answers():
    return pd.DataFrame(
        {"polite": [1, 2, 3, 4], "patient": [2, 2, 4, 4], "listens": [1, 3, 3, 5]}, dtype=float
    )


@pytest.fixture(scope="module")
def ecsi():
    case = json.loads((REFERENCE / "alpha_ecsi.json").read_text(encoding="utf-8"))
    return pd.DataFrame(case["input"]), case["expected"]


def scale(answers, **settings):
    return cronbach_alpha(answers, dimensions={"scale": list(answers)}, **settings)


def alpha(answers):
    return scale(answers).table.loc[0, "estimate"]


def test_alpha_by_hand(answers):
    # item variances 5/3, 4/3, 8/3 sum to 17/3; totals 4, 7, 10, 13 have variance 15
    assert alpha(answers) == pytest.approx(3 / 2 * (1 - (17 / 3) / 15))


@pytest.mark.parametrize("r", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("k", [2, 3, 10])
def test_equal_correlations_give_spearman_brown(k, r):
    """k items that all correlate r have alpha = k r / (1 + (k - 1) r), exactly."""
    found = alpha(_sample_with_covariance(np.full((k, k), r) + (1 - r) * np.eye(k)))
    assert found == pytest.approx(k * r / (1 + (k - 1) * r))


def test_published_scale(ecsi):
    data, expected = ecsi
    row = cronbach_alpha(data, dimensions={"quality": PERQ}).table.loc[0]
    assert row["estimate"] == pytest.approx(expected["raw_alpha"], abs=1e-9)
    assert row["low"] == pytest.approx(expected["feldt"]["lower"], abs=1e-9)
    assert row["high"] == pytest.approx(expected["feldt"]["upper"], abs=1e-9)
    weakest = max(expected["alpha_if_dropped"], key=expected["alpha_if_dropped"].get)
    assert (row["weakest_item"], row["respondents"]) == (weakest, expected["n"])
    assert row["alpha_without_weakest"] == pytest.approx(expected["alpha_if_dropped"][weakest])


def test_published_items(ecsi):
    data, expected = ecsi
    table = item_table(data, dimensions={"quality": PERQ}).table.set_index("item")
    for column, name in [
        ("estimate", "r_drop"),
        ("alpha_without", "alpha_if_dropped"),
        ("mean", "mean"),
        ("sd", "sd"),
    ]:
        assert table[column].to_dict() == pytest.approx(expected[name], abs=1e-9)


def test_two_items_are_spearman_brown_and_say_so(ecsi):
    data, expected = ecsi
    found = cronbach_alpha(data, dimensions={"value": ["PERV1", "PERV2"], "quality": PERQ})
    row = found.table.loc[0]
    assert row["estimate"] == pytest.approx(expected["spearman_brown"], abs=1e-9)
    assert row["low"] < row["estimate"] < row["high"]
    assert row["note"] == "two items: Spearman-Brown"
    assert "Spearman-Brown instead: value" in found.sentence()


def test_feldts_interval_holds_the_truth_as_often_as_it_says():
    """Four parallel items with r = 0.4: alpha 8/11. 500 samples: standard error 1 %."""
    rng = np.random.default_rng(4)
    data = 0.4**0.5 * rng.normal(size=(500, 60, 1)) + 0.6**0.5 * rng.normal(size=(500, 60, 4))
    rows = [scale(pd.DataFrame(each)).table.loc[0] for each in data]
    held = np.mean([row["low"] <= 8 / 11 <= row["high"] for row in rows])
    assert held == pytest.approx(0.95, abs=0.03)


def test_alpha_is_that_of_pingouin_on_complete_rows(answers):
    # its interval is rounded, and counts incomplete rows: only the point is compared
    theirs, _ = pingouin.cronbach_alpha(data=answers)
    found = cronbach_alpha(answers, dimensions={"scale": list(answers)}).table.iloc[0]
    assert found["estimate"] == pytest.approx(theirs)


def test_alpha_ignores_where_the_scale_starts(answers):
    assert alpha(answers + 3) == pytest.approx(alpha(answers))


def test_blank_answers_leave_the_row_out_of_alpha_and_of_its_interval(answers):
    with_blank = pd.concat([answers, pd.DataFrame({"polite": [5.0]})], ignore_index=True)
    found, whole = scale(with_blank).table.loc[0], scale(answers).table.loc[0]
    assert (found["respondents"], found["left_out"]) == (4, 1)
    names = ["estimate", "low", "high"]
    assert found[names].tolist() == whole[names].tolist()


def test_what_cannot_be_given_is_noted_beside_the_rest(answers):
    data = answers.assign(same=4.0, blank=np.nan)
    found = cronbach_alpha(
        data,
        dimensions={
            "one": ["polite"],
            "flat": ["polite", "same", "listens"],
            "empty": ["polite", "blank", "listens"],
            "good": list(answers),
        },
    )
    assert found.table["estimate"].isna().tolist() == [True, True, True, False]
    assert found.table["note"].tolist() == [
        "one item has no internal consistency",
        "everyone gave the same answer to same",
        "only 0 respondents answered every item",
        "",
    ]
    assert "0.93" in found.sentence()
    assert "flat (everyone gave the same answer to same)" in found.sentence()
    none = cronbach_alpha(data, dimensions={"one": ["polite"]})
    assert none.sentence().startswith("No scale's consistency can be given")


def test_the_item_that_does_not_belong_is_named(answers):
    found = scale(answers.assign(parking=[3, 1, 3, 1]), turned=["listens"])
    assert found.table.loc[0, "weakest_item"] == "parking"
    assert "Without parking, scale would reach 0.93." in found.sentence()
    assert "Turned round before: listens." in found.sentence()


def test_bad_input(answers):
    with pytest.raises(Problem, match="did you mean 'polite'"):
        cronbach_alpha(answers, dimensions={"scale": ["polit"]})
    with pytest.raises(Problem, match="no item, or one twice"):
        cronbach_alpha(answers, dimensions={"scale": ["polite", "polite"]})
    with pytest.raises(Problem, match="No scale"):
        item_table(answers, dimensions={})
    with pytest.raises(Problem, match="confidence is 95"):
        scale(answers, confidence=95)
    with pytest.raises(Problem, match="does not hold numbers"):
        scale(answers.astype(str))


def test_pictures(answers):
    whole = {"scale": list(answers)}
    found = [
        scale(answers.assign(parking=[3, 1, 3, 1])),
        item_table(answers, dimensions=whole),
    ]
    for each in found:
        ax = each.plot(plt.figure().subplots())
        assert ax.get_title().endswith("?")
        assert len(ax.get_yticklabels()) == len(each.table)
        assert each.sentence().endswith(".")
    plt.close("all")


def _sample_with_covariance(covariance, n=50):
    """A sample whose covariance matrix is ``covariance`` to rounding error."""
    k = len(covariance)
    raw = np.random.default_rng(1).normal(size=(n, k))
    raw -= raw.mean(axis=0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw.T))).T
    return pd.DataFrame(white @ np.linalg.cholesky(covariance).T).rename(columns="q{}".format)
