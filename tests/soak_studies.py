"""Does a batch of a thousand studies keep its memory, its handles and its failures in hand?

    python -m tests.soak_studies [--count 1000] [--jobs 2]

One batch of very small studies, of which every tenth fails in a known way.  While it runs, the
memory and the file handles of its first process and of the warm one are read; afterwards no process
and no temporary file of its own may be left, and every failure must be named with its reason.
`tests/test_soak_studies.py` runs a short form.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from tests import made_batch

ROOT = Path(__file__).parent.parent
MARK = "SQM_TRIAL"  # every process of the batch inherits this variable
GONE = 5.0  # seconds in which nothing of a batch that has ended may be left
# Bytes that a process may take on: once, for what the first failures import, and by the study.
ONCE, BY_STUDY = 4e6, 12e3
ENDED = re.compile(r"\((\d+) of \d+")


@dataclass(frozen=True)
class Sample:
    """How many studies had ended, and what a process held then."""

    ended: int
    process: str
    memory: int
    handles: int


class Trial:
    """A made project, the batch over it, and what was seen of the batch while it ran."""

    def __init__(self, folder: Path, *, count: int, failing: int = 1) -> None:
        self.folder, self.mark = folder, uuid.uuid4().hex
        self.expected = made_batch.light(folder / "project", studies=count, failing=failing)
        for own in ("t", "jupyter"):
            (folder / own).mkdir()
        self.samples: list[Sample] = []

    @property
    def out(self) -> Path:
        return self.folder / "project" / "out"

    @property
    def said(self) -> str:
        return (self.folder / "said.txt").read_text(encoding="utf-8")

    def run(self, *, jobs: int, every_s: float = 1.0) -> int:
        """Carry the batch out and sample it; its exit code."""
        own = {MARK: self.mark, "TMPDIR": str(self.folder / "t"), "PYTHONPATH": str(ROOT)}
        own["JUPYTER_RUNTIME_DIR"] = str(self.folder / "jupyter")
        with (self.folder / "said.txt").open("wb") as said:
            batch = subprocess.Popen(
                [sys.executable, "-m", "sqm", "run", *self.expected, "--jobs", str(jobs)],
                cwd=self.folder / "project",
                env=os.environ | own,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
        try:
            while batch.poll() is None:
                self._sample(batch.pid)
                time.sleep(every_s)
        finally:
            batch.kill()
            batch.wait()
        return batch.returncode

    def _sample(self, pid: int) -> None:
        told = ENDED.findall(self.said)
        ended = int(told[-1]) if told else 0
        for name, process in _followed(pid):
            try:
                held = process.memory_info().rss, process.num_fds()
            except psutil.Error:  # it ends just now
                continue
            self.samples.append(Sample(ended, name, *held))

    def growth(self, process: str) -> float:
        """Bytes that a process takes on with every study, the first tenth left out."""
        seen = [s for s in self._of(process) if s.ended >= len(self.expected) // 10]
        ended, memory = ([getattr(s, of) for s in seen] for of in ("ended", "memory"))
        return float(np.polyfit(ended, memory, 1)[0])

    def handles(self, process: str) -> tuple[int, int]:
        """Most file handles of a process in an early part of the batch, and in the last."""
        seen, whole = self._of(process), len(self.expected)
        early = [s.handles for s in seen if 0.1 * whole <= s.ended < 0.4 * whole]
        late = [s.handles for s in seen if s.ended >= 0.7 * whole]
        return max(early), max(late)

    def _of(self, process: str) -> list[Sample]:
        return [sample for sample in self.samples if sample.process == process]

    def left(self) -> list[str]:
        """Processes of the batch that are still there, and temporary files."""
        deadline = time.monotonic() + GONE
        while (alive := _marked(self.mark)) and time.monotonic() < deadline:
            time.sleep(0.1)
        files = [p for own in ("t", "jupyter") for p in (self.folder / own).rglob("*")]
        return [*alive, *map(str, files)]

    def unnamed(self) -> list[str]:
        """Studies of which `batch.json`, or the list at the end, does not say how they ended."""
        record = json.loads((self.out / "batch.json").read_text(encoding="utf-8"))
        told = {each["study"]: each for each in record["studies"]}
        wrong = []
        for name, words in self.expected.items():
            reason, state = told[name]["reason"], told[name]["state"]
            right = state == ("failed" if words else "finished") and "\n" not in reason
            right &= all(word in reason for word in words) and bool(reason) == bool(words)
            right &= (self.out / name / "run.json").is_file() == (not words)
            right &= self._listed(name, words)
            wrong += [] if right else [f"{name}: {told[name]}"]
        return wrong

    def _listed(self, name: str, words: list[str]) -> bool:
        """Whether a study stands in the list of failures exactly if it failed."""
        lines = self.said.splitlines()
        after = max(row for row, line in enumerate(lines) if ENDED.search(line))
        rows = [line for line in lines[after + 1 :] if name in line]
        return len(rows) == bool(words) and all(word in rows[0] for word in words)


def _followed(pid: int) -> list[tuple[str, psutil.Process]]:
    """The batch's first process, and the warm one among its children."""
    try:
        first = psutil.Process(pid)
        warm = [c for c in first.children() if "sqm.warm" in " ".join(c.cmdline())]
    except psutil.Error:
        return []
    return [("first", first), *(("warm", each) for each in warm)]


def _marked(mark: str) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"process {process.pid}: {' '.join(process.cmdline())[:80]}")
        except psutil.Error:
            continue
    return found


def studies(
    folder: Path, *, count: int, jobs: int = 2, failing: int = 1, every_s: float = 1.0
) -> str:
    """Run the whole trial, insist on all of it, and tell it in a few lines."""
    trial, began = Trial(folder, count=count, failing=failing), time.monotonic()
    ended = trial.run(jobs=jobs, every_s=every_s)
    seconds = time.monotonic() - began
    assert ended == 1, trial.said[-2000:]
    assert not (left := trial.left()), left
    assert not (wrong := trial.unnamed()), wrong[:5]
    told = [f"{count} studies in {seconds:.0f} s with {jobs} jobs; nothing left, all named"]
    for process in ("first", "warm"):
        early, late = trial.handles(process)
        grown, most = trial.growth(process), max(s.memory for s in trial._of(process))
        assert late <= early + 3, f"{process}: {early} handles, later {late}"
        assert grown <= BY_STUDY + ONCE / count, f"{process}: {grown:.0f} bytes more by the study"
        told.append(
            f"{process} process: {most / 1e6:.0f} MB at most, {grown:+,.0f} bytes with every "
            f"study, {early} file handles early and {late} late"
        )
    return "\n".join(told)


def main() -> None:
    """Run the trial and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=2)
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(studies(Path(folder), count=said.count, jobs=said.jobs))


if __name__ == "__main__":
    main()
