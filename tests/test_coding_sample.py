"""A coding sample against sums by hand, identities and limiting cases."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm.checks import Problem, Refusal
from sqm.interval import wilson
from sqm.methods.coding_sample import coded_shares, draw_sample


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def complaints(rng, n=3000, wrong=0.2):
    """Complaints of three kinds, and an automatic label that is wrong at random."""
    true = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    label = np.where(rng.random(n) < wrong, (true + 1) % 3, true)
    names = np.array(["bill", "wait", "staff"])
    return pd.DataFrame(
        {"complaint": [f"R{i}" for i in range(n)], "category": names[label], "true": names[true]}
    )


def read(sheet, cases):
    """The sheet as a coder who is always right fills it in."""
    true = cases.set_index("complaint")["true"]
    return sheet.assign(coder_a=sheet["complaint"].map(true), coder_b=sheet["complaint"].map(true))


def shares(found, method="combined"):
    return found.table[found.table["method"] == method].set_index("category")


# --- the sheet ------------------------------------------------------------------------------------


def test_each_label_has_its_share_and_its_least(rng):
    cases = pd.DataFrame({"complaint": range(100), "category": ["a"] * 60 + ["b"] * 38 + ["c"] * 2})
    found = draw_sample(cases, size=30, least_per_stratum=5, rng=rng)
    # c has but 2, which leaves 28 for 98: 17.14 and 10.86
    assert dict(zip(found.names, found.drawn_of_each, strict=True)) == {"a": 17, "b": 11, "c": 2}
    sheet = found.table
    assert (1 / sheet["chance"]).sum() == pytest.approx(100)
    assert sheet["complaint"].is_unique and (sheet[["coder_a", "coder_b"]] == "").all().all()
    assert not sheet["stratum"].is_monotonic_increasing  # the order tells nothing


def test_the_same_seed_draws_the_same():
    cases = complaints(np.random.default_rng(1))
    one, same, other = (
        draw_sample(cases, size=50, rng=np.random.default_rng(seed)).table["complaint"].tolist()
        for seed in (1, 1, 2)
    )
    assert one == same != other


def test_the_sheet_hides_numbers_and_runs_no_formula(rng):
    texts = ["=HYPERLINK('x')", "Call +34 600 111 222", None, " ＋1+1", "等了很久 😠"]
    cases = pd.DataFrame({"complaint": range(5), "category": "a", "text": texts})
    sheet = draw_sample(cases, size=5, rng=rng).table.set_index("complaint")["text"]
    assert sheet[0] == "'=HYPERLINK('x')" and sheet[3].startswith("'")
    assert sheet[1] == "Call [phone]" and sheet[2] == "" and sheet[4] == "等了很久 😠"


def test_a_complaint_without_a_label_can_be_drawn(rng):
    cases = pd.DataFrame({"complaint": range(40), "category": ["a"] * 30 + [None] * 5 + [" "] * 5})
    found = draw_sample(cases, size=12, least_per_stratum=3, rng=rng)
    assert found.unlabelled == 10 and "(not recorded)" in found.names
    assert "10 without a label" in found.sentence()


def test_the_sheet_says_how_sure_it_will_make(rng):
    found = draw_sample(complaints(rng), size=300, rng=rng)
    low, high = wilson(0.5, 300 / 0.9)
    assert found.half_width == pytest.approx((high - low) / 2)
    assert found.sentence().startswith("300 of 3,000 complaints are drawn")
    assert "5.3 points" in found.sentence().splitlines()[0]
    assert found.plot(plt.figure().gca()).get_title().endswith("?")


@pytest.mark.parametrize(
    ("size", "least", "ids", "what"),
    [
        (0, 1, range(20), "size is 0"),
        (10, 1, [1] * 20, "stands twice"),
        (10, 1, [None] * 20, "without 'complaint'"),
    ],
)
def test_what_cannot_be_drawn_is_a_problem(rng, size, least, ids, what):
    cases = pd.DataFrame({"complaint": list(ids), "category": ["a", "b"] * 10})
    with pytest.raises(Problem, match=what):
        draw_sample(cases, size=size, least_per_stratum=least, rng=rng)


def test_few_complaints_are_all_read_and_many_labels_get_what_fits(rng):
    cases = pd.DataFrame({"complaint": range(20), "category": ["a", "b"] * 10})
    assert len(draw_sample(cases, size=300, rng=rng).table) == 20
    # 8 of each of two labels do not fit into 10; 5 of each do
    assert draw_sample(cases, size=10, least_per_stratum=8, rng=rng).drawn_of_each == (5, 5)
    many = pd.DataFrame({"complaint": range(60), "category": [f"c{i % 20}" for i in range(60)]})
    with pytest.raises(Refusal, match="20 labels of two"):
        draw_sample(many, size=30, rng=rng)


# --- the shares -----------------------------------------------------------------------------------


def test_strata_by_label_make_the_combined_share_the_stratified_one(rng):
    cases = complaints(rng)
    sheet = read(draw_sample(cases, size=200, least_per_stratum=30, rng=rng).table, cases)
    found = coded_shares(cases, sheet)
    weight = 1 / sheet["chance"]
    for kind, row in shares(found).iterrows():
        stratified = weight[sheet["coder_a"] == kind].sum() / len(cases)
        assert row["estimate"] == pytest.approx(stratified)
        assert shares(found, "sample alone").loc[kind, "estimate"] == pytest.approx(stratified)
    assert found.by_label and found.narrower > 0.1


def test_other_strata_make_it_prediction_powered(rng):
    cases = complaints(rng).assign(site=["N", "S"] * 1500)
    sheet = read(draw_sample(cases, by="site", size=300, rng=rng).table, cases)
    found = coded_shares(cases, sheet, by="site")
    label = sheet["complaint"].map(cases.set_index("complaint")["category"])
    for kind, row in shares(found).iterrows():
        y, f = (sheet["coder_a"] == kind) * 1.0, (label == kind) * 1.0  # equal weights
        power = np.cov(y, f)[0, 1] / f.var()
        want = y.mean() + power * ((cases["category"] == kind).mean() - f.mean())
        assert (row["estimate"], row["power"]) == pytest.approx((want, power))
    assert not found.by_label and 0.2 < found.narrower < 0.7


def test_labels_that_are_right_need_no_reading_and_useless_ones_are_not_used(rng):
    cases = complaints(rng, wrong=0.0).assign(site=["N", "S"] * 1500)
    sheet = read(draw_sample(cases, by="site", size=300, rng=rng).table, cases)
    right = coded_shares(cases, sheet, by="site")
    assert shares(right)["estimate"].to_numpy() == pytest.approx(
        shares(right, "automatic labels")["estimate"].to_numpy()
    )
    assert right.distance == 0
    noise = cases.assign(category=rng.permutation(cases["category"].to_numpy()))
    useless = coded_shares(noise, sheet, by="site")
    assert abs(useless.narrower) < 0.1
    assert shares(useless)["power"].abs().max() < 0.2


def test_when_all_are_read_nothing_is_left_to_chance(rng):
    cases = complaints(rng, n=300)
    sheet = read(draw_sample(cases, size=300, rng=rng).table, cases)
    found = coded_shares(cases, sheet)
    want = cases["true"].value_counts(normalize=True)
    for kind, row in shares(found).iterrows():
        assert row[["estimate", "low", "high"]].tolist() == pytest.approx(
            [want[kind]] * 3, abs=1e-4
        )
    both = cases["category"].value_counts(normalize=True)
    assert found.distance == pytest.approx((want - both).abs().sum() / 2, abs=1e-6)
    assert found.more == 0


def test_the_distance_of_right_labels_is_not_mistaken_for_error(rng):
    """Two sets of shares that differ by chance alone always lie apart; that part is taken off."""
    told = []
    for _ in range(20):
        cases = complaints(rng, n=1000)
        swapped = cases["true"].to_numpy(dtype=object)
        cases["category"] = np.where(rng.random(1000) < 0.2, rng.permutation(swapped), swapped)
        sheet = read(draw_sample(cases, size=100, rng=rng).table, cases)
        told.append(coded_shares(cases, sheet).distance)
    assert np.mean(told) < 0.025


def test_the_number_still_to_read(rng):
    cases = complaints(rng)
    sheet = read(draw_sample(cases, size=300, rng=rng).table, cases)
    found = coded_shares(cases, sheet, half_width=0.02)
    row = shares(found)
    half = (row["high"] - row["low"]).max() / 2
    n = found.more + 300
    assert half * np.sqrt((1 / n - 1 / 3000) / (1 / 300 - 1 / 3000)) == pytest.approx(
        0.02, rel=0.01
    )
    assert f"about {found.more:,} more to read" in found.sentence()
    assert "reached" in coded_shares(cases, sheet, half_width=0.2).sentence()


def test_blank_codes_are_counted_and_the_coders_compared(rng):
    cases = complaints(rng)
    sheet = read(draw_sample(cases, size=300, rng=rng).table, cases)
    sheet.loc[:9, "coder_a"] = [None, "", " ", *[None] * 7]
    sheet["coder_b"] = np.where(np.arange(300) % 10 == 0, "bill", sheet["coder_b"])
    found = coded_shares(cases, sheet)
    assert (found.read, found.blank, found.both_read) == (290, 10, 290)
    assert 0.7 < found.kappa_low < found.kappa < found.kappa_high < 1
    assert "10 are left blank" in found.sentence() and "kappa 0.9" in found.sentence()
    lone = coded_shares(cases, sheet.drop(columns="coder_b"))
    assert np.isnan(lone.kappa) and "No second coder" in lone.sentence()


def test_the_sentence_and_the_picture(rng):
    cases = complaints(rng)
    found = coded_shares(cases, read(draw_sample(cases, size=300, rng=rng).table, cases))
    first = found.sentence().splitlines()[0]
    row = shares(found).iloc[0]
    assert f"{100 * row['estimate']:.1f} % (95% interval {100 * row['low']:.1f} to" in first
    assert len(first) <= 220
    ax = found.plot(plt.figure().gca())
    assert [text.get_text() for text in ax.get_yticklabels()] == list(shares(found).index)


def test_a_label_of_which_none_was_read(rng):
    cases = complaints(rng)
    sheet = read(draw_sample(cases, size=300, rng=rng).table, cases)
    some = sheet[sheet["stratum"] != "staff"]
    with pytest.raises(Refusal, match="None was read of staff"):
        coded_shares(cases, some)
    cases.loc[5, "category"] = "one of its kind"
    found = coded_shares(
        cases, sheet[sheet["complaint"] != "R5"], categories=["bill", "wait", "staff"]
    )
    assert found.left_out == 1 and "1 complaint of labels nobody read" in found.sentence()


def test_numbers_as_identifiers_and_codes_come_back_from_a_spreadsheet(rng):
    cases = pd.DataFrame({"complaint": range(12345670, 12345870), "category": [1, 2] * 100})
    sheet = draw_sample(cases, size=60, rng=rng).table
    back = sheet.assign(complaint=sheet["complaint"].astype(float), coder_a=1.0)
    back["stratum"] = back["stratum"].astype(float)
    assert shares(coded_shares(cases, back)).loc["1", "estimate"] == 1


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"complaint": "R9999x"}, "1 complaint unknown: R9999x"),
        ({"complaint": "twice"}, "stands twice"),
        ({"coder_a": "bil"}, "did you mean 'bill'"),
        ({"coder_b": "bil"}, "'coder_b' has 1 code not in the list"),
        ({"stratum": "other"}, "drawn from another stratum"),
    ],
)
def test_a_sheet_that_was_spoilt_is_a_problem(rng, change, what):
    cases = complaints(rng)
    sheet = read(draw_sample(cases, size=100, rng=rng).table, cases)
    for column, value in change.items():
        sheet.loc[3, column] = sheet.loc[4, "complaint"] if value == "twice" else value
    with pytest.raises(Problem, match=what):
        coded_shares(cases, sheet)


def test_a_sheet_hardly_read_is_refused(rng):
    cases = complaints(rng)
    sheet = read(draw_sample(cases, size=100, rng=rng).table, cases)
    sheet.loc[20:, "coder_a"] = None
    with pytest.raises(Refusal, match="20 complaints read"):
        coded_shares(cases, sheet)
    with pytest.raises(Refusal, match="coder_a"):
        coded_shares(cases, sheet.drop(columns="coder_a"))


def test_labels_that_count_right_are_seldom_said_to_be_off():
    """Wrong labels that leave each share as it is: the distance is above 0 in 2 of 40 at most."""
    said = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        true = rng.choice(list("abcdef"), 2000, p=[0.25, 0.25, 0.13, 0.13, 0.13, 0.11])
        label = np.where(rng.random(2000) < 0.75, true, rng.permutation(true))
        cases = pd.DataFrame({"complaint": range(2000), "category": label, "true": true})
        found = coded_shares(cases, read(draw_sample(cases, size=300, rng=rng).table, cases))
        said += found.distance_low > 0
        assert ("not surely off" in found.sentence().splitlines()[0]) == (found.distance_low == 0)
    assert said <= 5  # 2 expected; more than 5 with a chance of 1 %


def test_who_is_commonest_is_not_said_for_certain_where_it_is_not(rng):
    true = rng.choice(list("abc"), 2000, p=[0.45, 0.44, 0.11])
    label = np.where(rng.random(2000) < 0.75, true, rng.permutation(true))
    cases = pd.DataFrame({"complaint": range(2000), "category": label, "true": true})
    close = coded_shares(cases, read(draw_sample(cases, size=300, rng=rng).table, cases))
    first = close.table["category"].iloc[0]
    assert close.rivals == tuple({"a", "b"} - {first})
    assert f"(not surely ahead of {close.rivals[0]}), once" in close.sentence().splitlines()[0]
    far = complaints(rng)
    clear = coded_shares(far, read(draw_sample(far, size=300, rng=rng).table, far))
    assert clear.rivals == () and "surely ahead" not in clear.sentence()
