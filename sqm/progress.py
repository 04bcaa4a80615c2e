"""How far is the batch, for a person who looks now and then?"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType

from tqdm import tqdm

from sqm.places import PHASES

ENDED = ("finished", "failed")


class Progress:
    """A line for each study under way on a terminal; a line an event where the output is a log.

    Parameters
    ----------
    studies : sequence of str
    first : str
        The phase that the runs begin with.
    """

    def __init__(self, studies: Sequence[str], *, first: str) -> None:
        self._steps = len(PHASES) - PHASES.index(first)
        self._studies, self._ended = len(studies), 0
        self._began = time.monotonic()
        self._width = max(map(len, studies), default=0)
        self._lock = threading.Lock()
        self._bars: dict[str, tqdm] = {}
        self._on_terminal = sys.stderr.isatty()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for bar in self._bars.values():
            bar.close()

    def show(self, study: str, phase: str, state: str, seconds: float) -> None:
        """Show that a phase of a study begins, is done or unchanged, or that the study ended."""
        with self._lock:
            over = not phase and state in ENDED
            self._ended += over
            if self._on_terminal:
                self._move(study, phase, state, over)
            if over or not self._on_terminal:
                left = f"  ({self._ended} of {self._studies}{self._left()})" if over else ""
                what = f"{phase} {state}" if phase else state
                line = f"{seconds:7.1f} s  {study}  {what}{left}"
                tqdm.write(line, file=sys.stderr)
                sys.stderr.flush()

    def _move(self, study: str, phase: str, state: str, over: bool) -> None:
        if over:
            if bar := self._bars.pop(study, None):
                bar.close()
            return
        if study not in self._bars:
            self._bars[study] = self._bar(study)
        bar = self._bars[study]
        bar.set_postfix_str(f"{phase} …" if state == "begins" else state, refresh=False)
        bar.update(state in ("done", "unchanged"))
        bar.refresh()

    def _bar(self, study: str) -> tqdm:
        taken = {abs(bar.pos) for bar in self._bars.values()}
        return tqdm(
            total=self._steps,
            desc=f"{study:<{self._width}}",
            position=next(row for row in range(len(taken) + 1) if row not in taken),
            leave=False,
            bar_format="{desc} {bar:20} {n_fmt}/{total_fmt} {elapsed} {postfix}",
        )

    def _left(self) -> str:
        """How long the rest takes if it goes on as it went; blank if there is none."""
        rest = self._studies - self._ended
        seconds = (time.monotonic() - self._began) / self._ended * rest
        minutes = round(seconds / 60)
        about = f"{minutes} min" if minutes else f"{round(seconds)} s"
        return f"; about {about} left" if rest else ""
