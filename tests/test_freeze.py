"""What is proposed is written once and signed; what fires is told, and silence is no good news."""

import pandas as pd
import pytest
from conftest import write_notebook

from sqm import cli, ledger, shelf
from sqm.chart_limits import LEDGER
from sqm.checks import Problem
from sqm.cli import ALARM, DONE, FAILED, main
from sqm.finding import Finding
from sqm.freeze import freeze

KEEPS = """\
import json
from pathlib import Path
import pandas as pd
from sqm import shelf as shelves
from sqm.finding import Finding

class Told(Finding):
    def sentence(self):
        return "told"
    def plot(self, ax=None):
        raise NotImplementedError

told = Told(table=pd.DataFrame({table}))
shelves.keep(told, "{name}", shelf=shelf, phase="control", answer="", settings={{}})
"""
PROPOSED = {name: ["", ""] for name in LEDGER} | {
    "series": ["quick", "sure"],
    "centre": [0.25, 0.1],
    "data_sha256": ["ab", "cd"],
    "action": ["propose", "wait"],
    "chance": [0.1, 0.2],
}
FIRES = {
    "series": ["quick"],
    "state": ["worse"],
    "since": ["2025-10-06"],
    "rule": ["beyond the limits"],
    "owner": ["Ana"],
    "reaction": ["call for help \x1b[31m\ntiny: nothing needs a reaction."],
}


class Told(Finding):
    def sentence(self):
        return "told"

    def plot(self, ax=None):
        raise NotImplementedError


def kept(project, name, table):
    """What a run of Control would have put on its shelf."""
    place = project / "out" / "tiny" / "control"
    place.mkdir(parents=True, exist_ok=True)
    found = Told(table=pd.DataFrame(table))
    shelf.keep(found, name, shelf=place, phase="control", answer="", settings={})


@pytest.fixture
def proposed(project):
    kept(project, "limits_proposed", PROPOSED)
    return project


def test_what_is_proposed_is_written_once_and_signed(proposed, capsys):
    said = ["freeze", "tiny", "--who", "Ana", "--why", "first limits"]
    assert main(said) == DONE
    path = proposed / "out" / "tiny" / "ledger" / "limits.csv"
    assert capsys.readouterr().out.splitlines()[-1] == str(path)
    row = ledger.read(path)
    assert row[["series", "centre", "who", "why"]].to_numpy().tolist() == [
        ["quick", 0.25, "Ana", "first limits"]
    ]
    assert not {"action", "chance"} & set(row)
    before = path.read_bytes()
    assert main([*said[:-1], "said twice"]) == DONE
    assert path.read_bytes() == before
    kept(proposed, "limits_proposed", PROPOSED | {"centre": [0.3, 0.1]})
    assert main(said) == DONE
    assert path.read_bytes().startswith(before)
    assert ledger.read(path)["centre"].tolist() == [0.25, 0.3]


def test_an_entry_needs_an_author_a_reason_and_a_proposal(proposed):
    places = {"root": proposed, "out": proposed / "out"}
    with pytest.raises(Problem, match="who is blank"):
        freeze("tiny", **places, who=" ", why="new centre")
    with pytest.raises(Problem, match="no ledger 'limit'"):
        freeze("tiny", **places, who="Ana", why="new centre", only="limit")
    with pytest.raises(Problem, match="nothing to be frozen in cycles"):
        freeze("tiny", **places, who="Ana", why="new centre", only="cycles")


@pytest.fixture
def carried_out(project, capsys):
    """A study that was carried out once."""
    assert main(["run", "tiny"]) == DONE
    capsys.readouterr()
    return project


def test_watch_runs_control_alone_and_its_exit_code_tells(carried_out, capsys):
    write_notebook(carried_out, "control", extra=KEEPS.format(table=FIRES, name="alerts"))
    assert main(["watch", "tiny"]) == ALARM == 3
    said = capsys.readouterr().err
    assert "tiny: quick since 2025-10-06: beyond the limits. Ana: call for help" in said
    assert "\ntiny: nothing" not in said
    assert "\x1b" not in said
    assert "analyse" not in said
    assert (carried_out / "out" / "tiny" / "report.html").is_file()


@pytest.mark.parametrize(("state", "code"), [("better", DONE), ("worse", ALARM)])
def test_only_what_is_worse_fires(proposed, capsys, state, code):
    kept(proposed, "alerts", FIRES | {"state": [state]})
    assert cli._tell_alerts("tiny", proposed / "out") == code


def test_watching_nothing_is_a_failure(proposed, capsys):
    assert cli._tell_alerts("tiny", proposed / "out") == FAILED
    assert "nothing was watched" in capsys.readouterr().err
