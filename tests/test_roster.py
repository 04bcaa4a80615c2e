"""Agents on duty, given by the hour, by the shift, or guessed from contacts."""

import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.clock import Calendar
from sqm.roster import WAYS, hours_of_shifts, infer_staffing, roster_of

DAY = Calendar(opens=8, closes=12)


def _shifts(*rows):
    table = pd.DataFrame(rows, columns=["agent", "site", "starts", "ends"])
    return table.assign(starts=pd.to_datetime(table["starts"]), ends=pd.to_datetime(table["ends"]))


def test_shifts_become_hours_also_through_the_night():
    found = hours_of_shifts(
        _shifts(
            ("a", "N1", "2025-03-03 22:00", "2025-03-04 02:00"),
            ("b", "N1", "2025-03-04 01:10", "2025-03-04 02:50"),
        )
    )
    assert found[["hour", "agents"]].to_numpy().tolist() == [
        [22, 1],
        [23, 1],
        [0, 1],
        [1, 2],
        [2, 1],
    ]
    assert found["date"].dt.day.tolist() == [3, 3, 4, 4, 4]


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (
            ("a", "S1", "2025-03-03 09:30", "2025-03-03 11:00"),
            "1 shifts overlap .*; a, 2025-03-03 09:30",
        ),
        (("b", "N1", "2025-03-03 11:00", "2025-03-03 09:00"), "end before they start"),
    ],
)
def test_shifts_that_cannot_be_are_problems(second, words):
    with pytest.raises(Problem, match=words):
        hours_of_shifts(_shifts(("a", "N1", "2025-03-03 08:00", "2025-03-03 10:00"), second))


def test_a_shift_inside_a_longer_one_overlaps_though_another_lies_between():
    with pytest.raises(Problem, match="1 shifts overlap"):
        hours_of_shifts(
            _shifts(
                ("a", "N1", "2025-03-03 08:00", "2025-03-03 20:00"),
                ("b", "N1", "2025-03-03 09:00", "2025-03-03 10:00"),
                ("a", "N1", "2025-03-03 12:00", "2025-03-03 13:00"),
            )
        )


def _contacts():
    """Two agents: one at 8:50 to 9:10 and at 11:30, one at 9:00 to 9:30; one customer leaves."""
    return pd.DataFrame(
        {
            "arrived": pd.to_datetime(
                ["2025-03-03 08:49", "2025-03-03 09:00", "2025-03-03 11:30", "2025-03-03 10:30"]
            ),
            "site": "N1",
            "agent": ["a", "b", "a", None],
            "abandoned": [False, False, False, True],
            "wait_s": [60.0, 0.0, 0.0, 300.0],
            "service_s": [1200.0, 1800.0, 600.0, None],
        }
    )


@pytest.mark.parametrize(
    ("way", "agents"),
    [
        ("busy at once", {8: 1, 9: 2, 11: 1}),
        ("had a contact", {8: 1, 9: 2, 11: 1}),
        ("had one nearby", {8: 2, 9: 2, 10: 2, 11: 1}),
        ("first to last", {8: 1, 9: 2, 10: 1, 11: 1}),
    ],
)
def test_agents_are_guessed_by_hand(way, agents):
    found = infer_staffing(_contacts(), calendar=DAY, way=way)
    assert dict(zip(found["hour"], found["agents"], strict=True)) == agents
    assert list(found.columns) == ["date", "hour", "site", "agents"]


def test_every_way_is_described_and_an_unknown_one_is_a_problem():
    assert len(WAYS) == 4
    with pytest.raises(Problem, match="way is 'by eye'"):
        infer_staffing(_contacts(), calendar=DAY, way="by eye")


def test_without_agents_only_what_is_busy_can_be_counted():
    nameless = _contacts().drop(columns="agent")
    assert len(infer_staffing(nameless, calendar=DAY, way="busy at once")) == 3
    with pytest.raises(Refusal, match="no column 'agent'"):
        infer_staffing(nameless, calendar=DAY, way="first to last")
    with pytest.raises(Refusal, match="No served contact names its agent"):
        infer_staffing(_contacts().assign(agent=None), calendar=DAY, way="first to last")


def test_a_part_of_an_agent_is_a_problem():
    staffing = pd.DataFrame({"date": ["2025-03-03"], "hour": [8], "site": ["N1"], "agents": [1.5]})
    with pytest.raises(Problem, match=r"a part of an agent .*1\.5"):
        roster_of(staffing, None, None, None)
