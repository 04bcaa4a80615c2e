"""The five notebooks as they are, on tables as they come: tiny, hostile, half empty or wrong."""

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from hostile_output import formulas_in
from IPython.utils.capture import capture_output
from notebook_shell import notebook_shell

from sqm.cli import FAILED
from sqm.execute import LEFT_OUT
from sqm.parameters import load
from sqm.places import PHASES, notebook

REPOSITORY = Path(__file__).resolve().parent.parent
SITES = ("A", "B", "C", "D")
DAYS = 90
FIRST, FIT, CHANGE = "2025-01-06", "2025-02-10", "2025-03-10"

SCRIPT = "<script>document.title='owned'</script>"
IMAGE = '<img src=x onerror="alert(1)">'
FORMULA = '=cmd|"/c calc"!A1'
MATHS = "$\\frac{a}{$ ^_{} 100 % & \\input"
UNICODE = "👩‍🚀 \u202elive 客户 {0} %s"
BREAKOUT = "</td></table><h1>x"
TEXTS = [SCRIPT, IMAGE, FORMULA, MATHS, UNICODE, BREAKOUT, "@SUM(1)", "-1+1", "a\nb\r\nc"]
WORDS = [
    "line",
    "bill",
    "wait",
    "agent",
    "web",
    "lost",
    "money",
    "refund",
    "never",
    "again",
    "slow",
]


# --- a small service ----------------------------------------------------------------------------


def tables(contacts=300, complaints=60, people=80):
    """Five small tables of one service that hang together."""
    rng = np.random.default_rng(7)
    days = pd.Timestamp(FIRST) + pd.to_timedelta(np.sort(rng.integers(0, DAYS, contacts)), "D")
    arrived = pd.Series(days + pd.to_timedelta(rng.integers(8 * 3600, 20 * 3600, contacts), "s"))
    left = rng.random(contacts) < 0.1
    operations = pd.DataFrame(
        {
            "id": [f"K{n}" for n in range(contacts)],
            "arrived": arrived.dt.strftime("%Y-%m-%d %H:%M:%S"),
            "site": rng.choice(SITES, contacts),
            "channel": rng.choice(["phone", "chat"], contacts),
            "reason": rng.choice(["information", "billing"], contacts),
            "left": left.astype(int),
            "wait": rng.exponential(120, contacts).round(),
            "talk": pd.Series(rng.lognormal(6, 0.5, contacts).round()).mask(left),
            "agent": pd.Series(rng.choice(["g1", "g2", "g3"], contacts)).mask(left),
            "resolved": pd.Series(rng.integers(0, 2, contacts), dtype="Int64").mask(left),
        }
    )
    which = np.sort(rng.choice(contacts, min(complaints, contacts), replace=False))
    opened = arrived[which].reset_index(drop=True) + pd.Timedelta(hours=3)
    closed = opened + pd.to_timedelta(rng.exponential(15, len(which)), "D")
    filed = pd.DataFrame(
        {
            "id": [f"R{n}" for n in range(len(which))],
            "contact": operations["id"].to_numpy()[which],
            "opened": opened.dt.strftime("%Y-%m-%d %H:%M:%S"),
            "closed": closed.dt.strftime("%Y-%m-%d %H:%M:%S").mask(rng.random(len(which)) < 0.1),
            "category": rng.choice(["waiting", "unresolved", "billing"], len(which)),
            "cost": rng.lognormal(4, 1, len(which)).round(2),
            "text": [" ".join(rng.choice(WORDS, 8)) for _ in which],
        }
    )
    mood = rng.normal(0, 1, people)
    answers = {f"e{n}": rng.integers(5, 8, people) for n in range(1, 7)}
    for n in range(1, 7):
        answers[f"p{n}"] = np.clip(np.round(5 + mood + rng.normal(0, 0.7, people)), 1, 7).astype(
            int
        )
    coders = filed[["id"]].assign(
        a=filed["category"], b=filed["category"].shift(fill_value="staff")
    )
    dates = pd.date_range(FIRST, periods=DAYS).strftime("%Y-%m-%d")
    duty = pd.MultiIndex.from_product([dates, range(8, 20), SITES], names=["date", "hour", "site"])
    return {
        "operations": operations,
        "complaints": filed,
        "survey": pd.DataFrame({"id": range(people), "day": dates[0], **answers}),
        "coders": coders,
        "staffing": duty.to_frame(index=False).assign(agents=1),
    }


