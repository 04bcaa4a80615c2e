"""Where do most complaints come from: by count, by rate, by money?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from scipy import sparse, stats

from sqm import look
from sqm.checks import Problem, Refusal, first_rows, need_columns, need_share
from sqm.finding import Finding, counted, listed
from sqm.interval import logit_limits, spell, wilson

SOURCE = "complaints"
COUNT, RATE, MONEY = "count", "rate", "money"
FIRST = 3  # places at the top that are compared
MOST_LEVELS = 300  # beyond, a Pareto names single cases and not kinds
SHOWN = 10  # levels that a picture names
AMOUNTS = 10  # known amounts above 0, below which there is no ranking by money
UNITS = 20_000  # resampled at most: more units are put together at random before
AT_ONCE = 4_000_000  # numbers held at once while resampling
LARGEST = 0.01  # of the cases, whose weight is told
VITAL = 0.8
FEWEST_RESAMPLES = 100
FARTHEST = 600.0  # on the scale of log odds: from almost 0 to almost 1
COLUMNS = [
    "measure", "level", "complaints", "exposure", "unknown", "value", "unit", "estimate", "low",
    "high", "cumulated_share", "rank", "rank_low", "rank_high", "vital", "note",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class ThreeParetos(Finding):
    """The same complaints ranked by count, by rate and by money.

    Attributes
    ----------
    table : DataFrame, one row per measure and level, each measure in its own order
        ``measure``, ``count``, ``rate`` or ``money``; ``level``; ``complaints``; ``exposure``,
        what the rate is taken of; ``unknown``, complaints without an amount; ``value``, the
        count, the rate or the sum of money, in ``unit``; ``estimate``, ``low``, ``high``, its
        share (0 to 1) by count and by money, the rate itself by rate; ``cumulated_share`` (0 to
        1), of the complaints (count and rate) or the money, down to that row; ``rank``,
        ``rank_low``, ``rank_high``; ``vital``, whether it belongs to the fewest levels that hold
        80 % (never by rate); ``note``.
    by : str
        Column that makes the levels.
    complaints, not_recorded : int
        Complaints with a level, and those without.
    vital : tuple of str
        The fewest levels that hold 80 % of the complaints.
    vital_again : float
        Share of the resamples in which it is the same set.
    vital_money : tuple of str
        The same of the money; empty without a ranking by money.
    vital_money_again : float
    sure, perhaps : tuple of str
        Where two rankings disagree: ``level: measure before measure``, beyond chance and not.
    unknown : int
        Complaints without a known amount.
    money : float
        Sum of the known amounts; NaN without a ranking by money.
    top_share : float
        Share of it that the largest 1 % of the known amounts hold.
    top_cases : int
        How many these are.
    leader_without : str
        The level first by money if they are left out.
    clusters : int
        Clusters that the complaints lie in; 0 if each counts by itself.
    confidence : float
        Level of each share and rate, and of all ranks together.
    resamples : int
    """

    by: str
    complaints: int
    not_recorded: int
    vital: tuple[str, ...]
    vital_again: float
    vital_money: tuple[str, ...]
    vital_money_again: float
    sure: tuple[str, ...]
    perhaps: tuple[str, ...]
    unknown: int
    money: float
    top_share: float
    top_cases: int
    leader_without: str
    clusters: int
    confidence: float
    resamples: int

    def sentence(self) -> str:
        named = [self._leader(measure) for measure in self._measures()]
        rest = [
            self._surely(),
            self._agree(),
            self._vital(),
            self._money(),
            self._places(),
            self._left_out(),
        ]
        return f"First {'; '.join(named)}.\n{' '.join(filter(None, rest))}"

    def _measures(self) -> list[str]:
        known = self.table.dropna(subset="estimate")
        return [each for each in (COUNT, RATE, MONEY) if (known["measure"] == each).any()]

    def _of(self, measure: str) -> pd.DataFrame:
        rows = self.table[self.table["measure"] == measure]
        return rows.dropna(subset="estimate")

    def _leader(self, measure: str) -> str:
        row, measures = self._of(measure).iloc[0], self._measures()
        name = look.shorten(row["level"], width={1: 60, 2: 40, 3: 26}[len(measures)])
        may = int((self._of(measure)["rank_low"] == 1).sum())
        others = f", one of {may} that may be" if may > 1 else ""
        return f"by {measure}: {name}, {self._spelt(row, whole=measure == measures[0])}{others}"

    def _spelt(self, row: pd.Series, *, whole: bool) -> str:
        """Estimate and interval; its level is named once in a line."""
        limits, unit, digits = (row["estimate"], row["low"], row["high"]), " %", 1
        if row["measure"] == RATE:
            unit, digits = f" {row['unit'].removeprefix('complaints ')}", _digits(limits)
        else:
            limits = tuple(100 * each for each in limits)
        if whole:
            return spell(*limits, confidence=self.confidence, digits=digits, unit=unit.strip())
        estimate, low, high = (f"{each:,.{digits}f}" for each in limits)
        return f"{estimate}{unit} ({low} to {high})"

    def _surely(self) -> str:
        """Whether the first places are certain."""
        words = []
        for measure in self._measures():
            rows = self._of(measure)
            may = int((rows["rank_low"] == 1).sum())
            words.append(f"by {measure} {'it is certain' if may == 1 else f'{may} levels may be'}")
        return f"Who is first: {', '.join(words)}." if len(self._of(COUNT)) > 1 else ""

    def _agree(self) -> str:
        compared = list(_comparable(self.table))
        if len(compared) < 2:
            return ""
        most = min(FIRST, len(self._of(COUNT)))
        if not self.sure and not self.perhaps:
            return f"The rankings by {' and '.join(compared)} name the same first {most}."
        words = []
        if self.sure:
            words.append(
                f"The rankings disagree beyond chance on {listed(self.sure, most=4, apart='; ')}."
            )
        if self.perhaps:
            words.append(
                f"They may disagree on {listed(self.perhaps, most=4, apart='; ')}: among the "
                f"first {most} by the one and not by the other, but their ranks overlap."
            )
        return " ".join(words)

    def _vital(self) -> str:
        words = (
            f"80 % of the complaints lie in {counted(len(self.vital), 'level')} of "
            f"{len(self._of(COUNT))} ({_named(self.vital)}); the same in "
            f"{100 * self.vital_again:.0f} % of {self.resamples:,} resamples."
        )
        if self.vital_money:
            words += (
                f" 80 % of the money lies in {counted(len(self.vital_money), 'level')}"
                f" ({_named(self.vital_money)}); the same in "
                f"{100 * self.vital_money_again:.0f} %."
            )
        return words

    def _money(self) -> str:
        rows = self._of(MONEY)
        if rows.empty:
            return ""
        leader = rows["level"].iloc[0]
        stays = "stays first" if self.leader_without == leader else "is no longer first"
        without = f"without them {look.shorten(leader, width=30)} {stays}"
        if stays != "stays first":
            without += f" but {look.shorten(self.leader_without, width=30)}"
        words = (
            f"The largest 1 % of the known amounts ({counted(self.top_cases, 'case')}) hold "
            f"{100 * self.top_share:.0f} % of the {self.money:,.0f} {rows['unit'].iloc[0]}; "
            f"{without}. Shares of money have approximate intervals: they are too narrow where "
            "rare large cases have not happened yet."
        )
        if self.unknown:
            words += (
                f" {self.unknown:,} complaints have no known amount and count for nothing there: "
                "if they are the open or the hard ones, their levels stand too low."
            )
        return words

    def _places(self) -> str:
        unit = "complaint" if not self.clusters else "cluster of complaints"
        return (
            f"All rank intervals of the table hold together at {100 * self.confidence:.4g} %; each "
            f"{unit} is taken as independent, and filed as it was."
        )

    def _left_out(self) -> str:
        words = []
        if self.not_recorded:
            words.append(f"{self.not_recorded:,} complaints without {self.by} are left out.")
        notes = self.table[(self.table["note"] != "") & self.table["estimate"].isna()]
        for (measure, note), rows in notes.groupby(["measure", "note"], sort=False):
            words.append(f"Not ranked by {measure}: {_named(tuple(rows['level']))} ({note}).")
        return " ".join(words)

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        measures = self._measures()
        names = self._shown()
        marks = {COUNT: "usual", RATE: "better", MONEY: "other"}
        for shift, measure in zip(np.linspace(-0.25, 0.25, len(measures)), measures, strict=True):
            rows = self._of(measure).set_index("level").reindex(names).dropna(subset="rank")
            at = np.array([names.index(name) for name in rows.index]) + shift
            colour, what = look.MEANING[marks[measure]], look.MARKER[marks[measure]]
            ax.hlines(at, rows["rank_low"], rows["rank_high"], color=colour, lw=1.6)
            ax.plot(rows["rank"], at, ls="", marker=what, ms=6, color=colour, label=f"by {measure}")
        ax.set_yticks(range(len(names)), [look.shorten(name) for name in names])
        ax.set(ylim=(len(names) - 0.5, -0.5))
        ax.set_xlim(0.5, max(self.table["rank_high"].max(), 2) + 0.5)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(axis="x", color="#e3e6e8", lw=0.8)
        ax.legend(frameon=False, fontsize="small")
        rest = len(self._of(COUNT)) - len(names)
        tail = f"; {counted(rest, 'other level')} not drawn" if rest else ""
        return look.label(
            ax,
            title=f"Where do most complaints come from by {' and '.join(measures)}?",
            x=f"rank (1: most), {100 * self.confidence:.4g}% intervals, all together{tail}",
        )

    def _shown(self) -> list[str]:
        """The first few of each ranking, in the order of the count."""
        order = list(self._of(COUNT)["level"])
        each = {measure: list(self._of(measure)["level"]) for measure in self._measures()}
        chosen: set[str] = set()
        for place in range(len(order)):
            new = {names[place] for names in each.values() if place < len(names)}
            if len(chosen | new) > max(SHOWN, len(each)):
                break
            chosen |= new
        return [name for name in order if name in chosen]


def pareto(
    complaints: pd.DataFrame,
    *,
    by: str = "category",
    money: str = "cost",
    exposure: pd.Series | None = None,
    per: float = 100,
    per_what: str = "contacts",
    currency: str = "EUR",
    clusters: str = "",
    rng: np.random.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> ThreeParetos:
    """Rank the same complaints by count, by rate and by money, and say where the three disagree.

    Parameters
    ----------
    complaints : DataFrame, one row per complaint
    by : str
        Column that makes the levels (category, site, product).
    money : str
        Column of amounts in ``currency``; blank for no ranking by money.
    exposure : Series, optional
        Contacts, customers or transactions of each level, which is its index; without it there
        is no rate.
    per : float, default 100
        The rate is of so many ``per_what``.
    per_what, currency : str
        Names for the sentence.
    clusters : str
        Column of what several complaints may share (customer, contact); a blank one stands
        alone.  Without it each complaint is independent.
    rng : Generator
    resamples : int, default 1000
    confidence : float, default 0.95
        Level of each share and rate on its own, and of all ranks together.

    Returns
    -------
    ThreeParetos
        A level without exposure, or without any known amount, has a note in place of a rank.

    Raises
    ------
    Problem
        If an amount is negative or no number, an exposure is not above 0 or stands twice, or a
        setting is out of range.
    Refusal
        If a column is missing, no complaint has a level, or there are more than 300.

    Notes
    -----
    Everything rests on the sums over clusters g of x_gl, what level l has of count, rate or
    money, and on S_lm = sum_g x_gl x_gm.

    Shares of the count have Wilson's interval at the effective number, rates the score interval
    of a Poisson count at the effective count; both allow for clusters, and the rate's is
    conservative where counts are small.  The log odds of a share of
    money, log(y / (t - y)), have a standard error by the delta method from S, and Student's
    quantile with y^2 / S_yy - 1 degrees of freedom, at least 1: the number of cases of equal
    size that would spread as much [1]_.  With log-normal amounts of sigma 1.5 and 20 cases of a
    level that covers 93 % where 95 is meant, with sigma 1 or below 95 to 99 %.

    Ranks: two levels differ if |X_l - X_m| exceeds c times the root of S_ll + S_mm - 2 S_lm.
    The rank is then at best 1 + the levels surely above, at worst the number of levels less those
    surely below: a confidence set from simultaneous comparisons of pairs [2]_.  c is the quantile
    of the largest of all studentised differences, of the three rankings at once, among normal
    draws with covariance S.  All sets of the table hold together at the level or above,
    near-ties included, where bootstrap rank intervals fail; they are wider.

    The set that holds 80 % is found anew in bootstrap samples of the clusters; more than 20,000
    are put together at random to so many before.

    References
    ----------
    .. [1] Kish, L. (1965). Survey Sampling. Wiley.
    .. [2] Mogstad, M., Romano, J. P., Shaikh, A. M., Wilhelm, D. (2024). Inference for ranks with
       applications to mobility across neighbourhoods and academic achievement across countries.
       Review of Economic Studies 91, 476-518. doi:10.1093/restud/rdad006

    Examples
    --------
    Six of eight complaints are of calls, but calls are ten times as many; letters cost more.

    >>> cases = pd.DataFrame({"channel": ["call"] * 6 + ["letter"] * 2,
    ...                       "cost": [10.0] * 6 + [90.0] * 2})
    >>> found = pareto(cases, by="channel", exposure=pd.Series({"call": 1000, "letter": 100}),
    ...                money="", rng=np.random.default_rng(1))
    >>> found.table[["measure", "level", "value"]].values.tolist()
    ... # doctest: +NORMALIZE_WHITESPACE
    [['count', 'call', 6.0], ['count', 'letter', 2.0],
     ['rate', 'letter', 2.0], ['rate', 'call', 0.6]]
    """
    _need_settings(complaints, by, money, clusters, per, resamples, confidence)
    levels = _text(complaints[by])
    held = levels.notna().to_numpy()
    names, level = _levels(levels[held], by, len(complaints))
    group, n_clusters = _clusters(complaints[clusters][held] if clusters else None, len(level))
    amounts = _amounts(complaints[money][held], money) if money else np.full(len(level), np.nan)
    cases = _Cases(names, level, group, amounts, _exposures(exposure, names))
    sums = _sums(cases, per)
    table = _ranked_table(cases, sums, per, per_what, currency, confidence, resamples, rng)
    table, again = _with_vital(table, cases, resamples, rng)
    sure, perhaps = _disagreements(table)
    return ThreeParetos(
        table=table,
        by=by,
        complaints=len(level),
        not_recorded=int((~held).sum()),
        vital=_vital_of(table, COUNT),
        vital_again=again[COUNT],
        vital_money=_vital_of(table, MONEY),
        vital_money_again=again[MONEY],
        sure=sure,
        perhaps=perhaps,
        unknown=int(np.isnan(amounts).sum()) if money else 0,
        **_weight_of_the_largest(cases, table),
        clusters=n_clusters,
        confidence=confidence,
        resamples=resamples,
    )


# --- At the door ----------------------------------------------------------------------------------


def _need_settings(complaints, by, money, clusters, per, resamples, confidence) -> None:
    need_columns(complaints, [by, *filter(None, [money, clusters])], source=SOURCE)
    need_share(confidence, name="confidence")
    if not per > 0:
        raise Problem(f"per is {per}.", "give so many as the rate is of, such as 100.")
    if resamples < FEWEST_RESAMPLES:
        raise Problem(
            f"{resamples} resamples are too few for ranks.", f"give {FEWEST_RESAMPLES} or more."
        )


def _text(column: pd.Series) -> pd.Series:
    text = column.astype("str").str.strip()
    return text.where(column.notna() & text.ne(""))


def _levels(text: pd.Series, by: str, rows: int) -> tuple[list[str], np.ndarray]:
    """The levels by name, and the place of each complaint's."""
    if text.empty:
        raise Refusal(f"None of {rows:,} complaints has a {by!r}.", "record it, or code a sample.")
    codes, names = pd.factorize(text, sort=True)
    if len(names) > MOST_LEVELS:
        raise Refusal(
            f"{by!r} has {len(names):,} levels, of {counted(len(text), 'complaint')}.",
            f"name a coarser column, of at most {MOST_LEVELS} levels.",
        )
    return list(names), codes


