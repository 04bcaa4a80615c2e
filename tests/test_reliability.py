"""Alpha against sums done by hand, identities, and what psych and careless print."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pingouin
import pytest
from matplotlib import pyplot as plt

from sqm import factors, scales
from sqm.checks import Problem
from sqm.measurement_model import composite, one_factor
from sqm.methods.reliability import (
    cronbach_alpha,
    grouped_omegas,
    item_table,
    reliability_card,
)

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


def test_copies_are_named_and_one_value_is_not_called_least_and_most(answers):
    copies = answers.assign(again=answers["polite"])
    both = ["polite", "again"]
    words = cronbach_alpha(copies, dimensions={"x": both, "z": both})
    assert "polite and again are answered alike by everyone." in words.sentence()
    assert "most for" not in words.sentence()
    assert "(nobody left one blank)" in words.sentence()
    whole = cronbach_alpha(copies, dimensions={"all": [*answers, "again"]})
    assert whole.table["note"].tolist() == ["polite and again are answered alike by everyone"]


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


# --- The card -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bfi():
    case = _case("reliability_bfi")
    given = {
        item: [np.nan if c == "." else int(c) for c in text] for item, text in case["input"].items()
    }
    return pd.DataFrame(given), case["expected"]


def card(answers, dimensions=None, *, points=(1, 10), **settings):
    dimensions = dimensions or {"scale": list(answers)}
    rng = np.random.default_rng(1)
    return reliability_card(answers, dimensions=dimensions, points=points, rng=rng, **settings)


def values_of(found, column="estimate"):
    return found.table.set_index("coefficient")[column]


def test_published_card(ecsi):
    data, expected = ecsi
    printed = _case("guttman_omega_ecsi")["expected"]
    found = card(data[PERQ])
    estimates = values_of(found)
    omega = printed["omega"]
    assert estimates["omega (one factor)"] == pytest.approx(omega["cfa_omega_unidim"], abs=1e-4)
    assert estimates["alpha"] == pytest.approx(expected["raw_alpha"], abs=1e-9)
    assert estimates["omega total (3 groups)"] == pytest.approx(
        omega["psych_omega_total_3f"], abs=0.005
    )
    assert estimates["omega hierarchical (3 groups)"] == pytest.approx(
        omega["psych_omega_h_3f"], abs=0.005
    )
    assert "35 splits, all there are" in values_of(found, "note")["split-half (mean of splits)"]
    assert "omega 0.87 (95% interval 0.84 to 0.90)" in found.sentence().splitlines()[0]


def test_published_bounds_of_the_correlations(ecsi):
    data, _ = ecsi
    expected = _case("guttman_omega_ecsi")["expected"]["guttman"]
    r = data[PERQ].corr().to_numpy()
    halves = scales.halvings(7, most=100, rng=np.random.default_rng(1))
    assert len(halves) == 35
    assert scales.lambda_4(r, halves) == pytest.approx(expected["lambda4_max"], abs=1e-6)
    assert scales.lambda_6(r) == pytest.approx(expected["lambda6"], abs=1e-6)
    found = [scales.ten_berge(r, step=step) for step in range(4)]
    assert found == pytest.approx(expected["tenberge_mu0_mu3"], abs=1e-6)
    assert found[1] == pytest.approx(expected["lambda2"], abs=1e-6)


def test_published_reversed_item_and_blanks(bfi):
    data, expected = bfi
    raw = scale(data).table.loc[0]
    keying = expected["keying"]
    assert raw["respondents"] == keying["n_complete"]
    assert raw["estimate"] == pytest.approx(keying["listwise_unkeyed"], abs=1e-6)
    limits = keying["feldt_listwise_complete_n"]
    assert [raw["low"], raw["high"]] == pytest.approx(list(limits.values()), abs=1e-6)
    turned = data.assign(A1=7 - data["A1"])
    row, items = scale(turned).table.loc[0], item_table(turned, dimensions={"scale": list(turned)})
    printed = expected["alpha"]
    assert row["estimate"] == pytest.approx(printed["raw_alpha"], abs=1e-6)
    assert [row["low"], row["high"]] == pytest.approx(list(printed["feldt"].values()), abs=1e-6)
    table = items.table.set_index("item")
    assert table["estimate"].to_dict() == pytest.approx(printed["r_drop"], abs=1e-6)
    assert table["alpha_without"].to_dict() == pytest.approx(printed["alpha_if_dropped"], abs=1e-6)
    r = turned.dropna().corr().to_numpy()
    assert scales.ten_berge(r) == pytest.approx(printed["std_alpha"], abs=1e-6)
    assert scales.lambda_6(r) == pytest.approx(printed["G6"], abs=1e-6)


def test_published_ordinal_alpha(bfi):
    data, expected = bfi
    turned = data.assign(A1=7 - data["A1"])
    found = card(turned, points=(1, 6), turned=["A1"])
    row = found.table.set_index("coefficient").loc["ordinal alpha"]
    assert row["estimate"] == pytest.approx(expected["ordinal_alpha"], abs=1e-4)
    assert row["low"] < row["estimate"] < row["high"]
    assert "2,709 respondents, 91 with a blank left out; turned round before: A1." in str(
        found.sentence()
    )


def test_published_omegas_of_five_groups():
    case = _case("factors_bfi25")
    expected = case["expected"]["omega_bfi25_schmid_leiman"]["values"]
    r = np.array(case["input"]["correlations"])
    general, _ = factors.schmid_leiman(r, factors=5)
    keyed = r * np.outer(np.sign(general), np.sign(general))  # as psych turns items round
    total, hierarchical = grouped_omegas(keyed, groups=5)
    assert total == pytest.approx(expected["omega_total"], abs=0.005)
    assert hierarchical == pytest.approx(expected["omega_h"], abs=0.005)
    assert scales.lambda_6(keyed) == pytest.approx(expected["G6"], abs=1e-6)


def test_published_servqual_alphas():
    r = np.array(_case("factors_servqual_1992")["input"]["correlations"])
    case = _case("alpha_servqual22")
    assert scales.ten_berge(r) == pytest.approx(case["expected"]["alpha_all22"], abs=1e-6)
    for name, span in case["input"]["dimensions"].items():
        first, last = map(int, span.removeprefix("Q").split("-"))
        part = r[first - 1 : last, first - 1 : last]
        printed = case["expected"]["alpha_dims"][name]["alpha_std"]
        assert scales.ten_berge(part) == pytest.approx(printed, abs=1e-6)


@pytest.mark.parametrize("k", [3, 4, 5, 8])
def test_all_coefficients_agree_for_parallel_items(k):
    """Equal correlations .5: every coefficient but lambda 6 is k / (k + 1), exactly."""
    answers = _sample_with_covariance(np.full((k, k), 0.5) + 0.5 * np.eye(k))
    estimates = values_of(card(answers, points=(-9, 9)))
    for name in ("omega (one factor)", "alpha", "split-half (mean of splits)", "lambda 2"):
        assert estimates[name] == pytest.approx(k / (k + 1), abs=1e-6), name
    if k % 2 == 0:
        assert estimates["lambda 4 (best split)"] == pytest.approx(k / (k + 1))


def test_the_interval_of_omega_is_that_of_a_bootstrap():
    rng = np.random.default_rng(3)
    data = rng.normal(size=(400, 1)) * [1, 0.8, 0.6, 0.4] + rng.normal(size=(400, 4))
    low, high = card(pd.DataFrame(data), points=(-9, 9)).table.loc[0, ["low", "high"]]
    rows = rng.integers(0, 400, (150, 400))
    again = [_omega(np.cov(data[each], rowvar=False)) for each in rows]
    assert high - low == pytest.approx(2 * 1.96 * np.std(again), rel=0.2)


def test_fifteen_items_have_splits_drawn_by_chance_and_the_same_twice():
    rng = np.random.default_rng(8)
    answers = pd.DataFrame(rng.normal(size=(60, 1)) + rng.normal(size=(60, 15)))
    found, again = card(answers, points=(-9, 9)), card(answers, points=(-9, 9))
    pd.testing.assert_frame_equal(found.table, again.table)
    notes = values_of(found, "note")
    assert notes["split-half (mean of splits)"] == "2,000 splits drawn by chance"
    assert notes["lambda 4 (best split)"] == "too many splits"


def test_items_of_one_factor_have_no_groups(ecsi):
    data, _ = ecsi
    found = card(data[PERQ])
    row = found.table.set_index("coefficient").loc["omega hierarchical (3 groups)"]
    assert row["note"].startswith("the items hardly fall into 3 groups")
    assert np.isnan(row["low"])
    assert "hierarchical" not in found.sentence()


def test_items_of_three_groups_have_both_omegas_with_intervals():
    rng = np.random.default_rng(5)
    groups = np.repeat(rng.normal(size=(2000, 3)), 3, axis=1)
    answers = rng.normal(size=(2000, 1)) * 0.6 + groups * 0.6 + rng.normal(size=(2000, 9)) * 0.5
    found = card(pd.DataFrame(answers), points=(-9, 9))
    assert "omega total and hierarchical are approximate" in found.sentence()
    table = found.table.set_index("coefficient")
    total = 9 * 0.97 + 18 * 0.72 + 54 * 0.36  # the sum of all covariances
    for name, truth in [("total", 1 - 9 * 0.25 / total), ("hierarchical", 81 * 0.36 / total)]:
        row = table.loc[f"omega {name} (3 groups)"]
        assert row["low"] < truth < row["high"]
        assert row["high"] - row["low"] < 0.1


def test_the_card_notes_what_cannot_be_given(ecsi):
    data, expected = ecsi
    data = data.assign(flat=5, twin=data["PERQ1"])
    found = card(
        data,
        {
            "value": ["PERV1", "PERV2"],
            "one": ["PERQ1"],
            "flat": ["PERQ1", "PERQ2", "flat"],
            "twin": ["PERQ1", "PERQ2", "twin"],
        },
    )
    table = found.table.set_index(["dimension", "coefficient"])
    two = table.loc[("value", "Spearman-Brown")]
    assert two["estimate"] == pytest.approx(expected["spearman_brown"], abs=1e-9)
    assert two["leading"]
    assert table.loc[("value", "omega (one factor)"), "note"] == "needs three items"
    assert np.isnan(table.loc[("flat", "alpha"), "estimate"])
    assert "Not given at all: one (one item has no internal consistency); flat" in found.sentence()
    assert "twin (PERQ1 and twin are answered alike by everyone)" in found.sentence()
    nothing = card(data, {"one": ["PERQ1"]})
    assert nothing.sentence().startswith("No scale's reliability can be given: one (")


def test_a_heywood_case_leaves_alpha_to_speak():
    """r = .7, .7, .2: the first item's loading would be (.7 * .7 / .2)^.5 = 1.57."""
    r = np.array([[1, 0.7, 0.7], [0.7, 1, 0.2], [0.7, 0.2, 1]])
    found = card(_sample_with_covariance(r), points=(-9, 9))
    row = found.table.set_index("coefficient").loc["omega (one factor)"]
    assert np.isnan(row["estimate"])
    assert row["note"]
    assert "alpha" in found.sentence().splitlines()[0]
    assert "Omega could not be given for scale." in found.sentence()


