"""How are many studies carried out unattended, side by side?"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from sqm import parameters
from sqm.checks import Problem, nearest
from sqm.parameters import PHASES

PATIENCE = 5  # seconds that a process is given to end its kernel before it is killed
# One thread each: studies run side by side, and labels must not depend on the count of threads.
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


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
    """

    study: str
    report: str = ""
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Plan:
    """What to run: checked studies, where to, from which phase, with which overrides."""

    studies: tuple[str, ...]
    names: tuple[str, ...]
    root: Path
    out: Path
    first: str = PHASES[0]
    changes: tuple[str, ...] = ()


def plan(
    studies: Sequence[str],
    *,
    root: Path,
    out: Path,
    first: str = PHASES[0],
    changes: Sequence[str] = (),
) -> tuple[Plan, list[Problem]]:
    """Check all the studies, and list everything that is wrong with any of them."""
    problems, names, whole = [], [], []
    if first not in PHASES:
        problems.append(Problem(f"There is no phase {first!r}.", nearest(first, PHASES)))
        first = PHASES[0]
    for study in studies:
        found, wrong = parameters.check(study, root=root, changes=changes)
        problems += wrong
        if found is None:
            continue
        if found.study in names:
            problems.append(
                Problem(f"Two of the studies are called {found.study!r}.", "rename one of them.")
            )
        names.append(found.study)
        whole.append(_absolute(study))
        problems += _missing_phases(out / found.study, first, found.study)
    return Plan(tuple(whole), tuple(names), root, out, first, tuple(changes)), problems


def run(planned: Plan, *, jobs: int, say: Callable[[str, str, str, float], None]) -> list[Outcome]:
    """Carry out the studies of a plan, ``jobs`` at a time.

    Parameters
    ----------
    planned : Plan
    jobs : int
    say : callable
        Told each event: ``say(study, phase, state, seconds)``.

    Returns
    -------
    list of Outcome
        One a study, in the order given; one that fails does not stop the others.
    """
    going: list[subprocess.Popen] = []
    stop = threading.Event()
    pool = ThreadPoolExecutor(max_workers=max(1, jobs))
    work = [
        pool.submit(_run_one, study, name, planned, going, stop, say)
        for study, name in zip(planned.studies, planned.names, strict=True)
    ]
    try:
        return [future.result() for future in work]
    finally:  # reached with processes alive only when a person or the system interrupts
        stop.set()
        for future in work:
            future.cancel()
        for process in going:
            _end(process)
        pool.shutdown()


def _run_one(
    study: str,
    name: str,
    planned: Plan,
    going: list[subprocess.Popen],
    stop: threading.Event,
    say: Callable[[str, str, str, float], None],
) -> Outcome:
    if stop.is_set():
        return Outcome(name, reason="interrupted")
    process = subprocess.Popen(
        [sys.executable, "-m", "sqm.execute"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=planned.root,
        env={**os.environ, **ENVIRONMENT, "SQM_OUT": str(planned.out)},
        start_new_session=True,  # an interrupt at the terminal reaches the parent only
        text=True,
        encoding="utf-8",
    )
    going.append(process)
    errors = threading.Thread(target=_last_words, args=(process, words := []), daemon=True)
    errors.start()
    with contextlib.suppress(BrokenPipeError):  # it died at once: its last words say why
        process.stdin.write(json.dumps(_job(study, planned)))
        process.stdin.close()
    outcome = Outcome(name)
    for line in process.stdout:
        event = json.loads(line)
        seconds = event["seconds"]
        outcome = Outcome(name, event.get("report", ""), event.get("reason", ""), seconds)
        say(name, event.get("phase", ""), event["state"], seconds)
    process.wait()
    errors.join()
    if not outcome.report and not outcome.reason:
        outcome = replace(outcome, reason=_died(process.returncode, words))
        say(name, "", "failed", outcome.seconds)
    return outcome


def _job(study: str, planned: Plan) -> dict:
    return {
        "study": study,
        "root": str(planned.root),
        "out": str(planned.out),
        "first": planned.first,
        "changes": list(planned.changes),
    }


def _last_words(process: subprocess.Popen, words: list[str]) -> None:
    for line in process.stderr:
        words.append(line.rstrip())
        del words[:-20]


def _died(code: int, words: list[str]) -> str:
    last = next((line for line in reversed(words) if line.strip()), "no last words")
    return f"its process ended with code {code} before the study did: {last}"


def _end(process: subprocess.Popen) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _absolute(study: str) -> str:
    """Processes work in the project's root, so a path is made absolute here."""
    return str(Path(study).expanduser().resolve()) if study.endswith((".yml", ".yaml")) else study


def _missing_phases(place: Path, first: str, study: str) -> list[Problem]:
    return [
        Problem(
            f"{study}: the phase {phase} has not been carried out, and {first} builds on it.",
            f"run without --phase, or with --phase {phase}.",
        )
        for phase in PHASES[: PHASES.index(first)]
        if not (place / phase / "phase.json").is_file()
    ]
