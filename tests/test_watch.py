"""The list of alarms, of charts and of all rooms together, by hand and at its edges."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.methods.watch import early_warning, what_fires

WEEKS = pd.date_range("2025-09-01", periods=10, freq="7D")


def chart(series, signals, **columns):
    """Ten weeks, the first four of them baseline; ``signals`` for the latest ones."""
    signals = [""] * (10 - len(signals)) + list(signals)
    table = pd.DataFrame(
        {
            "series": series,
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
    assert table["series"].tolist() == ["Resolved", "Closed", "Cost", "Answered"]
    assert table["state"].tolist() == ["worse", "better", "cannot say", "quiet"]
    assert table["watched"].tolist() == [4, 4, 0, 4]
    assert table["signals"].tolist() == [4, 1, 0, 0]


def test_since_reaches_back_beyond_the_periods_watched(charts, ctqs):
    table = early_warning(charts, ctqs=ctqs).table.set_index("series")
    assert table["since"]["Resolved"] == "2025-10-06"  # the fifth week from the end
    assert table["since"]["Closed"] == "2025-10-27"
    assert table["course"]["Closed"] == "quiet quiet better quiet"


def test_an_earlier_run_that_ended_is_not_the_start(ctqs):
    broken = chart("Resolved", ["worse", "", "worse", "worse"])
    table = early_warning(broken, ctqs=ctqs).table.set_index("series")
    assert table["since"]["Resolved"] == "2025-10-13"  # the first signal in the weeks watched
    table = early_warning(broken, ctqs=ctqs, last=2).table.set_index("series")
    assert table["since"]["Resolved"] == "2025-10-27"


def test_a_signal_that_is_over_is_not_now(ctqs):
    past = chart("Resolved", ["worse", "", "", "", ""])
    table = early_warning(past, ctqs=ctqs).table.set_index("series")
    assert table["state"]["Resolved"] == "quiet"


def test_false_alarms_add_up(charts, ctqs):
    """Three CTQs are watched at 0.02 each; the fourth has no chart."""
    found = early_warning(charts, ctqs=ctqs)
    assert found.expected_false_alarms == pytest.approx(0.06)
    assert "would name 0.06 series by chance" in found.sentence()


def test_a_chance_that_is_not_stated_is_told(charts, ctqs):
    charts.loc[charts["series"] == "Closed", "false_alarm"] = np.nan
    found = early_warning(charts, ctqs=ctqs)
    assert found.unstated == ("Closed",)
    assert "0.04 series by chance, on average, not counting Closed" in found.sentence()
    charts["false_alarm"] = np.nan
    assert "is not stated" in early_warning(charts, ctqs=ctqs).sentence()


def test_the_sentence_names_who_does_what(charts, ctqs):
    words = early_warning(charts, ctqs=ctqs).sentence()
    assert (
        "Of 3 series watched over 4 periods (2025-10-13 to 2025-11-03), 1 needs a reaction" in words
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
    assert based.set_index("series").loc["Closed", ["state", "note", "course"]].tolist() == [
        "cannot say",
        "only baseline periods",
        "baseline baseline baseline baseline",
    ]
    no_limits = early_warning(chart("Closed", [""], low=np.nan, high=np.nan), ctqs=ctqs).table
    assert no_limits.set_index("series")["note"]["Closed"] == "no limits"


def test_a_chart_that_stopped_cannot_say(charts, ctqs):
    stopped = charts[(charts["series"] != "Resolved") | (charts["period"] < "2025-10-01")]
    table = early_warning(stopped, ctqs=ctqs, last=2).table.set_index("series")
    assert table["state"]["Resolved"] == "cannot say"
    assert table["note"]["Resolved"] == "no data since 2025-09-29"


def test_signals_both_ways_count_as_worse(ctqs):
    table = early_warning(chart("Closed", ["better", "worse"]), ctqs=ctqs).table.set_index("series")
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


# --- what is not complete yet, what lasts, what it costs, and events ----------------------------


def test_weeks_that_are_not_complete_are_passed_over_not_counted(ctqs):
    """The last two weeks are young: the four before them are watched, and a signal there fires."""
    young = chart("Closed", ["worse", "", "", "worse", "worse"], mature=np.arange(10) < 8)
    row = early_warning(young, ctqs=ctqs).table.set_index("series").loc["Closed"]
    assert row["course"] == "quiet worse quiet quiet young young"
    assert (row["state"], row["watched"], row["signals"]) == ("worse", 4, 1)
    assert "latest 2 periods not complete yet" in row["note"]
    none = early_warning(chart("Closed", [""], mature=False), ctqs=ctqs).table
    assert none.set_index("series")["note"]["Closed"] == "no period is complete yet"


def test_a_signal_that_lasts_is_passed_on(ctqs):
    """Four weeks in a row, of which three are asked for; the other has none laid down."""
    ctqs = ctqs.assign(escalate_after=[np.nan, 3, 5, 1], escalation=["", "the board", "", ""])
    both = pd.concat([chart(each, ["worse"] * 4) for each in ("Resolved", "Closed")])
    found = early_warning(both, ctqs=ctqs)
    table = found.table.set_index("series")
    assert table["lasted"][["Resolved", "Closed"]].tolist() == [4, 4]
    assert table["escalate"][["Resolved", "Closed"]].tolist() == [True, False]
    assert found.escalated == 1
    assert "To be passed on: Resolved to the board." in found.sentence()


def test_the_loss_is_what_lies_beyond_the_centre_times_the_cost(ctqs):
    """Two weeks at 0.2 where 0.1 is usual, of 500 contacts: 100 defects at 3 EUR."""
    ctqs = ctqs.assign(cost_per_defect=[np.nan, 3.0, np.nan, np.nan])
    worse = chart("Resolved", ["worse", "worse"], rate=0.2, data="share")
    found = early_warning(worse, ctqs=ctqs, currency="EUR")
    assert found.table["expected_loss"].iloc[0] == pytest.approx(300)
    assert np.isnan(
        early_warning(worse.assign(data="mean"), ctqs=ctqs, currency="EUR")
        .table["expected_loss"]
        .iloc[0]
    )
    with pytest.raises(Problem, match="without a currency"):
        early_warning(worse, ctqs=ctqs)


def test_a_series_that_is_no_ctq_is_watched_without_an_owner(charts, ctqs):
    other = chart("billing letters", ["worse"])
    words = early_warning(pd.concat([charts, other]), ctqs=ctqs).sentence()
    assert "billing letters is worse since 2025-11-03" in words
    assert "nobody is named as owner: no reaction is laid down" in words


def test_events_are_laid_into_the_weeks(charts, ctqs):
    """Three events, two of them in one week, one long before: the last four events are watched."""
    days = pd.to_datetime(["2025-09-03", "2025-10-22", "2025-10-23"])
    events = chart("Cost", [""]).head(3).assign(period=days, data="gap", baseline=False)
    events["signal"] = ["", "worse", ""]
    both = pd.concat([charts.assign(data="share"), events])
    row = early_warning(both, ctqs=ctqs).table.set_index("series").loc["Cost"]
    assert (row["watched"], row["course"].split()[-4:], row["note"]) == (
        3,
        ["none", "worse", "none", "none"],
        "",
    )


# --- all rooms together -----------------------------------------------------------------------


def alert(source, series, state="worse", **more):
    row = {"source": source, "series": series, "state": state, "since": "2025-10-06"}
    return pd.DataFrame([{**row, "rule": "beyond", "false_alarm": 0.02, **more}])


def test_what_costs_most_comes_first_then_what_chance_explains_least():
    found = what_fires(
        alert("themes", "a", false_alarm=0.05),
        alert("chart", "b", expected_loss=100.0, owner="Ana", reaction="call for help"),
        alert("streams", "c", expected_loss=900.0),
        alert("survey", "d", false_alarm=0.001),
        alert("chart", "e", state="quiet", false_alarm=np.nan),
        alert("survey", "f", state="cannot say", note="too few answers"),
        currency="EUR",
    )
    assert found.table["series"].tolist() == ["c", "b", "d", "a", "f", "e"]
    assert (found.fires, found.watched, found.cannot_say) == (4, 5, 1)
    assert found.expected_false_alarms == pytest.approx(0.05 + 0.02 + 0.02 + 0.001)
    first, rest = found.sentence().split("\n")
    assert first.startswith(
        "4 of 5 watched need a reaction now, first c (streams) since 2025-10-06"
    )
    assert len(first) <= 220
    assert "known for 2 of 4: together 1,000 EUR" in rest
    assert "0.091 series by chance, on average, not counting e" in rest
    assert "Nothing can be said of f (too few answers)" in rest


def test_the_list_of_charts_is_a_list_of_alerts(charts, ctqs):
    mine = early_warning(charts, ctqs=ctqs)
    found = what_fires(mine.table, alert("themes", "Resolved", state="quiet"))
    assert (found.fires, found.better, found.cannot_say) == (1, 1, 1)
    assert "Li: coach the team" in found.sentence().split("\n")[0]
    ax = found.plot(plt.figure().gca())
    assert ax.get_title() == "What fires now?"
    # 20 % where 10 % is usual and 15 % the limit: twice as far as the limit
    worse = [line.get_xdata() for line in ax.lines if line.get_marker() == "v"]
    assert [each[0] for each in worse if len(each)] == [pytest.approx(2)]
    plt.close("all")


def test_nothing_fires_is_said():
    words = what_fires(alert("chart", "x", state="quiet")).sentence()
    assert words.startswith("None of 1 watched needs a reaction now.\n")


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ([alert("chart", "x"), alert("chart", "x")], "'x' twice"),
        ([alert("chart", "x", state="wrose")], "did you mean 'worse'"),
        ([alert("chart", "x", false_alarm=2.0)], "is 2.0"),
        ([alert("chart", "x", expected_loss=2.0)], "without a currency"),
        ([], "Nothing is watched"),
    ],
)
def test_bad_alerts_are_problems(tables, words):
    with pytest.raises(Problem, match=words):
        what_fires(*tables)


def test_days_weeks_and_events_stand_in_one_list(charts, ctqs):
    """Each is watched over its own latest periods; the picture has the periods of most charts."""
    days = pd.date_range("2025-10-28", "2025-11-09")
    daily = chart("Cost", [""]).iloc[[0] * len(days)].assign(period=days, baseline=False)
    daily["signal"] = [""] * (len(days) - 1) + ["worse"]
    found = early_warning(pd.concat([charts, daily], ignore_index=True), ctqs=ctqs)
    row = found.table.set_index("series").loc["Cost"]
    assert (row["state"], row["watched"], row["since"]) == ("worse", 4, "2025-11-09")
    assert set(found.periods) <= {f"{day:%Y-%m-%d}" for day in charts["period"]}
