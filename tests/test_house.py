"""The house keeps its shape: imports go down, names are known, one place says what is needed."""

import ast
import re
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml

import sqm
from sqm import report
from sqm.parameters import parameters_of
from sqm.places import PHASES, notebook

ROOT = Path(__file__).parent.parent
FOR_METHODS = {"checks", "finding", "look", "boxes", "interval", "clock", "scales"}
FOR_METHODS |= {"factors", "measurement_model", "polychoric", "importance", "predicate"}
FOR_METHODS |= {"claim", "moments", "ranking", "ratings"}
FOR_METHODS |= {"wording", "masking", "near_copies", "text_vectors"}
FOR_METHODS |= {"text_clusters", "regression", "survival", "three_point"}
FOR_METHODS |= {"queue_formulas", "queue_engine", "event_calendar", "system_description"}
FOR_METHODS |= {"arrival_counts", "service_system", "contact_log", "roster", "patience"}
FOR_METHODS |= {"service_model", "scenario", "consequences", "rehearsal", "money"}
FOR_METHODS |= {"autocorrelation"}
FOR_METHODS |= {"chart_limits", "signal_rules", "memory_charts", "run_length", "steady_process"}
FOR_METHODS |= {"usual_level", "case_mix", "unit_spread", "evidence", "record_change"}
FOR_METHODS |= {"panel_change", "interrupted", "counterfactual", "synthetic_control"}
FLOORS = [
    FOR_METHODS | {"roles", "files", "sources", "shelf", "ledger", "places", "writing", "counting"},
    {"methods"},
    {"parameters", "study"},  # stair
    {"report", "execute", "run", "progress", "freeze", "draft", "cli", "__main__"}  # roof
    | {"warm", "engine", "unchanged", "cluster", "deliver", "scrub"},
]
MODULES = sorted(p for p in (ROOT / "sqm").glob("*.py") if p.stem != "__init__")
METHODS = sorted(p for p in (ROOT / "sqm" / "methods").glob("*.py") if p.stem != "__init__")
NOTEBOOKS = [notebook(phase, root=ROOT) for phase in PHASES]


@pytest.mark.parametrize("room", METHODS, ids=lambda room: room.stem)
def test_a_method_stands_on_the_ground_alone(room):
    assert _rooms_used_by(room) <= FOR_METHODS


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_imports_go_down_only(module):
    floor = next(i for i, names in enumerate(FLOORS) if module.stem in names)
    allowed = set().union(*FLOORS[: floor + 1], {"__version__"}) - {"methods"}
    assert _rooms_used_by(module) <= allowed


@pytest.mark.parametrize("room", [*METHODS, *MODULES], ids=lambda room: room.stem)
def test_a_room_answers_a_question(room):
    if room.stem == "__main__":
        return
    first = ast.get_docstring(ast.parse(room.read_text(encoding="utf-8"))).splitlines()[0]
    statement = {"checks", "finding", "look", "study"}  # the sample's own words
    assert first.endswith("?") or room.stem in statement


@pytest.mark.parametrize("room", [*METHODS, *MODULES], ids=lambda room: room.stem)
def test_the_readme_lists_every_room(room):
    if room.stem != "__main__":
        assert f"`{room.stem}`" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("room", METHODS, ids=lambda room: room.stem)
def test_every_room_has_its_test(room):
    assert (ROOT / "tests" / f"test_{room.stem}.py").is_file()


def test_the_readme_shows_every_command():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r'_command\(commands, "(\w+)"', (ROOT / "sqm/cli.py").read_text("utf-8"))
    assert len(commands) >= 5
    assert [c for c in commands if f"sqm {c}" not in readme] == []


# --- what is needed stands in one place --------------------------------------------------------


def test_conda_users_get_the_same_packages():
    by_conda = {
        "matplotlib-base": "matplotlib",
        "python-tzdata": "tzdata",
        "python-duckdb": "duckdb",
    }
    said = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    packages = [p for p in said["dependencies"] if isinstance(p, str)]
    assert f"python{_project()['requires-python']}" in packages
    named = {_split(p)[0]: _split(p)[1] for p in packages}
    named = {by_conda.get(name, name): version for name, version in named.items()}
    needed = dict(_split(p) for p in _project()["dependencies"])
    assert {n: v for n, v in named.items() if n not in ("python", "pip")} == needed


