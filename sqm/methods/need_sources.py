"""Do the sources agree on what weighs most?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import Problem, Refusal, first_rows, need_columns, need_share
from sqm.finding import Finding, counted
from sqm.interval import logit_limits
from sqm.ranking import dots, heaviest, ranked

FEWEST_ROWS = 10  # alternatives below which entropy weights get no interval


@dataclass(frozen=True, eq=False)
class EntropyWeights(Finding):
    """How much each need tells the alternatives apart in the data.

    Attributes
    ----------
    table : DataFrame, one row per need, the weightiest first
        ``need``; ``estimate``, ``low``, ``high``, its weight (0 to 1, the
        estimates sum to 1); ``rank``; ``entropy`` (1: all alternatives alike);
        ``note``.
    alternatives, left_out : int
        Rows used, and rows with a blank.
    confidence : float
    """

    alternatives: int
    left_out: int
    confidence: float

    def sentence(self) -> str:
        left = f", {counted(self.left_out, 'row')} with a blank left out" if self.left_out else ""
        words = [
            f"Shannon's entropy weights on {counted(self.alternatives, 'alternative')}{left}.",
            "They say in which need the alternatives differ most, not what customers care for; "
            "they do not ask whether more is better, and they change if the scale's zero moves.",
        ]
        flat = self.table.loc[self.table["estimate"] == 0, "need"]
        if len(flat):
            words.append(f"Never varies, so weighs nothing: {', '.join(flat)}.")
        if self.alternatives < FEWEST_ROWS:
            words.append(f"No interval below {FEWEST_ROWS} alternatives.")
        else:
            words.append("The intervals take the alternatives as a random sample; approximate.")
        return "\n".join([heaviest(self.table, self.confidence), " ".join(words)])

    def plot(self, ax: Axes | None = None) -> Axes:
        return dots(ax, self.table, title="In which needs do the alternatives differ most?")


@dataclass(frozen=True, eq=False)
class WeightSources(Finding):
    """The weights of needs from several sources, side by side.

    Attributes
    ----------
    table : DataFrame, one row per need and source
        ``need``, ``source``, ``estimate``, ``low``, ``high`` as the source gives
        them, ``rank`` within the source (1 is the heaviest), ``note``.
    needs, sources : int
    first : tuple of str
        What each source puts first, in the order of the sources.
    widest : str
        The need on whose rank the sources differ most; empty if on none.
    """

    needs: int
    sources: int
    first: tuple[str, ...]
    widest: str

    def sentence(self) -> str:
        heaviest = self.table[self.table["rank"] == 1].drop_duplicates("source")
        if len(set(self.first)) == 1:
            told = [f"{row.source} {self._value(row)}" for row in heaviest.itertuples()]
            answer = f"All {self.sources} sources put {look.shorten(self.first[0])} first"
        else:
            told = [
                f"{look.shorten(row.need, width=30)} by {row.source} {self._value(row)}"
                for row in heaviest.itertuples()
            ]
            answer = "The sources differ on what weighs most"
        rest = [self._widest(), self._unsaid()]
        return f"{answer}: {', '.join(told)}.\n{' '.join(filter(None, rest))}"

    @staticmethod
    def _value(row: tuple) -> str:
        limits = f"{row.low:.2f} to {row.high:.2f}" if np.isfinite(row.low) else "no interval"
        return f"{row.estimate:.2f} ({limits})"

    def _unsaid(self) -> str:
        lost = self.table[self.table["estimate"].isna()]
        gone = [f"{row.need} by {row.source}" for row in lost.itertuples()]
        text = "In brackets each source's own interval."
        return f"{text} Not weighed: {', '.join(gone)}." if gone else text

    def _widest(self) -> str:
        words = (
            "Each source answers its own question (what judges say, where data differ, what is "
            "complained of): compare the order, not the size."
        )
        if not self.widest:
            return f"No need's rank differs. {words}"
        rows = self.table[(self.table["need"] == self.widest) & self.table["rank"].notna()]
        ranks = ", ".join(f"{row.rank:.0f} by {row.source}" for row in rows.itertuples())
        return f"They differ most on {look.shorten(self.widest)} (rank {ranks}). {words}"

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        needs, sources = (list(dict.fromkeys(self.table[c])) for c in ("need", "source"))
        looks = ("usual", "other", "better", "worse", "limit")
        for at, source in enumerate(sources):
            what = looks[at % len(looks)]
            colour, label = look.MEANING[what], source
            for row in self.table[self.table["source"] == source].itertuples():
                y = needs.index(row.need) + 0.5 * ((at + 0.5) / len(sources) - 0.5)
                ax.plot([row.low, row.high], [y, y], color=colour, lw=1.4)
                ax.plot(row.estimate, y, marker=look.MARKER[what], color=colour, ls="", label=label)
                label = None
        ax.set_yticks(range(len(needs)), [look.shorten(str(need)) for need in needs])
        ax.set_ylim(len(needs) - 0.5, -0.5)
        ax.set_xlim(left=0)
        ax.legend(fontsize="small", frameon=False)
        return look.label(
            ax, title="Do the sources agree on what weighs most?", x="weight (0 to 1)"
        )


def entropy_weights(scores: pd.DataFrame, *, confidence: float = 0.95) -> EntropyWeights:
    """Weigh needs by how far the alternatives differ in them.

    Parameters
    ----------
    scores : DataFrame, one row per alternative, one column per need
        Scores of sites, periods or respondents, none negative, on scales whose zero
        means nothing of it.
    confidence : float, default 0.95

    Returns
    -------
    EntropyWeights
        Below ten alternatives without intervals.

    Raises
    ------
    Problem
        If a column is no number or holds a negative or infinite one.
    Refusal
        If there are fewer than two needs or complete rows, or nothing varies.

    Notes
    -----
    With p_ij = x_ij / sum_i x_ij over m alternatives, entropy e_j = -sum_i p_ij
    log p_ij / log m; weight (1 - e_j) / sum_j (1 - e_j) [1]_ [2]_.  The direction of
    a need does not enter.  The interval is normal on the logit of the weight, by
    the delta method over alternatives taken as a random sample; it is approximate.

    References
    ----------
    .. [1] Shannon, C. E. (1948). A mathematical theory of communication. Bell System
       Technical Journal 27, 379-423.
    .. [2] Hwang, C.-L., Yoon, K. (1981). Multiple Attribute Decision Making. Springer,
       section 3.1.

    Examples
    --------
    Two alternatives alike in ``a``, as different as can be in ``b``.

    >>> entropy_weights(pd.DataFrame({"a": [1, 1], "b": [0, 1]})).table["need"].tolist()
    ['b', 'a']
    >>> entropy_weights(pd.DataFrame({"a": [1, 1], "b": [0, 1]})).table["estimate"].tolist()
    [1.0, 0.0]
    """
    need_share(confidence, name="confidence")
    values, needs, left_out = _scores(scores)
    m = len(values)
    spread, influence = _divergence(values)
    if not spread.sum() > 0:
        raise Refusal("No score differs between the alternatives.", "compare others.")
    weights = spread / spread.sum()
    low, high = _entropy_limits(spread, influence, confidence)
    table = pd.DataFrame(
        {
            "need": needs,
            "estimate": weights,
            "low": low,
            "high": high,
            "entropy": 1 - spread / np.log(m),
        }
    )
    table["note"] = np.where(spread > 0, "", "never varies")
    if m < FEWEST_ROWS:
        table["note"] = np.where(spread > 0, "too few alternatives for an interval", table["note"])
    table = ranked(table)[["need", "estimate", "low", "high", "rank", "entropy", "note"]]
    return EntropyWeights(table=table, alternatives=m, left_out=left_out, confidence=confidence)


def weight_sources(weights: Mapping[str, pd.DataFrame]) -> WeightSources:
    """Lay the weights of needs from several sources side by side.

    Parameters
    ----------
    weights : mapping of str to DataFrame
        For each source a table with ``need``, ``estimate``, ``low``, ``high``: from
        `pairwise.ahp_weights`, `entropy_weights`, or the shares of complaints.

    Returns
    -------
    WeightSources

    Raises
    ------
    Problem
        If a table names a need twice.
    Refusal
        If there are fewer than two sources, or a column is missing.

    Examples
    --------
    >>> judged = pd.DataFrame({"need": ["speed", "care"], "estimate": [0.7, 0.3],
    ...                        "low": [0.6, 0.2], "high": [0.8, 0.4]})
    >>> complained = judged.assign(estimate=[0.2, 0.4])
    >>> weight_sources({"judges": judged, "complaints": complained}).first
    ('speed', 'care')
    """
    if len(weights) < 2:
        raise Refusal("There is one source of weights or none.", "compare at least two.")
    parts = [_source_rows(name, table) for name, table in weights.items()]
    every = pd.Index(dict.fromkeys(need for part in parts for need in part["need"]))
    table = pd.concat([_filled(part, every) for part in parts], ignore_index=True)
    spread = table.groupby("need", sort=False)["rank"].agg(np.ptp)
    firsts = [part["need"][part["rank"].idxmin()] for part in parts]
    return WeightSources(
        table=table,
        needs=len(every),
        sources=len(parts),
        first=tuple(map(str, firsts)),
        widest=str(spread.idxmax()) if spread.max() > 0 else "",
    )


# --- Entropy --------------------------------------------------------------------------------------


def _scores(scores: pd.DataFrame) -> tuple[np.ndarray, list[str], int]:
    for need, column in scores.items():
        if not pd.api.types.is_numeric_dtype(column):
            raise Problem(f"The scores of {need!r} are no numbers.", "give one number a row.")
        off = column[column.notna() & ~((column >= 0) & (column < np.inf))]
        if len(off):
            raise Problem(
                f"The scores of {need!r} have {len(off)} negative or infinite values (first rows: "
                f"{first_rows(off)}).",
                "entropy needs scores from 0 up: give shares, times or points, not gaps.",
            )
    complete = scores.dropna()
    if scores.shape[1] < 2 or len(complete) < 2:
        raise Refusal(
            f"There are {counted(scores.shape[1], 'need')} and "
            f"{counted(len(complete), 'alternative')} with all scores.",
            "entropy weights need two of each.",
        )
    values = complete.to_numpy(dtype=float)
    empty = [
        str(name) for name, total in zip(scores, values.sum(axis=0), strict=True) if total == 0
    ]
    if empty:
        raise Problem(f"Every score of {empty[0]!r} is 0.", "leave this need out.")
    return values, list(map(str, scores.columns)), len(scores) - len(complete)


def _divergence(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(1 - entropy) log m of each need, and each alternative's influence on it.

    It is mean(x log x) / mean(x) - log mean(x).
    """
    values = values / values.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_log = np.where(values > 0, values * np.log(values), 0.0)
    spread = by_log.mean(axis=0)
    spread = np.where(np.ptp(values, axis=0) > 0, np.maximum(spread, 0), 0.0)
    influence = by_log - by_log.mean(axis=0) - (values - 1) * (spread + 1)
    return spread, np.where(spread > 0, influence, 0.0)


