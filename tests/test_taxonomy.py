"""A change of the codes is told from a change of what people complain of."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm.checks import Problem, Refusal
from sqm.methods import taxonomy as room
from sqm.methods.taxonomy import joined, taxonomy

BREAK = pd.Timestamp("2025-06-02")
SHARES = {"waiting": 0.3, "bill": 0.3, "staff": 0.25, "digital": 0.15}
WORDS = {
    "waiting": ["I waited an hour on the line", "nobody picks up, the queue never ends"],
    "amount": ["the sum on my invoice is too high", "I was charged twice the amount"],
    "charge": ["there is a charge I never ordered", "an unknown fee stands on my invoice"],
    "staff": ["the agent was rude to me", "she shouted and hung up"],
    "digital": ["the app crashes at login", "the robot menu leads nowhere"],
}
CHANNELS = {"waiting": 0.8, "bill": 0.3, "staff": 0.7, "digital": 0.1}  # share by phone


def steady(rng, *, n=3000, days=364, shares=SHARES):
    """Cases whose matter has steady shares; ``matter`` is the truth behind any code."""
    matter = rng.choice(list(shares), n, p=list(shares.values()))
    opened = pd.Timestamp("2025-01-01") + pd.to_timedelta(np.sort(rng.integers(days, size=n)), "D")
    kind = np.where(rng.random(n) < 0.5, "amount", "charge")
    words = [
        WORDS[k if m == "bill" else m][rng.integers(2)] for m, k in zip(matter, kind, strict=True)
    ]
    phone = rng.random(n) < np.array([CHANNELS.get(m, 0.5) for m in matter])
    return pd.DataFrame(
        {
            "opened": opened,
            "matter": matter,
            "category": matter,
            "part": kind,
            "text": words,
            "channel": np.where(phone, "phone", "web"),
        }
    )


def broken(rng, **how):
    """As the flagship's: waiting is renamed, bill is split."""
    cases = steady(rng, **how)
    late, bill = cases["opened"] >= BREAK, cases["matter"] == "bill"
    code = cases["matter"].mask(late & (cases["matter"] == "waiting"), "queue")
    code = code.mask(late & bill & (cases["part"] == "amount"), "amount wrong")
    code = code.mask(late & bill & (cases["part"] == "charge"), "charge unknown")
    return cases.assign(category=code)


def asked(cases, seed=1, **how):
    return taxonomy(cases, rng=np.random.default_rng(seed), **how)


def links(found):
    rows = found.table[found.table["sure"]]
    return {(row.kind, row.old, row.new) for row in rows.itertuples()}


RENAMED_AND_SPLIT = {
    ("renamed", "waiting", "queue"),
    ("split", "bill", "amount wrong"),
    ("split", "bill", "charge unknown"),
}


def test_a_renaming_and_a_split_are_found_by_words():
    found = asked(broken(np.random.default_rng(1)), text="text")
    assert found.breaks == ("2025-06-02",)
    assert links(found) == RENAMED_AND_SPLIT
    mapping = dict(zip(found.joined_from, found.joined_to, strict=True))
    assert mapping == {"waiting": "queue", "amount wrong": "bill", "charge unknown": "bill"}
    assert "The categories broke on 2025-06-02: 2 ended and 3 began together" in found.sentence()
    assert found.sentence().splitlines()[0].endswith("before joining them.")


def test_and_by_other_columns():
    found = asked(broken(np.random.default_rng(2)), beside=["channel"])
    assert links(found) == RENAMED_AND_SPLIT


def test_two_that_look_alike_in_every_way_are_not_sure():
    shares = {"waiting": 0.25, "staff": 0.25, "bill": 0.5}
    cases = steady(np.random.default_rng(3), shares=shares)
    late = cases["opened"] >= BREAK
    new = {"waiting": "one", "staff": "two"}
    cases["category"] = cases["category"].where(~late, cases["category"].replace(new))
    found = asked(cases)
    assert found.breaks == ("2025-06-02",)
    assert links(found) == set()
    assert "Not sure" in found.sentence()


def test_a_merge_is_found():
    cases = steady(np.random.default_rng(4))
    late = cases["opened"] >= BREAK
    code = cases["matter"].mask(late & cases["matter"].isin(["staff", "digital"]), "other")
    code = code.mask(late & (cases["matter"] == "waiting"), "queue")
    found = asked(cases.assign(category=code), text="text", beside=["channel"])
    assert links(found) == {
        ("merged", "staff", "other"),
        ("merged", "digital", "other"),
        ("renamed", "waiting", "queue"),
    }
    assert dict(zip(found.joined_from, found.joined_to, strict=True))["staff"] == "other"


def test_joining_leaves_totals_as_they_were():
    cases = broken(np.random.default_rng(1))
    mapping = {"waiting": "queue", "amount wrong": "bill", "charge unknown": "bill"}
    whole = joined(cases, mapping=mapping)
    assert len(whole) == len(cases)
    assert whole.value_counts()["bill"] == (cases["matter"] == "bill").sum()
    assert whole.value_counts()["queue"] == (cases["matter"] == "waiting").sum()
    again = asked(cases.assign(category=whole))
    assert again.breaks == ()
    assert again.table.empty