def said(**sections):
    """What the study of these tables says."""
    ctqs = [
        ("answered in time", "operations", "wait_s", "at most", 300),
        ("resolved", "operations", "resolved", "at least", 1),
        ("no complaint", "operations", "complained", "at most", 0),
        ("closed in 30 days", "complaints", "resolution_d", "at most", 30),
    ]
    fields = ("name", "table", "measure", "direction", "limit")
    rest = {"need": "Be served", "driver": "d", "definition": "d", "unit": "u", "target": 0.2}
    study = {
        "data": {
            "time_zone": "Europe/Madrid",
            "currency": "EUR",
            "calendar": {"opens": 8, "closes": 20},
            **{name: {"path": f"data/own-{name}.csv", **more} for name, more in READ.items()},
        },
        "define": {
            "needs": {"waiting": "Be served", "unresolved": "Be served", "billing": "Be right"},
            "ctqs": [{**dict(zip(fields, each, strict=True)), **rest} for each in ctqs],
            "resamples": 50,
        },
        "measure": {"baseline_until": CHANGE, "resamples": 50},
        "analyse": {"fit_until": FIT, "judge_until": CHANGE, "quote": True, "theme_counts": [2, 3],
                    "resamples": 10, "draws": 100, "outcome": "complained",
                    "known_at": dict.fromkeys(("wait_s", "ending", "channel", "reason"), "before")},
        "improve": {"train_until": FIT, "judge_until": CHANGE, "draws": 5, "weeks": 2,
                    "planned": "train", "scenarios": [{"name": "train", "sites": ["A"],
                                                       "service_factor": 0.9}]},
        "control": {"change_on": CHANGE, "treated": ["A", "B"]},
    }  # fmt: skip
    return copy.deepcopy({**study, **sections})


READ = {
    "operations": {"key": "contact", "roles": {
        "contact": "id", "arrived": "arrived", "site": "site", "channel": "channel",
        "reason": "reason", "abandoned": "left", "wait_s": "wait", "service_s": "talk",
        "agent": "agent", "resolved": "resolved"}},
    "complaints": {"key": "complaint", "roles": {
        "complaint": "id", "contact": "contact", "opened": "opened", "closed": "closed",
        "category": "category", "cost": "cost", "text": "text",
        "resolution_d": {"type": "duration", "start": "opened", "end": "closed", "unit": "d"}}},
    "survey": {"scale": [1, 7], "roles": {"respondent": "id", "answered": "day"},
               "dimensions": {"one": ["p1", "p2", "p3"], "two": ["p4", "p5", "p6"]},
               "expectations": {f"p{n}": f"e{n}" for n in range(1, 7)}},
    "coders": {"roles": {"complaint": "id", "coder_a": "a", "coder_b": "b"}},
    "staffing": {"roles": {"date": "date", "hour": "hour", "site": "site", "agents": "agents"}},
}  # fmt: skip


def write(root, name, made, study):
    """Put a study and its tables into a project; tables that are not made are not named."""
    study = json.loads(json.dumps(study))  # nothing shared: a study's file has no aliases
    known = {"time_zone", "currency", "calendar", *made}
    study = {**study, "data": {k: v for k, v in study["data"].items() if k in known}}
    for each, table in made.items():
        study["data"][each]["path"] = f"data/{name}-{each}.csv"
        table.to_csv(root / "data" / f"{name}-{each}.csv", index=False)
    text = yaml.safe_dump(study, allow_unicode=True, sort_keys=False)
    (root / "params" / f"{name}.yml").write_text(text, encoding="utf-8")


