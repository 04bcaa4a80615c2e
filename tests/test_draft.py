"""A first parameters file from a person's own tables: careful guesses, safely written."""

import csv
import re

import numpy as np
import pandas as pd
import pytest
import yaml

from sqm import sources
from sqm.checks import Problem
from sqm.clock import Calendar
from sqm.draft import draft
from sqm.roles import Table

HOSTILE = [
    "fecha: ingreso",
    "# no comment",
    'it\'s "quoted"',
    "two\nlines",
    "yes",
    "2024",
    "- dash",
    "{brace}",
    "[list]",
    "&anchor",
    "*alias",
    "!!python/object:os.system",
    "tab\there",
    "año 年",
    "😀",
    "next\x85line",
    "para\u2029graph",
    "back\\slash",
    "%percent",
    "@at",
    "`tick` | <b>bar</b>",
    " edge ",
    "null",
    "x: y # z",
    "",
]


@pytest.fixture
def write(tmp_path):
    def writes(table, file="own.csv", **how):
        pd.DataFrame(table).to_csv(tmp_path / file, index=False, **how)
        return tmp_path / file

    return writes


@pytest.fixture
def drafted(tmp_path, write):
    """Draft a study of one table; give back its YAML as data and as text."""

    def drafts(kind, table, **how):
        made = draft("own", **{kind: write(table, **how)}, root=tmp_path)
        text = made.parameters.read_text(encoding="utf-8")
        return yaml.safe_load(text)["data"].get(kind), text

    return drafts


def reads(entry, kind, root):
    table = Table.model_validate(entry)
    assert sources.check(table, kind, root=root, calendar=Calendar()) == []
    return sources.read(table, kind, root=root, calendar=Calendar()).table


def complaints(rows=60, **more):
    days = pd.date_range("2025-01-01", periods=rows).strftime("%Y-%m-%d")
    return {"folio": [f"Q{n}" for n in range(rows)], "fecha_ingreso": days, **more}


def answers(rows=80, low=1, high=7, seed=1):
    return np.random.default_rng(seed).integers(low, high + 1, rows)


# --- what is written ----------------------------------------------------------------------------


def test_the_file_reads_as_written_and_the_data_stay_where_they_are(drafted, tmp_path):
    table = complaints(motivo_reclamacion=["Cobro", "Contrato"] * 30, estado=["Jalisco"] * 60)
    entry, text = drafted("complaints", table)
    assert entry == {
        "path": "own.csv",
        "key": "complaint",
        "roles": {
            "complaint": "folio",
            "opened": "fecha_ingreso",
            "category": "motivo_reclamacion",
            "region": "estado",
        },
    }
    assert reads(entry, "complaints", tmp_path)["opened"][59] == pd.Timestamp("2025-03-01")
    said = yaml.safe_load(text)
    assert (said["study"], said["data"]["time_zone"], said["data"]["currency"]) == (
        "own",
        "UTC",
        "",
    )
    assert set(said["report"]) == {"organisation", "author", "approver", "date"}
    assert sorted(p.name for p in (tmp_path / "data" / "own").iterdir()) == ["README.md"]


def test_nothing_is_overwritten(tmp_path, write):
    file = write(complaints())
    draft("own", complaints=file, root=tmp_path)
    before = (tmp_path / "params" / "own.yml").read_bytes()
    with pytest.raises(Problem, match=r"params.own\.yml is already there"):
        draft("own", complaints=file, root=tmp_path)
    assert (tmp_path / "params" / "own.yml").read_bytes() == before
    (tmp_path / "data" / "other").mkdir()
    (tmp_path / "data" / "other" / "README.md").write_text("mine")
    with pytest.raises(Problem, match="already there"):
        draft("other", complaints=file, root=tmp_path)
    assert not (tmp_path / "params" / "other.yml").exists()


@pytest.mark.parametrize("name", ["../up", "a/b", "", "CON", "lpt1", "x" * 65, "a b", "año", "."])
def test_a_name_that_cannot_be_a_files_is_refused(tmp_path, write, name):
    with pytest.raises(Problem, match="cannot name a study"):
        draft(name, complaints=write(complaints()), root=tmp_path)
    assert not (tmp_path / "params").exists()


