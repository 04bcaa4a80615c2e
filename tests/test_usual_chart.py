"""Is a period judged by what is usual for its day, and only where the model has proved itself?"""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.clock import Calendar
from sqm.methods.charts import one_chart
from sqm.methods.usual_chart import usual_chart
from sqm.methods.watch import early_warning

DAYS = pd.date_range("2024-01-01", periods=364, freq="D")
HOLIDAYS = tuple(DAYS[5::40])  # ten days of many weekdays
CALENDAR = Calendar(holidays=tuple(day.date() for day in HOLIDAYS))
MEAN = np.where(DAYS.day_of_week == 0, 60.0, 30.0) * np.where(DAYS.isin(HOLIDAYS), 0.2, 1.0)
UNTIL = "2024-11-01"


def _counts(seed, mean=MEAN, extra=0.01, days=DAYS, **columns):
    rng = np.random.default_rng(seed)
    value = rng.poisson(mean * rng.gamma(1 / extra, extra, len(days))).astype(float)
    return pd.DataFrame(
        {"series": "calls", "data": "count", "period": days, "n": 1.0, "value": value}
        | {"better": "lower", "mature": True}
        | columns
    )


def _found(series, **given):
    given = {"baseline_until": UNTIL, "calendar": CALENDAR, "simulations": 400} | given
    return usual_chart(series, rng=np.random.default_rng(1), **given)


@pytest.fixture(scope="module")
def found():
    series = _counts(1)
    series.loc[351, "value"] = 70.0  # a jump on an ordinary day: 30 are usual
    series.loc[355, "value"] = 8.0
    return _found(series)


def test_mondays_and_holidays_do_not_signal_and_a_planted_jump_does(found):
    plain = one_chart(
        _counts(1), kind="c", simulations=100, baseline_until=UNTIL, rng=np.random.default_rng(1)
    ).table
    mondays = plain["period"].dt.day_of_week == 0
    assert (plain.loc[mondays, "signal"] == "worse").mean() > 0.8
    since = found.table[~found.table["baseline"]].set_index("period")["signal"]
    assert since[DAYS[351]] == "worse" and since[DAYS[355]] == "better"
    assert (since != "").sum() <= 3
    assert (found.since, found.first) == ((len(since),), (str(DAYS[351].date()),))


def test_the_planted_effects_lie_in_their_intervals(found):
    effects = {
        name: limits
        for name, *limits in zip(
            found.effect_name, found.effect_low, found.effect_high, strict=True
        )
    }
    low, high = effects["Mon"]  # twice the others: 2^(6/7) of the mean of logs
    assert low < 2 ** (6 / 7) - 1 < high and high - low < 0.2
    low, high = effects["holidays"]
    assert low < -0.8 < high < -0.6
    assert set(effects) == {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "holidays"}
    assert found.terms == ("the weekday, holidays",)


def test_the_sentence_and_the_picture_say_it(found):
    first, rest = found.sentence().split("\n")
    assert f"{found.worse[0] + found.better[0]} of {found.since[0]} periods" in first
    assert f"{found.change[0] * 100:+.1f} % (95% interval" in first and len(first) < 220
    assert f"{found.outside[0]} of {found.held_out[0]}" in rest and "Mon +" in rest
    ax = found.plot(plt.figure().gca())
    assert ax.get_title().startswith("Is it more than usual")
    assert len(ax.lines) > 4
    plt.close("all")


def test_the_watch_can_read_it(found):
    ctqs = pd.DataFrame({"ctq": ["calls"], "owner": ["Ana"], "reaction": ["call for help"]})
    watched = early_warning(found.table, ctqs=ctqs, last=20)
    assert watched.table.loc[0, "state"] == "worse"
    assert watched.table.loc[0, "false_alarm"] == found.chance_last[0]


def test_false_alarms_come_about_as_often_as_stated():
    days = DAYS[:170]
    mean = np.where(days.day_of_week == 0, 60.0, 30.0)
    given = {"baseline_until": "2024-04-22", "rules": "beyond 2.5", "simulations": 100}
    said, came = [], []
    for seed in range(30):
        try:
            each = _found(_counts(seed, mean, days=days), calendar=None, **given)
        except Refusal:
            continue  # a true model fails once in a hundred
        said.append(each.chance_since[0])
        came.append(each.worse[0] + each.better[0] > 0)
    assert len(said) >= 28
    assert 0.35 < np.mean(said) < 0.65  # 58 days with 0.0124 each: 0.52
    assert abs(np.mean(came) - np.mean(said)) < 2.6 * np.sqrt(0.25 / len(said))


