"""What a cluster suffers and outlives: workers, the client and the scheduler killed, a link cut.

    python tests/soak_cluster.py              every trial (a few minutes), with a summary
    python tests/soak_cluster.py namespaces   one of them

The trial with network namespaces needs `ip` and the right to make them; elsewhere it says so and is
left out.  `tests/test_cluster.py` runs the short forms.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
from conftest import made_project, write_notebook, write_study

from sqm import cluster, run

STUDIES = ("first", "second", "third", "fourth")
CLOCKED = ("run.json", "batch.json", ".lock", ".holder")
GONE = 5.0  # seconds in which nothing of what nobody wants any more may be left
KNOWN = "import os; os.environ['TINY_WORKER'] = str(os.getpid())\n"
WORKER = KNOWN + "from distributed.cli.dask_worker import main; main()"
# Notes the process of the notebook; where `names` holds a count, kills its worker so often.
KILLS = """\
import signal, time
from pathlib import Path
place = Path(os.environ["TINY_PIDS"]) / study
place.mkdir(parents=True, exist_ok=True)
(place / f"{os.getpid()}").touch()
if names and len(list(place.glob("killed*"))) < names[0]:
    (place / f"killed-{os.getpid()}").touch()
    os.kill(int(os.environ["TINY_WORKER"]), signal.SIGKILL)
    time.sleep(60)
