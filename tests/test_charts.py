"""The p' chart against published cases, and its stated false-alarm rates against simulation."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm.checks import Problem, Refusal
from sqm.methods import charts
from sqm.methods.charts import control_charts, longest_run_allowed, p_prime_chart, steadiness

REFERENCE = Path(__file__).parent / "reference"


def reference(name):
    return json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))


def weeks(defects, n=200):
    start = pd.date_range("2025-01-06", periods=len(defects), freq="7D")
    return pd.DataFrame({"period": start, "defects": defects, "n": n})


def rng(seed=1):
    return np.random.default_rng(seed)


@pytest.fixture
def steady():
    return weeks(rng(5).binomial(200, 0.2, size=39))


def chart(table, **settings):
    return p_prime_chart(table, **{"simulations": 300, "rng": rng(), **settings})


def test_the_share_seen_within_four_hours_in_england():
    case = reference("laney_p_prime_nhs_4h")
    found = chart(weeks(case["input"]["within_4h"], case["input"]["attendances"]), better="higher")
    assert found.centre == pytest.approx(case["expected"]["pbar"], rel=1e-9)
    assert found.sigma_z == pytest.approx(case["expected"]["sigma_z_exact"], rel=1e-9)
    # the published limits round 2 / sqrt(pi) to 1.128
    rounded = case["expected"]["sigma_z_1128"] / case["expected"]["sigma_z_exact"]
    half = (found.table["high"] - found.centre) * rounded
    assert np.allclose(found.centre + half, case["expected"]["laney_ucl"], rtol=0, atol=1e-9)
    assert np.allclose(found.centre - half, case["expected"]["laney_lcl"], rtol=0, atol=1e-9)
    assert found.worse + found.better == 0


def test_without_its_sigma_z_the_p_prime_chart_is_the_p_chart():
    """Montgomery's orange juice cans: limits of the p chart, once sigma_z is divided out."""
    case = reference("p_chart_montgomery")
    found = chart(weeks(case["input"]["defectives"], case["input"]["n"]))
    half = (found.table["high"] - found.centre) / found.sigma_z
    assert found.centre == pytest.approx(case["expected"]["pbar"])
    assert np.allclose(found.centre + half, case["expected"]["ucl"], atol=1e-9)
    p_chart_signals = (found.table["z"].abs() * found.sigma_z > 3).to_numpy().nonzero()[0] + 1
    assert p_chart_signals.tolist() == case["expected"]["signals"]


def test_longest_runs():
    case = reference("anhoej_runs_limits")
    found = [longest_run_allowed(n) for n in case["input"]["n_useful"]]
    assert found == case["expected"]["longest_run_max"]


def test_a_point_on_the_centre_neither_breaks_a_run_nor_counts_in_it():
    z = np.array([1.0, 1, 0, 1, -1, -1])
    assert charts._in_long_run(z, 2).tolist() == [True, True, False, True, False, False]
    assert charts._running(z[None]).tolist() == [[1, 2, 0, 3, 1, 2]]


def test_marks_and_simulated_alarms_follow_one_rule():
    z = rng(3).normal(size=(200, 40))
    for row in z:
        marked = charts._signals(row, 3, 6, worse_above=True)["signal"] != ""
        assert marked.any() == charts._alarms(row[None], 6).any()


def test_a_fall_after_the_baseline_is_a_run_for_the_better(steady):
    after = weeks(rng(6).binomial(200, 0.12, size=52)).iloc[39:]
    found = chart(
        pd.concat([steady, after], ignore_index=True), baseline_until="2025-09-30", target=0.15
    )
    only = chart(steady)
    assert (found.baseline_periods, found.periods) == (39, 52)
    assert (found.centre, found.sigma_z) == (only.centre, only.sigma_z)
    assert found.better >= 12
    assert set(found.table.loc[~found.table["baseline"], "signal"]) == {"better"}
    assert found.table["rule"].str.contains("long run").sum() >= 12
    assert found.first_since == "2025-10-06"
    assert (
        f"{found.better} for the better (since the baseline first on 2025-10-06)"
        in found.sentence()
    )


