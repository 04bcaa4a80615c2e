"""Whether limits should be moved: by hand, on steps that were put in, and on steady weeks."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sqm.chart_limits import LEDGER, to_freeze
from sqm.checks import Problem, Refusal
from sqm.methods import rebasing
from sqm.methods.rebasing import data_hash, should_move

WEEKS = pd.date_range("2025-01-06", periods=60, freq="7D")
CHOICE = pd.DataFrame({"series": ["wait"], "kind": ["xmr"], "rules": ["beyond 3"]})


def followed(value, **more):
    value = np.asarray(value, dtype=float)
    head = {"series": "wait", "data": "mean", "period": WEEKS[: len(value)], "n": 1.0}
    rest = {"value": value, "sd": np.nan, "better": "lower", "mature": True}
    return pd.DataFrame({**head, **rest, **more})


def noise(periods, seed=4):
    return 100 + 5 * np.random.default_rng(seed).standard_normal(periods)


def judged(series, ledger=None, **more):
    given = {"choice": CHOICE, "simulations": 300, "rng": np.random.default_rng(1), **more}
    return should_move(series, ledger=ledger, **given)


@pytest.fixture(scope="module")
def frozen():
    """Limits from thirty steady weeks."""
    return to_freeze(judged(followed(noise(30))).table)


def stepped(by, periods=50, at=34):
    value = noise(periods)
    value[at:] += by
    return followed(value)


def test_first_limits_rest_on_the_weeks_before_the_change():
    found = judged(stepped(-20), change_on=f"{WEEKS[34]:%Y-%m-%d}")
    row = found.table.loc[0]
    assert (row["action"], row["periods_used"], row["valid_from"]) == (
        "propose",
        34,
        f"{WEEKS[34]:%Y-%m-%d}",
    )
    assert row["centre"] == pytest.approx(noise(34).mean())
    assert row["data_sha256"] == data_hash(stepped(-20)[:34])
    assert (found.proposed, found.first) == (1, 1)
    assert "First limits are proposed for 1: wait." in found.sentence()


def test_the_ledger_takes_what_is_proposed(frozen):
    assert frozen.columns.tolist() == list(LEDGER)
    assert frozen["rules"].tolist() == ["beyond 3"]


def test_a_baseline_that_holds_a_step_is_not_made_limits():
    found = judged(stepped(20, at=25))
    row = found.table.loc[0]
    assert row["action"] == "unsteady"
    assert row["reason"].startswith("the 50 baseline periods hold a step, likeliest at 2025-06-30")
    assert to_freeze(found.table).empty
    assert "Not steady" in found.sentence()


def test_a_better_level_that_an_event_explains_is_proposed(frozen):
    found = judged(stepped(-15), frozen, change_on="2025-09-01")
    row = found.table.loc[0]
    assert row["action"] == "propose"
    assert row["moved_on"] == f"{WEEKS[34]:%Y-%m-%d}" == "2025-09-01"
    assert row["moved_low"] <= row["moved_on"] <= row["moved_high"]
    assert row["new_periods"] == row["periods_used"] == 16
    assert row["estimate"] == pytest.approx(stepped(-15)["value"][34:].mean())
    assert row["low"] < 85 < row["high"]
    assert row["was"] == pytest.approx(noise(30).mean())
    assert row["chance"] < 0.05
    assert row["false_proposal"] == found.false_proposal < 0.05
    first = found.sentence().split("\n")[0]
    assert first.startswith("Of 1 series, the limits of 1 should be moved: wait from 2025-09-01")
    assert len(first) <= 220
    assert "Nothing is moved by itself" in found.sentence()


def test_another_event_explains_it_too_and_without_one_it_waits(frozen):
    events = pd.DataFrame({"day": pd.to_datetime(["2025-09-03"]), "what": ["new menu"]})
    known = judged(stepped(-15), frozen, events=events).table.loc[0]
    assert known["reason"].endswith("explained by new menu (2025-09-03)")
    row = judged(stepped(-15), frozen).table.loc[0]
    assert row["action"] == "wait"
    assert "no cause is known: name it" in row["reason"]


def test_a_worse_level_is_never_made_the_norm(frozen):
    row = judged(stepped(15), frozen, change_on="2025-09-01").table.loc[0]
    assert (row["action"], row["reason"]) == (
        "keep",
        "worse level since 2025-09-01: find the cause",
    )
    better = judged(stepped(15).assign(better="higher"), frozen, change_on="2025-09-01")
    assert better.table["action"].tolist() == ["propose"]


def test_a_young_level_waits_and_a_wandering_one_is_not_steady(frozen):
    young = judged(stepped(-20, periods=42), frozen, change_on="2025-09-01").table.loc[0]
    assert (young["action"], young["new_periods"]) == ("wait", 8)
    value = stepped(-15, periods=60)
    value.loc[47:, "value"] -= 25
    row = judged(value, frozen, change_on="2025-09-01").table.loc[0]
    assert row["action"] in ("unsteady", "wait")  # the second step may be taken for the move
    assert to_freeze(judged(value, frozen).table).empty


def test_steady_weeks_and_weeks_too_few_keep_the_limits(frozen):
    quiet = judged(followed(noise(50)), frozen).table.loc[0]
    assert quiet["action"] == "keep"
    assert quiet["reason"].startswith("no clear move")
    assert quiet["centre"] == frozen["centre"][0]  # those in force are shown
    few = judged(followed(noise(32)), frozen).table.loc[0]
    assert few["reason"] == "2 periods since the baseline, 4 are the fewest"


def test_weeks_that_are_not_complete_do_not_count(frozen):
    young = stepped(-15).assign(mature=np.arange(50) < 40)
    assert judged(young, frozen, change_on="2025-09-01").table["new_periods"][0] == 6


def test_weeks_changed_since_they_were_frozen_are_told(frozen):
    spoilt = followed(noise(50))
    assert judged(spoilt, frozen).table["note"][0] == ""
    spoilt.loc[3, "value"] += 1
    assert "their hash is another one" in judged(spoilt, frozen).table["note"][0]


def test_three_weeks_and_weeks_that_never_vary_wait():
    short = judged(followed(noise(3))).table.loc[0]
    assert short["action"] == "wait"
    assert "12" in short["reason"]
    unsuited = judged(followed(noise(30)), choice=CHOICE.assign(kind="")).table.loc[0]
    assert (unsuited["action"], unsuited["reason"]) == ("wait", "no chart suits the series")
    flat = judged(followed(np.zeros(20))).table.loc[0]
    assert flat["action"] == "wait"


def test_how_often_a_steady_series_looks_moved():
    """150 steady series, neighbours correlating 0.3, looked at each week of a year: 0.05."""
    rng = np.random.default_rng(8)
    settings = rebasing._Settings(pd.DataFrame(), "", 0.05, 52, 0.95, 200, rng)
    fired = 0
    for z in rebasing._steady(np.full(150, 0.3), 39 + 52, rng):
        wander = rebasing.persistence(z[None, :39], draws=200, rng=rng)
        limit = rebasing._evidence(z, 39, wander, "lower", settings)[1]
        looks = (rebasing._contrasts(z[None], 39, end) for end in range(43, 92))
        fired += max(np.abs(each).max() for each in looks) > limit * z[:39].std(ddof=1)
    assert 2 <= fired <= 15  # 99 % of draws at 0.05


def test_the_contrast_by_hand():
    """Eight zeros, then four threes: (3 - 0) / sqrt(1/4 + 1/8); one place earlier (12/5 - 0)."""
    z = np.array([[0.0] * 8 + [3.0] * 4])
    found = rebasing._contrasts(z, 7, 12)[0]
    assert found == pytest.approx([2.4 / np.sqrt(1 / 5 + 1 / 7), 3 / np.sqrt(1 / 4 + 1 / 8)])


def test_a_step_without_noise_is_dated_for_sure():
    z = np.r_[np.tile([-0.1, 0.1], 10), np.tile([2.9, 3.1], 5)]
    assert rebasing._when(z, 12, 0.0, 0.95) == (20, 20, 20)


def test_the_picture_has_a_row_for_each_series(frozen):
    both = pd.concat([stepped(-15), followed(noise(40, seed=9), series="calls")])
    choice = pd.concat([CHOICE, CHOICE.assign(series="calls")])
    found = judged(both, frozen, choice=choice, change_on="2025-09-01")
    assert (found.proposed, found.first) == (2, 1)
    ax = found.plot(plt.figure().gca())
    assert ax.get_title() == "Should the limits be moved?"
    assert [text.get_text() for text in ax.get_yticklabels()] == ["wait", "calls"]
    plt.close("all")


def test_what_is_wrong_is_a_problem():
    good = followed(noise(20))
    with pytest.raises(Refusal, match="no series"):
        judged(good[:0])
    with pytest.raises(Problem, match="No chart is chosen for 'other'"):
        judged(good.assign(series="other"))
    with pytest.raises(Problem, match="chosen twice"):
        judged(good, choice=pd.concat([CHOICE, CHOICE]))
    with pytest.raises(Problem, match="comes twice"):
        judged(pd.concat([good, good[:1]]))
    with pytest.raises(Problem, match="no day"):
        judged(good, change_on="soon")
    with pytest.raises(Problem, match="does not hold dates"):
        judged(good.assign(period="2025-01-06"))
