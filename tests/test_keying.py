"""A reversed item is found, its neighbours are not."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm.checks import Problem
from sqm.methods.keying import reversed_items, turn_round

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


def test_turning_twice_changes_nothing(answers):
    once = turn_round(answers, items=["polite"], points=(1, 5))
    assert once["polite"].tolist() == [5, 4, 3, 2]
    assert turn_round(once, items=["polite"], points=(1, 5)).equals(answers)


def test_a_reversed_item_is_suspected_and_the_others_are_not(ecsi):
    data, expected = ecsi
    spoilt = data.assign(PERQ3=11 - data["PERQ3"])
    found = reversed_items(spoilt, dimensions={"quality": PERQ})
    assert (found.suspects, found.confirmed) == (("PERQ3",), ())
    signs = {item: -1 if item == "PERQ3" else 1 for item in PERQ}
    recorded = found.table.set_index("item")["estimate"]
    # the other items are judged against the rest with PERQ3 put right: psych's own figures
    assert recorded.to_dict() == pytest.approx(
        {item: signs[item] * r for item, r in expected["r_drop"].items()}
    )
    assert "Not declared: PERQ3 (-0.67" in found.sentence()


def test_declared_items_are_confirmed_or_not(ecsi):
    data, _ = ecsi
    spoilt = data.assign(**{item: 11 - data[item] for item in ("PERQ1", "PERQ3", "PERQ5")})
    found = reversed_items(
        spoilt, dimensions={"quality": PERQ}, declared=["PERQ1", "PERQ3", "PERQ7"]
    )
    assert found.confirmed == ("PERQ1", "PERQ3")
    assert found.suspects == ("PERQ5",)
    assert found.unconfirmed == ("PERQ7",)
    assert "may have been turned round before" in found.sentence()


def test_of_two_items_that_disagree_the_numbers_cannot_say_which(ecsi):
    data, _ = ecsi
    pair = data.assign(PERV1=11 - data["PERV1"])[["PERV1", "PERV2"]]
    found = reversed_items(pair, dimensions={"value": ["PERV1", "PERV2"]})
    assert found.suspects == ("PERV1", "PERV2")
    assert "the wording must say" in found.table["note"][0]
    known = reversed_items(pair, dimensions={"value": ["PERV1", "PERV2"]}, declared=["PERV1"])
    assert (known.confirmed, known.suspects) == (("PERV1",), ())


def test_unrelated_items_are_seldom_suspected():
    """One side of a 95 % interval: 2.5 % of 500 items is 13, standard deviation 4."""
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(100):
        noise = pd.DataFrame(rng.normal(size=(200, 5)), columns=list("abcde"))
        hits += len(reversed_items(noise, dimensions={"noise": list("abcde")}).suspects)
    assert hits < 25


def test_bad_input(answers):
    with pytest.raises(Problem, match="belongs to no scale"):
        reversed_items(answers, dimensions={"scale": list(answers)}, declared=["rude"])
    with pytest.raises(Problem, match="outside 1 to 4"):
        turn_round(answers, items=["listens"], points=(1, 4))


def test_picture_and_sentence(answers):
    found = reversed_items(answers, dimensions={"scale": list(answers)})
    ax = found.plot(plt.figure().subplots())
    assert ax.get_title().endswith("?")
    assert len(ax.get_yticklabels()) == len(found.table)
    assert found.sentence().endswith(".")
    plt.close("all")
