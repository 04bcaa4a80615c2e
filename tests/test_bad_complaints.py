"""Analyse as it is, on bad complaints, bad records and bad texts; and what it keeps of people."""

import csv
import json
import re
from types import SimpleNamespace

import matplotlib as mpl
import nbformat
import numpy as np
import pandas as pd
import pytest
from IPython.utils.capture import capture_output
from notebook_shell import notebook_shell
from test_bad_input import FORMULA, MATHS, SCRIPT, new_project, write
from test_report import HEAD

from sqm.checks import Problem
from sqm.execute import LEFT_OUT
from sqm.methods.ctq import ctq_tree
from sqm.parameters import load
from sqm.places import notebook
from sqm.report import render
from sqm.shelf import keep

HANDLED, PARETO = "How are complaints handled?", "Where do most complaints come from?"
TOLD = "What do the complaints say, in the customers' own words?"
COPIES = "Which letters are copies of one another?"
KNOWN, DRIVES = "Which columns were known before the outcome?", "What drives the outcome?"
HOLDS = "Does the model hold on records that it has not seen?"
CODED = "What share is of each kind, once people have read a sample?"
OPEN = ("How many complaints are open?", "How long have the open ones waited?")


# --- carrying it out ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """One shell for all; each study begins in an empty namespace."""
    with notebook_shell(new_project(tmp_path_factory.mktemp("analyse"))) as made:
        yield made


@pytest.fixture
def carry_out(shell, request):
    """Run Analyse on tables; hand back sentences, what was not examined, Problems and the shelf.

    As in test_bad_surveys the cells after a Problem are run too, so that one study can hold
    several faults; any other exception fails the test, and so does a warning in the notebook.
    """
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:60]

    def carries(made, study, define=None):
        write(shell.root, name, made, study)
        given = load(name, root=shell.root).sections["analyse"]
        shelf = shell.root / "out" / name / "analyse"
        for each, finding in (define or {}).items():
            place = shelf.parent / "define"
            keep(finding, each, shelf=place, phase="define", answer="", settings={})
        shell.patch.setenv("SQM_SHELF", str(shelf))
        shell.shell.reset(new_session=False)
        found = SimpleNamespace(said={}, missed={}, problems={}, shelf=shelf, shown=[])
        _run_cells(shell, {**given, "study": name}, found)
        for path in sorted(shelf.glob("*.json")):
            record = json.loads(path.read_text(encoding="utf-8"))
            if path.stem == "phase":
                found.missed = {e["question"]: e["reason"] for e in record["not_examined"]}
            else:
                found.said[path.stem] = record["sentence"]
        return found

    return carries


def _run_cells(shell, given, found):
    for cell in nbformat.read(notebook("analyse", root=shell.root), as_version=4).cells:
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type != "code" or LEFT_OUT & tags or cell.source.endswith(".plot();"):
            continue  # what is kept is drawn there too
        lines = [f"{name} = {value!r}" for name, value in given.items()]
        with capture_output() as shown:
            ran = shell.shell.run_cell("\n".join([cell.source, *lines * ("parameters" in tags)]))
        mpl.pyplot.close("all")
        found.shown.append(shown.stdout)
        wrong = ran.error_in_exec or ran.error_before_exec
        if isinstance(wrong, Problem):
            assert wrong.what and wrong.mend
            found.problems[cell.source.splitlines()[0].partition(": ")[2]] = str(wrong)
            if "cases = here.table" in cell.source:
                return  # the file could not be read: the batch stops, and nothing else is asked
        else:
            assert wrong is None, f"{wrong!r} in {cell.source}"
            assert not shown.stderr, f"{shown.stderr} in {cell.source}"


# --- a small service ------------------------------------------------------------------------------

MATTERS = {
    "waiting": "the queue was long and nobody answered the telephone call while I waited on hold",
    "billing": "the invoice showed a wrong amount and the refund to my bank account never arrived",
    "delivery": "the parcel came late with a broken box and the courier left it at another door",
}
FILLING = ["again", "today", "please", "help", "service", "very", "bad", "since", "last", "still"]


