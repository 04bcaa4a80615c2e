"""Scenarios as they are read from a study, one by one and together."""

import pytest
from four_customers import FASTER

from sqm.checks import Problem
from sqm.scenario import combined, in_words, labels, read_scenarios


def read(*given):
    return read_scenarios(
        list(given), sites=["N1", "S1"], hours=range(8, 20), reasons=["bill", "fault"]
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "a", "agnets": {"add": 1}}, "unknown lever 'agnets'.*\n.*'agents'"),
        ({"name": "a", "agents": {"add": 1, "hour": [1, 2]}}, "unknown part 'hour'"),
        ({"name": "a", "agents": 1}, "agents is 1"),
        ({"name": "a", "agents": {"add": 0.5}}, "agents is"),
        ({"name": "a", "agents": {"add": 1, "hours": [14, 10]}}, "hours is"),
        ({"name": "a", "agents": {"add": 1, "hours": [6, 10]}}, "between 8 and 20"),
        ({"name": "a", "service_factor": 0}, "service_factor is 0"),
        ({"name": "a", "service_factor": "short"}, "'short'"),
        ({"name": "a", "service_factor": [0.9, 0.8, 0.95]}, "in this order"),
        ({"name": "a", "resolution_points": 8}, "8 percentage points"),
        ({"name": "a", "resolution_points": [0.05, 0.1]}, "least, likeliest, most"),
        ({"name": "a", "service_factor": 0.9, "sites": ["N11"]}, "no site 'N11'.*\n.*'N1'"),
        ({"name": "a", "service_factor": 0.9, "sites": "N1"}, "give a list"),
        ({"name": "a"}, "changes nothing"),
        ({"service_factor": 0.9}, "has no name"),
        ({"name": "as is", "service_factor": 0.9}, "Two scenarios are called 'as is'"),
        ({"name": "a", "service_factor": 0.9, "investment": [3, 2, 1]}, "in this order"),
        ({"name": "a", "service_factor": 0.9, "not_with": ["b"]}, "not_with names 'b'"),
        ({"name": "a", "demand": "much"}, "demand is 'much'"),
        ({"name": "a", "demand": {"facter": 1.1}}, "unknown part 'facter'.*\n.*'factor'"),
        ({"name": "a", "demand": {"factor": 1.1, "weeks": 60}}, "weeks is 60"),
        ({"name": "a", "demand": -1}, "demand is -1"),
        ({"name": "a", "price": 0.05}, "price is 0.05"),
        ({"name": "a", "price": {"change": 0.05}}, "has no elasticity"),
        ({"name": "a", "price": {"change": [0, 0.1, 0.2], "elasticity": 1}}, "a range"),
        ({"name": "a", "price": {"change": -1.2, "elasticity": 0}}, "change is -1.2"),
        ({"name": "a", "routing": {"priorty": ["bill"]}}, "unknown part 'priorty'"),
        ({"name": "a", "routing": {"priority": ["bil"]}}, "no reason 'bil'.*\n.*'bill'"),
        ({"name": "a", "routing": {"call_back": 2}}, "call_back: share is 2"),
        ({"name": "a", "routing": {"call_back": {"after_s": 9}}}, "share is None"),
        ({"name": "a", "routing": {"rework": {"share": 0.1, "after_s": -1}}}, "after_s is -1"),
        ({"name": "a", "routing": {"pool": ["N2"]}}, "no site 'N2'"),
        ({"name": "a", "sites": ["N1"], "routing": {"pool": ["S1"]}}, "pools 'S1'"),
        ({"name": "a", "routing": {"pool": False}}, "routing changes nothing"),
    ],
)
def test_a_scenario_that_makes_no_sense_is_a_problem(given, words):
    with pytest.raises(Problem, match=words):
        read(given)


def test_a_scenario_names_its_sites_once_for_all_its_levers():
    given = {"name": "both", "service_factor": 0.94, "resolution_points": 0.1, "sites": ["S1"]}
    found = read(given)[0]
    assert found.sites == ("S1",)
    assert (found.service_factor, found.resolution_points) == ((0.94,) * 3, (0.1,) * 3)
    assert read(FASTER)[0].sites == ("N1", "S1")


def test_short_and_long_ways_to_write_a_lever_mean_the_same():
    short = read({"name": "a", "demand": 1.1, "routing": {"call_back": 0.5, "pool": True}})[0]
    long = read(
        {
            "name": "a",
            "demand": {"factor": [1.1, 1.1, 1.1], "hours": [8, 20], "weeks": 52},
            "routing": {"call_back": {"share": 0.5, "after_s": 900}, "pool": ["N1", "S1"]},
        }
    )[0]
    assert short == long


def test_no_scenario_is_a_problem():
    with pytest.raises(Problem, match="No scenario"):
        read()


def test_combinations_leave_out_what_cannot_go_together():
    """Of a, b, c and d: a excludes b; c and d both change demand, at a common site."""
    given = read(
        {"name": "a", "service_factor": 0.9, "not_with": ["b"]},
        {"name": "b", "service_factor": 0.8},
        {"name": "c", "demand": 1.1},
        {"name": "d", "demand": 1.2, "sites": ["N1"]},
    )
    names = [each.name for each in combined(given, at_most=4)]
    assert names == ["a + c", "a + d", "b + c", "b + d"]


def test_two_that_change_demand_at_different_sites_go_together():
    given = read(
        {"name": "c", "demand": 1.1, "sites": ["S1"]}, {"name": "d", "demand": 1.2, "sites": ["N1"]}
    )
    assert [each.sites for each in combined(given, at_most=2)] == [("N1", "S1")]


def test_too_many_combinations_are_a_problem():
    given = read(*({"name": str(i), "service_factor": 0.9} for i in range(7)))
    assert len(combined(given, at_most=2)) == 21
    with pytest.raises(Problem, match="7 scenarios make more combinations than the 64"):
        combined(given, at_most=7)
    many = read(*({"name": str(i), "service_factor": 0.9} for i in range(40)))
    with pytest.raises(Problem, match="40 scenarios"):
        combined(many, at_most=40)


def test_names_in_pictures_and_sentences():
    given = read(*({"name": name, "service_factor": 0.9} for name in ("one", "two", "three")))
    worlds = [*given, *combined(given, at_most=3)]
    assert labels(worlds)[2:5] == ("c: three", "a + b", "a + c")
    assert labels(given) == ("one", "two", "three")
    assert in_words("one + two + three", worlds) == "all 3 together"
    assert in_words("one + two", worlds) == "one + two"
