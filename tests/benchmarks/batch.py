"""How long do 20 studies of five notebooks take, against three ways to call papermill and its like?

    python -m tests.benchmarks.batch [--studies 20] [--repeats 3] [--peers PYTHON] [--folder DIR]

Whole processes are timed from outside, by the clock and in processor time, one way after the other
and all of them again in each repeat, so that noise shows: (a) a loop over the `papermill` command,
(b) papermill called in sequence in one process, (c) ploomber-engine in one process, which gives no
isolation; then `sqm run` with one job, with two, and again with nothing to do.  ploomber-engine is
no part of the lock; --peers names the Python of an environment that has both, in which all three of
them then run.
Each process may write byte code, as on a user's machine, and all modules are imported once before.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
import yaml

from sqm.places import PHASES, notebook
from tests import made_batch

ROOT = Path(__file__).parent.parent.parent
LOOP, SEQUENCE, ENGINE = "(a) papermill command", "(b) papermill in sequence", "(c) ploomber-engine"
ONE, TWO, AGAIN = "sqm run --jobs 1", "sqm run --jobs 2", "sqm run, nothing to do"
QUIET = ("--no-progress-bar", "--log-level", "ERROR")
NOT_MEASURED = """\
not measured: {python} has no ploomber-engine.  To mend:
    uv venv peers && uv pip sync --python peers/bin/python requirements.lock
    uv pip install --python peers/bin/python ploomber-engine
    python -m tests.benchmarks.batch --peers peers/bin/python"""
STACK = "import papermill, pandas, seaborn, pingouin, sklearn.cluster, statsmodels.api, sqm.study"
CALLED = """\
import json, sys
{0}
for source, target, given in json.load(open(sys.argv[1], encoding="utf-8")):
    execute_notebook(source, target, parameters=given, progress_bar=False)
"""
IN_SEQUENCE = {
    SEQUENCE: CALLED.format("from papermill import execute_notebook"),
    ENGINE: CALLED.format("from ploomber_engine import execute_notebook"),
}
# Put before all others on the path, this notes who imports what a run with nothing to do must not.
WATCH = """\
import os, pathlib, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in ("papermill", "pandas"):
            (pathlib.Path(os.environ["NOTED"]) / name).touch()
sys.meta_path.insert(0, Watch())
"""


@dataclass(frozen=True)
class Took:
    """One way's whole run: seconds by the clock, of the processors, and the load it began with."""

    wall_s: float
    cpu_s: float
    load: float


@dataclass(frozen=True)
class Trial:
    """A made project, where each way writes, and whose Python runs the third."""

    project: Path
    written: Path
    names: list[str]
    peers: str

    def out(self, way: str) -> Path:
        return self.written / re.sub(r"\W+", "-", way).strip("-")

    def environment(self, way: str) -> dict[str, str]:
        """What a user has: byte code is written, no variable of sqm's own is set."""
        left = {k: v for k, v in os.environ.items() if not k.startswith(("SQM_", "PYTHON"))}
        more = {"PYTHONPATH": str(ROOT), "PLOOMBER_STATS_ENABLED": "false"}
        return left | more | {"SQM_OUT": str(self.out(way))}


def commands(trial: Trial, way: str) -> list[list[str]]:
    """The processes of one way, one after another."""
    if way == LOOP:
        papermill = Path(trial.peers).with_name("papermill")
        return [
            [str(papermill), source, target, "-f", given, *QUIET]
            for source, target, given in _given(trial, way)
        ]
    if way in IN_SEQUENCE:
        return [[trial.peers, "-c", IN_SEQUENCE[way], str(trial.written / "given.json")]]
    jobs, out = "1" if way == ONE else "2", TWO if way == AGAIN else way
    run = [sys.executable, "-m", "sqm", "run", *trial.names, "--jobs", jobs]
    return [[*run, "--out", str(trial.out(out))]]


