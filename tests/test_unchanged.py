"""A phase is run again when, and only when, something that it rests on has changed."""

import hashlib
import json
import os
import shutil
import subprocess
import sys

import pytest
from conftest import write_notebook, write_study

from sqm import execute, parameters, unchanged
from sqm.cli import DONE, FAILED, main
from sqm.places import PHASES


def sqm(*arguments):
    return main([str(argument) for argument in arguments])


def ran(project, study="tiny"):
    """Phases that the last run carried out, each with the reason."""
    said = json.loads((project / "out" / study / "run.json").read_text(encoding="utf-8"))
    return {phase: why for phase, why in said["ran"].items() if "not run again" not in why}


@pytest.fixture
def finished(project, capsys):
    """A project whose study has been carried out once."""
    assert sqm("run", "tiny") == DONE
    assert set(ran(project)) == set(PHASES)
    capsys.readouterr()
    return project


def test_nothing_is_run_again_and_the_report_stays(finished, capsys):
    page = finished / "out/tiny/report.html"
    seen = page.stat().st_mtime_ns
    assert sqm("run", "tiny") == DONE
    said = capsys.readouterr()
    assert "tiny  unchanged, not run again" in said.err
    assert said.out.strip() == str(page)
    assert page.stat().st_mtime_ns == seen
    batch = json.loads((finished / "out/batch.json").read_text(encoding="utf-8"))
    assert [each["state"] for each in batch["studies"]] == ["unchanged"]


