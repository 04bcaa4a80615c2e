"""Improve as it is, on bad logs, bad parameters and a ledger that somebody edited."""

import json
import shutil
from dataclasses import dataclass
from itertools import product
from types import SimpleNamespace

import matplotlib as mpl
import nbformat
import numpy as np
import pandas as pd
import pytest
from four_customers import DRIVERS
from hostile_output import formulas_in, intruders_in
from IPython.utils.capture import capture_output
from notebook_shell import notebook_shell
from small_service import make_log
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

from sqm.checks import Problem, Refusal
from sqm.execute import LEFT_OUT
from sqm.finding import Finding
from sqm.methods.ctq import ctq_tree
from sqm.methods.forecast import promised as promised_last
from sqm.parameters import load
from sqm.places import notebook
from sqm.report import render
from sqm.shelf import keep

DUTY, LEARNT = (
    "Who was on duty?",
    "What does the log say about arrivals, service times and patience?",
)
GATE = "Does the queue foretell weeks that it has not seen?"
CHANGE, TARGET = "What would each improvement change?", "How likely is each target?"
APART = "Where does the uncertainty come from?"
EXPLORE = "What happens when agents, handling time or demand move?"
COST = "What does poor quality cost, and what would it cost then?"
PAYS, CHOICE = "Does it pay, and how soon?", "Which option should be chosen?"
PILOT, MIX = "Is a pilot worth its cost?", "What is the best mix under the budget?"
PLAN = "How many agents does each half-hour need?"
COUNTED = "How many agents would the counted contacts need?"
FAIL, TRIAL = "How may the change itself fail?", "How long must a trial run?"
ORDER, TRIED = "In which order should the sites change?", "What did each of the tried changes do?"
FACTORS = "How should several changes be tried at once?"
SEEN, PROMISED = (
    "What should be seen where the plan is carried out?",
    "What is promised, and for good?",
)
KEPT = "Did the prediction come true?"  # Control's
LONG, LINES = "L" * 500, "a\nb\r\nc"
QUEUE = (DUTY, LEARNT, GATE)
OF_GATE = (CHANGE, TARGET, EXPLORE, COST, PAYS, CHOICE, MIX, PLAN, SEEN, PROMISED)


# --- carrying it out ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Earlier(Finding):
    """What an earlier phase kept."""

    usable: bool = True
    mean: float = 40.0
    low: float = 30.0
    high: float = 50.0
    confidence: float = 0.95

    def sentence(self):
        return "It is as it should be."

    def plot(self, ax=None):
        raise NotImplementedError


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """One shell for all; each study begins in an empty namespace."""
    with notebook_shell(new_project(tmp_path_factory.mktemp("improve"))) as made:
        yield made


def cells_of(shell, phase="improve"):
    """Question and cell; what is kept is drawn there too, so pictures are left out."""
    for cell in nbformat.read(notebook(phase, root=shell.root), as_version=4).cells:
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type == "code" and not LEFT_OUT & tags and ".plot();" not in cell.source:
            first = cell.source.splitlines()[0]
            question = first.partition(": ")[2] if first.startswith("%%needs") else ""
            yield question, cell.source, tags


def run_cell(shell, source):
    """A Problem is handed back; any other exception fails the test, and so does a warning."""
    with capture_output() as shown:
        ran = shell.shell.run_cell(source)
    mpl.pyplot.close("all")
    wrong = ran.error_in_exec or ran.error_before_exec
    if wrong is not None:
        assert isinstance(wrong, Problem) and not isinstance(wrong, Refusal), f"{wrong!r}: {source}"
        assert wrong.what and wrong.mend
        return str(wrong), ""
    assert not shown.stderr, f"{shown.stderr} in {source}"
    return "", shown.stdout


def carry_out(shell, name, made, study, only=None):
    """Run Improve on tables, of its questions only some; earlier phases' findings lie ready."""
    write(shell.root, name, made, study)
    shelf = shell.root / "out" / name / "improve"
    for file in shelf.glob("*.*"):
        file.unlink()
    put_earlier(shelf.parent)
    shell.patch.setenv("SQM_SHELF", str(shelf))
    shell.shell.reset(new_session=False)
    given = {**load(name, root=shell.root).sections["improve"], "study": name}
    found = SimpleNamespace(said={}, missed={}, problems={}, shelf=shelf)
    for question, source, tags in cells_of(shell):
        if question and only is not None and question not in only:
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
    assert not any("Error" in reason or "nan" in reason.split() for reason in found.missed.values())
    return found