def timed(trial: Trial, way: str) -> Took:
    """Run one way in a fresh place and time it."""
    if way != AGAIN:
        shutil.rmtree(trial.out(way), ignore_errors=True)
        trial.out(way).mkdir(parents=True)
    planned = commands(trial, way)
    if way in IN_SEQUENCE:
        given = [[s, t, made_batch.given(*_of(t))] for s, t, _ in _given(trial, way)]
        (trial.written / "given.json").write_text(json.dumps(given), encoding="utf-8")
    load, before, begun = psutil.getloadavg()[0], _cpu(), time.perf_counter()
    for command in planned:
        _need_success(command, trial, way)
    took = Took(time.perf_counter() - begun, _cpu() - before, load)
    if way == AGAIN:
        _need_nothing_done(trial)
    return took


def _need_nothing_done(trial: Trial) -> None:
    said = json.loads((trial.out(TWO) / "batch.json").read_text(encoding="utf-8"))
    if {each["state"] for each in said["studies"]} != {"unchanged"}:
        raise SystemExit(f"{AGAIN}: sqm itself, or what is installed, changed meanwhile.")


def _given(trial: Trial, way: str) -> Iterator[tuple[str, str, str]]:
    """Of each notebook its source, where it is to be written, and the file of its parameters."""
    for name in trial.names:
        for phase in PHASES:
            target = trial.out(way) / f"{name}.{phase}.ipynb"
            given = trial.written / "given" / f"{name}.{phase}.yml"
            yield str(notebook(phase, root=trial.project)), str(target), str(given)


def _of(target: str) -> list[str]:
    return Path(target).name.split(".")[:2]


def _cpu() -> float:
    spent = os.times()
    return spent.children_user + spent.children_system


