"""How are studies carried out on other machines, by a Dask scheduler that is already there?"""

from __future__ import annotations

import collections
import contextlib
import functools
import gc
import importlib.metadata
import logging
import os
import platform
import queue
import socket
import tempfile
import threading
import uuid
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

import sqm
from sqm import deliver, warm
from sqm.checks import Problem
from sqm.places import PHASES
from sqm.run import Outcome, Plan, Say, end, job_of, one

PATIENCE = 10  # seconds in which a scheduler and its first worker have to answer
TRIES = 2  # a notebook under which so many workers ended is not given to a third
LOOK = 0.25  # seconds between two looks at whether a study is still wanted
PYTHON = ".".join(platform.python_version_tuple()[:2])


@dataclass(frozen=True)
class _Batch:
    """What a worker is told of the batch that a study belongs to."""

    token: str
    place: str  # the address for outputs; blank where --out is a folder that all machines share
    mark: str  # a file in that folder, by which a worker sees that it is the same one
    sqm: str = sqm.__version__
    python: str = PYTHON


def run(planned: Plan, *, address: str, say: Say, place: str = "") -> list[Outcome]:
    """Carry out the studies of a plan on the workers of a Dask scheduler.

    Parameters
    ----------
    planned : Plan
        Its root lies at the same path on every machine, and so does ``out`` if ``place`` is blank.
    address : str
        The scheduler's, for example ``tcp://10.0.0.1:8786``.
    say : callable
        Told each event, in this thread: ``say(study, phase, state, seconds)``.
    place : str, default ""
        The address that receives the outputs (see `sqm.deliver`), such as ``s3://bucket/studies``.

    Returns
    -------
    list of Outcome
        One a study, in the order given.

    Raises
    ------
    Problem
        If no scheduler or no worker answers, or if a worker cannot do the work: another version,
        no project, another folder for outputs.

    Notes
    -----
    A study is one task.  If its worker dies, Dask gives the task to another worker, which goes on
    from the phases that are finished, so that a dead worker costs one notebook.  A notebook under
    which two workers ended is given up.  The environment of this machine is not sent: workers have
    their own, and with it their own secrets.
    """
    with _connected(address) as client, _marked(planned, place) as mark:
        _need_fit_workers(client, planned, mark)
        batch = _Batch(uuid.uuid4().hex[:12], place, mark)
        return _Submitted(client, planned, batch, say).gathered()


# --- before anything runs -----------------------------------------------------------------------


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Any]:
    """A client of the scheduler at an address."""
    logs = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    before = [log.level for log in logs]
    try:
        client = _client(address)
        for log in logs:  # what matters of it is told in our words
            log.setLevel(logging.CRITICAL)
        try:
            yield client
        finally:
            client.close(timeout=2)
    finally:
        for log, level in zip(logs, before, strict=True):
            log.setLevel(level)


