"""Kappa against published tables, statsmodels, and sums by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from statsmodels.stats.inter_rater import cohens_kappa

from sqm.checks import Problem, Refusal
from sqm.interval import wilson
from sqm.methods.agreement import LANDIS_KOCH, cohen_kappa, kappa_variance

REFERENCE = Path(__file__).parent / "reference"


def ratings(counts, names="abcdef"):
    pairs = [
        (names[i], names[j])
        for i, row in enumerate(counts)
        for j, times in enumerate(row)
        for _ in range(times)
    ]
    return pd.DataFrame(pairs, columns=["coder_a", "coder_b"])


def test_cohens_example_of_1968():
    case = json.loads((REFERENCE / "cohen_kappa_1968.json").read_text(encoding="utf-8"))
    counts, expected = case["input"]["table"], case["expected"]
    found = cohen_kappa(ratings(counts))
    assert found.kappa == pytest.approx(expected["kappa"], abs=1e-9)
    assert kappa_variance(np.array(counts)) == pytest.approx(expected["var_kappa"], abs=1e-9)
    half = 1.959964 * expected["var_kappa"] ** 0.5
    assert (found.low, found.high) == pytest.approx(
        (found.kappa - half, found.kappa + half), abs=1e-6
    )


def test_kappa_and_its_interval_are_those_of_statsmodels():
    counts = np.random.default_rng(1).integers(1, 9, size=(4, 4)) + 12 * np.eye(4, dtype=int)
    found, other = cohen_kappa(ratings(counts), confidence=0.95), cohens_kappa(counts)
    assert (found.kappa, found.low, found.high) == pytest.approx(
        (other.kappa, other.kappa_low, other.kappa_upp)
    )


def test_the_same_agreement_gives_two_kappas_where_a_category_is_rare():
    """Both tables agree on 85 of 100 (Feinstein and Cicchetti 1990, J Clin Epidemiol 43, 543).

    40, 9, 6, 45: p_e = .49 * .46 + .51 * .54 = .5008, kappa = .3492 / .4992 = .70.
    80, 10, 5, 5: p_e = .9 * .85 + .1 * .15 = .78, kappa = .07 / .22 = .32.
    AC1 of the second: q = .875, p_e = 2 * .875 * .125 = .21875, (.85 - .21875) / .78125 = .808.
    """
    even, rare = cohen_kappa(ratings([[40, 9], [6, 45]])), cohen_kappa(ratings([[80, 10], [5, 5]]))
    assert even.agreed == rare.agreed == 0.85
    assert even.kappa == pytest.approx(0.3492 / 0.4992)
    assert rare.kappa == pytest.approx(0.07 / 0.22)
    assert rare.ac1 == pytest.approx((0.85 - 0.21875) / 0.78125)
    assert (even.prevalence_index, rare.prevalence_index) == pytest.approx((0.05, 0.75))
    assert (rare.largest_category, rare.largest_share) == ("a", 0.875)


def test_percent_agreement_has_wilsons_interval():
    found = cohen_kappa(ratings([[40, 9], [6, 45]]))
    assert (found.agreed_low, found.agreed_high) == wilson(0.85, 100)


def test_positive_agreement_by_hand():
    # of a: 40 by both, 9 and 6 by one of them: 80 / 95
    row = cohen_kappa(ratings([[40, 9], [6, 45]])).table.loc[0]
    assert row[["first", "second", "both"]].tolist() == [49, 46, 40]
    assert row["estimate"] == pytest.approx(80 / 95)
    share_low, share_high = wilson(40 / 55, 55)
    assert row["low"] == pytest.approx(2 * share_low / (1 + share_low))
    assert row["high"] == pytest.approx(2 * share_high / (1 + share_high))


def test_of_two_categories_each_has_the_kappa_of_the_whole():
    found = cohen_kappa(ratings([[40, 9], [6, 45]]))
    assert found.table["kappa"].tolist() == pytest.approx([found.kappa] * 2)


def test_a_category_that_one_never_used():
    found = cohen_kappa(ratings([[20, 0, 3], [2, 20, 1], [0, 0, 0]]))
    row = found.table.set_index("category").loc["c"]
    assert (row["first"], row["second"], row["both"], row["estimate"], row["low"]) == (
        0,
        4,
        0,
        0,
        0,
    )
    assert row["kappa"] == pytest.approx(0)
    assert "They agree least on c (0%" in found.sentence()


def test_full_agreement_still_has_an_interval():
    found = cohen_kappa(ratings([[10, 0], [0, 10]]))
    least, _ = wilson(1.0, 20)
    # p_e is one half: kappa is 2 p_o - 1
    assert (found.kappa, found.low, found.high) == pytest.approx((1, 2 * least - 1, 1))
    assert found.confused == 0


def test_independent_coders_are_near_zero():
    rng = np.random.default_rng(3)
    data = pd.DataFrame(
        {"coder_a": rng.choice(list("xyz"), 4000), "coder_b": rng.choice(list("xyz"), 4000)}
    )
    found = cohen_kappa(data)
    assert found.low < 0 < found.high


def test_swapping_the_two_changes_no_coefficient():
    data = ratings([[20, 5, 1], [2, 20, 1], [4, 0, 9]])
    one, other = cohen_kappa(data), cohen_kappa(data, first="coder_b", second="coder_a")
    assert (one.kappa, one.low, one.ac1) == pytest.approx((other.kappa, other.low, other.ac1))


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Both right with .9 on three even categories, else one of the other two: 400 samples."""
    rng, held = np.random.default_rng(5), 0
    agreed = 0.9**2 + 2 * 0.05**2
    truth = (agreed - 1 / 3) / (2 / 3)
    for _ in range(400):
        case = rng.integers(0, 3, 200)
        a, b = ((case + (rng.random(200) < 0.1) * rng.integers(1, 3, 200)) % 3 for _ in "ab")
        found = cohen_kappa(pd.DataFrame({"coder_a": a.astype(str), "coder_b": b.astype(str)}))
        held += found.low <= truth <= found.high
    assert held / 400 == pytest.approx(0.95, abs=0.033)


