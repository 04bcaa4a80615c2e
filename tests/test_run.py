"""A batch finishes, or says why not, and never passes off half a run as a whole one."""

import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from conftest import write_notebook, write_study

from sqm import execute, run, writing
from sqm.cli import DONE, FAILED, INTERRUPTED, WRONG, main
from sqm.places import PHASES

CLOCKED = ("run.json", "batch.json", ".lock")


def sqm(*arguments):
    """Run the command in this process and hand back its exit code."""
    return main([str(argument) for argument in arguments])


def record(project, study="tiny"):
    return json.loads((project / "out" / study / "run.json").read_text(encoding="utf-8"))


def test_a_run_writes_report_record_and_executed_notebooks(project, capsys):
    assert sqm("run", "tiny") == DONE
    place = project / "out" / "tiny"
    assert capsys.readouterr().out.strip() == str(place / "report.html")
    assert "It does at 0.95." in (place / "report.html").read_text(encoding="utf-8")
    for number, phase in enumerate(PHASES, start=1):
        assert (place / phase / f"{number}-{phase}.ipynb").is_file()
    said = record(project)
    assert said["written"]["measure/answer.csv"] == writing.sha256(place / "measure" / "answer.csv")
    assert said["notebooks"]["1-define.ipynb"]
    assert not (place / ".running").exists()


def test_set_reaches_the_notebook_and_is_recorded(project):
    assert sqm("run", "tiny", "--set", "measure.confidence=0.9") == DONE
    page = (project / "out" / "tiny" / "report.html").read_text(encoding="utf-8")
    assert "It does at 0.9." in page
    assert record(project)["changes"] == ["measure.confidence=0.9"]


def test_nothing_runs_when_any_study_has_a_problem(project, capsys):
    write_study(project, "wrong", "measure: {confidnce: 0.9}\n")
    assert sqm("run", "tiny", "wrong") == WRONG
    assert "did you mean 'confidence'" in capsys.readouterr().err
    assert not (project / "out").exists()


def test_check_says_the_same_and_runs_nothing(project, capsys):
    write_study(project, "wrong", "measure: {confidnce: 0.9}\nimprove: {levels: 1}\n")
    assert sqm("check", "wrong") == WRONG
    assert "2 problems; nothing was run." in capsys.readouterr().err
    assert sqm("check", "tiny") == DONE


def test_a_failing_notebook_stops_its_study_and_no_other(project, capsys):
    write_study(project, "second", "analyse: {names: [fail]}\n")
    write_notebook(project, "analyse", extra="assert not names, 'as planned'")
    assert sqm("run", "second", "tiny") == FAILED
    said = capsys.readouterr()
    assert "second failed: 3-analyse.ipynb: AssertionError: as planned" in said.err
    assert (project / "out" / "tiny" / "report.html").is_file()
    place = project / "out" / "second"
    assert (place / "measure" / "phase.json").is_file()
    assert not (place / "analyse").exists()
    assert not (place / "run.json").exists()
    failed = nbformat.read(place / "failed" / "3-analyse.ipynb", as_version=4)
    outputs = [output for cell in failed.cells for output in cell.get("outputs", [])]
    assert any(output.output_type == "error" for output in outputs)


def test_a_run_goes_on_from_a_phase_once_the_cause_is_mended(project, capsys):
    write_notebook(project, "analyse", extra="raise ValueError('not yet')")
    assert sqm("run", "tiny") == FAILED
    write_notebook(project, "analyse")
    before = (project / "out/tiny/define/1-define.ipynb").stat().st_mtime_ns
    assert sqm("run", "tiny", "--phase", "analyse") == DONE
    assert (project / "out/tiny/define/1-define.ipynb").stat().st_mtime_ns == before
    assert set(record(project)["phases"]) == set(PHASES)


def test_a_phase_that_builds_on_a_missing_one_is_a_problem(project, capsys):
    assert sqm("run", "tiny", "--phase", "analyse") == WRONG
    assert "define has not been carried out" in capsys.readouterr().err
    assert sqm("run", "tiny", "--phase", "analyze") == WRONG
    assert "did you mean 'analyse'" in capsys.readouterr().err


@pytest.mark.parametrize("death", ["os._exit(1)", "os.kill(os.getpid(), 9)", "os._exit(0)"])
def test_a_kernel_that_dies_fails_its_study(project, capsys, death):
    write_notebook(project, "define", extra=death)
    assert sqm("run", "tiny") == FAILED
    assert "tiny failed: 1-define.ipynb" in capsys.readouterr().err
    assert not (project / "out/tiny/define").exists()


def test_a_notebook_that_leaves_early_is_not_taken_for_finished(project, capsys):
    write_notebook(project, "control", extra="import sys; sys.exit(0)")
    assert sqm("run", "tiny") == FAILED
    assert not (project / "out/tiny/run.json").exists()


def test_the_last_finished_run_outlives_a_failing_one(project, capsys):
    assert sqm("run", "tiny") == DONE
    page = (project / "out/tiny/report.html").read_bytes()
    write_notebook(project, "improve", extra="raise ValueError('broken')")
    assert sqm("run", "tiny") == FAILED
    assert (project / "out/tiny/previous/report.html").read_bytes() == page
    assert not (project / "out/tiny/report.html").exists()
    write_notebook(project, "improve")
    assert sqm("run", "tiny") == DONE
    assert not (project / "out/tiny/previous").exists()


