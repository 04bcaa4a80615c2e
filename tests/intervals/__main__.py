"""Simulate every interval's coverage and print the table: ``make coverage``."""

from __future__ import annotations

import importlib
import sys
import warnings
from pathlib import Path

from joblib import Parallel, delayed

from tests.intervals.judge import Case, held, verdict


def cases(wanted: list[str]) -> list[Case]:
    """The cases of every ``cover_*.py``, or of those named."""
    rooms = sorted(path.stem for path in Path(__file__).parent.glob("cover_*.py"))
    chosen = [room for room in rooms if not wanted or room.removeprefix("cover_") in wanted]
    return [
        case for room in chosen for case in importlib.import_module(f"tests.intervals.{room}").CASES
    ]


def row(case: Case, n: int) -> tuple[str, str]:
    """One line of the table, with its verdict."""
    warnings.simplefilter("ignore")
    times = held(case, n)
    word, low, high = verdict(case, times)
    share = times / case.replications
    line = (
        f"| {case.name} | {n} | {case.replications} | {case.level:.0%} | {share:.1%} "
        f"({low:.1%} to {high:.1%}) | {case.said} | {word} |"
    )
    return line, word


def main() -> int:
    """Print one line per interval and size; exit 1 if one fails."""
    work = [(case, n) for case in cases(sys.argv[1:]) for n in case.sizes]
    print("| interval | n | data sets | level | held the truth | said to be | verdict |")
    print("|---|---|---|---|---|---|---|")
    found = Parallel(n_jobs=-1, return_as="generator")(delayed(row)(*each) for each in work)
    words = []
    for line, word in found:
        print(line, flush=True)
        words.append(word)
    return int("fail" in words)


if __name__ == "__main__":
    sys.exit(main())