def test_cases_filed_by_one_are_left_out_and_counted():
    data = ratings([[40, 9], [6, 45]])
    more = pd.concat([data, pd.DataFrame({"coder_a": ["a", None], "coder_b": [None, None]})])
    found = cohen_kappa(more)
    assert (found.pairs, found.left_out) == (100, 2)
    assert found.kappa == cohen_kappa(data).kappa


def test_the_sentence_says_the_numbers_and_whose_words():
    text = cohen_kappa(ratings([[40, 9], [6, 45]], names=["$pay", "<b>late 😀"])).sentence()
    assert "85.0 % (95% interval 76.7 to 90.7) of 100 cases" in text
    assert "kappa of 0.70 (95% interval 0.56 to 0.84)" in text
    assert "substantial (the interval reaches from moderate to almost perfect)" in text
    assert "Landis and Koch 1977" in text
    assert "files as $pay, coder_b files as <b>late 😀 (9 cases)" in text


@pytest.mark.parametrize(
    ("kappa", "word"), [(-0.1, "poor"), (0, "slight"), (0.204, "slight"), (0.81, "almost perfect")]
)
def test_words(kappa, word):
    assert LANDIS_KOCH.of(kappa) == word


def test_categories_of_any_type():
    text = ratings([[40, 9], [6, 45]])
    assert cohen_kappa(text.astype("category")).kappa == cohen_kappa(text).kappa
    numbers = text.replace({"a": "1", "b": "2"}).astype(int)
    assert cohen_kappa(numbers).table["category"].tolist() == ["1", "2"]


def test_bad_input():
    with pytest.raises(Refusal, match="9 usable rows"):
        cohen_kappa(ratings([[4, 1], [0, 4]]))
    with pytest.raises(Refusal, match="one category 'a' throughout"):
        cohen_kappa(ratings([[20]]))
    with pytest.raises(Problem, match="no column 'coder_b'"):
        cohen_kappa(ratings([[20]]).rename(columns={"coder_b": "b"}))


def test_picture():
    ax = cohen_kappa(ratings([[20, 0, 3], [2, 20, 1], [0, 0, 9]])).plot(plt.figure().subplots())
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == ["b (20)", "a (20)", "c (9)"]
    plt.close("all")