def test_no_file_a_missing_file_and_an_empty_one(tmp_path, write):
    with pytest.raises(Problem, match="no file to begin with"):
        draft("own", root=tmp_path)
    with pytest.raises(Problem, match="there is no file"):
        draft("own", complaints=tmp_path / "gone.csv", root=tmp_path)
    with pytest.raises(Problem, match="has no rows"):
        draft("own", complaints=write({"a": []}), root=tmp_path)


def test_a_file_outside_the_project_is_named_in_full(tmp_path, write):
    root = tmp_path / "project"
    root.mkdir()
    file = write(complaints())
    made = draft("own", complaints=file, root=root)
    assert yaml.safe_load(made.parameters.read_text())["data"]["complaints"]["path"] == str(file)


@pytest.mark.parametrize("kind", ["complaints", "survey", "operations"])
def test_column_names_are_data(drafted, tmp_path, kind):
    columns = {name: ["a", "b"] * 20 for name in HOSTILE}
    entry, text = drafted(kind, columns | {"site": ["x", "y"] * 20}, quoting=csv.QUOTE_ALL)
    assert entry == {"path": "own.csv", "roles": {"site": "site"}}
    assert reads(entry, kind, tmp_path)["site"].nunique() == 2
    assert yaml.safe_load(text).keys() == {"study", "title", "language", "report", "data"}


@pytest.mark.parametrize("name", [name for name in HOSTILE if name])
def test_a_hostile_name_that_plays_a_role_comes_back_whole(drafted, tmp_path, name):
    items = {f"{name}{n}": answers(seed=n) for n in range(1, 4)}
    entry, _ = drafted("survey", items, quoting=csv.QUOTE_ALL)
    assert [item for group in entry["dimensions"].values() for item in group] == list(items)
    assert list(reads(entry, "survey", tmp_path)) == list(items)


def test_the_dictionary_tells_no_number_of_anyone(drafted, tmp_path):
    """Neither of a marked column, nor of an identifier, nor of one that no role is found for."""
    some = {"folio": range(7001, 7061), "agent": [41, 42, 47] * 20, "wait": range(301, 361)}
    some |= {"line": range(600111222, 600111282), "fecha_ingreso": complaints()["fecha_ingreso"]}
    drafted("complaints", some)
    said = (tmp_path / "data" / "own" / "README.md").read_text(encoding="utf-8")
    cells = [row.split(" | ") for row in said.splitlines() if row.startswith("| ")]
    held = {row[0].strip("| "): row[3] for row in cells}
    assert {name: held[name] for name in ("folio", "agent", "line", "wait")} == {
        "folio": "numbers",
        "agent": "numbers",
        "line": "numbers",
        "wait": "301 to 360",
    }


