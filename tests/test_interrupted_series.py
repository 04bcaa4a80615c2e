"""A step in one series: sums by hand, the published case, and what the words say."""

import json
from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.methods.interrupted_series import interrupted_mean, interrupted_series

WEEKS = pd.date_range("2025-01-06", periods=40, freq="7D")
CHANGE = "2025-07-28"  # 29 weeks before, 11 after
SICILY = json.loads(
    (Path(__file__).parent / "reference/its_sicily_smoking_ban.json").read_text(encoding="utf-8")
)


def followed(values, *, data="mean", n=1.0, weeks=WEEKS, better="lower"):
    return pd.DataFrame(
        {"series": "Waits $_<", "data": data, "period": weeks, "n": n, "value": values}
    ).assign(better=better, mature=True)


def asked(series, **more):
    return interrupted_series(
        series, **{"change_on": CHANGE, "rng": np.random.default_rng(1), **more}
    )


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(6).normal(size=40)


@pytest.fixture(scope="module")
def halved():
    rng = np.random.default_rng(12)
    rate = np.where(WEEKS >= CHANGE, 20, 40)
    return asked(followed(rng.poisson(rate).astype(float), data="count"))


def test_the_sentence_and_the_picture_tell_a_halved_count(halved):
    first = halved.sentence().splitlines()[0]
    assert halved.ratio
    assert halved.low < 0.5 < halved.high
    assert f"was {halved.estimate:.2f} (95% interval {halved.low:.2f} to" in first
    assert first.endswith("better than that trend.")
    assert len(first) <= 220
    assert "approximate where the rate itself wanders" in halved.sentence()
    ax = halved.plot(plt.figure().gca())
    assert ax.get_title().startswith("Did the level or the slope step")
    assert len(ax.collections) == 1  # the interval
    assert halved.table["kind"].tolist() == ["effect", "level", "slope", "false date"]


def test_sicily_by_the_month_with_its_season():
    """Level and slope with the season of five years; the published fit lets no slope change, so
    the step is compared at its own interval only."""
    given = SICILY["input"]
    months = pd.to_datetime(
        [f"{y}-{m:02d}-01" for y, m in zip(given["year"], given["month"], strict=True)]
    )
    series = followed(
        np.array(given["aces"], float), data="rate", n=np.array(given["stdpop"]), weeks=months
    )
    found = asked(series, change_on="2005-01-01")
    assert found.seasonal
    assert found.missing == 0
    assert found.low < SICILY["expected"]["quasipoisson_seasonal"]["rr"] < found.high
    assert found.estimate < 1


def test_shares_are_told_in_points(noise):
    n = np.full(40, 400.0)
    share = np.clip(0.2 + 0.01 * noise + 0.1 * (WEEKS >= CHANGE), 0, 1)
    found = asked(followed(np.round(share * n), data="share", n=n))
    assert found.estimate == pytest.approx(0.1, abs=0.02)
    assert f"{found.estimate * 100:.1f} percentage points" in found.sentence()
    assert found.verdict == "worsened"


def test_immature_periods_and_the_week_of_the_change_are_set_aside(noise):
    series = followed(noise)
    series["mature"] = series.index < 38
    found = asked(series, change_on="2025-07-30")
    assert found.left_out == 3
    assert "3 periods set aside" in found.sentence()
    assert found.missing == 1  # the week of the change, in between


def test_a_gap_is_counted(noise):
    found = asked(followed(noise).drop(index=[3, 4]))
    assert found.missing == 2
    assert "2 periods missing in between" in found.sentence()


def test_a_step_before_the_change_is_not_claimed():
    """A step in the middle of the weeks before makes the made-up date tell."""
    values = np.where(np.arange(40) >= 14, 5.0, 0.0) - 9 * (WEEKS >= CHANGE)
    values = values + np.random.default_rng(4).normal(0, 0.3, 40)
    found = asked(followed(values))
    assert found.passed == "no"
    assert found.verdict == "no change shown"
    assert "distrust" in found.sentence()


def test_few_weeks_after_have_no_slope(noise):
    found = asked(followed(noise).head(33))
    assert np.isnan(found.slope)
    assert "too few periods lie after it" in found.sentence()
    assert found.table.set_index("kind").loc["slope", "note"] == "too few periods after"


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda s: s.assign(value=0.0, data="count"), Refusal, "same in every"),
        (lambda s: s.assign(value=3.0), Refusal, "same in every"),
        (lambda s: s.head(3), Refusal, "No whole period lies after"),
        (lambda s: s.tail(11), Refusal, "at the first point"),
        (lambda s: s.assign(n=0.0), Problem, "without records"),
        (lambda s: s.assign(data="share", value=2.0), Problem, "a value that cannot be"),
        (lambda s: pd.concat([s, s.head(1)]), Problem, "twice"),
        (lambda s: s.assign(data="time"), Refusal, "no regular periods"),
        (lambda s: s.assign(series=s.index.astype(str)), Problem, "40 values of 'series'"),
        (
            lambda s: s.assign(data="count", value=np.where(WEEKS >= CHANGE, 0.0, 5.0)),
            Refusal,
            "no event on one side",
        ),
    ],
)
def test_what_cannot_be_answered(noise, change, error, words):
    with pytest.raises(error, match=words):
        asked(change(followed(noise)))


def test_the_changed_sites_mean_and_one_series_agree(noise):
    panel = pd.DataFrame({"site": "N1", "period": WEEKS, "n": 9, "mean": noise})
    found = interrupted_mean(
        panel,
        treated=["N1"],
        change_on=CHANGE,
        measure_name="wait",
        better="lower",
        rng=np.random.default_rng(1),
    )
    alone = asked(followed(noise))
    assert (found.estimate, found.low, found.false_date) == pytest.approx(
        (alone.estimate, alone.low, alone.false_date), abs=1e-12
    )


def test_the_words_follow_the_verdict(halved):
    assert "worse than that trend" in replace(halved, verdict="worsened").sentence()
    none = replace(halved, verdict="no change shown", passed="no").sentence()
    assert "no change is claimed" in none