def put_earlier(place):
    here = {"answer": "", "settings": {}}
    one = pd.DataFrame({"a": [1]})
    keep(ctq_tree(CTQS), "ctq_tree", shelf=place / "define", phase="define", **here)
    keep(Earlier(one), "complaint_cost", shelf=place / "define", phase="define", **here)
    keep(Earlier(one), "driver_check", shelf=place / "analyse", phase="analyse", **here)
    keep(Earlier(DRIVERS), "coefficients", shelf=place / "analyse", phase="analyse", **here)


@pytest.fixture(scope="module")
def sound(shell):
    """A study with nothing wrong, carried out once: its namespace, its shelf and its cells."""
    made = {**tables(), "counts": counts(), "trial": trial()}
    found = carry_out(shell, "sound", made, study_of(made, **EVERYTHING), only={*SOUND})
    assert not found.problems
    return SimpleNamespace(
        names=dict(shell.shell.user_ns), found=found, cells=list(cells_of(shell)), shell=shell
    )


SOUND = (*QUEUE, CHANGE, COST, PAYS, FACTORS, TRIED, TRIAL)


@pytest.fixture
def ask(sound):
    """Ask one question of the sound study again, with other parameters: what is wrong, or said."""
    names, here = sound.names, sound.names["here"]

    def asks(question, *, currency="EUR", **given):
        here._not_examined.clear()
        here.currency = currency
        sound.shell.shell.user_ns.update({**names, **given})
        sound.shell.shell.user_ns["rng"] = np.random.default_rng(1)
        said = ""
        for asked, source, _ in sound.cells:
            if asked == question:
                problem, said = run_cell(sound.shell, source)
                if problem:
                    return problem
        return " ".join(said.split())

    yield asks
    here.currency = "EUR"
    for name in set(sound.shell.shell.user_ns) - set(names):
        del sound.shell.shell.user_ns[name]
    sound.shell.shell.user_ns.update(names)


# --- a small service ------------------------------------------------------------------------------

FIELDS = ("name", "table", "measure", "direction", "limit")
CTQS = [
    {**dict(zip(FIELDS, each, strict=True)), "need": "n", "driver": "d", "definition": "d",
     "unit": "u", "target": 0.3}
    for each in (
        ("answered in time", "operations", "wait_s", "at most", 300),
        ("resolved", "operations", "resolved", "at least", 1),
        ("no complaint", "operations", "complained", "at most", 0),
    )
]  # fmt: skip
TRAIN = {"name": "train", "service_factor": 0.9, "sites": ["N1"], "cost_per_year": 500}
HIRE = {"name": "hire", "agents": {"add": 1, "hours": [9, 11]}, "cost_per_year": [900, 1000, 1200]}
MODE = {"name": "a", "severity": [1, 2, 3], "occurrence": 2, "detection": 3, "share": 0.2,
        "loss": [1, 2, 3]}  # fmt: skip
LINE = {"name": "c", "class": "external failure", "per": "complaint", "cost": 80}
FACTOR = {"script": ["old", "new"], "tool": ["x", "y"], "desk": ["p", "q"]}
ASSUMED = {"service_s": 300, "patience_s": 400}
A_PILOT = {"weeks": [4], "share": 0.25, "cost_per_week": 10}
A_TRIAL = {"measure": "resolved", "effect": 0.05, "treated": 1, "control": 1}
EVERYTHING = {
    "quality_costs": [LINE], "pilot": A_PILOT, "failure_modes": [MODE], "trial": A_TRIAL,
    "factors": FACTOR, "assumed": ASSUMED, "budget": 5000,
    "rollout": {"steps": 2, "first_day": "2025-09-01"},
}  # fmt: skip


def tables(weeks=12, **more):
    log, staffing = make_log(weeks=weeks, per_day=(40, 60), **more)
    return {"operations": log, "staffing": staffing}


