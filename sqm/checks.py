"""Checks at the door: what a table must hold before a method sees it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Integral
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a batch with nothing to do raises no Problem about a table, and needs neither
    import numpy as np
    import pandas as pd


class Problem(ValueError):
    """Something in the data or the parameters that a person has to mend."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(f"{what}\n  To mend: {mend}")
        self.what = what
        self.mend = mend

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        """Cross from one process to another whole: exceptions pickle their one text otherwise."""
        return type(self), (self.what, self.mend)


class Refusal(Problem):
    """The data are sound, but they cannot bear this one question.

    A study goes on after a refusal: the question is listed under "Not
    examined" with the reason.  Any other `Problem` stops the study.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """Help with a name nobody knows: the nearest spelling, or else all that are known.

    Examples
    --------
    >>> nearest("confidnce", ["confidence", "seed"])
    "did you mean 'confidence'?"
    >>> nearest("colour", ["confidence", "seed"])
    'known are: confidence, seed.'
    """
    known = [str(each) for each in known]
    near = get_close_matches(str(name), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known) or 'none'}."


def first_rows(rows: pd.Series | pd.DataFrame) -> str:
    """Name the first few rows by their place in the source, the header not counted."""
    return ", ".join(map(str, rows.index[:5]))


def need_columns(table: pd.DataFrame, columns: Iterable[str], *, source: str) -> None:
    """Insist that ``table`` has every one of ``columns``.

    It is a refusal: a column missing from a source is found when the source is read, and a
    role that a study does not name leaves the questions open that rest on it, no others.
    """
    for column in columns:
        if column not in list(table.columns):
            raise Refusal(f"{source} has no column {column!r}.", nearest(column, table.columns))


def need_numbers(answers: pd.DataFrame, items: Iterable[str], *, source: str) -> None:
    """Insist that every one of these columns, which are there, holds numbers and not text."""
    from pandas.api.types import is_numeric_dtype

    for item in items:
        if not is_numeric_dtype(answers[item]):
            raise Problem(
                f"{source}: {item!r} does not hold numbers.",
                "give answers in scale points; name the codes of blanks under `missing`.",
            )


def need_on_scale(answers: pd.DataFrame, *, points: tuple[float, float], source: str) -> None:
    """Insist that every answer given lies on the answer scale."""
    low, high = points
    for item, given in answers.items():
        off = given[(given < low) | (given > high)]
        if len(off):
            raise Problem(
                f"{source}: {item!r} has {len(off)} answers outside {low} to {high}"
                f" (first rows: {first_rows(off)}; values: {sorted(off.unique().tolist())[:8]}).",
                "correct the source, or list the code under `missing` in the study's parameters.",
            )


def need_sound_weights(weights: pd.Series, *, name: str) -> np.ndarray:
    """Insist on weights of 0 or more that are not all 0, and hand them back as numbers."""
    import numpy as np

    w = weights.to_numpy(dtype=float, na_value=np.nan)
    wrong = ~np.isfinite(w) | (w < 0)
    if wrong.any():
        raise Problem(
            f"{name} has {int(wrong.sum())} blank or negative weights (first rows: "
            f"{first_rows(weights[wrong])}).",
            "a weight says how many a respondent stands for: give 0 or more for each.",
        )
    if not w.sum() > 0:
        raise Problem(
            f"{name} has weights of zero only: they sum to zero.", "give positive weights, or none."
        )
    return w


def need_rows(table: pd.DataFrame, rows: int, *, source: str, why: str) -> None:
    """Insist on enough rows for the question; ``why`` says what they are needed for."""
    if len(table) < rows:
        raise Refusal(
            f"{source} has {len(table)} usable row{'s' * (len(table) != 1)} where {why} needs"
            f" {rows}.",
            "collect more, or leave the question unanswered.",
        )


def need_share(value: float, *, name: str) -> None:
    """Insist that a parameter such as a confidence level lies strictly between 0 and 1."""
    if not 0 < value < 1:
        raise Problem(f"{name} is {value}.", f"give {name} between 0 and 1, for example 0.95.")


def need_one_of(value: object, known: Iterable[str], *, name: str) -> None:
    """Insist that a word is one of those that are understood."""
    if value not in (known := list(known)):
        raise Problem(f"{name} is {value!r}.", nearest(str(value), known))


def need_whole(value: object, *, name: str, least: int) -> None:
    """Insist on a whole number of at least ``least``; true and 1.5 are none.

    Examples
    --------
    >>> need_whole(1.5, name="weeks", least=1)
    Traceback (most recent call last):
    ...
    sqm.checks.Problem: weeks is 1.5.
      To mend: give a whole number, 1 or more.
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < least:
        raise Problem(f"{name} is {value!r}.", f"give a whole number, {least} or more.")


def need_settings(given: dict, *, known: Iterable[str], needs: Iterable[str], name: str) -> None:
    """Insist that a group of settings has what it needs and nothing that nobody knows.

    Examples
    --------
    >>> need_settings({"week": 4}, known=["weeks", "share"], needs=["weeks"], name="pilot")
    Traceback (most recent call last):
    ...
    sqm.checks.Problem: pilot has a setting 'week'.
      To mend: did you mean 'weeks'?
    """
    if not isinstance(given, dict):
        raise Problem(f"{name} is {given!r}.", f"write settings under it: {', '.join(known)}.")
    for key in given:
        if key not in (known := list(known)):
            raise Problem(f"{name} has a setting {key!r}.", nearest(str(key), known))
    for key in needs:
        if key not in given:
            raise Problem(f"{name} has no setting {key!r}.", f"write `{key}: ...` under {name}.")


def need_passed(passed: bool, *, check: str) -> None:
    """Insist that an earlier check was passed before its answer is used.

    Parameters
    ----------
    passed : bool
    check : str
        The verdict in words; it becomes the reason.
    """
    if not passed:
        raise Refusal(f"An earlier check was not passed: {check}", "mend what it names first.")