def _need_success(command: list[str], trial: Trial, way: str, **more: str) -> None:
    ended = subprocess.run(
        command,
        cwd=trial.project,
        env=trial.environment(way) | more,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise SystemExit(f"{way} ended with {ended.returncode}:\n{ended.stderr[-3000:]}")


def measured(trial: Trial, ways: list[str], repeats: int) -> dict[str, list[Took]]:
    """Every way in turn, and all of them again in each repeat."""
    found: dict[str, list[Took]] = {way: [] for way in ways}
    for repeat in range(repeats):
        for way in ways:
            found[way].append(took := timed(trial, way))
            told = f"{took.wall_s:.1f} s, {took.cpu_s:.1f} of the processors"
            print(f"repeat {repeat + 1}: {way}: {told}", file=sys.stderr, flush=True)
    return found


# --- what is told of them ------------------------------------------------------------------------


def own_work(trial: Trial, way: str) -> float:
    """Seconds that the cells of all executed notebooks took, the imports left out."""
    found = 0.0
    for path in trial.out(way).rglob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        work = [cell for cell in cells if "setup" not in cell.metadata.get("tags", [])]
        found += sum(cell.metadata.get("papermill", {}).get("duration") or 0 for cell in work)
    return found


def same_tables(trial: Trial, peer: str) -> tuple[int, int]:
    """How many of the tables that sqm keeps are byte for byte those of a peer."""
    alike = [
        path.read_bytes()
        == (trial.out(peer) / path.parts[-3] / "by-hand" / path.parts[-2] / path.name).read_bytes()
        for path in sorted(trial.out(TWO).glob("*/*/*.csv"))
    ]
    return sum(alike), len(alike)


def imported(trial: Trial) -> list[str]:
    """Which of papermill and pandas any process of a run with nothing to do imports."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "sitecustomize.py").write_text(WATCH, encoding="utf-8")
        path = os.pathsep.join([folder, str(ROOT)])
        control = [sys.executable, "-c", "import pandas"]
        _need_success(control, trial, "the watch", PYTHONPATH=path, NOTED=folder)
        Path(folder, "pandas").unlink()  # so it sees what there is to see
        _need_success(*commands(trial, AGAIN), trial, AGAIN, PYTHONPATH=path, NOTED=folder)
        return [name for name in ("papermill", "pandas") if Path(folder, name).exists()]


def targets(seconds: Callable[[str], float]) -> list[tuple[str, float, float]]:
    """What is asked, how much of it, and what was reached.

    Parameters
    ----------
    seconds : callable
        Of a way; NaN if it was not measured.

    Examples
    --------
    >>> table = {LOOP: 60, SEQUENCE: 40, ENGINE: 12, ONE: 15, TWO: 10, AGAIN: 0.5}
    >>> [reached for _, _, reached in targets(table.get)]
    [4.0, 6.0, 4.0, 1.2, 20.0]
    """
    return [
        ("one job against (a)", 3.5, seconds(LOOP) / seconds(ONE)),
        ("two jobs against (a)", 5.0, seconds(LOOP) / seconds(TWO)),
        ("two jobs against (b)", 3.5, seconds(SEQUENCE) / seconds(TWO)),
        ("two jobs against (c)", 1.0, seconds(ENGINE) / seconds(TWO)),
        ("a full run against one with nothing to do", 30.0, seconds(TWO) / seconds(AGAIN)),
    ]


def _print_times(found: dict[str, list[Took]]) -> None:
    print("| way | seconds | least to most | processor seconds | load before |")
    print("|---|---|---|---|---|")
    for way, runs in found.items():
        wall = [took.wall_s for took in runs]
        cpu, load = (statistics.median(getattr(t, of) for t in runs) for of in ("cpu_s", "load"))
        spread = f"{min(wall):.2f} to {max(wall):.2f}"
        print(f"| {way} | {statistics.median(wall):.2f} | {spread} | {cpu:.1f} | {load:.1f} |")


def _print_targets(found: dict[str, list[Took]]) -> None:
    def seconds(way: str) -> float:
        runs = found.get(way)
        return statistics.median(took.wall_s for took in runs) if runs else float("nan")

    print("\n| asked | times as fast | reached | |")
    print("|---|---|---|---|")
    for asked, least, reached in targets(seconds):
        verdict = "not measured" if reached != reached else "yes" if reached >= least else "no"
        print(f"| {asked} | {least:g} | {reached:.2f} | {verdict} |")


def _print_rest(trial: Trial, found: dict[str, list[Took]]) -> None:
    for way, jobs in ((ONE, 1), (TWO, 2)):
        wall, work = found[way][-1].wall_s, own_work(trial, way) / jobs
        print(f"{way}: {wall:.1f} s, of which {work:.1f} s are the cells' own work over {jobs}.")
    for peer in (way for way in (LOOP, SEQUENCE, ENGINE) if way in found):
        alike, kept = same_tables(trial, peer)
        print(f"{alike} of {kept} kept tables are byte for byte those of {peer}.")
    print(f"With nothing to do sqm imports: {', '.join(imported(trial)) or 'neither of the two'}.")


# --- the command ---------------------------------------------------------------------------------


def _prepared(folder: Path, studies: int, peers: str) -> Trial:
    names = made_batch.studied(folder / "project", studies=studies)
    (folder / "given").mkdir()
    trial = Trial(folder / "project", folder, names, peers)
    for _, target, given in _given(trial, LOOP):
        text = yaml.safe_dump(made_batch.given(*_of(target)))
        Path(given).write_text(text, encoding="utf-8")
    for python in {sys.executable, peers}:
        _need_success([python, "-c", STACK], trial, "the imports")
    return trial


def _has_engine(python: str) -> bool:
    asked = subprocess.run([python, "-c", "import ploomber_engine"], capture_output=True)
    return asked.returncode == 0


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--folder", type=Path, help="where to work; must not be there yet")
    parser.add_argument("--ways", nargs="*", default=["a", "b", "c"], help="peers to take")
    said = parser.parse_args()
    ways = [way for way in (LOOP, SEQUENCE, ENGINE) if way[1] in said.ways]
    if ENGINE in ways and not _has_engine(said.peers):
        print(f"{ENGINE}: {NOT_MEASURED.format(python=said.peers)}\n")
        ways.remove(ENGINE)
    with tempfile.TemporaryDirectory() as scratch:
        trial = _prepared(said.folder or Path(scratch), said.studies, said.peers)
        print(
            f"{said.studies} studies of five notebooks, {said.repeats} repeats, "
            f"{psutil.cpu_count()} cores, Python {platform.python_version()}, "
            f"byte code written, {platform.system()}\n"
        )
        found = measured(trial, [*ways, ONE, TWO, AGAIN], said.repeats)
        _print_times(found)
        _print_targets(found)
        _print_rest(trial, found)


if __name__ == "__main__":
    main()
