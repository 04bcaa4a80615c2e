"""What did each cycle of improvement plan, do, find and decide?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import Problem, Refusal, need_columns, need_one_of, need_share
from sqm.clock import read_day
from sqm.finding import Finding, counted, listed
from sqm.interval import digits_for

DECISIONS = ("adopt", "adapt", "abandon")
OPEN = "still to be taken"
HEAD = ("study", "cycle", "option", "ctq", "target", "change_on", "treated")
NUMBERS = (
    *("predicted", "predicted_low", "predicted_high", "predicted_confidence"),
    *("realised", "realised_low", "realised_high", "confidence"),
)
FOUND = ("inside", "verdict", "ladder", "note")
PEOPLE = ("decision", "decided_by", "lessons", "next_question")
LEDGER = (*HEAD, "measure", "unit", *NUMBERS, *FOUND, *PEOPLE)
COMPARED = (
    *("measure", "unit", "predicted", "predicted_low", "predicted_high"),
    *("realised", "realised_low", "realised_high", "verdict", "note"),
)
SAME = ("study", "cycle", *PEOPLE)  # what tells one entry of the ledger from another
DRAWN = {"adopt": "better", "adapt": "other", "abandon": "worse", "": "usual"}
MOST_NAMED = 3
NAN = float("nan")


@dataclass(frozen=True, eq=False)
class History(Finding):
    """The cycles of a study so far, and where the next one starts.

    Attributes
    ----------
    table : DataFrame, one row per cycle, in order
        ``study``, ``cycle``; plan: ``option``, ``ctq``, ``target``; do: ``change_on``,
        ``treated``; check, of the first measure: ``measure``, ``unit``, ``predicted``,
        ``predicted_low``, ``predicted_high``, ``realised``, ``realised_low``, ``realised_high``,
        ``inside`` (whether what happened lies in the predicted interval), ``verdict``, ``ladder``
        (what the ladder of evidence says); ``measures``, how many were foretold, and
        ``measures_inside`` of them; act: ``decision`` (blank if still to be taken), ``decided_by``,
        ``lessons``, ``next_question``; ``note``.
    cycles, open : int
        Cycles, and those without a decision.
    adopted, adapted, abandoned, undecided : tuple of str
        Options by decision.
    questions : tuple of str
        Next questions that the cycles left, the newest first.
    """

    cycles: int
    open: int
    adopted: tuple[str, ...]
    adapted: tuple[str, ...]
    abandoned: tuple[str, ...]
    undecided: tuple[str, ...]
    questions: tuple[str, ...]

    def sentence(self) -> str:
        last = list(self.table.itertuples())[-1]
        first = (
            f"{counted(self.cycles, 'cycle')} so far; the last, {look.shorten(last.option)}"
            f" from {last.change_on or 'a day not named'}: {_happened(last)}; decision"
            f" {last.decision or OPEN}{f' ({last.decided_by})' if last.decided_by else ''}."
        )
        return "\n".join([first, " ".join([*self._decided(), *self._cautions()])])

    def starts_from(self) -> str:
        """What the next Define starts from, in one sentence each."""
        said = [
            ("Adopted, so part of the process now", self.adopted),
            ("To be tried again in another form", self.adapted),
            (
                "Tried and abandoned, so not to be proposed anew without a new reason",
                self.abandoned,
            ),
            ("Carried out, the decision still to be taken", self.undecided),
        ]
        words = [f"{what}: {listed(which, most=MOST_NAMED)}." for what, which in said if which]
        if self.questions:
            words.append(f"The next question: {self.questions[0]}")
        return " ".join(words)

    def _decided(self) -> list[str]:
        words = [self.starts_from()]
        lessons = [each for each in self.table["lessons"] if each]
        return (
            [*words, f"Learnt: {listed(lessons[::-1], most=2, apart='; ')}."] if lessons else words
        )

    def _cautions(self) -> list[str]:
        nobody = self.table[(self.table["decision"] != "") & (self.table["decided_by"] == "")]
        gone = self.table[self.table["inside"] == "cannot say"]
        words = []
        if len(nobody):
            words.append(f"Decided by nobody who is named: cycle {_cycles(nobody)}.")
        if len(gone):
            names = [f"cycle {row.cycle} ({row.note or 'no reason'})" for row in gone.itertuples()]
            words.append(f"Predicted and realised cannot be held together in {', '.join(names)}.")
        return words

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        for place, row in enumerate(self.table.itertuples()):
            scale = _widest(row)
            for kind, what, shift in (
                ("predicted", "limit", -0.16),
                ("realised", DRAWN[row.decision], 0.16),
            ):
                low, middle, high = (getattr(row, kind + end) / scale for end in _ENDS)
                colour = look.MEANING[what]
                ax.plot([low, high], [place + shift] * 2, color=colour, lw=1.8)
                ax.plot(middle, place + shift, look.MARKER[what], color=colour, ms=6)
            said = _numbers(row).replace(", came", ",\ncame")
            words = f"{look.shorten(row.measure, width=30)}: {said}"
            ax.text(1.06, place, words, va="center", fontsize="small")
        ax.axvline(0, color=look.MEANING["limit"], lw=1)
        names = [look.shorten(f"{row.cycle} · {row.option}") for row in self.table.itertuples()]
        ax.set_yticks(range(len(names)), names)
        ax.set(ylim=(len(names) - 0.5, -0.5), xlim=(-1.1, 4), xticks=[0])
        ax.set_xticklabels(["no change"])
        words = {"limit": "predicted"} | {
            DRAWN[each]: each or OPEN for each in dict.fromkeys(self.table["decision"])
        }
        for what, word in words.items():
            colour = look.MEANING[what]
            ax.plot([], [], look.MARKER[what], color=colour, ls="", label=word)
        below = {"loc": "upper left", "bbox_to_anchor": (0, -0.18)}
        ax.legend(frameon=False, ncols=5, fontsize="small", **below)
        title = "What did each cycle promise and bring?"
        return look.label(ax, title=title, x="change, each cycle on its own scale")


@dataclass(frozen=True, eq=False)
class Cycle(Finding):
    """One cycle as the ledger is to hold it.

    Attributes
    ----------
    table : DataFrame, one row per measure
        The columns of the ledger, see `cycle_row`.
    cycle : int
        Its number.
    option, decision : str
        What was carried out, and what was decided; blank if it is still to be decided.
    inside, measures : int
        Measures whose outcome lies in the predicted interval, of those foretold.
    """

    cycle: int
    option: str
    decision: str
    inside: int
    measures: int

    def sentence(self) -> str:
        row = next(history(self.table).table.itertuples())
        named = f" ({row.decided_by})" if row.decided_by else ""
        first = (
            f"Cycle {self.cycle}, {look.shorten(self.option)} from"
            f" {row.change_on or 'a day not named'}: {_happened(row)}; decision"
            f" {self.decision or OPEN}{named}."
        )
        rest = (
            f"The ladder of evidence says: {row.ladder or 'nothing'}."
            " This entry is a proposal until `sqm freeze` writes it into the ledger."
        )
        return f"{first}\n{rest}"

    def plot(self, ax: Axes | None = None) -> Axes:
        return history(self.table).plot(ax)


_ENDS = ("_low", "", "_high")


def cycle_row(
    compared: pd.DataFrame,
    *,
    study: str,
    option: str,
    change_on: str,
    treated: Sequence[str] = (),
    ctq: str = "",
    target: float = NAN,
    confidence: float = 0.95,
    predicted_confidence: float | None = None,
    ladder: str = "",
    decision: str = "",
    decided_by: str = "",
    lessons: str = "",
    next_question: str = "",
    ledger: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Lay one cycle out as rows of the ledger ``cycles``, one for each measure foretold.

    Parameters
    ----------
    compared : DataFrame, one row a measure
        The table of `prediction.compare`, the cycle's main measure first: ``measure``, ``unit``,
        ``predicted``, ``predicted_low``, ``predicted_high``, ``realised``, ``realised_low``,
        ``realised_high``, ``verdict``, ``note``.
    study, option : str
        Of whom the cycle is, and what was planned.
    change_on : str
        First day of the change, as 2025-09-29.
    treated : sequence of str
        Where the change was made.
    ctq : str
        The characteristic that was to become better.
    target : float
        Its tolerated share of defects.
    confidence : float, default 0.95
        Level of all intervals in ``compared``.
    predicted_confidence : float, optional
        Level at which the predicted intervals were promised, if another: `prediction.compare`
        stretches them to ``confidence``, and here they are brought back.
    ladder : str
        Verdict of the ladder of evidence, in words.
    decision : {"", "adopt", "adapt", "abandon"}
        Taken by people; blank while it is still to be taken.
    decided_by, lessons, next_question : str
    ledger : DataFrame, optional
        The cycles so far: the same study, option and day is the same cycle, any other the next.

    Returns
    -------
    DataFrame, one row a measure, the columns `LEDGER`

    Raises
    ------
    Problem
        If the decision or the day is none, or no option is named.
    Refusal
        If nothing was compared.

    Examples
    --------
    >>> row = pd.DataFrame([["wait", "s", -10.0, -13.0, -7.0, -8.0, -12.0, -4.0, "inside", ""]],
    ...     columns=COMPARED)
    >>> found = cycle_row(row, study="x", option="train", change_on="2025-09-29")
    >>> int(found["cycle"][0]), found["inside"][0], found["decision"][0]
    (1, 'yes', '')
    """
    _need_sound(compared, option, change_on, decision, confidence, predicted_confidence)
    made_at = confidence if predicted_confidence is None else predicted_confidence
    rows = _as_promised(compared, confidence, made_at)
    head = {"study": _line(study), "option": _line(option), "change_on": change_on}
    people = {"decision": decision, "decided_by": decided_by}
    people |= {"lessons": lessons, "next_question": next_question}
    filled = rows.assign(
        **head,
        cycle=_number(ledger, head),
        ctq=_line(ctq),
        target=float(target),
        treated="; ".join(map(_line, treated)),
        predicted_confidence=made_at,
        confidence=confidence,
        inside=[_inside(row) for row in rows.itertuples()],
        ladder=_line(ladder),
        **{name: _line(text) for name, text in people.items()},
    )
    return filled[list(LEDGER)].reset_index(drop=True)


