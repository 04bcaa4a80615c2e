"""The control plan: what is blank is named, what is frozen is read back."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.methods.control_plan import control_plan


@pytest.fixture
def ctqs():
    return pd.DataFrame(
        {
            "ctq": ["Answered", "Resolved", "Cost"],
            "definition": ["within 300 s", "at first contact", ""],
            "target": [0.1, 0.2, np.nan],
            "unit": ["s", "share", "EUR"],
            "owner": ["Ana", "Li", ""],
            "reaction": ["call for help", "coach the team", None],
            "escalation": ["the board", "the board", ""],
            "escalate_after": [4, np.nan, np.nan],
        }
    )


@pytest.fixture
def choice():
    names = ["Answered", "Resolved", "letters"]
    return pd.DataFrame({"series": names, "kind": ["p'", "p'", "c"], "rules": "beyond 3"})


@pytest.fixture
def ledger():
    """Limits of one CTQ, moved once, and moved again from the new year on."""
    return pd.DataFrame(
        {
            "series": ["Answered"] * 3,
            "kind": ["p", "p'", "p'"],
            "rules": ["beyond 3", "beyond 3 + run over 8", "beyond 2"],
            "centre": [0.3, 0.2, 0.1],
            "valid_from": ["2025-01-06", "2025-09-29", "2026-01-05"],
            "who": ["Ana", "Ana", "Li"],
        }
    )


@pytest.fixture
def charts():
    weeks = pd.date_range("2025-12-01", periods=2, freq="7D", tz="Europe/Madrid")
    head = {"series": "Answered", "period": weeks, "centre": 0.2, "low": [0.1, 0.12]}
    return pd.DataFrame({**head, "high": [0.3, 0.28], "false_alarm": 0.02})


def test_what_is_blank_is_named(ctqs, choice):
    plan = control_plan(ctqs, choice=choice)
    assert plan.table["to_fill"].tolist() == [
        "",
        "",
        "definition, target, owner, reaction, chart, rule, escalation",
        "definition, target, unit, owner, reaction, escalation",
    ]
    assert plan.complete == 2
    assert "Still to be filled in: Cost: definition, target" in plan.sentence()
    assert plan.table["ctq"].tolist()[-1] == "letters"  # a series that is no CTQ
    done = control_plan(ctqs[:2], choice=choice[:2]).sentence()
    assert "Each has an owner, a chart, a reaction" in done


def test_the_same_blank_everywhere_is_said_once(ctqs):
    words = control_plan(ctqs.drop(columns=["escalation"])[:2]).sentence()
    assert "Still to be filled in for 2 of them: chart, rule, escalation." in words


def test_limits_whose_day_has_come_are_in_force(ctqs, choice, ledger, charts):
    plan = control_plan(ctqs, choice=choice, ledger=ledger, charts=charts, on="2025-12-31")
    row = plan.table.loc[0]
    assert row[["limits", "valid_from", "chart", "rule", "frozen_by"]].tolist() == [
        "in force",
        "2025-09-29",
        "p'",
        "beyond 3 + run over 8",
        "Ana",
    ]
    assert row[["centre", "low", "high", "false_alarm"]].tolist() == [0.2, 0.12, 0.28, 0.02]
    proposed = "not frozen: proposed"
    assert plan.table["limits"].tolist() == ["in force", proposed, "none", proposed]
    assert (plan.in_force, plan.proposed) == (1, 2)
    assert "in force for 1 and proposed, not frozen, for 2." in plan.sentence()
    assert "0.02 of the 1 whose chance is known" in plan.sentence()
    later = control_plan(ctqs, choice=choice, ledger=ledger, on="2026-02-01").table
    assert later["valid_from"][0] == "2026-01-05"
    assert later["centre"][0] == 0.1  # not charted: as frozen


def test_the_plan_takes_another_name_column_and_draws(ctqs, choice):
    plan = control_plan(ctqs.rename(columns={"ctq": "name"}), name="name")
    assert plan.table["ctq"].tolist() == ctqs["ctq"].tolist()
    ax = control_plan(ctqs, choice=choice[:2]).plot(plt.figure().gca())
    assert ax.get_title() == "Is every characteristic looked after?"
    marks = [line.get_marker() for line in ax.lines if len(line.get_xdata()) == 1]
    # blank: seven entries of Cost and its limits; proposed: the limits of the other two
    assert (marks.count("v"), marks.count("s"), marks.count("^")) == (8, 2, 17)
    plt.close("all")


def test_the_plan_names_the_change_that_helps_most_among_those_that_are_clear(ctqs):
    lifts = pd.DataFrame(
        {
            "driver": ["a", "b", "c", "d"],
            "change": ["a less", "b less", "c less", "d less"],
            "target_kind": ["ctq", "ctq", "ctq", "theme"],
            "name": ["Answered"] * 4,
            "estimate": [-0.2, -0.5, -0.9, -2.0],
            "clear": [True, True, False, True],
        }
    )
    plan = control_plan(ctqs, lifts=lifts)
    assert plan.table["lever"].tolist() == ["b less", "", ""]
    assert "Answered (b less)" in plan.sentence()


def test_what_is_wrong_is_a_problem(ctqs, choice, ledger):
    with pytest.raises(Problem, match="'Cost' is there twice"):
        control_plan(pd.concat([ctqs, ctqs[-1:]]))
    with pytest.raises(Problem, match="'Answered' is there twice"):
        control_plan(ctqs, choice=pd.concat([choice, choice[:1]]))
    with pytest.raises(Problem, match="no day"):
        control_plan(ctqs, ledger=ledger, on="soon")
    with pytest.raises(Refusal, match="no column 'name'"):
        control_plan(ctqs, name="name")
