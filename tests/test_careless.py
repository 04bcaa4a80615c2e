"""Who answered without reading, and what it does to the scales."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm.checks import Refusal
from sqm.methods.careless import careless, longest_run
from sqm.scales import alpha

REFERENCE = Path(__file__).parent / "reference"
PERQ = [f"PERQ{i}" for i in range(1, 8)]


@pytest.fixture
def answers():
    return pd.DataFrame(
        {"polite": [1, 2, 3, 4], "patient": [2, 2, 4, 4], "listens": [1, 3, 3, 5]}, dtype=float
    )


def test_longest_runs_as_the_package_careless_counts_them():
    case = json.loads((REFERENCE / "careless_longstring.json").read_text(encoding="utf-8"))
    found = longest_run(pd.DataFrame(case["input"]))
    assert found.tolist() == case["expected"]["longest_run"]


def test_one_answer_respondents_are_counted_and_left_out_for_comparison():
    rng = np.random.default_rng(3)
    person = rng.normal(size=(60, 1))
    data = pd.DataFrame(np.clip(np.round(4 + person + rng.normal(size=(60, 3))), 1, 7))
    data.columns = ["a", "b", "c"]
    data["c"] = 8 - data["c"]
    data.loc[:4, :] = 4.0
    data.loc[5, :] = [2.0, 2.0, np.nan]
    data.loc[6, :] = [2.0, np.nan, np.nan]
    same = (data.max(axis="columns") == data.min(axis="columns")).to_numpy()
    flat = same[7:].sum()
    found = careless(data, items=["a", "b", "c"], dimensions={"s": ["a", "b", "c"]}, declared=["c"])
    assert (found.respondents, found.left_out, found.one_answer) == (59, 1, 6 + flat)
    before, after = found.table["estimate"]
    turned = data.assign(c=8 - data["c"])
    assert before == pytest.approx(alpha(turned.dropna().to_numpy()))
    keep = data.index.isin([6]) | ~same
    assert after == pytest.approx(alpha(turned[keep].dropna().to_numpy()))
    assert f"{6 + flat} of 59 respondents" in found.sentence()


def test_bad_input(answers):
    with pytest.raises(Refusal, match="half of the items"):
        careless(answers * np.nan, items=list(answers), dimensions={"scale": list(answers)})


def test_picture_and_sentence(answers):
    found = careless(answers, items=list(answers), dimensions={"scale": list(answers)})
    ax = found.plot(plt.figure().subplots())
    assert ax.get_title().endswith("?")
    assert len(ax.get_yticklabels()) == len(found.table)
    assert found.sentence().endswith(".")
    plt.close("all")