def test_two_runs_of_one_study_at_once(project, capsys):
    with execute.lock(project / "out" / "tiny"):
        assert sqm("run", "tiny") == FAILED
    assert f"is being run by process {os.getpid()}" in capsys.readouterr().err
    assert sqm("run", "tiny") == DONE


def test_two_studies_of_one_name_are_refused(project, capsys):
    write_study(project, "tiny").rename(project / "copy.yml")
    write_study(project, "tiny")
    assert sqm("run", "tiny", "copy.yml") == WRONG
    assert "Two of the studies are called 'tiny'" in capsys.readouterr().err


def test_an_interrupted_run_leaves_nothing_that_counts_and_the_next_goes_on(project):
    write_notebook(project, "measure", extra="import time; time.sleep(60)")
    batch = subprocess.Popen(
        [sys.executable, "-m", "sqm", "run", "tiny"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    running = project / "out/tiny/.running/measure"
    while not running.exists():
        assert batch.poll() is None
        time.sleep(0.1)
    time.sleep(2)
    batch.send_signal(signal.SIGINT)
    assert "Interrupted" in batch.communicate(timeout=20)[1]
    assert batch.returncode == INTERRUPTED
    assert not (project / "out/tiny/run.json").exists()
    assert not (project / "out/tiny/measure").exists()
    write_notebook(project, "measure")
    assert sqm("run", "tiny") == DONE


def test_the_same_inputs_give_the_same_bytes_whatever_the_jobs(project):
    write_study(project, "second")
    assert sqm("run", "tiny", "second", "--jobs", 1) == DONE
    first = _bytes(project / "out")
    assert sqm("run", "second", "tiny", "--jobs", 2, "--force") == DONE
    assert _bytes(project / "out") == first
    assert len(first) > 20


def test_exercises_are_left_out_of_a_batch_and_kept_when_opened(project):
    assert sqm("open", "tiny") == DONE
    opened = nbformat.read(project / "out/tiny/by-hand/1-define.ipynb", as_version=4)
    assert any("exercise" in cell.metadata.get("tags", []) for cell in opened.cells)
    assert all(not cell.outputs for cell in opened.cells if cell.cell_type == "code")


def test_open_injects_the_parameters_and_overwrites_nothing(project, capsys):
    write_study(project, "tiny", "measure: {confidence: 0.8}\n")
    assert sqm("open", "tiny") == DONE
    opened = nbformat.read(project / "out/tiny/by-hand/2-measure.ipynb", as_version=4)
    assert any("confidence = 0.8" in cell.source for cell in opened.cells)
    assert sqm("open", "tiny") == WRONG
    assert "already" in capsys.readouterr().err


def test_list_names_the_studies(project, capsys):
    write_study(project, "broken").write_text("study: [", encoding="utf-8")
    assert sqm("list") == DONE
    said = capsys.readouterr().out
    assert "never run" in said
    assert "cannot be read" in said


def test_a_brace_in_the_path_is_no_template(project):
    assert sqm("run", "tiny", "--out", project / "out {put} %d") == DONE
    assert (project / "out {put} %d" / "tiny" / "report.html").is_file()


def test_no_escape_code_reaches_the_terminal(project, capsys):
    write_study(project, "tiny", '"measure\\e[31m": {}\n')
    assert sqm("check", "tiny") == WRONG
    assert "\x1b" not in capsys.readouterr().err


def test_version_and_help_are_quick_to_import():
    code = "import sys; from sqm.cli import _parser; _parser(); print('pandas' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"


def test_a_process_that_dies_is_an_outcome(project, monkeypatch):
    planned, _ = run.plan(["tiny"], root=project, out=project / "out")
    monkeypatch.setattr(run.sys, "executable", "/bin/false")
    (outcome,) = run.run(planned, jobs=1, say=lambda *event: None)
    assert "ended with code 1" in outcome.reason


def _bytes(out):
    """Every file that must be the same again: not the record of clock times, not the notebooks."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.suffix != ".ipynb" and path.name not in CLOCKED
    }


def test_what_a_notebook_prints_by_itself_is_no_event(project, capsys):
    forged = '{"state": "finished", "report": "forged", "seconds": 1}'
    prints = (
        f"import os, subprocess; subprocess.run(['echo', {forged!r}]); os.write(1, b'\\xff\\n')"
    )
    write_notebook(project, "measure", extra=prints + "; os._exit(1)")
    assert sqm("run", "tiny") == FAILED
    said = capsys.readouterr()
    assert "2-measure.ipynb: the kernel ended with code 1" in said.err
    assert "forged" not in said.out


def test_a_process_that_cannot_be_started_fails_its_study_alone(project, monkeypatch):
    planned, _ = run.plan(["tiny"], root=project, out=project / "out")

    def none_left(*_, **__):
        raise BlockingIOError("no process to be had")

    monkeypatch.setattr(run, "_start", none_left)
    (outcome,) = run.run(planned, jobs=1, say=lambda *event: None)
    assert "no process to be had" in outcome.reason