def _clusters(column: pd.Series | None, rows: int) -> tuple[np.ndarray, int]:
    """Codes from 0 of what rows share, and how many; 0 if each row stands alone."""
    if column is None:
        return np.arange(rows), 0
    codes, names = pd.factorize(_text(column))
    blank = codes < 0
    codes[blank] = len(names) + np.arange(blank.sum())
    found = len(names) + int(blank.sum())
    return (codes, found) if found > 1 else (np.arange(rows), 0)


def _amounts(column: pd.Series, name: str) -> np.ndarray:
    try:
        amounts = column.astype("Float64").astype(float)
    except (TypeError, ValueError):
        raise Problem(
            f"{name!r} holds {column.dropna().iloc[0]!r}, no amount.",
            "give the column the type number, and its currency apart.",
        ) from None
    off = amounts[(amounts < 0) | np.isinf(amounts)]
    if len(off):
        raise Problem(
            f"{name!r} has {counted(len(off), 'negative or infinite amount')} (first rows: "
            f"{first_rows(off)}).",
            "correct the source, or keep refunds in a column of their own.",
        )
    return amounts.to_numpy()


def _exposures(exposure: pd.Series | None, names: list[str]) -> np.ndarray:
    """The exposure of each level; missing where there is none."""
    if exposure is None:
        return np.full(len(names), np.nan)
    known = exposure.dropna().astype(float)
    known.index = known.index.astype("str").str.strip()
    if known.index.has_duplicates:
        twice = sorted(set(known.index[known.index.duplicated()]))
        raise Problem(f"The exposure has {listed(twice, most=3)} twice.", "add its rows up.")
    wrong = known[~(known > 0) | np.isinf(known)]
    if len(wrong):
        raise Problem(
            f"The exposure of {listed(list(wrong.index), most=3)} is not above 0.",
            "give so many contacts, customers or transactions as it had, or leave it out.",
        )
    return known.reindex(names).to_numpy()


