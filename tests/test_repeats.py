"""Repeats and copies against counts by hand and limiting cases."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats

from sqm.checks import Problem, Refusal
from sqm.interval import share, wilson
from sqm.methods.repeats import copies, count_copies, repeats

DAY = pd.Timedelta(days=1)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def sent(per_customer, *, every_d=10, **more):
    """One customer for each number, who sends so many complaints so many days apart."""
    rows = [
        (f"K{who}", pd.Timestamp("2025-01-01 09:00") + who * DAY + i * every_d * DAY)
        for who, n in enumerate(per_customer)
        for i in range(n)
    ]
    return pd.DataFrame(rows, columns=["customer", "opened"]).assign(**more)


# --- who complains again --------------------------------------------------------------------------


def test_the_share_counts_every_complaint_of_a_repeater():
    found = repeats(sent([1] * 40 + [2] * 10 + [3] * 20))
    # 20 + 60 of 120
    assert found.estimate == pytest.approx(2 / 3)
    assert (found.customers, found.again, found.complaints) == (70, 30, 120)
    assert found.table["complaints_each"].tolist() == ["1", "2", "3"]
    assert found.table["complaints"].tolist() == [40, 20, 60]
    assert found.table["estimate"].sum() == pytest.approx(1)


def test_complaints_of_one_customer_go_together():
    table = sent([1] * 40 + [2] * 10 + [3] * 20)
    want = share(table.groupby("customer")["opened"].transform("size") > 1,
                 clusters=table[["customer"]])  # fmt: skip
    found = repeats(table)
    assert (found.low, found.high) == pytest.approx((want.low, want.high))
    low, high = wilson(2 / 3, 120)
    assert found.high - found.low > 1.2 * (high - low)


def test_rare_numbers_of_complaints_are_put_together():
    found = repeats(sent([1] * 30 + [2] * 10 + [3] * 3 + [4] * 2 + [9]))
    assert found.table["complaints_each"].tolist() == ["1", "2", "3 or more"]
    assert found.table["customers"].tolist() == [30, 10, 6]
    fewer = repeats(sent([1] * 30 + [2] * 10 + [3] * 3)).table
    assert fewer["complaints_each"].tolist() == ["1", "2 or more"]
    assert fewer["customers"].tolist() == [30, 13]


def test_frequent_complainers_are_counted_and_never_named():
    few = repeats(sent([1] * 30 + [6] * 4))
    assert few.frequent_customers == few.frequent_complaints == -1
    assert "Fewer than 5 customers" in few.sentence()
    some = repeats(sent([1] * 30 + [6] * 5))
    assert (some.frequent_customers, some.frequent_complaints) == (5, 30)
    assert "5 customers with 5 complaints or more sent 50.0 % of all" in some.sentence()
    said = some.sentence() + some.table.to_csv()
    assert not any(f"K{who}" in said for who in range(35))


def test_only_complaints_whose_days_are_over_say_who_comes_back():
    table = sent([2] * 40 + [1] * 60, every_d=20)
    found = repeats(table, within_d=30)
    over = table["opened"] <= table["opened"].max() - 30 * DAY
    back = table["customer"].isin([f"K{i}" for i in range(40)]) & ~table["customer"].duplicated()
    assert found.followed == over.sum()
    assert found.soon == pytest.approx((back & over).sum() / over.sum())
    assert np.isnan(repeats(table, within_d=3000).soon)


def test_the_wait_has_the_limits_of_order_statistics():
    rows = [(f"A{i:02d}", pd.Timestamp("2025-01-01")) for i in range(25)]
    rows += [(f"A{i:02d}", pd.Timestamp("2025-01-01") + (i + 1) * DAY) for i in range(25)]
    found = repeats(pd.DataFrame(rows, columns=["customer", "opened"]))
    # of 25, the 8th and 18th: P(Bin(25, 1/2) <= 7) = 0.0216
    assert stats.binom.cdf(7, 25, 0.5) < 0.025 < stats.binom.cdf(8, 25, 0.5)
    assert (found.days, found.days_low, found.days_high) == (13, 8, 18)


def test_repeats_of_one_category_are_set_against_chance():
    table = sent([2] * 60)
    fixed = table.assign(category=np.repeat(["a", "b", "c"], 40))
    found = repeats(fixed)
    # 3 * 40 * 39 / (120 * 119)
    assert (found.same, found.same_by_chance) == pytest.approx((1, 4680 / 14280))
    assert "more than chance makes" in found.sentence()
    pairs = ["aa", "ab", "bc", "bb", "bc", "ca", "cc", "ca", "ab"] * 7  # a third alike
    mixed = repeats(sent([2] * 63).assign(category=list("".join(pairs))))
    assert mixed.same == pytest.approx(1 / 3)
    assert "no more than chance can make" in mixed.sentence()
    assert np.isnan(repeats(table).same)


def test_the_same_day_and_category_may_be_one_complaint():
    table = pd.concat([sent([1] * 30, category="a")] * 2)
    assert repeats(table).twice == 30
    assert "30 complaints came on the day" in repeats(table).sentence()


def test_nobody_complains_twice():
    found = repeats(sent([1] * 50))
    assert (found.estimate, found.low) == (0, 0) and found.high > 0.05
    assert np.isnan(found.days) and found.table["complaints_each"].tolist() == ["1"]


def test_the_sentence_and_the_picture_of_repeats():
    table = sent([1] * 40 + [2] * 30)
    table.loc[:1, "customer"] = [None, " "]
    found = repeats(table)
    first = found.sentence().splitlines()[0]
    assert first.startswith("61.2 % (95% interval ") and len(first) <= 220
    assert "2 complaints without a customer or a date" in found.sentence()
    ax = found.plot(plt.figure().gca())
    assert [text.get_text() for text in ax.get_yticklabels()] == [
        "1 (38 customers)",
        "2 (30 customers)",
    ]


def test_a_table_that_says_nothing_of_customers():
    with pytest.raises(Refusal, match="no column 'customer'"):
        repeats(pd.DataFrame({"opened": []}))
    with pytest.raises(Refusal, match="0 complaints with a customer"):
        repeats(sent([1] * 50).assign(customer=None))
    with pytest.raises(Problem, match="holds no times"):
        repeats(sent([1] * 50).assign(opened="2025-01-01"))
    with pytest.raises(Problem, match="within_d"):
        repeats(sent([1] * 50), within_d=0)
    with pytest.raises(Problem, match="frequent"):
        repeats(sent([1] * 50), frequent=1)


# --- which letters are copies ---------------------------------------------------------------------

CAMPAIGN = "I demand that you refund the fee of {} EUR charged to my account without my consent."
WORDS = ["late", "bill", "office", "agent", "router", "parcel", "refund", "letter", "queue"]


def letters(rng, n=300, campaign=30, day="2025-03-03"):
    """Letters of a year, and a campaign of one week in which only the figures differ."""
    own = [" ".join(rng.choice(WORDS, 12)) for _ in range(n)]
    times = pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 360, n), "D")
    same = [CAMPAIGN.format(rng.integers(1, 99)) for _ in range(campaign)]
    in_a_week = pd.Timestamp(day) + pd.to_timedelta(rng.integers(0, 5, campaign), "D")
    return pd.DataFrame(
        {
            "text": own + same,
            "opened": [*times, *in_a_week],
            "category": ["other"] * n + ["billing"] * campaign,
            "customer": [f"K{i}" for i in range(n + campaign)],
        }
    )


def test_a_campaign_is_one_group_and_a_burst(rng):
    found = copies(letters(rng))
    row = found.table.iloc[0]
    assert (row["copies"], row["main_category"], row["main_category_share"]) == (30, "billing", 1)
    assert row["burst"] and found.bursts == 1 and row["customers"] == 30
    assert (found.repeated, found.estimate) == (29, pytest.approx(29 / 330))
    assert "1 group came in a burst" in found.sentence()


def test_a_template_used_all_year_is_no_burst(rng):
    table = letters(rng)
    table["opened"] = pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 360, 330), "D")
    found = copies(table)
    assert found.bursts == 0 and "None came in a burst" in found.sentence()


def test_a_text_is_shown_only_if_allowed_and_masked(rng):
    table = letters(rng)
    table["text"] = table["text"] + " Write to ana@example.com."
    assert copies(table).table["typical"].tolist() == [""]
    shown = copies(table, quote=True).table["typical"][0]
    assert "[e-mail]" in shown and "ana@" not in shown


def test_small_groups_have_no_row(rng):
    found = copies(letters(rng, campaign=4))
    assert found.table.empty and (found.groups, found.small_groups) == (1, 1)
    assert "No wording is shared by 5 texts or more" in found.sentence()
    assert found.plot(plt.figure().gca()).get_title()


def test_copies_need_neither_times_nor_categories(rng):
    found = copies(letters(rng)[["text"]])
    row = found.table.iloc[0]
    assert row["copies"] == 30 and pd.isna(row["first"]) and row["main_category"] == ""
    assert found.plot(plt.figure().gca()).get_xlabel() == "share of all texts, %"


def test_blank_texts_are_no_copies_of_each_other(rng):
    table = letters(rng)
    table.loc[:99, "text"] = [None, "", "  ", "!!", "123"] * 20
    found = copies(table)
    assert (found.texts, found.blank, found.repeated) == (230, 100, 29)


def test_all_texts_the_same():
    found = copies(pd.DataFrame({"text": ["等了很久没有人接电话"] * 40}))
    assert (found.groups, found.repeated) == (1, 39)


def test_the_sentence_and_the_picture_of_copies(rng):
    found = copies(letters(rng))
    first = found.sentence().splitlines()[0]
    assert first.startswith("8.8 % (95% interval ") and len(first) <= 220
    labels = found.plot(plt.figure().gca()).get_yticklabels()
    assert labels[0].get_text() == "30 texts · billing"


def test_once_leaves_one_of_each_and_each_leaves_all(rng):
    table = letters(rng).set_index(np.arange(1000, 1330))
    once, each = (count_copies(table, how=how) for how in ("once", "each"))
    assert len(each) == 330 and len(once) == 301
    assert once["copies"].sum() == 330 and (each["copies"] == 30).sum() == 30
    assert once.index[-1] == 1300  # the first of the campaign stays, under its own name
    assert "copies" not in table


def test_once_keeps_every_complaint_without_a_text():
    table = pd.DataFrame({"text": [None, "", "the same words here", "the same words here"]})
    assert count_copies(table)["copies"].tolist() == [1, 1, 2]
    assert len(count_copies(table.iloc[:0])) == 0


def test_bad_input_of_copies():
    with pytest.raises(Problem, match="did you mean 'once'"):
        count_copies(pd.DataFrame({"text": ["a"]}), how="onc")
    with pytest.raises(Refusal, match="no column 'text'"):
        copies(pd.DataFrame({"opened": []}))
    with pytest.raises(Refusal, match="3 texts"):
        copies(pd.DataFrame({"text": ["one", "two", "three"]}))
