"""The plan of interviews against counts done by hand, and the chances it promises by simulation."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm.checks import Problem, Refusal
from sqm.methods.interviews import chance_heard, interview_plan, interviews_needed


def complaints(**sizes):
    """So many complaints of each category, turn by turn at three sites."""
    rows = [(category, f"N{i % 3}") for category, n in sizes.items() for i in range(n)]
    table = pd.DataFrame(rows, columns=["category", "site"])
    return table.assign(complaint=[f"c{i:04}" for i in range(len(table))], text="secret")


def plan(table, interviews, *, seed=1, **settings):
    return interview_plan(table, interviews=interviews, rng=np.random.default_rng(seed), **settings)


def drawn(found):
    return found.table[found.table["role"] == "interview"]


def test_allotment_by_hand():
    # one each; then Webster: 70/3 -> a, 70/5 -> a, 70/7 -> a, and 25/3 -> b before 70/9
    found = plan(complaints(a=70, b=25, c=5), 7)
    assert drawn(found)["category"].value_counts().to_dict() == {"a": 4, "b": 2, "c": 1}
    by_category = drawn(found).groupby("category")["probability"].first()
    assert by_category.tolist() == pytest.approx([4 / 70, 2 / 25, 1 / 5])
    assert drawn(found)["weight"].sum() == pytest.approx(100)


def test_within_a_category_the_sites_are_spread():
    found = plan(complaints(a=90), 9)
    assert drawn(found)["site"].value_counts().to_dict() == {"N0": 3, "N1": 3, "N2": 3}


def test_no_category_gets_more_than_it_has():
    heavy = complaints(a=2, b=50).assign(cost=[9.0] * 2 + [0.0] * 50)
    found = plan(heavy, 10, heavy="cost", heavy_from=1, heavy_times=1000)
    assert drawn(found)["category"].value_counts().to_dict() == {"b": 8, "a": 2}
    every = plan(complaints(a=2, b=10), 12)
    assert len(drawn(every)) == 12 and (drawn(every)["probability"] == 1).all()
    assert every.reserve == 0


def test_fewer_interviews_than_categories():
    found = plan(complaints(a=10, b=10, c=10, d=10), 2)
    assert (len(drawn(found)), found.unheard) == (2, 2)
    assert (drawn(found)["probability"] == 2 / 40).all()
    assert "2 of 4 values of category get no interview" in found.sentence()


@pytest.mark.parametrize("interviews", [3, 9])
def test_every_complaint_has_the_chance_that_is_written_beside_it(interviews):
    table = complaints(a=14, b=5, c=3, d=2).assign(severity=lambda rows: np.arange(len(rows)) % 4)
    times, chance, rounds = pd.Series(0.0, index=table["complaint"]), {}, 60
    rng = np.random.default_rng(5)
    for _ in range(rounds):
        got = drawn(
            interview_plan(table, interviews=interviews, rng=rng, heavy="severity", heavy_from=3)
        )
        assert len(got) == interviews
        times[got["complaint"]] += 1
        chance |= dict(zip(got["complaint"], got["probability"], strict=True))
    want = pd.Series(chance)
    assert sum(chance.values()) <= interviews + 1e-9
    seen = times[want.index] / (rounds)
    assert (abs(seen - want) < 4 * np.sqrt(want * (1 - want) / (rounds)) + 1e-9).all()


def test_heavy_cases_are_as_many_times_as_likely():
    table = complaints(a=100).assign(cost=[1000.0] * 10 + [np.nan] * 5 + [1.0] * 85)
    found = plan(table, 11, heavy="cost", heavy_from=500, heavy_times=3)
    chances = found.table.dropna(subset="probability").groupby("heavy")["probability"].first()
    # 11 shared among 10 cases of weight 3 and 90 of weight 1
    assert chances[False] == pytest.approx(11 / 120)
    assert chances[True] == pytest.approx(33 / 120)
    sure = plan(table, 60, heavy="cost", heavy_from=500, heavy_times=20)
    assert sure.heavy_drawn == sure.heavy == 10
    assert "Severe or costly cases are 10 of the 60 and 10 %" in sure.sentence()


def test_the_reserve_is_of_the_same_strata_and_others():
    found = plan(complaints(a=70, b=25, c=1), 8, reserve=0.5)
    spare = found.table[found.table["role"] == "reserve"]
    wanted = np.ceil(drawn(found).groupby("stratum").size() / 2)
    got = spare.groupby("stratum").size()
    assert got.to_dict() == {"a": wanted["a"], "b": wanted["b"]}  # c has no other
    assert not set(spare["complaint"]) & set(drawn(found)["complaint"])
    assert spare["probability"].isna().all()


def test_the_same_seed_and_any_order_of_the_file_give_the_same_plan():
    table = complaints(a=40, b=20)
    one, two = plan(table, 10), plan(table.sample(frac=1, random_state=2), 10)
    pd.testing.assert_frame_equal(one.table, two.table)
    assert set(plan(table, 10, seed=2).table["complaint"]) != set(one.table["complaint"])


def test_no_text_and_blanks_are_a_value():
    table = complaints(a=20, b=5)
    table.loc[table["category"] == "b", "category"] = None
    found = plan(table, 6)
    assert "text" not in found.table and "secret" not in found.table.to_string()
    assert "(blank)" in set(drawn(found)["stratum"])


def test_chances_by_hand():
    assert chance_heard(0.2, 3, of=10) == pytest.approx(1 - 56 / 120)
    assert chance_heard(0.1, 20, of=10**7) == pytest.approx(1 - 0.9**20, abs=1e-6)
    assert chance_heard(0.5, 12, of=12) == 1
    assert chance_heard(0.01, 3, of=12) == pytest.approx(3 / 12)  # one has it


@pytest.mark.parametrize("of", [12, 50, 1000])
@pytest.mark.parametrize("share", [0.05, 0.1, 0.4])
def test_needed_is_the_least_that_is_enough(share, of):
    n = interviews_needed(share, of=of)
    assert chance_heard(share, n, of=of) >= 0.9
    assert chance_heard(share, n - 1, of=of) < 0.9


def test_smallest_share_is_heard_and_one_complainant_less_is_not():
    found = plan(complaints(a=300), 20)
    having = round(found.smallest_share * 300)
    assert chance_heard(having / 300, 20, of=300) >= 0.9
    assert chance_heard((having - 1) / 300, 20, of=300) < 0.9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"interviews": 0}, "interviews is 0"),
        ({"interviews": 2.5}, "interviews is 2.5"),
        ({"by": []}, "by is"),
        ({"by": ["site", "site"]}, "by is"),
        ({"by": ["complaint"]}, "the plan makes one itself"),
        ({"share": 10}, "share is 10"),
        ({"certainty": 90}, "certainty is 90"),
        ({"reserve": -1}, "reserve is -1"),
        ({"heavy": "category", "heavy_times": 0.5}, "heavy_times is 0.5"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(Problem, match=message):
        interview_plan(
            complaints(a=20), **{"interviews": 5, "rng": np.random.default_rng(1)} | settings
        )


def test_bad_complaints():
    twice = complaints(a=20)
    twice.loc[1, "complaint"] = "c0000"
    with pytest.raises(Problem, match="2 identifiers in 'complaint'"):
        plan(twice, 5)
    with pytest.raises(Refusal, match="the complaints are 4 where 5"):
        plan(complaints(a=4), 5)
    with pytest.raises(Refusal, match="no column 'category'"):
        plan(complaints(a=9).drop(columns="category"), 5)


def test_words_as_severity_are_a_problem():
    table = complaints(a=20).assign(severity="high")
    with pytest.raises(Problem, match="'severity' does not hold numbers"):
        plan(table, 5, heavy="severity", heavy_from=3)


def test_the_sentence_and_the_picture():
    found = plan(complaints(**{"等待 $": 300, "<b>": 100}), 24)
    first = found.sentence().splitlines()[0]
    assert first.startswith("Interview 24 of 400 complainants: a problem that 10 % of them have")
    assert f"with chance {100 * found.heard:.0f} %" in first and len(first) <= 220
    ax = found.plot()
    assert len(ax.lines) == 6 and ax.get_title().endswith("?")
    plt.close(ax.figure)
