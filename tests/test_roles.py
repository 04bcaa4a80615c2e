"""A table's description: what is understood, and what is refused before any data are read."""

import pytest
import yaml
from pydantic import ValidationError

from sqm.roles import KNOWN, OPTIONS, Table, columns_of, problems_of, types_of


def described(text, **more):
    return Table.model_validate(yaml.safe_load(text) | more)


def refused(text, name):
    return [str(problem) for problem in problems_of(described(text, path="t.csv"), name)]


def test_a_bare_yes_or_no_in_yaml_is_still_the_word():
    table = described("path: x.csv\nroles: {resolved: {column: r, yes: [yes, Si], no: [no, 0]}}")
    assert table.roles["resolved"].yes == ("true", "yes", "on", "si")
    assert table.roles["resolved"].no == ("false", "no", "off", "0")


@pytest.mark.parametrize(
    "said",
    [
        "roles: {a: a}",
        "path: x.csv\ndatabase: env:X\nquery: select 1\nroles: {a: a}",
        "path: x.csv\nquery: select 1\nroles: {a: a}",
        "path: x.csv",
        "path: x.csv\nroles: {a: {column: a, rang: [1, 2]}}",
        "path: x.csv\nroles: {a: {column: a, range: [2, 1]}}",
        "path: x.csv\nroles: {a: {type: number}}",
        "path: x.csv\nroles: {a: {type: duration, start: b}}",
        "path: x.csv\nroles: {a: 7}",
        "path: x.csv\nmissing: [no]\nroles: {a: a}",
        "path: x.csv\ndecimal: ','\nthousands: ','\nroles: {a: a}",
        "path: x.csv\nseparator: ';;'\nroles: {a: a}",
    ],
)
def test_a_description_that_makes_no_sense_is_refused(said):
    with pytest.raises(ValidationError):
        described(said)


def test_every_known_role_has_a_type_that_takes_options():
    assert {kind for roles in KNOWN.values() for kind in roles.values()} <= set(OPTIONS)


def test_a_misspelt_role_gets_the_nearest_and_the_way_to_a_role_of_ones_own():
    (said,) = refused("roles: {opend: x}", "complaints")
    assert "complaints has no role 'opend'." in said
    assert "did you mean 'opened'?" in said
    assert "opend: {column: x, type: number}" in said


def test_a_table_of_ones_own_needs_a_type_for_every_role():
    (said,) = refused("roles: {opened: x}", "complaint")
    assert "no method knows" in said
    assert "did you mean 'complaints'?" in said
    assert refused("roles: {opened: {column: x, type: text}}", "complaint") == []


@pytest.mark.parametrize(
    ("roles", "words"),
    [
        ("{opened: {column: x, type: flag}}", "'opened' is a time, not a flag"),
        ("{site: {column: x, format: '%d'}}", "`format` does not go with 'site'"),
        ("{cost: {column: x, unit: min}}", "does not say what to convert it to"),
        ("{own_d: {type: duration, start: opened, end: site}, opened: x, site: x}", "is no time"),
        ("{own: {type: duration, start: opened, end: closed}, opened: x, closed: x}", "no unit"),
        (
            "{own_h: {type: duration, start: opened, end: closed, unit: d}, opened: x, closed: x}",
            "its name says h",
        ),
        (
            "{own_h: {type: duration, start: opened, end: closed}, opened: x, closed: x,"
            " own_h_open: {column: x, type: flag}}",
            "own_h_open is made beside 'own_h'",
        ),
    ],
)
def test_what_a_role_cannot_be_is_said_before_reading(roles, words):
    (said,) = refused(f"roles: {roles}", "complaints")
    assert words in said


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("dimensions: {care: [p1, p1]}", "'care' names 'p1' twice"),
        ("dimensions: {care: []}", "'care' has no items"),
        ("expectations: {p9: e1}", "`expectations` names 'p9'"),
        ("reverse: [p3]", "`reverse` names 'p3', which is no item"),
        ("key: respondant", "no role 'respondant'"),
        ("roles: {p1: {column: x, type: number}}", "'p1' is an item and also a role"),
    ],
)
def test_survey_items_are_checked_by_name(extra, words):
    survey = {"roles": {"respondent": "id"}, "dimensions": {"care": ["p1", "p2"]}}
    (said,) = refused(yaml.safe_dump(survey | yaml.safe_load(extra)), "survey")
    assert words in said


