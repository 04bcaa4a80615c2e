"""Ratings against a standard: published attribute studies, and Minitab's limits."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm.checks import Problem, Refusal
from sqm.methods.standard import standard_agreement

REFERENCE = Path(__file__).parent / "reference"


def _reference(name):
    return json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def cases():
    """400 cases; two raters find the standard in .85, else they guess."""
    rng = np.random.default_rng(11)
    truth = rng.choice(4, 400)
    given = {
        f"coder_{c}": np.where(rng.random(400) < 0.85, truth, rng.choice(4, 400)).astype(str)
        for c in "ab"
    }
    return pd.DataFrame({"complaint": range(400), "standard": truth.astype(str), **given})


def test_attribute_agreement_of_three_appraisers():
    case = _reference("attribute_agreement_binary")
    columns = ["complaint", "rater", "trial", "given", "standard"]
    long = pd.DataFrame(case["input"]["records"], columns=columns)
    keys = ["complaint", "trial", "standard"]
    table = long.pivot_table(index=keys, columns="rater", values="given", aggfunc="first")
    table, expected = table.reset_index(), case["expected"]
    found = standard_agreement(table, raters=["BL", "EG", "MH"], defect="No")
    rows = found.table.set_index(["assessment", "rater"])
    shares = ["matched", "inspected", "estimate", "low", "high"]

    def same(row, wanted):
        matched, inspected, low, high = wanted
        assert rows.loc[row, shares].tolist() == pytest.approx(
            [matched, inspected, matched / inspected, low / 100, high / 100], abs=5e-6
        )

    for rater, wanted in expected["per_appraiser"].items():
        same(("within", rater), wanted["within"])
        same(("vs standard", rater), wanted["vs_standard"])
    same(("between", ""), expected["between_matched"])
    same(("all vs standard", ""), expected["all_vs_standard"])
    fleiss, cohen = rows["fleiss_kappa"], rows["cohen_kappa"]
    assert fleiss["within"].to_dict() == pytest.approx(expected["fleiss_within"])
    assert fleiss["vs standard"].to_dict() == pytest.approx(expected["fleiss_vs_standard"])
    assert fleiss["between", ""] == pytest.approx(expected["fleiss_between"])
    assert fleiss["all vs standard", ""] == pytest.approx(expected["fleiss_vs_standard_all"])
    cohens = cohen["vs standard"].to_dict() | {"All": cohen["all vs standard", ""]}
    assert cohens == pytest.approx(expected["cohen_vs_standard"])
    for rater, wanted in expected["effectiveness"].items():
        row = rows.loc["vs standard", rater]
        assert 100 * row["miss"] == pytest.approx(wanted["miss_pct"], abs=5e-3)
        assert 100 * row["false_alarm"] == pytest.approx(wanted["false_alarm_pct"], abs=5e-3)
    assert "MH: as the standard says on 60.0 % (95% interval 32.3 to 83.7)" in found.sentence()
    assert "MH 67% and 10%" in found.sentence()
    assert found.most_trials == 3


def test_minitabs_limits_and_its_one_sided_one_where_all_match():
    case = _reference("attribute_agreement_minitab")
    n = case["input"]["n"]
    right = pd.DataFrame({"complaint": range(n), "standard": ["x"] * n})
    for name, matched in case["input"]["matched"].items():
        right[name] = ["x"] * matched + ["y"] * (n - matched)
    found = standard_agreement(right, raters=list(case["input"]["matched"]))
    rows = found.table[found.table["assessment"] == "vs standard"].set_index("rater")
    for name, (share, low, high) in case["expected"].items():
        row = rows.loc[name]
        shown = row["low_one_sided"] if row["matched"] == n else row["low"]
        assert [100 * row["estimate"], 100 * shown, 100 * row["high"]] == pytest.approx(
            [share, low, high], abs=case["tolerance"]
        )
    assert 100 * rows.loc["Holmes", "low"] == pytest.approx(100 * 0.025 ** (1 / 15))
    assert "Minitab print a one-sided lower limit" in found.sentence()


def test_bad_input(cases):
    table = cases.assign(standard="0")
    with pytest.raises(Problem, match="different standards"):
        standard_agreement(table.assign(complaint=1, standard=table["coder_a"]))
    with pytest.raises(Refusal, match="No rater filed"):
        standard_agreement(table.assign(coder_a=None, coder_b=None))
    with pytest.raises(Refusal, match="No rater filed"):
        standard_agreement(table.assign(standard=None))
    found = standard_agreement(table.assign(coder_b=None))
    assert found.silent == ("coder_b",)
    assert "No rater filed a case twice" in found.sentence()


def test_it_draws_and_speaks(cases):
    found = standard_agreement(cases)
    ax = found.plot(plt.figure().subplots())
    assert ax.get_title(loc="left") + ax.get_title()
    assert ax.lines
    first = found.sentence().splitlines()[0]
    assert "95% interval" in first
    assert len(first) <= 220
    plt.close("all")