def _entropy_limits(
    spread: np.ndarray, influence: np.ndarray, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    m, weights = len(influence), spread / spread.sum()
    if m < FEWEST_ROWS:
        return np.full(len(spread), np.nan), np.full(len(spread), np.nan)
    rest = spread.sum() - spread
    judged = (spread > 0) & (rest > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        others = influence.sum(axis=1, keepdims=True) - influence
        on_logit = influence / spread - others / rest
        half = stats.t.ppf((1 + confidence) / 2, m - 1) * on_logit.std(axis=0, ddof=1) / np.sqrt(m)
        low, high = logit_limits(weights, half)
    return np.where(judged, low, weights), np.where(judged, high, weights)


# --- Side by side ---------------------------------------------------------------------------------


def _source_rows(name: str, table: pd.DataFrame) -> pd.DataFrame:
    columns = ["need", "estimate", "low", "high"]
    need_columns(table, columns, source=f"the weights by {name}")
    twice = table["need"][table["need"].duplicated()]
    if len(twice):
        raise Problem(f"The weights by {name} name {twice.iloc[0]!r} twice.", "keep one row each.")
    if table["estimate"].isna().all():
        raise Refusal(f"The weights by {name} hold no estimate.", "leave this source out.")
    rows = table[columns].reset_index(drop=True)
    rank = rows["estimate"].rank(method="min", ascending=False)
    return rows.assign(source=str(name), rank=rank)


def _filled(part: pd.DataFrame, needs: pd.Index) -> pd.DataFrame:
    full = part.set_index("need").reindex(needs).rename_axis("need").reset_index()
    source = part["source"].iloc[0]
    note = np.where(full["estimate"].isna(), f"not weighed by {source}", "")
    order = ["need", "source", "estimate", "low", "high", "rank", "note"]
    return full.assign(source=source, note=note)[order]
