"""Control as it is, on bad series, bad parameters and ledgers that somebody edited."""

import json
from types import SimpleNamespace

import matplotlib as mpl
import nbformat
import numpy as np
import pandas as pd
import pytest
from hostile_output import formulas_in, intruders_in
from IPython.utils.capture import capture_output
from notebook_shell import notebook_shell
from test_bad_input import (
    BREAKOUT,
    FORMULA,
    IMAGE,
    MATHS,
    SCRIPT,
    UNICODE,
    Markup,
    new_project,
    write,
)
from test_report import HEAD

from sqm import cli, ledger
from sqm.checks import Problem
from sqm.execute import LEFT_OUT
from sqm.freeze import alerts, freeze
from sqm.methods.ctq import ctq_tree
from sqm.methods.cycles import LEDGER as OF_CYCLES
from sqm.parameters import check, load
from sqm.places import notebook
from sqm.report import render
from sqm.shelf import keep

JOINED = "Which contacts drew a complaint?"
FOLLOWED = "What is followed from period to period?"
SUITS = "Which chart suits each series, and how often would it cry wolf?"
LEFT, MOVED = "Has the service left its limits?", "Should the limits be moved?"
WATCHES = "Who watches what, and what happens when it fires?"
SIGNALS, NOW = "Which charts signal now?", "What needs a reaction now?"
PAST, CHEAPEST = "What would the alarms have done in the past?", "Which rules cost least?"
STREAMS = "Which of many streams stand out now?"
MIX = "Did the service change, or only its mix?"
FAIR, RANKS = (
    "Who differs from the rest by more than chance?",
    "How likely is each to be among the best or the worst?",
)
COUNTED = "Which units stand apart where only counts are known?"
RAISED = "Did the change raise first-contact resolution?"
WITHOUT = "What would the changed sites have done without the change?"
LADDER = "Does the effect on resolution hold up, whichever way it is asked?"
LOWER = "Did the change lower complaints?"
SHORTER = "Did the change shorten waits?"
STEPPED = "Did the whole service step at the change?"
TRUE, TURN = "Did the prediction come true?", "What was planned, done, found and decided?"
BELIEVED = "Can the team's predictions be believed?"
EARLIER = "What did earlier cycles leave to this one?"  # Define's
CHARTS = (SUITS, LEFT, MOVED, WATCHES, SIGNALS, NOW)
EFFECTS = (RAISED, WITHOUT, LADDER)
CHANGE = "2025-07-07"
LONG, LINES = "L" * 500, "a\nb\r\nc"


# --- carrying it out ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """One shell for all; each study begins in an empty namespace."""
    with notebook_shell(new_project(tmp_path_factory.mktemp("control"))) as made:
        yield made


def cells_of(shell, phase="control"):
    """Question and cell; what is kept is drawn there too, so pictures are left out."""
    for cell in nbformat.read(notebook(phase, root=shell.root), as_version=4).cells:
        tags, lines = set(cell.metadata.get("tags", [])), cell.source.splitlines()
        drawn = len(lines) == 2 and lines[1].endswith(".plot();")
        if cell.cell_type == "code" and not LEFT_OUT & tags and not drawn:
            question = lines[0].partition(": ")[2] if lines[0].startswith("%%needs") else ""
            yield question, cell.source, tags


def run_cell(shell, source):
    """A Problem is handed back; any other exception fails the test, and so does a warning."""
    with capture_output() as shown:
        ran = shell.shell.run_cell(source)
    mpl.pyplot.close("all")
    wrong = ran.error_in_exec or ran.error_before_exec
    if wrong is not None:
        assert isinstance(wrong, Problem), f"{wrong!r}: {source}"
        assert wrong.what and wrong.mend
        return str(wrong), ""
    assert not shown.stderr, f"{shown.stderr} in {source}"
    return "", shown.stdout