def test_the_dictionary_lists_every_column_and_tells_no_customers_words(drafted, tmp_path):
    letters = [
        f"My bill for Mrs Smith number {n} was wrong and nobody ever answered" for n in range(60)
    ]
    drafted("complaints", complaints(narrative=letters, odd=["a|b"] * 60) | {"<b>|x": ["s"] * 60})
    said = (tmp_path / "data" / "own" / "README.md").read_text(encoding="utf-8")
    assert "Smith" not in said
    assert "| narrative | text | text | about" in said
    rows = [line for line in said.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 5  # heading and columns
    assert all(line.replace("\\|", "").count("|") == 7 for line in rows)
    assert "&lt;b&gt;\\|x" in said


# --- guesses ------------------------------------------------------------------------------------


def test_a_date_is_taken_only_if_one_format_reads_every_row(drafted):
    table = complaints() | {"fecha_ingreso": ["03/04/2025", "05/06/2025"] * 30}
    entry, text = drafted("complaints", table)
    assert "opened" not in entry["roles"]
    assert '"%d/%m/%Y" and "%m/%d/%Y" read every row' in text


def test_one_late_day_settles_day_and_month(drafted, tmp_path):
    days = ["03/04/2025"] * 59 + ["28/04/2025"]
    entry, _ = drafted("complaints", complaints() | {"fecha_ingreso": days})
    assert entry["roles"]["opened"] == {"column": "fecha_ingreso", "format": "%d/%m/%Y"}
    assert reads(entry, "complaints", tmp_path)["opened"][0] == pd.Timestamp(2025, 4, 3)


def test_a_date_that_some_row_breaks_is_left_out(drafted):
    entry, text = drafted(
        "complaints", complaints() | {"fecha_ingreso": ["2025-01-01"] * 59 + ["soon"]}
    )
    assert "opened" not in entry["roles"]
    assert "no one common format reads every row" in text


def test_a_month_that_two_formats_spell_alike_is_not_in_doubt(drafted):
    entry, _ = drafted("complaints", complaints() | {"fecha_ingreso": ["03 May 2025"] * 60})
    assert entry["roles"]["opened"]["format"] == "%d %b %Y"


def test_a_birthday_is_not_when_the_survey_was_answered(drafted):
    entry, text = drafted(
        "survey", {"fecha_nacimiento": ["1980-05-28"] * 80, "q1": answers(), "q2": answers(seed=2)}
    )
    assert "answered" not in entry["roles"]
    assert "answered: dates without a role: fecha_nacimiento" in text


def test_closed_and_opened_give_the_time_to_resolution(drafted, tmp_path):
    closed = pd.date_range("2025-01-04", periods=60).strftime("%Y-%m-%d").to_series(index=range(60))
    closed[59] = "NULL"
    entry, text = drafted("complaints", complaints(fecha_cierre=closed))
    assert entry["roles"]["closed"] == {"column": "fecha_cierre", "missing": ["NULL"]}
    assert "confirm that these mean: no value" in text
    found = reads(entry, "complaints", tmp_path)
    assert found["resolution_d"][0] == 3
    assert found["resolution_d_open"].sum() == 1


def test_items_pair_with_their_expectations_and_codes_are_asked_about(drafted, tmp_path):
    perceived = {f"p{n:02}": answers(seed=n) for n in range(1, 6)}
    expected = {f"e{n:02}": answers(seed=n + 9) for n in range(1, 6)}
    perceived["p01"][0] = 99
    entry, text = drafted("survey", {**perceived, **expected, "recommend": answers(80, 0, 10)})
    assert entry["scale"] == [1, 7]
    assert entry["dimensions"] == {"all_items": list(perceived)}
    assert entry["expectations"] == dict(zip(perceived, expected, strict=True))
    assert entry["missing_answers"] == [99]
    assert "confirm: these lie outside the scale" in text
    assert entry["roles"]["recommend"] == {"column": "recommend", "scale": [0, 10]}
    assert np.isnan(reads(entry, "survey", tmp_path)["p01"][0])


def test_prefixes_are_dimensions_and_another_scale_is_left_out(drafted):
    table = {f"{stem}_{n}": answers(seed=n) for stem in ("qual", "loyal") for n in (1, 2, 3)}
    table |= {f"often_{n}": answers(80, 1, 5, seed=n) for n in (1, 2)}
    entry, text = drafted("survey", table)
    assert list(entry["dimensions"]) == ["qual", "loyal"]
    assert "often_1, often_2: on another scale, 1 to 5" in text


def test_ratings_side_by_side_are_items_and_nought_is_asked_about(drafted):
    names = ["Seat comfort", "Gate location", "Food, drink", "Wifi", "Cleanliness"]
    table = {"Age": np.arange(80) + 18} | {
        name: answers(80, 0, 5, seed=len(name)) for name in names
    }
    entry, text = drafted("survey", table)
    assert entry["dimensions"] == {"all_items": names}
    assert (entry["scale"], entry["missing_answers"]) == ([1, 5], [0])
    assert '"Gate location": its numbers look like answers' in text


def test_a_satisfaction_in_words_is_left_out(drafted):
    entry, text = drafted(
        "survey", {"q1": answers(), "q2": answers(seed=2), "satisfaction": "good"}
    )
    assert "satisfaction" not in entry["roles"]
    assert "it holds words (1 different)" in text


def operations(rows=100):
    rng = np.random.default_rng(3)
    return {
        "call_id": np.arange(rows),
        "call_start": pd.date_range("2025-01-02", periods=rows, freq="7min").astype(str),
        "wait (min)": rng.exponential(2, rows).round(2),
        "outcome": rng.choice(["Answered", "Abandoned"], rows),
        "FCR": rng.choice(["Y", "N"], rows),
    }


def test_waits_have_their_unit_and_flags_their_words(drafted, tmp_path):
    entry, _ = drafted("operations", operations())
    assert entry["roles"] == {
        "contact": "call_id",
        "arrived": "call_start",
        "abandoned": {"column": "outcome", "yes": ["abandoned"], "no": ["answered"]},
        "wait_s": {"column": "wait (min)", "unit": "min"},
        "resolved": "FCR",
    }
    found = reads(entry, "operations", tmp_path)
    assert found["wait_s"].sum() == pytest.approx(operations()["wait (min)"].sum() * 60)
    assert found["abandoned"].sum() == (operations()["outcome"] == "Abandoned").sum()


def test_a_wait_without_a_unit_is_left_out(drafted):
    table = operations()
    table["wait"] = table.pop("wait (min)")
    entry, text = drafted("operations", table)
    assert "wait_s" not in entry["roles"]
    assert "wait_s: wait: its name has no unit" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Calls": np.arange(100)}, "Calls looks like a count"),
        ({"call_id": np.arange(100) // 4}, "a row looks like an event"),
    ],
)
def test_counts_and_event_logs_are_no_contacts(drafted, change, words):
    entry, text = drafted("operations", operations() | change)
    assert entry is None
    assert words in text


def test_a_decimal_comma_is_seen(drafted, tmp_path):
    entry, _ = drafted("complaints", complaints(monto_reclamado=["12,5", "7,25"] * 30), sep=";")
    assert entry["decimal"] == ","
    assert reads(entry, "complaints", tmp_path)["amount"].tolist()[:2] == [12.5, 7.25]


@pytest.mark.parametrize(
    ("letter", "language"),
    [
        ("I was not told that the bill would rise and they never answered me", "en"),
        ("No me dijeron que la factura iba a subir y nadie contesta por teléfono", "es"),
        ("快递太慢了，等了一个星期还没有到，客服态度也很差，非常失望", "zh"),
    ],
)
def test_the_language_is_that_of_the_letters(drafted, letter, language):
    table = complaints(texto=[f"{letter} {n}" for n in range(60)])
    entry, text = drafted("complaints", table)
    assert entry["roles"]["text"] == "texto"
    assert yaml.safe_load(text)["language"] == language


def test_the_same_files_draft_the_same(tmp_path, write):
    file = write(complaints(motivo=["a", "b"] * 30))
    first, second = (draft(name, complaints=file, root=tmp_path) for name in ("one", "two"))
    same = re.sub(r"\bone\b", "two", first.parameters.read_text()).replace("One", "Two")
    assert same == second.parameters.read_text()
    assert first.roles == second.roles


def test_complaints_that_name_contacts_draft_their_drivers(tmp_path, write):
    days = pd.date_range("2025-01-01", periods=60).strftime("%Y-%m-%d")
    contacts = {
        "contact_id": [f"K{n}" for n in range(60)],
        "arrived_at": days,
        "channel": ["phone", "chat"] * 30,
        "wait_s": answers(60, 0, 600),
    }
    operations = write(contacts, "contacts.csv")
    cases = write(complaints(contact_id=[f"K{n}" for n in range(60)]), "cases.csv")
    made = draft("own", operations=operations, complaints=cases, root=tmp_path)
    said = yaml.safe_load(made.parameters.read_text(encoding="utf-8"))
    assert set(said["data"]["operations"]["roles"]) == {"contact", "arrived", "channel", "wait_s"}
    # no site, no agent and no ending in the file: none is asked for
    assert said["analyse"] == {
        "outcome": "complained",
        "drivers": ["wait_s", "channel"],
        "known_at": {"wait_s": "before", "channel": "before"},
        "fixed": "",
        "hold_out": [],
        "cluster": "",
        "reference": {},
    }
