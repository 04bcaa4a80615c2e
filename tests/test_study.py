"""A notebook reads its study, keeps what it finds, and passes over what the data cannot bear."""

import hashlib
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import nbformat
import pandas as pd
import papermill
import pytest
from conftest import write_study
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

import sqm
from sqm import look
from sqm.checks import Problem, Refusal
from sqm.clock import Calendar
from sqm.finding import Finding
from sqm.study import Study

SURVEY = """\
  time_zone: Europe/Madrid
  currency: EUR
  survey:
    path: data/survey.csv
    key: respondent
    missing: [99]
    scale: [1, 7]
    dimensions: {care: [p1, p2], speed: [p3]}
    expectations: {p1: e1}
    reverse: [p2]
    roles: {respondent: id, recommend: {column: nps, scale: [0, 10]}}
"""


@dataclass(frozen=True, eq=False)
class Answer(Finding):
    """A finding whose table says which run it came from."""

    share: float = 0.5

    def sentence(self):
        return f"{self.share:.0%} of them."

    def plot(self, ax=None):
        return look.label(look.axes(ax), title="How many?")


@pytest.fixture(autouse=True)
def by_hand(monkeypatch):
    """No batch and no look of the house left over, before and after."""
    monkeypatch.delenv("SQM_SHELF", raising=False)
    with mpl.rc_context():
        yield