def new_project(root):
    """A project with the repository's own notebooks."""
    (root / "pyproject.toml").write_text("", encoding="utf-8")
    for folder in ("params", "data", "notebooks"):
        (root / folder).mkdir()
    for phase in PHASES:
        shutil.copy(notebook(phase, root=REPOSITORY), root / "notebooks")
    return root


# --- studies carried out by the command -----------------------------------------------------------


def hostile():
    """Everything that a person or a system can name is named with ill intent."""
    made, study = tables(), said()
    sites = dict(zip(SITES, (SCRIPT, FORMULA, MATHS, UNICODE), strict=True))
    kinds = {"waiting": SCRIPT, "unresolved": FORMULA, "billing": MATHS}
    for name in ("operations", "staffing"):
        made[name]["site"] = made[name]["site"].map(sites)
    made["operations"]["reason"] = made["operations"]["reason"].replace("billing", IMAGE)
    made["operations"]["channel"] = made["operations"]["channel"].replace("chat", "-2+3")
    filed = made["complaints"]
    filed["category"], made["coders"]["a"] = filed["category"].map(kinds), SCRIPT
    filed["text"] = [f"{TEXTS[n % len(TEXTS)]} {text}" for n, text in enumerate(filed["text"])]
    filed.loc[0, "text"] = SCRIPT + "é客" * 50_000
    column = "=p1<script>alert(1)</script>"
    made["survey"] = made["survey"].rename(columns={"p1": column})
    made["complaints"] = filed.rename(columns={"text": '"><b>text</b>'})
    data = study["data"]
    data["complaints"]["roles"]["text"] = '"><b>text</b>'
    data["survey"]["dimensions"] = {SCRIPT: [column, "p2", "p3"], MATHS: ["p4", "p5", "p6"]}
    data["survey"]["expectations"] = {column: "e1", "p2": "e2", "p3": "e3", "p4": "e4",
                                      "p5": "e5", "p6": "e6"}  # fmt: skip
    data["currency"] = "<u>$</u>"
    study |= {"title": SCRIPT, "language": '"><script>alert(1)</script>'}
    study["report"] = {
        "organisation": IMAGE,
        "author": SCRIPT,
        "approver": UNICODE,
        "date": FORMULA,
    }
    define = study["define"]
    define |= {"problem": SCRIPT, "goal": IMAGE, "scope": MATHS, "sponsor": FORMULA}
    define |= {"team": TEXTS, "sipoc": {"suppliers": TEXTS, "process": ["L" * 500]}}
    define["needs"] = dict.fromkeys(kinds.values(), BREAKOUT)
    for ctq, name in zip(define["ctqs"], (SCRIPT, FORMULA, MATHS, "L" * 400), strict=True):
        ctq |= {"name": name, "need": BREAKOUT, "driver": IMAGE, "definition": SCRIPT}
        ctq |= {"unit": "<u>s</u>", "owner": FORMULA, "reaction": UNICODE}
    study["improve"] |= {"planned": FORMULA}
    study["improve"]["scenarios"][0] |= {"name": FORMULA, "sites": [SCRIPT]}
    study["control"]["treated"] = [SCRIPT, FORMULA]
    return made, study


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """One batch: hostile strings, a single bare row, an answer and a date that are wrong."""
    root = new_project(tmp_path_factory.mktemp("batch"))
    write(root, "hostile", *hostile())
    (root / "one.csv").write_text("id,opened,category,comment\n1,2025-01-02,,\n")
    assert _command(root, "new", "bare", "--complaints", "one.csv").returncode == 0
    whole = tables()
    answers, filed = whole["survey"].copy(), whole["complaints"].copy()
    answers.loc[3, "p2"] = 9
    write(root, "scale", {"survey": answers}, said())
    filed.loc[5, "opened"] = "yesterday\x1b[31m"
    write(root, "date", {"complaints": filed}, said())
    done = _command(root, "run", "hostile", "bare", "scale", "date", "--jobs", "2")
    return root, done