def test_direction_decides_what_is_worse(steady):
    high = steady.copy()
    high.loc[20, "defects"] = 120
    assert chart(high).table.loc[20, "signal"] == "worse"
    assert chart(high, better="higher").table.loc[20, "signal"] == "better"


def test_order_of_rows_does_not_matter(steady):
    assert chart(steady.iloc[::-1]).table.equals(chart(steady).table)


def test_the_same_seed_gives_the_same_numbers(steady):
    assert str(chart(steady)) == str(chart(steady))


def test_a_period_without_a_case_is_left_out_and_counted(steady):
    empty = steady.copy()
    empty.loc[3, ["defects", "n"]] = 0
    found = chart(empty)
    assert (found.periods, found.left_out) == (38, 1)
    assert "1 period without a case left out" in found.sentence()


def test_three_sigma_on_sixty_steady_points_cries_wolf_as_often_as_published():
    case = reference("false_alarm_steady_n60")
    n, base = np.full(60, 100.0), np.ones(60, dtype=bool)
    z = charts._alike(n, base, 0.0, 4000, rng(11))
    found = (np.abs(z) > 3).any(axis=1).mean()
    assert found == pytest.approx(case["expected"]["three_sigma_only"], abs=0.02)


@pytest.mark.parametrize("periods", [39, 52])
def test_the_stated_chance_is_that_of_steady_overdispersed_counts(periods):
    """One beta for all weeks, so small weeks spread less than the method takes them to.

    Standard errors at a chance near 0.15: realised 0.006, stated 0.003.
    """
    draw = rng(periods)
    n, base = np.round(draw.uniform(600, 1000, periods)), np.ones(periods, dtype=bool)
    share = draw.beta(40, 360, size=(4000, periods))
    counts = draw.binomial(n.astype(int), share)
    found = [chart(weeks(row, n), rng=draw) for row in counts[:40]]
    stated = np.mean([each.false_alarm for each in found])
    alarms = charts._alarms(charts._standardised(counts / n, n, base), found[0].run_limit)
    assert stated == pytest.approx(alarms.any(axis=1).mean(), rel=0.15)
    assert 0.08 < stated < 0.25


def test_small_counts_raise_the_stated_rate():
    """3 sigma of a normal value is 0.27 %; 3 expected defects are too coarse for that."""
    few = chart(weeks(rng(2).binomial(150, 0.02, size=39), 150), simulations=3000)
    many = chart(weeks(rng(2).binomial(15_000, 0.02, size=39), 15_000), simulations=3000)
    assert few.per_point > 1.4 * many.per_point
    assert "can hardly show a fall" in few.sentence()


def test_alike_neighbours_are_said():
    drift = 0.2 + 0.06 * np.sin(np.arange(39) / 4)
    found = chart(weeks(np.round(2000 * drift), 2000))
    assert found.alike
    assert found.autocorrelation > 0.7
    assert found.false_alarm_alike > 2 * found.false_alarm
    assert "Neighbouring baseline periods are alike" in found.sentence()


def test_a_steady_ctq_is_called_unsteady_as_often_as_budgeted():
    """200 steady CTQs at 5 %: 10 expected, standard deviation 3.1."""
    draw = rng(8)
    counts = draw.binomial(500, draw.beta(40, 360, size=(200, 30)))
    table = pd.concat([weeks(row, 500).assign(ctq=i) for i, row in enumerate(counts)])
    found = steadiness(table, rng=draw, simulations=300)
    assert found.judged == 200
    assert 2 <= 200 - found.steady <= 20
    assert (found.table["false_alarm"] <= 0.05).all()


@pytest.fixture
def several(steady):
    shifted = weeks(np.r_[rng(4).binomial(200, 0.2, 25), rng(4).binomial(200, 0.35, 14)])
    short, rare = steady.head(11), weeks(rng(1).binomial(200, 0.002, size=39))
    parts = {"waits": steady, "solved $<b>": shifted, "short": short, "rare": rare}
    return pd.concat([part.assign(ctq=name) for name, part in parts.items()])


