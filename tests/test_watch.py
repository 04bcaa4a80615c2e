"""The list of alarms and the control plan, by hand and at their edges."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.methods.watch import control_plan, early_warning

WEEKS = pd.date_range("2025-09-01", periods=10, freq="7D")


def chart(ctq, signals, **columns):
    """Ten weeks, the first four of them baseline; ``signals`` for the latest ones."""
    signals = [""] * (10 - len(signals)) + list(signals)
    table = pd.DataFrame(
        {
            "ctq": ctq,
            "period": WEEKS,
            "n": 500,
            "defects": 50,
            "rate": 0.1,
            "centre": 0.1,
            "low": 0.05,
            "high": 0.15,
            "signal": signals,
            "rule": ["beyond the limits" if signal else "" for signal in signals],
            "baseline": np.arange(10) < 4,
            "false_alarm": 0.02,
        }
    )
    return table.assign(**columns)


@pytest.fixture
def charts():
    return pd.concat(
        [
            chart("Answered", ["", "", "", ""]),
            chart("Resolved", ["worse", "worse", "worse", "worse", "worse"], rate=0.2),
            chart("Closed", ["better", ""], rate=0.03),
        ],
        ignore_index=True,
    )


@pytest.fixture
def ctqs():
    return pd.DataFrame(
        {
            "ctq": ["Answered", "Resolved", "Closed", "Cost"],
            "definition": ["within 300 s", "at first contact", "within 30 days", ""],
            "target": [0.1, 0.2, 0.1, np.nan],
            "unit": ["s", "share", "days", "EUR"],
            "owner": ["Ana", "Li", "Jo", ""],
            "reaction": ["call for help", "coach the team", "ask the desk", None],
        }
    )


def test_what_needs_a_reaction_comes_first(charts, ctqs):
    table = early_warning(charts, ctqs=ctqs).table
    assert table["ctq"].tolist() == ["Resolved", "Closed", "Cost", "Answered"]
    assert table["state"].tolist() == ["worse", "better", "cannot say", "quiet"]
    assert table["watched"].tolist() == [4, 4, 0, 4]
    assert table["signals"].tolist() == [4, 1, 0, 0]


def test_since_reaches_back_beyond_the_periods_watched(charts, ctqs):
    table = early_warning(charts, ctqs=ctqs).table.set_index("ctq")
    assert table["since"]["Resolved"] == "2025-10-06"  # the fifth week from the end
    assert table["since"]["Closed"] == "2025-10-27"
    assert table["course"]["Closed"] == "quiet quiet better quiet"


def test_an_earlier_run_that_ended_is_not_the_start(ctqs):
    broken = chart("Resolved", ["worse", "", "worse", "worse"])
    table = early_warning(broken, ctqs=ctqs).table.set_index("ctq")
    assert table["since"]["Resolved"] == "2025-10-13"  # the first signal in the weeks watched
    table = early_warning(broken, ctqs=ctqs, last=2).table.set_index("ctq")
    assert table["since"]["Resolved"] == "2025-10-27"


def test_a_signal_that_is_over_is_not_now(ctqs):
    past = chart("Resolved", ["worse", "", "", "", ""])
    table = early_warning(past, ctqs=ctqs).table.set_index("ctq")
    assert table["state"]["Resolved"] == "quiet"


def test_false_alarms_add_up(charts, ctqs):
    """Three CTQs are watched at 0.02 each; the fourth has no chart."""
    found = early_warning(charts, ctqs=ctqs)
    assert found.expected_false_alarms == pytest.approx(0.06)
    assert "would name 0.06 CTQs by chance" in found.sentence()


def test_a_chance_that_is_not_stated_is_told(charts, ctqs):
    charts.loc[charts["ctq"] == "Closed", "false_alarm"] = np.nan
    found = early_warning(charts, ctqs=ctqs)
    assert found.unstated == ("Closed",)
    assert "0.04 CTQs by chance, on average, not counting Closed" in found.sentence()
    charts["false_alarm"] = np.nan
    assert "is not stated" in early_warning(charts, ctqs=ctqs).sentence()


def test_the_sentence_names_who_does_what(charts, ctqs):
    words = early_warning(charts, ctqs=ctqs).sentence()
    assert (
        "Of 3 CTQs watched over 4 periods (2025-10-13 to 2025-11-03), 1 needs a reaction" in words
    )
    assert "Resolved is worse since 2025-10-06, beyond the limits (20 %, limits 5 to 15 %)" in words
    assert "Li: coach the team" in words
    assert "keep it: Closed since 2025-10-27" in words
    assert "Nothing can be said of Cost (no chart)" in words


def test_all_quiet_is_said(ctqs):
    found = early_warning(chart("Answered", [""]), ctqs=ctqs[:1])
    assert (found.worse, found.quiet, found.cannot_say) == (0, 1, 0)
    assert "none needs a reaction." in found.sentence()


def test_blank_owner_and_reaction_are_told(ctqs):
    words = early_warning(chart("Cost", ["worse"], rate=7.0, high=5.0), ctqs=ctqs).sentence()
    assert "nobody is named as owner: no reaction is laid down" in words
    assert "(7, limits 0.05 to 5)" in words  # not a share: no per cent


def test_baseline_weeks_and_weeks_without_limits_are_not_watched(ctqs):
    based = early_warning(chart("Closed", ["worse"], baseline=True), ctqs=ctqs).table
    assert based.set_index("ctq").loc["Closed", ["state", "note", "course"]].tolist() == [
        "cannot say",
        "only baseline periods",
        "baseline baseline baseline baseline",
    ]
    no_limits = early_warning(chart("Closed", [""], low=np.nan, high=np.nan), ctqs=ctqs).table
    assert no_limits.set_index("ctq")["note"]["Closed"] == "no limits"


def test_a_chart_that_stopped_cannot_say(charts, ctqs):
    stopped = charts[(charts["ctq"] != "Resolved") | (charts["period"] < "2025-10-01")]
    table = early_warning(stopped, ctqs=ctqs).table.set_index("ctq")
    assert table["state"]["Resolved"] == "cannot say"
    assert table["note"]["Resolved"] == "no data since 2025-09-29"


def test_signals_both_ways_count_as_worse(ctqs):
    table = early_warning(chart("Closed", ["better", "worse"]), ctqs=ctqs).table.set_index("ctq")
    assert table["state"]["Closed"] == "worse"
    assert table["note"]["Closed"] == "signals for the better too"


def test_missing_signals_are_none(charts, ctqs):
    blank = charts.assign(signal=charts["signal"].replace("", None))
    assert early_warning(blank, ctqs=ctqs).table.equals(early_warning(charts, ctqs=ctqs).table)


def test_the_picture_has_a_mark_for_each_period(charts, ctqs):
    ax = early_warning(charts, ctqs=ctqs).plot(plt.figure().gca())
    assert ax.get_title() == "What needs a reaction now?"
    marks = [line.get_marker() for line in ax.lines if len(line.get_xdata()) == 1]
    assert marks.count("v") == 4 and marks.count("^") == 1 and marks.count("o") == 7
    plt.close("all")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda charts: charts.replace({"ctq": {"Closed": "Closd"}}), "did you mean 'Closed'"),
        (lambda charts: pd.concat([charts, charts[:1]]), "'Answered' has 2025-09-01 twice"),
        (lambda charts: charts.replace({"signal": {"better": "bettr"}}), "did you mean 'better'"),
        (lambda charts: charts.assign(false_alarm=np.linspace(0, 1, len(charts))), "more than one"),
        (lambda charts: charts.assign(false_alarm=2.0), "is 2.0"),
        (lambda charts: charts.drop(columns="rule"), "no column 'rule'"),
        (lambda charts: charts.assign(period="2025-09-01"), "not a date"),
    ],
)
def test_bad_charts_are_problems(charts, ctqs, spoil, words):
    with pytest.raises(Problem, match=words):
        early_warning(spoil(charts), ctqs=ctqs)


def test_bad_ctqs_and_nothing_to_watch(charts, ctqs):
    with pytest.raises(Problem, match="'Cost' is there twice"):
        early_warning(charts, ctqs=pd.concat([ctqs, ctqs[-1:]]))
    with pytest.raises(Problem, match="last is 0"):
        early_warning(charts, ctqs=ctqs, last=0)
    with pytest.raises(Refusal, match="no chart"):
        early_warning(charts[:0], ctqs=ctqs)


def test_the_control_plan_names_what_is_still_blank(ctqs):
    plan = control_plan(ctqs, chart="p' chart", rule="beyond 3 sigma")
    assert plan.complete == 3
    assert plan.table["to_fill"].tolist() == ["", "", "", "definition, target, owner, reaction"]
    assert set(plan.table["chart"]) == {"p' chart"}
    assert "Still to be filled in: Cost: definition, target, owner, reaction." in plan.sentence()
    assert "Each has an owner" in control_plan(ctqs[:3]).sentence()


def test_the_control_plan_takes_another_name_column_and_draws(ctqs):
    plan = control_plan(ctqs.rename(columns={"ctq": "name"}), name="name")
    assert plan.table["ctq"].tolist() == ctqs["ctq"].tolist()
    ax = plan.plot(plt.figure().gca())
    marks = [line.get_marker() for line in ax.lines if len(line.get_xdata()) == 1]
    assert marks.count("v") == 4 and marks.count("^") == 16
    plt.close("all")
    with pytest.raises(Problem, match="no column 'name'"):
        control_plan(ctqs, name="name")


def test_the_plan_names_the_change_that_helps_most_among_those_that_are_clear():
    ctqs = pd.DataFrame(
        {
            "ctq": ["wait", "courtesy"],
            **{each: ["x", "y"] for each in ("definition", "unit", "owner", "reaction")},
            "target": [0.1, 0.2],
        }
    )
    lifts = pd.DataFrame(
        {
            "driver": ["a", "b", "c", "d"],
            "change": ["a less", "b less", "c less", "d less"],
            "target_kind": ["ctq", "ctq", "ctq", "theme"],
            "name": ["wait"] * 4,
            "estimate": [-0.2, -0.5, -0.9, -2.0],
            "clear": [True, True, False, True],
        }
    )
    assert control_plan(ctqs, lifts=lifts).table["lever"].tolist() == ["b less", ""]
    assert control_plan(ctqs).table["lever"].tolist() == ["", ""]
