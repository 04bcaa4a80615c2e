"""How far is the batch, for a person who looks now and then?"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from types import TracebackType

from tqdm import tqdm

from sqm.parameters import PHASES


class Progress:
    """One line a study on a terminal; one line an event where the output is piped or logged.

    Parameters
    ----------
    studies : sequence of str
    first : str
        The phase that the runs begin with.
    """

    def __init__(self, studies: Sequence[str], *, first: str) -> None:
        self._steps = len(PHASES) - PHASES.index(first)
        self._lock = threading.Lock()
        self._bars: dict[str, tqdm] = {}
        if sys.stderr.isatty():
            width = max(map(len, studies))
            form = "{desc} {bar:20} {n_fmt}/{total_fmt} {elapsed} {postfix}"
            self._bars = {
                study: tqdm(
                    total=self._steps, desc=f"{study:<{width}}", position=row, bar_format=form
                )
                for row, study in enumerate(studies)
            }

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for bar in self._bars.values():
            bar.close()

    def show(self, study: str, phase: str, state: str, seconds: float) -> None:
        """Show that a phase of a study begins or is done, or that the study ended."""
        with self._lock:
            if not self._bars:
                what = f"{phase} {state}" if phase else state
                print(f"{seconds:7.1f} s  {study}  {what}", file=sys.stderr, flush=True)
                return
            bar = self._bars[study]
            bar.set_postfix_str(f"{phase} …" if state == "begins" else state, refresh=False)
            bar.update(state == "done")
            bar.refresh()