def counts():
    times = pd.date_range("2025-03-03 09:00", "2025-04-04 12:30", freq="30min")
    times = times[(times.hour >= 9) & (times.hour < 13) & (times.day_of_week < 5)]
    number = np.random.default_rng(1).poisson(20, len(times))
    return pd.DataFrame({"arrived": times, "contacts": number})


def trial():
    runs = pd.DataFrame(list(product(*FACTOR.values())), columns=list(FACTOR))
    return runs.assign(run=range(1, 9), result=np.random.default_rng(1).normal(20, 1, 8).round(2))


def study_of(made, *, currency="EUR", calendar=None, **improve):
    """What a study says of these tables, every column under its own name."""
    open_ = {"opens": 9, "closes": 13, "days": ["Mon", "Tue", "Wed", "Thu", "Fri"]}
    data = {"time_zone": "Europe/Madrid", "calendar": {**open_, **(calendar or {})}}
    data |= {"currency": currency} if currency else {}
    for name, table in made.items():
        data[name] = {"roles": {column: column for column in table}}
    if "trial" in made:
        types = {f: {"column": f, "type": "category"} for f in made["trial"].columns[:3]}
        data["trial"]["roles"] |= types
    quick = {"draws": 40, "weeks": 2, "planned": "train", "scenarios": [TRAIN, HIRE]}
    return {"data": data, "improve": quick | improve}


# --- logs and rosters -----------------------------------------------------------------------------


def queue_of(shell, name, change, only=(*QUEUE, CHANGE, PROMISED), made=None, **more):
    made = made or tables()
    change(made)
    return carry_out(shell, name, made, study_of(made, **more), only={*only})


def test_more_work_than_agents_and_nobody_leaves(shell):
    def busy(made):
        log = made["operations"]
        log["abandoned"], log["resolved"] = False, log["resolved"].fillna(True)
        log["service_s"] = log["service_s"].fillna(300) * 5

    found = queue_of(shell, "busy", busy)
    assert not found.problems and not found.said and PROMISED in found.missed
    for question in (*QUEUE, CHANGE):
        assert "nobody leaves: such a queue grows without end" in found.missed[question]


def test_nobody_on_duty_in_an_hour_with_customers(shell):
    def nobody(made):
        roster = made["staffing"]
        roster["agents"] = roster["agents"].mask(roster["hour"].eq(10) & roster["site"].eq("N1"), 0)

    found = queue_of(shell, "nobody", nobody, only=(DUTY,))
    assert "nobody on duty in hours in which" in found.problems[DUTY]
    assert "first: N1, 2025-03-03, 10 o'clock" in found.problems[DUTY]


def test_overlapping_shifts_and_parts_of_agents(shell):
    def doubled(made):
        made["staffing"] = pd.concat([made["staffing"]] * 2, ignore_index=True)

    def part(made):
        made["staffing"]["agents"] = (
            made["staffing"]["agents"].astype(float).mask(made["staffing"].index == 4, 1.5)
        )

    found = queue_of(shell, "doubled", doubled, only=(DUTY,))
    assert "name a site, date and hour again" in found.problems[DUTY]
    found = queue_of(shell, "part", part, only=(DUTY,))
    assert "part of an agent (first rows: 4; 1.5)" in found.problems[DUTY]


def test_impossible_durations_are_set_aside_and_counted(shell):
    def wrong(made):
        log = made["operations"]
        served = log.index[log["abandoned"].eq(False)]
        left = log.index[log["abandoned"].eq(True)]
        log.loc[served[:5], "service_s"] = -5
        log.loc[served[5:9], "service_s"] = np.nan
        log.loc[served[9:12], "wait_s"] = np.nan
        log.loc[served[12:14], "wait_s"] = -9
        log.loc[left[:6], "wait_s"] = -1

    found = queue_of(shell, "impossible", wrong, only=QUEUE)
    assert not found.problems and not set(found.missed) & {*QUEUE}
    for told in ("5 served in no time or less", "4 served without a service time",
                 "3 without a wait", "2 served before they came (negative wait)",
                 "6 that hung up before they came (negative wait)"):  # fmt: skip
        assert told in found.said["calibration"], told


@pytest.mark.parametrize("column", ["service_s", "wait_s"])
def test_a_column_without_one_usable_duration(shell, column):
    def blank(made):
        made["operations"][column] = -1.0

    found = queue_of(shell, f"blank-{column[:4]}", blank)
    assert not found.problems and not found.said
    assert {*QUEUE, CHANGE, PROMISED} <= set(found.missed)