# --- Sums and how they vary -----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Cases:
    """Complaints: their level, cluster and amount; of each level the exposure."""

    names: list[str]
    level: np.ndarray
    group: np.ndarray
    amounts: np.ndarray
    exposure: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Amounts, an unknown one as 0."""
        return np.nan_to_num(self.amounts)

    def by_cluster(self, values: np.ndarray) -> sparse.csr_array:
        """Sums of these values, one row per cluster and one column per level."""
        shape = (int(self.group.max()) + 1, len(self.names))
        return sparse.csr_array((values, (self.group, self.level)), shape)


@dataclass(frozen=True, eq=False)
class _Sums:
    """Of the levels' counts, rates and money (stacked): totals, and the sums of products."""

    totals: np.ndarray
    products: np.ndarray
    units: int  # clusters
    clustered: bool

    @property
    def few(self) -> float:
        """What makes a variance of few clusters unbiased."""
        return self.units / (self.units - 1) if self.clustered else 1.0

    def quantile(self, confidence: float, *, student: bool) -> float:
        """How many standard errors half an interval is; Student's where the error is estimated."""
        tail = (1 + confidence) / 2
        return float(stats.t.ppf(tail, self.units - 1) if student else stats.norm.ppf(tail))


def _sums(cases: _Cases, per: float) -> _Sums:
    ones = cases.by_cluster(np.ones(len(cases.level)))
    rate = per / np.where(np.isnan(cases.exposure), 1.0, cases.exposure)
    parts = sparse.hstack([ones, ones * rate[None, :], cases.by_cluster(cases.known)]).tocsr()
    return _Sums(
        totals=np.asarray(parts.sum(axis=0)).ravel(),
        products=np.asarray((parts.T @ parts).todense()),
        units=parts.shape[0],
        clustered=parts.shape[0] < len(cases.level),
    )


