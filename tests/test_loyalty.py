"""Satisfaction and loyalty against R, sums by hand, and the plain tests they become."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats

from sqm import interval
from sqm.checks import Problem, Refusal
from sqm.methods.loyalty import (
    NPS,
    Questions,
    loyalty_by_group,
    nps_interval,
    nps_variance,
    sample_size,
    satisfaction_and_loyalty,
    smallest_change,
    wave_change,
)

REFERENCE = Path(__file__).parent / "reference"


def survey(n=300, seed=1):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "respondent": np.arange(n).astype(str),
            "site": rng.choice(["north", "south", "东 $1"], n),
            "wave": np.where(np.arange(n) < n // 2, "2024", "2025"),
            "satisfaction": rng.integers(1, 8, n).astype(float),
            "recommend": rng.integers(0, 11, n).astype(float),
            "effort": rng.integers(1, 8, n).astype(float),
            "weight": rng.uniform(0.5, 2, n),
        }
    )


def row(found, indicator):
    return found.table.set_index("indicator").loc[indicator]


@pytest.fixture
def answers():
    return survey()


# --- the indicators -----------------------------------------------------------------------------


def test_net_promoter_score_as_in_r():
    case = json.loads((REFERENCE / "nps_bank.json").read_text(encoding="utf-8"))
    found = satisfaction_and_loyalty(pd.DataFrame(case["input"]))
    expected = case["expected"]
    assert found.nps == pytest.approx(expected["nps"], abs=1e-8)
    n = expected["n"]
    p, d = expected["promoters"] / n, expected["detractors"] / n
    assert 100 * np.sqrt(nps_variance(p, d) / n) == pytest.approx(expected["se"], abs=1e-8)
    # the score interval is drawn in from Wald's towards 0, by less than the bootstrap's noise
    assert [found.nps_low, found.nps_high] == pytest.approx(expected["boot_perc95"], abs=0.8)


def test_net_promoter_variance_of_the_textbook():
    case = json.loads((REFERENCE / "nps_bank.json").read_text(encoding="utf-8"))["textbook"]
    assert nps_variance(1 / 2, 1 / 6) == pytest.approx(case["expected"]["var"], abs=1e-12)


@pytest.mark.parametrize(("promoters", "detractors"), [(30, 12), (80, 0), (3, 41)])
def test_each_limit_is_where_the_score_test_just_rejects(promoters, detractors):
    # the likelihood under a given difference, maximised by search in place of Tango's root
    n = 100
    seen = (promoters - detractors) / n
    for limit in nps_interval(promoters / n, detractors / n, n):
        down = np.linspace(max(0, -limit), (1 - limit) / 2, 2_000_001)[1:-1]
        up = down + limit
        rest = n - promoters - detractors
        likelihood = rest * np.log(1 - up - down) + promoters * np.log(up)
        likelihood += detractors * np.log(down) if detractors else 0
        best = down[likelihood.argmax()]
        z = (seen - limit) / np.sqrt(nps_variance(best + limit, best) / n)
        assert abs(z) == pytest.approx(1.959964, abs=1e-3)


def test_the_score_interval_turns_with_the_signs():
    low, high = nps_interval(0.5, 0.2, 60)
    assert nps_interval(0.2, 0.5, 60) == pytest.approx((-high, -low))


def test_shares_are_wilson_and_means_are_student(answers):
    found = satisfaction_and_loyalty(answers)
    share = row(found, "satisfied")
    plain = interval.share(answers["satisfaction"] >= 6)
    assert (share["low"], share["high"]) == pytest.approx((plain.low, plain.high))
    mean = row(found, "mean effort")
    student = stats.ttest_1samp(answers["effort"], 0).confidence_interval(0.95)
    assert (mean["low"], mean["high"]) == pytest.approx((student.low, student.high))
    assert share["effective_n"] == pytest.approx(300)


def test_what_counts_is_a_parameter():
    answers = pd.DataFrame({"satisfaction": [1, 2, 3, 4, 5] * 4, "effort": [1, 2, 3, 4, 5] * 4})
    asked = Questions(points=(1, 5), box=1, effort_points=(1, 5), effort_box=2, easy="low")
    found = satisfaction_and_loyalty(answers, asked=asked)
    assert found.satisfied == pytest.approx(0.2)
    assert row(found, "low effort")["estimate"] == pytest.approx(0.4)
    assert "low effort is an answer of 1 to 2 on a scale of 1 to 5" in found.sentence()


def test_equal_weights_change_nothing_and_double_weights_count_twice(answers):
    plain = satisfaction_and_loyalty(answers).table
    same = satisfaction_and_loyalty(answers.assign(weight=3.0), weight="weight").table
    pd.testing.assert_frame_equal(plain, same)
    few = answers[:40].assign(weight=[2.0] * 20 + [1.0] * 20)
    twice = pd.concat([few, few[:20]])
    weighted = satisfaction_and_loyalty(few, weight="weight").table["estimate"]
    assert weighted.tolist() == pytest.approx(
        satisfaction_and_loyalty(twice).table["estimate"].tolist()
    )


def test_weighted_standard_error_by_hand():
    # y = 1 (w 1) and 3 (w 2) ten times: mean 7/3; sum of (w (y - mean))^2 = 10 (16/9 + 16/9);
    # variance 320/9 / 30^2 * 20/19; Student's with 19 degrees of freedom
    answers = pd.DataFrame({"satisfaction": [1, 3] * 10, "weight": [1.0, 2.0] * 10})
    found = row(satisfaction_and_loyalty(answers, weight="weight"), "mean satisfaction")
    half = stats.t.ppf(0.975, 19) * np.sqrt(320 / 9 / 900 * 20 / 19)
    assert (found["estimate"], found["high"]) == pytest.approx((7 / 3, 7 / 3 + half))


def test_clusters_of_one_change_nothing_and_copies_count_once(answers):
    plain = satisfaction_and_loyalty(answers).table
    alone = satisfaction_and_loyalty(answers, cluster="respondent").table
    assert alone["low"].tolist() == pytest.approx(plain["low"].tolist())
    copies = pd.concat([answers] * 4)
    found = satisfaction_and_loyalty(copies, cluster="respondent").table
    assert found["effective_n"].tolist() == pytest.approx([300] * 6, rel=0.01)
    means = found["unit"] == "points"
    assert found.loc[means, "low"].tolist() == pytest.approx(plain.loc[means, "low"].tolist())


def test_a_blank_leaves_out_one_indicator_and_an_absent_question_is_noted(answers):
    blank = answers.drop(columns="effort")
    blank.loc[:9, "recommend"] = np.nan
    found = satisfaction_and_loyalty(blank)
    assert row(found, NPS)["respondents"] == 290
    assert row(found, "satisfied")["respondents"] == 300
    assert np.isnan(row(found, "mean effort")["estimate"])
    said = found.sentence()
    assert "Not given: low effort, mean effort (there is no column 'effort')." in said
    assert "low effort is an answer" not in said


def test_the_sentence_leads_with_both_numbers(answers):
    found = satisfaction_and_loyalty(answers)
    first = found.sentence().splitlines()[0]
    assert f"Satisfied {100 * found.satisfied:.1f} %" in first
    assert f"{found.nps:.1f} points" in first
    assert len(first) <= 220


# --- groups -------------------------------------------------------------------------------------


def test_each_group_is_its_own_sample(answers):
    found = loyalty_by_group(answers, shown="satisfied")
    for name, each in answers.groupby("site"):
        own = row(satisfaction_and_loyalty(each), "satisfied")
        mine = found.table[(found.table["group"] == name)].set_index("indicator").loc["satisfied"]
        assert (mine["low"], mine["high"]) == pytest.approx((own["low"], own["high"]))


def test_alike_groups_are_seldom_called_different():
    rng = np.random.default_rng(4)
    called = 0
    for _ in range(40):
        made = pd.DataFrame({"recommend": rng.integers(0, 11, 240), "site": list("abcd") * 60})
        called += loyalty_by_group(made).p_value < 0.05
    assert called <= 8  # 2 expected; 9 or more has chance 0.0003


def test_a_group_that_differs_is_found_and_a_small_one_is_noted(answers):
    made = answers.assign(recommend=np.where(answers["site"] == "north", 10, answers["recommend"]))
    made.loc[:4, "site"] = "tiny"
    found = loyalty_by_group(made)
    assert found.p_value < 0.001
    assert "differs by more than chance" in found.sentence()
    assert "Not given: tiny (only 5 answers)." in found.sentence()


# --- waves --------------------------------------------------------------------------------------


def test_the_same_people_give_the_paired_t_interval(answers):
    later = answers.assign(wave="later", satisfaction=answers["satisfaction"].clip(2, 6))
    both = pd.concat([answers.assign(wave="first"), later], ignore_index=True)
    found = wave_change(both, before="first", after="later")
    paired = stats.ttest_rel(later["satisfaction"], answers["satisfaction"])
    limits = paired.confidence_interval(0.95)
    change = row(found, "mean satisfaction")
    assert (change["low"], change["high"]) == pytest.approx((limits.low, limits.high))
    assert found.in_both == 300
    assert "300 people answered in both waves" in found.sentence()


def test_different_people_give_newcombes_interval():
    # Newcombe (1998), method 10, by the formula: 56/70 less 48/80
    answers = pd.DataFrame(
        {
            "satisfaction": [7] * 48 + [1] * 32 + [7] * 56 + [1] * 14,
            "wave": ["1"] * 80 + ["2"] * 70,
        }
    )
    (l1, u1), (l2, u2) = interval.wilson(0.6, 80), interval.wilson(0.8, 70)
    change = row(wave_change(answers), "satisfied")
    assert change["estimate"] == pytest.approx(0.2)
    assert change["low"] == pytest.approx(0.2 - np.hypot(0.8 - l2, u1 - 0.6))
    assert change["high"] == pytest.approx(0.2 + np.hypot(u2 - 0.8, 0.6 - l1))
    # the paper's own figures for this case, to its four decimals
    assert (change["low"], change["high"]) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert change["verdict"] == "rose"


def test_a_split_by_date_is_two_waves(answers):
    dated = answers.assign(answered=pd.date_range("2025-01-01", periods=300, freq="D"))
    found = wave_change(dated, split="2025-05-31")
    assert row(found, "satisfied")["respondents_before"] == 150
    named = wave_change(answers)
    assert found.table["low"].tolist() == pytest.approx(named.table["low"].tolist())
    assert "From before 2025-05-31 to 2025-05-31 on" in found.sentence()


def test_two_waves_are_ordered_by_time_and_swapping_turns_the_sign(answers):
    dated = answers.assign(answered=pd.date_range("2025-01-01", periods=300, freq="D"))
    turned = dated.assign(wave=dated["wave"].map({"2024": "z", "2025": "a"}))
    assert (wave_change(turned).before, wave_change(turned).after) == ("z", "a")
    there = row(wave_change(answers, before="2024", after="2025"), NPS)
    back = row(wave_change(answers, before="2025", after="2024"), NPS)
    assert (back["low"], back["high"]) == pytest.approx((-there["high"], -there["low"]))


def test_sites_in_both_waves_take_out_what_they_share():
    rng = np.random.default_rng(6)
    site = np.tile(np.arange(30), 40)
    level = rng.normal(size=30)[site] * 1.5
    wave = np.repeat(["1", "2"], 600)
    made = pd.DataFrame({"site": site.astype(str), "wave": wave})
    made["satisfaction"] = np.clip(np.round(4 + level + rng.normal(size=1200)), 1, 7)
    together = row(wave_change(made, cluster="site"), "mean satisfaction")
    assert together["correlation"] > 0.9
    alone = row(satisfaction_and_loyalty(made[wave == "1"], cluster="site"), "mean satisfaction")
    assert together["high"] - together["low"] < 0.5 * (alone["high"] - alone["low"])


# --- power --------------------------------------------------------------------------------------


def test_the_smallest_change_is_found_with_the_power_promised():
    answers = pd.DataFrame({"satisfaction": [1, 7] * 200})
    change = row(smallest_change(answers), "mean satisfaction")["estimate"]
    error = np.sqrt(2) * 3 / np.sqrt(399)
    power = stats.norm.sf(1.959964 - change / error) + stats.norm.cdf(-1.959964 - change / error)
    assert power == pytest.approx(0.8, abs=1e-4)


def test_sample_size_and_smallest_change_undo_each_other(answers):
    smallest = smallest_change(answers, weight="weight").table.set_index("indicator")
    change = smallest.loc[NPS, "estimate"]
    sizes = sample_size(answers, weight="weight", nps_changes=[change], response_rate=0.25).table
    needed = sizes[sizes["indicator"] == NPS].iloc[0]
    assert needed["estimate"] == pytest.approx(300)
    assert needed["invitations"] == pytest.approx(1200)
    assert needed["low"] < 300 < needed["high"]


def test_half_the_change_takes_four_times_the_answers(answers):
    table = sample_size(answers, nps_changes=[5, 10]).table
    five, ten = table[table["indicator"] == NPS]["estimate"]
    assert five == pytest.approx(4 * ten)
    assert "answers per wave" in sample_size(answers).sentence().splitlines()[0]


# --- bad input ----------------------------------------------------------------------------------


def test_answers_off_the_scale_and_boxes_that_do_not_fit(answers):
    with pytest.raises(Problem, match="'recommend' has 1 answers outside 0 to 10"):
        satisfaction_and_loyalty(answers.assign(recommend=[99] + [5] * 299))
    with pytest.raises(Problem, match="outside 1 to 5"):
        satisfaction_and_loyalty(answers, asked=Questions(points=(1, 5)))
    with pytest.raises(Problem, match="box is 7 on a scale of 1 to 7"):
        satisfaction_and_loyalty(answers, asked=Questions(box=7))
    with pytest.raises(Problem, match="box is 0"):
        satisfaction_and_loyalty(answers, asked=Questions(box=0))
    with pytest.raises(Problem, match="easy is 'up'"):
        satisfaction_and_loyalty(answers, asked=Questions(easy="up"))
    with pytest.raises(Problem, match="does not hold numbers"):
        satisfaction_and_loyalty(answers.assign(recommend="ten"))


def test_weights_that_cannot_be(answers):
    with pytest.raises(Problem, match="weights of zero only"):
        satisfaction_and_loyalty(answers.assign(weight=0.0), weight="weight")
    with pytest.raises(Problem, match="1 blank or negative weights"):
        satisfaction_and_loyalty(answers.assign(weight=[-1.0] + [1] * 299), weight="weight")


def test_too_little_to_say_anything(answers):
    with pytest.raises(Refusal, match="No indicator has 10 answers"):
        satisfaction_and_loyalty(answers[:9])
    with pytest.raises(Refusal, match="no column for satisfaction"):
        satisfaction_and_loyalty(answers[["site"]])
    with pytest.raises(Refusal, match="Nobody who was invited answered"):
        sample_size(answers, response_rate=0.0)
    with pytest.raises(Refusal, match="one wave only"):
        wave_change(answers.assign(wave="1"))
    with pytest.raises(Refusal, match="on one side"):
        wave_change(answers.assign(answered=pd.Timestamp("2025-01-01")), split="2026-01-01")
    with pytest.raises(Problem, match="name both"):
        wave_change(answers.assign(wave=list("abc") * 100))
    with pytest.raises(Problem, match="wave is '2023'"):
        wave_change(answers, before="2023", after="2025")


def test_everyone_alike_gets_a_share_but_no_interval_of_the_mean(answers):
    same = answers.assign(satisfaction=7, recommend=10)
    found = satisfaction_and_loyalty(same)
    assert (found.satisfied, found.satisfied_high) == (1, 1)
    assert found.satisfied_low > 0.98
    assert found.nps_high == pytest.approx(100)
    assert row(found, "mean satisfaction")["note"] == "everyone gave the same answer"
    with pytest.raises(Refusal, match="answers that differ"):
        smallest_change(same.drop(columns="effort"))
    change = wave_change(same)
    assert row(change, NPS)["verdict"] == "no change shown"


def test_twelve_respondents_get_wide_intervals(answers):
    found = satisfaction_and_loyalty(answers[:12])
    assert found.nps_high - found.nps_low > 60


def test_pictures(answers):
    for found in (
        satisfaction_and_loyalty(answers),
        loyalty_by_group(answers),
        wave_change(answers),
        smallest_change(answers),
        sample_size(answers),
    ):
        figure, ax = plt.subplots()
        assert found.plot(ax).get_title().endswith("?")
        assert len(ax.get_yticklabels()) > 1
        assert found.sentence().splitlines()[0].endswith(".")
        plt.close(figure)
