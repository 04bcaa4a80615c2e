"""What a batch suffers and outlives: killed at random moments, hung, out of disk, out of memory.

    python tests/soak.py          every trial in its long form (half an hour), with a summary
    python tests/soak.py kills    one of them

After each trial the batch is run again, must end well, and must leave the same bytes as a batch
that nothing disturbed.  `tests/test_soak.py` runs the short forms.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from conftest import made_project, write_notebook, write_study

STUDIES = ("first", "second", "third")
CLOCKED = ("run.json", "batch.json", ".lock", ".holder")
A_MOMENT = "import time; time.sleep(0.05)"  # so that a random moment may fall into a cell
GONE = 5.0  # seconds in which nothing of an interrupted batch may be left


class Batch:
    """A project of three small studies, and what an undisturbed batch makes of it."""

    def __init__(self, root: Path) -> None:
        self.root = made_project(root)
        for phase in ("measure", "control"):
            write_notebook(self.root, phase, extra=A_MOMENT)
        for name in STUDIES:
            write_study(self.root, name, f"measure: {{confidence: 0.9{STUDIES.index(name)}}}\n")
        began = time.monotonic()
        assert self.run().returncode == 0
        self.seconds = time.monotonic() - began
        self.undisturbed = self.bytes()
        self.clear()

    @property
    def out(self) -> Path:
        return self.root / "out"

    def start(self, *more: str, **ways) -> subprocess.Popen:
        command = [sys.executable, "-m", "sqm", "run", *STUDIES, "--jobs", "2", *more]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=self.root, **(pipes | ways))

    def run(self, *more: str, **ways) -> subprocess.CompletedProcess:
        process = self.start(*more, **ways)
        said, errors = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, said, errors)

    def bytes(self) -> dict[str, bytes]:
        """Every file that must be the same again."""
        return {
            path.relative_to(self.out).as_posix(): path.read_bytes()
            for path in sorted(self.out.rglob("*"))
            if path.is_file() and path.suffix != ".ipynb" and path.name not in CLOCKED
        }

    def clear(self) -> None:
        shutil.rmtree(self.out, ignore_errors=True)

    def recovers(self) -> None:
        """Insist that the batch, run again, ends well and as if nothing had happened."""
        again = self.run()
        assert again.returncode == 0, again.stderr
        there = self.bytes()
        assert there.keys() == self.undisturbed.keys()
        differ = [name for name in there if there[name] != self.undisturbed[name]]
        assert not differ, differ


def family(pid: int) -> list[psutil.Process]:
    """A process and all that descend from it."""
    try:
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def gone(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that are still alive after `GONE` seconds."""
    return psutil.wait_procs(processes, timeout=GONE)[1]


def kills(batch: Batch, count: int, rng: random.Random) -> str:
    """SIGKILL of the whole batch's first process, at random moments."""
    left = 0
    for _ in range(count):
        batch.clear()
        process = batch.start(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0, batch.seconds))
        relatives = family(process.pid)
        process.kill()
        process.wait()
        left += len(gone(relatives))
        batch.recovers()
    assert not left, f"{left} processes outlived the batch"
    return f"{count} SIGKILLs of the batch: every next run ended well with the same bytes"


def victims(batch: Batch, count: int, rng: random.Random) -> str:
    """SIGKILL of one process of the batch: the warm one, a study's, a kernel."""
    ended = {0: 0, 1: 0}
    for _ in range(count):
        batch.clear()
        process = batch.start(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.2, 0.9) * batch.seconds)
        if descendants := family(process.pid)[1:]:
            victim = rng.choice(descendants)
            victim.kill()
        ended[process.wait(timeout=120)] += 1
        batch.recovers()
    return (
        f"{count} SIGKILLs of a process of the batch: {ended[0]} batches went on by themselves,"
        f" {ended[1]} named the study that failed; every next run ended well with the same bytes"
    )


def interrupts(batch: Batch, count: int, rng: random.Random) -> str:
    """SIGINT and SIGTERM: exit code 130, and no process left after five seconds."""
    for number in range(count):
        batch.clear()
        process = batch.start()
        time.sleep(rng.uniform(0.1, 0.9) * batch.seconds)
        relatives = family(process.pid)
        process.send_signal((signal.SIGINT, signal.SIGTERM)[number % 2])
        left = gone(relatives)
        assert not left, f"{left} are left"
        _, errors = process.communicate(timeout=5)
        if process.returncode != 0:  # it may have been done already
            assert process.returncode == 130, (process.returncode, errors)
            assert "Interrupted" in errors
        batch.recovers()
    return f"{count} interrupts (SIGINT, SIGTERM in turn): exit 130, nothing left after 5 s"