def test_the_packages_the_user_fixed_are_there():
    fixed = {"jupyterlab", "pandas", "scikit-learn", "pingouin", "seaborn", "papermill", "nbval"}
    assert fixed <= {_split(p)[0] for p in _project()["dependencies"]}


def test_the_lock_pins_everything_with_hashes_and_no_address():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", lock, flags=re.MULTILINE))
    extras = _project()["optional-dependencies"]["dev"]
    for package in [*_project()["dependencies"], *extras]:
        assert _split(package)[0] in pinned
    assert "://" not in lock
    assert "index" not in re.sub(r"^[a-z].*$", "", lock, flags=re.MULTILINE)
    for block in re.split(r"\n(?=[a-z])", lock.strip()):
        assert "--hash=sha256:" in block, block.splitlines()[0]


def test_one_version_everywhere():
    assert _project()["version"] == sqm.__version__


# --- the notebooks read as the house asks -------------------------------------------------------


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_begins_with_question_parameters_and_setup(path):
    question, given, setup = nbformat.read(path, as_version=4).cells[:3]
    assert question.cell_type == "markdown"
    assert "| needs | keeps |" in question.source
    assert given.metadata.tags == ["parameters"]
    assert setup.metadata.tags == ["setup"]
    assert "here = Study(study, phase=" in setup.source


@pytest.mark.parametrize("phase", PHASES)
def test_report_and_notebook_ask_the_same_question(phase):
    first = nbformat.read(notebook(phase, root=ROOT), as_version=4).cells[0].source
    assert f"*{report.QUESTIONS[phase]}*" in first


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_keeps_what_it_says_it_keeps(path):
    cells = nbformat.read(path, as_version=4).cells
    rows = [line.split("|") for line in cells[0].source.splitlines() if line.startswith("|")][2:]
    said = {name for row in rows for name in re.findall(r"`(\w+)`", row[2])}
    keeps = {name for c in cells for name in re.findall(r'here\.keep\([^"]*"(\w+)"', c.source)}
    assert said == keeps


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_are_short_and_define_nothing(path):
    for cell in _code(path)[2:]:
        assert not re.search(r"^\s*(def|class|lambda) ", cell.source, flags=re.MULTILINE)
        lines = [line for line in cell.source.splitlines() if not line.startswith("%%needs")]
        assert len(lines) <= 10, cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_there_is_as_much_to_read_as_to_run(path):
    cells = nbformat.read(path, as_version=4).cells
    lines = sum(len(c.source.splitlines()) for c in cells if c.cell_type == "code")
    words = sum(len(c.source.split()) for c in cells if c.cell_type == "markdown")
    assert words >= 5 * lines


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_ends_by_closing_the_phase_and_has_exercises_with_solutions(path):
    cells = nbformat.read(path, as_version=4).cells
    tags = [set(cell.metadata.get("tags", [])) for cell in cells]
    assert any("exercise" in t for t in tags)
    assert any("solution" in t for t in tags)
    closing = [i for i, cell in enumerate(cells) if "here.close()" in cell.source]
    assert len(closing) == 1
    assert all(t & {"exercise", "solution"} for t in tags[closing[0] + 1 :])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs_are_those_that_are_checked_or_shown(path):
    for cell in _code(path):
        tags = set(cell.metadata.get("tags", []))
        assert not cell.outputs or tags & {"nbval-check-output", "picture"}, cell.source


@pytest.mark.parametrize("phase", PHASES)
def test_every_parameter_has_its_meaning(phase):
    assert [p.name for p in parameters_of(phase, root=ROOT).values() if not p.meaning] == []


def _project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _split(package):
    name, version = re.match(r"([A-Za-z0-9._-]+)(.*)", package).groups()
    return name.lower(), version


def _code(path):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


def _rooms_used_by(room):
    used = set()
    for node in ast.walk(ast.parse(room.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "sqm":
            used |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqm."):
            used.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            used |= {n.name.split(".")[1] for n in node.names if n.name.startswith("sqm.")}
    return used
