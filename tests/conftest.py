"""A small project of its own for tests that run whole studies."""

import contextlib
import signal

import matplotlib as mpl
import matplotlib.pyplot as plt
import nbformat
import pytest

from sqm import warm
from sqm.places import PHASES

PARAMETERS = (
    'study: str = "tiny"  # names the study\n'
    "confidence: float = 0.95  # level\n"
    "names: list = []  # of things"
)
WORK = """\
import json, os
from pathlib import Path
shelf = Path(os.environ["SQM_SHELF"])
(shelf / "answer.csv").write_text("value\\n1\\n")
(shelf / "answer.json").write_text(json.dumps({{"name": "answer", "phase": "{phase}",
    "question": "Does it work?", "sentence": f"It does at {{confidence}}.", "numbers": {{}},
    "method": "m", "answer": "", "columns": {{"value": "int64"}}, "index": [],
    "picture_notes": [], "settings": {{}}}}))
"""
CLOSE = """\
(shelf / "phase.json").write_text(json.dumps({{"study": study, "phase": "{phase}",
    "parameters": {{"confidence": confidence}}, "read": [], "recalled": {{}},
    "kept": [{{"name": "answer", "files": {{}}}}], "not_examined": [], "versions": {{}}}}))
"""


@pytest.fixture(autouse=True)
def pictures_as_found():
    """What one test does to the look of pictures is undone before the next."""
    with mpl.rc_context():
        yield
    plt.close("all")  # a picture left open would be the next test's current one


@pytest.fixture(scope="session", autouse=True)
def interrupts_arrive():
    """Whatever starts the tests may ignore SIGINT, and all that they start would ignore it too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def server():
    """One warm process for all the tests that run studies; None where there can be none."""
    if warm.missing():
        yield None
        return
    started = warm.Warm.start()
    yield started
    started.close()


@pytest.fixture
def project(tmp_path, monkeypatch, server):
    """A project whose five notebooks do next to nothing, so that a run takes a second."""
    monkeypatch.setattr(warm.Warm, "start", lambda: contextlib.nullcontext(server))
    made_project(tmp_path)
    write_study(tmp_path, "tiny")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SQM_OUT", raising=False)
    return tmp_path


def made_project(root):
    """Write notebooks and data of a project without studies."""
    (root / "pyproject.toml").write_text("", encoding="utf-8")
    for folder in ("notebooks", "params", "data"):
        (root / folder).mkdir()
    for phase in PHASES:
        write_notebook(root, phase)
    (root / "data" / "complaints.csv").write_text("id,day\n1,2025-01-01\n2,2025-01-02\n")
    return root


def write_notebook(root, phase, *, extra=""):
    """Write a phase's notebook; ``extra`` is a cell that runs before the phase is closed."""
    given = nbformat.v4.new_code_cell(PARAMETERS)
    given.metadata.tags = ["parameters"]
    exercise = nbformat.v4.new_code_cell("raise SystemExit('an exercise never runs in a batch')")
    exercise.metadata.tags = ["exercise"]
    sources = [WORK.format(phase=phase), extra, CLOSE.format(phase=phase)]
    cells = [given, exercise, *map(nbformat.v4.new_code_cell, sources)]
    path = root / "notebooks" / f"{PHASES.index(phase) + 1}-{phase}.ipynb"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(made, path)


def write_study(root, name, more=""):
    """Write a study's file with one table of complaints."""
    text = f"""\
study: {name}
title: A tiny study
data:
  complaints:
    path: data/complaints.csv
    roles: {{complaint: id, opened: {{column: day, type: date}}}}
{more}"""
    path = root / "params" / f"{name}.yml"
    path.write_text(text, encoding="utf-8")
    return path
