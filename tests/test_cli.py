"""What a person types is understood or explained; nothing from data reaches the terminal raw."""

import io
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import write_notebook, write_study

import sqm
from sqm.cli import DONE, FAILED, WRONG, main
from sqm.progress import Progress

RED = "\x1b[31m"


@pytest.fixture
def exports(project):
    """Two files as somebody's system wrote them, outside params/ and data/."""
    folder = project / "my exports"
    folder.mkdir()
    rng = np.random.default_rng(1)
    opened = pd.date_range("2025-01-02", periods=60)
    complaints = {
        "complaint_id": [f"Q{n}" for n in range(60)],
        "date_received": opened.strftime("%Y-%m-%d"),
        "date_closed": (opened + pd.Timedelta(days=9)).strftime("%Y-%m-%d"),
        "category": ["billing", "waiting", "staff"] * 20,
        "text": ["=1+1 refund", "-- nobody calls", RED] * 20,
    }
    survey = {"respondent_id": range(60), "response_date": complaints["date_received"]}
    survey |= {f"q{n}": rng.integers(1, 8, 60) for n in range(1, 5)}
    survey["overall_satisfaction"] = rng.integers(1, 8, 60)
    pd.DataFrame(complaints).to_csv(folder / "complaints 2025.csv", index=False)
    pd.DataFrame(survey).to_csv(folder / "survey.csv", index=False)
    return folder


def command(*arguments, cwd):
    """The command as its own process, its outputs piped."""
    return subprocess.run(
        [sys.executable, "-m", "sqm", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


# --- a study of one's own -----------------------------------------------------------------------


def test_a_study_of_ones_own_files_from_new_to_report(project, exports, capsys):
    before = {path: path.read_bytes() for path in exports.iterdir()}
    complaints, survey = str(exports / "complaints 2025.csv"), str(exports / "survey.csv")
    assert main(["new", "mine", "--complaints", complaints, "--survey", survey]) == DONE
    said = capsys.readouterr()
    written = [project / "params" / "mine.yml", project / "data" / "mine" / "README.md"]
    assert said.out.splitlines() == [str(path) for path in written]
    assert said.err == "Read both, then run: sqm run mine\n"
    data = yaml.safe_load(written[0].read_text(encoding="utf-8"))["data"]
    assert data["complaints"]["roles"]["opened"] == "date_received"
    assert data["complaints"]["roles"]["category"] == "category"
    assert data["survey"]["roles"]["satisfaction"]
    assert {path: path.read_bytes() for path in exports.iterdir()} == before

    assert main(["check", "mine"]) == DONE
    assert capsys.readouterr().err == "Nothing to mend in mine.\n"

    done = command("run", "mine", cwd=project)
    assert done.returncode == DONE, done.stderr
    assert done.stdout == f"{project / 'out/mine/report.html'}\n"
    # piped, so one line an event, with nothing that moves a cursor
    events = done.stderr.splitlines()
    assert all(
        re.fullmatch(r" *\d+\.\d s  mine  \w+( \w+|  \(1 of 1\))?", line) for line in events
    ), events
    assert [line.split("  mine  ")[1] for line in events] == [
        *(
            f"{phase} {state}"
            for phase in ("define", "measure", "analyse", "improve", "control")
            for state in ("begins", "done")
        ),
        "finished  (1 of 1)",
    ]
    assert not re.search(r"[\x1b\r]", done.stderr)


@pytest.mark.parametrize("table", ["complaints", "survey"])
def test_one_table_is_enough(project, exports, capsys, table):
    (file,) = exports.glob(f"{table}*.csv")
    assert main(["new", "one", f"--{table}", str(file)]) == DONE
    assert main(["check", "one"]) == DONE
    said = yaml.safe_load((project / "params" / "one.yml").read_text(encoding="utf-8"))
    assert {"complaints", "survey"} & set(said["data"]) == {table}


def test_new_overwrites_nothing(project, exports, capsys):
    file = str(exports / "survey.csv")
    before = (project / "params" / "tiny.yml").read_bytes()
    assert main(["new", "tiny", "--survey", file]) == WRONG
    assert "already there" in capsys.readouterr().err
    assert (project / "params" / "tiny.yml").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["new", "mine"], "There is no file to begin with"),
        (["new", "../mine", "--survey", "my exports/survey.csv"], "cannot name a study"),
        (["new", "mine", "--survey", "my exports/surveys.csv"], "surveys.csv"),
    ],
)
def test_new_says_what_is_wrong(project, exports, capsys, arguments, message):
    assert main(arguments) == WRONG
    said = capsys.readouterr()
    assert said.err.startswith("Problem: ")
    assert message in said.err
    assert "To mend: " in said.err
    assert said.out == ""
    assert not (project / "params" / "mine.yml").exists()


