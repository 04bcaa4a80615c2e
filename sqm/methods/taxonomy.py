"""Did the categories themselves change, and does a trend survive it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats
from scipy.optimize import linear_sum_assignment
from sklearn.feature_extraction.text import TfidfVectorizer

from sqm import clock, look
from sqm.checks import Problem, Refusal, need_columns, need_rows, need_share
from sqm.finding import Finding, counted, listed

SOURCE = "the complaints"
FEWEST_CASES = 100
SILENT = 0.03  # rate of a silent category beside its own rate when in use
STILL_SILENT = 0.1  # highest rate beside its own at which a category counts as out of use
SWITCH = 5.0  # log likelihood that a silence must bring before it is looked at
LEVELS = 12  # of a column beside, the rarer ones together
TEXTS = 6_000  # texts of a break that are read; more bring nothing
ABOUT_SAME = 1.5  # times by which the volume may differ at the near end of its interval
ALIKE = 0.6  # overlap of two make-ups below which a link is not sure
SURE = 0.8  # share of resamples that must propose the same
SHOWN = 24  # categories in the picture
FEWEST_LINKED = 5  # cases on either side of a link
LINKS = ("renamed", "split", "merged")


@dataclass(frozen=True, eq=False)
class Taxonomy(Finding):
    """Which categories came and went, together or alone, and what became of which.

    Attributes
    ----------
    table : DataFrame, one row per proposed link, or per category that came or went alone
        ``date``, the first day of the new category; ``kind``: ``renamed``, ``split``, ``merged``,
        ``new`` (came, and none went), ``ended`` (went, and none came) or ``interlude`` (came or
        went and back within ``together_d``); ``old``, ``new``, the categories; ``last_seen``,
        ``first_seen``, their days; ``cases_before``, ``cases_after``, in the stretches compared;
        ``estimate``, ``low``, ``high``, the share of all cases that the
        linked categories have after the change beside before (1: the same), for ``new`` and
        ``ended`` the cases a day of the whole file after beside before; ``overlap``, how alike
        the cases of both are in the columns beside and the words, 0 to 1 (NaN: none compared);
        ``agreed``, share of resamples that propose the same link; ``chance`` of such a silence
        in any of the categories if all are steady, at most; ``sure``; ``note``.
    breaks : tuple of str
        First days of the changes at which categories went and others came.
    joined_from, joined_to : tuple of str
        The proposed names, for ``joined``: every category of a sure link and what to call it.
    cases, left_out, categories, too_small : int
        Cases used; without a time or a category; categories tested; and too small to be.
    by_text : bool
        Whether words were compared.
    beside : tuple of str
        Other columns that were compared.
    false_alarm : float
    window_d : int
    confidence : float
    """

    breaks: tuple[str, ...]
    joined_from: tuple[str, ...]
    joined_to: tuple[str, ...]
    cases: int
    left_out: int
    categories: int
    too_small: int
    by_text: bool
    beside: tuple[str, ...]
    false_alarm: float
    window_d: int
    confidence: float

    def sentence(self) -> str:
        return "\n".join([self._answer(), " ".join([*self._links(), *self._rests_on()])])

    def _answer(self) -> str:
        alone = self.table[self.table["kind"].isin(["new", "ended"])]
        if not self.breaks:
            if alone.empty:
                return (
                    f"No break of the categories is shown: {self.categories:,} were in use "
                    "throughout, as far as their size can tell."
                )
            told = [
                f"{look.shorten(row.new or row.old)} ({row.kind} {row.date:%Y-%m-%d})"
                for row in alone.itertuples()
            ]
            return f"No break of the categories, but some came or went: {listed(told, most=3)}."
        links = self.table[self.table["kind"].isin(LINKS)]
        old, new = links["old"].nunique(), links["new"].nunique()
        return (
            f"The categories broke on {listed(self.breaks, most=3)}: {old:,} ended and {new:,} "
            f"began together, and {int(links['sure'].sum()):,} of {counted(len(links), 'link')} "
            "between them can be proposed. Read no trend across before joining them."
        )

    def _links(self) -> list[str]:
        links = self.table[self.table["kind"].isin(LINKS)]
        sure = [
            f"{look.shorten(row.old)} to {look.shorten(row.new)} ({row.kind}, agreed "
            f"{row.agreed:.0%}, share {row.estimate:.2f} times, interval {row.low:.2f} to "
            f"{row.high:.2f})"
            for row in links[links["sure"]].itertuples()
        ]
        words = [f"Proposed: {listed(sure, most=6, apart='; ')}."] if sure else []
        unsure = links.loc[~links["sure"]]
        if len(unsure):
            told = [
                f"{look.shorten(row.old)} to {look.shorten(row.new)}" for row in unsure.itertuples()
            ]
            words.append(f"Not sure: {listed(told, most=4, apart='; ')} (see the notes).")
        for kind, said in [("new", "Came without another going"), ("ended", "Went alone")]:
            names = [
                look.shorten(name)
                for name in self.table.loc[
                    self.table["kind"] == kind, kind if kind == "new" else "old"
                ]
            ]
            if names:
                words.append(f"{said}: {listed(names, most=4, apart='; ')}.")
        back = self.table.loc[self.table["kind"] == "interlude", "old"]
        if len(back):
            names = [look.shorten(name) for name in back]
            words.append(f"Changed back within weeks: {listed(names, most=4, apart='; ')}.")
        return words

    def _rests_on(self) -> list[str]:
        compared = ["how much they hold", *(["their words"] if self.by_text else []), *self.beside]
        words = [
            f"{self.categories:,} categories with {self.cases:,} cases were tested; had all "
            "been steady, any would be said to have come or gone with a chance of "
            f"{self.false_alarm:.0%} at most.",
            f"Links rest on {', '.join(compared)} in the {self.window_d} days before and after; "
            "they are proposals, for a person who knows the categories to accept. A category that "
            "fades out slowly looks like one that ended, and so does a slow one in the last months "
            "of a file of closed cases. The intervals are approximate.",
        ]
        if self.too_small:
            few = counted(self.too_small, "category")
            words.append(f"Too small to be tested: {few}.")
        if self.left_out:
            words.append(f"Without a time or a category: {counted(self.left_out, 'case')}.")
        return words

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self._spans()
        for at, (_, kind, start, end) in enumerate(rows):
            colour = look.MEANING["limit" if kind == "old" else "usual"]
            ax.plot([start, end], [at, at], color=colour, lw=2)
            ax.plot(
                end if kind == "old" else start,
                at,
                color=colour,
                ls="",
                marker="v" if kind == "old" else "^",
                ms=7,
            )
        for day in self.breaks:
            ax.axvline(pd.Timestamp(day), color=look.MEANING["limit"], lw=1.2, ls="--")
        if not rows:
            ax.text(0.5, 0.5, "no category came or went", transform=ax.transAxes, ha="center")
            ax.set(xticks=[], yticks=[])
        else:
            ax.set_yticks(range(len(rows)), [look.shorten(name) for name, *_ in rows])
            ax.set_ylim(len(rows) - 0.5, -0.5)
            look.dates(ax)
        return look.label(ax, title="Which categories came and went?", x="day (▼ ended, ▲ began)")

    def _spans(self) -> list[tuple[str, str, pd.Timestamp, pd.Timestamp]]:
        """What is drawn of each category that ended or began: a stretch at the change."""
        stretch, rows = pd.Timedelta(days=self.window_d), []
        for row in self.table[self.table["kind"] != "interlude"].itertuples():
            if row.old:
                rows.append((row.old, "old", row.last_seen - stretch, row.last_seen))
            if row.new:
                rows.append((row.new, "new", row.first_seen, row.first_seen + stretch))
        return list(dict.fromkeys(rows))[:SHOWN]


def taxonomy(
    complaints: pd.DataFrame,
    *,
    rng: np.random.Generator,
    category: str = "category",
    time: str = "opened",
    text: str = "",
    beside: Sequence[str] = (),
    fewest: int = 20,
    window_d: int = 91,
    together_d: int = 31,
    false_alarm: float = 0.01,
    resamples: int = 200,
    confidence: float = 0.95,
) -> Taxonomy:
    """Find categories that came or went, and propose what became of which.

    Parameters
    ----------
    complaints : DataFrame, one row per case
    rng : numpy.random.Generator
        Draws the resamples.
    category, time : str
        Columns of the category and of the time at which it was given.
    text : str, default ""
        Column of what was written; blank: none.
    beside : sequence of str
        Other columns whose make-up is compared, such as channel, site and product.
    fewest : int, default 20
        Cases below which a category is not tested.
    window_d : int, default 91
        Days before and after a change that are compared.
    together_d : int, default 31
        Days within which comings and goings are one change.
    false_alarm : float, default 0.01
        Chance, over all categories, of calling a silence one if all are steady.
    resamples : int, default 200
    confidence : float, default 0.95

    Returns
    -------
    Taxonomy

    Raises
    ------
    Problem
        If ``time`` holds no times or a parameter is off.
    Refusal
        If a column is missing, fewer than 100 cases or fewer than two categories of ``fewest``
        cases can be used, or all cases are of fewer than four weeks.

    Notes
    -----
    A category of n cases that is a steady share of all leaves a stretch that holds a share g of
    all cases with k of its own at most with the chance P(Bin(n, g) <= k); of all such stretches at
    most (n + 1 - k) times as much, and weighted over k with (k + 1)(k + 2) for any k: for k = 0
    this is 2 (n + 1)(1 - g)^n.  Times the categories tested it bounds the false alarms of the
    family (Bonferroni).  Counts and n are divided by the category's week-to-week dispersion.
    Candidate stretches are found by the best path of a two-state Poisson model by day (rate in use,
    or 3 % of it) [1]_.

    Goings and comings within ``together_d`` of each other are a break.  Links are chosen among
    renamings, splits (one to many) and merges (many to one): those that least change the
    make-up, by squared Hellinger distance of the shares of all cases by linked group and level
    of each column [2]_; words enter as the old category whose character n-grams are nearest.  Cases
    are resampled to see how often the same link is proposed.  A link is sure if 80 % propose it,
    five cases or more lie on either side, and neither volume nor make-up differs much.

    References
    ----------
    .. [1] Rabiner, L. R. (1989). A tutorial on hidden Markov models and selected applications in
       speech recognition. Proceedings of the IEEE 77, 257-286. doi:10.1109/5.18626
    .. [2] Hellinger, E. (1909). Neue Begründung der Theorie quadratischer Formen von
       unendlichvielen Veränderlichen. Journal für die reine und angewandte Mathematik 136, 210-271.
       doi:10.1515/crll.1909.136.210

    Examples
    --------
    One case a day of each of two categories; one changes its name on 10 April.

    >>> day = pd.date_range("2025-01-01", "2025-07-18")
    >>> cases = pd.DataFrame({"opened": day.append(day),
    ...     "category": ["wait"] * 99 + ["queue"] * 100 + ["bill"] * 199})
    >>> found = taxonomy(cases, rng=np.random.default_rng(1))
    >>> found.breaks, found.table[["kind", "old", "new"]].to_numpy().tolist()
    (('2025-04-10',), [['renamed', 'wait', 'queue']])
    """
    _need_settings(fewest, window_d, together_d, resamples, false_alarm, confidence)
    used = _used(complaints, category, time, text, list(beside))
    days = _Days(used, fewest)
    events = _events(days, false_alarm)
    rows, breaks = [], []
    for group in _together(events, together_d):
        rows += _interludes(group)
    for group in _together(events[~_passing(events, together_d)], together_d):
        stretch = _Stretch(used, group, window_d)
        if {"came", "went"} <= set(group["what"]):
            rows += _links(stretch, bool(text), list(beside), resamples, confidence, rng)
            breaks.append(f"{stretch.date:%Y-%m-%d}")
        else:
            rows += _alone(stretch, confidence)
    table = pd.DataFrame(rows, columns=COLUMNS).astype(TYPES)
    old, new = _names(table, used)
    return Taxonomy(
        table=table,
        breaks=tuple(breaks),
        joined_from=old,
        joined_to=new,
        cases=int(days.counts.sum()),
        left_out=len(complaints) - len(used),
        categories=len(days.names),
        too_small=days.too_small,
        by_text=bool(text),
        beside=tuple(beside),
        false_alarm=false_alarm,
        window_d=window_d,
        confidence=confidence,
    )


def joined(
    complaints: pd.DataFrame, *, mapping: Mapping[str, str], category: str = "category"
) -> pd.Series:
    """Call every category by the name accepted for it; the others keep theirs.

    Parameters
    ----------
    complaints : DataFrame, one row per case
    mapping : mapping of str to str
        Category to joined name, as accepted by a person; a chain is followed to its end.
    category : str

    Returns
    -------
    Series of str, shape (rows,)
        Blanks stay blank, and no case is lost: totals over a break are unchanged.

    Raises
    ------
    Problem
        If the mapping names a category that no case has, or runs in a circle.

    Examples
    --------
    >>> cases = pd.DataFrame({"category": ["waiting", "queue", "bill"]})
    >>> joined(cases, mapping={"waiting": "queue"}).tolist()
    ['queue', 'queue', 'bill']
    """
    need_columns(complaints, [category], source=SOURCE)
    given = complaints[category].astype("str")
    have = set(given.dropna())
    lost = [old for old in mapping if old not in have]
    if lost:
        raise Problem(
            f"The mapping joins {listed(list(map(repr, lost)), most=5)}, which no case has.",
            "correct the spelling, or take it out.",
        )
    return given.map({name: _end(name, mapping) for name in sorted(have)}).astype("str")


def _end(name: str, mapping: Mapping[str, str]) -> str:
    passed = [name]
    while mapping.get(name, name) != name:
        name = mapping[name]
        if name in passed:
            raise Problem(
                f"The mapping runs in a circle: {' to '.join([*passed, name])}.",
                "join all of them to one name.",
            )
        passed.append(name)
    return name


# --- What is asked ------------------------------------------------------------------------------

TYPES = {
    "date": "datetime64[us]",
    "kind": "str",
    "old": "str",
    "new": "str",
    "last_seen": "datetime64[us]",
    "first_seen": "datetime64[us]",
    "cases_before": "int64",
    "cases_after": "int64",
    "estimate": "float64",
    "low": "float64",
    "high": "float64",
    "overlap": "float64",
    "agreed": "float64",
    "chance": "float64",
    "sure": "bool",
    "note": "str",
}
COLUMNS = list(TYPES)


def _need_settings(
    fewest: int,
    window_d: int,
    together_d: int,
    resamples: int,
    false_alarm: float,
    confidence: float,
) -> None:
    need_share(false_alarm, name="false_alarm")
    need_share(confidence, name="confidence")
    least = {"fewest": (fewest, 10), "window_d": (window_d, 14), "together_d": (together_d, 0)}
    for name, (value, low) in (least | {"resamples": (resamples, 20)}).items():
        if not value >= low:
            raise Problem(f"{name} is {value}.", f"give {low} or more.")


def _used(
    complaints: pd.DataFrame, category: str, time: str, text: str, beside: list[str]
) -> pd.DataFrame:
    """Cases with a time and a category: ``day``, ``category``, ``text`` and columns beside."""
    need_columns(complaints, [category, time, *([text] if text else []), *beside], source=SOURCE)
    if not pd.api.types.is_datetime64_any_dtype(complaints[time]):
        raise Problem(f"{SOURCE}: {time!r} holds no times.", "give it the type time.")
    named = complaints[category].astype("str").str.strip()
    keep = complaints[time].notna() & named.notna() & (named != "")
    used = pd.DataFrame(
        {
            "day": clock.local(complaints.loc[keep, time]).dt.normalize(),
            "category": named[keep],
            "text": complaints.loc[keep, text].astype("str").fillna("") if text else "",
        }
    )
    for i, column in enumerate(beside):
        used[f"beside_{i}"] = complaints.loc[keep, column].astype("str").fillna("")
    need_rows(used, FEWEST_CASES, source=SOURCE, why="telling when a category was in use")
    if (used["day"].max() - used["day"].min()).days < 28:
        raise Refusal(f"{SOURCE} are of less than four weeks.", "read a longer stretch.")
    return used.reset_index(drop=True)


class _Days:
    """Cases by category and day."""

    def __init__(self, used: pd.DataFrame, fewest: int) -> None:
        day = (used["day"] - used["day"].min()).dt.days.to_numpy()
        codes, names = pd.factorize(used["category"], sort=True)
        size = np.bincount(codes)
        big = size >= fewest
        if big.sum() < 2:
            raise Refusal(
                f"{SOURCE} have {int(big.sum())} categories of {fewest} cases or more.",
                "a change of categories shows between two or more: take a finer column.",
            )
        self.first = used["day"].min()
        self.total = np.bincount(day).astype(float)
        self.names = np.asarray(names, dtype=object)[big]
        self.too_small = int((~big).sum())
        place = np.cumsum(big) - 1
        kept = big[codes]
        width = len(self.total)
        flat = place[codes[kept]] * width + day[kept]
        self.counts = np.bincount(flat, minlength=big.sum() * width).reshape(-1, width)


# --- Silences -----------------------------------------------------------------------------------


def _events(days: _Days, false_alarm: float) -> pd.DataFrame:
    """Comings and goings that a steady category would not show.

    Columns ``category``, ``what`` (``came`` or ``went``), ``date`` (of the last case before the
    silence, or the first after it) and ``chance``.
    """
    in_use = np.ones_like(days.counts, dtype=bool)
    for _ in range(3):
        in_use = _best_path(days.counts, days.total, in_use)
    rows = []
    for i, name in enumerate(days.names):
        spread = _dispersion(days.counts[i], days.total, in_use[i])
        for start, end in _runs(~in_use[i]):
            chance = len(days.names) * _chance(days.counts[i], days.total, start, end, spread)
            if chance > false_alarm or not _is_silent(days.counts[i], days.total, start, end):
                continue
            used = np.flatnonzero(days.counts[i])
            if (used < start).any():
                rows.append((name, "went", used[used < start].max(), chance))
            if (used >= end).any():
                rows.append((name, "came", used[used >= end].min(), chance))
    events = pd.DataFrame(rows, columns=["category", "what", "date", "chance"])
    events["date"] = days.first + pd.to_timedelta(events["date"].astype(int), unit="D")
    return events.sort_values(["date", "what", "category"], ignore_index=True)


def _best_path(counts: np.ndarray, total: np.ndarray, in_use: np.ndarray) -> np.ndarray:
    """Days on which each category is in use: the best path of two Poisson rates."""
    rate = (counts * in_use).sum(axis=1) / np.maximum((total * in_use).sum(axis=1), 1)
    spread = [_dispersion(c, total, u) for c, u in zip(counts, in_use, strict=True)]
    gain = counts * np.log(SILENT) + (1 - SILENT) * rate[:, None] * total
    gain = gain / np.array(spread)[:, None]  # log likelihood of silence over use
    best = np.zeros((2, len(counts)))  # in use, silent
    came_from = np.zeros((counts.shape[1], 2, len(counts)), dtype=bool)
    for day in range(counts.shape[1]):
        switch = best[::-1] - SWITCH > best
        best = np.where(switch, best[::-1] - SWITCH, best)
        best[1] += gain[:, day]
        came_from[day] = switch
    state = (best[1] > best[0]).astype(int)
    path = np.empty(counts.shape, dtype=bool)
    each = np.arange(len(counts))
    for day in range(counts.shape[1] - 1, -1, -1):
        path[:, day] = state == 0
        state = np.where(came_from[day, state, each], 1 - state, state)
    return path


def _dispersion(counts: np.ndarray, total: np.ndarray, in_use: np.ndarray) -> float:
    """Week-to-week variance of a category's cases over that of chance, 1 at least."""
    week = np.arange(len(counts)) // 7
    got = np.bincount(week, counts * in_use)
    base = np.bincount(week, total * in_use)
    expected = base * got.sum() / max(base.sum(), 1)
    some = expected > 0
    if some.sum() < 5:
        return 1.0
    return max(
        float((((got - expected)[some] ** 2) / expected[some]).sum() / (some.sum() - 1)), 1.0
    )


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Stretches of True, as first day and day after the last."""
    edge = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return list(zip(edge[::2].tolist(), edge[1::2].tolist(), strict=True))


def _is_silent(counts: np.ndarray, total: np.ndarray, start: int, end: int) -> bool:
    """Whether the rate within the stretch is next to nothing beside that outside."""
    k, base = counts[start:end].sum(), total[start:end].sum()
    return k * (total.sum() - base) <= STILL_SILENT * (counts.sum() - k) * base


def _chance(counts: np.ndarray, total: np.ndarray, start: int, end: int, spread: float) -> float:
    """Bound on the chance that a steady category shows a silence like this one anywhere.

    Examples
    --------
    20 cases, none in the last half of the file: 2 * 21 / 2^20.

    >>> counts = np.array([1] * 20 + [0] * 20)
    >>> round(_chance(counts, np.full(40, 10), 20, 40, 1.0) * 2**20, 6)
    42.0
    """
    k, n = counts[start:end].sum() / spread, counts.sum() / spread
    share = total[start:end].sum() / total.sum()
    if not n > k:
        return 1.0
    return float(min((k + 1) * (k + 2) * (n + 1 - k) * stats.beta.sf(share, k + 1, n - k), 1.0))


def _together(events: pd.DataFrame, together_d: int) -> list[pd.DataFrame]:
    """Events parted into changes: those that lie close to each other in time."""
    if events.empty:
        return []
    apart = events["date"].diff() > pd.Timedelta(days=together_d)
    groups = []
    for _, group in events.groupby(apart.cumsum()):
        if set(group["what"]) == {"came", "went"}:
            groups.append(group)
        else:
            groups += [group.iloc[[i]] for i in range(len(group))]
    return groups


def _passing(events: pd.DataFrame, together_d: int) -> pd.Series:
    """Events of categories that came and went, or went and came, within one change."""
    change = (events["date"].diff() > pd.Timedelta(days=together_d)).cumsum()
    return events.assign(change=change).duplicated(["change", "category"], keep=False)


def _interludes(group: pd.DataFrame) -> list[dict]:
    rows = []
    for name, pair in group[group.duplicated("category", keep=False)].groupby("category"):
        first, last = pair["date"].min(), pair["date"].max()
        back = "in use again" if pair["what"].iloc[0] == "came" else "out of use"
        row = dict.fromkeys(COLUMNS, np.nan) | {"date": first, "kind": "interlude", "old": name}
        row |= {"new": name, "last_seen": pair.loc[pair["what"] == "went", "date"].max()}
        row |= {"first_seen": pair.loc[pair["what"] == "came", "date"].min()}
        row |= {"cases_before": 0, "cases_after": 0, "chance": pair["chance"].max()}
        note = f"{back} only from {first:%Y-%m-%d} to {last:%Y-%m-%d}"
        rows.append(row | {"sure": False, "note": note})
    return rows


# --- Links --------------------------------------------------------------------------------------


class _Stretch:
    """The cases before and after one change, and the categories that went and came with it."""

    def __init__(self, used: pd.DataFrame, group: pd.DataFrame, window_d: int) -> None:
        self.chances = dict(
            zip(zip(group["category"], group["what"], strict=True), group["chance"], strict=True)
        )
        self.dates = dict(
            zip(zip(group["category"], group["what"], strict=True), group["date"], strict=True)
        )
        self.went = sorted(group.loc[group["what"] == "went", "category"])
        self.came = sorted(group.loc[group["what"] == "came", "category"])
        width = pd.Timedelta(days=window_d)
        first, last = group["date"].min(), group["date"].max()
        if group["what"].eq("went").iloc[0] and len(set(group["what"])) > 1:
            first = min(first + pd.Timedelta(days=1), last)
        came = group.loc[group["what"] == "came", "date"]
        self.date = came.min() if len(came) else first
        self.before = used[(used["day"] < first) & (used["day"] >= first - width)]
        self.after = used[(used["day"] >= last) & (used["day"] < last + width)]
        self.days = [
            min(window_d, (first - used["day"].min()).days),
            min(window_d, (used["day"].max() - last).days + 1),
        ]

    def row(self, kind: str, old: str, new: str, **more: object) -> dict:
        chances = [self.chances[k] for k in ((old, "went"), (new, "came")) if k in self.chances]
        return {
            "date": self.date,
            "kind": kind,
            "old": old,
            "new": new,
            "last_seen": self.dates.get((old, "went"), pd.NaT),
            "first_seen": self.dates.get((new, "came"), pd.NaT),
            "cases_before": int((self.before["category"] == old).sum()),
            "cases_after": int((self.after["category"] == new).sum()),
            "chance": max(chances),
            **more,
        }


def _alone(stretch: _Stretch, confidence: float) -> list[dict]:
    """What came or went alone, beside the volume of the whole file."""
    kind = "new" if stretch.came else "ended"
    name = (stretch.came or stretch.went)[0]
    estimate, low, high, note = np.nan, np.nan, np.nan, "no days on both sides to compare"
    if min(stretch.days) >= 14 and len(stretch.before) and len(stretch.after):
        ends = (stretch.before, stretch.after)
        estimate, low, high = _ratio(
            [_weekly(part) for part in ends], np.array(stretch.days) / 7, confidence
        )
        rose = {"new": low > 1, "ended": high < 1}[kind]
        told = {
            "new": "all cases together did not rise for certain: it may be carved out of others",
            "ended": "all cases together did not fall for certain: others may have taken it in",
        }
        note = "" if rose else told[kind]
    names = {"old": "", "new": name} if kind == "new" else {"old": name, "new": ""}
    more = {"estimate": estimate, "low": low, "high": high, "overlap": np.nan, "agreed": np.nan}
    return [stretch.row(kind, **names, **more, sure=False, note=note)]


def _weekly(part: pd.DataFrame) -> np.ndarray:
    week = (part["day"] - part["day"].min()).dt.days // 7 if len(part) else []
    return np.bincount(np.asarray(week, dtype=int)) if len(part) else np.zeros(1)


def _ratio(
    weekly: list[np.ndarray], base: np.ndarray, confidence: float, *, of_all: bool = False
) -> tuple[float, float, float]:
    """Rate after over rate before, with an interval that allows for uneven weeks.

    ``base`` holds weeks, or all cases if the rates are shares ``of_all``: binomial then.
    """
    spread = max(1.0, float(np.mean([_uneven(counts) for counts in weekly])))
    count = np.array([counts.sum() for counts in weekly]) + 0.5
    rest = np.clip(1 - count / base, 0, 1) if of_all else 1.0
    middle = np.log(count[1] / base[1]) - np.log(count[0] / base[0])
    half = stats.norm.ppf((1 + confidence) / 2) * np.sqrt(spread * (rest / count).sum())
    return tuple(float(np.exp(each)) for each in (middle, middle - half, middle + half))


def _uneven(counts: np.ndarray) -> float:
    whole = counts[:-1]  # the last week may be a part of one
    if len(whole) < 4 or not whole.mean() > 0:
        return 1.0
    return float(whole.var(ddof=1) / whole.mean())


def _links(
    stretch: _Stretch,
    by_text: bool,
    beside: list[str],
    resamples: int,
    confidence: float,
    rng: np.random.Generator,
) -> list[dict]:
    """The links proposed at one break, with how sure each is."""
    makeup = _Makeup(stretch, by_text, len(beside))
    parts = _best_parts(makeup)
    agreed = np.zeros((len(makeup.went), len(makeup.came)))
    for _ in range(resamples):
        for olds, news in _best_parts(makeup.resampled(rng)):
            agreed[np.ix_(olds, news)] += 1 / resamples
    rows = []
    for part in parts:
        rows += _part_rows(stretch, makeup, part, agreed, confidence)
    return rows


def _part_rows(
    stretch: _Stretch, makeup: _Makeup, part: tuple, agreed: np.ndarray, confidence: float
) -> list[dict]:
    olds, news = part
    limits = dict(zip(["estimate", "low", "high"], makeup.ratio(part, confidence), strict=True))
    rows = []
    for i in olds:
        for j in news:
            row = stretch.row("", makeup.went[i], makeup.came[j]) | limits
            row |= {"overlap": makeup.overlap(i, j), "agreed": min(agreed[i, j], 1.0)}
            note = _why_unsure(row)
            rows.append(row | {"sure": not note, "note": note})
    sure = sum(row["sure"] for row in rows)
    many = "split" if len(news) > 1 else "merged"
    for row in rows:
        alone = len(rows) == 1 or (row["sure"] and sure == 1)
        row["kind"] = "renamed" if alone else many
    return rows


def _why_unsure(row: dict) -> str:
    if min(row["cases_before"], row["cases_after"]) < FEWEST_LINKED:
        return "not sure: too few cases"
    if row["agreed"] < SURE:
        return f"not sure: {row['agreed']:.0%} of resamples propose it"
    if row["high"] < 1 / ABOUT_SAME or row["low"] > ABOUT_SAME:
        return "not sure: what they hold differs before and after"
    if row["overlap"] < ALIKE:
        return "not sure: the cases differ in what is known of them"
    return ""


class _Makeup:
    """Counts of the cases that went and came by level of each column, as shares of all cases."""

    def __init__(self, stretch: _Stretch, by_text: bool, beside: int) -> None:
        self.went, self.came = stretch.went, stretch.came
        before, after = stretch.before, stretch.after
        both = pd.concat([before, after])
        columns = [_levels(both[f"beside_{i}"]) for i in range(beside)]
        if by_text:
            columns.append(_nearest(before, after, stretch.went))
        self.sizes = [int(column.max()) + 1 for column in columns]
        self.totals = (max(len(before), 1), max(len(after), 1))
        codes = np.stack(columns, axis=1) if columns else np.zeros((len(both), 0), dtype=int)
        self.old = _sorted_out(before["category"], self.went, codes[: len(before)])
        self.new = _sorted_out(after["category"], self.came, codes[len(before) :])
        self.weeks = [
            [_weekly(before[before["category"] == name]) for name in self.went],
            [_weekly(after[after["category"] == name]) for name in self.came],
        ]
        self._count()

    def _count(self) -> None:
        self.b = [self._table(*self.old, len(self.went)), *self._tables(self.old, len(self.went))]
        self.a = [self._table(*self.new, len(self.came)), *self._tables(self.new, len(self.came))]
        self.known: dict[tuple, float] = {}

    def _table(self, which: np.ndarray, _: np.ndarray, n: int) -> np.ndarray:
        return np.bincount(which, minlength=n).reshape(n, 1).astype(float)

    def _tables(self, cases: tuple, n: int) -> list[np.ndarray]:
        which, codes = cases
        return [
            np.bincount(which * size + codes[:, j], minlength=n * size)
            .reshape(n, size)
            .astype(float)
            for j, size in enumerate(self.sizes)
        ]

    def resampled(self, rng: np.random.Generator) -> _Makeup:
        """The same stretch with its cases drawn anew."""
        other = object.__new__(_Makeup)
        other.__dict__ |= self.__dict__
        for side in ("old", "new"):
            which, codes = getattr(self, side)
            size = rng.poisson(len(which)) or len(which)
            drawn = rng.integers(len(which), size=size)
            setattr(other, side, (which[drawn], codes[drawn]))
        other._count()
        return other

    def cost(self, olds: tuple, news: tuple) -> float:
        """How badly cases before and after agree, less what a finer grouping may cost."""
        if (olds, news) not in self.known:
            n = 1 / (1 / self.totals[0] + 1 / self.totals[1])
            apart = [
                (
                    (
                        np.sqrt(b[list(olds)].sum(axis=0) / self.totals[0])
                        - np.sqrt(a[list(news)].sum(axis=0) / self.totals[1])
                    )
                    ** 2
                ).sum()
                for b, a in zip(self.b, self.a, strict=True)
            ]
            whole = apart[0] + sum(each - apart[0] for each in apart[1:])
            finer = np.log(n + 1) * len(apart) if olds and news else 0.0
            self.known[olds, news] = 4 * n * whole - finer
        return self.known[olds, news]

    def overlap(self, old: int, new: int) -> float:
        """How alike the cases of two categories are: the mean of Bhattacharyya's coefficients."""
        found = []
        for b, a in zip(self.b[1:], self.a[1:], strict=True):
            p, q = b[old], a[new]
            found.append(np.sqrt(p * q).sum() / np.sqrt(max(p.sum() * q.sum(), 1e-12)))
        return float(np.mean(found)) if found else np.nan

    def ratio(self, part: tuple, confidence: float) -> tuple[float, float, float]:
        """Share of all cases after over before."""
        weekly = [
            _summed([weeks[i] for i in side]) for weeks, side in zip(self.weeks, part, strict=True)
        ]
        return _ratio(weekly, np.array(self.totals, dtype=float), confidence, of_all=True)