def carry_out(shell, name, made, study, only=CHARTS, *, ctqs=True, phase="control"):
    """Run a phase on tables, of its questions only some; Define's tree of CTQs lies ready."""
    write(shell.root, name, made, study)
    shelf = shell.root / "out" / name / phase
    for file in shelf.glob("*.*"):
        file.unlink()
    if ctqs:
        place = shelf.parent / "define"
        keep(ctq_tree(CTQS), "ctq_tree", shelf=place, phase="define", answer="", settings={})
    shell.patch.setenv("SQM_SHELF", str(shelf))
    shell.shell.reset(new_session=False)
    given = {**load(name, root=shell.root).sections[phase], "study": name}
    found = SimpleNamespace(said={}, missed={}, problems={}, shelf=shelf)
    for question, source, tags in cells_of(shell, phase):
        if question and question not in {JOINED, FOLLOWED, *only}:
            continue
        lines = [f"{key} = {value!r}" for key, value in given.items()] * ("parameters" in tags)
        problem, _ = run_cell(shell, "\n".join([source, *lines]))
        if problem:
            found.problems[question] = problem
    for path in sorted(shelf.glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        if path.stem == "phase":
            found.missed = {e["question"]: e["reason"] for e in record["not_examined"]}
        else:
            found.said[path.stem] = record["sentence"]
    assert all(found.said.values()) and all(found.missed.values())
    for told in (*found.missed.values(), *found.said.values()):
        assert "Error" not in told and "nan" not in told.split(), told
    return found


@pytest.fixture(scope="module")
def sound(shell):
    """A study with nothing wrong, carried out once: its namespace and its cells."""
    made = tables()
    study = study_of(made, mix=["channel"], streams_by=["category"], events=[EVENT])
    found = carry_out(shell, "sound", made, study, only=(SUITS, LEFT, MOVED, RAISED))
    assert not found.problems and "control_charts" in found.said
    return SimpleNamespace(names=dict(shell.shell.user_ns), cells=list(cells_of(shell)))


@pytest.fixture
def ask(sound, shell):
    """Ask questions of the sound study again, with other parameters: what is wrong, or said."""
    names, here = sound.names, sound.names["here"]

    def asks(*questions, currency="EUR", **given):
        here._not_examined.clear()
        here.currency, space = currency, shell.shell.user_ns
        for name in set(space) - set(names):
            del space[name]
        space.update({**names, **given, "rng": np.random.default_rng(1)})
        said = ""
        for asked, source, _ in sound.cells:
            if any(each in (asked, source.splitlines()[0]) for each in questions):
                problem, told = run_cell(shell, source)
                if problem:
                    return problem
                said += told
        return " ".join(said.split())

    yield asks
    here.currency = "EUR"


# --- a small service ------------------------------------------------------------------------------

CTQS = [{"name": "resolved", "table": "operations", "measure": "resolved", "limit": 1,
         "direction": "at least", "need": "n", "driver": "d", "definition": "d", "unit": "u",
         "target": 0.3, "owner": "Ana", "reaction": "look"}]  # fmt: skip
EVENT = {"name": "training", "series": "resolved", "from": CHANGE}


def tables(weeks=36, a_week=15, seed=1):
    """Contacts at four sites, and complaints of some; at A and B more is resolved from July."""
    rng = np.random.default_rng(seed)
    n = weeks * a_week * 4
    day = pd.bdate_range("2025-01-06", periods=weeks * 5)[np.sort(rng.integers(0, weeks * 5, n))]
    arrived = day + pd.to_timedelta(rng.integers(8 * 3600, 16 * 3600, n), "s")
    site = rng.choice(list("ABCD"), n)
    better = (arrived >= CHANGE) & np.isin(site, ["A", "B"])
    log = pd.DataFrame(
        {
            "contact": [f"K{i}" for i in range(n)],
            "arrived": arrived,
            "site": site,
            "channel": rng.choice(["phone", "chat"], n),
            "agent": np.char.add(site, rng.choice(list("123"), n)),
            "wait_s": rng.exponential(100, n).round(),
            "resolved": (rng.random(n) < 0.6 + 0.2 * better).astype(int),
        }
    )
    of = log.iloc[np.sort(rng.choice(n, n // 7, replace=False))].reset_index(drop=True)
    filed = of[["contact", "site"]].assign(
        complaint=[f"R{i}" for i in range(len(of))],
        opened=of["arrived"] + pd.Timedelta(hours=2),
        category=rng.choice(["x", "y"], len(of)),
        note="said",
        cost=rng.lognormal(3, 1, len(of)).round(2),
    )
    return {"operations": log, "complaints": filed}


TYPES = {"note": "text", "period": "date", "n": "number", "value": "number"}


def study_of(made, *, currency="EUR", **control):
    data = {"time_zone": "Europe/Madrid", "calendar": {"opens": 8, "closes": 18}}
    data["calendar"]["days"] = ["Mon", "Tue", "Wed", "Thu", "Fri"]
    data |= {"currency": currency} if currency else {}
    for name, table in made.items():
        roles = {c: {"column": c, "type": TYPES[c]} if c in TYPES else c for c in table}
        data[name] = {"roles": roles}
    return {"data": data, "control": {"change_on": CHANGE, "treated": ["A", "B"], **control}}


def counts_of(value, n=50):
    """Weekly counts, as a table ``counted`` holds them."""
    weeks = pd.date_range("2025-01-06", periods=len(value), freq="7D")
    return pd.DataFrame({"period": weeks.strftime("%Y-%m-%d"), "n": n, "value": value})


OF_COUNTED = {"name": "w", "table": "counted", "data": "share", "measure": "value", "of": "n",
              "better": "lower"}  # fmt: skip
VALUE = np.random.default_rng(3).binomial(50, 0.2, 36)


def charted(shell, name, table, only=(SUITS, LEFT, STEPPED), **more):
    study = study_of({"counted": table}, **{"also_followed": [OF_COUNTED], "treated": [], **more})
    return carry_out(shell, name, {"counted": table}, study, only, ctqs=False)


# --- series ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("three", VALUE[:3], "2 periods, where the law of a steady series needs 8"),
        ("zeros", VALUE * 0, "there is no event in the baseline"),
        ("wanders", np.r_[VALUE[:9], VALUE[:9] + 25, VALUE[:18]], "the level wanders"),
    ],
)
def test_a_series_that_bears_no_limits(shell, name, value, why):
    found = charted(shell, name, counts_of(value), only=(*CHARTS, STEPPED))
    assert not found.problems and set(found.said) <= {"followed", "interrupted_series"}
    for question in CHARTS[:-1]:
        assert why in found.missed[question]
    assert NOW in found.missed
    with pytest.raises(Problem, match="nothing was watched"):
        alerts(name, out=shell.root / "out")


def test_weeks_without_cases_are_left_out_and_said(shell):
    n, value = np.full(36, 50), VALUE.copy()
    n[[4, 20, 33]] = value[[4, 20, 33]] = 0
    found = charted(shell, "no-cases", counts_of(value, n))
    assert not found.problems and "interrupted_series" in found.said
    assert "3 periods without a case left out" in found.said["control_charts"]
    found = charted(shell, "never-cases", counts_of(VALUE * 0, 0))
    assert not found.problems and {SUITS, LEFT, STEPPED} <= set(found.missed)


@pytest.mark.parametrize(
    ("name", "value", "n", "data", "told"),
    [
        ("over", VALUE, np.where(np.arange(36) == 5, 1, 50), "share", "more 'value' than 'n'"),
        ("below", np.where(np.arange(36) == 5, -6, VALUE), 50, "share", "counts below 0"),
        ("bare", VALUE, np.where(np.arange(36) == 5, 0, 50), "rate", "'value' where 'n' is 0"),
    ],
)
def test_counts_that_cannot_be_name_their_rows(shell, name, value, n, data, told):
    also = [OF_COUNTED | {"data": data}]
    found = charted(shell, name, counts_of(value, n), also_followed=also)
    said = found.problems[FOLLOWED]
    assert told in said and "first rows: 5)" in said


def test_weeks_missing_in_the_middle(shell):
    found = charted(shell, "gap", counts_of(VALUE).drop(index=[10, 11, 12, 30]))
    assert not found.problems
    assert "2 gaps" in found.said["control_charts"]


def test_a_week_that_stands_twice_is_summed(shell):
    table = counts_of(VALUE)
    found = charted(shell, "twice", pd.concat([table, table.tail(3)]), only=())
    rows = pd.read_csv(found.shelf / "followed.csv")
    assert rows["n"].tail(4).tolist() == [50, 50, 100, 100]  # the last week is not over
    assert not rows.duplicated(["series", "period"]).any()


def test_a_log_without_one_outcome(shell):
    made = tables()
    made["operations"]["resolved"] = None
    found = carry_out(shell, "blank", made, study_of(made), only=(SUITS, FAIR, RAISED))
    assert {SUITS, FAIR, RAISED} <= set(found.missed)
    assert not found.said


# --- the day of the change, and where it came -----------------------------------------------------


@pytest.mark.parametrize("day", ["2025-01-06", "2025-09-12", "2026-07-07"])
def test_a_change_on_the_edge_of_the_data_or_beyond(ask, day):
    given = {"change_on": day, "study_of": {"treated": ["A", "B"], "change_on": day,
             "confidence": 0.95, "rng": np.random.default_rng(1)}}  # fmt: skip
    assert f"no common weeks on both sides of {day}" in ask(RAISED, **given)
    said = ask(STEPPED, **given)
    assert "No whole period lies after" in said or "nothing before it shows" in said
    if day < CHANGE:
        assert "the baseline has 0 periods" in ask(SUITS, **given)


def test_a_change_on_a_wednesday_leaves_its_week_out(ask):
    given = {"treated": ["A", "B"], "change_on": "2025-07-09", "confidence": 0.95}
    said = ask(RAISED, study_of={**given, "rng": np.random.default_rng(1)})
    assert "26 whole weeks before and 9 after" in said and "1 week left out" in said


@pytest.mark.parametrize(
    ("treated", "told"),
    [
        (["A", "B", "C", "D"], "no site without the change"),
        (["A", "Z"], "The site 'Z' has no whole week"),
        ([None], "The site 'None' has no whole week"),
        (["A", "A"], "Only one site with the change"),
    ],
)
def test_sites_that_cannot_be_compared(ask, treated, told):
    given = {"treated": treated, "change_on": CHANGE, "confidence": 0.95}
    assert told in ask(RAISED, study_of={**given, "rng": np.random.default_rng(1)})


def test_one_site_and_sites_without_common_weeks(shell):
    made = tables()
    log = made["operations"]
    odd = log["arrived"].dt.isocalendar().week % 2 == 1
    made["operations"] = log[log["site"].isin(["A", "B"]) == odd]
    found = carry_out(shell, "apart", made, study_of(made), only=EFFECTS)
    assert not found.problems
    assert all("no common weeks" in found.missed[question] for question in EFFECTS)
    made["operations"] = log.assign(site="A")
    study = study_of(made, treated=["A"])
    found = carry_out(shell, "one-site", made, study, only=(FAIR, RANKS, *EFFECTS))
    assert not found.problems and "1 unit with records" in found.missed[FAIR]
    assert all("no site without the change" in found.missed[question] for question in EFFECTS)


# --- what is followed besides ---------------------------------------------------------------------

ALSO = {"name": "s", "table": "complaints", "data": "count", "better": "lower"}
WRONG_KINDS = {
    **dict.fromkeys(("name", "table", "data", "better", "every"), (3, ["a"], {"a": 1}, True)),
    **dict.fromkeys(("measure", "of", "exposure", "definition"), (3, ["a"], True)),
    **dict.fromkeys(("unit", "owner", "reaction", "escalation"), (3, ["a"], True)),
    "where": ("x", ["category"], 3, {"category": None}, {"category": []}, {"category": {"a": 1}}),
    "target": ("low", ["a"], True, float("inf")),
    "ripens_d": ("x", -1, True, float("nan"), 1e30, 1e9),
    "escalate_after": (1.5, -2, "x", True, float("nan")),
}


@pytest.fixture
def follows(sound, ask):
    """Lay the series out anew; the cell has no question, so it is known by what it makes."""
    first = next(s for _, s, _ in sound.cells if "series = followed(" in s).splitlines()[0]
    who = next(s for _, s, _ in sound.cells if "who = answered_for" in s).splitlines()[0]
    return lambda also, **more: ask(first, who, also_followed=also, **more)


@pytest.mark.parametrize("key", list(WRONG_KINDS))
def test_a_series_with_a_setting_of_the_wrong_kind(follows, key):
    for value in WRONG_KINDS[key]:
        told = follows([{**ALSO, key: value}])
        assert "To mend" in told and "eries" in told and (key == "name" or "'s'" in told), value


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("complaints", "write it as names and values"),
        (None, "write it as names and values"),
        ({"name": "x"}, "has no setting 'table'"),
        (ALSO | {"nmae": 1}, "did you mean 'name'?"),
        (ALSO | {"data": "shares"}, "did you mean 'share'?"),
        (ALSO | {"name": "resolved"}, "Two series are called 'resolved'"),
        (ALSO | {"data": "share"}, "has no 'measure'"),
        (ALSO | {"data": "share", "measure": "note"}, "'note' holds 'said', no number"),
        (ALSO | {"data": "mean", "measure": "opened"}, "'opened' holds"),
        (ALSO | {"data": "mean", "measure": "cots"}, "did you mean 'cost'?"),
        (ALSO | {"data": "share", "measure": "cost"}, "is a share, and 'cost' holds"),
        (ALSO | {"data": "nps", "measure": "cost"}, "give answers from 0 to 10"),
        (ALSO | {"data": "share", "measure": "cost", "of": "note"}, "'note' holds 'said'"),
        (ALSO | {"data": "rate"}, "has no 'exposure'"),
        (ALSO | {"data": "rate", "exposure": "operation"}, "no table operation"),
        (ALSO | {"table": "nothing"}, "no table nothing"),
        (ALSO | {"where": {"categry": "x"}}, "did you mean 'category'?"),
        (ALSO | {"where": {"category": "z"}}, "Not followed: s (no record has category z)"),
        (ALSO | {"data": "time", "where": {"complaint": "R1"}}, "fewer than two events"),
    ],
)
def test_a_series_that_makes_no_sense(follows, entry, told):
    assert told in follows([entry])