def cycle(entry: pd.DataFrame) -> Cycle:
    """Read one cycle before it is written down.

    Parameters
    ----------
    entry : DataFrame
        Rows of `cycle_row`.

    Examples
    --------
    >>> row = pd.DataFrame([["wait", "s", -10.0, -13.0, -7.0, -8.0, -12.0, -4.0, "inside", ""]],
    ...     columns=COMPARED)
    >>> found = cycle(cycle_row(row, study="x", option="train", change_on="2025-09-29"))
    >>> found.cycle, found.inside
    (1, 1)
    """
    row = next(history(entry).table.itertuples())
    return Cycle(
        table=entry,
        cycle=int(row.cycle),
        option=row.option,
        decision=row.decision,
        inside=int(row.measures_inside),
        measures=int(row.measures),
    )


def history(ledger: pd.DataFrame) -> History:
    """Read the cycles back, each as one row, with what was decided last.

    Parameters
    ----------
    ledger : DataFrame
        The ledger ``cycles``, rows of `cycle_row`; where a cycle was entered again, because the
        decision came later, its last entry counts.

    Returns
    -------
    History

    Raises
    ------
    Problem
        If a decision is none of those that are understood.
    Refusal
        If the ledger is empty: no cycle has been closed yet.

    Examples
    --------
    >>> row = pd.DataFrame([["wait", "s", -10.0, -13.0, -7.0, -8.0, -12.0, -4.0, "inside", ""]],
    ...     columns=COMPARED)
    >>> given = {"study": "x", "option": "train", "change_on": "2025-09-29"}
    >>> first = cycle_row(row, **given)
    >>> later = cycle_row(row, **given, decision="adopt", decided_by="Ana", ledger=first)
    >>> found = history(pd.concat([first, later]))
    >>> found.cycles, found.adopted
    (1, ('train',))
    """
    if ledger.empty:
        raise Refusal("No cycle was written down yet.", "close one with `sqm freeze`.")
    need_columns(ledger, LEDGER, source="The ledger of cycles")
    rows = latest(ledger)
    for decision in rows["decision"].unique():
        if decision:
            need_one_of(decision, DECISIONS, name="A decision in the ledger of cycles")
    table = pd.DataFrame([_cycle(mine) for _, mine in rows.groupby(["study", "cycle"])])
    options = {each: tuple(table.loc[table["decision"] == each, "option"]) for each in DRAWN}
    questions = [each for each in table["next_question"][::-1] if each]
    return History(
        table=table.reset_index(drop=True),
        cycles=len(table),
        open=int((table["decision"] == "").sum()),
        adopted=options["adopt"],
        adapted=options["adapt"],
        abandoned=options["abandon"],
        undecided=options[""],
        questions=tuple(dict.fromkeys(questions)),
    )