@pytest.fixture
def surveyed(project):
    """The small project with a survey beside its complaints."""
    write_study(project, "tiny", SURVEY)
    rows = ["id,nps,p1,p2,p3,e1", "1,10,7,1,5,7", "2,99,6,2,99,6", "3,0,1,7,2,7"]
    (project / "data" / "survey.csv").write_text("\n".join(rows) + "\n")
    return project


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """A notebook's shell, taken down afterwards."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    made = InteractiveShell.instance(config=config)
    yield made
    made.restore_sys_module_state()
    InteractiveShell.clear_instance()


@pytest.fixture
def run(shell, project):
    """Run cells as a notebook does: what the last one returned and showed, or its error."""
    shell.user_ns.update(pd=pd, Refusal=Refusal, Problem=Problem, study="tiny")
    shell.user_ns["here"] = Study("tiny", phase="measure")

    def runs(*cells):
        for cell in cells:
            with capture_output() as shown:
                done = shell.run_cell(cell)
        return done, shown

    return runs


def answer(value):
    return Answer(pd.DataFrame({"value": [value]}))


def record(shelf):
    return json.loads((shelf / "phase.json").read_text(encoding="utf-8"))


# --- where it is --------------------------------------------------------------------------------


def test_the_root_is_found_from_the_root_and_from_the_notebooks(project, monkeypatch):
    assert Study("tiny", phase="measure").root == project
    monkeypatch.chdir(project / "notebooks")
    assert Study("tiny", phase="measure").root == project


def test_from_elsewhere_it_is_the_packages_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Study(phase="measure").root == Path(sqm.__file__).resolve().parent.parent


def test_a_study_or_phase_that_is_not_there(project):
    with pytest.raises(Problem, match="no phase 'mesure'") as caught:
        Study("tiny", phase="mesure")
    assert caught.value.mend == "did you mean 'measure'?"
    with pytest.raises(Problem, match="did you mean 'tiny'"):
        Study("tinny", phase="measure")


def test_by_hand_and_batch_have_their_own_shelves(project, monkeypatch):
    assert Study("tiny", phase="define").shelf == project / "out/tiny/by-hand/define"
    monkeypatch.setenv("SQM_OUT", str(project / "other"))
    assert Study("tiny", phase="define").shelf == project / "other/tiny/by-hand/define"
    monkeypatch.setenv("SQM_SHELF", str(project / "staging"))
    assert Study("tiny", phase="define").shelf == project / "staging"


def test_nothing_is_written_before_something_is_kept(project):
    Study("tiny", phase="define").table("complaints")
    assert not (project / "out").exists()


# --- what it knows ------------------------------------------------------------------------------


def test_it_knows_its_tables_by_role(surveyed):
    here = Study("tiny", phase="measure")
    assert (here.title, here.language, here.currency) == ("A tiny study", "en", "EUR")
    assert here.calendar == Calendar(time_zone="Europe/Madrid")
    assert here.dimensions == {"care": ["p1", "p2"], "speed": ["p3"]}
    assert here.perceptions == ["p1", "p2", "p3"]
    assert (here.expectations, here.reverse_worded) == ({"p1": "e1"}, ["p2"])
    assert here.points == (1, 7)
    assert here.keys() == {"survey": "respondent"}
    assert here.times() == {"complaints": "opened"}
    assert set(here.tables()) == {"complaints", "survey"}
    assert here.table("complaints")["complaint"].tolist() == ["1", "2"]
    assert here.table("survey")["recommend"].isna().tolist() == [False, True, False]


def test_a_table_is_read_once_and_each_cell_gets_its_own_copy(surveyed):
    here = Study("tiny", phase="measure")
    mine = here.table("survey")
    mine["p1"] = 0
    (surveyed / "data" / "survey.csv").unlink()
    assert here.table("survey")["p1"].tolist() == [7, 6, 1]


def test_notes_of_all_that_was_read(surveyed):
    here = Study("tiny", phase="measure")
    assert here.notes().empty
    here.table("survey")
    notes = here.notes()
    assert set(notes["table"]) == {"survey"}
    assert notes.loc[notes["column"] == "nps", "rows"].sum() == 1


def test_a_table_that_the_study_has_not(project):
    here = Study("tiny", phase="measure")
    for ask in (lambda: here.table("complaint"), lambda: here.dimensions):
        with pytest.raises(Problem, match="The study tiny has no table"):
            ask()
    with pytest.raises(Problem, match=r"tiny\.yml; did you mean 'complaints'"):
        here.table("complaint")


# --- what it lacks ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "need",
    [
        "complaints",
        "complaints.opened",
        "survey.recommend",
        "survey.dimensions",
        "survey.expectations",
        "survey.p3",
        "survey.e1",
    ],
)
def test_what_is_there_is_not_lacking(surveyed, need):
    assert Study("tiny", phase="measure").lacks(need) == ""


@pytest.mark.parametrize(
    ("need", "reason"),
    [
        ("operations", "the study has no table 'operations'"),
        ("operations.wait_s", "the study has no table 'operations'"),
        ("complaints.cost", "the table 'complaints' of this study has no 'cost'"),
        ("complaints.dimensions", "the table 'complaints' of this study has no 'dimensions'"),
        ("define.ctq_tree", "define has kept no 'ctq_tree'; carry out that phase first"),
        ("drivers", "it rests on 'drivers', which was not made"),
    ],
)
def test_what_is_lacking_is_named(surveyed, need, reason):
    assert Study("tiny", phase="measure").lacks(need) == reason


def test_a_finding_of_an_earlier_phase_is_there_once_it_is_kept(project):
    here = Study("tiny", phase="measure")
    Study("tiny", phase="define").keep(answer(1), "ctq_tree")
    assert here.lacks("define.ctq_tree") == ""


def test_an_empty_parameter_counts_as_not_set(run, shell):
    here = shell.user_ns["here"]
    shell.user_ns.update(names=[], word="", table={}, count=0, level=None, full=["a"])
    assert [here.lacks(each) for each in ("names", "word", "table")] == [
        "the study sets no 'names'",
        "nothing was put into 'word'",
        "nothing was put into 'table'",
    ]
    assert [here.lacks(each) for each in ("count", "level", "full")] == ["", "", ""]


def test_a_table_comes_before_a_name_of_the_notebook(run, shell):
    shell.user_ns.update(complaints=[], survey=pd.DataFrame())
    assert shell.user_ns["here"].lacks("complaints") == ""
    assert shell.user_ns["here"].lacks("survey") == ""


# --- shelves ------------------------------------------------------------------------------------


def test_by_hand_what_was_done_by_hand_comes_first(project, monkeypatch):
    monkeypatch.setenv("SQM_SHELF", str(project / "out/tiny/define"))
    Study("tiny", phase="define").keep(answer(1), "tree")
    monkeypatch.delenv("SQM_SHELF")
    here = Study("tiny", phase="measure")
    assert here.recall("define", "tree").table["value"].tolist() == [1]
    Study("tiny", phase="define").keep(answer(2), "tree")
    assert here.recall("define", "tree").table["value"].tolist() == [2]
    assert here.recall("define", "tree").numbers == {"share": 0.5}


def test_a_batch_never_reads_what_was_done_by_hand(project, monkeypatch):
    Study("tiny", phase="define").keep(answer(2), "tree")
    monkeypatch.setenv("SQM_SHELF", str(project / "out/tiny/.running/measure"))
    here = Study("tiny", phase="measure")
    assert here.lacks("define.tree")
    with pytest.raises(Problem, match="define has kept no 'tree' for the study tiny"):
        here.recall("define", "tree")


def test_a_phase_recalls_its_own_in_a_batch_too(project, monkeypatch):
    monkeypatch.setenv("SQM_SHELF", str(project / "out/tiny/.running/measure"))
    here = Study("tiny", phase="measure")
    here.keep(answer(3), "own")
    assert here.recall("measure", "own").sentence == "50% of them."


@pytest.mark.parametrize("name", ["../tree", "a/b", "", "CON", "a.b"])
def test_a_findings_name_cannot_leave_the_shelf(project, name):
    with pytest.raises(Problem, match="cannot name"):
        Study("tiny", phase="define").keep(answer(1), name)
    assert not (project / "out").exists()


# --- the record ---------------------------------------------------------------------------------


def test_close_writes_what_the_phase_rests_on(surveyed):
    Study("tiny", phase="define").keep(answer(1), "tree")
    here = Study("tiny", phase="measure")
    here.table("survey")
    here.table("complaints")
    here.recall("define", "tree")
    here.keep(answer(2), "gaps", answer="Where do we fall short?")
    here.keep(answer(3), "alpha")
    here.keep(answer(4), "gaps")
    here.not_examined("Why?", reason="too few.", mend="collect more.")
    shown = here.close()
    said = record(here.shelf)
    assert (said["study"], said["phase"]) == ("tiny", "measure")
    assert said["parameters"] == {"confidence": 0.95, "names": []}
    assert [each["table"] for each in said["read"]] == ["complaints", "survey"]
    for each in said["read"]:
        content = (surveyed / each["file"]).read_bytes()
        assert each["sha256"] == hashlib.sha256(content).hexdigest()
    assert [each["rows"] for each in said["read"]] == [2, 3]
    notes = said["read"][1]["notes"]
    assert {note["rows"] for note in notes if note["column"] == "nps"} == {1}
    assert all(set(note) == {"column", "what", "rows", "treatment"} for note in notes)
    tree = (surveyed / "out/tiny/by-hand/define/tree.csv").read_bytes()
    assert said["recalled"] == {"define/tree": hashlib.sha256(tree).hexdigest()}
    assert [each["name"] for each in said["kept"]] == ["alpha", "gaps"]
    for each in said["kept"]:
        assert sorted(each["files"]) == [f"{each['name']}.{s}" for s in ("csv", "json", "svg")]
        for name, digest in each["files"].items():
            assert hashlib.sha256((here.shelf / name).read_bytes()).hexdigest() == digest
    assert said["not_examined"] == [
        {"question": "Why?", "reason": "too few.", "mend": "collect more."}
    ]
    assert said["versions"]["sqm"] == sqm.__version__
    assert said["versions"]["pandas"] == pd.__version__
    assert shown.to_numpy().tolist() == [
        ["alpha", "kept", ""],
        ["gaps", "kept", ""],
        ["Why?", "not examined", "too few."],
    ]


def test_close_is_the_same_bytes_and_holds_no_clock_and_no_path(project):
    here = Study("tiny", phase="measure")
    here.table("complaints")
    here.close()
    first = (here.shelf / "phase.json").read_bytes()
    again = Study("tiny", phase="measure")
    again.table("complaints")
    again.close()
    assert (here.shelf / "phase.json").read_bytes() == first
    assert str(project) not in first.decode()
    assert not re.search(r"\d\d:\d\d", first.decode())


def test_a_phase_that_did_nothing_can_be_closed(project):
    here = Study("tiny", phase="measure")
    assert here.close().empty
    assert record(here.shelf)["kept"] == []


def test_parameters_are_recorded_as_they_stand_in_the_notebook(run, shell):
    run("confidence = 0.9\nnames = ('a', 'b')\nother = 3", "here.close();")
    said = record(shell.user_ns["here"].shelf)
    assert said["parameters"] == {"confidence": 0.9, "names": ["a", "b"]}


def test_settings_stand_beside_each_finding(run, shell):
    shell.user_ns["answer"] = answer(1)
    run("confidence = 0.8", "here.keep(answer, 'it')", "confidence = 0.9")
    said = json.loads((shell.user_ns["here"].shelf / "it.json").read_text(encoding="utf-8"))
    assert said["settings"] == {"confidence": 0.8, "names": []}


# --- %%needs ------------------------------------------------------------------------------------


def test_a_cell_runs_in_the_notebooks_own_names(run, shell):
    done, _ = run("before = 2", "%%needs complaints: How many?\nafter = before + 1\nafter * 10")
    assert done.result == 30
    assert shell.user_ns["after"] == 3
    assert shell.user_ns["_"] == 30


def test_what_a_cell_defines_can_be_used_by_another(run):
    cell = "%%needs complaints\ndef twice(x):\n    return x * two\ntwo = 2"
    done, _ = run(cell, "[twice(x) for x in (1, two)]")
    assert done.result == [2, 4]


def test_the_last_expression_is_shown_and_a_semicolon_silences_it(run):
    done, shown = run("%%needs complaints\nprint('said')\n6 * 7")
    assert done.result == 42
    assert shown.stdout.splitlines() == ["said", "Out[0]: 42"]
    done, shown = run("%%needs complaints\n6 * 7;")
    assert (done.result, shown.stdout) == (None, "")
    done, shown = run("%%needs complaints\nx = 6")
    assert (done.result, shown.stdout) == (None, "")
    done, _ = run("%%needs complaints\nif x:\n    x")
    assert done.result is None


def test_braces_and_dollars_stay_as_they_are(run, shell):
    shell.user_ns["name"] = "REPLACED"
    done, _ = run("%%needs complaints: Why {name} $name?\nf'{name} {{name}} $name' + '{name}'")
    assert done.result == "REPLACED {name} $name{name}"
    run("%%needs operations: Why {name} $name?\n1")
    shell.user_ns["here"].close()
    (missed,) = record(shell.user_ns["here"].shelf)["not_examined"]
    assert missed["question"] == "Why {name} $name?"


def test_magics_work_inside(run):
    done, _ = run("%%needs complaints\nhow = %config InteractiveShell.colors\nhow")
    assert done.success, done.error_in_exec or done.error_before_exec


def test_without_its_table_a_cell_is_passed_over_and_told(run, shell):
    done, shown = run("%%needs complaints operations.wait_s: How long?\nran = True\n1 / 0")
    assert done.success
    assert done.result is None
    assert "ran" not in shell.user_ns
    reason, mend = "the study has no table 'operations'", "name the table under data.operations"
    assert shown.stdout == (
        f"Not examined: How long?\n  Why: {reason}\n  To mend: {mend} in the study's file.\n"
    )
    shell.user_ns["here"].close()
    assert record(shell.user_ns["here"].shelf)["not_examined"] == [
        {"question": "How long?", "reason": reason, "mend": f"{mend} in the study's file."}
    ]


@pytest.mark.parametrize(
    ("need", "mend"),
    [
        ("operations", "name the table under data.operations in the study's file."),
        ("complaints.cost", "name the column under data.complaints in the study's file."),
        ("names", "set names under measure in the study's file."),
        ("define.tree", "run the phase define of this study, and see what it could not examine."),
        ("unmade", "see why the earlier cell was passed over."),
    ],
)
def test_each_need_says_how_it_is_met(run, need, mend):
    _, shown = run("names = []", f"%%needs {need}: What?\n1")
    assert shown.stdout.endswith(f"  To mend: {mend}\n")


def test_a_cell_without_a_question_is_passed_over_in_silence(run, shell):
    done, shown = run("%%needs operations\n1 / 0")
    assert done.success
    assert shown.stdout == ""
    assert shell.user_ns["here"].close().empty


def test_a_refusal_is_told_and_later_cells_that_rest_on_it_are_passed_over(run, shell):
    refuse = "raise Refusal('Three rows where a chart needs ten.', 'collect more.')"
    done, shown = run(f"%%needs complaints: Is it steady?\n{refuse}\nchart = 1")
    assert done.success
    assert shown.stdout.startswith("Not examined: Is it steady?\n  Why: Three rows where")
    done, shown = run("%%needs chart\nchart + 1")
    assert done.success
    assert shown.stdout == ""
    done, shown = run("%%needs chart: What next?\nchart + 1")
    # the cause itself is told, and not that something else is missing
    assert "Why: Three rows where a chart needs ten.\n  To mend: collect more." in shown.stdout
    shell.user_ns["here"].close()
    missed = record(shell.user_ns["here"].shelf)["not_examined"]
    assert [each["question"] for each in missed] == ["Is it steady?", "What next?"]
    assert missed[0]["mend"] == "collect more."


def test_a_refusal_without_a_question_is_told_all_the_same(run):
    done, shown = run("%%needs complaints\nraise Refusal('Too few.', 'collect more.')")
    assert done.success
    assert "Not examined: complaints\n  Why: Too few." in shown.stdout


@pytest.mark.parametrize(
    ("line", "kind", "said"),
    [
        ("raise Problem('q7 is off.', 'correct it.')", Problem, "q7 is off.\n  To mend: correct"),
        ("1 / 0", ZeroDivisionError, "division by zero"),
        ("unknown_name", NameError, "unknown_name"),
    ],
)
def test_any_other_error_fails_the_cell_and_shows_its_line(run, shell, line, kind, said):
    done, shown = run(f"%%needs complaints: Why?\nfine = 1\n{line}\nafter = 1")
    assert isinstance(done.error_in_exec, kind)
    assert said in shown.stdout
    assert re.search(rf"-> 2 {re.escape(line)}", shown.stdout)
    assert "fine" in shell.user_ns
    assert "after" not in shell.user_ns
    assert shell.user_ns["here"].close().empty


def test_a_cell_that_is_no_python_fails(run):
    done, shown = run("%%needs complaints: Why?\nthis is no python")
    assert isinstance(done.error_in_exec, SyntaxError)
    assert "this is no python" in shown.stdout


def test_a_refusal_outside_such_a_cell_fails_it(run):
    done, _ = run("raise Refusal('Too few.', 'collect more.')")
    assert isinstance(done.error_in_exec, Refusal)


# --- in a real kernel ---------------------------------------------------------------------------

CELLS = [
    'study: str = "tiny"  # name\nconfidence: float = 0.95  # level\nnames: list = []  # of things',
    'from sqm.study import Study\nhere = Study(study, phase="measure")',
    "%%needs complaints: How many?\nfound = here.table('complaints')\nlen(found)",
    "%%needs found\nlen(found) * 10;",
    "%%needs operations: How long?\nwaits = here.table('operations')",
    "%%needs waits\nwaits.mean()",
    "from sqm.checks import Refusal\n%matplotlib inline",
    "%%needs found: Is it {steady}?\nraise Refusal('Too few.', 'collect more.')",
    "%%needs names: Who?\nnames[0]",
    "here.close().to_numpy().tolist()",
    "%%needs found: Which?\nhere.table('survey')",
]


def test_a_notebook_in_a_real_kernel(project):
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    made.metadata.kernelspec = {"name": "python3", "display_name": "3", "language": "python"}
    made.cells[0].metadata.tags = ["parameters"]
    nbformat.write(made, project / "notebooks" / "2-measure.ipynb")
    out = project / "executed.ipynb"
    with pytest.raises(PapermillExecutionError) as failed:
        papermill.execute_notebook(
            project / "notebooks" / "2-measure.ipynb",
            out,
            parameters={"confidence": 0.9},
            kernel_name="python3",
            progress_bar=False,
        )
    assert failed.value.ename == "Problem"
    assert failed.value.evalue.startswith(
        "The study tiny has no table 'survey'.\n  To mend: add it"
    )
    assert "here.table('survey')" in "".join(failed.value.traceback)
    cells = nbformat.read(out, as_version=4).cells
    shown = {c.source: c.outputs for c in cells if c.cell_type == "code"}
    assert shown[CELLS[2]][0].data["text/plain"] == "2"
    assert shown[CELLS[3]] == []
    assert shown[CELLS[4]][0].text.startswith("Not examined: How long?")
    assert shown[CELLS[5]] == []
    assert shown[CELLS[7]][0].text.startswith("Not examined: Is it {steady}?\n  Why: Too few.")
    assert "the study sets no 'names'" in shown[CELLS[8]][0].text
    said = record(project / "out/tiny/by-hand/measure")
    assert said["parameters"] == {"confidence": 0.9, "names": []}
    assert [each["question"] for each in said["not_examined"]] == [
        "How long?",
        "Is it {steady}?",
        "Who?",
    ]


# --- ledgers --------------------------------------------------------------------------------------


PROMISE = pd.DataFrame({"option": ["train"] * 2, "until": ["2025-09-26"] * 2, "low": [-2.5, 1]})


def freeze(here, **changed):
    return here.freeze(PROMISE.assign(**changed), "forecasts", same=["option", "until"])


def test_an_entry_is_frozen_once(project, monkeypatch):
    write_study(project, "clinic", SURVEY + "  ledger: data/ledger\n")
    monkeypatch.setenv("SQM_SHELF", str(project / "shelf"))
    here = Study("clinic", phase="improve")
    assert here.ledger("forecasts").empty
    assert len(freeze(here)) == 2
    assert freeze(here, low=-9.0)["low"].tolist() == [-2.5, 1]
    later = freeze(here, until="2025-10-03")
    assert later["until"].unique().tolist() == ["2025-09-26", "2025-10-03"]
    assert (project / "data" / "ledger" / "forecasts.csv").is_file()


def test_what_is_frozen_by_hand_stays_out_of_the_study_s_ledger(project, monkeypatch):
    write_study(project, "clinic", SURVEY)
    assert len(freeze(Study("clinic", phase="improve"))) == 2
    assert len(Study("clinic", phase="control").ledger("forecasts")) == 2
    monkeypatch.setenv("SQM_SHELF", str(project / "shelf"))
    assert Study("clinic", phase="control").ledger("forecasts").empty
