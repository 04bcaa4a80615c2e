"""Is this a case for assurance or for improvement?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox

from sqm import boxes, look
from sqm.checks import Problem, Refusal, nearest, need_columns
from sqm.finding import Finding

ANSWERS = ("yes", "no", "cannot say")
STEADY = ("yes", "cannot say", "no")  # from the top of the map
CAPABLE = ("no", "cannot say", "yes")  # from its left
BUT = ", but "  # before what a chart remarks on a verdict
CASES = ("assurance", "improvement", "hold", "cannot say")
LOOKS = {"assurance": "worse", "improvement": "other", "hold": "better", "cannot say": "usual"}


@dataclass(frozen=True, eq=False)
class Cases(Finding):
    """What kind of work each CTQ calls for.

    Attributes
    ----------
    table : DataFrame, one row per CTQ
        ``ctq``; ``case``, "assurance", "improvement", "hold" or "cannot say";
        ``steady`` and ``meets_target``, "yes", "no" or "cannot say";
        ``evidence``, in words; ``estimate``, ``low``, ``high``, the share of defects, and
        ``target`` (0 to 1); ``signals`` in ``periods``; ``false_alarm``, the chance
        that a steady process of that length signals (0 to 1).
    assurance, improvement, hold, cannot_say : tuple of str
        The CTQs of each case.
    doubtful : tuple of str
        CTQs called unsteady whose chart had a remark: there a signal comes by itself more often.
    family_false_alarm : float
        Chance that at least one of the CTQs whose steadiness was judged signals although all
        are steady: at most this (the sum of their chances, 1 at most).
    """

    assurance: tuple[str, ...]
    improvement: tuple[str, ...]
    hold: tuple[str, ...]
    cannot_say: tuple[str, ...]
    doubtful: tuple[str, ...]
    family_false_alarm: float

    def sentence(self) -> str:
        cases = [
            (head, names, what)
            for head, names, what in (
                (
                    "A case for assurance",
                    self.assurance,
                    "unsteady, so find the cause and restore the standard (ISO 9001) before "
                    "anything is improved",
                ),
                (
                    "A case for improvement",
                    self.improvement,
                    "steady but not good enough, so only a change of the process helps (DMAIC)",
                ),
                (
                    "Hold",
                    self.hold,
                    "no sign of being unsteady and the target met, so keep watching",
                ),
            )
            if names
        ]
        said = [f"{head}: {', '.join(names)}." for head, names, _ in cases] or self._open()
        means = [f"{head} means: {what}." for head, _, what in cases]
        rest = [*means, *(self._open() if cases else []), *self._doubt(), *self._alarm()]
        return "\n".join(filter(None, [" ".join(said), " ".join(rest)]))

    def _doubt(self) -> list[str]:
        """What the charts remarked on those called unsteady: the verdict rests on it."""
        evidence = self.table.set_index("ctq")["evidence"]
        remarks = {name: evidence[name].split("; ")[0].partition(BUT)[2] for name in self.doubtful}
        each = "; ".join(f"{name} ({remark})" for name, remark in remarks.items())
        return [f"Less sure than the others: {each}."] if each else []

    def _open(self) -> list[str]:
        if not self.cannot_say:
            return []
        evidence = self.table.set_index("ctq")["evidence"]
        reasons = "; ".join(f"{name} ({evidence[name].rstrip('.')})" for name in self.cannot_say)
        return [f"Cannot be said yet: {reasons}."]

    def _alarm(self) -> list[str]:
        judged = int(self.table["steady"].ne("cannot say").sum())
        if not judged or np.isnan(self.family_false_alarm):
            return []
        charts = "The one chart" if judged == 1 else f"At least one of the {judged} charts"
        return [
            f"{charts} would signal with a chance of up to {self.family_false_alarm:.0%} even if "
            f"nothing were unsteady{', those less sure apart' if self.doubtful else ''}."
        ]

    def plot(self, ax: Axes | None = None) -> Axes:
        rows = [each for each in STEADY if each != "cannot say" or self._any("steady")]
        columns = [each for each in CAPABLE if each != "cannot say" or self._any("meets_target")]
        cells = [
            (self._cell(steady, capable), _place(i, len(rows), j, len(columns)))
            for i, steady in enumerate(rows)
            for j, capable in enumerate(columns)
        ]
        ax = _map(look.axes(ax), rows, columns)
        size = boxes.text_size(ax, [(f"{case}\n{names}", box) for (case, names), box in cells])
        for (case, names), box in cells:
            _draw_cell(ax, case, names, box, size)
        return ax

    def _any(self, column: str) -> bool:
        return bool(self.table[column].eq("cannot say").any())

    def _cell(self, steady: str, capable: str) -> tuple[str, str]:
        here = self.table[self.table["steady"].eq(steady) & self.table["meets_target"].eq(capable)]
        return _case(steady, capable), "\n".join(
            f"·\N{NO-BREAK SPACE}{name}" for name in here["ctq"]
        )


def case_by_ctq(baseline: pd.DataFrame, steadiness: pd.DataFrame) -> Cases:
    """Say, CTQ by CTQ, whether to restore the process or to improve it.

    Parameters
    ----------
    baseline : DataFrame, one row per CTQ
        ``ctq``, ``estimate``, ``low``, ``high`` (share of defects), ``target``,
        ``meets_target`` ("yes", "no", "cannot say"); ``note`` if there is one.
    steadiness : DataFrame, one row per CTQ
        ``ctq``, ``steady`` ("yes", "no", "cannot say"), ``signals``, ``periods``,
        ``false_alarm``, ``note``.  A CTQ without a row was not charted.

    Returns
    -------
    Cases

    Raises
    ------
    Problem
        If a column is missing, a CTQ comes twice or is charted but not in
        ``baseline``, or an answer is none of the three.
    Refusal
        If there is no CTQ.

    Notes
    -----
    A process that is not steady has no capability to speak of, so steadiness is
    asked first [1]_: unsteady is assurance (find the special cause, correct it,
    restore the standard: ISO 9001:2015, 10.2), whatever the target; steady and
    short of the target is improvement; steady and meeting it, hold.  "Steady"
    means that the chart gave no signal: a small change may have gone unseen.

    References
    ----------
    .. [1] Wheeler, D. J., Chambers, D. S. (1992). Understanding Statistical
       Process Control, 2nd ed. SPC Press.

    Examples
    --------
    >>> base = pd.DataFrame({"ctq": ["quick", "right"], "estimate": [0.3, 0.3],
    ...     "low": [0.2, 0.2], "high": [0.4, 0.4], "target": [0.1, 0.1],
    ...     "meets_target": ["no", "no"]})
    >>> charted = pd.DataFrame({"ctq": ["quick", "right"], "steady": ["yes", "no"],
    ...     "signals": [0, 2], "periods": [39, 39], "false_alarm": [0.1, 0.1], "note": ["", ""]})
    >>> case_by_ctq(base, charted).table["case"].tolist()
    ['improvement', 'assurance']
    """
    _need_answers(baseline, steadiness)
    columns = ["ctq", "estimate", "low", "high", "target", "meets_target"]
    both = baseline[columns].assign(baseline_note=_notes(baseline))
    charted = steadiness[["ctq", "steady", "signals", "periods", "false_alarm"]]
    both = both.merge(charted.assign(chart_note=_notes(steadiness)), on="ctq", how="left")
    both["steady"] = both["steady"].fillna("cannot say")
    for column in ("signals", "periods"):
        both[column] = both[column].fillna(0).astype(int)
    both["chart_note"] = both["chart_note"].fillna("it was not charted")
    both["case"] = [_case(row.steady, row.meets_target) for row in both.itertuples()]
    both["evidence"] = [_evidence(row) for row in both.itertuples()]
    told = ["ctq", "case", "steady", "meets_target", "evidence", *columns[1:5]]
    table = both[[*told, "signals", "periods", "false_alarm"]]
    judged = table.loc[table["steady"].ne("cannot say"), "false_alarm"]
    named = {case.replace(" ", "_"): tuple(table["ctq"][table["case"].eq(case)]) for case in CASES}
    doubtful = both["steady"].eq("no") & both["chart_note"].ne("")
    return Cases(
        table=table,
        family_false_alarm=float(min(1.0, judged.sum(skipna=False))),
        doubtful=tuple(both.loc[doubtful, "ctq"]),
        **named,
    )


def _need_answers(baseline: pd.DataFrame, steadiness: pd.DataFrame) -> None:
    need_columns(
        baseline,
        ["ctq", "estimate", "low", "high", "target", "meets_target"],
        source="the baseline",
    )
    need_columns(
        steadiness,
        ["ctq", "steady", "signals", "periods", "false_alarm"],
        source="the table of steadiness",
    )
    if baseline.empty:
        raise Refusal("There is no CTQ to judge.", "name at least one under `ctqs`.")
    for table, column in ((baseline, "meets_target"), (steadiness, "steady")):
        twice = table["ctq"][table["ctq"].duplicated()]
        if len(twice):
            raise Problem(f"The CTQ {twice.iloc[0]!r} comes twice.", "give each CTQ one row.")
        for name, answer in zip(table["ctq"], table[column], strict=True):
            if answer not in ANSWERS:
                raise Problem(f"{column} of {name!r} is {answer!r}.", nearest(answer, ANSWERS))
    for name in steadiness["ctq"]:
        if name not in set(baseline["ctq"]):
            raise Problem(f"No baseline for the CTQ {name!r}.", nearest(name, baseline["ctq"]))


def _notes(table: pd.DataFrame) -> pd.Series:
    if "note" not in table.columns:
        return pd.Series("", index=table.index)
    return table["note"].fillna("").astype("str")


def _case(steady: str, capable: str) -> str:
    if steady == "no":
        return "assurance"
    if steady == "yes":
        return {"no": "improvement", "yes": "hold"}.get(capable, "cannot say")
    return "cannot say"


def _evidence(row: tuple) -> str:
    return f"{_steadiness_words(row)}; {_capability_words(row)}."


def _steadiness_words(row: tuple) -> str:
    if row.steady == "cannot say":
        return f"steadiness not known: {row.chart_note or 'too little to chart'}"
    chance = (
        ""
        if pd.isna(row.false_alarm)
        else f" (a steady process of that length signals with a chance of {row.false_alarm:.0%})"
    )
    signals = "no signal" if row.signals == 0 else f"{row.signals} signals"
    signals = "1 signal" if row.signals == 1 else signals
    word = "steady" if row.steady == "yes" else "unsteady"
    remark = f"{BUT}{row.chart_note}" if row.steady == "no" and row.chart_note else ""
    return f"{word}: {signals} in {row.periods} periods{chance}{remark}"


def _capability_words(row: tuple) -> str:
    if pd.isna(row.estimate):
        return f"defects not known: {row.baseline_note or 'nothing to count'}"
    word = {"yes": "meets the target", "no": "misses the target"}.get(
        row.meets_target, "the interval holds the target, so more records are needed"
    )
    return (
        f"{100 * row.estimate:.3g} % defects (interval {100 * row.low:.3g} to "
        f"{100 * row.high:.3g}) where {100 * row.target:.4g} % are tolerated: {word}"
    )


def _place(i: int, rows: int, j: int, columns: int) -> Bbox:
    gap = 0.01
    return Bbox.from_bounds(
        j / columns + gap, 1 - (i + 1) / rows + gap, 1 / columns - 2 * gap, 1 / rows - 2 * gap
    )


def _map(ax: Axes, rows: list[str], columns: list[str]) -> Axes:
    """Axes with their answers named, and the layout settled so that sizes are known."""
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.set_xticks((np.arange(len(columns)) + 0.5) / len(columns), columns)
    ax.set_yticks(1 - (np.arange(len(rows)) + 0.5) / len(rows), rows)
    ax.tick_params(length=0)
    title = "Is this a case for assurance or for improvement?"
    look.label(ax, title=title, x="does it meet its target?", y="is it steady?")
    boxes.settle(ax)
    return ax


def _draw_cell(ax: Axes, case: str, names: str, box: Bbox, size: float) -> None:
    """One field of the map: the case with its sign, then the CTQs that lie in it."""
    colour, sign = look.MEANING[LOOKS[case]], look.MARKER[LOOKS[case]]
    ax.add_patch(Rectangle(box.p0, box.width, box.height, ec=colour, fc="white", lw=1.2))
    shown = boxes.fitted(ax, names, box, size, above=1)
    wide, high = boxes.points(ax)
    left, top = box.x0 + 5 / wide, box.y1 - 5 / high
    ax.plot(left + 4 / wide, top - 5 / high, marker=sign, color=colour, ms=6)
    style = {"size": size, "va": "top", "linespacing": 1.15, "parse_math": False}
    ax.text(left + 12 / wide, top, case, color=colour, weight="bold", **style)
    ax.text(left, top - 1.5 * size / high, "\n".join(shown), **style)