def test_a_time_between_two_events_and_events_of_the_same_second(shell):
    made = tables()
    filed = made["complaints"]
    filed["category"] = filed["category"].mask(filed.index % 12 == 0, "rare")
    filed.loc[filed.index[filed["category"] == "rare"][:6], "opened"] = filed["opened"][0]
    also = [
        {**ALSO, "name": "two", "data": "time", "where": {"complaint": ["R1", "R2"]}},
        {**ALSO, "name": "same second", "data": "time", "where": {"category": "rare"}},
        {**ALSO, "name": "gap", "data": "gap", "where": {"category": "rare"}},
    ]
    found = carry_out(shell, "events", made, study_of(made, also_followed=also), only=CHARTS)
    assert not found.problems and "alerts" in found.said
    assert "two" in found.said["chart_choice"] or "two" in found.said["control_charts"]


@pytest.mark.parametrize(("day", "told"), [("2020-01-01", "not mature"), ("x", "'x' is no day")])
def test_a_day_of_maturity_that_leaves_nothing(follows, day, told):
    assert told in follows([], mature_until=day)


# --- parameters -----------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [0, 1, 2, -1])
def test_a_budget_of_false_alarms_that_is_no_chance(ask, budget):
    assert f"budget is {budget}" in ask(SUITS, alarm_budget=budget)