def _command(root, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("SQM_OUT", None)
    return subprocess.run(
        [sys.executable, "-m", "sqm", *arguments],
        capture_output=True, text=True, encoding="utf-8", cwd=root, env=environment,
    )  # fmt: skip


def test_wrong_data_fail_their_own_study_and_no_other(batch):
    root, done = batch
    assert done.returncode == FAILED, done.stderr
    reports = [str(root / "out" / name / "report.html") for name in ("hostile", "bare")]
    assert done.stdout.splitlines() == reports


def test_the_last_lines_say_what_is_wrong_where_and_how_to_mend_it(batch):
    _, done = batch
    last = done.stderr.splitlines()[-4:]
    assert last[0].startswith("scale failed: 2-measure.ipynb: scale-survey.csv: 'p2' has 1 answers")
    assert "outside 1 to 7 (first rows: 3; values: [9.0])" in last[0].replace(
        "1.0 to 7.0", "1 to 7"
    )
    assert "list the code under `missing`" in last[1]
    assert last[2].startswith("date failed: 1-define.ipynb: date-complaints.csv: 'opened' has 1 of")
    assert "(first rows: 5; values:" in last[2]
    assert "To mend: " in last[3]
    assert not re.search(r"[\x1b\r]|Traceback", done.stdout + done.stderr)


def test_what_failed_keeps_its_notebook_and_leaves_no_report(batch):
    root, _ = batch
    for study, name in (("scale", "2-measure.ipynb"), ("date", "1-define.ipynb")):
        place = root / "out" / study
        kept = nbformat.read(place / "failed" / name, as_version=4)
        shown = [out for cell in kept.cells for out in cell.get("outputs", [])]
        assert [out.ename for out in shown if out.output_type == "error"] == ["Problem"]
        assert not (place / "report.html").exists() and not (place / "run.json").exists()


def test_a_single_bare_row_is_told_as_not_examined(batch):
    root, _ = batch
    missed = unexamined(root / "out" / "bare")
    assert len(missed) > 20
    assert "What do customers complain of?" in missed
    assert not any("Error" in reason for reason in missed.values())
    page = (root / "out" / "bare" / "report.html").read_text(encoding="utf-8")
    assert page.count("<h2") > 5


class Markup(HTMLParser):
    """The elements of a page, and every attribute that could run or fetch something."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.live = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.add(tag)
        for name, value in attributes:
            address = (value or "").strip().lower()
            if name.startswith("on") or address.startswith(("javascript:", "http:", "//")):
                self.live.append((tag, name, value))


def test_no_hostile_text_becomes_markup_on_the_page(batch):
    root, _ = batch
    page = (root / "out" / "hostile" / "report.html").read_text(encoding="utf-8")
    found = Markup(page)
    assert not found.elements & {"script", "u", "iframe", "object", "embed", "form"}
    assert not found.live
    assert page.count("<h1") == 1
    assert "&lt;script&gt;document.title=" in page  # it is there, and told as text


def test_no_hostile_text_becomes_markup_in_the_executed_notebooks(batch):
    root, _ = batch
    pieces = []
    for path in sorted((root / "out" / "hostile").rglob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            for out in cell.get("outputs", []):
                pieces.append(out.get("data", {}).get("text/html", ""))
                assert out.output_type != "error"
                assert out.get("name") != "stderr", out.text
    found = Markup("".join(pieces))
    assert "table" in found.elements
    assert not found.elements & {"script", "img", "u", "h1"} and not found.live


def test_no_cell_of_any_table_is_a_formula(batch):
    root, _ = batch
    written = sorted((root / "out" / "hostile").rglob("*.csv"))
    assert len(written) > 15
    for path in written:
        assert not formulas_in(path), path


def unexamined(place):
    """Every question that was not answered, with its reason, over the phases."""
    records = [json.loads((place / p / "phase.json").read_text(encoding="utf-8")) for p in PHASES]
    return {e["question"]: e["reason"] for record in records for e in record["not_examined"]}


# --- studies carried out cell by cell, which is quicker than a kernel a phase ---------------------


@pytest.fixture
def carry_out(tmp_path):
    """Run every cell of the five notebooks on tables; hand back what was not examined."""
    with notebook_shell(new_project(tmp_path)) as made:
        yield partial(_carry_out, made)


def _carry_out(made, given, study):
    write(made.root, "own", given, study)
    for phase in PHASES:
        made.patch.setenv("SQM_SHELF", str(made.root / "out" / "own" / phase))
        made.shell.reset(new_session=False)
        _run_cells(made.shell, phase, made.root)
    return unexamined(made.root / "out" / "own")


def _run_cells(shell, phase, root):
    given = load("own", root=root).sections[phase]
    for cell in nbformat.read(notebook(phase, root=root), as_version=4).cells:
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type != "code" or LEFT_OUT & tags:
            continue
        lines = [f"{name} = {value!r}" for name, value in {**given, "study": "own"}.items()]
        with capture_output():
            ran = shell.run_cell("\n".join([cell.source, *lines * ("parameters" in tags)]))
        assert ran.success, f"{phase}: {ran.error_in_exec!r} in {cell.source}"
        mpl.pyplot.close("all")


def test_tables_with_one_row(carry_out):
    missed = carry_out({name: table.head(1) for name, table in tables().items()}, said())
    assert "a contact is called 'K0'" in missed["Which contact did each complaint arise from?"]
    assert "1 usable row " in missed["What do complaints cost?"]
    assert "10 respondents" in missed["Where does the service fall short of what customers expect?"]
    assert "whole week" in missed["Did the change shorten waits?"]


def test_columns_all_missing(carry_out):
    made = tables()
    made["operations"][["wait", "agent", "site"]] = None
    made["complaints"][["closed", "category", "text", "cost"]] = None
    made["coders"]["a"] = None
    missed = carry_out(made, said())
    assert missed["What do customers complain of?"] == "None of 60 complaints has a 'category'."
    assert "0 usable rows" in missed["Do two people file the same case alike?"]
    assert (
        "0 open days" in missed["What does the log say about arrivals, service times and patience?"]
    )


def test_roles_that_a_service_does_not_record(carry_out):
    made, study = tables(), said()
    for role in ("abandoned", "service_s", "agent", "resolved"):
        del study["data"]["operations"]["roles"][role]
    for role in ("category", "closed", "resolution_d"):
        del study["data"]["complaints"]["roles"][role]
    missed = carry_out(made, study)
    assert "Which contact did each complaint arise from?" not in missed
    assert "`cluster`" in missed["What drives the outcome?"]
    assert "no 'resolved'" in missed["Did the change raise first-contact resolution?"]
    assert "Did the change lower complaints?" not in missed


def test_a_service_where_everything_is_alike(carry_out):
    made = tables()
    named = {"id", "contact", "arrived", "opened", "closed", "date", "hour", "site"}
    for table in made.values():
        for column in table.columns.difference(named):
            table[column] = table[column].dropna().iloc[0]
    made["operations"]["left"], made["coders"]["b"] = 1, made["coders"]["a"]
    missed = carry_out(made, said())
    assert "one category" in missed["Do two people file the same case alike?"]
    assert "one value only" in missed["What drives the outcome?"]
    nobody = missed["What does the log say about arrivals, service times and patience?"]
    assert nobody.startswith("Nobody was served at A, B, C, D")


def test_a_study_that_names_its_data_only(carry_out):
    missed = carry_out(tables(), {"data": said()["data"]})
    assert missed["What is critical to quality?"] == "the study sets no 'ctqs'"
    assert missed["How much does each need weigh?"] == "the study sets no 'needs'"
    assert missed["Did the change lower complaints?"] == "the study sets no 'treated'"