@contextmanager
def spoilt(batch: Batch, cell: str) -> Iterator[None]:
    """Have Analyse do something unhealthy for a while."""
    path = batch.root / "notebooks" / "3-analyse.ipynb"
    healthy = path.read_bytes()
    write_notebook(batch.root, "analyse", extra=cell)
    batch.clear()
    try:
        yield
    finally:
        path.write_bytes(healthy)


def hangs(batch: Batch, count: int, rng: random.Random) -> str:
    """A cell that never ends, under each of the two limits."""
    for limit in ("--cell-limit", "--notebook-limit"):
        with spoilt(batch, "import time\nwhile True: time.sleep(1)"):
            ended = batch.run(limit, "2")
        assert ended.returncode == 1, ended.stderr
        assert "took longer than 2 s" in ended.stderr, ended.stderr
        batch.recovers()
    return "a hang under --cell-limit and under --notebook-limit: named, given up"


def memory(batch: Batch, count: int, rng: random.Random) -> str:
    """A cell that asks for more memory than there is: an error, or the system's kill."""
    greedy = (
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2_000_000_000,) * 2)\n"
        "hoard = [bytearray(100_000_000) for _ in range(1000)]"
    )
    for cell, word in ((greedy, "(memory?)"), ("import os; os.kill(os.getpid(), 9)", "signal 9")):
        with spoilt(batch, cell):
            ended = batch.run()
        assert ended.returncode == 1
        assert word in ended.stderr, ended.stderr
        batch.recovers()
    return "memory exhausted (limit on the address space, kill by the system): named"


def disk(batch: Batch, count: int, rng: random.Random) -> str:
    """No file may grow beyond a few bytes: what a full disk does to every write."""
    for size in (0, 200, 3_000)[: max(count, 1)]:
        batch.clear()
        ended = batch.run(preexec_fn=lambda size=size: _small_files(size))
        assert ended.returncode != 0
        assert "Traceback" not in ended.stderr, ended.stderr
        assert not list(batch.out.rglob("run.json"))
        batch.recovers()
    return "disk full at three sizes: no run.json, the next run ended well"


def _small_files(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def unwritable(batch: Batch, count: int, rng: random.Random) -> str:
    """An output folder that cannot be written: refused before anything runs."""
    batch.clear()
    batch.out.write_text("a file where the folder should be")
    ended = batch.run()
    assert ended.returncode == 2, ended.stderr
    assert "cannot be written" in ended.stderr
    batch.out.unlink()
    batch.recovers()
    return "an output folder that cannot be written: a Problem before anything runs"


def clocks(batch: Batch, count: int, rng: random.Random) -> str:
    """A clock set back: everything there seems to come from the future."""
    batch.recovers()
    future = time.time() + 10 * 365 * 86400
    for path in batch.root.rglob("*"):
        os.utime(path, (future, future))
    (batch.root / "data" / "complaints.csv").write_text("id,day\n1,2025-01-01\n")
    ended = batch.run()
    assert ended.returncode == 0
    assert "define done" in ended.stderr, "data older than the outputs must count"
    (batch.root / "data" / "complaints.csv").write_text("id,day\n1,2025-01-01\n2,2025-01-02\n")
    batch.recovers()
    return "a clock set back: changes are told by content, so nothing stale is kept"


TRIALS: dict[str, tuple[Callable[[Batch, int, random.Random], str], int]] = {
    "kills": (kills, 50),
    "victims": (victims, 50),
    "interrupts": (interrupts, 20),
    "hangs": (hangs, 1),
    "memory": (memory, 1),
    "disk": (disk, 3),
    "unwritable": (unwritable, 1),
    "clocks": (clocks, 1),
}


def main() -> None:
    rng = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        batch = Batch(Path(folder))
        print(f"an undisturbed batch takes {batch.seconds:.1f} s", flush=True)
        for name in sys.argv[1:] or TRIALS:
            trial, count = TRIALS[name]
            began = time.monotonic()
            print(f"{name}: {trial(batch, count, rng)}", end="", flush=True)
            print(f" ({time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