def test_one_day_of_data(shell):
    def one_day(made):
        log = made["operations"]
        made["operations"] = log[log["arrived"] < "2025-03-04"]

    found = queue_of(shell, "one-day", one_day)
    assert not found.problems and not found.said
    assert "A queue cannot be learnt from 1 open day" in found.missed[DUTY]
    assert {*QUEUE, CHANGE, PROMISED} <= set(found.missed)


def test_a_night_and_a_day_without_data(shell):
    def dark(made):
        log = made["operations"]
        made["operations"] = log[log["arrived"].dt.strftime("%Y-%m-%d") != "2025-03-12"]

    round_the_clock = {"opens": 0, "closes": 24}
    found = queue_of(shell, "night", dark, only=QUEUE, calendar=round_the_clock)
    assert not found.problems and "gate" in found.said
    for told in ("No contact ever came in 20 opening hours", "On 1 staffed date no contact came",
                 "Each day is simulated from midnight"):  # fmt: skip
        assert told in found.said["calibration"], told


# --- who was on duty ------------------------------------------------------------------------------


def without_roster(made):
    del made["staffing"]


def test_no_roster_and_no_guess_leaves_the_queue_unexamined(shell):
    found = queue_of(shell, "no-roster", without_roster)
    assert not found.problems and set(found.said) == {"agents_on_duty"}
    assert "no table 'staffing'" in found.missed[GATE] and CHANGE in found.missed


def test_a_guess_stands_in_for_the_roster(shell):
    found = queue_of(shell, "guess", without_roster, only=QUEUE, guess="busy at once")
    assert not found.problems
    assert {"agents_on_duty", "calibration", "gate"} <= set(found.said)


def test_a_guess_that_is_misspelt_or_that_the_log_cannot_bear(shell):
    found = queue_of(shell, "misspelt", without_roster, only=(DUTY,), guess="busy at one")
    assert "did you mean 'busy at once'?" in found.problems[DUTY]
    found = queue_of(shell, "no-agent", without_roster, only=(DUTY,), guess="had a contact")
    assert "no column 'agent'" in found.missed[DUTY]


# --- the gate -------------------------------------------------------------------------------------


def test_a_shut_gate_locks_all_that_follows(shell):
    made = tables(shift=8)
    study = study_of(made, **EVERYTHING)
    found = carry_out(shell, "shut", made, study, only={*QUEUE, *OF_GATE, PILOT, FAIL})
    assert not found.problems
    assert set(found.said) == {"agents_on_duty", "calibration", "gate", "failure_modes"}
    assert "What failed: contacts a day" in found.said["gate"]
    for question in (*OF_GATE, PILOT):
        reason = found.missed[question]
        assert reason.startswith("The gate stays shut, no what-if may be shown (not foretold")
        assert "\n" not in reason and len(reason) < 300
    assert not (shell.root / "out" / "shut" / "ledger").exists()


# --- scenarios ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lever", ["agents", "service_factor", "resolution_points", "demand", "routing", "price"]
)
def test_a_lever_of_the_wrong_kind(ask, lever):
    for value in ("ten", [1, 2], [3, 2, 1], {"a": 1}, True, None, float("nan")):
        told = ask(CHANGE, scenarios=[{"name": "x", lever: value}])
        assert "Scenario 'x'" in told and lever in told and "To mend" in told, value


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"agnets": {"add": 1}}, "did you mean 'agents'?"),
        ({"demand": 1.1, "sites": ["N9"]}, "no site 'N9'"),
        ({"demand": 1.1, "sites": "N1"}, "give a list"),
        ({"demand": {"weeks": 6}}, "demand has no factor"),
        ({"demand": {"factor": 1.1, "hours": [9, 99]}}, "hours is [9, 99]"),
        ({"routing": {"priority": ["bil"]}}, "did you mean 'bill'?"),
        ({"routing": {"call_back": 2}}, "share from 0 to 1"),
        ({"routing": {"skills": 1}}, "unknown part 'skills'"),
        ({"agents": {"add": 1.5}}, "write agents: {add: 1"),
        ({"agents": {"add": 10**9}}, "give 1,000 or fewer"),
        ({"agents": {"add": -5}}, "leaves hours without any agent"),
        ({"price": {"change": 0.05}}, "price has no elasticity"),
        ({"price": {"change": -0.9999, "elasticity": -5}}, "multiply demand by 1e+20"),
        ({"demand": 1.1, "cost_per_year": "1000 EUR"}, "give one number"),
        ({"demand": 1.1, "investment": 1e300}, "give numbers below 1e+12"),
        ({"demand": 1.1, "not_with": ["y"]}, "not_with names 'y'"),
        ({}, "changes nothing"),
        ({"name": None, "demand": 1.1}, "has no name"),
    ],
)
def test_a_scenario_that_makes_no_sense(ask, given, told):
    assert told in ask(CHANGE, scenarios=[{"name": "x", **given}])