"""
A_WHILE = "time.sleep(1)"  # so that a random moment falls into a notebook


class Machines:
    """A scheduler and workers, each a process of its own, as far as asked in other namespaces.

    Parameters
    ----------
    folder : Path
    workers : int
    within : sequence of str
        For each worker the command that starts it in its network namespace.
    host : str
        The address that the scheduler listens at.
    """

    def __init__(
        self, folder: Path, workers: int, *, within: Sequence[str] = (), host: str = "127.0.0.1"
    ) -> None:
        self._file, self._folder, self._host = folder / "scheduler.json", folder, host
        self._within = list(within) or [""] * workers
        self.processes: list[subprocess.Popen] = []

    def __enter__(self) -> Machines:
        self._file.unlink(missing_ok=True)
        self._start("", "-m", "distributed.cli.dask_scheduler", "--host", self._host, "--port", "0")
        while not self._file.exists():
            assert self.processes[0].poll() is None
            time.sleep(0.05)
        for within in self._within:
            self.add_worker(within)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()

    @property
    def address(self) -> str:
        return json.loads(self._file.read_text())["address"]

    def add_worker(self, within: str = "") -> None:
        self._start(
            within, "-c", WORKER, "--nthreads", "1", "--no-nanny",
            "--local-directory", str(self._folder / "dask"),
        )  # fmt: skip

    def _start(self, within: str, *arguments: str) -> None:
        given = (*arguments, "--scheduler-file", str(self._file), "--no-dashboard")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        command = [*within.split(), sys.executable, *given]
        self.processes.append(subprocess.Popen(command, env=environment, **quiet))


def alive(pids: Path) -> list[int]:
    """The processes of notebooks that are there still."""
    found = []
    for pid in {int(path.name.rpartition("-")[2]) for path in pids.glob("*/*")}:
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [pid] if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE else []
    return found


def assert_gone(pids: Path) -> float:
    """Insist that no process of a notebook is left soon; the seconds that it took."""
    began = time.monotonic()
    while (left := alive(pids)) and time.monotonic() < began + GONE:
        time.sleep(0.05)
    assert left == []
    return time.monotonic() - began


class Batch:
    """A project of four small studies, and what an undisturbed batch makes of it."""

    def __init__(self, root: Path) -> None:
        self.root, self.out, self.pids = made_project(root), root / "out", root / "pids"
        os.environ["TINY_PIDS"] = str(self.pids)
        for phase in ("measure", "improve"):
            write_notebook(root, phase, extra=f"{KILLS}{A_WHILE}")
        for name in STUDIES:
            write_study(root, name)
        self.said: list[tuple[float, str, str, str]] = []
        run.run(self.planned(), jobs=2, say=lambda *event: None)
        self.undisturbed = self.bytes()
        self.clear()

    def planned(self, *, force: bool = False) -> run.Plan:
        found, problems = run.plan(STUDIES, root=self.root, out=self.out, force=force)
        assert problems == []
        return found

    def clear(self) -> None:
        for folder in (self.out, self.pids):
            shutil.rmtree(folder, ignore_errors=True)
        self.said.clear()

    def bytes(self, out: Path | None = None) -> dict[str, bytes]:
        """Every file that must be the same again."""
        out = out or self.out
        return {
            path.relative_to(out).as_posix(): path.read_bytes()
            for path in sorted(out.rglob("*"))
            if path.is_file() and path.suffix != ".ipynb" and path.name not in CLOCKED
        }

    def note(self, study: str, phase: str, state: str, seconds: float) -> None:
        self.said.append((time.monotonic(), study, phase, state))

    def begun(self) -> int:
        """How many notebooks were begun."""
        return sum(state == "begins" for *_, state in self.said)

    def carried_out(self, address: str, *, say: run.Say, place: str = "") -> None:
        """Insist that the cluster finishes every study, with the bytes of an undisturbed run."""
        ended = cluster.run(self.planned(), address=address, say=say, place=place)
        assert [outcome.reason for outcome in ended] == [""] * len(STUDIES), ended
        there = self.bytes(Path(place.removeprefix("file://")) if place else None)
        differ = {n for n in there.keys() | self.undisturbed.keys()
                  if there.get(n) != self.undisturbed.get(n)}  # fmt: skip
        assert not differ, differ
        assert_gone(self.pids)


def dead_workers(batch: Batch, rng: random.Random, turns: int = 10) -> str:
    """A worker is killed at a random moment, by turns with a shared folder and an address."""
    again = []
    for turn in range(turns):
        batch.clear()
        place = batch.root / "there"
        shutil.rmtree(place, ignore_errors=True)
        with Machines(batch.root, 2) as machines:
            at = rng.randint(4, 30)

            def say(*event, machines=machines, at=at):
                batch.note(*event)
                if len(batch.said) == at:
                    time.sleep(rng.uniform(0, 1))
                    rng.choice(machines.processes[1:]).kill()
                    machines.add_worker()

            batch.carried_out(machines.address, say=say, place=place.as_uri() if turn % 2 else "")
        again.append(batch.begun() - 5 * len(STUDIES))
        assert 0 <= again[-1] <= 1, batch.said
    return f"{turns} killed, {sum(again)} notebooks begun anew, all finished with the same bytes"


def dead_client(batch: Batch, rng: random.Random) -> str:
    """The client is killed, and interrupted: the workers end what they do for it."""
    took = []
    with Machines(batch.root, 2) as machines:
        command = [sys.executable, "-m", "sqm", "run", *STUDIES, "--cluster", machines.address]
        for number in (9, 2, 15):
            batch.clear()
            client = subprocess.Popen(command, cwd=batch.root, stderr=subprocess.DEVNULL)
            while not alive(batch.pids):
                assert client.poll() is None
                time.sleep(0.05)
            client.send_signal(number)
            took.append(assert_gone(batch.pids))
            client.wait(timeout=60)
            batch.carried_out(machines.address, say=batch.note)
    return f"3 ended, the last process on a worker gone after {max(took):.1f} s at most"


def dead_scheduler(batch: Batch, rng: random.Random) -> str:
    """The scheduler is killed: every study has a reason, nothing is left, the next goes on."""
    batch.clear()
    killed = []
    with Machines(batch.root, 2) as machines:

        def say(*event):
            batch.note(*event)
            if event[1:3] == ("measure", "begins") and not killed:
                time.sleep(0.5)
                machines.processes[0].kill()
                killed.append(time.monotonic())

        ended = cluster.run(batch.planned(), address=machines.address, say=say)
        told = time.monotonic() - killed[0]
        assert all("the scheduler was lost" in outcome.reason for outcome in ended), ended
        gone = told + assert_gone(batch.pids)
    with Machines(batch.root, 2) as machines:
        batch.carried_out(machines.address, say=batch.note)
    return f"told after {told:.1f} s, the last process gone after {gone:.1f} s"


def namespaces(batch: Batch, rng: random.Random) -> str:
    """Two workers in network namespaces: one is killed, then the link of one is cut."""
    with contextlib.ExitStack() as stack:
        try:
            host, within = stack.enter_context(_two_namespaces())
        except (OSError, subprocess.CalledProcessError) as error:
            return f"left out: {error}"
        batch.clear()
        with Machines(batch.root, 2, within=within, host=host) as machines:
            batch.carried_out(machines.address, say=batch.note)
        batch.clear()
        write_study(batch.root, "first", "measure: {names: [1]}\n")
        with Machines(batch.root, 2, within=within, host=host) as machines:
            ended = cluster.run(batch.planned(), address=machines.address, say=batch.note)
            assert not any(outcome.reason for outcome in ended), ended
            assert batch.begun() == 5 * len(STUDIES) + 1
            assert_gone(batch.pids)
        write_study(batch.root, "first")
        return "both worked; one killed in mid-notebook cost that notebook; " + _cut(
            batch, host, within
        )


def _cut(batch: Batch, host: str, within: list[str]) -> str:
    """Cut the link of a worker while it is in a notebook."""
    batch.clear()
    cut = []
    with Machines(batch.root, 2, within=within, host=host) as machines:

        def say(*event):
            batch.note(*event)
            if event[1:3] == ("measure", "begins") and not cut:
                cut.append(time.monotonic())
                _ip("link set sqm-host-1 down")

        batch.carried_out(machines.address, say=say)
        return f"with a link cut all finished after {time.monotonic() - cut[0]:.0f} s"


@contextlib.contextmanager
def _two_namespaces() -> Iterator[tuple[str, list[str]]]:
    """Two network namespaces on a bridge; the host's address there, and how to start within."""
    if not shutil.which("ip"):
        raise OSError("there is no command `ip`")
    try:
        _ip("link add sqm-bridge type bridge")
        _ip("addr add 10.213.7.1/24 dev sqm-bridge")
        _ip("link set sqm-bridge up")
        for n in (1, 2):
            _ip(f"netns add sqm-{n}")
            _ip(f"link add sqm-host-{n} type veth peer name sqm-there-{n}")
            _ip(f"link set sqm-there-{n} netns sqm-{n}")
            _ip(f"link set sqm-host-{n} master sqm-bridge up")
            _ip(f"-n sqm-{n} addr add 10.213.7.{n + 1}/24 dev sqm-there-{n}")
            _ip(f"-n sqm-{n} link set sqm-there-{n} up")
            _ip(f"-n sqm-{n} link set lo up")
        yield "10.213.7.1", [f"ip netns exec sqm-{n}" for n in (1, 2)]
    finally:
        for undo in ("netns del sqm-1", "netns del sqm-2", "link del sqm-bridge"):
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip(undo)
        for n in (1, 2):
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip(f"link del sqm-host-{n}")


def _ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True, capture_output=True)


TRIALS = {
    "workers": dead_workers,
    "client": dead_client,
    "scheduler": dead_scheduler,
    "namespaces": namespaces,
}


def main() -> None:
    rng = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        batch = Batch(Path(folder))
        for name in sys.argv[1:] or TRIALS:
            began = time.monotonic()
            print(f"{name}: {TRIALS[name](batch, rng)}", end="", flush=True)
            print(f" ({time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