def test_twelve_respondents_and_answers_off_the_scale(ecsi):
    data, _ = ecsi
    found = card(data[PERQ].iloc[:12])
    notes = values_of(found, "note")
    assert notes["omega total (3 groups)"] == "needs 50 respondents"
    known = found.table.dropna(subset=["low", "high"])
    assert (known["low"] < known["estimate"]).all()
    with pytest.raises(Problem, match="outside 1 to 5"):
        card(data[PERQ], points=(1, 5))


def test_the_cards_picture(ecsi):
    data, _ = ecsi
    found = card(data, {"$<b>质量": PERQ, "value": ["PERV1", "PERV2"]})
    ax = found.plot(plt.figure().subplots())
    assert ax.get_title().endswith("?")
    assert len(ax.get_yticklabels()) == 6
    assert len(found.sentence().splitlines()[0]) <= 220
    plt.close("all")


def _omega(covariance):
    fit = one_factor(covariance, respondents=400)
    return composite(fit)[0]


def _case(name):
    return json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))


def _sample_with_covariance(covariance, n=50):
    """A sample whose covariance matrix is ``covariance`` to rounding error."""
    k = len(covariance)
    raw = np.random.default_rng(1).normal(size=(n, k))
    raw -= raw.mean(axis=0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw.T))).T
    return pd.DataFrame(white @ np.linalg.cholesky(covariance).T).rename(columns="q{}".format)
