"""Codes that act as answers are asked about, ratings are left in peace."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm.checks import Problem, Refusal
from sqm.methods.codes import suspect_codes

ITEMS = list("abcdef")


@pytest.fixture
def ratings():
    """Six items from 0 to 5 on one trait; every value, 0 too, is a rating."""
    rng = np.random.default_rng(5)
    trait = rng.normal(size=(2000, 1))
    answers = np.clip(np.round(2.8 + 1.2 * (trait + rng.normal(size=(2000, 6)))), 0, 5)
    return pd.DataFrame(answers, columns=ITEMS)


@pytest.fixture
def coded(ratings):
    """The same from 1 to 5, and 0 for 'not applicable', by chance, the trait disregarded."""
    rng = np.random.default_rng(6)
    return ratings.clip(lower=1).mask(rng.random(ratings.shape) < 0.03, 0.0)


def test_true_ratings_raise_no_cry(ratings):
    found = suspect_codes(ratings, items=ITEMS, points=(0, 5))
    assert found.suspects == ()
    assert (found.table["high"] < 0.5).all()
    assert found.sentence().startswith("No value looks like a code")


def test_a_code_given_regardless_of_the_trait_is_found(coded):
    found = suspect_codes(coded, items=ITEMS, points=(0, 5))
    whole = found.table.iloc[0]
    assert found.suspects == (0.0,)
    assert (whole["value"], whole["item"]) == (0.0, "all items")
    assert whole["low"] < 1 < whole["high"]
    assert whole["mean_without"] == pytest.approx(np.nanmean(coded[coded != 0]))
    assert whole["shift"] == pytest.approx(whole["mean_without"] - coded.to_numpy().mean())
    assert whole["shift_low"] > 0
    assert "Is 0 a code?" in found.sentence()
    assert "`missing_answers`" in found.sentence()


def test_an_item_worded_in_reverse_is_no_code(ratings):
    ratings["f"] = 5 - ratings["f"]
    assert suspect_codes(ratings, items=ITEMS, points=(0, 5)).suspects == ()


def test_those_who_gave_one_answer_throughout_do_not_make_a_code(ratings):
    ratings["f"] = 5 - ratings["f"]
    flat = pd.concat([ratings, pd.DataFrame(5.0, index=range(40), columns=ITEMS)])
    assert suspect_codes(flat, items=ITEMS, points=(0, 5)).suspects == ()


@pytest.mark.parametrize("points", [(0, 5), None])
@pytest.mark.parametrize("code", [-99.0, 99.0])
def test_values_off_the_scale(ratings, points, code):
    ratings.loc[:2, "b"] = code
    found = suspect_codes(ratings, items=ITEMS, points=points)
    assert found.suspects == (code,)
    assert found.points == (0, 5)
    rows = found.table[found.table["suspected"]]
    assert rows["item"].tolist() == ["all items", "b"]
    sign = "it is off the scale, and a usual code" if points else "it is off the scale"
    assert rows["sign"].str.startswith(sign).all()


def test_a_value_in_one_item_only(ratings):
    data = ratings.clip(lower=1)
    data.loc[:60, "c"] = 0.0
    found = suspect_codes(data, items=ITEMS, points=(0, 5))
    assert found.suspects == (0.0,)
    assert "no other item has it" in found.sentence()


def test_one_item_beside_others_that_are_not_examined(coded):
    found = suspect_codes(coded, items=["a"], others=ITEMS[1:], points=(0, 5))
    assert found.suspects == (0.0,)
    assert found.items == 1


def test_one_item_alone_has_nothing_to_compare_with(ratings):
    found = suspect_codes(ratings, items=["a"], points=(0, 5))
    assert found.suspects == ()
    assert "nothing to compare with" in found.sentence()


def test_twelve_respondents_are_too_few_to_tell(coded):
    found = suspect_codes(coded[:12], items=ITEMS, points=(0, 5))
    assert found.table["estimate"].isna().all()
    assert found.suspects == ()


def test_bad_input(ratings):
    with pytest.raises(Problem, match="does not hold numbers"):
        suspect_codes(ratings.astype(str), items=ITEMS, points=(0, 5))
    with pytest.raises(Problem, match="runs from 5 to 0"):
        suspect_codes(ratings, items=ITEMS, points=(5, 0))
    with pytest.raises(Problem, match="No item"):
        suspect_codes(ratings, items=[], points=(0, 5))
    with pytest.raises(Refusal, match="No item has an answer"):
        suspect_codes(ratings * np.nan, items=ITEMS, points=(0, 5))


def test_the_items_of_a_code_are_counted_where_none_is_sure_by_itself(coded):
    found = suspect_codes(coded.head(300), items=ITEMS, points=(0, 5))
    assert found.suspects == (0.0,)
    assert found.table["suspected"].tolist()[:2] == [True, False]  # all items together, none alone
    assert "times (6 items)" in found.sentence()


def test_a_scale_of_which_not_even_half_is_used_is_asked_about(ratings):
    found = suspect_codes(ratings, items=ITEMS, points=(0, 100))
    assert found.given == (0, 5)
    first = found.sentence().splitlines()[0]
    assert "all answers lie from 0 to 5, on a scale said to run from 0 to 100: check" in first
    assert len(first) <= 220
    for points in ((0, 5), (0, 7), None):
        assert "said to run" not in suspect_codes(ratings, items=ITEMS, points=points).sentence()


def test_picture_and_first_line(ratings, coded):
    for data in (coded, ratings, ratings[["a"]]):
        found = suspect_codes(data, items=list(data), points=(0, 5))
        assert found.plot(plt.figure().subplots()).get_title().endswith("?")
        assert len(found.sentence().splitlines()[0]) <= 220
        plt.close("all")