def test_verdicts(several):
    found = steadiness(several, rng=rng(), simulations=500)
    assert found.table["steady"].tolist() == ["yes", "no", "cannot say", "cannot say"]
    assert (found.judged, found.steady) == (2, 1)
    assert found.table["note"].iloc[2].startswith("the baseline has 11 usable rows")
    assert "1 of 2 CTQs judged show no sign of being unsteady" in found.sentence()
    assert "solved $<b>" in found.sentence()
    assert (found.table["limit_sigma"].dropna() > 3).all()
    later = steadiness(several, baseline_until="2025-06-20", rng=rng(), simulations=500)
    assert later.table["steady"].tolist()[:2] == ["yes", "yes"]


def test_frozen_charts_state_the_chance_for_all_periods_since(several, steady):
    found = control_charts(several, baseline_until="2025-07-07", last=4, rng=rng(), simulations=400)
    chance = found.table.groupby("ctq")[["false_alarm", "false_alarm_since"]].first()
    assert (chance["false_alarm_since"] > chance["false_alarm"]).all()
    assert "at least once since with a chance of" in found.sentence()
    assert found.alike == () and "being alike" not in found.sentence()


def test_frozen_charts_count_more_false_alarms_where_neighbours_are_alike():
    noise = rng(7).normal(size=60)
    for t in range(1, 60):
        noise[t] += 0.7 * noise[t - 1]
    waves = weeks(np.round(2000 * (0.2 + 0.02 * noise)), 2000).assign(ctq="waves")
    found = control_charts(
        waves, baseline_until=str(waves["period"].iloc[45]), rng=rng(), simulations=400
    )
    mixed = waves.assign(defects=rng(8).permutation(waves["defects"]))
    calm = control_charts(
        mixed, baseline_until=str(waves["period"].iloc[45]), rng=rng(), simulations=400
    )
    assert found.alike == ("waves",) and calm.alike == ()
    since = [each.table["false_alarm_since"].iloc[0] for each in (found, calm)]
    assert since[0] > 1.5 * since[1]
    assert "being alike in waves" in found.sentence()


def test_a_chance_smaller_than_the_budget_needs_wider_limits(several):
    wide = steadiness(several, rng=rng(), simulations=1000, budget=0.01).table["limit_sigma"]
    usual = steadiness(several, rng=rng(), simulations=1000).table["limit_sigma"]
    assert (wide[:2] > usual[:2]).all()


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda t: t.drop(columns="n"), Problem, "no column 'n'"),
        (lambda t: pd.concat([t, t.head(1)]), Problem, "comes twice"),
        (lambda t: t.assign(defects=300), Problem, "39 periods have defects"),
        (lambda t: t.assign(defects=-1), Problem, "defects below 0"),
        (lambda t: t.assign(defects=np.nan), Problem, "blank"),
        (lambda t: t.head(11), Refusal, "11 usable rows"),
        (lambda t: t.head(0), Refusal, "0 usable rows"),
        (lambda t: t.assign(defects=0), Refusal, "expects 0.0 defects"),
        (lambda t: t.assign(defects=1), Refusal, "expects 1.0 defects"),
        (lambda t: t.assign(defects=200), Refusal, "expects 0.0 defects"),
        (lambda t: t.assign(defects=50), Refusal, "same in every"),
    ],
)
def test_what_cannot_be_charted(steady, spoil, error, words):
    with pytest.raises(error, match=words):
        chart(spoil(steady))


def test_bad_settings(steady):
    with pytest.raises(Problem, match="better is 'up'"):
        chart(steady, better="up")
    with pytest.raises(Problem, match="no dates"):
        chart(steady.assign(period=range(39)), baseline_until="2025-03-01")
    with pytest.raises(Problem, match="budget is 5"):
        steadiness(steady.assign(ctq="a"), rng=rng(), budget=5)


def test_pictures(several, steady):
    ax = chart(steady, baseline_until="2025-08-01", target=0.1).plot(plt.figure().subplots())
    assert ax.get_title() == "Is the process steady?"
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert {"limits", "target", "baseline ends"} <= set(labels)
    lanes = steadiness(several, rng=rng(), simulations=200).plot(plt.figure().subplots())
    names = [text.get_text() for text in lanes.get_yticklabels()]
    assert names[:2] == ["waits\nsteady: yes", "solved $<b>\nsteady: no"]
    plt.close("all")
