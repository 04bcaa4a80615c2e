"""How are many studies carried out unattended, side by side?"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psutil

import sqm
from sqm import warm, writing
from sqm.checks import Problem, nearest
from sqm.places import PHASES

Say = Callable[[str, str, str, float], None]

PATIENCE = 3  # seconds that processes are given to end their kernels before they are killed
STOPPED = "interrupted"
MEMORY = 1_500_000_000  # bytes that a study of ordinary size may take


@dataclass(frozen=True)
class Outcome:
    """How one study ended.

    Attributes
    ----------
    study : str
    report : str
        Path of the report; blank if the study failed.
    reason : str
        Why it failed; blank if it did not.
    seconds : float
    unchanged : bool
        Whether nothing had to be run.
    """

    study: str
    report: str = ""
    reason: str = ""
    seconds: float = 0.0
    unchanged: bool = False


class Interrupted(KeyboardInterrupt):
    """A batch was interrupted; ``outcomes`` says how each study stood."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        super().__init__("interrupted")
        self.outcomes = outcomes


@dataclass(frozen=True)
class Plan:
    """What to run: checked studies, where to, from which phase, with which overrides and limits."""

    studies: tuple[str, ...]
    names: tuple[str, ...]
    root: Path
    out: Path
    first: str = PHASES[0]
    changes: tuple[str, ...] = ()
    force: bool = False
    cell_limit: float = 0.0
    notebook_limit: float = 0.0


def plan(
    studies: Sequence[str],
    *,
    root: Path,
    out: Path,
    first: str = PHASES[0],
    changes: Sequence[str] = (),
    force: bool = False,
    cell_limit: float = 0.0,
    notebook_limit: float = 0.0,
    taken: Collection[str] = (),
    fetched: bool = False,
) -> tuple[Plan, list[Problem]]:
    """Check all the studies, and list everything that is wrong with any of them.

    ``taken`` are names of other studies of the same batch; ``fetched`` says that earlier phases
    may come from an address.
    """
    from sqm import parameters  # takes pandas along, which a batch with nothing to do spares

    problems, names, whole = [], [], []
    if first not in PHASES:
        problems.append(Problem(f"There is no phase {first!r}.", nearest(first, PHASES)))
        first = PHASES[0]
    problems += _too_late(changes, first)
    for study in studies:
        found, wrong = parameters.check(study, root=root, changes=changes)
        problems += wrong
        if found is None:
            continue
        if found.study in (*names, *taken):
            problems.append(
                Problem(f"Two of the studies are called {found.study!r}.", "rename one of them.")
            )
        names.append(found.study)
        whole.append(_absolute(study))
        if not fetched:
            problems += _missing_phases(out / found.study, first, found.study)
    settled = Plan(tuple(whole), tuple(names), root, out, first, tuple(changes), force)
    return replace(settled, cell_limit=cell_limit, notebook_limit=notebook_limit), problems