def test_a_new_theme_is_not_a_break():
    rng = np.random.default_rng(5)
    cases = steady(rng)
    day = BREAK + pd.to_timedelta(rng.integers(212, size=900), "D")
    fraud = pd.DataFrame({"opened": day, "category": "fraud"})
    found = asked(pd.concat([cases, fraud]))
    assert found.breaks == ()
    row = found.table.iloc[0]
    assert (len(found.table), row["kind"], row["new"], row["note"]) == (1, "new", "fraud", "")
    assert row["low"] > 1
    assert "No break of the categories, but some came or went: fraud" in found.sentence()


def test_one_carved_out_of_others_is_told():
    cases = steady(np.random.default_rng(6))
    late = (cases["opened"] >= BREAK) & (cases["matter"] == "bill") & (cases["part"] == "amount")
    found = asked(cases.assign(category=cases["matter"].mask(late, "amount")))
    row = found.table.iloc[0]
    assert (row["kind"], row["new"]) == ("new", "amount")
    assert "carved out" in row["note"]


def test_one_that_ends_alone_and_one_month_back_to_the_old_list():
    cases = steady(np.random.default_rng(7))
    kept = cases[(cases["matter"] != "digital") | (cases["opened"] < BREAK)]
    found = asked(kept)
    assert found.table[["kind", "old"]].to_numpy().tolist() == [["ended", "digital"]]
    code = broken(np.random.default_rng(7))["category"]
    july = cases["opened"].between("2025-09-01", "2025-09-28")
    back = asked(cases.assign(category=code.mask(july, cases["matter"])), text="text")
    assert back.breaks == ("2025-06-02",)
    assert "interlude" in set(back.table["kind"])
    assert "Changed back within weeks" in back.sentence()


def test_steady_categories_seldom_seem_to_change():
    """1 % is promised; in 60 files 4 or more would come up with a chance of 0.3 %."""
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng([9, seed])
        shares = dict(zip("abcdefgh", [0.4, 0.3, 0.15, 0.07, 0.04, 0.02, 0.01, 0.01], strict=True))
        alarms += len(_silences(rng, shares)) > 0
    assert alarms < 4


def _silences(rng, shares):
    n = 2000
    day = pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(364, size=n), "D")
    cases = pd.DataFrame(
        {"opened": day, "category": rng.choice(list(shares), n, p=[*shares.values()])}
    )
    used = room._used(cases, "category", "opened", "", [])
    return room._events(room._Days(used, 10), 0.01)


def test_the_chance_of_a_silence_is_that_of_the_largest_gap():
    # P(largest of the n + 1 gaps of n uniform points > g) <= (n + 1)(1 - g)^n, and twice for any k
    counts = np.array([1] * 10 + [0] * 10)
    found = room._chance(counts, np.full(20, 5), 10, 20, 1.0)
    assert found == pytest.approx(2 * 11 * 0.5**10)


def test_what_cannot_be_asked_is_refused():
    cases = steady(np.random.default_rng(8), n=400)
    with pytest.raises(Refusal, match="1 categories of 20"):
        asked(cases.assign(category="one"))
    with pytest.raises(Refusal, match="usable rows"):
        asked(cases.head(50))
    with pytest.raises(Refusal, match="usable rows"):
        asked(cases.assign(opened=pd.NaT))
    with pytest.raises(Refusal, match="four weeks"):
        asked(cases.assign(opened=pd.Timestamp("2025-01-01")))
    with pytest.raises(Refusal, match="no column"):
        asked(cases, category="code")
    with pytest.raises(Problem, match="holds no times"):
        asked(cases.assign(opened="monday"))
    for wrong in ({"fewest": 2}, {"false_alarm": 1.0}, {"window_d": 3}, {"resamples": 1}):
        with pytest.raises(Problem):
            asked(cases, **wrong)


def test_a_mapping_is_checked():
    cases = pd.DataFrame({"category": ["a", "b", None, "c"]})
    assert joined(cases, mapping={"a": "b", "b": "c"}).dropna().tolist() == ["c", "c", "c"]
    assert joined(cases, mapping={}).isna().sum() == 1
    with pytest.raises(Problem, match="circle"):
        joined(cases, mapping={"a": "b", "b": "a"})
    with pytest.raises(Problem, match="no case has"):
        joined(cases, mapping={"d": "a"})


def test_odd_names_and_empty_texts_do_no_harm():
    cases = broken(np.random.default_rng(1)).replace(
        {"category": {"waiting": "<b>$等待$</b>", "queue": "🙂" * 60}}
    )
    cases["text"] = ""
    cases["opened"] = cases["opened"].dt.tz_localize("Europe/Madrid")
    cases.loc[cases.index[:7], "category"] = None
    found = asked(cases, text="text", beside=["channel"])
    assert found.left_out == 7
    assert found.breaks == ("2025-06-02",)
    assert "🙂" in found.sentence()
    found.plot(plt.figure().add_subplot())
    plt.close("all")


def test_the_picture_shows_what_came_and_went():
    found = asked(broken(np.random.default_rng(1)), text="text", resamples=20)
    ax = found.plot(plt.figure().add_subplot())
    assert ax.get_title().endswith("?")
    assert {each.get_text() for each in ax.get_yticklabels()} == {
        "waiting", "bill", "queue", "amount wrong", "charge unknown",
    }  # fmt: skip
    assert asked(steady(np.random.default_rng(1)), resamples=20).plot(plt.figure().add_subplot())
    plt.close("all")


def test_the_same_seed_gives_the_same_answer():
    cases = broken(np.random.default_rng(1))
    first, again = asked(cases, beside=["channel"]), asked(cases, beside=["channel"])
    pd.testing.assert_frame_equal(first.table, again.table)