# --- wrong arguments ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: COMMAND"),
        (["runn"], "invalid choice: 'runn'"),
        (["run"], "required: STUDY"),
        (["run", "tiny", "--job"], "expected one argument"),
        (["run", "tiny", "--jobs", "0"], "'0' is no count; give 1 or more"),
        (["run", "tiny", "--jobs", "-1"], "'-1' is no count"),
        (["run", "tiny", "--jobs", "two"], "'two' is no count"),
        (["run", "tiny", "--jobs", "1.5"], "'1.5' is no count"),
        (["open"], "required: STUDY"),
        (["new"], "required: NAME"),
        (["check", "tiny", "--loud"], "unrecognized arguments: --loud"),
    ],
)
def test_wrong_arguments_end_with_two_and_run_nothing(project, capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == WRONG
    assert message in capsys.readouterr().err
    assert not (project / "out").exists()


@pytest.mark.parametrize("name", ["run", "check", "open"])
def test_an_unknown_study_ends_with_two_and_a_hint(project, capsys, name):
    assert main([name, "tinny"]) == WRONG
    assert capsys.readouterr().err == (
        "Problem: There is no study 'tinny'.\n  To mend: did you mean 'tiny'?\n"
    )
    assert not (project / "out").exists()


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for name in ("run", "check", "open", "new", "list"):
        assert re.search(rf"^ +{name} ", said, flags=re.MULTILINE)


def test_the_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"sqm {sqm.__version__}\n"


def test_python_m_sqm_is_the_command(tmp_path):
    done = command("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"sqm {sqm.__version__}\n")
    assert command("run", cwd=tmp_path).returncode == WRONG


# --- what is said -------------------------------------------------------------------------------


def test_a_failing_notebook_cannot_write_to_the_terminal(project, capsys):
    write_notebook(project, "define", extra=f"raise ValueError({RED + 'as planned'!r})")
    assert main(["run", "tiny"]) == FAILED
    said = capsys.readouterr()
    assert "tiny failed: 1-define.ipynb: ValueError: \N{REPLACEMENT CHARACTER}[31mas planned" in (
        said.err
    )
    assert "\x1b" not in said.err + said.out
    assert said.err.splitlines()[0].endswith("s  tiny  define begins")
    assert said.out == ""


def test_a_title_cannot_write_to_the_terminal(project, capsys):
    path = write_study(project, "tiny")
    text = path.read_text().replace("A tiny study", '"A \\e[31mred\\e[0m \\u202Estudy"')
    path.write_text(text, encoding="utf-8")
    assert main(["list"]) == DONE
    said = capsys.readouterr().out
    assert re.search(r"^tiny +never run +A \ufffd\[31mred\ufffd\[0m \ufffdstudy$", said)


def test_on_a_terminal_each_study_has_its_line(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    with Progress(["tiny", "second"], first="improve") as progress:
        progress.show("tiny", "improve", "begins", 0.1)
        progress.show("tiny", "improve", "done", 1.0)
        progress.show("second", "improve", "unchanged", 0.1)
        progress.show("second", "", "failed", 1.2)
    last = screen.getvalue()
    assert re.search(r"tiny .* 1/2 ", last)
    assert re.search(r"second .* 1/2 .* unchanged", last)
    assert re.search(r"1\.2 s  second  failed  \(1 of 2; about \d+ \w+ left\)", last)