def test_a_tiny_budget_and_the_latest_periods(ask):
    assert "1 of 1 series can be charted" in ask(SUITS, alarm_budget=1e-9)
    assert "last is 0" in ask(LEFT, watched=0)
    assert "1 series charted" in ask(LEFT, watched=500)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("control.alarm_budget=ten", "where a float is due"),
        ("control.false_alarm_cost=100", "where a list is due"),
        ("control.watched=0", "give 1 or more"),
        ("control.treated=A", "where a list is due"),
        ("control.change_on=soon", "write days as"),
        ("control.decison=adopt", "did you mean 'decision'?"),
    ],
)
def test_a_parameter_that_is_caught_before_anything_runs(shell, sound, change, told):
    _, problems = check("sound", root=shell.root, changes=[change])
    assert any(told in str(each) for each in problems)


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ("x", "event 1 is 'x'"),
        ({}, "has no setting 'name'"),
        (EVENT | {"name": None}, "called None"),
        (EVENT | {"series": "resolvd"}, "did you mean 'resolved'?"),
        (EVENT | {"series": []}, "names no series"),
        (EVENT | {"from": "2025-13-40"}, "has no dates"),
        (EVENT | {"from": ""}, "has no dates"),
        (EVENT | {"from": None}, "has no dates"),
        (EVENT | {"to": "later"}, "has no dates"),
        (EVENT | {"to": "2025-01-01"}, "ends before it begins"),
        (EVENT | {"from": "1066-01-01"}, "outside the data"),
        (EVENT | {"from": "2026-01-01"}, "outside the data"),
        (EVENT | {"direction": "up"}, "has the direction 'up'"),
        (EVENT | {"dircetion": "better"}, "did you mean 'direction'?"),
    ],
)
def test_an_event_that_makes_no_sense(ask, event, told):
    assert told in ask(PAST, events=[event])