def test_names_of_scenarios(ask):
    for wrong in (["train"], [None], [{}], [{"name": ""}]):
        assert "has no name" in ask(CHANGE, scenarios=wrong)
    assert "called 'x'" in ask(CHANGE, scenarios=[{"name": "x", "demand": 1.1}] * 2)
    assert "called 'as is'" in ask(CHANGE, scenarios=[{"name": "as is", "demand": 1.1}])
    three = [{"name": n, "service_factor": 0.9} for n in ("a + b", "a", "b")]
    assert "'a + b' names a scenario, or a combination" in ask(CHANGE, scenarios=three)
    many = [{"name": f"s{i}", "service_factor": 0.9} for i in range(40)]
    assert "more combinations than the 64" in ask(CHANGE, scenarios=many, combinations=99)


def test_combinations_draws_and_weeks(ask):
    assert "combination" not in ask(CHANGE, combinations=0)
    assert "combination" in ask(CHANGE, combinations=99)
    assert "combinations is -1" in ask(CHANGE, combinations=-1)
    assert "give two draws or more" in ask(CHANGE, draws=1, known=None)
    assert "give two weeks or more" in ask(CHANGE, weeks=1, known=None)


@pytest.mark.parametrize("planned", ["trian", "as is", "train + hire"])
def test_a_plan_that_names_no_scenario(ask, planned):
    assert f"planned is '{planned}'" in ask(SEEN, planned=planned)


def test_a_plan_that_cannot_go_with_another_is_foreseen_alone(ask):
    pair = [{**TRAIN, "not_with": ["hire"]}, HIRE]
    assert "train: -" in ask(SEEN, scenarios=pair)


def test_horizon_and_service_level(ask):
    for weeks in (0, -1, float("nan"), "ten", None):
        assert "give a number of weeks above 0" in ask(APART, horizon_weeks=weeks)
    assert "answered_within_s is -1" in ask(PLAN, answered_within_s=-1)
    for share in (0, 1, 1.5):
        assert f"is {share}" in ask(PLAN, answered_share=share)
        assert f"is {share}" in ask(PLAN, answered_chance=share)


# --- money ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", [CHANGE, COST, PAYS, FAIL])
def test_money_without_a_currency(ask, question):
    assert "Money has no currency" in ask(question, currency="")


def test_failure_modes_without_losses_need_no_currency(ask):
    free = {key: value for key, value in MODE.items() if key not in ("share", "loss")}
    assert "Worst by severity: 'a'" in ask(FAIL, currency="", failure_modes=[free])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"clas": "x"}, "did you mean 'class'?"),
        ({"class": "preventoin"}, "did you mean 'prevention'?"),
        ({"per": "complaints"}, "did you mean 'complaint'?"),
        ({"per_year": 3}, "either an amount a year or an amount per unit"),
        ({"cost": "measurd"}, "give one number"),
        ({"cost": -1}, "money of 0 or more"),
        ({"share": 2}, "share between 0 and 1"),
        ({"name": ""}, "has no name"),
    ],
)
def test_a_line_of_cost_that_makes_no_sense(ask, change, told):
    assert told in ask(COST, quality_costs=[{**LINE, **change}])


