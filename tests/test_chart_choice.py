"""The chart each series gets, the rules it can bear, and whether stated rates happen."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm import chart_limits, signal_rules
from sqm.checks import Problem, Refusal
from sqm.methods.chart_choice import POPULAR, _bargain, _delay, chart_choice, rule_sets
from sqm.methods.charts import control_charts
from tests.benchmarks import false_alarms as benchmark

WEEKS = 52


def rng(seed=1):
    return np.random.default_rng(seed)


def series(name, data, value, n=1.0, sd=np.nan, **more):
    value = np.asarray(value, dtype=float)
    start = pd.date_range("2024-01-01", periods=len(value), freq="7D")
    table = {"series": name, "data": data, "period": start, "n": n, "value": value, "sd": sd}
    return pd.DataFrame({**table, "better": "lower", "mature": True, **more})


def autoregression(correlation, periods=WEEKS, seed=1):
    value = rng(seed).normal(size=periods)
    for t in range(1, periods):
        value[t] = correlation * value[t - 1] + np.sqrt(1 - correlation**2) * value[t]
    return value


def choice(rows, **settings):
    return chart_choice(rows, **{"simulations": 400, "rng": rng(), **settings})


SUITED = {
    "plain share": ("share", rng(1).binomial(200, 0.1, WEEKS), 200, np.nan, "p"),
    "wide share": ("share", rng(2).binomial(200, rng(2).beta(9, 81, WEEKS)), 200, np.nan, "p'"),
    "plain count": ("count", rng(3).poisson(9, WEEKS), 1, np.nan, "c"),
    "wide count": ("count", rng(5).poisson(rng(5).gamma(10, 2, WEEKS)), 1, np.nan, "u'"),
    "means": ("score", rng(6).normal(5, 1 / np.sqrt(50), WEEKS), 50, 1.0, "xbar"),
    "unsteady means": ("score", rng(7).normal(5, 0.4, WEEKS), 50, 1.0, "i'"),
    "single": ("mean", rng(8).normal(5, 1, WEEKS), 1, np.nan, "xmr"),
    "skewed": ("mean", rng(9).gamma(1, 1, WEEKS), 1, np.nan, "run"),
    "alike": ("mean", autoregression(0.5, seed=3), 1, np.nan, "xmr"),
    "gaps": ("gap", rng(11).geometric(0.04, WEEKS) - 1, 1, np.nan, "g"),
    "times": ("time", rng(12).exponential(9, WEEKS), 1, np.nan, "t"),
    "season": (
        "mean",
        2 * np.sin(np.arange(WEEKS) / 8) + rng(13).normal(size=WEEKS),
        1,
        np.nan,
        "",
    ),
    "rare": ("count", rng(14).binomial(1, 0.3, WEEKS), 1, np.nan, ""),
    "none": ("count", np.zeros(WEEKS), 1, np.nan, ""),
    "short": ("count", rng(16).poisson(9, 10), 1, np.nan, "run"),
    "three": ("count", [4, 5, 6], 1, np.nan, ""),
    "rates": (
        "rate",
        rng(4).poisson(9 * np.tile([1.0, 1.5], 26)),
        np.tile([1.0, 1.5], 26),
        np.nan,
        "u",
    ),
}


@pytest.fixture(scope="module")
def found():
    rows = [series(name, *case[:4]) for name, case in SUITED.items()]
    return choice(pd.concat(rows, ignore_index=True))


@pytest.mark.parametrize("name", SUITED)
def test_each_series_gets_the_chart_that_suits_it(found, name):
    row = found.table.set_index("series").loc[name]
    assert row["kind"] == SUITED[name][4]
    if row["kind"]:
        signal_rules.rules_of(row["rules"])
        assert row["data"] in chart_limits.SUITS[row["kind"]]
        assert row["reason"]
    else:
        assert row["note"]


def test_why_there_is_no_chart_is_said(found):
    note = found.table.set_index("series")["note"]
    assert "level wanders" in note["season"]
    assert "too rare" in note["rare"]
    assert "g or t chart" in note["rare"]
    assert "no event" in note["none"]
    assert "3 periods" in note["three"]
    assert all(f"{name} (" in found.sentence() for name in ("season", "rare", "none", "three"))


def test_the_rejected_charts_are_told_with_the_reason(found):
    table = found.table.set_index("series")
    assert table.loc["wide share", "rejected"].startswith("p: its limits know counting noise only")
    assert "of counting (p < 0.001), more than chance" in table.loc["wide share", "reason"]
    assert "p': nothing beyond counting" in table.loc["plain share", "rejected"]
    assert "neighbouring periods are alike" in table.loc["alike", "reason"]


def test_the_rules_taken_are_within_the_budget_and_the_richest_not_passed_over(found):
    charts = found.table[found.table["kind"] != ""]
    assert (charts["false_alarm_low"] <= found.budget).all()
    tried = pd.DataFrame(
        {
            "series": found.set_series,
            "name": found.set_name,
            "chance": found.set_chance,
            "taken": found.set_taken,
        }
    )
    for row in charts.itertuples():
        mine = tried[tried["series"] == row.series].reset_index(drop=True)
        assert list(mine["name"]) == list(rule_sets(row.kind, row.baseline_periods))
        within = mine.index[mine["chance"] < found.budget - 0.04]  # surely
        richest = mine.index[mine["taken"]].max() if mine["taken"].any() else -1
        over = mine.index[mine["name"].isin(row.passed_over.split(", "))]
        assert max(richest, *over, -1) >= (within.max() if len(within) else -1)
        assert all(over > richest)
        assert ("passed over" in row.reason) == (len(over) > 0)


def test_rules_that_cry_wolf_more_and_are_hardly_sooner_are_passed_over():
    """Champ and Woodall (1987): one sigma is told after 43.89, with runs of 8 after 14.58."""
    sets = rule_sets("xmr", 24)
    assert _delay("beyond 3") == pytest.approx(43.89, rel=0.05)
    assert _delay(str(sets["limits and run of 8"])) == pytest.approx(14.58, rel=0.05)
    chance = {"limits and ewma": 0.06, "limits and run of 8": 0.09, "Western Electric": 0.10}
    assert _bargain(chance, sets) == (
        "limits and ewma",
        ["limits and run of 8", "Western Electric"],
    )
    chance = {"beyond the limits": 0.04, "limits and run of 8": 0.09}  # 44 against 15 periods
    assert _bargain(chance, sets) == ("limits and run of 8", [])
    assert _bargain({}, sets) == ("", [])


@pytest.mark.parametrize("later", [0, 40])
def test_charts_state_the_same_chance_for_the_same_rules_and_periods(later):
    """In the last 13 periods, also where the baseline ended 40 periods ago."""
    rows = series("one", "share", rng(1).binomial(200, 0.1, 24 + later), 200)
    until = str((rows["period"].iloc[23] + pd.Timedelta(days=1)).date())
    chosen = choice(rows, baseline_until=until, simulations=4000)
    if not later:  # the chart goes on for as long as it is watched
        more = rows.iloc[:13].assign(period=rows["period"].iloc[:13] + pd.Timedelta(weeks=24))
        rows = pd.concat([rows, more], ignore_index=True)
    charts = control_charts(
        rows, chosen=chosen.table, last=13, baseline_until=until, simulations=4000, rng=rng(2)
    )
    stated, said = chosen.table["false_alarm"][0], charts.table["false_alarm"].iloc[0]
    assert stated == pytest.approx(said, abs=3 * np.sqrt(2 * said * (1 - said) / 4000))


def test_memory_and_old_limits_cry_wolf_more_later_than_right_after_the_baseline():
    rows = series("one", "share", rng(1).binomial(200, 0.1, 64), 200)
    short, long = (
        choice(rows.iloc[:k], baseline_until=str(rows["period"].iloc[24].date()), simulations=4000)
        for k in (37, 64)
    )
    chance = [dict(zip(each.set_name, each.set_chance, strict=True)) for each in (short, long)]
    assert chance[1]["limits and ewma"] > 1.15 * chance[0]["limits and ewma"]
    assert "in 13 periods in a row" in long.sentence().splitlines()[0]


def test_half_more_variance_that_went_unnoticed():
    """Beyond 3, limits from 400 periods: 13 periods at 2 (1 - Phi(3 / sqrt(1.5))) = 0.0143 each."""
    found = choice(
        series("one", "mean", rng(6).normal(5, 1 / np.sqrt(50), 400), 50, sd=1.0),
        budget=0.055,
        simulations=2000,
    )
    row = found.table.iloc[0]
    assert (row["kind"], row["rules"]) == ("xbar", "beyond 3")
    assert row["false_alarm_wide"] == pytest.approx(1 - (1 - 0.0143) ** 13, abs=0.03)
    assert (
        f"is then {row['false_alarm_wide']:.0%}, not {row['false_alarm']:.0%}" in found.sentence()
    )


def test_limits_are_widened_where_no_rules_are_within_the_budget():
    found = choice(series("one", "mean", rng(8).normal(5, 1, 24)), budget=0.02, simulations=2000)
    row = found.table.iloc[0]
    assert (found.widened, row["rule_set"]) == (1, "")
    assert row["sigmas"] > 3
    assert row["rules"] == f"beyond {row['sigmas']:g}"
    assert row["false_alarm_low"] <= 0.02
    assert "wider than 3 sigma" in found.sentence()


def test_the_sentence_tells_what_a_popular_default_does(found):
    first = found.sentence().splitlines()[0]
    assert len(first) <= 220
    assert f"{found.charted} of {len(SUITED)} series can be charted" in first
    assert f"{found.popular:.0%} under {POPULAR}" in first
    assert found.popular > 1.5 * found.budget
    assert "not always the better bargain" in found.sentence()


def test_limits_from_counting_alone_are_called_absurd_where_cases_are_many():
    """Shares that move by a percentage point, of two million cases each."""
    share = rng(3).normal(0.1, 0.01, 36)
    found = choice(series("breaches", "share", np.round(share * 2e6), 2e6))
    row = found.table.iloc[0]
    assert row["kind"] == "p'"
    assert row["beyond_plain"] > 0.9
    assert "would be absurd for breaches" in found.sentence()


def test_only_mature_periods_of_the_baseline_count():
    rows = series("one", "mean", np.r_[rng(8).normal(5, 1, 30), np.full(10, 99.0)])
    rows["mature"] = np.arange(40) < 36
    until = str(rows["period"].iloc[30].date())
    found = choice(rows, baseline_until=until)
    assert found.table.equals(choice(rows.iloc[:30]).table)
    assert found.table["baseline_periods"][0] == 30


def test_the_picture_shows_every_rule_set_and_the_budget(found):
    _, ax = plt.subplots()
    found.plot(ax)
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert {*signal_rules.NAMED, "longest run"} <= set(names)
    assert "%" in ax.get_xlabel()
    plt.close()


def test_the_same_seed_gives_the_same_choice():
    rows = series("one <&$", "count", rng(3).poisson(9, 24))
    assert str(choice(rows)) == str(choice(rows))


@pytest.mark.parametrize(
    ("rows", "settings", "error", "words"),
    [
        (series("a", "count", [4, 5, 6]), {}, Refusal, "No chart suits any"),
        (series("a", "count", [4, 5, 6]).iloc[:0], {}, Refusal, "no series"),
        (series("a", "share", np.full(20, 9.0), 5), {}, Problem, "above their cases"),
        (series("a", "count", np.arange(20)), {"budget": 1.5}, Problem, "budget"),
        (series("a", "count", np.arange(20)), {"watched": 0}, Problem, "watched"),
        (series("a", "count", np.arange(20), period="2025-01-06"), {}, Problem, "twice"),
        (series("a", "counts", np.arange(20)), {}, Problem, "'counts'"),
    ],
)
def test_bad_input_is_named(rows, settings, error, words):
    with pytest.raises(error, match=words):
        choice(rows, **settings)


@pytest.mark.parametrize("name", ["counts, variance 3 times", "autocorrelated 0.4"])
def test_stated_rates_are_those_that_happen(name, monkeypatch):
    """A short form of the benchmark: within a tenth, and two Monte Carlo errors."""
    monkeypatch.setattr(benchmark, "SIMULATIONS", 200)
    process = next(each for each in benchmark.PROCESSES if each.name == name)
    cell = benchmark.cell(process, 52, sets=100, stated_for=25, rng=rng(6))
    main = cell[cell["taken"] > 0.5].dropna(subset="stated")
    assert len(main) == len(signal_rules.NAMED)
    off = (main["ratio"] - 1).abs() - 2 * main["ratio_error"]
    assert (off < benchmark.WITHIN).all()