def letter(matter, rng):
    """A text of its own on one matter."""
    words = [*rng.choice(MATTERS[matter].split(), 9), *rng.choice(FILLING, 4)]
    return " ".join(rng.permutation(words)) + "."


def filed(n=240, seed=5, **columns):
    """Complaints as they should be."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(list(MATTERS), n)
    opened = pd.Timestamp("2025-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 200, n)), "D")
    closed = pd.Series(opened + pd.to_timedelta(rng.integers(1, 60, n), "D"))
    made = pd.DataFrame(
        {
            "complaint": [f"R{i}" for i in range(n)],
            "customer": [f"C{i}" for i in rng.integers(0, n // 2 + 1, n)],
            "contact": [f"K{i}" for i in range(n)],
            "opened": opened.strftime("%Y-%m-%d"),
            "closed": closed.dt.strftime("%Y-%m-%d").mask(rng.random(n) < 0.1),
            "channel": rng.choice(["web", "shop"], n),
            "site": rng.choice(["A", "B"], n),
            "category": kind,
            "cost": rng.lognormal(4, 1, n).round(2),
            "text": [letter(each, rng) for each in kind],
        }
    )
    made["outcome"] = made["closed"].notna().map({True: "resolved", False: None})
    return made.assign(**columns)


def contacts(n=600, seed=6):
    rng = np.random.default_rng(seed)
    arrived = pd.Timestamp("2025-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 200, n)), "D")
    return pd.DataFrame(
        {
            "contact": [f"K{i}" for i in range(n)],
            "arrived": arrived.strftime("%Y-%m-%d"),
            "site": rng.choice(["A", "B"], n),
            "channel": rng.choice(["web", "shop"], n),
            "wait_s": rng.exponential(200, n).round(),
            "paid": rng.integers(0, 2, n),
            "agent": rng.choice([f"g{i}" for i in range(20)], n),
        }
    )


DURATION = {"type": "duration", "start": "opened", "end": "closed", "unit": "d"}
TYPES = {
    "paid": {"column": "paid", "type": "flag"},
    **{name: {"column": name, "type": "number"} for name in ("fee", "age", "calls")},
}
ASKED = {"outcome": "paid", "records": "operations", "drivers": ["wait_s", "channel"],
         "known_at": {"wait_s": "before", "channel": "before"}, "reference": {}, "segment": "",
         "resamples": 10, "draws": 100, "theme_counts": [2, 3]}  # fmt: skip


CTQS = [
    {"name": "soon", "need": "n", "driver": "d", "definition": "d", "table": "operations",
     "measure": "wait_s", "direction": "at most", "limit": 300, "unit": "s", "target": 0.2},
]  # fmt: skip


def study_of(made, *, duration=True, **analyse):
    """What a study says of these tables, every column under its own name; nothing is asked."""
    data = {"time_zone": "Europe/Madrid", "currency": "EUR"}
    for name, table in made.items():
        data[name] = {"roles": {column: TYPES.get(column, column) for column in table}}
    if duration and {"opened", "closed"} <= set(made.get("complaints", ())):
        data["complaints"]["roles"]["resolution_d"] = DURATION
    quick = {"resamples": 10, "draws": 100, "theme_counts": [2, 3]}
    return {"data": data, "analyse": quick | analyse}


def answered(found):
    """Nothing stands in both lists, and nothing is empty."""
    assert all(found.said.values()) and all(found.missed.values())
    assert not any("Error" in reason or "nan" in reason.split() for reason in found.missed.values())
    return found


# --- outcomes and drivers -------------------------------------------------------------------------


def asked_of(carry_out, rows, *, drivers=("wait_s", "channel"), **more):
    """Ask for the drivers of these contacts alone."""
    made = {"operations": rows}
    known = {"known_at": dict.fromkeys(drivers, "before")} | more
    return answered(carry_out(made, study_of(made, **{**ASKED, "drivers": [*drivers], **known})))


def test_one_class_only(carry_out):
    found = asked_of(carry_out, contacts().assign(paid=0))
    assert not found.problems and not found.said
    assert "all 4" in found.missed[DRIVES] and "the same outcome" in found.missed[DRIVES]


def test_separation_by_a_level_and_by_a_number(carry_out):
    rows = contacts()
    always = rows.assign(paid=rows["paid"].mask(rows["channel"].eq("web"), 1))
    found = asked_of(carry_out, always)
    assert not found.problems and set(found.said) == {"known_before"}
    assert "'channel': web" in found.missed[DRIVES]
    found = asked_of(carry_out, rows.assign(paid=rows["wait_s"].gt(200).astype(int)))
    assert not found.problems
    assert "Refused: wait_s" in found.said["known_before"].splitlines()[0]
    assert "wait_s" not in found.said["drivers"]


def test_fewer_events_than_drivers(carry_out):
    rng, rows = np.random.default_rng(1), contacts()
    rows["paid"] = np.isin(rows.index, [5, 100, 300]).astype(int)
    rows[["fee", "age", "calls"]] = rng.normal(size=(len(rows), 3))
    drivers = ["wait_s", "channel", "fee", "age", "calls"]
    found = asked_of(carry_out, rows, drivers=drivers)
    assert not found.problems
    assert "3 times" in found.missed[DRIVES] and "coefficients" in found.missed[DRIVES]


def test_a_driver_with_5000_levels(carry_out):
    rows, rng = contacts(6000), np.random.default_rng(1)
    rows["channel"] = [f"level {i}" for i in rng.permutation(6000) % 5000]
    found = asked_of(carry_out, rows)
    assert not found.problems
    assert "levels, more than 30" in found.missed[DRIVES]


@pytest.mark.parametrize(
    ("more", "question", "told"),
    [
        ({"outcome": "payed"}, DRIVES, "no column 'payed'"),
        ({"drivers": ["wait", "channel"]}, KNOWN, "no column 'wait'"),
        ({"cluster": "team"}, DRIVES, "no column 'team'"),
        ({"reference": {"channel": "telex"}}, DRIVES, "no level 'telex'"),
        ({"segment": "tribe"}, "Are the drivers the same for all customers?", "'tribe'"),
        ({"fit_until": "2030-01-01"}, HOLDS, "No record lies in the later period"),
        ({"fit_until": "2020-01-01"}, DRIVES, "No row has its 'arrived' before 2020-01-01"),
        ({"outcome": "wait_s", "drivers": ["channel"], "kind": "count"}, HOLDS, "kind 'count'"),
    ],
)
def test_a_name_or_a_day_that_the_table_does_not_know(carry_out, more, question, told):
    known_at = {"wait_s": "before", "channel": "before", "wait": "before"}
    known_at = {name: known_at[name] for name in more.get("drivers", ["wait_s", "channel"])}
    made = {"operations": contacts()}
    study = study_of(made, **{**ASKED, "known_at": known_at, **more})
    if "wait" in known_at:
        study["analyse"]["known_at"] = {"channel": "before"}
    found = answered(carry_out(made, study))
    assert not found.problems
    assert told in found.missed[question]


@pytest.mark.parametrize(
    ("known_at", "told", "mend"),
    [
        ({"wait": "before"}, "known_at names 'wait'", "did you mean 'wait_s'?"),
        ({"wait_s": "earlier"}, "known_at says 'earlier' of 'wait_s'", "say 'before' or 'after'"),
    ],
)
def test_a_misspelt_known_at_says_what_it_should_be(carry_out, known_at, told, mend):
    found = asked_of(carry_out, contacts(), known_at=known_at)
    assert list(found.problems) == [KNOWN] and not found.said
    assert told in found.problems[KNOWN] and mend in found.problems[KNOWN]


def test_what_rests_on_refused_drivers_is_refused_with_them(carry_out):
    """The tree of CTQs is there; a wrong outcome, and drivers that all speak with hindsight."""
    made = {"operations": contacts(), "complaints": filed().drop(columns=["text", "closed"])}
    shelf = {"ctq_tree": ctq_tree(CTQS)}
    asked = ASKED | {"records": "contacts", "changes": {"wait_s": -60}}
    wrong = study_of(made, **asked | {"outcome": "payed"})
    assert_refused(answered(carry_out(made, wrong, define=shelf)), "payed")
    late = study_of(made, **asked | {"known_at": {"wait_s": "after", "channel": "after"}})
    assert_refused(answered(carry_out(made, late, define=shelf)), "")
    never = study_of(made, **asked | {"fit_until": "2020-01-01"})
    assert_refused(answered(carry_out(made, never, define=shelf)), "before 2020-01-01")
    made["complaints"]["contact"] = "Z" + made["complaints"]["contact"]
    apart = study_of(made, **asked | {"outcome": "complained"})
    assert_refused(answered(carry_out(made, apart, define=shelf)), "None of 240 complaints names")


def assert_refused(found, why):
    assert not found.problems
    for question in (DRIVES, HOLDS, "What would a change of each driver bring?"):
        assert why in found.missed[question]


# --- complaints -----------------------------------------------------------------------------------


def test_dates_in_two_formats_are_not_guessed(carry_out):
    made = {"complaints": filed(60)}
    opened = made["complaints"]["opened"]
    made["complaints"].loc[::3, "opened"] = pd.to_datetime(opened[::3]).dt.strftime("%d/%m/%Y")
    found = carry_out(made, study_of(made))
    assert list(found.problems) == [HANDLED] and not found.said
    assert "'opened' has 20 of 60" in found.problems[HANDLED]
    assert "first rows: 0, 3, 6" in found.problems[HANDLED]
    assert "Export it anew in one format" in found.problems[HANDLED]


def test_closed_before_opened_and_a_negative_cost_name_their_rows(carry_out):
    made = {"complaints": filed().drop(columns=["text", "customer", "contact", "site"])}
    made["complaints"].loc[[3, 9], "closed"] = "2024-01-01"
    made["complaints"].loc[5, "cost"] = -5
    found = answered(carry_out(made, study_of(made)))
    for question, told in found.problems.items():
        rows = "first rows: 3, 9" if "cost" not in told.splitlines()[0] else "first rows: 5"
        assert rows in told, question
    assert {"Is each complaint resolved in time?", OPEN[0]} <= set(found.problems)
    assert PARETO in found.problems
    assert "taxonomy" in found.said  # what does not rest on the times is answered


@pytest.mark.parametrize(
    "roles",
    [
        ["complaint", "category"],
        ["complaint", "category", "text"],
        ["complaint", "opened"],
        ["complaint", "opened", "closed"],
        ["opened", "text"],
        ["text"],
        ["customer", "cost"],
        ["complaint", "opened", "closed", "outcome", "site"],
    ],
)
def test_few_roles(carry_out, roles):
    made = {"complaints": filed(120)[roles]}
    found = answered(carry_out(made, study_of(made)))
    assert not found.problems
    if "category" in roles:
        assert found.said["pareto"].startswith("First by count")
        assert "money" not in found.said["pareto"]


def test_a_handful_and_a_table_whose_columns_are_blank(carry_out):
    made = {"complaints": filed(10).drop(columns="contact"), "operations": contacts(12)}
    found = answered(carry_out(made, study_of(made, **ASKED)))
    assert not found.problems
    assert "No language has 50 distinct texts" in found.missed[TOLD]
    one = {"complaints": filed(1).drop(columns="contact"), "operations": contacts(1)}
    assert not answered(carry_out(one, study_of(one, **ASKED))).problems
    blank = filed(120, closed=None, cost=None, customer=None, category=None, channel=None,
                  outcome=None, text=None)  # fmt: skip
    made = {"complaints": blank}
    assert not answered(carry_out(made, study_of(made))).problems


def test_a_category_that_names_each_complaint(carry_out):
    made = {"complaints": filed()[["complaint", "category", "channel", "cost"]]}
    made["complaints"]["category"] = made["complaints"]["complaint"]
    found = answered(carry_out(made, study_of(made)))
    assert not found.problems


@pytest.mark.parametrize("fault", ["unknown", "misspelt", "twice", "blank"])
def test_a_coding_sheet_gone_wrong(carry_out, fault):
    cases = filed()[["complaint", "category"]]
    sheet = cases.head(100)[["complaint"]].assign(
        stratum=cases["category"], chance=100 / 240, coder_a=cases["category"], coder_b=""
    )
    change = {"unknown": ("complaint", "R9999"), "twice": ("complaint", "R1"),
              "misspelt": ("coder_a", "biling")}  # fmt: skip
    if fault == "blank":
        sheet["coder_a"] = ""
    else:
        sheet.loc[3, change[fault][0]] = change[fault][1]
    made = {"complaints": cases, "coding_sheet": sheet}
    found = answered(carry_out(made, study_of(made)))
    told = (found.problems | found.missed)[CODED]
    says = {"unknown": "1 complaint unknown: R9999", "twice": "R1 stands twice",
            "misspelt": "did you mean 'billing'?", "blank": "0 complaints read"}  # fmt: skip
    assert says[fault] in told
    assert fault == "blank" or "first rows: 3" in told


def test_hostile_names(carry_out):
    names = dict(zip(MATTERS, (SCRIPT, FORMULA, MATHS), strict=True))
    cases = filed()
    cases["category"] = cases["category"].map(names)
    cases["site"] = cases["site"].map({"A": SCRIPT, "B": MATHS})
    cases["outcome"] = cases["outcome"].map({"resolved": FORMULA})
    cases["text"] = "=1+1 " + cases["text"]
    made = {"complaints": cases.drop(columns=["contact", "customer"])}
    found = answered(carry_out(made, study_of(made, quote=True)))
    assert not found.problems
    for path in found.shelf.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as lines:
            cells = [cell for row in csv.reader(lines) for cell in row]
        assert not [cell for cell in cells if cell[:1] in "=@" and cell], path.name
    for path in found.shelf.glob("*.svg"):
        assert "<script" not in path.read_text(encoding="utf-8")


# --- texts ----------------------------------------------------------------------------------------


def texts_of(carry_out, texts):
    cases = filed(len(texts))[["complaint", "opened"]].assign(text=list(texts))
    made = {"complaints": cases}
    found = answered(carry_out(made, study_of(made)))
    assert not found.problems
    return found


def test_texts_that_are_empty_or_all_the_same(carry_out):
    found = texts_of(carry_out, ["", None, " ", "."] * 30)
    assert "0 texts" in found.missed[COPIES] and TOLD in found.missed
    found = texts_of(carry_out, ["The invoice of March was wrong again and nobody called."] * 120)
    assert "120" in str(found.said["copies"]) and "99.2 %" in found.said["copies"]
    assert "1" in found.missed[TOLD] and "50 distinct texts" in found.missed[TOLD]


def test_a_megabyte_of_one_word(carry_out):
    texts = filed(120)["text"]
    texts[0], texts[1] = "word " * 200_000, "x" * 1_000_000
    found = texts_of(carry_out, texts)
    assert "themes" in found.said
    sizes = [path.stat().st_size for path in found.shelf.glob("*.*")]
    assert max(sizes) < 1_000_000


def test_right_to_left_and_emoji(carry_out):
    rng = np.random.default_rng(2)
    words = ["خدمة", "سيئة", "انتظار", "فاتورة", "هاتف", "طلب", "مال", "وقت"]
    signs = ["👩‍🚀", "😡🔥", "‮", "שירות"]
    found = texts_of(
        carry_out,
        [f"{rng.choice(signs)} {' '.join(rng.choice(words, 5))}" for _ in range(120)],
    )
    assert TOLD in found.missed or "themes" in found.said


def test_a_language_that_nobody_told_it_about(carry_out):
    rng = np.random.default_rng(2)
    words = ["rekening", "verkeerd", "pakket", "te", "laat", "niemand", "sinds", "weken", "geen"]
    found = texts_of(carry_out, [" ".join(rng.choice(words, 8)) for _ in range(120)])
    assert TOLD in found.missed or "themes" in found.said


# --- what is kept of people -----------------------------------------------------------------------

SECRETS = {
    "e-mail": "maria.quintanilla77@example.com",
    "telephone": "+34 655 123 987",
    "card": "4556 7375 8689 9855",
    "Spanish id": "12345678Z",
    "Mexican id": "GODE561231HDFRRN09",
    "Chinese id": "11010519491231002X",
    "US id": "536-22-1846",
    "account": "ES91 2100 0418 4502 0005 1332",
    "name": "Anastasia Quintanilla",
}
NAMELESS = "quintanillez"  # a rare name that nothing marks, in four letters


def about_people(n=240):
    """Letters that each hold something that names a person; customers with telling identifiers."""
    cases = filed(n)
    said = [
        "My name is {name}.", "Write to {e-mail} or call {telephone}.", "My card is {card}.",
        "My DNI is {Spanish id}.", "Mi CURP es {Mexican id}.", "身份证 {Chinese id}.",
        "My SSN is {US id}.", "My account is {account}.", "Regards,\n{name}",
    ]  # fmt: skip
    more = [said[i % len(said)].format(**SECRETS) for i in range(n)]
    cases["text"] = [f"{text} {each}" for text, each in zip(cases["text"], more, strict=True)]
    cases.loc[[2, 50, 90, 130], "text"] += f" it was {NAMELESS} who did it"
    copied = cases.index[100:112]
    cases.loc[copied, "text"] = f"{cases['text'][100]} Ask {SECRETS['e-mail']}, {SECRETS['card']}"
    return cases.assign(customer=[f"cust-{SECRETS['e-mail']}-{i % 90}" for i in range(n)])


@pytest.mark.parametrize("quote", [True, False])
def test_nothing_that_names_a_person_is_kept(carry_out, quote):
    cases = about_people()
    made = {"complaints": cases.drop(columns="contact")}
    found = answered(carry_out(made, study_of(made, quote=quote, smallest_group=5)))
    assert not found.problems
    assert {"themes", "copies", "frozen_themes", "coding_sheet_to_fill"} <= set(found.said)
    kept = {path.name: path.read_text(encoding="utf-8") for path in found.shelf.glob("*.*")}
    kept["what the notebook shows"] = "\n".join(found.shown)
    for name, text in kept.items():
        low = text.lower()
        for what, secret in SECRETS.items():
            parts = secret.split() if what == "name" else [secret, secret.replace(" ", "")]
            for part in parts:
                assert part.lower() not in low, f"{what} in {name}"
        assert "cust-" not in low, name
        if name != "coding_sheet_to_fill.csv" and not quote:
            assert NAMELESS not in low, name
    words = pd.read_csv(found.shelf / "frozen_themes.csv", low_memory=False)["name"]
    assert not words.str.contains("quint|uinta|anillez", regex=True).any()
    page = render(found.shelf.parent, head=HEAD)
    told = [text[:60] in page for text in cases["text"]]
    assert NAMELESS not in page and (sum(told) > 0) == quote
    if not quote:  # nobody's words stand anywhere but in the sheet that the coders are given
        kept.pop("coding_sheet_to_fill.csv")
        assert not any(text[:60] in each for text in cases["text"] for each in kept.values())