def jobs_for(studies: int) -> int:
    """How many studies fit side by side: by cores that are free, and by memory.

    A core counts as free as far as the load of the last minute leaves it so; an ordinary study
    is allowed `MEMORY` bytes.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    free = round((cores or 1) - psutil.getloadavg()[0])
    fit = psutil.virtual_memory().available // MEMORY
    return max(1, min(studies, free, fit))


def run(
    planned: Plan, *, jobs: int, say: Say, server: warm.Warm | None = None, place: str = ""
) -> list[Outcome]:
    """Carry out the studies of a plan, ``jobs`` at a time.

    Parameters
    ----------
    planned : Plan
    jobs : int
    say : callable
        Told each event: ``say(study, phase, state, seconds)``.
    server : Warm, optional
        The process that hands out kernels with their imports done.
    place : str, default ""
        An address that receives the outputs, which are made in a folder of its own within the
        plan's (see `sqm.deliver`).

    Returns
    -------
    list of Outcome
        One a study, in the order given; one that fails does not stop the others.

    Raises
    ------
    Problem
        If nothing can be written where the outputs are to lie.
    """
    if place:
        from sqm import deliver

        planned = replace(planned, out=deliver.staging(place, planned.out))
    _need_writable(planned.out)
    going: list[Any] = []
    stop = threading.Event()
    pool = ThreadPoolExecutor(max_workers=max(1, jobs))

    def carry_out(study: str, name: str) -> Outcome:
        work = partial(one, name, job_of(study, planned), server=server, going=going, stop=stop)
        try:
            if not place:
                return work(say=say)
            return deliver.carry(place, name, planned.out, say=say, work=lambda say: work(say=say))
        except (OSError, RuntimeError) as error:
            return Outcome(name, reason=f"its process could not be started: {error}")

    work = [
        pool.submit(carry_out, *pair) for pair in zip(planned.studies, planned.names, strict=True)
    ]
    try:
        return [future.result() for future in work]
    except KeyboardInterrupt:
        stop.set()
        if server:  # whoever waits for its imports waits no longer
            server.close()
        while not all(future.done() or future.cancel() for future in work):
            end(list(going))
            time.sleep(0.05)
        done = [None if future.cancelled() else future.result() for future in work]
        raise Interrupted(
            [
                each or Outcome(name, reason=STOPPED)
                for each, name in zip(done, planned.names, strict=True)
            ]
        ) from None
    finally:
        pool.shutdown()


def job_of(study: str, planned: Plan) -> dict[str, Any]:
    """One study of a plan, as `sqm.execute` reads it."""
    return {
        "study": study,
        "root": str(planned.root),
        "out": str(planned.out),
        "first": planned.first,
        "changes": list(planned.changes),
        "force": planned.force,
        "cell_limit": planned.cell_limit,
        "notebook_limit": planned.notebook_limit,
    }


def one(
    name: str,
    job: dict[str, Any],
    *,
    say: Say,
    server: warm.Warm | None = None,
    going: list[Any] | None = None,
    stop: threading.Event | None = None,
) -> Outcome:
    """Carry out one study in a process of its own.

    Parameters
    ----------
    name : str
    job : dict
        From `job_of`.
    say : callable
        Told each event.
    server : Warm, optional
        If it dies, the study goes on without it from the phases that are finished.
    going : list, optional
        Holds the process while it lives, for whoever must `end` it.
    stop : threading.Event, optional
        Once it is set, nothing is begun any more.
    """
    going = [] if going is None else going
    stop = threading.Event() if stop is None else stop
    for through in dict.fromkeys((server if server and server.alive() else None, None)):
        if stop.is_set():
            break
        outcome = _follow(name, job, say, through, going, stop)
        if outcome:
            return outcome
    return Outcome(name, reason=STOPPED if stop.is_set() else "its process did not end well")


def end(processes: Iterable[Any]) -> None:
    """End processes within seconds: asked first, killed after `PATIENCE`."""
    alive = [process for process in processes if process.poll() is None]
    for process in alive:
        process.terminate()
    deadline = time.monotonic() + PATIENCE
    for process in alive:
        try:
            process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def record(
    outcomes: Sequence[Outcome], *, out: Path, started: datetime, jobs: int, where: str = ""
) -> Path:
    """Write `batch.json`: how each study of the last batch ended.

    Parameters
    ----------
    outcomes : sequence of Outcome
    out : Path
    started : datetime
    jobs : int
        Studies side by side; 0 on a cluster.
    where : str, default ""
        The cluster, if it was not this machine.
    """
    said = {
        "sqm": sqm.__version__,
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": where or platform.platform(),
        "host": socket.gethostname(),
        "jobs": jobs,
        "studies": [
            {
                "study": outcome.study,
                "state": state(outcome),
                "seconds": outcome.seconds,
                "report": outcome.report,
                "reason": outcome.reason.partition("\n")[0],
            }
            for outcome in outcomes
        ],
    }
    out.mkdir(parents=True, exist_ok=True)
    writing.write(out / "batch.json", writing.as_json(said))
    return out / "batch.json"


def state(outcome: Outcome) -> str:
    """How a study ended, in a word.

    Examples
    --------
    >>> state(Outcome("a", report="r.html", unchanged=True)), state(Outcome("b", reason="died"))
    ('unchanged', 'failed')
    """
    if outcome.unchanged:
        return "unchanged"
    return "finished" if outcome.report else "failed"


def _need_writable(out: Path) -> None:
    """Insist on a folder that takes a file, before an hour of work is lost for want of one."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out) as probe:
            probe.write(b"sqm")
    except OSError as error:
        raise Problem(
            f"{out} cannot be written ({error.strerror or error}).",
            "make room or mend its permissions, or name another folder with --out.",
        ) from None