def test_an_event_that_stands_twice(ask):
    assert "stands twice" in ask(PAST, events=[EVENT, EVENT])


@pytest.mark.parametrize(
    ("false", "late", "currency", "told"),
    [
        ([100], [1, 2, 3], "EUR", "false_alarm_cost is [100]"),
        ([1, 2, 3], [], "EUR", "only one is given"),
        ([-1, 2, 3], [1, 2, 3], "EUR", "give 0 or more"),
        ([1, 2, 3], [1, 2, 3], "", "Money has no currency"),
        (["a", "b", "c"], [1, 2, 3], "EUR", "give one number, or"),
        ([3, 2, 1], [1, 2, 3], "EUR", "in this order"),
        ([1e300] * 3, [1, 2, 3], "EUR", "give numbers below"),
        ([1, 2, 3], [None] * 3, "EUR", "delay_cost is"),
    ],
)
def test_costs_that_make_no_sense(ask, false, late, currency, told):
    given = {"events": [EVENT], "false_alarm_cost": false, "delay_cost": late}
    assert told in ask(PAST, currency=currency, **given)
    if late:
        assert told in ask(CHEAPEST, currency=currency, **given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"streams_by": ["zzz"]}, "no column 'zzz'"),
        ({"streams_by": [None]}, "no column None"),
        ({"streams_by": ["category", "category"]}, "name each column once"),
        ({"renamed": {"x": ["y"]}}, "is said to be ['y'] now"),
        ({"renamed": {"x": None}}, "is said to be None now"),
        ({"renamed": {"x": "x"}}, "Of 2 streams"),
        ({"renamed": {"x": "y", "y": "x"}}, "Of 2 streams"),
        ({"renamed": {"x": "y"}}, "1 stream"),
        ({"stream_loss": "zzz"}, "no column 'zzz'"),
        ({"stream_loss": "category"}, "does not hold numbers"),
        ({"stream_loss": "cost"}, "Of 2 streams"),
        ({"streams_by": ["complaint"]}, "stream"),
        ({"mature_until": "2020-01-01"}, "no record in a mature week"),
    ],
)
def test_streams_that_make_no_sense(ask, given, told):
    assert told in ask(STREAMS, **{"streams_by": ["category"], **given})