def test_a_share_goes_down_for_the_better_and_young_days_are_not_judged():
    rng, days = np.random.default_rng(4), DAYS[:130]
    chance = np.where(days.day_of_week > 4, 0.4, 0.2)
    chance[100:120] = 0.02
    value = rng.binomial(60, chance).astype(float)
    value[120:] = 60.0
    series = _counts(1, MEAN[:130], days=days).assign(
        data="share", n=60.0, value=value, mature=np.arange(130) < 120
    )
    given = {"calendar": None, "baseline_until": "2024-04-08", "simulations": 200}
    share = _found(series, **given)
    fallen = share.table["signal"].iloc[100:120]
    assert (fallen == "better").sum() > 15 and "worse" not in set(fallen)
    assert share.immature == 10
    assert share.change_high[0] < -0.4
    young = share.table.iloc[120:]
    assert (young["signal"] == "").all() and young["z"].isna().all()
    weekend = share.table["period"].dt.day_of_week[:98] > 4
    assert share.table["centre"][:98][~weekend].mean() == pytest.approx(0.2, abs=0.02)


def test_the_side_that_is_worse_is_the_series_own(found):
    series = _counts(1, better="higher")
    series.loc[355, "value"] = 8.0
    signals = _found(series).table.set_index("period")["signal"]
    assert signals[DAYS[355]] == "worse" and found.table.loc[355, "signal"] == "better"


def test_a_weekday_on_which_nothing_ever_comes_is_closed():
    series = _counts(2, np.where(DAYS.day_of_week == 6, 0.0, MEAN))
    found = _found(series)
    sundays = found.table["period"].dt.day_of_week == 6
    assert found.table.loc[sundays, "z"].isna().all() and found.closed == sundays.sum() == 52
    assert "Sun" not in found.effect_name and "Sat" in found.effect_name


def test_a_model_that_fails_on_what_it_has_not_seen_is_refused():
    moved = np.where(np.arange(len(DAYS)) >= 250, 1.8, 1.0) * MEAN
    with pytest.raises(Refusal, match=r"calls \(the model failed on the end.*are expected\)"):
        _found(_counts(3, moved))
    both = pd.concat([_counts(1, series="sound"), _counts(3, moved)], ignore_index=True)
    found = _found(both)
    assert found.names == ("sound",) and found.refused[0].startswith("calls (the model failed")


def test_where_nothing_follows_the_day_a_plain_chart_is_enough():
    flat = _counts(5, np.full(len(DAYS), 30.0))
    with pytest.raises(Refusal, match=r"in calls\.\n.*a plain chart is enough"):
        _found(flat, calendar=None)
    both = pd.concat([_counts(1, series="weekly wave"), flat], ignore_index=True)
    found = _found(both, calendar=None)
    assert found.plain == ("calls",) and "A plain chart is enough for calls" in found.sentence()


def test_weeks_with_a_season_and_weeks_with_closed_days():
    weeks = pd.date_range("2021-01-04", periods=180, freq="7D")
    turn = 2 * np.pi * weeks.day_of_year.to_numpy() / 365.25
    wave = 100 * np.exp(0.4 * np.cos(turn))
    found = _found(_counts(6, wave, days=weeks), baseline_until=None, calendar=None, last=8)
    assert found.terms == ("the season",)
    month = dict(zip(found.effect_name, found.effect, strict=True))
    assert month["January"] == pytest.approx(np.exp(0.39) - 1, abs=0.1)
    assert max(found.effect_high) < 0.8 and found.since == (8,)


@pytest.mark.parametrize(
    ("change", "given", "error", "said"),
    [
        (lambda s: s, {"names": ["call"]}, Problem, "calls"),
        (lambda s: s.drop(columns="n"), {}, Problem, "no column 'n'"),
        (lambda s: s.assign(better="up"), {}, Problem, "better"),
        (lambda s: s.iloc[:40:7], {}, Refusal, "by the day"),
        (lambda s: s.assign(data="mean"), {"names": ["calls"]}, Refusal, "of mean"),
        (lambda s: s.iloc[:20], {}, Refusal, "19 periods"),
        (
            lambda s: s.assign(period=pd.date_range("2000-01-01", periods=364, freq="MS")),
            {"names": ["calls"]},
            Refusal,
            "as months are not",
        ),
        (lambda s: s, {"rules": "beyond three"}, Problem, "rule"),
    ],
)
def test_what_cannot_be_answered_is_said(change, given, error, said):
    with pytest.raises(error, match=said):
        _found(change(_counts(1)), **given)