def _intervals(measure: str, sums: _Sums, k: int, confidence: float) -> tuple:
    """Estimate and limits of each level."""
    at = {COUNT: slice(0, k), RATE: slice(k, 2 * k), MONEY: slice(2 * k, 3 * k)}[measure]
    x, products = sums.totals[at], sums.products[at, at] * sums.few
    z = sums.quantile(confidence, student=sums.clustered)
    if measure == RATE:
        return (x, *_rate_limits(x, np.diag(products), z))
    share = x / x.sum()
    with_all, all_of = products.sum(axis=1), products.sum()
    if measure == MONEY:
        return (share, *_log_odds(x, x.sum(), np.diag(products), with_all, all_of, confidence))
    variance = (np.diag(products) - 2 * share * with_all + share**2 * all_of) / x.sum() ** 2
    fewer = (sums.quantile(confidence, student=False) / z) ** 2
    limits = [
        _wilson(p, v, x.sum(), fewer, confidence) for p, v in zip(share, variance, strict=True)
    ]
    return share, np.array([low for low, _ in limits]), np.array([high for _, high in limits])


def _wilson(p, variance, n: float, fewer: float, confidence: float) -> tuple[float, float]:
    """Wilson's limits of a share at the effective number, less for few clusters."""
    if 0 < p < 1 and variance > 0:
        n = min(n, p * (1 - p) / variance)
    return wilson(p, n * fewer, confidence=confidence)