def test_a_loss_that_is_no_money(ask):
    assert "watched" in ask(STREAMS, "%%needs crowded", NOW, currency="", stream_loss="cost")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"mix": ["zzz"]}, "no column 'zzz'"),
        ({"mix": ["wait_s"]}, "which the service brings about itself"),
        ({"mix": ["agent"]}, "which the service brings about itself"),
        ({"mix": ["complained"]}, "which the service brings about itself"),
        ({"mix": ["contact"]}, "nearly every record has its own value"),
        ({"mix": ["arrived"]}, "nearly every record has its own value"),
        ({"mix": ["channel", "channel"]}, "twice"),
        ({"compared": "zzz"}, "no column 'zzz'"),
        ({"compared": "agent"}, "should hold true and false, and holds"),
        ({"compared": "wait_s"}, "should hold true and false, and holds"),
        ({"compared_better": "up"}, "better is 'up'"),
    ],
)
def test_a_mix_and_what_is_compared(ask, given, told):
    assert told in ask(MIX, **given)
    if "mix" not in given:
        assert told in ask(FAIR, **given)


def test_who_is_compared(ask, sound):
    assert "no column 'zzz'" in ask(FAIR, compared_by="zzz")
    assert "no names of units" in ask(FAIR, compared_by="wait_s")
    assert "0 units of at least 5" in ask(FAIR, compared_by="contact")
    assert "no column 'zzz'" in ask(FAIR, compared_within="zzz")
    tables = dict(sound.names["tables"])
    log = tables["operations"]
    tables["operations"] = log.assign(agent=log["agent"].mask(log.index % 5 == 0))
    assert "of 12 agents" in ask(FAIR, compared_by="agent", tables=tables)
    tables["operations"] = log.assign(resolved=1)
    assert "Not examined" in ask(FAIR, tables=tables)


