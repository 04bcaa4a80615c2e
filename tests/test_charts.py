"""Charts of series: signals, direction, frozen limits, and the chance of a false alarm."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from sqm import chart_limits, signal_rules
from sqm.checks import Problem, Refusal
from sqm.methods.charts import CHARTED, _rule_within, control_charts, one_chart, steadiness


def weeks(value, n=200.0, *, data="share", better="lower", **more):
    start = pd.date_range("2025-01-06", periods=len(value), freq="7D")
    table = {"period": start, "data": data, "n": n, "value": value, "better": better}
    return pd.DataFrame(table | {"series": "late"} | more)


def rng(seed=1):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def steady():
    return weeks(rng(5).binomial(200, 0.2, size=39))


@pytest.fixture(scope="module")
def changed(steady):
    """From the 40th week on 12 in place of 20 of 100."""
    after = weeks(rng(6).binomial(200, 0.12, size=52)).iloc[39:]
    return pd.concat([steady, after], ignore_index=True)


def chart(table, **settings):
    return one_chart(table, **{"simulations": 200, "rng": rng(), **settings})


def charts(table, **settings):
    return control_charts(table, **{"simulations": 200, "rng": rng(), **settings})


# --- One series -----------------------------------------------------------------------------------


def test_a_fall_after_the_baseline_is_a_run_for_the_better(steady, changed):
    found = chart(changed, baseline_until="2025-09-30", target=0.15)
    only = chart(steady)
    assert (found.kind, found.baseline_periods, found.periods) == ("p'", 39, 52)
    assert (found.centre, found.spread) == (only.centre, only.spread)
    assert found.rules == "beyond 3 + run over 8, all points"
    assert found.better >= 12 and found.worse == 0
    assert set(found.table.loc[~found.table["baseline"], "signal"]) == {"better"}
    assert found.first_since == "2025-10-06"
    first, rest = found.sentence().split("\n")
    assert f"{found.better} for the better (since the baseline first on 2025-10-06)" in first
    assert len(first) < 220 and f"centre {found.centre:.1%}" in rest
    assert not found.unsteady  # the run that reaches back is none of the baseline alone


def test_direction_decides_what_is_worse(steady):
    high = steady.copy()
    high.loc[20, "value"] = 120
    assert chart(high).table.loc[20, "signal"] == "worse"
    assert chart(high.assign(better="higher")).table.loc[20, "signal"] == "better"


def test_longer_between_events_is_better():
    """Gaps of about 20, then one of 400: its chance at p = 1/21 is 3e-9."""
    gaps = weeks(np.r_[rng(2).geometric(0.05, 30), 400.0], 1.0, data="gap", better="higher")
    found = chart(gaps, baseline_until=str(gaps["period"].iloc[30]))
    assert found.table["signal"].tolist() == [""] * 30 + ["better"]
    assert "opportunities" in found.sentence()


@pytest.mark.parametrize(
    ("data", "n", "sd", "kind"),
    [
        ("share", 200.0, np.nan, "p'"),
        ("rate", 3.0, np.nan, "u'"),
        ("count", 1.0, np.nan, "u'"),
        ("mean", 9.0, 4.0, "i'"),
        ("mean", 9.0, np.nan, "xmr"),
        ("score", 9.0, 4.0, "i'"),
        ("gap", 1.0, np.nan, "g"),
        ("time", 1.0, np.nan, "t"),
    ],
)
def test_the_usual_kind_of_each_data(data, n, sd, kind):
    found = chart(weeks(rng(4).poisson(30, 30), n, data=data, sd=sd))
    assert found.kind == kind
    assert found.table[CHARTED].notna().all().all()
    assert f"kind {kind}" in found.sentence()
    assert 0 < found.false_alarm_ever < 0.5


def test_a_kind_that_is_asked_for_and_a_set_of_rules_by_name(steady):
    found = chart(steady, kind="p", rules="Western Electric", sigmas=3.2)
    assert found.rules.startswith("beyond 3.2 + 2 of 3 beyond 2") and found.sigmas == 3.2
    run = chart(steady, kind="run", rules="run over 7")
    assert run.table["low"].isna().all() and set(run.table["z"]) <= {-1, 0, 1}


def test_order_of_rows_and_the_seed(steady):
    assert chart(steady.iloc[::-1]).table.equals(chart(steady).table)
    assert str(chart(steady)) == str(chart(steady))


def test_what_is_left_out_is_said(steady):
    rows = steady.assign(mature=[True] * 37 + [False] * 2)
    rows.loc[38, "value"] = 150
    rows.loc[3, ["value", "n"]] = 0
    found = chart(rows)
    assert (found.periods, found.left_out, found.immature, found.gaps) == (38, 1, 2, 1)
    assert found.worse + found.better == 0 and found.baseline_periods == 36
    for words in ("1 period without a case", "missing in 1 place", "2 periods that records may"):
        assert words in found.sentence()
    assert "none of 36 periods signals" in found.sentence()


def test_no_run_reaches_across_a_gap(changed):
    """Six weeks below, four months without data, six weeks below: seven in a row signal."""
    rows = changed.head(51).assign(value=lambda t: np.where(t.index < 38, t["value"], 34))
    rows.loc[38, "value"] = 60
    together = chart(rows, baseline_until="2025-10-06", rules="run over 6")
    apart = rows["period"] + pd.to_timedelta(np.where(rows.index >= 45, 120, 0), unit="D")
    found = chart(rows.assign(period=apart), baseline_until="2025-10-06", rules="run over 6")
    late = slice(39, None)
    assert (together.table["signal"].iloc[late] == "better").sum() >= 6
    assert (found.table["signal"].iloc[late] == "better").sum() == 0
    assert "Periods are missing in 1 place" in found.sentence()


def test_few_expected_is_said():
    found = chart(weeks(rng(2).binomial(150, 0.03, size=39), 150.0))
    assert found.expected < 9 and "can hardly show a fall" in found.sentence()


def test_an_unsteady_baseline_is_said(steady):
    drift = steady.assign(value=np.r_[np.full(19, 30.0), np.full(20, 60.0)] + np.arange(39) % 3)
    assert chart(drift).unsteady and "unsteady stretch" in chart(drift).sentence()
    assert "unsteady" not in chart(steady).sentence()


# --- The stated chance ----------------------------------------------------------------------------


def test_the_stated_chance_is_that_of_steady_overdispersed_counts():
    """Standard errors at a chance near 0.15: realised 0.006, stated 0.007."""
    periods, draw = 45, rng(45)
    n, base = np.round(draw.uniform(600, 1000, periods)), np.ones(periods, dtype=bool)
    counts = draw.binomial(n.astype(int), draw.beta(40, 360, size=(4000, periods)))
    found = [chart(weeks(row, n), rng=draw, simulations=400) for row in counts[:12]]
    stated = np.mean([each.false_alarm_ever for each in found if not each.alike])
    z = chart_limits.standardised(counts, n, base, kind="p'")
    real = signal_rules.marks(z, found[0].rules)[0].any(axis=1).mean()
    assert stated == pytest.approx(real, rel=0.2)
    assert 0.08 < stated < 0.25


def test_alike_neighbours_are_in_the_chance():
    noise = rng(7).normal(size=60)
    for t in range(1, 60):
        noise[t] += 0.7 * noise[t - 1]
    waves = weeks(np.round(2000 * (0.2 + 0.02 * noise)), 2000.0)
    mixed = waves.assign(value=rng(8).permutation(waves["value"]))
    until = str(waves["period"].iloc[45])
    found, calm = (charts(rows, baseline_until=until) for rows in (waves, mixed))
    assert found.alike == ("late",) and calm.alike == ()
    since = [each.table["false_alarm_since"].iloc[0] for each in (found, calm)]
    assert since[0] > 1.5 * since[1]
    assert "being alike in late" in found.sentence()


# --- Every series ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def several(steady, changed):
    waits = rng(9).normal(60, 4, 52)
    return pd.concat(
        [
            changed.assign(series="solved $<b>"),
            weeks(waits, 300.0, data="mean", series="waits", sd=70.0, better="lower"),
            steady.head(11).assign(series="short"),
            weeks(np.zeros(52), 1.0, data="count", series="none"),
        ],
        ignore_index=True,
    )


def test_every_series_by_its_usual_chart(several):
    found = charts(several, baseline_until="2025-10-06")
    assert (found.charted, found.frozen, len(found.refused)) == (2, 0, 2)
    assert found.table.groupby("series")["kind"].first().to_dict() == {
        "solved $<b>": "p'",
        "waits": "i'",
    }
    said = found.sentence()
    assert said.startswith(
        "2 series charted. Periods that signal since the baseline: for the better: solved $<b> in "
    )
    assert "short (the baseline has 11 usable rows" in said and "expects 0.0 events" in said
    chance = found.table.groupby("series")[["false_alarm", "false_alarm_since"]].first()
    assert (chance["false_alarm_since"] > chance["false_alarm"]).all()
    assert found.expected_false == pytest.approx(chance["false_alarm"].sum())


def test_charts_that_were_chosen(several):
    chosen = pd.DataFrame(
        {
            "series": ["solved $<b>", "waits", "none"],
            "kind": ["p", "xmr", ""],
            "rules": ["beyond 3.4", "limits and run of 8", ""],
            "sigmas": [3.4, 3.0, np.nan],
            "reason": ["", "", "Nothing ever happens"],
        }
    )
    found = charts(several, chosen=chosen, baseline_until="2025-10-06")
    first = found.table.groupby("series")[["kind", "rules", "sigmas"]].first()
    assert first.loc["solved $<b>"].tolist() == ["p", "beyond 3.4", 3.4]
    assert first.loc["waits"].tolist() == ["xmr", "beyond 3 + run over 7", 3.0]
    assert any(each.startswith("none (nothing ever happens") for each in found.refused)
    with pytest.raises(Problem, match="chosen twice"):
        charts(several, chosen=pd.concat([chosen, chosen]))


def ledger(rows, **more):
    limits = chart_limits.limits_from(rows, kind="p'")
    return asdict(limits) | {"series": "late", "rules": "beyond 3 + run over 8"} | more


def test_limits_stay_where_the_ledger_has_them(steady, changed):
    frozen = pd.DataFrame([ledger(steady, valid_from="2025-10-06")])
    found = charts(changed, limits=frozen)
    own = charts(changed, baseline_until="2025-10-06")
    for name in ("centre", "low", "high", "z", "baseline"):
        assert found.table[name].equals(own.table[name])
    assert found.frozen == 1 and "those of the ledger" in found.sentence()
    assert 0 < found.table["false_alarm"].iloc[0] < found.table["false_alarm_since"].iloc[0]


def test_each_period_has_the_limits_that_were_in_force(steady, changed):
    """A new level from the 40th week on; its limits hold from the 46th."""
    after = weeks(rng(6).binomial(200, 0.12, size=70)).iloc[39:]
    rows = pd.concat([steady, after], ignore_index=True)
    newer = ledger(after.iloc[:14], valid_from=str(after["period"].iloc[14])[:10])
    frozen = pd.DataFrame([newer, ledger(steady, valid_from="2025-10-06")])
    found = charts(rows, limits=frozen).table
    assert (found["centre"].diff().fillna(0) != 0).to_numpy().nonzero()[0].tolist() == [53]
    assert (found["signal"].iloc[47:53] == "better").all()
    assert (found["signal"].iloc[53:] == "").sum() >= 16


def test_limits_whose_day_has_not_come_do_not_count(steady, changed):
    later = pd.DataFrame([ledger(steady.iloc[:20], valid_from="2026-02-01")])
    assert charts(changed, limits=later).frozen == 0
    both = pd.concat([pd.DataFrame([ledger(steady, valid_from="2025-10-06")]), later])
    found, alone = charts(changed, limits=both), charts(changed, limits=both.head(1))
    assert found.table.equals(alone.table)


def test_without_its_baseline_a_frozen_chart_has_no_stated_chance(steady, changed):
    frozen = pd.DataFrame([ledger(steady, valid_from="2025-10-06")])
    found = charts(changed.iloc[39:], limits=frozen)
    assert found.table["false_alarm"].isna().all() and (found.table["signal"] != "").any()
    assert "is not known" in found.sentence()


def test_a_broken_ledger(steady):
    with pytest.raises(Problem, match="limits of 'late' cannot be used"):
        charts(steady, limits=pd.DataFrame([ledger(steady, valid_from="2025-01-01", spread=-1)]))
    with pytest.raises(Problem, match="no date"):
        charts(steady, limits=pd.DataFrame([ledger(steady, valid_from="soon")]))


# --- What cannot be charted -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda t: t.drop(columns="n"), Refusal, "no column 'n'"),
        (lambda t: pd.concat([t, t.head(1)]), Problem, "comes twice"),
        (lambda t: t.assign(value=300), Problem, "39 periods have a value"),
        (lambda t: t.assign(value=-1), Problem, "impossible"),
        (lambda t: t.assign(value=np.nan), Problem, "blank"),
        (lambda t: t.assign(n=0), Refusal, "0 usable rows"),
        (lambda t: t.head(3), Refusal, "3 usable rows"),
        (lambda t: t.head(0), Refusal, "0 usable rows"),
        (lambda t: t.assign(value=0), Refusal, "expects 0.0 events"),
        (lambda t: t.assign(value=1), Refusal, "expects 1.0 events"),
        (lambda t: t.assign(value=200), Refusal, "expects 0.0 events"),
        (lambda t: t.assign(value=50), Refusal, "same in every"),
        (lambda t: t.assign(better="up"), Problem, "better is 'up'"),
        (lambda t: t.assign(series=["a", "b", "c"] * 13), Problem, "several series: a, b, c"),
        (lambda t: t.assign(period=range(39)), Problem, "no dates"),
    ],
)
def test_what_cannot_be_charted(steady, spoil, error, words):
    with pytest.raises(error, match=words):
        chart(spoil(steady), baseline_until="2026-03-01")
    with pytest.raises(Refusal, match="No series can be charted"):
        charts(steady.head(3))


# --- Steadiness -----------------------------------------------------------------------------------


def counts(rows):
    return rows.rename(columns={"value": "defects"})[["period", "defects", "n"]]


def test_a_steady_ctq_is_called_unsteady_as_often_as_budgeted():
    """30 steady CTQs at 20 %: 6 expected, standard deviation 2.2."""
    draw = rng(8)
    drawn = draw.binomial(500, draw.beta(40, 360, size=(30, 30)))
    table = pd.concat([counts(weeks(row, 500)).assign(ctq=i) for i, row in enumerate(drawn)])
    found = steadiness(table, rng=draw, simulations=300, budget=0.2)
    assert found.judged == 30
    assert 1 <= 30 - found.steady <= 12
    assert (found.table["false_alarm"] <= 0.2).all()


def test_the_rule_holds_on_other_steady_processes():
    """5 % of 6,000: standard error 0.4 % here, as much where the rule was made."""
    made, met = rng(9).normal(size=(2, 6000, 30))
    k, allowed, chance = _rule_within(made, 0.05)
    real = signal_rules.marks(met, f"beyond {k:.4f} + run over {allowed}")[0].any(axis=1).mean()
    assert chance <= 0.05 and real == pytest.approx(chance, abs=0.015)


@pytest.fixture(scope="module")
def ctqs(steady):
    shifted = weeks(np.r_[rng(4).binomial(200, 0.2, 25), rng(4).binomial(200, 0.35, 14)])
    short, rare = steady.head(11), weeks(rng(1).binomial(200, 0.002, size=39))
    parts = {"waits": steady, "solved $<b>": shifted, "short": short, "rare": rare}
    return pd.concat([counts(part).assign(ctq=name) for name, part in parts.items()])


def test_verdicts(ctqs):
    found = steadiness(ctqs, rng=rng(), simulations=500)
    assert found.table["steady"].tolist() == ["yes", "no", "cannot say", "cannot say"]
    assert (found.judged, found.steady) == (2, 1)
    assert found.table["note"].iloc[2].startswith("the baseline has 11 usable rows")
    assert "1 of 2 CTQs judged show no sign of being unsteady" in found.sentence()
    assert "solved $<b>" in found.sentence()
    assert (found.table["limit_sigma"].dropna() > 3).all()
    later = steadiness(ctqs, baseline_until="2025-06-20", rng=rng(), simulations=500)
    assert later.table["steady"].tolist()[:2] == ["yes", "yes"]
    wide = steadiness(ctqs, rng=rng(), simulations=500, budget=0.01).table["limit_sigma"]
    assert (wide[:2] > found.table["limit_sigma"][:2]).all()
    with pytest.raises(Problem, match="budget is 5"):
        steadiness(ctqs, rng=rng(), budget=5)


def test_a_steady_ctq_whose_neighbours_are_alike():
    drift = counts(weeks(np.round(2000 * (0.2 + 0.06 * np.sin(np.arange(39) / 4))), 2000.0))
    found = steadiness(drift.assign(ctq="waves"), rng=rng(), simulations=300)
    assert found.table["note"][0].startswith("neighbouring periods are alike (correlation 0.9")
    assert "alike for waves" in found.sentence()


# --- Pictures -------------------------------------------------------------------------------------


def test_pictures(several, ctqs, changed):
    rows = changed.assign(mature=[True] * 50 + [False] * 2)
    ax = chart(rows, baseline_until="2025-10-06", target=0.1).plot(plt.figure().subplots())
    assert ax.get_title() == "Is the process steady?"
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert {"limits", "target", "baseline ends", "may still change", "better"} <= set(labels)
    every = charts(several, baseline_until="2025-10-06").plot(plt.figure().subplots())
    assert [text.get_text() for text in every.get_yticklabels()] == ["solved $<b>", "waits"]
    lanes = steadiness(ctqs, rng=rng(), simulations=200).plot(plt.figure().subplots())
    names = [text.get_text() for text in lanes.get_yticklabels()]
    assert names[:2] == ["waits\nsteady: yes", "solved $<b>\nsteady: no"]
    plt.close("all")