def test_what_stands_around_the_lines_of_cost(ask):
    assert "called 'c'" in ask(COST, quality_costs=[LINE, LINE])
    for sales in ("ten", [1, 2], [3, 2, 1], -1):
        assert "To mend" in ask(COST, sales=sales)
    for rate in ("ten", [0.1], -0.5, 1.5):
        assert "discount_rate is" in ask(PAYS, discount_rate=rate)
    for years in (0, -1, 1.5, 1000):
        assert "years is" in ask(PAYS, years=years)


# --- failure modes, trials and counts -------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sevrity": 3}, "did you mean 'severity'?"),
        ({"severity": "ten"}, "give one number"),
        ({"severity": 11}, "a score from 1 to 10"),
        ({"severity": None}, "has no severity"),
        ({"share": 2}, "probability from 0 to 1"),
        ({"share": None}, "only one of `share` and `loss`"),
        ({"loss": -5}, "0 or more"),
        ({"after": [1, 2]}, "write after:"),
        ({"after": {"occurence": 3}}, "did you mean 'occurrence'?"),
        ({"name": " "}, "has no name"),
    ],
)
def test_a_failure_mode_that_makes_no_sense(ask, change, told):
    assert told in ask(FAIL, failure_modes=[{**MODE, **change}])


@pytest.mark.parametrize(
    ("question", "given", "told"),
    [
        (TRIAL, {"trial": {**A_TRIAL, "week_before": 4}}, "did you mean 'weeks_before'?"),
        (TRIAL, {"trial": {"measure": "resolved"}}, "trial has no setting 'effect'"),
        (TRIAL, {"trial": {**A_TRIAL, "measure": "nope"}}, "no column 'nope'"),
        (TRIAL, {"trial": {**A_TRIAL, "effect": 0}}, "effect to be seen is 0"),
        (TRIAL, {"trial": {**A_TRIAL, "treated": 0}}, "treated is 0"),
        (ORDER, {"rollout": {"step": 2}}, "did you mean 'steps'?"),
        (ORDER, {"rollout": {"steps": 2}}, "no setting 'first_day'"),
        (FACTORS, {"factors": {"script": ["a", "b"]}}, "Fewer than two factors"),
        (FACTORS, {"factors": {**FACTOR, "script": "ab"}}, "script"),
        (FACTORS, {"factors": {**FACTOR, "script": ["old", "old"]}}, "two that differ"),
        (FACTORS, {"trial_runs": 3}, "power of two"),
        (FACTORS, {"trial_runs": 64}, "all combinations of 3 factors are 8"),
        (TRIED, {"factors": {**FACTOR, "script": ["old", "newer"]}}, "at another level"),
        (TRIED, {"factors": {**FACTOR, "colour": ["a", "b"]}}, "no column 'colour'"),
        (COUNTED, {"assumed": {**ASSUMED, "service": 3}}, "did you mean 'service_s'?"),
        (COUNTED, {"assumed": {"service_s": 300}}, "no setting 'patience_s'"),
        (COUNTED, {"assumed": {**ASSUMED, "service_s": 0}}, "seconds above zero"),
        (COUNTED, {"assumed": {**ASSUMED, "service_s": 1e9}}, "at most a day's"),
        (COUNTED, {"assumed": {**ASSUMED, "patience_s": "long"}}, "give one number"),
    ],
)
def test_settings_that_make_no_sense(ask, question, given, told):
    assert told in ask(question, **given)


@pytest.mark.parametrize("name", ["pilot", "trial", "rollout", "assumed"])
def test_settings_that_are_no_settings(ask, name):
    question = {"pilot": PILOT, "trial": TRIAL, "rollout": ORDER, "assumed": COUNTED}[name]
    given = {"choice": 1, "panel": 1} if name == "pilot" else {}
    assert f"{name} is 5." in ask(question, **{name: 5}, **given)


COUNTS = {
    "negative": (lambda t: t.assign(contacts=t["contacts"].mask(t.index == 3, -4)), "row"),
    "blank": (lambda t: t.assign(contacts=t["contacts"].mask(t.index == 3)), "missing in 1 rows"),
    "text": (lambda t: t.assign(contacts=t["contacts"].astype(str).mask(t.index == 3, "many")),
             "no numbers (first rows: 3; values: ['many'])"),
    "twice": (lambda t: pd.concat([t, t.head(3)], ignore_index=True), "3 stretches twice"),
    "one-day": (lambda t: t.head(8), "1 open days of counts"),
    "nobody": (lambda t: t.assign(contacts=0), "Nobody came"),
    "millions": (lambda t: t.assign(contacts=t["contacts"].mask(t.index == 3, 10**9)),
                 "contacts a week are more than"),
    "gaps": (lambda t: t.drop(index=range(5, 40)), ""),
}  # fmt: skip