# --- ledgers --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frozen(shell, sound):
    """The first limits of the sound study as its ledger holds them, and where that lies."""
    places = {"root": shell.root, "out": shell.root / "out"}
    path = places["out"] / "sound" / "ledger" / "limits.csv"
    path.mkdir(parents=True)
    with pytest.raises(Problem, match="that no folder is called"):
        freeze("sound", **places, who="Ana", why="first")
    path.rmdir()
    with pytest.raises(Problem, match="who is blank"):
        freeze("sound", **places, who=" ", why="first")
    assert freeze("sound", **places, who="A\nna\x1b[31m", why=FORMULA)[0].rows == 1
    assert freeze("sound", **places, who="Bo", why="again")[0].rows == 0
    rows = ledger.read(path)
    path.unlink()
    return SimpleNamespace(path=path, rows=rows)


@pytest.fixture
def with_limits(ask, frozen):
    """Ask again with these rows in the ledger of limits."""

    def asks(rows, *questions):
        frozen.path.unlink(missing_ok=True)
        ledger.append(frozen.path, rows)
        return ask(*questions)

    yield asks
    frozen.path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": "zz"}, "kind 'zz'"),
        (
            {"kind": "c", "data": "count", "sigma_method": "counting"},
            "are of data of the kind 'count'",
        ),
        ({"rules": "beyond the limts"}, "is no rule for signals"),
        ({"centre": "much"}, "centre is 'much'"),
        ({"centre": 2.0}, "centre 2"),
        ({"spread": -1.0}, "spread -1"),
        ({"sigmas": "inf"}, "sigmas inf"),
        ({"valid_from": "soon"}, "no date: 'soon'"),
        ({"valid_from": ""}, "that is no date"),
        ({"baseline_periods": "many"}, "baseline_periods is 'many'"),
        ({"baseline_from": "x"}, "the baseline has the day 'x'"),
        ({"sigma_method": "zzz"}, "'zzz' is unknown"),
    ],
)
def test_limits_that_somebody_wrote_anew_and_sealed(with_limits, frozen, change, told):
    assert told in with_limits(frozen.rows.assign(**change), LEFT)


def test_limits_of_a_series_that_is_gone_and_from_the_future(with_limits, frozen):
    for change in ({"series": "gone"}, {"valid_from": "2099-01-01"}):
        said = with_limits(frozen.rows.assign(**change), LEFT, WATCHES)
        assert "rest on the baseline alone" in said and "in force for 0" in said


def test_limits_that_stand_twice_the_last_counts(with_limits, frozen, shell):
    said = with_limits(pd.concat([frozen.rows, frozen.rows.assign(centre=0.5)]), LEFT)
    assert "those of the ledger" in said
    assert shell.shell.user_ns["charts"].table["centre"].iloc[-1] == 0.5


def test_ledgers_edited_by_hand(ask, frozen):
    ledger.append(frozen.path, frozen.rows)
    text = frozen.path.read_text(encoding="utf-8")
    frozen.path.write_text(text.replace("resolved", "solved"), encoding="utf-8")
    told = ask(LEFT)
    assert "line 2 does not stand as it was written" in told and "\x1b" not in told
    frozen.path.write_bytes(b"")
    assert "is no ledger" in ask(LEFT)
    frozen.path.unlink()