def test_all_that_is_wrong_is_listed_at_once():
    assert (
        len(refused("key: mine\nroles: {opend: x, site: {column: y, unit: h}}", "complaints")) == 4
    )


def test_a_type_of_ones_own_goes_before_the_known_one():
    table = described("path: x.csv\nroles: {site: {column: s, type: text}, cost: c, own: o}")
    assert types_of(table, "complaints") == {"site": "text", "cost": "number", "own": None}


def test_columns_are_roles_what_is_derived_and_items_each_once():
    table = described("""
path: x.csv
roles:
  opened: a
  closed: b
  p1: p1
  resolution_d: {type: duration, start: opened, end: closed}
dimensions: {care: [p1, p2]}
expectations: {p1: e1}
""")
    made = ("opened", "closed", "p1", "resolution_d", "resolution_d_open", "p2", "e1")
    assert columns_of(table) == made
    assert table.columns() == ("a", "b", "p1", "p2", "e1")


# --- narrowed and summed --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"n": {"column": "a", "added": "b"}}, "say `rows`, or name a `column`"),
        ({"n": {"rows": True, "above": 3}}, "go with a `column`"),
        ({"n": "rows", "p": {"column": "a", "each": "day", "is": ["1"]}}, "choose one"),
        ({"n": "rows", "p": {"column": "a", "each": "hour"}}, "'day', 'week' or 'month'"),
        ({"n": "rows", "e": {"column": "a", "above": 1, "format": "%d"}}, "goes with `each`"),
        ({"unit": "site"}, "counts nothing"),
        (
            {"n": "rows", **{k: {"column": k, "each": "day"} for k in "ab"}},
            "two roles with `each`",
        ),
    ],
)
def test_a_sum_is_made_in_one_way(said, words):
    with pytest.raises(ValidationError, match=words):
        Table.model_validate({"path": "t.csv", "summed": said})


@pytest.mark.parametrize("option", [{"roles": {"a": "a"}}, {"copies": "once"}, {"key": "a"}])
def test_what_a_summed_table_cannot_have_is_said(option):
    with pytest.raises(ValidationError, match="does not go with `summed`"):
        Table.model_validate({"path": "t.csv", "summed": {"n": "rows"}} | option)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({}, "say what the column must be"),
        ({"from": "2025-01-01", "to": 5}, "both as days or both as numbers"),
        ({"above": 5, "format": "%d"}, "`format` goes with days"),
        ({"at least": 5}, "Extra inputs"),
        ({"is": [True]}, "in quotes"),
    ],
)
def test_a_condition_is_understood_or_refused(rule, words):
    with pytest.raises(ValidationError, match=words):
        Table.model_validate({"path": "t.csv", "roles": {"a": "a"}, "where": {"a": rule}})


def test_sums_are_roles_of_a_type():
    sums = {"period": {"column": "a", "each": "week"}, "unit": "s", "n": "rows"}
    table = Table.model_validate({"path": "t.csv", "summed": sums})
    assert types_of(table, "counted") == {"period": "date", "unit": "category", "n": "number"}
    assert problems_of(table, "counted") == problems_of(table, "mine") == []
    (problem,) = problems_of(
        Table.model_validate({"path": "t.csv", "summed": {"n": {"column": "a", "each": "day"},
                                                           "events": "rows"}}), "counted"
    )  # fmt: skip
    assert "the role 'n' is a number, not a date" in str(problem)