@pytest.mark.parametrize("fault", COUNTS)
def test_counts_gone_wrong(shell, fault):
    change, told = COUNTS[fault]
    made = {"counts": change(counts())}
    study = study_of(made, assumed=ASSUMED)
    found = carry_out(shell, f"counts-{fault}", made, study, only={COUNTED})
    if told:
        assert told in (found.problems | found.missed)[COUNTED]
    else:
        assert "280" not in found.said["staffing_from_counts"]
        assert f"{len(made['counts'])} counts" in found.said["staffing_from_counts"]


# --- the ledger of forecasts ----------------------------------------------------------------------

FROZEN = (*QUEUE, CHANGE, SEEN, PROMISED)


@pytest.fixture(scope="module")
def promised(shell):
    """A promise that was frozen twice, and once more after its lever was moved."""
    made = tables()
    ledger = shell.root / "out" / "promise" / "ledger" / "forecasts.csv"

    def once(**scenario):
        study = study_of(made, scenarios=[{**TRAIN, **scenario}])
        found = carry_out(shell, "promise", made, study, only={*FROZEN})
        return found, ledger.read_bytes()

    (_, first), (_, second) = once(), once()
    found, third = once(service_factor=0.8)
    return SimpleNamespace(
        ledger=ledger, first=first, second=second, third=third, found=found, once=once, made=made
    )


def test_a_second_run_leaves_the_ledger_alone_and_a_moved_lever_adds_to_it(promised):
    assert promised.first == promised.second
    assert promised.third.startswith(promised.first)
    assert len(promised.third.splitlines()) == 2 * len(promised.first.splitlines()) - 1
    assert "1 other promise of this option was frozen before" in promised.found.said["forecast"]