def _rate_limits(x: np.ndarray, variance: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
    """Score interval of a Poisson count, at the count that would spread as much as this one."""
    times = variance / x  # what one event of the effective count stands for
    count = x / times
    half = z * np.sqrt(count + z**2 / 4)
    return times * (count + z**2 / 2 - half), times * (count + z**2 / 2 + half)


def _log_odds(y, total, yy, yt, tt, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Limits of shares of a sum, on the scale of the log odds of a level against all others."""
    rest = total - y
    inside = (y > 0) & (rest > 0)
    own, others = np.where(inside, y, 1.0), np.where(inside, rest, 1.0)
    variance = yy / own**2 + (tt - 2 * yt + yy) / others**2 - 2 * (yt - yy) / (own * others)
    alike = np.minimum(own**2 / np.where(yy > 0, yy, 1.0), 1e9)  # cases of equal size
    quantile = stats.t.ppf((1 + confidence) / 2, np.maximum(alike - 1, 1))
    share = np.where(inside, y / total, 0.5)
    low, high = logit_limits(
        share, np.minimum(quantile * np.sqrt(np.maximum(variance, 0)), FARTHEST)
    )
    ends = [wilson(p, total**2 / tt, confidence=confidence) for p in (0.0, 1.0)]
    low = np.where(inside, low, np.where(y > 0, ends[1][0], ends[0][0]))
    return low, np.where(inside, high, np.where(y > 0, ends[1][1], ends[0][1]))


# --- Ranks ----------------------------------------------------------------------------------------


def _ranks(
    sums: _Sums, ranked: dict[str, np.ndarray], confidence: float, resamples: int, rng
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Best and worst rank of the levels (places in the stacked sums) of each measure, together."""
    largest = np.zeros(resamples)
    errors, apart = {}, {}
    draws = _draws(sums.products, resamples, rng)
    for measure, at in ranked.items():
        products = sums.products[np.ix_(at, at)]
        own = np.diag(products)
        errors[measure] = np.sqrt(np.maximum(own[:, None] + own - 2 * products, 0))
        apart[measure] = sums.totals[at][:, None] - sums.totals[at]
        largest = np.maximum(largest, _largest(draws[:, at], errors[measure]))
    bar = _bar(largest, sums, confidence)
    found = {}
    for measure, difference in apart.items():
        surely = (difference > bar * errors[measure]) & (errors[measure] > 0)
        found[measure] = (1 + surely.sum(axis=0), len(difference) - surely.sum(axis=1))
    return found


def _bar(largest: np.ndarray, sums: _Sums, confidence: float) -> float:
    """The bar that a studentised difference has to exceed; higher where clusters are few."""
    student = sums.quantile(confidence, student=True) if sums.clustered else 1.0
    fewer = student / sums.quantile(confidence, student=False) if sums.clustered else 1.0
    return float(np.quantile(largest, confidence) * fewer * np.sqrt(sums.few))


def _draws(products: np.ndarray, resamples: int, rng) -> np.ndarray:
    """Normal draws with these sums of products as their covariance."""
    scale = np.sqrt(np.where(np.diag(products) > 0, np.diag(products), 1))
    values, vectors = np.linalg.eigh(products / scale / scale[:, None])
    noise = rng.normal(size=(resamples, len(values)))
    return noise * np.sqrt(np.maximum(values, 0)) @ vectors.T * scale


def _largest(draws: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """In each draw the largest studentised difference of two levels."""
    largest = np.zeros(len(draws))
    for i in range(draws.shape[1] - 1):
        error = errors[i, i + 1 :]
        told = error > 0
        apart = np.abs(draws[:, i : i + 1] - draws[:, i + 1 :])[:, told] / error[told]
        largest = np.maximum(largest, apart.max(axis=1, initial=0))
    return largest


def _ranked_table(
    cases: _Cases, sums: _Sums, per, per_what, currency, confidence, resamples, rng
) -> pd.DataFrame:
    k = len(cases.names)
    known = np.bincount(cases.level, ~np.isnan(cases.amounts), k)
    enough = (cases.known > 0).sum() >= AMOUNTS
    usable = {
        COUNT: np.ones(k, bool),
        RATE: ~np.isnan(cases.exposure),
        MONEY: (known > 0) & enough,
    }
    at = {
        measure: np.flatnonzero(which) + k * place
        for place, (measure, which) in enumerate(usable.items())
        if which.any()
    }
    ranks = _ranks(sums, at, confidence, resamples, rng)
    per_words = f"complaints per {per:,.10g} {per_what}"
    units = {COUNT: "complaints", RATE: per_words, MONEY: currency}
    asked = [COUNT, *([RATE] if RATE in at else []), *([MONEY] if known.any() else [])]
    parts = []
    for measure in asked:
        limits = _intervals(measure, sums, k, confidence) if measure in at else (np.nan,) * 3
        rows = _rows(measure, cases, usable[measure], limits, ranks.get(measure), units[measure])
        parts.append(rows)
    return pd.concat(parts, ignore_index=True)[[each for each in COLUMNS if each != "vital"]]


def _rows(measure, cases: _Cases, usable, limits, ranks, unit: str) -> pd.DataFrame:
    """One measure's rows in its order, ties by name, what has no rank last."""
    k = len(cases.names)
    counts = np.bincount(cases.level, minlength=k)
    sums = {COUNT: counts.astype(float), RATE: limits[0]}
    value = sums.get(measure, np.bincount(cases.level, cases.known, k))
    table = pd.DataFrame(
        {
            "measure": measure,
            "level": pd.Series(cases.names, dtype="str"),
            "complaints": counts,
            "exposure": cases.exposure,
            "unknown": np.bincount(cases.level, np.isnan(cases.amounts), k).astype(int),
            "value": np.where(usable, value, np.nan),
            "unit": unit,
            **dict(zip(("estimate", "low", "high"), limits, strict=True)),
            "note": np.where(usable, "", _why(measure, cases)),
        }
    )
    table.loc[~usable, ["estimate", "low", "high"]] = np.nan
    for place, name in enumerate(("rank_low", "rank_high")):
        table[name] = np.nan
        if ranks is not None:
            table.loc[usable, name] = ranks[place].astype(float)
    table["rank"] = table["value"].round(9).rank(method="min", ascending=False)
    table = table.assign(place=-table["value"].round(9))
    table = table.sort_values(["place", "level"], ignore_index=True, na_position="last")
    weight = table["value"] if measure == MONEY else table["complaints"].where(table["rank"] > 0)
    return table.assign(cumulated_share=weight.cumsum() / weight.sum()).drop(columns="place")


def _why(measure: str, cases: _Cases) -> str:
    if measure == RATE:
        return "no exposure is given"
    few = (cases.known > 0).sum() < AMOUNTS
    return f"fewer than {AMOUNTS} amounts above 0" if few else "no amount is known"


# --- The vital few, and where rankings disagree ---------------------------------------------------


def _with_vital(table, cases: _Cases, resamples, rng) -> tuple[pd.DataFrame, dict[str, float]]:
    """Mark the fewest levels that hold 80 %, and tell how often resamples find the same."""
    vital, again = np.zeros(len(table), bool), {COUNT: np.nan, MONEY: np.nan}
    both = [cases.by_cluster(each) for each in (np.ones(len(cases.level)), cases.known)]
    draws = _resampled(sparse.hstack(both).tocsr(), resamples, rng)
    drawn = dict(zip(again, np.split(draws, 2, axis=1), strict=True))
    for measure, by_cluster in zip(again, both, strict=True):
        if not (table["measure"].eq(measure) & table["estimate"].notna()).any():
            continue
        few = _fewest(np.asarray(by_cluster.sum(axis=0)).ravel()[None])[0]
        members = {name for name, inside in zip(cases.names, few, strict=True) if inside}
        vital |= (table["measure"].eq(measure) & table["level"].isin(members)).to_numpy()
        again[measure] = float((_fewest(drawn[measure]) == few).all(axis=1).mean())
    return table.assign(vital=vital)[COLUMNS], again


def _fewest(sums: np.ndarray) -> np.ndarray:
    """Of each row the largest that together first hold 80 %; equals in their order.

    Examples
    --------
    >>> _fewest(np.array([[5.0, 1.0, 4.0]])).tolist()
    [[True, False, True]]
    """
    order = np.argsort(-sums, axis=1, kind="stable")
    sorted_sums = np.take_along_axis(sums, order, axis=1)
    before = sorted_sums.cumsum(axis=1) - sorted_sums
    inside = before < VITAL * sums.sum(axis=1, keepdims=True) * (1 - 1e-12)
    found = np.zeros_like(inside)
    np.put_along_axis(found, order, inside, axis=1)
    return found


def _resampled(by_cluster: sparse.csr_array, resamples: int, rng) -> np.ndarray:
    """Sums of the columns in bootstrap samples of the clusters, shape (resamples, columns)."""
    n = by_cluster.shape[0]
    if n > UNITS:
        bunch = rng.permutation(np.arange(n) % UNITS)
        join = sparse.csr_array((np.ones(n), (bunch, np.arange(n))), (UNITS, n))
        by_cluster, n = join @ by_cluster, UNITS
    values = by_cluster.toarray()
    sums = np.empty((resamples, values.shape[1]))
    step = max(AT_ONCE // n, 1)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(n, size=(size, n)) + np.arange(size)[:, None] * n
        times = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        sums[start : start + size] = times.astype(float) @ values
    return sums


def _vital_of(table: pd.DataFrame, measure: str) -> tuple[str, ...]:
    return tuple(table.loc[table["vital"] & (table["measure"] == measure), "level"])


def _disagreements(table: pd.DataFrame) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Levels among the first of one ranking and not of another: beyond chance, and perhaps."""
    ranks = _comparable(table)
    sure, perhaps = [], []
    for one, other in permutations(ranks, 2):
        both = ranks[one].join(ranks[other].add_suffix("_there"), how="inner")
        for level, row in both.dropna(subset=["rank", "rank_there"]).iterrows():
            if row["rank"] <= FIRST < row["rank_there"]:
                words = f"{look.shorten(level, width=30)} (rank {row['rank']:.0f} by {one}, "
                words += f"rank {row['rank_there']:.0f} by {other})"
                beyond = row["rank_high"] < row["rank_low_there"]
                (sure if beyond else perhaps).append(words)
    return tuple(sure), tuple(perhaps)


def _comparable(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Ranks by measure; a rate that not every level has ranks some of them: another scale."""
    columns = ["rank", "rank_low", "rank_high"]
    ranks = {
        m: rows.set_index("level")[columns] for m, rows in table.groupby("measure", sort=False)
    }
    if RATE in ranks and ranks[RATE]["rank"].isna().any():
        del ranks[RATE]
    return {m: rows for m, rows in ranks.items() if rows["rank"].notna().any()}


def _weight_of_the_largest(cases: _Cases, table: pd.DataFrame) -> dict:
    """What the largest 1 % of the known amounts hold, and who leads without them."""
    ranked = table[(table["measure"] == MONEY) & table["estimate"].notna()]
    if ranked.empty:
        none = {"money": np.nan, "top_share": np.nan, "top_cases": 0, "leader_without": ""}
        return none
    known = np.flatnonzero(~np.isnan(cases.amounts))
    order = known[np.argsort(-cases.amounts[known], kind="stable")]
    most = int(np.ceil(LARGEST * len(order)))
    left = np.bincount(cases.level[order[most:]], cases.amounts[order[most:]], len(cases.names))
    total = float(cases.known.sum())
    return {
        "money": total,
        "top_share": float(cases.amounts[order[:most]].sum() / total),
        "top_cases": most,
        "leader_without": cases.names[int(left.argmax())],
    }


def _named(names: tuple[str, ...]) -> str:
    return listed([look.shorten(name, width=30) for name in names], most=4)


def _digits(limits: tuple[float, ...]) -> int:
    return int(np.clip(np.ceil(1 - np.log10(max(limits[2] - limits[1], 1e-9))), 0, 6))
