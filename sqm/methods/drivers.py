"""What goes with the outcome, and how much of it?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sqm import interval, look
from sqm.finding import Finding, together
from sqm.regression import FEW_GROUPS, Fit, Term, assumption_of, effect

RATIO = {
    "binary": "odds ratio",
    "ordered": "cumulative odds ratio",
    "count": "rate ratio",
    "time": "hazard ratio",
}
SCALE = {
    "binary": "logit",
    "ordered": "logit of lying above a level",
    "count": "log rate",
    "time": "log hazard",
}
ALARM = 0.01  # an assumption is doubted below this, a convention of sqm


@dataclass(frozen=True, eq=False)
class Drivers(Finding):
    """What goes with the outcome, each driver with the others held still.

    Attributes
    ----------
    table : DataFrame, one row per term
        ``term``; ``driver``, its column; ``level`` and ``reference``, for
        categories; ``per``, by how much a number is raised; ``odds_ratio``,
        ``odds_low``, ``odds_high`` (of other kinds the ratio of cumulative
        odds, rates or hazards); ``estimate, low, high``, the average marginal
        effect: a probability (0 to 1), of an ordered outcome its mean value,
        of a count events per unit of exposure.  Of an ordered outcome also
        ``top, top_low, top_high`` and ``bottom, ...``: the same for the share
        in the highest and in the lowest level.
    outcome, kind, fixed, cluster : str
        Columns: what is explained (and of which kind), what is held fixed,
        whose rows may be alike.
    rows, selection : str
        What a row is, in the plural; and who is in the records, in a sentence.
    records, events, left_out, same_group, groups : int
        As in `Fit`.
    horizon : float
        Of durations, the time by which the risk is told.
    exposure : str
    doubted : str
        The driver that speaks most against what the model takes for granted.
    statistic, p : float
        Of that test; of counts, the dispersion (1 if Poisson).
    confidence : float
    """

    outcome: str
    kind: str
    fixed: str
    cluster: str
    rows: str
    selection: str
    records: int
    events: int
    left_out: int
    same_group: int
    groups: int
    horizon: float
    exposure: str
    doubted: str
    statistic: float
    p: float
    confidence: float

    def sentence(self) -> str:
        said = [self._count(), self._basis(), self._chosen(), self._doubt()]
        said += ["These go together; that one causes the other is not shown.", self.selection]
        return f"{self._effects()}\n{' '.join(filter(None, said))}"

    def _scale(self) -> float:
        return 100.0 if self.kind in ("binary", "time") else 1.0

    def _measure(self) -> str:
        """What the effects are counted in."""
        return {
            "binary": f"'{self.outcome}' per 100 {self.rows}",
            "ordered": f"Mean '{self.outcome}', in its points",
            "count": f"'{self.outcome}' per {self.exposure or self.rows}",
            "time": f"Ended by {self.horizon:g} of '{self.outcome}', per 100 {self.rows}",
        }[self.kind]

    def _count(self) -> str:
        return {
            "binary": f"{self.events:,} of {self.records:,} {self.rows} ended in the outcome "
            f"'{self.outcome}'.",
            "ordered": f"{self.records:,} {self.rows} answered, {self.events:,} of them above the "
            "lowest level.",
            "count": f"{self.events:,} events in {self.records:,} {self.rows}.",
            "time": f"{self.events:,} of {self.records:,} {self.rows} had ended; the others count "
            "as long as they were watched.",
        }[self.kind]

    def _effects(self) -> str:
        """The largest effect of each driver, those that may be nil apart."""
        by_size = self.table.assign(size=self.table["estimate"].abs())
        by_size["clear"] = (by_size["low"] > 0) | (by_size["high"] < 0)
        by_size = by_size.sort_values(["clear", "size"], ascending=False, kind="stable")
        largest = by_size.drop_duplicates("driver")
        clear, unclear = largest[largest["clear"]], largest.loc[~largest["clear"], "driver"]
        more = ("higher", "lower") if self.kind == "ordered" else ("more", "fewer")
        said = [
            _effect_words(row, self.confidence if first else 0, self._scale(), more)
            for first, row in zip([True, *[False] * 3], clear[:4].itertuples(), strict=False)
        ]
        words = f"{self._measure()}, the other drivers held still: "
        words += "; ".join(said) if said else "no driver shows an effect"
        if len(clear) > 4:
            words += f"; {len(clear) - 4} more are in the table"
        if len(unclear):
            words += f". Whether {together(unclear)} matters these data do not tell"
        return words + "."

    def _chosen(self) -> str:
        several = self.table.loc[self.table["level"] != "", "driver"].duplicated().any()
        return (
            "Of a driver with several levels the largest effect is told, which flatters it; the"
            " table has all."
            if several
            else f"The table has {RATIO[self.kind]}s too."
        )

    def _doubt(self) -> str:
        """Whether the records speak against what the model takes for granted."""
        if self.kind == "count":
            return (
                f"The counts vary {self.statistic:.1f} times as much as Poisson's would; the "
                "intervals allow for it."
            )
        if not self.doubted:
            return ""
        same = "at every level" if self.kind == "ordered" else "early and late"
        if self.p < ALARM:
            return (
                f"The effect of {self.doubted} is not the same {same} "
                f"({interval.spell_p(self.p)}): its one number is an average."
            )
        return f"Nothing speaks against effects that are the same {same}."

    def _basis(self) -> str:
        words = f"{_basis_words(self.fixed, self.cluster, self.groups, self.rows)}; "
        words += f"{self.left_out:,} rows with a blank left out"
        without = "any event" if self.kind in ("count", "time") else "both outcomes"
        if self.same_group:
            words += f", and {self.same_group:,} of a {self.fixed} without {without}"
        return words + "."

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        shown = self.table.assign(**(self.table[["estimate", "low", "high"]] * self._scale()))
        # more complaints are worse; of a mark or an end nobody here knows
        above, below = ("worse", "better") if self.kind in ("binary", "count") else ("other",) * 2
        meaning = [
            above if row.low > 0 else below if row.high < 0 else "usual"
            for row in shown.itertuples()
        ]
        names = [_short_words(row) for row in shown.itertuples()]
        look.dots(ax, shown, names=names, meaning=meaning)
        ax.axvline(0, color=look.MEANING["limit"], lw=1)
        x = {
            "binary": f"more per 100 {self.rows}",
            "ordered": "higher mean, in points",
            "count": f"more events per {self.exposure or self.rows}",
            "time": f"more ended by {self.horizon:g}, per 100 {self.rows}",
        }[self.kind]
        return look.label(
            ax,
            title=f"What goes with '{self.outcome}'?",
            x=f"{x}, {self.confidence * 100:.4g}% interval",
        )


@dataclass(frozen=True, eq=False)
class Coefficients(Finding):
    """The model itself, for those who predict from it.

    Attributes
    ----------
    table : DataFrame, one row per coefficient
        ``term``; ``estimate, low, high`` on the logit (of counts and durations the
        log of the rate or hazard); ``unit_per``, what a
        number is divided by first; and ``cov: <term>``, the covariance with
        each other coefficient.  The linear predictor is the sum of estimate
        times the indicator (``column=level``) or the number over
        ``unit_per``; a level without a row is the reference and adds nothing.
    outcome, kind : str
    references : tuple of str
        The reference of each category, as ``column=level``.
    records, events, groups : int
    confidence : float
    """

    outcome: str
    kind: str
    references: tuple[str, ...]
    records: int
    events: int
    groups: int
    confidence: float

    def sentence(self) -> str:
        standing = f" Reference: {together(self.references)}." if self.references else ""
        return (
            f"The model of '{self.outcome}' has {len(self.table)} coefficients on the "
            f"{SCALE[self.kind]}, fitted to {self.events:,} events in {self.records:,} rows; their "
            f"covariance allows for {self.groups:,} groups of rows that may be alike.{standing}"
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rest = self.table[~self.table["term"].str.match(r"\(intercept\)$|\(above ")]
        look.dots(ax, rest, names=rest["term"])
        ax.axvline(0, color=look.MEANING["limit"], lw=1)
        return look.label(
            ax,
            title=f"Which coefficients predict '{self.outcome}'?",
            x=f"change of the {SCALE[self.kind]}, {self.confidence * 100:.4g}% interval",
        )


def drivers_of(fit: Fit, *, rows: str = "contacts", selection: str = "") -> Drivers:
    """Say what goes with the outcome, in its own unit and as a ratio.

    Parameters
    ----------
    fit : Fit
        From `fit_outcome` or `fit_logistic`.
    rows : str
        What a row is, in the plural.
    selection : str
        One sentence on who is in the records and who is not; it ends the answer.

    Returns
    -------
    Drivers
        Without the intercept and the fixed groups.

    Notes
    -----
    The average marginal effect of a level is the mean over all records of what
    is expected if everyone is at the level less what is expected if everyone
    is at the reference; of a number, the mean slope of what is expected, per
    its unit.  Expected is a chance, the mean value, the count per unit of
    exposure (records weighed by theirs), or the risk of having ended by the
    horizon.  Intervals are by the delta method with the records as they are.

    Examples
    --------
    30 % against 10 %: twenty more per hundred.

    >>> from sqm.regression import fit_logistic
    >>> records = pd.DataFrame({"ending": ["resolved"] * 200 + ["unresolved"] * 100,
    ...                         "complained": [1] * 20 + [0] * 180 + [1] * 30 + [0] * 70})
    >>> found = drivers_of(fit_logistic(records, drivers=["ending"], fixed="", cluster=""))
    >>> found.table[["odds_ratio", "estimate"]].round(4).values.tolist()
    [[3.8571, 0.2]]
    """
    told = [_driver_row(fit, place) for place, term in enumerate(fit.terms) if _is_driver(term)]
    doubt = assumption_of(fit)
    return Drivers(
        table=pd.DataFrame(told),
        outcome=fit.outcome,
        kind=fit.kind,
        rows=rows,
        selection=selection,
        horizon=fit.horizon,
        exposure=fit.exposure,
        doubted=doubt.driver,
        statistic=doubt.statistic,
        p=doubt.p,
        fixed=fit.fixed,
        cluster=fit.cluster,
        records=fit.records,
        events=fit.events,
        left_out=fit.left_out,
        same_group=fit.same_group,
        groups=fit.groups,
        confidence=fit.confidence,
    )


def coefficients_of(fit: Fit) -> Coefficients:
    """Hand over the coefficients and their covariance, for predictions that carry uncertainty.

    Examples
    --------
    >>> from sqm.regression import fit_logistic
    >>> records = pd.DataFrame({"ending": ["resolved"] * 200 + ["unresolved"] * 100,
    ...                         "complained": [1] * 20 + [0] * 180 + [1] * 30 + [0] * 70})
    >>> found = coefficients_of(fit_logistic(records, drivers=["ending"], fixed="", cluster=""))
    >>> list(found.table.columns[:5]), found.references
    (['term', 'estimate', 'low', 'high', 'unit_per'], ('ending=resolved',))
    """
    names = [term.name for term in fit.terms]
    half = fit.quantile * np.sqrt(np.diag(fit.covariance))
    table = pd.DataFrame(
        {
            "term": names,
            "estimate": fit.b,
            "low": fit.b - half,
            "high": fit.b + half,
            "unit_per": [term.per for term in fit.terms],
        }
    )
    covariance = pd.DataFrame(fit.covariance, columns=[f"cov: {name}" for name in names])
    return Coefficients(
        table=pd.concat([table, covariance], axis="columns"),
        outcome=fit.outcome,
        kind=fit.kind,
        references=tuple(f"{column}={level}" for column, level in fit.references.items()),
        records=fit.records,
        events=fit.events,
        groups=fit.groups,
        confidence=fit.confidence,
    )


def _is_driver(term: Term) -> bool:
    return bool(term.column) and not term.fixed


def _driver_row(fit: Fit, place: int) -> dict:
    term, b = fit.terms[place], fit.b[place]
    half = fit.quantile * np.sqrt(fit.covariance[place, place])
    row = {
        "term": term.name,
        "driver": term.column,
        "level": term.level,
        "reference": fit.references.get(term.column, ""),
        "per": np.nan if term.level else term.per,
        "odds_ratio": float(np.exp(b)),
        "odds_low": float(np.exp(b - half)),
        "odds_high": float(np.exp(b + half)),
        **dict(zip(("estimate", "low", "high"), _reach(fit, place), strict=True)),
    }
    if fit.kind == "ordered":
        last = [0.0] * (len(fit.steps) - 1)
        for name, steps in (("top", [*last, 1.0]), ("bottom", [-1.0, *last])):
            names = (name, f"{name}_low", f"{name}_high")
            row |= dict(zip(names, _reach(fit, place, steps), strict=True))
    return row


def _reach(fit: Fit, place: int, steps: list[float] | None = None) -> tuple[float, float, float]:
    value, gradient = effect(fit, place, steps=steps)
    half = fit.quantile * float(np.sqrt(gradient @ fit.covariance @ gradient))
    return value, value - half, value + half


UNITS = {"s": "s", "min": "min", "h": "h", "d": "days", "eur": "EUR", "usd": "USD"}


def _amount(column: str, per: float) -> tuple[str, str]:
    """``wait_s`` per 60 in words: '60 s' and 'wait'."""
    name, _, unit = column.rpartition("_")
    if name and unit in UNITS:
        return f"{per:g} {UNITS[unit]}", name.replace("_", " ")
    return f"{per:g}", column.replace("_", " ")


def _short_words(row) -> str:
    if row.level:
        return f"{row.driver}: {row.level} (not {row.reference})"
    amount, name = _amount(row.driver, row.per)
    return f"{name}: {amount} more"


def _effect_words(row, confidence: float, scale: float, words: tuple[str, str]) -> str:
    """More of the outcome or fewer, both told by a number above zero.

    The level is named with the first effect alone (``confidence`` 0: not named).
    """
    values = np.array([row.estimate, row.low, row.high]) * scale
    more = row.estimate >= 0
    values = values if more else -values[[0, 2, 1]]
    spelt = "{:,.2f} ({:,.2f} to {:,.2f})".format(*values)
    if confidence:
        spelt = f"goes with {interval.spell(*values, confidence=confidence)}"
    if row.level:
        what = f"{row.driver} {row.level} (not {row.reference})"
    else:
        amount, name = _amount(row.driver, row.per)
        what = f"{amount} more of {name}"
    return f"{what} {spelt} {words[0] if more else words[1]}"


def _basis_words(fixed: str, cluster: str, groups: int, rows: str) -> str:
    words = f"Every {fixed} has its own level; " if fixed else ""
    if not cluster:
        return f"{words}{'e' if words else 'E'}ach row counts as independent"
    words = (
        f"{words}intervals allow for {rows} of one {cluster} being alike"
        f" ({groups:,} groups; rows without one {f'by {fixed}' if fixed else 'as one'})"
    )
    if groups < FEW_GROUPS:
        words += ", which are few: intervals are likely too narrow"
    return words[0].upper() + words[1:]