def latest(ledger: pd.DataFrame) -> pd.DataFrame:
    """The last entry of each measure of each cycle, texts without gaps.

    Examples
    --------
    >>> twice = pd.DataFrame({**{name: ["", ""] for name in LEDGER}, "decision": ["", "adopt"]})
    >>> latest(twice)["decision"].tolist()
    ['adopt']
    """
    numbers = {"cycle", "target", *NUMBERS}
    for name in sorted(numbers):
        wrong = ledger.loc[pd.to_numeric(ledger[name], errors="coerce").isna(), name]
        wrong = [each for each in map(_line, wrong) if each]
        if wrong or (name == "cycle" and ledger[name].isna().any()):
            raise Problem(
                f"The ledger of cycles has {wrong[0] if wrong else 'nothing'!r} as {name!r}.",
                "do not write in the ledger by hand; restore it from version control.",
            )
    texts = {name: ledger[name].map(_line) for name in LEDGER if name not in numbers}
    rows = ledger.assign(**texts).reset_index(drop=True)
    rows = rows.assign(order=rows.groupby(["study", "cycle", "measure"]).cumcount(ascending=False))
    first = rows.drop_duplicates(["study", "cycle", "measure"])
    place = first.set_index(["study", "cycle", "measure"]).index
    last = rows[rows["order"] == 0].set_index(["study", "cycle", "measure"]).reindex(place)
    return last.reset_index()[list(LEDGER)]