SPOILT = {
    "edited": (lambda text: text.replace(b"train", b"drain", 1), "line 2 does not stand"),
    "cut": (lambda text: b"".join(text.splitlines(True)[:3] + text.splitlines(True)[4:]), "line 4"),
    "ragged": (lambda text: text + b"1" + b",2" * 20 + b"\n", "no ledger: Error tokenizing"),
    "unsealed": (lambda _: b"a,b\n1,2\n", "no column 'seal'"),
    "empty": (lambda _: b"", "is no ledger"),
    "binary": (lambda _: b"\xff\xfe\x00", "is no ledger"),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_a_ledger_edited_by_hand_is_refused(ask, control, ledger, promised, fault):
    change, told = SPOILT[fault]
    assert change(promised.third) != promised.third
    ledger.write_bytes(change(promised.third))
    assert told in ask(PROMISED, **FORESEEN)
    assert told in control("2026-01-01")
    assert ledger.read_bytes() == change(promised.third)  # nobody wrote into it


FORESEEN = {
    "prediction": SimpleNamespace(
        table=pd.DataFrame([["mean_wait_s", "s", "change", -10.0, -13.0, -7.0]],
                           columns=["measure", "unit", "kind", "estimate", "low", "high"])),
    "plan": {"name": "train"},
    "there": pd.DataFrame({"arrived": pd.to_datetime(["2025-05-01 10:00"])}),
}  # fmt: skip


@pytest.fixture
def ledger(sound):
    """Where the sound study's promises would stand."""
    path = sound.names["here"]._ledgers("forecasts")[-1]
    path.parent.mkdir(parents=True, exist_ok=True)
    yield path
    if path.is_file():
        path.unlink()


@pytest.fixture
def control(ask, sound):
    """Ask Control's own cell whether the prediction came true; its effects are taken as found."""
    cell = next(source for question, source, _ in cells_of(sound.shell, "control")
                if question == KEPT)  # fmt: skip

    def asks(change_on):
        made = dict.fromkeys(("held", "held_fewer", "held_shorter"), 1)
        names = {"treated": ["N1"], "carried_out": "", "confidence": 0.9, "promised": promised_last}
        sound.shell.shell.user_ns.update({**names, **made, "change_on": change_on})
        problem, said = run_cell(sound.shell, cell)
        return problem or said

    return asks


def test_control_finds_no_promise_before_the_change(control, ledger, promised):
    assert "Nothing was promised" in control("2026-01-01")
    ledger.write_bytes(promised.third)
    assert "rests on records up to 2025-05-23" in control("2025-05-01")


def test_a_ledger_that_cannot_be_written(ask, ledger):
    ledger.mkdir()
    assert "cannot be written" in ask(PROMISED, **FORESEEN)
    shutil.rmtree(ledger.parent)
    ledger.parent.write_text("not a folder")
    assert "cannot be written" in ask(PROMISED, **FORESEEN)
    ledger.parent.unlink()


@pytest.mark.parametrize("name", ["two  blanks", LINES, "007", " x ", "'=1", "-5", "nan", UNICODE])
def test_a_promise_is_found_again_by_whatever_name(ask, ledger, name):
    plan = {"name": name}
    again = [ask(PROMISED, **FORESEEN | {"plan": plan}, planned=name) for _ in range(2)]
    assert again[0] == again[1] and f"Promised of {' '.join(name.split())}" in again[0]
    assert len(ledger.read_text(encoding="utf-8").splitlines()) == 2


# --- hostile names --------------------------------------------------------------------------------

NAMES = (SCRIPT, FORMULA, MATHS, LONG, LINES, UNICODE)


@pytest.fixture(scope="module")
def hostile(shell):
    """Everything that a person or a system can name is named with ill intent."""
    made = {**tables(), "trial": trial().rename(columns={"script": SCRIPT})}
    for name in ("operations", "staffing"):
        made[name]["site"] = made[name]["site"].map({"N1": SCRIPT, "S1": FORMULA})
    made["operations"]["reason"] = made["operations"]["reason"].map({"bill": MATHS, "fault": LINES})
    made["operations"]["channel"] = UNICODE
    scenarios = [
        {"name": FORMULA, "sites": [SCRIPT], "service_factor": 0.9},
        {"name": LONG, "resolution_points": 0.05},
        {"name": LINES, "routing": {"priority": [MATHS]}},
        {"name": UNICODE + SCRIPT + MATHS, "agents": {"add": 1}},
    ]
    plans = {"owner": IMAGE, "effect": BREAKOUT, "cause": FORMULA}
    study = study_of(
        made, currency="<u>$</u>", planned=FORMULA, scenarios=scenarios, budget=5000,
        quality_costs=[{**LINE, "name": name} for name in NAMES],
        failure_modes=[{**MODE, **plans, "name": name} for name in NAMES],
        factors={SCRIPT: ["old", "new"], "tool": ["x", "y"], "desk": ["p", "q"]}, pilot=A_PILOT,
    )  # fmt: skip
    some = {*QUEUE, CHANGE, COST, PAYS, CHOICE, PILOT, MIX, FAIL, FACTORS, TRIED, SEEN, PROMISED}
    found = carry_out(shell, "hostile", made, study, only=some)
    assert not found.problems
    return found


def test_hostile_names_are_answered(hostile):
    kept = {"what_if", "quality_costs", "business_case", "failure_modes", "trial_effects",
            "best_mix", "prediction", "forecast", "choice", "pilot"}  # fmt: skip
    assert kept <= set(hostile.said)
    for name, sentence in hostile.said.items():
        first = sentence.splitlines()[0]
        assert len(first) < 500 and LONG not in first, name
        assert first.count(".") >= 1, name


def test_no_hostile_name_runs_in_a_spreadsheet_or_a_picture(hostile):
    written = [*hostile.shelf.glob("*.csv"), hostile.shelf.parent / "ledger" / "forecasts.csv"]
    assert len(written) > 10
    for path in written:
        assert not formulas_in(path), path
    for path in hostile.shelf.glob("*.svg"):
        assert not intruders_in(path), path


def test_no_hostile_name_becomes_markup_in_the_report(hostile):
    page = render(hostile.shelf.parent, head=HEAD)
    found = Markup(page)
    assert not found.elements & {"script", "u", "iframe", "object"} and not found.live
    assert page.count("<h1") == 1 and "&lt;script&gt;document.title=" in page