def _client(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError:
        raise Problem(
            "Studies cannot go to a cluster: Dask is not installed.",
            "pip install 'sqm[cluster]', here and on every worker.",
        ) from None
    try:
        with warnings.catch_warnings(), _uncollected():
            warnings.simplefilter("ignore")  # versions are compared in `_need_fit_workers`
            return Client(address, timeout=PATIENCE, set_as_default=False)
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    # not within `except`, whose error would keep the half-made client alive
    raise Problem(
        f"No Dask scheduler answers at {address}: {first}",
        "start one with `dask scheduler` and give the address that it prints.",
    )


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Collect no garbage: a dead client that is collected while one starts waits for ever."""
    gc.collect()
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextlib.contextmanager
def _marked(planned: Plan, place: str) -> Iterator[str]:
    """Put a file into the output folder, by which workers know that it is the same folder."""
    if place:
        yield ""
        return
    planned.out.mkdir(parents=True, exist_ok=True)
    ours = f".cluster-{socket.gethostname()}-"
    for old in planned.out.glob(f"{ours}*"):  # of a batch here that was killed
        pid = old.name.removeprefix(ours)
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            old.unlink(missing_ok=True)
    mark = planned.out / f"{ours}{os.getpid()}"
    mark.touch()
    try:
        yield str(mark)
    finally:
        mark.unlink(missing_ok=True)


def _need_fit_workers(client: Any, planned: Plan, mark: str) -> None:
    """Insist on workers, and on each of them being able to do the work."""
    from distributed import TimeoutError as TooLate

    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except (TooLate, TimeoutError):
        raise Problem(
            f"The scheduler at {client.scheduler.address} has no worker.",
            "start some with `dask worker` and that address, then run again.",
        ) from None
    ask = functools.partial(client.run, on_error="return")
    _need_same("sqm", ask(importlib.metadata.version, "sqm"), sqm.__version__)
    pythons = {worker: _two(said) for worker, said in ask(platform.python_version).items()}
    _need_same("Python", pythons, PYTHON)
    for path in _to_see(str(planned.root), mark):
        for worker, there in ask(Path.exists, path).items():
            if there is not True:
                raise _unseen(worker, path.parent)


def _to_see(root: str, mark: str) -> list[Path]:
    """Files that every worker has to see."""
    return [Path(root) / "pyproject.toml", *([Path(mark)] if mark else [])]


def _two(version: Any) -> Any:
    return ".".join(version.split(".")[:2]) if isinstance(version, str) else version


def _need_same(what: str, found: dict[str, Any], ours: str) -> None:
    wrong = {worker: said for worker, said in found.items() if said != ours}
    if not wrong:
        return
    worker, said = next(iter(wrong.items()))
    has = f"{what} {said}" if isinstance(said, str) else f"no {what} ({said})"
    raise Problem(
        f"{len(wrong)} of {len(found)} workers cannot carry out studies: the one at {worker} has"
        f" {has}, and here it is {ours}.",
        "install the same versions on every machine, then start the workers again.",
    )


def _unseen(worker: str, folder: Path) -> Problem:
    return Problem(
        f"The worker at {worker} does not see {folder} as this machine does.",
        "let the project lie at the same path on every machine, and --out on a file system that"
        " they share; or name an address for --out, such as s3://bucket/studies.",
    )


# --- here, while studies run elsewhere ----------------------------------------------------------


class _Submitted:
    """The studies of a batch, while their tasks are with the scheduler."""

    def __init__(self, client: Any, planned: Plan, batch: _Batch, say: Say) -> None:
        self._client, self._batch, self._say = client, batch, say
        studies = zip(planned.studies, planned.names, strict=True)
        self._jobs = {name: job_of(study, planned) for study, name in studies}
        self._tasks: dict[str, Any] = {}
        self._came: queue.Queue[tuple[str, Any]] = queue.Queue()

    def gathered(self) -> list[Outcome]:
        """Submit all, tell what happens, and hand back how each study ended."""
        ended: dict[str, Outcome] = {}
        self._client.subscribe_topic(_topic(self._batch), self._heard)
        try:
            for name in self._jobs:
                self._submit(name)
            while len(ended) < len(self._jobs) or not self._came.empty():
                kind, came = self._next()
                if kind == "event":
                    self._say(*came)
                elif kind == "task" and (outcome := self._outcome(came)):
                    ended[came] = outcome
            return [ended[name] for name in self._jobs]
        finally:
            self._let_go()

    def _next(self) -> tuple[str, Any]:
        try:
            return self._came.get(timeout=1)  # an interrupt gets through between two waits
        except queue.Empty:
            return "nothing", None

    def _submit(self, name: str) -> None:
        key = f"sqm-{name}-{self._batch.token}-{uuid.uuid4().hex[:6]}"
        job = self._jobs[name]
        self._tasks[name] = self._client.submit(_study, name, job, self._batch, key=key, pure=False)
        self._wait_for(name)

    def _wait_for(self, name: str) -> None:
        self._tasks[name].add_done_callback(lambda _: self._came.put(("task", name)))

    def _heard(self, event: tuple[float, dict[str, Any]]) -> None:
        said = event[1]
        if said["state"] != "starts":
            told = (said["study"], said["phase"], said["state"], said["seconds"])
            self._came.put(("event", told))

    def _outcome(self, name: str) -> Outcome | None:
        """How a study ended; None if it is still under way after all."""
        from distributed import TimeoutError as TooLate
        from distributed.scheduler import KilledWorker

        try:
            return self._tasks[name].result(timeout=PATIENCE)
        except (TooLate, TimeoutError):  # its worker died with the outcome: Dask asks once more
            self._wait_for(name)
        except KilledWorker:  # Dask gives up by its own count, which may be one
            self._submit(name)
        except CancelledError:
            return self._failed(
                name,
                "the scheduler was lost, or the task was cancelled there; phases that are done"
                " stay done, so run again to go on.",
            )
        except Exception as error:
            return self._failed(name, f"its worker failed: {type(error).__name__}: {error}")
        return None

    def _failed(self, name: str, reason: str) -> Outcome:
        self._say(name, "", "failed", 0.0)
        return Outcome(name, reason=reason)

    def _let_go(self) -> None:
        """Cancel what still runs, whose processes the workers end, and the warm processes there."""
        with contextlib.suppress(Exception):
            self._client.unsubscribe_topic(_topic(self._batch))
            going = [task for task in self._tasks.values() if not task.done()]
            self._client.cancel(going, force=True)
            self._client.run(_end_warm, self._batch.token, on_error="ignore")


# --- there, on a worker -------------------------------------------------------------------------


def _study(name: str, job: dict[str, Any], batch: _Batch) -> Outcome:
    """Carry out one study on the worker that this runs on."""
    from distributed import get_client, get_worker

    worker, client = get_worker(), get_client()
    before = [said for _, said in client.get_events(_topic(batch, name))]

    def say(study: str, phase: str, state: str, seconds: float) -> None:
        said = {"study": study, "phase": phase, "state": state, "seconds": seconds}
        client.log_event([_topic(batch), _topic(batch, name)], {**said, "worker": worker.address})

    reason = _unfit(job, batch, worker.address) or _given_up(before)
    if reason:
        say(name, "", "failed", 0.0)
        return Outcome(name, reason=reason)
    if before:
        say(name, "", f"goes on at {worker.address}: its worker ended", 0.0)
    say(name, "", "starts", 0.0)
    with _wanted(worker, worker.get_current_task()) as going:
        return _carried(name, _resumed(job, before), batch, say, going)


def _carried(name: str, job: dict[str, Any], batch: _Batch, say: Say, going: list[Any]) -> Outcome:
    def work(tell: Say, out: str) -> Outcome:
        with _warm(batch.token) as server:
            return one(name, {**job, "out": out}, say=tell, server=server, going=going)

    if not batch.place:
        return work(say, job["out"])
    from distributed import get_worker

    with tempfile.TemporaryDirectory(prefix="sqm-", dir=get_worker().local_directory) as out:
        here = functools.partial(work, out=out)
        return deliver.carry(batch.place, name, Path(out), say=say, work=here)


def _unfit(job: dict[str, Any], batch: _Batch, worker: str) -> str:
    """Why this worker, which may have come late, cannot do the work; blank if it can."""
    if (sqm.__version__, PYTHON) != (batch.sqm, batch.python):
        return (
            f"the worker at {worker} has sqm {sqm.__version__} under Python {PYTHON}, and the"
            f" batch needs sqm {batch.sqm} under Python {batch.python}"
        )
    unseen = [path for path in _to_see(job["root"], batch.mark) if not path.exists()]
    return str(_unseen(worker, unseen[0].parent)) if unseen else ""


def _tries(events: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Of each start of a study, its worker and the phase in which that worker ended.

    Examples
    --------
    >>> said = [("", "starts"), ("define", "begins"), ("define", "done"), ("measure", "begins")]
    >>> _tries([{"phase": p, "state": s, "worker": "tcp://a:1"} for p, s in said])
    [('tcp://a:1', 'measure')]
    """
    tries: list[tuple[str, str]] = []
    for said in events:
        if said["state"] == "starts":
            tries.append((said["worker"], ""))
        elif tries and said["state"] in ("begins", "done"):
            tries[-1] = (said["worker"], said["phase"] if said["state"] == "begins" else "")
    return tries


def _given_up(events: Sequence[dict[str, Any]]) -> str:
    """Why a study is not given to one more worker; blank if it is."""
    ended = collections.defaultdict(list)
    for worker, phase in _tries(events):
        ended[phase].append(worker)
    for phase, workers in ended.items():
        if len(workers) >= TRIES:
            return (
                f"given up, because {len(workers)} workers ended while it was in"
                f" {phase or 'no phase'}: {', '.join(workers)}. Their logs say why; memory is the"
                " first thing to look at."
            )
    return ""


def _resumed(job: dict[str, Any], events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The job as another try takes it up: --force does not run twice what this batch has done."""
    done = {said["phase"] for said in events if said["state"] == "done"}
    if not (job["force"] and done):
        return job
    left = [phase for phase in PHASES[PHASES.index(job["first"]) :] if phase not in done]
    return {**job, "first": (left or PHASES[-1:])[0]}


@contextlib.contextmanager
def _wanted(worker: Any, key: str) -> Iterator[list[Any]]:
    """A list of processes that are ended as soon as nobody wants the task any more.

    The scheduler tells a worker that a task is cancelled, also when the client was killed, but it
    cannot stop the task's thread; so the thread's process is ended, which ends the thread.
    """
    from distributed import Status

    going: list[Any] = []
    over = threading.Event()
    alive = {Status.running, Status.paused, Status.closing_gracefully}

    def look() -> None:
        while not over.wait(LOOK):
            task = worker.state.tasks.get(key)
            if worker.status not in alive or task is None or task.state == "cancelled":
                end(list(going))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield going
    finally:
        over.set()
        watcher.join()
        end(list(going))


@dataclass
class _Server:
    """A worker's warm process, one a batch: a later batch may bring another version of sqm."""

    warm: warm.Warm
    users: int = 0
    over: bool = False


_servers: dict[str, _Server] = {}
_hold = threading.Lock()


@contextlib.contextmanager
def _warm(token: str) -> Iterator[warm.Warm | None]:
    """The worker's process with its imports done; None where there can be none."""
    if warm.missing():
        yield None
        return
    with _hold:
        if token not in _servers or not _servers[token].warm.alive():
            _servers[token] = _Server(warm.Warm.start())
        server = _servers[token]
        server.users += 1
    try:
        yield server.warm
    finally:
        with _hold:
            server.users -= 1
        _sweep(token)


def _end_warm(token: str) -> None:
    """Note that a batch is over: its warm process on this worker ends with its last study."""
    with _hold:
        if token in _servers:
            _servers[token].over = True
    threading.Thread(target=_sweep, daemon=True).start()  # this is the worker's own thread


def _sweep(token: str = "") -> None:
    """End the warm processes that nobody needs: of batches that are over, or that are not this."""
    with _hold:
        unused = [t for t, s in _servers.items() if not s.users and (s.over or t != token)]
        for each in unused:
            _servers.pop(each).warm.close()


def _topic(batch: _Batch, name: str = "") -> str:
    return f"sqm-{batch.token}-{name}" if name else f"sqm-{batch.token}"
