"""Kappa against published tables, statsmodels, and sums by hand."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats
from statsmodels.stats.inter_rater import cohens_kappa

from sqm.checks import Problem, Refusal
from sqm.interval import wilson
from sqm.methods import agreement
from sqm.methods.agreement import (
    LANDIS_KOCH,
    agreement_card,
    category_agreement,
    cohen_kappa,
)
from sqm.ratings import kappa_variance

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
    half = stats.t.ppf(0.975, 99) * expected["var_kappa"] ** 0.5 / (1 - expected["kappa"] ** 2)
    at = np.arctanh(expected["kappa"])
    assert (found.low, found.high) == pytest.approx(
        (np.tanh(at - half), np.tanh(at + half)), abs=1e-6
    )


def test_kappa_and_its_variance_are_those_of_statsmodels():
    counts = np.random.default_rng(1).integers(1, 9, size=(4, 4)) + 12 * np.eye(4, dtype=int)
    other = cohens_kappa(counts)
    assert cohen_kappa(ratings(counts)).kappa == pytest.approx(other.kappa)
    assert kappa_variance(counts) == pytest.approx(other.var_kappa)


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
    assert "kappa of 0.70 (95% interval 0.53 to 0.82)" in text
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


# --- Every coefficient side by side ---------------------------------------------------------------


def reference(name):
    return json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))


def wide(rows, prefix="rater_"):
    """One row per case from lists of ratings by case."""
    table = pd.DataFrame(rows, dtype=object)
    table.columns = [f"{prefix}{i}" for i in table]
    return table


def card_of(table, **more):
    return agreement_card(table, raters=list(table), **more).table.set_index(
        ["coefficient", "weights"]
    )["estimate"]


@pytest.fixture(scope="module")
def cases():
    """400 cases, three raters, .85 right, else at random among four ordered categories."""
    rng = np.random.default_rng(11)
    truth = rng.choice(4, 400, p=[0.4, 0.3, 0.2, 0.1])
    given = {
        f"coder_{c}": np.where(rng.random(400) < 0.85, truth, rng.choice(4, 400)).astype(str)
        for c in "abc"
    }
    return pd.DataFrame(given)


def test_fleiss_of_1971_with_conger_light_and_each_category():
    case = reference("fleiss_kappa_1971")
    table, expected = wide(case["input"]["ratings"]), case["expected"]
    found = card_of(table)
    assert found["Fleiss' kappa", "none"] == pytest.approx(expected["fleiss_kappa"], abs=1e-6)
    assert found["Conger's kappa", "none"] == pytest.approx(expected["conger_exact"], abs=1e-6)
    assert found["Light's kappa", "none"] == pytest.approx(expected["light"], abs=1e-6)
    by_category = category_agreement(table, raters=list(table)).table
    assert by_category["kappa"].to_numpy() == pytest.approx(
        expected["per_category"]["Kappa"], abs=6e-4
    )


def test_fleiss_of_ten_cases_and_fourteen_raters():
    case = reference("fleiss_kappa_10x14")
    rows = [
        np.repeat(np.arange(5), counts).tolist()
        for counts in case["input"]["table_subjects_x_categories"]
    ]
    found = agreement_card(wide(rows), raters=[f"rater_{i}" for i in range(14)])
    row = found.table.set_index("coefficient").loc["Fleiss' kappa"]
    assert row["estimate"] == pytest.approx(case["expected"]["kappa"], abs=1e-9)
    assert row["chance"] == pytest.approx(case["expected"]["P_e"], abs=1e-9)
    assert found.agreed == pytest.approx(case["expected"]["P_bar"], abs=1e-9)


@pytest.mark.parametrize("name", ["weighted_kappa_1968", "weighted_kappa_1968_shares"])
def test_cohens_own_weights_of_1968(name):
    case = reference(name)
    given, expected = case["input"], case["expected"]
    counts = given.get("table") or np.rint(np.array(given["table_prop"]) * given["n"]).astype(int)
    weights = pd.DataFrame(given["disagreement_weights"], index=list("abc"), columns=list("abc"))
    found = card_of(ratings(counts), ordered="abc", disagreement=weights)
    custom = expected.get("weighted_kappa_custom_w", expected.get("weighted_kappa"))
    assert found["Cohen's kappa", "none"] == pytest.approx(expected["kappa"], abs=case["tolerance"])
    assert found["Cohen's kappa", "own"] == pytest.approx(custom, abs=case["tolerance"])
    if "weighted_kappa_quadratic" in expected:
        assert found["Cohen's kappa", "quadratic"] == pytest.approx(
            expected["weighted_kappa_quadratic"], abs=1e-6
        )


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("krippendorff_alpha_c", "ratings_by_coder"),
        ("krippendorff_alpha_4x12", "reliability_data_observers_x_units"),
    ],
)
def test_krippendorffs_example_with_blanks_at_every_level(name, key):
    case = reference(name)
    table = wide(np.array(case["input"][key], dtype=object).T)
    found = card_of(table, ordered=[1, 2, 3, 4, 5])
    for metric, expected in case["expected"].items():
        weights = "none" if metric == "nominal" else metric
        assert found["Krippendorff's alpha", weights] == pytest.approx(expected, abs=1e-6)


def test_two_raters_alpha_is_fleiss_with_the_small_sample_correction():
    # observed over expected disagreement, the latter without replacement from 2n = 200 ratings
    found = card_of(ratings([[40, 9], [6, 45]]))
    fleiss, alpha = found["Fleiss' kappa", "none"], found["Krippendorff's alpha", "none"]
    assert alpha == pytest.approx(1 - (1 - fleiss) * 199 / 200)


def test_pabak_and_ac1_by_hand():
    # 80, 10, 5, 5: p_o = .85, PABAK = .7; AC1 as above in the test of two kappas
    found = agreement_card(ratings([[80, 10], [5, 5]]))
    table = found.table.set_index("coefficient")["estimate"]
    assert table["PABAK"] == pytest.approx(0.7)
    assert table["Gwet's AC1"] == pytest.approx((0.85 - 0.21875) / 0.78125)
    assert (found.prevalence_index, found.bias_index) == pytest.approx((0.75, 0.05))
    assert (found.agreed_low, found.agreed_high) == pytest.approx(wilson(0.85, 100))
    assert found.estimate == cohen_kappa(ratings([[80, 10], [5, 5]])).kappa
    assert found.lowest_name == "Fleiss' kappa"
    assert found.highest_name == "Gwet's AC1"


def test_kendalls_w_is_the_mean_rank_correlation(cases):
    table = cases.astype(float)
    rho = [stats.spearmanr(table[a], table[b]).statistic for a, b in combinations(table, 2)]
    sums = table.rank().sum(axis=1)
    ties = sum((t**3 - t).sum() for t in (table[c].value_counts() for c in table))
    n, m = table.shape
    by_textbook = 12 * ((sums - sums.mean()) ** 2).sum() / (m**2 * (n**3 - n) - m * ties)
    w = card_of(cases, ordered="0123")["Kendall's W", "ranks"]
    assert w == pytest.approx(by_textbook)
    assert w == pytest.approx((1 + 2 * np.mean(rho)) / 3, abs=2e-3)


def test_the_jackknife_is_that_of_leaving_out_each_case_in_turn():
    table = ratings([[14, 3, 1], [2, 9, 2], [1, 0, 8]])
    row = agreement_card(table).table.set_index("coefficient").loc["Fleiss' kappa"]
    each = [card_of(table.drop(index=i))["Fleiss' kappa", "none"] for i in range(len(table))]
    n = len(table)
    spread = np.sqrt((n - 1) / n * ((np.array(each) - np.mean(each)) ** 2).sum())
    half = stats.t.ppf(0.975, n - 1) * spread / (1 - row["estimate"] ** 2)
    assert np.arctanh(row["high"]) - np.arctanh(row["low"]) == pytest.approx(2 * half)


def test_order_of_raters_and_of_rows_changes_nothing(cases):
    one = agreement_card(cases, raters=list(cases), ordered="0123").table
    mixed = cases.sample(frac=1, random_state=1)
    other = agreement_card(mixed, raters=list(cases)[::-1], ordered="0123").table
    columns = ["estimate", "low", "high"]
    assert one[columns].to_numpy() == pytest.approx(other[columns].to_numpy())


def test_blocks_of_patterns_give_the_same(cases, monkeypatch):
    whole = agreement_card(cases, raters=list(cases), ordered="0123").table
    monkeypatch.setattr(agreement, "AT_ONCE", 200)
    parts = agreement_card(cases, raters=list(cases), ordered="0123").table
    assert parts["low"].to_numpy() == pytest.approx(whole["low"].to_numpy())


def test_a_rater_who_rated_nothing_is_named_and_left_out(cases):
    silent = cases.assign(coder_d=None)
    found = agreement_card(silent, raters=list(silent))
    assert (found.raters, found.silent) == (("coder_a", "coder_b", "coder_c"), ("coder_d",))
    assert "Without any rating, so not compared: coder_d." in found.sentence()
    with pytest.raises(Refusal, match="Without any rating: coder_d"):
        agreement_card(silent, raters=["coder_a", "coder_d"])


def test_full_agreement_of_three(cases):
    same = pd.DataFrame(dict.fromkeys(cases, cases["coder_a"]))
    table = agreement_card(same, raters=list(same), ordered="0123").table
    assert (table["estimate"] == 1).all()
    assert (table["low"].dropna() < 1).all()
    assert "no lower limit" in table["note"].iloc[-1]


def test_no_case_filed_by_all_leaves_congers_open(cases):
    rolled = cases.copy()
    rolled.iloc[::3, 0] = rolled.iloc[1::3, 1] = rolled.iloc[2::3, 2] = None
    found = agreement_card(rolled, raters=list(rolled))
    row = found.table.set_index("coefficient").loc["Conger's kappa"]
    assert np.isnan(row["estimate"])
    assert row["note"] == "only 0 cases were filed by every rater"
    assert found.leading == "Krippendorff's alpha"
    assert found.low < found.estimate < found.high


def test_bad_input_of_the_card(cases):
    with pytest.raises(Problem, match="name two columns"):
        agreement_card(cases, raters=["coder_a"])
    with pytest.raises(Problem, match="'3', which the order does not name"):
        agreement_card(cases, ordered="012")
    with pytest.raises(Refusal, match="one category 'a' throughout"):
        agreement_card(ratings([[20]]))
    with pytest.raises(Refusal, match="200 categories"):
        agreement_card(pd.DataFrame({"coder_a": range(200), "coder_b": range(200)}))
    with pytest.raises(Refusal, match="9 usable rows"):
        agreement_card(ratings([[4, 1], [0, 4]]))
    lopsided = pd.DataFrame([[0, 1], [2, 0]], index=list("ab"), columns=list("ab"))
    with pytest.raises(Problem, match="no table of disagreement"):
        agreement_card(ratings([[40, 9], [6, 45]]), disagreement=lopsided)


def test_numbers_with_blanks_are_the_same_categories(cases):
    floats = cases.astype(float)
    assert card_of(floats)["Fleiss' kappa", "none"] == card_of(cases)["Fleiss' kappa", "none"]


def test_a_category_that_one_rater_alone_used():
    found = category_agreement(ratings([[20, 0, 3], [2, 20, 1], [0, 0, 0]]))
    row = found.table.set_index("category").loc["c"]
    assert (row["uses"], row["raters"], row["estimate"], row["low"]) == (4, 1, 0, 0)
    assert row["high"] == pytest.approx(wilson(0, 4)[1])
    assert "Used by one rater only: c." in found.sentence()
    assert "Most often mistaken for each other: a and c (50%" in found.sentence()


def test_specific_agreement_of_two_is_that_of_cohens_table():
    table = ratings([[20, 5, 1], [2, 20, 1], [4, 0, 9]])
    one, other = category_agreement(table).table, cohen_kappa(table).table
    assert one["estimate"].to_numpy() == pytest.approx(other["estimate"].to_numpy())


@pytest.mark.parametrize(
    "answer",
    [
        lambda d: agreement_card(d, raters=["coder_a", "coder_b", "coder_c"], ordered="0123"),
        lambda d: category_agreement(d),
    ],
)
def test_every_finding_draws_and_speaks(cases, answer):
    found = answer(cases)
    ax = found.plot(plt.figure().subplots())
    assert ax.get_title(loc="left") + ax.get_title()
    assert ax.lines
    first = found.sentence().splitlines()[0]
    assert "95% interval" in first
    assert len(first) <= 220
    plt.close("all")
