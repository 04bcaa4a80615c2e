"""What share of complaints is of each kind, once people have read a sample?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look, ratings
from sqm.checks import Problem, Refusal, first_rows, nearest, need_columns, need_share
from sqm.finding import Finding, counted, listed
from sqm.interval import spell, variance_of_sum, wilson
from sqm.masking import mask

SOURCE, SHEET = "complaints", "the coding sheet"
CODERS = ("coder_a", "coder_b")
RUNS = "=+-@\t\r＝＋－＠"  # a spreadsheet runs a cell that begins with one of these
UNLABELLED = "(not recorded)"
FEWEST_READ = 30
FORGIVEN = 0.01  # of the complaints, in strata of which none was read
AUTOMATIC, SAMPLE, COMBINED = "automatic labels", "sample alone", "combined"
MARKS = {AUTOMATIC: "limit", SAMPLE: "other", COMBINED: "usual"}


@dataclass(frozen=True, eq=False)
class CodingSheet(Finding):
    """Which complaints people are to read.

    Attributes
    ----------
    table : DataFrame, one row per complaint to read, in random order
        ``complaint``; ``stratum``, its automatic label; ``chance`` of having been drawn (0 to
        1); ``text``, masked and safe to open in a spreadsheet (if there is one); ``coder_a``,
        ``coder_b``, to be filled in.
    complaints, drawn, strata : int
    least : int
        Fewest drawn of one stratum.
    half_width : float
        Half the interval of a share of one half that a simple sample of this size gives, 0 to 1.
    names : tuple of str
        The strata, the most frequent first.
    of_each, drawn_of_each : tuple of int
        Complaints of each stratum, and how many of them were drawn.
    unlabelled : int
        Complaints without a label: a stratum of their own.
    confidence : float
    """

    unshown: ClassVar[tuple[str, ...]] = ("text",)

    complaints: int
    drawn: int
    strata: int
    least: int
    half_width: float
    names: tuple[str, ...]
    of_each: tuple[int, ...]
    drawn_of_each: tuple[int, ...]
    unlabelled: int
    confidence: float

    def sentence(self) -> str:
        first = (
            f"{self.drawn:,} of {self.complaints:,} complaints are drawn to be read, "
            f"{self.least:,} or more of each of {counted(self.strata, 'label')}; a share of "
            f"one half is then known within {100 * self.half_width:.1f} points or better "
            f"({100 * self.confidence:.4g}% interval)."
        )
        rest = [
            "Drawn at random within each label, in proportion to its complaints but for the "
            "fewest; each row carries its chance of being drawn, which the estimate needs.",
            "Let each coder read alone, with the columns stratum and chance hidden: who sees the "
            "label agrees with it.",
            "What names a person is masked where a rule can find it; not every name or address "
            "can be, so the sheet stays among those who may read complaints.",
        ]
        if self.unlabelled:
            rest.append(f"{self.unlabelled:,} without a label are a stratum of their own.")
        return f"{first}\n{' '.join(rest)}"

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        at = np.arange(len(self.names))
        share = 100 * np.array(self.of_each) / self.complaints
        drawn = 100 * np.array(self.drawn_of_each) / self.drawn
        ax.hlines(at, np.minimum(share, drawn), np.maximum(share, drawn), color="#c9d0d5", lw=3)
        for values, what, name in ((share, "limit", "all"), (drawn, "usual", "to be read")):
            mark, colour = look.MARKER[what], look.MEANING[what]
            ax.plot(values, at, ls="", marker=mark, color=colour, label=name)
        ax.set_yticks(at, [look.shorten(name) for name in self.names])
        ax.set(ylim=(len(at) - 0.5, -0.5), xlim=(0, None))
        ax.legend(frameon=False, fontsize="small")
        return look.label(ax, title="Which complaints are to be read?", x="share of each label, %")


@dataclass(frozen=True, eq=False)
class CodedShares(Finding):
    """Share of complaints of each kind, by machine, by people, and by both.

    Attributes
    ----------
    table : DataFrame, three rows per category
        ``category``; ``method``, ``automatic labels``, ``sample alone`` or ``combined``;
        ``estimate``, ``low``, ``high``, the share of all complaints (0 to 1; the automatic one
        is a count and has no interval); ``read``, complaints read as that category;
        ``power``, how far the labels are used (0: not at all, 1: as they are); ``note``.
    complaints, drawn, read, blank : int
        Complaints; rows of the sheet; those that the coder filled in; those left blank.
    left_out : int
        Complaints in strata of which none was read: the shares do not speak of them.
    kappa, kappa_low, kappa_high : float
        Cohen's kappa of the two coders; NaN if there is no second one.
    both_read : int
        Complaints that both coders filled in.
    distance, distance_low, distance_high : float
        Total variation distance of the automatic shares from the combined, 0 to 1, with the
        part that chance adds taken off; the low limit is 0 unless Wald's test of all categories
        together says that they differ.
    narrower : float
        By how much the combined intervals are narrower than those of the sample alone, on
        average (0: not at all).
    half_width : float
        The wanted half width of the widest interval, 0 to 1.
    more : int
        Complaints to read beyond those read until it is reached.
    by_label : bool
        Whether the sample was drawn by the automatic label.
    rivals : tuple of str
        Categories that the commonest is not surely ahead of (Bonferroni's correction for all).
    largest : str
        Category whose combined share is farthest from the automatic one.
    confidence : float
        Level of each interval on its own.
    """

    complaints: int
    drawn: int
    read: int
    blank: int
    left_out: int
    kappa: float
    kappa_low: float
    kappa_high: float
    both_read: int
    distance: float
    distance_low: float
    distance_high: float
    narrower: float
    half_width: float
    more: int
    by_label: bool
    rivals: tuple[str, ...]
    largest: str
    confidence: float

    def sentence(self) -> str:
        both, counts = self._of(COMBINED), self._of(AUTOMATIC)
        first, row = both.iloc[0], both.set_index("category").loc[self.largest]
        name = look.shorten(str(first["category"]), width=40)
        words = f"The commonest kind is {name}: {self._told(first)} of complaints, "
        surely = self.distance_low > 0
        if self.rivals:
            rivals = listed([look.shorten(each, width=30) for each in self.rivals], most=1)
            words = words.removesuffix(", ") + f" (not surely ahead of {rivals}), "
        words += f"once {self.read:,} were read; counts by label are "
        words += "off, most on " if surely else "not surely off (most on "
        said = counts.set_index("category").loc[self.largest, "estimate"]
        told = f"{100 * said:.1f} % by label, {100 * row['estimate']:.1f} % combined"
        words += look.shorten(self.largest, width=40)
        words += f" ({told})." if surely else f": {told})."
        rest = [self._distance(), self._narrower(), self._agreement(), self._basis(), self._more()]
        return f"{words}\n{' '.join(filter(None, rest))}"

    def _of(self, method: str) -> pd.DataFrame:
        return self.table[self.table["method"] == method]

    def _told(self, row: pd.Series) -> str:
        limits = (100 * row[each] for each in ("estimate", "low", "high"))
        return spell(*limits, confidence=self.confidence, digits=1, unit="%")

    def _distance(self) -> str:
        limits = (100 * x for x in (self.distance, self.distance_low, self.distance_high))
        return (
            "Counted by automatic labels alone, the shares differ from these by "
            f"{spell(*limits, confidence=self.confidence, digits=1, unit='%')} of complaints in "
            "all (total variation distance; approximate)."
        )

    def _narrower(self) -> str:
        said = f"{100 * self.narrower:.0f} % narrower than those of "
        if self.by_label:
            return (
                f"The intervals are {said}as many complaints drawn without regard to the labels: "
                "the labels work through the strata."
            )
        return f"The intervals are {said}the sample alone, thanks to the labels of all."

    def _agreement(self) -> str:
        if not np.isfinite(self.kappa):
            return (
                "No second coder can be compared with the first, so nobody knows how far another "
                "reader would file otherwise; that error is in no interval."
            )
        limits = (self.kappa, self.kappa_low, self.kappa_high)
        return (
            f"Two coders agree with kappa {spell(*limits, confidence=self.confidence)} on "
            f"{self.both_read:,} complaints; the shares are what the first would file if he or "
            "she read all. Well below 1, readers err too, perhaps more than the labels."
        )

    def _basis(self) -> str:
        words = f"Read: {self.read:,} of {self.drawn:,} drawn from {self.complaints:,} complaints"
        words += "; labels of all others count by how well they fit the reading "
        words += "(prediction-powered), and that none is drawn twice is allowed for."
        if self.blank:
            words += f" {self.blank:,} are left blank and taken to be like the rest."
        if self.left_out:
            words += f" {counted(self.left_out, 'complaint')} of labels nobody read are left out."
        return words

    def _more(self) -> str:
        wanted = f"Within {100 * self.half_width:.4g} points for every kind: "
        if not self.more:
            return f"{wanted}reached."
        return f"{wanted}about {self.more:,} more to read."

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self.table.assign(
            **{each: 100 * self.table[each] for each in ("estimate", "low", "high")}
        )
        names = list(dict.fromkeys(rows["category"]))
        place = {name: at for at, name in enumerate(names)}
        for method, shift in ((AUTOMATIC, -0.22), (SAMPLE, 0.0), (COMBINED, 0.22)):
            here = rows[rows["method"] == method]
            at = here["category"].map(place).to_numpy() + shift
            colour = look.MEANING[MARKS[method]]
            ax.hlines(at, here["low"], here["high"], color=colour, lw=1.5)
            mark = look.MARKER[MARKS[method]]
            ax.plot(here["estimate"], at, ls="", marker=mark, ms=5, color=colour, label=method)
        ax.set_yticks(range(len(names)), [look.shorten(str(name)) for name in names])
        ax.set(ylim=(len(names) - 0.5, -0.5), xlim=(0, None))
        ax.legend(frameon=False, fontsize="small")
        title = "What share of complaints is of each kind?"
        return look.label(ax, title=title, x=f"share of {self.complaints:,} complaints, %")


def draw_sample(
    complaints: pd.DataFrame,
    *,
    by: str = "category",
    size: int = 300,
    least_per_stratum: int = 10,
    id: str = "complaint",
    text: str = "text",
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> CodingSheet:
    """Draw the complaints that people are to read, by automatic label.

    Parameters
    ----------
    complaints : DataFrame, one row per complaint
    by : str
        Column of the automatic label; each is a stratum.
    size : int, default 300
        Complaints to draw; all, where there are fewer.
    least_per_stratum : int, default 10
        Of each label (all, where there are fewer); with so many labels that this does not fit
        into the sample, as many as fit.
    id, text : str
        Columns; the sheet goes without ``text`` if there is no such column.
    confidence : float, default 0.95
    rng : Generator

    Returns
    -------
    CodingSheet

    Raises
    ------
    Problem
        If the size is not positive, or an identifier is blank or stands twice.
    Refusal
        If a column is missing, or there are too many labels for two of each.

    Notes
    -----
    Simple random sampling within each label, in proportion to its complaints, once every label
    has its least; fractions go by largest remainder.  Proportional and not Neyman's allocation:
    that one needs to know how often each label is wrong, which is what the sample is drawn for,
    and differs by kind.  Cochran, W. G. (1977). Sampling Techniques, 3rd edition. Wiley.
    Chapter 5.

    Examples
    --------
    Of 90 and 10 complaints, 20 in proportion would be 18 and 2; with 5 at least, 15 and 5.

    >>> cases = pd.DataFrame({"complaint": range(100), "category": ["a"] * 90 + ["b"] * 10})
    >>> sheet = draw_sample(cases, size=20, least_per_stratum=5, rng=np.random.default_rng(1))
    >>> sheet.names, sheet.drawn_of_each
    (('a', 'b'), (15, 5))
    """
    need_columns(complaints, [id, by], source=SOURCE)
    need_share(confidence, name="confidence")
    _need_identifiers(complaints[id], SOURCE)
    strata = _labels(complaints[by])
    counts = strata.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    of_each = counts.to_numpy()
    allotted = _allotted(of_each, size, least_per_stratum)
    chosen = [
        rng.choice(np.flatnonzero((strata == name).to_numpy()), take, replace=False)
        for name, take in zip(counts.index, allotted, strict=True)
    ]
    places = rng.permutation(np.concatenate(chosen))
    chance = pd.Series(allotted / of_each, index=counts.index)
    return CodingSheet(
        table=_sheet(complaints, places, strata, chance, id, text),
        complaints=len(complaints),
        drawn=size,
        strata=len(counts),
        least=int(allotted.min()),
        half_width=_planned(size, len(complaints), confidence),
        names=tuple(counts.index),
        of_each=tuple(int(each) for each in of_each),
        drawn_of_each=tuple(int(each) for each in allotted),
        unlabelled=int(counts.get(UNLABELLED, 0)),
        confidence=confidence,
    )


def coded_shares(
    complaints: pd.DataFrame,
    sheet: pd.DataFrame,
    *,
    label: str = "category",
    by: str = "",
    coder: str = "coder_a",
    second: str = "coder_b",
    categories: Sequence[str] = (),
    half_width: float = 0.03,
    id: str = "complaint",
    confidence: float = 0.95,
) -> CodedShares:
    """Give the share of each kind from people's reading of a sample and the labels of all.

    Parameters
    ----------
    complaints : DataFrame, one row per complaint
        All those from which the sample was drawn, with their labels.
    sheet : DataFrame, one row per complaint drawn
        Columns ``id``, ``stratum`` and ``coder``, filled in; ``second`` if there is one.
    label : str
        Column of ``complaints`` with the automatic label.
    by : str
        Column of ``complaints`` that made the strata; ``label`` if blank.
    coder, second : str
        Columns of the sheet; the first one's reading counts, the second's is for agreement.
    categories : sequence of str
        What a coder may write; the labels that occur if empty.
    half_width : float, default 0.03
        Wanted half width of every interval, for the number still to be read.
    id : str
    confidence : float, default 0.95

    Returns
    -------
    CodedShares

    Raises
    ------
    Problem
        If the sheet names a complaint that is unknown or stands twice, a code that is not in the
        list, or a stratum that is not that of the complaint.
    Refusal
        If fewer than 30 complaints were read, or none of a label with a hundredth of all.

    Notes
    -----
    For each category let f say that the label is it and y that the coder says so.  With w the
    complaints that each one read stands for, the combined share is
    mean_w(y) + power * (mean(f, all) - mean_w(f, read)): prediction-powered inference [1]_ with
    the power tuned to the data [2]_, which for yes-or-no is the slope of y on f, p1 - p0, the
    shares read as the category where the label is it and where it is not.  So the combined
    share is also F p1 + (1 - F) p0, F the share so labelled.  Its limits put together Wilson's
    of p1 and p0 by the squares of their distances [3]_; the numbers in Wilson's formula are
    effective ones (unequal weights, strata, finite population).  In simulations it is
    conservative with 100 read (95 to 99 % at 95) and near its level with 400, small shares
    included.  Strata by label have this power built in: the combined share is then the stratified
    one, and the interval given as the sample's alone is that of a sample without strata.  The
    sample alone has Wilson's interval at the effective number (conservative).

    The distance is half the sum of the absolute differences, less what chance alone adds to it
    (expected from the standard errors), with a normal interval (conservative).

    References
    ----------
    .. [1] Angelopoulos, A. N., Bates, S., Fannjiang, C., Jordan, M. I., Zrnic, T. (2023).
       Prediction-powered inference. Science 382, 669-674. doi:10.1126/science.adi6000
    .. [2] Angelopoulos, A. N., Duchi, J. C., Zrnic, T. (2023). PPI++: efficient
       prediction-powered inference. arXiv:2311.01453
    .. [3] Zou, G. Y., Donner, A. (2008). Statistics in Medicine 27, 1693-1702.
       doi:10.1002/sim.3095

    Examples
    --------
    Half of 80 are labelled a. Of 20 read so labelled 16 are a, of 20 others 4:
    0.5 * 0.8 + 0.5 * 0.2 = 0.5.

    >>> cases = pd.DataFrame({"complaint": range(80), "category": ["a", "b"] * 40})
    >>> sheet = pd.DataFrame({"complaint": range(40), "stratum": ["a", "b"] * 20,
    ...     "coder_a": ["a", "a"] * 4 + ["a", "b"] * 12 + ["b", "b"] * 4})
    >>> found = coded_shares(cases, sheet)
    >>> row = found.table.query("category == 'a' and method == 'combined'").iloc[0]
    >>> round(float(row["estimate"]), 6), round(float(row["power"]), 6), found.by_label
    (0.5, 0.6, True)
    """
    need_columns(complaints, [id, label, by or label], source=SOURCE)
    need_columns(sheet, [id, "stratum", coder], source=SHEET)
    need_share(confidence, name="confidence")
    need_share(half_width, name="half_width")
    rows = _matched(complaints, sheet, id=id, label=label, by=by or label)
    known = [str(each) for each in categories] or sorted(set(rows.all_labels) - {UNLABELLED})
    code = _codes(sheet[coder], known, coder)
    other = _codes(sheet[second], known, second) if second in sheet.columns else None
    kappa, both_read = _agreement(code, other, confidence)
    sample = _sample(rows, code)
    table, moved = _table(sample, known, confidence)
    distance = _distance(sample, table, moved, confidence)
    return CodedShares(
        table=table,
        complaints=len(complaints),
        drawn=len(sheet),
        read=len(sample.code),
        blank=int(code.isna().sum()),
        left_out=sample.left_out,
        **dict(zip(("kappa", "kappa_low", "kappa_high"), kappa, strict=True)),
        both_read=both_read,
        **dict(zip(("distance", "distance_low", "distance_high"), distance, strict=True)),
        narrower=_narrower(table),
        half_width=half_width,
        more=_more(table, sample, half_width),
        by_label=sample.by_label,
        rivals=_rivals(sample, table, moved, confidence),
        largest=_farthest(table),
        confidence=confidence,
    )


# --- Drawing --------------------------------------------------------------------------------------


def _labels(column: pd.Series) -> pd.Series:
    """Labels as text; a blank one is a label of its own."""
    text = column.map(ratings.as_text, na_action="ignore").astype("str").str.strip()
    return text.where(text.notna() & text.ne(""), UNLABELLED)


def _identifiers(ids: pd.Series) -> pd.Series:
    """Identifiers as text; a spreadsheet that made numbers of them has not changed them."""
    if pd.api.types.is_float_dtype(ids) and (ids.dropna() % 1 == 0).all():
        ids = ids.astype("Int64")
    return ids.astype("str").str.strip()


def _need_identifiers(ids: pd.Series, source: str) -> None:
    text = _identifiers(ids)
    blank = ids[text.isna() | text.eq("")]
    if len(blank):
        raise Problem(
            f"{source}: {counted(len(blank), 'row')} without {ids.name!r} (first rows: "
            f"{first_rows(blank)}).",
            "give every complaint an identifier of its own.",
        )
    twice = text[text.duplicated()]
    if len(twice):
        raise Problem(
            f"{source}: {listed(sorted(set(twice)), most=3)} stands twice in {ids.name!r} (first "
            f"rows: {first_rows(twice)}).",
            "leave one row for each complaint.",
        )


def _allotted(of_each: np.ndarray, size: int, least: int) -> np.ndarray:
    """How many to draw of each stratum: its least, and the others in proportion."""
    if size < 1:
        raise Problem(f"size is {size}.", "give the number of complaints that people can read.")
    size = min(size, int(of_each.sum()))
    fits = [each for each in range(max(least, 1), 0, -1) if np.minimum(of_each, each).sum() <= size]
    if not fits or fits[0] < min(least, 2):  # the spread within a label needs two of it
        raise Refusal(
            f"{counted(len(of_each), 'label')} of two complaints each do not fit into a sample of "
            f"{size}.",
            "draw more, or put rare labels together.",
        )
    fewest = np.minimum(of_each, fits[0])
    given = fewest.astype(float)
    free = np.ones(len(of_each), bool)
    while True:  # strata that proportion would give less than their least keep it
        shared = (size - given[~free].sum()) * of_each / of_each[free].sum()
        short = free & (shared < fewest)
        if not short.any():
            break
        free &= ~short
        if not free.any():
            break
    given[free] = shared[free]
    return _whole(given, size)


def _whole(shares: np.ndarray, size: int) -> np.ndarray:
    """Whole numbers that add up, by largest remainder, the earlier first among equals."""
    whole = np.floor(shares + 1e-9).astype(int)
    order = np.argsort(-(shares - whole).round(9), kind="stable")
    whole[order[: size - whole.sum()]] += 1
    return whole


def _sheet(complaints, places, strata, chance, id: str, text: str) -> pd.DataFrame:
    drawn = complaints.iloc[places]
    stratum = strata.iloc[places].reset_index(drop=True)
    columns = {
        "complaint": drawn[id].reset_index(drop=True),
        "stratum": stratum,
        "chance": stratum.map(chance).astype(float),
    }
    if text in complaints.columns:
        masked = mask(drawn[text].astype("str").fillna("").reset_index(drop=True))
        columns["text"] = masked.map(_safe).astype("str")
    blank = pd.Series([""] * len(drawn), dtype="str")
    return pd.DataFrame({**columns, **dict.fromkeys(CODERS, blank)})


def _safe(text: str) -> str:
    """A text that no spreadsheet runs."""
    return f"'{text}" if re.match(f"['\\s]*[{re.escape(RUNS)}]", text) else text


def _planned(size: int, all_of: int, confidence: float) -> float:
    low, high = wilson(0.5, _effective(size, all_of), confidence=confidence)
    return (high - low) / 2


def _effective(read: float, all_of: float) -> float:
    """Independent rows that tell as much as ``read`` drawn from ``all_of`` without repeats."""
    return read / max(1 - read / all_of, 1e-9)


# --- Reading the sheet back -----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Rows:
    """Labels and strata of all complaints, and those of the sheet's rows in its order."""

    all_labels: np.ndarray
    all_strata: np.ndarray
    labels: np.ndarray
    strata: np.ndarray


def _matched(complaints, sheet, *, id: str, label: str, by: str) -> _Rows:
    for table, source in ((complaints, SOURCE), (sheet, SHEET)):
        _need_identifiers(table[id], source)
    asked = _identifiers(sheet[id])
    place = pd.Index(_identifiers(complaints[id])).get_indexer(asked)
    if (place < 0).any():
        lost = asked[place < 0]
        raise Problem(
            f"{SHEET}: {counted(len(lost), 'complaint')} unknown: {listed(list(lost), most=3)} "
            f"(first rows: {first_rows(lost)}).",
            "hand over the complaints from which the sample was drawn, with the same identifiers.",
        )
    labels = _labels(complaints[label]).to_numpy(dtype=object)
    strata = _labels(complaints[by]).to_numpy(dtype=object)
    now = pd.Series(strata[place], index=sheet.index)
    said = _labels(sheet["stratum"])
    if (changed := said[said != now]).size:
        at = changed.index[0]
        raise Problem(
            f"{SHEET}: {counted(len(changed), 'complaint')} drawn from another stratum than "
            f"{by!r} says now (row {at}: {said[at]!r}, now {now[at]!r}).",
            "keep the labels by which the sample was drawn, and name them with `by`.",
        )
    return _Rows(labels, strata, labels[place], now.to_numpy(dtype=object))


def _codes(column: pd.Series, known: list[str], name: str) -> pd.Series:
    """The codes of one coder, missing where blank; each must be one of those known."""
    codes = column.map(ratings.as_text, na_action="ignore").astype("str").str.strip()
    codes = codes.where(codes.notna() & codes.ne(""))
    wrong = codes[codes.notna() & ~codes.isin(known)]
    if len(wrong):
        first = wrong.iloc[0]
        raise Problem(
            f"{SHEET}: {name!r} has {counted(len(wrong), 'code')} not in the list (first rows: "
            f"{first_rows(wrong)}; values: {listed(sorted(set(wrong)), most=5)}).",
            f"{first!r}: {nearest(first, known)} If it is meant, add it to `categories`.",
        )
    return codes


def _agreement(code, other, confidence: float) -> tuple[tuple[float, float, float], int]:
    none = (np.nan, np.nan, np.nan)
    if other is None:
        return none, 0
    both = code.notna() & other.notna()
    if both.sum() < ratings.FEWEST:
        return none, int(both.sum())
    _, counts = ratings.crossed(code[both], other[both])
    return ratings.cohen(counts, confidence), int(both.sum())


# --- Shares ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Sample:
    """The complaints read."""

    code: np.ndarray
    label: np.ndarray
    stratum: np.ndarray  # codes from 0
    weight: np.ndarray  # complaints that each stands for
    unread: np.ndarray  # share of its stratum that was not read
    all_labels: np.ndarray  # of the complaints of which it speaks
    by_label: bool
    left_out: int

    @property
    def all_of(self) -> int:
        return len(self.all_labels)


def _sample(rows: _Rows, code: pd.Series) -> _Sample:
    """Drop what was left blank, and weigh the rest by stratum."""
    done = code.notna().to_numpy()
    if done.sum() < FEWEST_READ:
        raise Refusal(
            f"{counted(int(done.sum()), 'complaint')} read, where shares need {FEWEST_READ}.",
            "let the coder read more of the sheet.",
        )
    names, stratum = np.unique(rows.strata[done].astype(str), return_inverse=True)
    every = pd.Index(names).get_indexer(rows.all_strata.astype(str))
    _need_read(rows.all_strata, every)
    of_each = np.bincount(every[every >= 0], minlength=len(names))
    read = np.bincount(stratum, minlength=len(names))
    labels_in = pd.Series(rows.all_labels).groupby(rows.all_strata).nunique()
    return _Sample(
        code=code.to_numpy(dtype=object)[done],
        label=rows.labels[done],
        stratum=stratum,
        weight=(of_each / read)[stratum],
        unread=(1 - read / of_each)[stratum],
        all_labels=rows.all_labels[every >= 0],
        by_label=bool((labels_in == 1).all()) and len(names) > 1,
        left_out=int((every < 0).sum()),
    )


def _need_read(all_strata: np.ndarray, every: np.ndarray) -> None:
    if (every < 0).mean() > FORGIVEN:
        names = sorted(set(all_strata[every < 0].astype(str)))
        raise Refusal(
            f"None was read of {listed(names, most=3)}, together "
            f"{100 * (every < 0).mean():.1f} % of the complaints.",
            "read some of each, or draw the sample anew with a least number of each.",
        )


def _table(sample: _Sample, known: list[str], confidence: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Three rows a category, the commonest first, and what each one read adds to the shares."""
    rows, moved = [], []
    for name in known:
        y = (sample.code == name).astype(float)
        f = sample.label == name
        labelled = float((sample.all_labels == name).mean())
        estimate, low, high, power, parts, note = _combined(sample, y, f, labelled, confidence)
        alone = _alone(sample, y, confidence)
        read, own = int(y.sum()), "drawn by label: as without strata" if sample.by_label else ""
        counted_note = "a count: no chance in it, and wrong labels in no interval"
        rows.append([name, AUTOMATIC, labelled, np.nan, np.nan, read, np.nan, counted_note])
        rows.append([name, SAMPLE, *alone, read, np.nan, own])
        rows.append([name, COMBINED, estimate, low, high, read, power, note])
        moved.append(parts)
    columns = ["category", "method", "estimate", "low", "high", "read", "power", "note"]
    table = pd.DataFrame(rows, columns=columns)
    shares = table.loc[table["method"] == COMBINED, "estimate"].to_numpy()
    order = np.lexsort((np.array(known, dtype=str), -shares.round(12)))
    table = table.iloc[(3 * order[:, None] + np.arange(3)).ravel()].reset_index(drop=True)
    return table, np.array(moved)[order]


def _combined(sample: _Sample, y, f, labelled: float, confidence: float) -> tuple:
    """Estimate, limits, power, what each one read adds, and a note."""
    if not f.any() or f.all():
        limits = _alone(sample, y, confidence)
        parts = sample.weight * (y - limits[0]) / sample.weight.sum()
        note = "none so labelled was read: labels not used" if labelled > 0 and not f.any() else ""
        return (*limits, 0.0, parts, note)
    p1, low1, high1, parts1 = _within(sample, y, f, confidence)
    p0, low0, high0, parts0 = _within(sample, y, ~f, confidence)
    estimate = labelled * p1 + (1 - labelled) * p0
    low = estimate - np.hypot(labelled * (p1 - low1), (1 - labelled) * (p0 - low0))
    high = estimate + np.hypot(labelled * (high1 - p1), (1 - labelled) * (high0 - p0))
    parts = labelled * parts1 + (1 - labelled) * parts0
    return estimate, max(low, 0.0), min(high, 1.0), p1 - p0, parts, ""


def _within(sample: _Sample, y, here, confidence: float) -> tuple:
    """Share among those read that are ``here``, with Wilson's limits at the effective number."""
    w = np.where(here, sample.weight, 0.0)
    p = _mean(w, y)
    parts = w * (y - p) / w.sum()
    spread = float((w**2 * sample.unread).sum() / w.sum() ** 2)
    variance = max(_variance(sample, parts), p * (1 - p) * spread)
    n = p * (1 - p) / variance if variance > 0 else 1 / max(spread, 1e-12)
    return p, *wilson(p, n, confidence=confidence), parts


def _mean(w: np.ndarray, y: np.ndarray) -> float:
    """Weighted share; exactly 1 where all are."""
    return 1.0 if y[w > 0].all() else float(w @ y / w.sum())


def _alone(sample: _Sample, y, confidence: float) -> tuple[float, float, float]:
    """The share from those read and their chances alone, without the labels of the others."""
    w = sample.weight
    p = _mean(w, y)
    parts = w * (y - p) / w.sum()
    loose = 1 / max(float((w**2 * sample.unread).sum() / w.sum() ** 2), 1e-12)
    if sample.by_label:
        variance = variance_of_sum(parts) * float(sample.unread @ w / w.sum())
        variance = max(variance, p * (1 - p) / loose)
    else:
        variance = _variance(sample, parts)
    return p, *ratings.share_limits(p, variance, loose, confidence)


def _variance(sample: _Sample, parts: np.ndarray) -> float:
    """Variance of a sum over those read, by stratum, without repeats."""
    return float(_covariance(sample, parts[None])[0, 0])


def _covariance(sample: _Sample, parts: np.ndarray) -> np.ndarray:
    """Covariances of sums over those read, shape (sums, sums)."""
    strata = sample.stratum.max() + 1
    read = np.bincount(sample.stratum, minlength=strata)
    sums = np.array([np.bincount(sample.stratum, each, strata) for each in parts])
    off = parts - (sums / read)[:, sample.stratum]
    single = np.maximum(read - 1, 1)  # a stratum of one adds nothing here
    times = (sample.unread * (read / single)[sample.stratum])[None]
    return (off * times) @ off.T


def _distance(sample, table, moved, confidence: float) -> tuple[float, float, float]:
    """Total variation of automatic from combined, less what chance adds, with its limits."""
    shares = table.pivot_table(index="category", columns="method", values="estimate", sort=False)
    apart = (shares[COMBINED] - shares[AUTOMATIC]).to_numpy()
    spread = _covariance(sample, moved)
    errors = np.sqrt(np.diag(spread))
    estimate = np.abs(apart).sum() / 2
    estimate = max(2 * estimate - _folded(apart, errors).sum() / 2, 0.0)
    signs = np.sign(apart) / 2
    half = stats.norm.ppf((1 + confidence) / 2) * np.sqrt(max(signs @ spread @ signs, 0))
    low = max(estimate - half, 0) if _differ(apart, spread) < 1 - confidence else 0.0
    return float(estimate), float(low), float(min(estimate + half, 1))


def _differ(apart: np.ndarray, spread: np.ndarray) -> float:
    """Wald's p of no difference in any category: signs chosen by the data make a sum too large."""
    seen = np.diag(spread) > 0
    values, vectors = np.linalg.eigh(spread[np.ix_(seen, seen)])
    kept = values > 1e-9 * values.max(initial=0.0)
    if not kept.any():
        return 1.0
    moved = vectors[:, kept].T @ apart[seen]
    return float(stats.chi2.sf((moved**2 / values[kept]).sum(), int(kept.sum())))


def _folded(mean: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Expected absolute value of normal numbers."""
    z = np.abs(mean) / np.where(error > 0, error, 1)
    folded = error * np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2) + np.abs(mean) * (
        1 - 2 * stats.norm.cdf(-z)
    )
    return np.where(error > 0, folded, np.abs(mean))


def _narrower(table: pd.DataFrame) -> float:
    width = (table["high"] - table["low"]).groupby(table["method"]).sum()
    return float(1 - width[COMBINED] / width[SAMPLE]) if width[SAMPLE] > 0 else 0.0


def _more(table: pd.DataFrame, sample: _Sample, wanted: float) -> int:
    """Still to be read until the widest interval is as narrow as wanted."""
    both, read = table[table["method"] == COMBINED], len(sample.code)
    half = float((both["high"] - both["low"]).max() / 2)
    if half <= wanted:
        return 0
    gone = (wanted / half) ** 2 * (1 / read - 1 / sample.all_of)
    return int(np.ceil(1 / (1 / sample.all_of + gone) - read))


def _rivals(sample: _Sample, table: pd.DataFrame, moved, confidence: float) -> tuple[str, ...]:
    """Categories whose share may be as large as that of the commonest."""
    both = table[table["method"] == COMBINED]
    spread, shares = _covariance(sample, moved), both["estimate"].to_numpy()
    variance = np.diag(spread)[1:] + spread[0, 0] - 2 * spread[0, 1:]
    z = stats.norm.ppf(1 - (1 - confidence) / 2 / max(len(shares) - 1, 1))
    near = shares[0] - shares[1:] <= z * np.sqrt(np.maximum(variance, 0))
    return tuple(both["category"].iloc[1:][near].astype(str))


def _farthest(table: pd.DataFrame) -> str:
    shares = table.pivot_table(index="category", columns="method", values="estimate", sort=False)
    return str((shares[COMBINED] - shares[AUTOMATIC]).abs().idxmax())
