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
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock
import nbformat
import papermill
import psutil
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

import sqm
from sqm import engine, files, parameters, places, report, unchanged, writing
from sqm.checks import Problem
from sqm.parameters import StudyFile
from sqm.places import PHASES

LEFT_OUT = {"exercise", "solution"}  # cells for students, which a batch does not run
RUNNING, FAILED, PREVIOUS = ".running", "failed", "previous"
LAST = ("run.json", "report.html")
SOON, PATIENCE = 2, 10  # seconds to wait for a holder that lives, and for one that has died


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
    force : bool
        Whether to run what need not be run again.
    cell_limit, notebook_limit : float
        Seconds that one cell and one notebook may take; 0 for any.
    """

    study: str
    root: Path
    out: Path
    first: str = PHASES[0]
    changes: tuple[str, ...] = ()
    force: bool = False
    cell_limit: float = 0.0
    notebook_limit: float = 0.0


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
    the notebook of a kernel that was killed without an error.  ``made.json``
    says what the phase rests on; where all of that is unchanged and the files
    are whole, the phase is not run again, so a batch that was killed goes on
    where it was.  ``run.json`` is written last of all.  The last finished run
    lies in ``previous/``, as far as it was replaced, until the new one has
    finished.
    """
    found, problems = parameters.check(job.study, root=job.root, changes=job.changes)
    if problems:
        raise problems[0]
    place = job.out / found.study
    started = datetime.now(UTC)
    with lock(place):
        _need_one_run(place, job.first)
        _set_aside(place)
        ran = {
            phase: _carry_out_phase(phase, found, job, place, say)
            for phase in PHASES[PHASES.index(job.first) :]
        }
        page = place / "report.html"
        writing.write(page, report.render(place, head=_head(found)).encode("utf-8"))
        writing.write(place / "run.json", writing.as_json(_record(found, job, place, started, ran)))
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
    targets = [folder / places.notebook(phase, root=root).name for phase in PHASES]
    if there := [target.name for target in targets if target.exists()]:
        raise Problem(
            f"{folder} holds {', '.join(there)} already.",
            "go on in them, or move them away to begin afresh.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for phase, target in zip(PHASES, targets, strict=True):
        plain = _bare(places.notebook(phase, root=root))
        given = _given(found, phase, root)
        writing.write(target, nbformat.writes(parameterize_notebook(plain, given)).encode("utf-8"))
    return targets


@contextlib.contextmanager
def lock(place: Path) -> Iterator[None]:
    """Hold a study's folder; the system lets go of it when the process ends, however it ends.

    Raises
    ------
    Problem
        If another process holds it; its number and its host are named.
    """
    place.mkdir(parents=True, exist_ok=True)
    holder = place / ".holder"
    held = filelock.FileLock(place / ".lock")
    try:
        # what a killed batch had started needs a moment to end
        held.acquire(timeout=SOON if _is_alive(_holder(holder)) else PATIENCE)
    except filelock.Timeout:
        raise Problem(
            f"The study in {place} is being run by {_holder(holder)}.",
            "wait for it, or use another --out.",
        ) from None
    try:
        writing.write(holder, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
        holder.unlink(missing_ok=True)
    finally:
        held.release()


def _holder(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8")
    except OSError:
        return "another process"


def _is_alive(said: str) -> bool:
    """Whether a process that called itself a holder may still be there; unknown on other hosts."""
    process, _, host = said.removeprefix("process ").partition(" on ")
    return host != socket.gethostname() or (process.isdigit() and psutil.pid_exists(int(process)))


def _need_one_run(place: Path, first: str) -> None:
    """Insist that the phases before the first one are there whole, each made upon the others."""
    for phase in PHASES[: PHASES.index(first)]:
        made = unchanged.made(place / phase)
        if made is None or made["parts"].get("earlier") != _earlier(phase, place):
            raise Problem(
                f"The phase {phase} in {place} is not whole, or stands on other findings than those"
                " that are there now.",
                "run without --phase; what is unchanged is not run again.",
            )


def _set_aside(place: Path) -> None:
    """Set the last run's record and report aside; throw away what an unfinished one left."""
    for leftover in (RUNNING, FAILED):
        shutil.rmtree(place / leftover, ignore_errors=True)
    if (place / "run.json").exists():
        shutil.rmtree(place / PREVIOUS, ignore_errors=True)
        (place / PREVIOUS).mkdir()
        for name in LAST:
            if (place / name).exists():
                (place / name).rename(place / PREVIOUS / name)
    for name in LAST:
        (place / name).unlink(missing_ok=True)


def _carry_out_phase(
    phase: str, found: StudyFile, job: Job, place: Path, say: Callable[[str, str], None]
) -> str:
    """Carry a phase out unless it stands there unchanged; hand back why it was run, or blank."""
    why = "asked for" if job.force else _taken_over(phase, found, job, place)
    if not why:
        say(phase, "unchanged")
        return ""
    _out_of_the_way(phase, place)
    say(phase, "begins")
    staging = place / RUNNING / phase
    staging.mkdir(parents=True)
    before = _rests_on(phase, found, job, place, staging)
    _run_notebook(phase, found, job, staging, place)
    # which ledgers it asks for is known afterwards; a table that changed meanwhile is to be noticed
    after = _rests_on(phase, found, job, place, staging)
    parts = before.parts | {"ledger": after.parts["ledger"]}
    _write_made(replace(before, parts=parts, files=after.files | before.files), staging, job)
    staging.rename(place / phase)
    say(phase, "done")
    return why


def _taken_over(phase: str, found: StudyFile, job: Job, place: Path) -> str:
    """Take a phase over from an earlier run; if that cannot be, say why it is to be run."""
    why = ""
    for folder in (place / phase, place / PREVIOUS / phase):
        if not (folder / unchanged.MADE).is_file():
            continue
        rests_on = _rests_on(phase, found, job, place, folder)
        again = unchanged.why_again(unchanged.made(folder), rests_on)
        if not again:
            if folder != place / phase:
                shutil.rmtree(place / phase, ignore_errors=True)
                folder.rename(place / phase)
            _write_made(rests_on, place / phase, job)  # another phase's section may have changed
            return ""
        why = why or again
    return why or "not carried out yet"


def _write_made(rests_on: unchanged.Phase, folder: Path, job: Job) -> None:
    said = unchanged.record(rests_on, folder, root=job.root, changes=job.changes)
    writing.write(folder / unchanged.MADE, writing.as_json(said))


def _out_of_the_way(phase: str, place: Path) -> None:
    """Set a phase aside with the finished run that it belongs to; else throw it away."""
    kept = place / PREVIOUS / phase
    if (place / PREVIOUS / "run.json").exists() and not kept.exists() and (place / phase).exists():
        (place / phase).rename(kept)
    shutil.rmtree(place / phase, ignore_errors=True)


def _rests_on(phase: str, found: StudyFile, job: Job, place: Path, folder: Path) -> unchanged.Phase:
    """Everything that can change what a phase, carried out in ``folder``, finds."""
    source = places.notebook(phase, root=job.root)
    alone = [found.path, source, *_beside(job.root)]
    tables = {
        name: files.lies_in(table, root=job.root)
        for name, table in found.tables.items()
        if table.database is None
    }
    entries = _ledgers_read(found, job, place, folder)
    read = [path for paths in tables.values() for path in paths]
    sums = {path: unchanged.of_file(path) for path in [*alone, *entries, *read]}
    beside = [sums[path] for path in _beside(job.root)]
    sums[found.path] = found.sha256  # as it was read, whatever it says by now
    parts = {
        "notebook": unchanged.digest([_what_runs(_stripped(source)), beside]),
        "parameters": unchanged.digest([_given(found, phase, job.root), _shared(found)]),
        "data": unchanged.digest({n: [sums[p] for p in paths] for n, paths in tables.items()}),
        "ledger": unchanged.digest([sums[path] for path in entries]),
        "source": unchanged.of_source(),
        "versions": unchanged.of_versions(),
        "earlier": _earlier(phase, place),
    }
    if len(tables) < len(found.tables) or not all(tables.values()):
        parts["data"] = ""  # only asking a database tells what it holds
    folders = [job.root, *_folders(found, job.root)]
    return unchanged.Phase(
        parts=parts,
        files={str(path): sha for path, sha in sums.items()},
        folders={str(each): unchanged.names_in(each) for each in folders},
    )


def _forget_folders(executed: Path) -> None:
    """Take the folders, which may name a person, out of what papermill notes in a notebook."""
    done = nbformat.read(executed, as_version=4)
    for name in ("input_path", "output_path"):
        if said := done.metadata.get("papermill", {}).get(name):
            done.metadata["papermill"][name] = Path(said).name
    writing.write(executed, nbformat.writes(done).encode("utf-8", errors="replace"))


def _what_runs(plain: nbformat.NotebookNode) -> list[Any]:
    """What of a notebook can change its findings: not the ids that an editor gives its cells."""
    cells = [[c.cell_type, c.source, sorted(c.metadata.get("tags", []))] for c in plain.cells]
    return [plain.metadata.get("kernelspec", {}), cells]


def _earlier(phase: str, place: Path) -> str:
    """A digest of what the phases before this one have found."""
    return unchanged.digest([_findings(place / each) for each in PHASES[: PHASES.index(phase)]])


def _folders(found: StudyFile, root: Path) -> list[Path]:
    """Folders of which a table takes all files, or all of a pattern: a new one would count."""
    named = [root / Path(table.path).expanduser() for table in found.tables.values() if table.path]
    return [path if path.is_dir() else path.parent for path in named if not path.is_file()]


def _beside(root: Path) -> list[Path]:
    """What a notebook could take up from the project's own folder, in which it runs."""
    return [root / "matplotlibrc", *sorted(root.glob("*.py"))]


def _ledgers_read(found: StudyFile, job: Job, place: Path, folder: Path) -> list[Path]:
    """The ledgers that a phase asked for, whether they are there or not."""
    try:
        said = json.loads((folder / "phase.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    ledger = job.root / found.ledger if found.ledger else place / "ledger"
    return [ledger / f"{name}.csv" for name in said.get("ledgers", [])]


def _shared(found: StudyFile) -> dict[str, Any]:
    """What a study's file says to all phases alike; the tables by what is said of them."""
    rest = replace(found, sections={}, path=Path(found.path.name), tables={}, sha256="")
    tables = {name: table.model_dump(mode="json") for name, table in found.tables.items()}
    return {"head": repr(rest), "tables": tables}


def _findings(folder: Path) -> dict[str, str]:
    """What a later phase can see of an earlier one; not its executed notebook, which has clocks."""
    names = [each for each in unchanged.names_in(folder) if not each.endswith(".ipynb")]
    return {name: unchanged.of_file(folder / name) for name in names if name != unchanged.MADE}


def _run_notebook(phase: str, found: StudyFile, job: Job, staging: Path, place: Path) -> None:
    source = places.notebook(phase, root=job.root)
    executed = staging / source.name
    os.environ["SQM_SHELF"] = str(staging)
    try:
        _execute(source, executed, _given(found, phase, job.root), job)
        _forget_folders(executed)
        if not (staging / "phase.json").is_file():
            raise Failed(f"{source.name}: the notebook ended before its last cell")
    except BaseException as error:
        _keep_failed(executed, place)
        raise error if isinstance(error, Failed) else _failure(source.name, error) from error
    finally:
        del os.environ["SQM_SHELF"]


def _execute(source: Path, executed: Path, given: dict[str, Any], job: Job) -> None:
    stripped = executed.parent.parent / source.name
    nbformat.write(_stripped(source), stripped)
    papermill.execute_notebook(
        _literal(stripped),
        _literal(executed),
        engine_name="sqm",
        parameters=given,
        kernel_name="python3",
        progress_bar=False,
        request_save_on_cell_execute=False,
        cell_limit=job.cell_limit,
        notebook_limit=job.notebook_limit,
    )


def _stripped(source: Path) -> nbformat.NotebookNode:
    """A notebook as a batch runs it: no stored outputs, no cells for students."""
    plain = _bare(source)
    plain.cells = [c for c in plain.cells if not LEFT_OUT & set(c.metadata.get("tags", []))]
    return plain


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
    if kind == "CellExecutionError":  # there was not even the memory to show what it was
        return Failed(f"{notebook}: a cell failed, and its error could not be shown (memory?)")
    if kind in ("Problem", "Refusal"):
        return Failed(f"{notebook}: {value}")
    if kind:
        return Failed(f"{notebook}: {kind}: {value}")
    if isinstance(error, engine.Died | engine.TooLong):
        return Failed(f"{notebook}: {error}")
    return Failed(f"{notebook}: {type(error).__name__}: {error}")


def _keep_failed(executed: Path, place: Path) -> None:
    if executed.exists():
        with contextlib.suppress(OSError, ValueError):
            _forget_folders(executed)
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


def _record(
    found: StudyFile, job: Job, place: Path, started: datetime, ran: dict[str, str]
) -> dict[str, Any]:
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
        "study_file": {"name": found.path.name, "sha256": found.sha256},
        "changes": list(job.changes),
        "first_phase": job.first,
        "ran": {phase: why or "unchanged, not run again" for phase, why in ran.items()},
        "keys": {phase: (unchanged.made(place / phase) or {}).get("key", "") for phase in phases},
        "notebooks": {
            path.name: writing.sha256(path)
            for path in (places.notebook(phase, root=job.root) for phase in PHASES)
        },
        "phases": phases,
        "written": {
            path.relative_to(place).as_posix(): writing.sha256(path)
            for path in [*made, place / "report.html"]
        },
    }


def _end_with_the_batch() -> None:
    """Whoever started this process holds its input open; nothing is to outlive a killed batch."""
    if not os.read(0, 1):
        os._exit(1)


def main() -> None:
    """Carry out the one study named on standard input, telling each step on standard output.

    `run` starts one such process a study, so that a crash costs one study only.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    said = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_batch, daemon=True).start()
    paths = {"root": Path(said.pop("root")), "out": Path(said.pop("out"))}
    job = Job(changes=tuple(said.pop("changes")), **paths, **said)
    # kernels inherit the output, and what they write there must not be taken for an event
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    clock = time.monotonic()

    def tell(**event: Any) -> None:
        event["seconds"] = round(time.monotonic() - clock, 1)
        print(json.dumps(event), file=events, flush=True)

    try:
        page = carry_out(job, say=lambda phase, state: tell(phase=phase, state=state))
    except (Failed, Problem) as reason:
        tell(state="failed", reason=str(reason))
    except OSError as error:
        tell(state="failed", reason=f"a file could not be written or read: {error}")
    else:
        tell(state="finished", report=str(page))


if __name__ == "__main__":
    main()