def _summed(weekly: list[np.ndarray]) -> np.ndarray:
    total = np.zeros(max(map(len, weekly)))
    for each in weekly:
        total[: len(each)] += each
    return total


def _sorted_out(
    category: pd.Series, names: list[str], codes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    which = pd.Index(names).get_indexer(category)
    return which[which >= 0], codes[which >= 0]


def _levels(values: pd.Series) -> np.ndarray:
    """Numbers of the levels, most common first, the rare ones together."""
    order = values.value_counts().sort_index().sort_values(ascending=False, kind="stable").index
    place = pd.Series(np.minimum(np.arange(len(order)), LEVELS), index=order)
    return values.map(place).to_numpy(dtype=int)


def _nearest(before: pd.DataFrame, after: pd.DataFrame, went: list[str]) -> np.ndarray:
    """Of each case the category of before whose texts are nearest; its own half is left out.

    Nearest is the largest cosine of the tf-idf of character n-grams with the category's mean.
    """
    both = pd.concat([before, after])
    size = before["category"].value_counts()
    names = sorted({*went, *size[size >= 10].index})
    halves = np.arange(len(both)) % 2
    if both["text"].str.strip().eq("").all():
        return np.zeros(len(both), dtype=int)
    step = max(1, len(both) // TEXTS)
    words = TfidfVectorizer(
        analyzer="char_wb",
        ngram_range=(2, 4),
        max_features=20_000,
        sublinear_tf=True,
        preprocessor=lambda text: " ".join(text[:2000].lower().split()),
    )
    words.fit(both["text"].iloc[::step])
    vectors = words.transform(both["text"])
    own = pd.Index(names).get_indexer(both["category"])
    own = np.where(np.arange(len(both)) < len(before), own, -1)
    found = np.zeros(len(both), dtype=int)
    for half in (0, 1):
        learn = np.flatnonzero((halves == half) & (own >= 0))
        centre = np.zeros((len(names), vectors.shape[1]))
        for i in range(len(names)):
            mine = learn[own[learn] == i]
            if len(mine):
                centre[i] = np.asarray(vectors[mine].mean(axis=0)).ravel()
        centre -= centre.mean(axis=0)
        centre /= np.maximum(np.linalg.norm(centre, axis=1, keepdims=True), 1e-12)
        found[halves != half] = (vectors[halves != half] @ centre.T).argmax(axis=1)
    return found


def _best_parts(makeup: _Makeup) -> list[tuple[tuple, tuple]]:
    """Renamings, splits and merges that cost least: the best pairs, then moved about."""
    n, m = len(makeup.went), len(makeup.came)
    pair = np.array([[makeup.cost((i,), (j,)) for j in range(m)] for i in range(n)])
    pair = pair - np.array(
        [[makeup.cost((i,), ()) + makeup.cost((), (j,)) for j in range(m)] for i in range(n)]
    )
    parts = [((int(i),), (int(j),)) for i, j in zip(*linear_sum_assignment(pair), strict=True)]
    have = [{i for olds, _ in parts for i in olds}, {j for _, news in parts for j in news}]
    left = [(0, i) for i in range(n) if i not in have[0]] + [
        (1, j) for j in range(m) if j not in have[1]
    ]
    for side, each in left:
        parts = min(_added(parts, side, each), key=lambda p: _cost(makeup, p))
    while True:
        options = [
            p for p in _moved(parts, makeup) if _cost(makeup, p) < _cost(makeup, parts) - 1e-9
        ]
        if not options:
            return sorted(parts)
        parts = min(options, key=lambda p: (_cost(makeup, p), sorted(p)))


def _cost(makeup: _Makeup, parts: list) -> float:
    return sum(makeup.cost(*part) for part in parts)


def _added(parts: list, side: int, each: int) -> list[list]:
    """Every way to put one category more into the parts, each still a split or a merge."""
    options = []
    for at, part in enumerate(parts):
        grown = [part[0], part[1]]
        grown[side] = tuple(sorted((*part[side], each)))
        if min(len(grown[0]), len(grown[1])) <= 1:
            options.append([*parts[:at], (grown[0], grown[1]), *parts[at + 1 :]])
    return options


def _moved(parts: list, makeup: _Makeup) -> list[list]:
    """Parts after one category has moved to another, or two of one side have changed places."""
    options = []
    for at, part in enumerate(parts):
        for side in (0, 1):
            for each in part[side]:
                rest = tuple(x for x in part[side] if x != each)
                less = (rest, part[1]) if side == 0 else (part[0], rest)
                others = [*parts[:at], *parts[at + 1 :]]
                if rest:
                    options += [[*p, less] for p in _added(others, side, each)]
                options += _swapped(parts, at, side, each)
    return options


def _swapped(parts: list, at: int, side: int, each: int) -> list[list]:
    options = []
    for other in range(at + 1, len(parts)):
        for that in parts[other][side]:
            change = {each: that, that: each}
            fresh = [list(part) for part in parts]
            for k in (at, other):
                fresh[k][side] = tuple(sorted(change.get(x, x) for x in parts[k][side]))
            options.append([tuple(part) for part in fresh])
    return options


# --- Names --------------------------------------------------------------------------------------


def _names(table: pd.DataFrame, used: pd.DataFrame) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """One name for the categories that sure links join: the latest that stands for all of them."""
    sure = table[table["sure"]]
    group = {name: name for name in sorted({*sure["old"], *sure["new"]})}
    for row in sure.itertuples():
        low, high = sorted([group[row.old], group[row.new]])
        group = {name: low if at == high else at for name, at in group.items()}
    pairs = []
    for label in sorted(set(group.values())):
        members = [name for name in group if group[name] == label]
        links = sure[sure["old"].isin(members)]
        last = links[links["date"] == links["date"].max()]
        many = len(set(last["new"])) > 1
        head = str(last["old"].iloc[0] if many else last["new"].iloc[0])
        pairs += [(name, head) for name in members if name != head]
    return tuple(old for old, _ in pairs), tuple(new for _, new in pairs)