CYCLE = {"study": "frozen", "cycle": 1, "option": "train", "ctq": "", "target": np.nan,
         "change_on": CHANGE, "treated": "A; B", "measure": "wait", "unit": "s", "predicted": -10.0,
         "predicted_low": -13.0, "predicted_high": -7.0, "predicted_confidence": 0.9,
         "realised": -8.0, "realised_low": -12.0, "realised_high": -4.0, "confidence": 0.95,
         "inside": "yes", "verdict": "v", "ladder": "l", "note": "", "decision": "adopt",
         "decided_by": "Ana", "lessons": "none", "next_question": "why"}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"decision": "adpot"},
        {"cycle": "two"},
        {"predicted": "much"},
        {"predicted_low": 5.0},
        {"confidence": 7.0},
        {"measure": ""},
        {"inside": "perhaps"},
        {"option": SCRIPT, "lessons": FORMULA, "next_question": LONG, "decided_by": LINES},
        {"study": ""},
    ],
)
def test_a_ledger_of_cycles_that_somebody_wrote_anew(shell, change):
    assert set(CYCLE) == set(OF_CYCLES)
    made = {"counted": counts_of(VALUE)}
    path = shell.root / "out" / "cycled" / "ledger" / "cycles.csv"
    path.unlink(missing_ok=True)
    ledger.append(path, pd.DataFrame([{**CYCLE, **change}]))
    found = carry_out(shell, "cycled", made, study_of(made), (EARLIER,), phase="define")
    told = found.problems.get(EARLIER) or found.missed.get(EARLIER) or found.said["earlier_cycles"]
    assert "train" in told or "To mend" in told or SCRIPT[:5] in told
    path.unlink()


# --- hostile names --------------------------------------------------------------------------------

NAMES = (SCRIPT, FORMULA, MATHS, LONG, LINES, UNICODE)


@pytest.fixture(scope="module")
def hostile(shell):
    """Everything that a person or a system can name is named with ill intent."""
    made = tables()
    sites = dict(zip("ABCD", (SCRIPT, FORMULA, MATHS, UNICODE), strict=True))
    for table in made.values():
        table["site"] = table["site"].map(sites)
    made["complaints"]["category"] = made["complaints"]["category"].map({"x": LONG, "y": LINES})
    made["operations"]["channel"] = IMAGE
    people = {"owner": FORMULA, "reaction": IMAGE, "escalation": BREAKOUT, "definition": SCRIPT}
    also = [{**ALSO, **people, "name": name} for name in (SCRIPT, LONG + "a", UNICODE + LINES)]
    study = study_of(
        made, currency="<u>$</u>", also_followed=also, treated=[SCRIPT, FORMULA],
        streams_by=["site", "category"], stream_loss="cost", decision="adopt", decided_by=FORMULA,
        lessons=IMAGE, next_question=BREAKOUT,
        events=[{"name": MATHS, "series": SCRIPT, "from": CHANGE}],
    )  # fmt: skip
    some = (*CHARTS, PAST, STREAMS, FAIR, RANKS, *EFFECTS, STEPPED)
    found = carry_out(shell, "hostile", made, study, some)
    assert not found.problems
    return found


def test_hostile_names_are_answered(hostile):
    kept = {"followed", "control_charts", "control_plan", "replay", "streams", "alerts"}
    assert kept <= set(hostile.said)
    for name, sentence in hostile.said.items():
        first = sentence.splitlines()[0]
        assert len(first) < 600 and LONG not in first, name


def test_no_hostile_name_runs_in_a_spreadsheet_or_a_picture(hostile):
    for path in hostile.shelf.glob("*.csv"):
        assert not formulas_in(path), path
    for path in hostile.shelf.glob("*.svg"):
        assert not intruders_in(path), path


def test_no_hostile_name_becomes_markup_in_the_report(hostile):
    page = render(hostile.shelf.parent, head=HEAD)
    found = Markup(page)
    assert not found.elements & {"script", "u", "iframe", "object"} and not found.live
    assert page.count("<h1") == 1 and "&lt;script&gt;document.title=" in page


def test_the_terminal_stays_clean(shell, hostile, capsys):
    table = alerts("hostile", out=shell.root / "out").assign(state="worse", reaction="\x1b[31m x")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sqm.freeze.alerts", lambda study, out: table)
        assert cli._tell_alerts("hostile", shell.root / "out") == cli.ALARM
    said = capsys.readouterr().err
    assert "\x1b" not in said and "\u202e" not in said
    assert len(said.splitlines()) == len(table)


def test_a_watch_before_define_has_run(project, capsys):
    assert cli.main(["watch", "tiny"]) != cli.DONE
    said = capsys.readouterr().err
    assert "Traceback" not in said and said.strip()