# --- Building a row -------------------------------------------------------------------------------


def _need_sound(compared, option, change_on, decision, confidence, made_at) -> None:
    need_columns(compared, COMPARED, source="The comparison")
    if compared.empty:
        raise Refusal("Nothing was compared.", "compare a promise with what happened first.")
    if not _line(option):
        raise Problem("The cycle has no option.", "name what was carried out.")
    if change_on:
        read_day(change_on)
    if decision:
        need_one_of(decision, DECISIONS, name="decision")
    need_share(confidence, name="confidence")
    if made_at is not None:
        need_share(made_at, name="predicted_confidence")


def _as_promised(compared: pd.DataFrame, confidence: float, made_at: float) -> pd.DataFrame:
    """The predicted intervals at the level at which they were promised."""
    rows = compared[list(COMPARED)].reset_index(drop=True)
    ratio = stats.norm.ppf((1 + made_at) / 2) / stats.norm.ppf((1 + confidence) / 2)
    ends = ["predicted_low", "predicted_high"]
    reach = rows[ends].sub(rows["predicted"], axis="index").mul(ratio)
    return rows.assign(**reach.add(rows["predicted"], axis="index")).assign(
        verdict=rows["verdict"].map(_line), note=rows["note"].map(_line)
    )


def _inside(row) -> str:
    numbers = (row.predicted_low, row.predicted_high, row.realised)
    if np.isnan(numbers).any() or np.isnan([row.realised_low, row.realised_high]).any():
        return "cannot say"
    return "yes" if row.predicted_low <= row.realised <= row.predicted_high else "no"


def _number(ledger: pd.DataFrame | None, head: dict[str, str]) -> int:
    """The number of this cycle: that of the same study, option and day, or the next."""
    if ledger is None or ledger.empty:
        return 1
    need_columns(ledger, ["study", "cycle", "option", "change_on"], source="The ledger of cycles")
    mine = ledger[ledger["study"].map(_line) == head["study"]]
    same = [mine[name].map(_line) == head[name] for name in ("option", "change_on")]
    known = mine.loc[same[0] & same[1], "cycle"]
    if len(known):
        return int(known.iloc[-1])
    return int(mine["cycle"].max()) + 1 if len(mine) else 1


def _line(text: object) -> str:
    """A text as a ledger gives it back."""
    return "" if pd.isna(text) else " ".join(str(text).replace("\x00", "").split())


# --- Reading it back ------------------------------------------------------------------------------


def _cycle(rows: pd.DataFrame) -> dict:
    """One cycle as one row: its first measure, and how many of all were inside."""
    first = rows.iloc[0]
    known = rows["inside"] != "cannot say"
    kept = [name for name in LEDGER if name not in ("confidence", "predicted_confidence")]
    return {
        **first[kept].to_dict(),
        "cycle": int(first["cycle"]),
        "measures": int(known.sum()),
        "measures_inside": int((rows["inside"] == "yes").sum()),
    }


def _happened(row) -> str:
    if row.inside == "cannot say":
        return f"what happened cannot be held against the promise ({row.note or 'no reason'})"
    others = (
        f" ({row.measures_inside} of {row.measures} measures inside)" if row.measures > 1 else ""
    )
    where = "inside" if row.inside == "yes" else "outside"
    return f"{row.measure} {_numbers(row)}, {where} the promise{others}"


def _numbers(row) -> str:
    times, unit = (
        (100.0, " percentage points") if row.unit.startswith("share") else (1.0, f" {row.unit}")
    )
    if np.isnan([row.predicted, row.realised]).any():
        return "not comparable"
    ends = (row.realised_low, row.realised_high)
    digits = digits_for(*(end * times for end in ends)) if not np.isnan(ends).any() else 1
    said = [f"{value * times:+,.{digits}f}" for value in (row.predicted, row.realised, *ends)]
    return f"predicted {said[0]}, came {said[1]} ({said[2]} to {said[3]}){unit}"


def _widest(row) -> float:
    ends = [getattr(row, kind + end) for kind in ("predicted", "realised") for end in _ENDS]
    ends = [abs(each) for each in ends if not np.isnan(each)]
    return max(ends, default=1.0) or 1.0


def _cycles(rows: pd.DataFrame) -> str:
    return ", ".join(str(each) for each in rows["cycle"])