def test_nothing_to_do_needs_neither_papermill_nor_pandas(finished):
    code = (
        "import sys; from sqm.cli import main; code = main(['run', 'tiny']);"
        "print([m for m in ('pandas', 'papermill', 'numpy', 'yaml') if m in sys.modules]);"
        "sys.exit(code)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == "[]"


def test_force_runs_all(finished):
    assert sqm("run", "tiny", "--force") == DONE
    assert ran(finished) == dict.fromkeys(PHASES, "asked for")


def test_a_parameter_concerns_its_phase_alone_while_findings_stay(finished):
    write_study(finished, "tiny", "analyse: {names: [a]}\n")
    assert sqm("run", "tiny") == DONE
    assert ran(finished) == {"analyse": "its parameters changed"}
    assert sqm("run", "tiny", "--set", "analyse.names=[b]") == DONE
    assert ran(finished) == {"analyse": "its parameters changed"}


def test_a_changed_finding_concerns_the_phases_after_it(finished):
    write_study(finished, "tiny", "analyse: {confidence: 0.8}\n")
    assert sqm("run", "tiny") == DONE
    assert ran(finished) == {
        "analyse": "its parameters changed",
        "improve": "an earlier phase's findings changed",
        "control": "an earlier phase's findings changed",
    }


def test_the_data_count_by_content(finished):
    table = finished / "data/complaints.csv"
    content = table.read_bytes()
    os.utime(table, (1, 1))
    table.write_bytes(content)
    assert sqm("run", "tiny") == DONE
    assert set(ran(finished)) == set(PHASES)  # the record of the first run: nothing was written
    table.write_bytes(content + b"3,2025-01-03\n")
    assert sqm("run", "tiny") == DONE
    assert ran(finished) == dict.fromkeys(PHASES, "the data changed")


def test_a_notebook_concerns_its_phase(finished):
    write_notebook(finished, "improve", extra="1 + 1")
    assert sqm("run", "tiny") == DONE
    assert ran(finished) == {"improve": "its notebook changed"}


@pytest.mark.parametrize("name", ["analyse/answer.csv", "analyse/phase.json", "report.html"])
def test_outputs_that_are_not_whole_are_made_again(finished, name):
    path = finished / "out/tiny" / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert sqm("run", "tiny") == DONE
    assert path.read_bytes() == whole
    path.unlink()
    assert sqm("run", "tiny") == DONE
    assert path.read_bytes() == whole


@pytest.mark.parametrize("part", ["of_versions", "of_source"])
def test_sqm_itself_and_its_versions_count(finished, monkeypatch, part):
    asked = {"root": finished, "out": finished / "out", "first": "define", "changes": ()}
    assert unchanged.whole("tiny", **asked)
    monkeypatch.setattr(unchanged, part, lambda: "other")
    assert unchanged.whole("tiny", **asked) is None


def test_a_database_is_asked_each_time():
    parts = {"data": "", "source": "a"}
    rests_on = unchanged.Phase(parts, {}, {})
    assert rests_on.key == ""
    assert "database" in unchanged.why_again({"key": "", "parts": parts}, rests_on)


def test_a_run_that_failed_goes_on_where_it_was(project, capsys):
    write_notebook(project, "analyse", extra="raise ValueError('not yet')")
    assert sqm("run", "tiny") == FAILED
    write_notebook(project, "analyse")
    assert sqm("run", "tiny") == DONE
    assert set(ran(project)) == {"analyse", "improve", "control"}


def test_a_study_of_the_same_name_beside_an_unchanged_one_is_refused(finished, capsys):
    write_study(finished, "tiny").rename(finished / "copy.yml")
    write_study(finished, "tiny")
    assert sqm("run", "tiny", "copy.yml") == 2
    assert "Two of the studies are called 'tiny'" in capsys.readouterr().err


def test_a_record_that_was_tampered_with_proves_nothing(finished):
    for content in (b"[" * 100_000, b"{}", b'{"written": {"phase.json": 1}}', b"\xff"):
        (finished / "out/tiny/measure/made.json").write_bytes(content)
        assert unchanged.made(finished / "out/tiny/measure") is None
    shutil.rmtree(finished / "out/tiny/measure")
    assert sqm("run", "tiny") == DONE
    assert "measure" in ran(finished)


@pytest.mark.parametrize("path", ["data/answers[1].csv", "data/monthly", "data/m-*.csv"])
def test_every_file_of_a_table_counts_and_every_new_one(project, path):
    (project / "data" / "monthly").mkdir()
    named = {"data/monthly": "data/monthly/01.csv", "data/m-*.csv": "data/m-01.csv"}
    first = project / named.get(path, path)
    first.write_bytes((project / "data/complaints.csv").read_bytes())
    text = write_study(project, "tiny").read_text(encoding="utf-8")
    text = text.replace("data/complaints.csv", f"'{path}'")
    found = parameters.load(str(_written(project / "params/tiny.yml", text)), root=project)
    job = execute.Job("tiny", project, project / "out")

    def rests_on():
        unchanged._hashed.cache_clear()
        seen = execute._rests_on("define", found, job, project / "out/tiny", project / "none")
        return seen.key, seen.files, seen.folders

    before = rests_on()
    assert before[0] and str(first) in before[1]
    first.write_text("id,day\n1,2025-01-01\n")
    changed = rests_on()
    assert changed[0] != before[0]
    if path != "data/answers[1].csv":
        first.with_name(first.name.replace("1", "2")).write_text("id,day\n")
        assert rests_on()[2] != before[2]


def _written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_a_study_file_that_changes_while_it_runs_is_noticed(project):
    saves = "Path('params/tiny.yml').open('a').write('control: {confidence: 0.8}\\n')"
    write_notebook(project, "measure", extra=saves)
    before = (project / "params/tiny.yml").read_bytes()
    assert sqm("run", "tiny") == DONE
    record = json.loads((project / "out/tiny/run.json").read_text(encoding="utf-8"))
    assert record["study_file"]["sha256"] == hashlib.sha256(before).hexdigest()
    text = before.decode() + "control: {confidence: 0.8}\n"
    (project / "params/tiny.yml").write_text(text, encoding="utf-8")
    write_notebook(project, "measure")
    assert sqm("run", "tiny") == DONE
    assert ran(project)["control"] == "its parameters changed"


def test_a_later_phase_is_not_put_upon_phases_of_two_runs(finished, capsys):
    write_notebook(finished, "analyse", extra="raise ValueError('not yet')")
    write_study(finished, "tiny", "measure: {confidence: 0.8}\n")
    assert sqm("run", "tiny") == FAILED
    shutil.copytree(finished / "out/tiny/previous/analyse", finished / "out/tiny/analyse")
    assert sqm("run", "tiny", "--phase", "improve") == FAILED
    assert "stands on other findings" in capsys.readouterr().err


def test_what_is_set_for_a_phase_that_is_not_run_is_refused(finished, capsys):
    assert sqm("watch", "tiny", "--set", "measure.confidence=0.8") == 2
    assert "takes measure as it lies" in capsys.readouterr().err


def test_a_notebook_that_is_not_whole_is_made_again(finished):
    (finished / "out/tiny/define/1-define.ipynb").write_text("{cut")
    (finished / "out/tiny/measure/2-measure.ipynb").unlink()
    assert sqm("run", "tiny") == DONE
    assert set(ran(finished)) == {"define", "measure"}
    (finished / "out/tiny/define/.made.json.part").write_text("{")
    assert sqm("run", "tiny") == DONE
    assert json.loads((finished / "out/tiny/run.json").read_text())["keys"]["define"]