def _follow(
    name: str,
    job: dict[str, Any],
    say: Say,
    server: warm.Warm | None,
    going: list[Any],
    stop: threading.Event,
) -> Outcome | None:
    """Start a study's process and listen to it; None if it was lost with the warm process."""
    process = _start(job, server)
    if process is None:
        return None
    going.append(process)
    if stop.is_set():  # it came too late to be ended with the others
        end([process])
    errors = threading.Thread(target=_last_words, args=(process, words := []), daemon=True)
    errors.start()
    with contextlib.suppress(BrokenPipeError):  # it died at once: its last words say why
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()  # it stays open: its end tells the study that the batch is gone
    outcome, ran = Outcome(name), set()
    for event in _events(process):
        seconds = event["seconds"]
        outcome = Outcome(name, event.get("report", ""), event.get("reason", ""), seconds)
        ran |= {event["state"]} - {"unchanged", "finished"}
        say(name, event.get("phase", ""), event["state"], seconds)
    process.wait()
    errors.join()
    for pipe in (process.stdin, process.stdout, process.stderr):
        with contextlib.suppress(BrokenPipeError):
            pipe.close()
    going.remove(process)
    if outcome.report or outcome.reason:
        return replace(outcome, unchanged=not ran)
    if stop.is_set() or (server and not server.alive()):
        return None
    say(name, "", "failed", outcome.seconds)
    return replace(outcome, reason=_died(process.returncode, words))


def _start(job: dict[str, Any], server: warm.Warm | None) -> Any:
    """A process that works in the project's root; None if the warm process has died meanwhile."""
    ways = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "cwd": job["root"],
        "env": {**os.environ, **warm.ENVIRONMENT, "SQM_OUT": job["out"]},
    }
    arguments = ["-m", "sqm.execute"]
    if server:
        ways["env"]["SQM_WARM"] = server.address
        try:
            return warm.spawn(arguments, address=server.address, **ways)
        except warm.Refused:  # a fork would not be as a new process, or there is none any more
            if not server.alive():
                return None
    ways["env"].pop("SQM_WARM", None)
    return subprocess.Popen(
        [sys.executable, *arguments],
        start_new_session=True,  # an interrupt at the terminal reaches the parent only
        text=True,
        encoding="utf-8",
        errors="replace",
        **ways,
    )


def _events(process: Any) -> Iterable[dict[str, Any]]:
    for line in process.stdout:
        with contextlib.suppress(ValueError):  # a library may print there what is no event
            event = json.loads(line)
            if isinstance(event, dict) and event.keys() >= {"state", "seconds"}:
                yield event


def _last_words(process: Any, words: list[str]) -> None:
    for line in process.stderr:
        words.append(line.rstrip())
        del words[:-20]


def _died(code: int, words: list[str]) -> str:
    last = next((line for line in reversed(words) if line.strip()), "no last words")
    return f"its process ended with code {code} before the study did: {last}"


def _absolute(study: str) -> str:
    """Processes work in the project's root, so a path is made absolute here."""
    return str(Path(study).expanduser().resolve()) if study.endswith((".yml", ".yaml")) else study


def _too_late(changes: Sequence[str], first: str) -> list[Problem]:
    """Overrides of phases that are taken as they lie would be recorded, and change nothing."""
    before = PHASES[: PHASES.index(first)]
    return [
        Problem(
            f"--set {change}: this begins with {first}, and takes {change.partition('.')[0]} as it"
            " lies.",
            "run without --phase (and without watch).",
        )
        for change in changes
        if change.partition(".")[0].strip() in before
    ]


def _missing_phases(place: Path, first: str, study: str) -> list[Problem]:
    return [
        Problem(
            f"{study}: the phase {phase} has not been carried out, and {first} builds on it.",
            f"run without --phase, or with --phase {phase}.",
        )
        for phase in PHASES[: PHASES.index(first)]
        if not (place / phase / "phase.json").is_file()
    ]
