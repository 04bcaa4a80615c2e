"""A secret in the environment is searched for in every byte that a run writes, however it ends."""

import os
import sqlite3
import subprocess
import sys

import nbformat
import pytest
from conftest import write_notebook, write_study

from sqm.cli import FAILED, WRONG, main

PASSWORD, OTHER = "canary-7f3a9c-password", "canary-5b1e2d-unrelated"
USER, HOST, BASE = "canary-user-81", "canary-host-42.invalid", "canary-base-63"
CANARIES = (PASSWORD, OTHER, USER, HOST, BASE)
SOUND = "select id, day from complaints"
# The last row is too much for abs(): the check reads the first ones, the notebook all of them.
BREAKS = "select id, day, abs(-9223372036854775807 - (id = 2000)) as n from complaints"
READS = """\
from sqm.study import Study
here = Study(study, phase="define")
cases = here.table("complaints")
secret = here.reading("complaints")
print(len(cases), secret.file)
"""
FORMS = {
    "refused": f"postgresql+psycopg://{USER}:{PASSWORD}@127.0.0.1:9/{BASE}?application_name={OTHER}",
    "unknown": f"postgresql+psycopg://{USER}:{PASSWORD}@{HOST}/{BASE}?connect_timeout=1",
    "no driver": f"{PASSWORD}://{USER}@{HOST}/{BASE}",
    "no address": PASSWORD,
    "no port": f"postgresql+psycopg://{USER}:{PASSWORD}@{HOST}:{OTHER}/{BASE}",
    "no mode": f"postgresql+psycopg://{USER}:{PASSWORD}@127.0.0.1:9/{BASE}?sslmode={PASSWORD}-2",
    "no socket": f"postgresql+psycopg://{USER}:{PASSWORD}@/{BASE}?host=/tmp/{PASSWORD}-2",
    "no file": f"sqlite:///data/{PASSWORD}.db",
    "no SQLite": f"sqlite://{USER}:{PASSWORD}@{HOST}/{BASE}.db",
}


@pytest.fixture
def service(project):
    """A project whose complaints lie in a database that only the environment names."""
    base = sqlite3.connect(project / "data" / f"{BASE}.db")
    base.execute("create table complaints (id integer, day text)")
    rows = [(n, "2025-01-01") for n in range(1, 2001)]
    base.executemany("insert into complaints values (?, ?)", rows)
    base.commit()
    base.close()
    write_notebook(project, "define", extra=READS)
    return project


def write_asking(project, name, query):
    """Write a study that asks the database of the environment."""
    path = write_study(project, name)
    asks = f"database: env:SQM_TEST_BASE\n    query: {query}"
    text = path.read_text(encoding="utf-8").replace("path: data/complaints.csv", asks)
    path.write_text(text, encoding="utf-8")


def command(*arguments, address, **more):
    """The command as its own process, with two secrets in its environment."""
    secrets = {"SQM_TEST_BASE": address, "SQM_TEST_OTHER": OTHER}
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-m", "sqm", *arguments],
        capture_output=True, text=True, env={**os.environ, **paths, **secrets}, **more,
    )  # fmt: skip


def told_by(project, done):
    """Every file and folder with its content, and what the command said, by name."""
    written = [path for path in project.rglob("*") if path.name != f"{BASE}.db"]
    told = {path.relative_to(project).as_posix(): b"" for path in written}
    told |= {name: (project / name).read_bytes() for name in told if (project / name).is_file()}
    return told | {"stdout": done.stdout.encode(), "stderr": done.stderr.encode()}


def leaks(told):
    """Where a canary stands, in a file's name or in its bytes."""
    return [
        (name, canary)
        for name, content in told.items()
        for canary in CANARIES
        if canary in name or canary.encode() in content
    ]


def test_no_secret_is_written_by_runs_that_end_well_or_badly(service):
    write_asking(service, "good", SOUND)
    write_asking(service, "breaks", BREAKS)
    address = f"sqlite:///data/{BASE}.db?timeout=7&token={PASSWORD}"
    done = command("run", "good", "breaks", "--jobs", "2", address=address)
    assert done.returncode == FAILED, done.stderr
    assert "breaks failed: 1-define.ipynb: complaints: the database did not answer" in done.stderr
    told = told_by(service, done)
    assert {"out/good/report.html", "out/good/run.json"} <= set(told)
    failed = nbformat.reads(told["out/breaks/failed/1-define.ipynb"].decode(), as_version=4)
    errors = [o for c in failed.cells for o in c.get("outputs", []) if o.output_type == "error"]
    assert len(errors) == 1
    assert any("here.table" in line for line in errors[0].traceback)  # it is a whole one
    assert b"2000 select id, day" in told["out/good/define/1-define.ipynb"]
    assert leaks(told) == []


@pytest.mark.parametrize("form", FORMS)
def test_no_part_of_an_address_is_told_when_nobody_answers(service, form, capsys, monkeypatch):
    monkeypatch.setenv("SQM_TEST_BASE", FORMS[form])
    monkeypatch.setenv("SQM_TEST_OTHER", OTHER)
    write_asking(service, "asks", SOUND)
    assert main(["run", "asks"]) == WRONG
    said = capsys.readouterr()
    assert "To mend: " in said.err and not (service / "out").exists()
    assert [canary for canary in CANARIES if canary in said.err + said.out] == []
