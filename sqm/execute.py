"""How is one study carried out, phase by phase, with nothing half-written taken for finished?"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock
import nbformat
import papermill
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

import sqm
from sqm import parameters, report, shelf
from sqm.checks import Problem
from sqm.parameters import PHASES, StudyFile

LEFT_OUT = {"exercise", "solution"}  # cells for students, which a batch does not run
RUNNING, FAILED, PREVIOUS = ".running", "failed", "previous"
LAST = ("run.json", "report.html")


class Failed(Exception):
    """A study stopped in one of its phases; the message is the reason in a line or two."""


@dataclass(frozen=True)
class Job:
    """One study to carry out.

    Attributes
    ----------
    study : str
        Name, or path of a YAML file.
    root, out : Path
        The project, and the folder that receives the study's folder.
    first : str
        The phase to begin with; the earlier ones are taken as they lie.
    changes : tuple of str
        ``phase.name=value`` overrides.
    """

    study: str
    root: Path
    out: Path
    first: str = PHASES[0]
    changes: tuple[str, ...] = ()


def carry_out(job: Job, *, say: Callable[[str, str], None]) -> Path:
    """Carry out a study and write its report.

    Parameters
    ----------
    job : Job
        Already checked.
    say : callable
        Told each phase as it begins and as it is done: ``say(phase, state)``.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    Failed
        If a notebook fails; it is kept, with its traceback, in ``failed/``.
    Problem
        If another run of the study is under way.

    Notes
    -----
    A phase runs in ``.running/`` and is moved into place when its own record,
    ``phase.json``, is there: papermill's word is not enough, because it saves
    the notebook of a kernel that was killed without an error.  ``run.json`` is
    written last of all.  The last finished run lies in ``previous/`` until the
    new one has finished.
    """
    found, problems = parameters.check(job.study, root=job.root, changes=job.changes)
    if problems:
        raise problems[0]
    place = job.out / found.study
    started = datetime.now(UTC)
    with lock(place):
        _clear(place, job.first)
        for phase in PHASES[PHASES.index(job.first) :]:
            say(phase, "begins")
            _carry_out_phase(phase, found, job, place)
            say(phase, "done")
        page = place / "report.html"
        shelf.write(page, report.render(place, head=_head(found)).encode("utf-8"))
        shelf.write(place / "run.json", shelf.as_json(_record(found, job, place, started)))
        shutil.rmtree(place / RUNNING, ignore_errors=True)
        shutil.rmtree(place / PREVIOUS, ignore_errors=True)
    return page


def prepare(found: StudyFile, folder: Path, *, root: Path) -> list[Path]:
    """Write the five notebooks with the study's parameters injected, not executed.

    Raises
    ------
    Problem
        If one of them is there already: a person may have worked in it.
    """
    targets = [folder / parameters.notebook(phase, root=root).name for phase in PHASES]
    if there := [target.name for target in targets if target.exists()]:
        raise Problem(
            f"{folder} holds {', '.join(there)} already.",
            "go on in them, or move them away to begin afresh.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for phase, target in zip(PHASES, targets, strict=True):
        plain = _bare(parameters.notebook(phase, root=root))
        given = _given(found, phase, root)
        shelf.write(target, nbformat.writes(parameterize_notebook(plain, given)).encode("utf-8"))
    return targets


@contextlib.contextmanager
def lock(place: Path) -> Iterator[None]:
    """Hold a study's folder; the system lets go of it when the process ends, however it ends."""
    place.mkdir(parents=True, exist_ok=True)
    holder = place / ".holder"
    held = filelock.FileLock(place / ".lock", timeout=0)
    try:
        held.acquire()
    except filelock.Timeout:
        who = holder.read_text(encoding="utf-8") if holder.exists() else "another process"
        raise Problem(
            f"The study in {place} is being run by {who}.", "wait for it, or use another --out."
        ) from None
    try:
        shelf.write(holder, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
        holder.unlink(missing_ok=True)
    finally:
        held.release()


def _clear(place: Path, first: str) -> None:
    """Set the last finished run aside; throw away what an unfinished one left behind."""
    for leftover in (RUNNING, FAILED):
        shutil.rmtree(place / leftover, ignore_errors=True)
    stale = [*LAST, *PHASES[PHASES.index(first) :]]
    if (place / "run.json").exists():
        shutil.rmtree(place / PREVIOUS, ignore_errors=True)
        (place / PREVIOUS).mkdir()
        for name in stale:
            if (place / name).exists():
                (place / name).rename(place / PREVIOUS / name)
    for name in stale:
        if (place / name).is_dir():
            shutil.rmtree(place / name)
        else:
            (place / name).unlink(missing_ok=True)


def _carry_out_phase(phase: str, found: StudyFile, job: Job, place: Path) -> None:
    source = parameters.notebook(phase, root=job.root)
    staging = place / RUNNING / phase
    staging.mkdir(parents=True)
    executed = staging / source.name
    os.environ["SQM_SHELF"] = str(staging)
    try:
        _execute(source, executed, _given(found, phase, job.root))
        if not (staging / "phase.json").is_file():
            raise Failed(f"{source.name}: the kernel ended before the notebook did (memory?)")
    except BaseException as error:
        _keep_failed(executed, place)
        raise error if isinstance(error, Failed) else _failure(source.name, error) from error
    finally:
        del os.environ["SQM_SHELF"]
    staging.rename(place / phase)


def _execute(source: Path, executed: Path, given: dict[str, Any]) -> None:
    plain = _bare(source)
    plain.cells = [c for c in plain.cells if not LEFT_OUT & set(c.metadata.get("tags", []))]
    stripped = executed.parent.parent / source.name
    nbformat.write(plain, stripped)
    papermill.execute_notebook(
        _literal(stripped),
        _literal(executed),
        parameters=given,
        kernel_name="python3",
        progress_bar=False,
        request_save_on_cell_execute=False,
    )


def _bare(source: Path) -> nbformat.NotebookNode:
    """A notebook without the outputs that are stored for readers."""
    plain = load_notebook_node(str(source))
    for cell in plain.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return plain


def _literal(path: Path) -> str:
    """A path for papermill, which takes every path for a template."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _given(found: StudyFile, phase: str, root: Path) -> dict[str, Any]:
    """The study's parameters of one phase; ``study`` itself is its file where that lies outside."""
    inside = found.path == root / "params" / f"{found.study}.yml"
    return {"study": found.study if inside else str(found.path), **found.sections[phase]}


def _failure(notebook: str, error: BaseException) -> BaseException:
    if isinstance(error, KeyboardInterrupt):
        return error
    kind, value = getattr(error, "ename", None), getattr(error, "evalue", None)
    if kind in ("Problem", "Refusal"):
        return Failed(f"{notebook}: {value}")
    if kind:
        return Failed(f"{notebook}: {kind}: {value}")
    return Failed(f"{notebook}: {type(error).__name__}: {error}")


def _keep_failed(executed: Path, place: Path) -> None:
    if executed.exists():
        (place / FAILED).mkdir(exist_ok=True)
        executed.replace(place / FAILED / executed.name)


def _head(found: StudyFile) -> report.Head:
    calendar = found.calendar
    return report.Head(
        study=found.study,
        title=found.title,
        language=found.language,
        organisation=found.report.organisation,
        author=found.report.author,
        approver=found.report.approver,
        date=found.report.date,
        currency=found.currency,
        time_zone=calendar.time_zone,
        week=f"seven days from {calendar.week_starts}; parts of weeks are left out",
        version=sqm.__version__,
    )


def _record(found: StudyFile, job: Job, place: Path, started: datetime) -> dict[str, Any]:
    """Everything a number can be traced to; the only place where clock times stand."""
    phases = {
        phase: json.loads((place / phase / "phase.json").read_text(encoding="utf-8"))
        for phase in PHASES
        if (place / phase / "phase.json").is_file()
    }
    made = [p for phase in phases for p in sorted((place / phase).iterdir()) if p.is_file()]
    return {
        "study": found.study,
        "sqm": sqm.__version__,
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.platform(),
        "study_file": {"name": found.path.name, "sha256": shelf.sha256(found.path)},
        "changes": list(job.changes),
        "first_phase": job.first,
        "notebooks": {
            path.name: shelf.sha256(path)
            for path in (parameters.notebook(phase, root=job.root) for phase in PHASES)
        },
        "phases": phases,
        "written": {
            path.relative_to(place).as_posix(): shelf.sha256(path)
            for path in [*made, place / "report.html"]
        },
    }


def main() -> None:
    """Carry out the one study named on standard input, telling each step on standard output.

    `run` starts one such process a study, so that a crash costs one study only.
    """
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    said = json.load(sys.stdin)
    job = Job(
        study=said["study"],
        root=Path(said["root"]),
        out=Path(said["out"]),
        first=said["first"],
        changes=tuple(said["changes"]),
    )
    events, sys.stdout = sys.stdout, sys.stderr
    clock = time.monotonic()

    def tell(**event: Any) -> None:
        event["seconds"] = round(time.monotonic() - clock, 1)
        print(json.dumps(event), file=events, flush=True)

    try:
        page = carry_out(job, say=lambda phase, state: tell(phase=phase, state=state))
    except (Failed, Problem) as reason:
        tell(state="failed", reason=str(reason))
    else:
        tell(state="finished", report=str(page))


if __name__ == "__main__":
    main()
