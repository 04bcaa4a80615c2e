"""What does the log say about arrivals, service times and patience?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import special, stats

from sqm import look
from sqm.checks import need_share
from sqm.contact_log import aside_words
from sqm.finding import Finding, counted, listed
from sqm.interval import spell, spell_p, wilson
from sqm.service_model import Parameters, Service, replayed

FAMILIES = ("exponential", "lognormal", "gamma")
COMPARED, TRIALS = 2000, 99  # contacts of a reason that are compared with a curve, and trials
FITS_P = 0.05  # a curve that chance alone would miss by more at least so often is compatible
BINS = 512  # of service times, of equal number, for medians
WAITED_S = (60.0, 300.0, 600.0)
MANY_AT_ONCE = 0.01  # share of contacts that hang up at once, above which it is said


@dataclass(frozen=True, eq=False)
class Calibration(Finding):
    """What a queue built from the log is made of.

    Attributes
    ----------
    table : DataFrame, one row per quantity and group
        ``quantity``, ``group`` (a site, a reason or ``all``), ``unit``, ``estimate, low, high``,
        ``n`` (contacts it rests on), ``note`` (why there is no interval, or what it is).
    patience_median_s, low, high : float
        Time after which half of the customers would have hung up if nobody answered.
    shape : float
        Weibull shape of patience; 1: people leave at a steady rate, below 1: mostly early.
    naive_patience_s : float
        Mean wait of those who hung up: the mistake, shown beside.
    abandoned : float
        Share of contacts that hung up.
    abandoned_fitted, abandoned_naive : float
        The same where the days are played again with the patience fitted, and with exponential
        patience of the naive mean.
    at_once : float
        Share of contacts that hung up within a second.
    day_variation, day_variation_low, day_variation_high : float
        Coefficient of variation of a site's day beyond Poisson.
    day_variation_p : float
        Chance of as much variation between days if arrivals were Poisson.
    confidence : float
    contacts, set_aside, blocks : int
        Rows used, rows left out as impossible, weeks (or days) resampled.
    span, resampled, aside : str
        Days learnt from; what was resampled; why rows were left out.
    cautions : tuple of str
        What the log does not show or shows oddly.
    curve_s, curve_share, curve_low, curve_high : tuple of float
        Kaplan-Meier estimate of patience with its 95 % interval, the picture's line.
    """

    patience_median_s: float
    low: float
    high: float
    shape: float
    naive_patience_s: float
    abandoned: float
    abandoned_fitted: float
    abandoned_naive: float
    at_once: float
    day_variation: float
    day_variation_low: float
    day_variation_high: float
    day_variation_p: float
    confidence: float
    contacts: int
    set_aside: int
    blocks: int
    span: str
    resampled: str
    aside: str
    cautions: tuple[str, ...]
    curve_s: tuple[float, ...]
    curve_share: tuple[float, ...]
    curve_low: tuple[float, ...]
    curve_high: tuple[float, ...]

    def sentence(self) -> str:
        """Say how patient customers are and what the queue was learnt from."""
        left_out = f"; set aside: {self.aside}" if self.set_aside else ""
        parts = [
            self._naive_words(),
            self._arrival_words(),
            self._service_words(),
            f"The queue was learnt from {self.contacts:,} contacts, {self.span}{left_out}."
            f" Intervals come from re-weighting {self.blocks} {self.resampled}; staff on duty is"
            " taken as given.",
            *self.cautions,
        ]
        return f"{self._patience_words()}\n{' '.join(part for part in parts if part)}"

    def _patience_words(self) -> str:
        if np.isnan(self.naive_patience_s):
            return "Nobody hung up, so patience has no limit in this queue."
        half = spell(
            self.patience_median_s / 60,
            self.low / 60,
            self.high / 60,
            confidence=self.confidence,
            digits=1,
            unit="minutes",
        )
        return (
            f"If nobody answered, half of the customers would have hung up after {half}"
            f"{self._beyond()}."
        )

    def _beyond(self) -> str:
        """Whether half of them is more than was ever seen."""
        seen = min(self.curve_share, default=1.0)
        return "" if seen <= 0.5 else ", beyond the waits seen: extrapolated from the fitted curve"

    def _naive_words(self) -> str:
        if np.isnan(self.naive_patience_s):
            return ""
        return (
            "That counts those who were answered before they lost patience; the plain mean wait of"
            f" those who hung up, {self.naive_patience_s / 60:.1f} minutes, leaves them out. With"
            f" it for patience these days would have lost {self.abandoned_naive:.1%} of the"
            f" contacts, with the fitted one {self.abandoned_fitted:.1%};"
            f" {self.abandoned:.1%} were lost."
        )

    def _arrival_words(self) -> str:
        if self.day_variation_p >= FITS_P:
            return (
                "A site's day varies no more than pure chance makes it"
                f" ({spell_p(self.day_variation_p)})."
            )
        varies = spell(
            self.day_variation * 100,
            self.day_variation_low * 100,
            self.day_variation_high * 100,
            confidence=self.confidence,
            digits=1,
            unit="%",
        )
        return (
            f"A site's day varies by {varies} around its usual number of contacts, beyond pure"
            f" chance ({spell_p(self.day_variation_p)})."
        )

    def _service_words(self) -> str:
        of = self.table.set_index("quantity")
        mean = of.loc[["service time, mean, by reason"]].sort_values("estimate", kind="stable")
        first, last = mean.iloc[0], mean.iloc[-1]
        known = f"A contact takes {first['estimate'] / 60:.1f} minutes on average"
        if len(mean) > 1:
            known += (
                f" for {look.shorten(first['group'])}, and {last['estimate'] / 60:.1f} for"
                f" {look.shorten(last['group'])}"
            )
        fits = {name: self._fitting(name) for name in FAMILIES}
        number = len(mean)
        curves = listed(
            [f"{name} {count} of {number}" for name, count in fits.items()], most=len(FAMILIES)
        )
        return (
            f"{known}; reasons whose service times a curve of one family describes: {curves}"
            " (the queue draws from the times themselves)."
        )

    def _fitting(self, family: str) -> int:
        rows = self.table[self.table["quantity"].eq(_distance_name(family))]
        return int(rows["note"].str.startswith("compatible").sum())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw who would still be waiting by time: seen, fitted, and the naive mistake."""
        ax = look.axes(ax)
        minutes = np.array(self.curve_s) / 60
        ax.step(minutes, self.curve_share, where="post", color=look.MEANING["usual"], label="seen")
        ax.fill_between(
            minutes, self.curve_low, self.curve_high, step="post", alpha=0.2,
            color=look.MEANING["usual"], lw=0,
        )  # fmt: skip
        if len(minutes):
            grid = np.linspace(0, minutes.max(), 100)
            halves = (grid * 60 / self.patience_median_s) ** self.shape
            ax.plot(grid, 0.5**halves, "--", color=look.MEANING["better"], label="fitted")
            naive = np.exp(-grid * 60 / self.naive_patience_s)
            ax.plot(
                grid, naive, ":", color=look.MEANING["worse"], label="from those who hung up alone"
            )
            ax.legend(frameon=False)
        ax.set_ylim(0, 1.02)
        return look.label(
            ax,
            title="How patient are customers?",
            x="time without an answer (minutes)",
            y="share who would still wait",
        )


def calibrate(
    service: Service,
    *,
    draws: int = 400,
    replays: int = 40,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> Calibration:
    """Show what was learnt from the log, each quantity with its interval.

    Parameters
    ----------
    service : Service
        What `learn` returned.
    draws : int, default 400
        Bayesian bootstrap draws of whole weeks for the intervals.
    replays : int, default 40
        Times the days of the log are played again with each of two kinds of patience.
    confidence : float, default 0.95
    rng : Generator

    Returns
    -------
    Calibration

    Notes
    -----
    Intervals: the estimate plus and minus Student's t of B - 1, for B weeks, times the standard
    deviation of the draws (less what Student's t adds to it), on the scale of logarithms (of log
    odds for shares).  Median of patience: scale * log(2) ** (1 / shape).

    Variation between days: the variance of a site's day less that of a Poisson number, over the
    squared expectation; its interval is that of the logarithm of the squared deviations, with
    weeks as clusters.  Its test is Fisher's index of dispersion, the sum of (N - m)^2 / m against
    chi-squared [1]_.

    Families of service times are fitted by reason to at most 2,000 served contacts (gamma with
    the closed-form estimates of Ye and Chen [2]_); a family is compatible if the largest distance
    between its curve and the log is exceeded in at least 5 % of 99 samples from it, fitted anew
    each time (Lilliefors' test).  Contacts are taken as independent there.

    References
    ----------
    .. [1] Cochran, W. G. (1954). Some methods for strengthening the common chi-squared tests.
       Biometrics 10, 417-451. doi:10.2307/3001616
    .. [2] Ye, Z.-S., Chen, N. (2017). Closed-form estimators for the gamma distribution derived
       from likelihood equations. The American Statistician 71, 177-181.
       doi:10.1080/00031305.2016.1209129
    """
    need_share(confidence, name="confidence")
    best, drawn = service.best(), service.parameters(draws=draws, rng=rng)
    rows = [each.row(confidence) for each in _quantities(service, best, drawn)]
    varies, p = _day_variation(service, confidence)
    again = _played_again(service, replays, confidence, rng)
    table = pd.DataFrame([*rows, *_fits(service, rng), *_at_once(service, confidence), varies])
    table = pd.concat([table, again], ignore_index=True)
    of = table.set_index(["quantity", "group"])
    median = of.loc[("patience, median", "all")]
    return Calibration(
        table=table,
        patience_median_s=float(median["estimate"]),
        low=float(median["low"]),
        high=float(median["high"]),
        shape=float(best.patience_shape[0]),
        naive_patience_s=service.patience.naive_s,
        abandoned=_abandoned(service),
        abandoned_fitted=float(again["estimate"].iloc[0]),
        abandoned_naive=float(again["estimate"].iloc[1]),
        at_once=float(service.patience.at_once.sum() / service.contacts),
        day_variation=varies["estimate"],
        day_variation_low=varies["low"],
        day_variation_high=varies["high"],
        day_variation_p=p,
        confidence=confidence,
        contacts=service.contacts,
        set_aside=service.set_aside,
        blocks=len(service.arrivals.counts),
        span=service.span,
        resampled=service.resampled,
        aside=aside_words(service.aside),
        cautions=tuple(_cautions(service)),
        curve_s=service.patience.survival[0],
        curve_share=service.patience.survival[1],
        curve_low=service.patience.survival[2],
        curve_high=service.patience.survival[3],
    )


def _cautions(service: Service) -> Iterator[str]:
    """What the log does not show or shows oddly, in words."""
    if service.quiet_hours:
        yield (
            f"No contact ever came in {counted(len(service.quiet_hours), 'opening hour')}"
            f" ({listed([f'{hour}:00' for hour in service.quiet_hours], most=4)}): none is"
            " simulated then."
        )
    if service.empty_days:
        yield (
            f"On {counted(service.empty_days, 'staffed date')} no contact came: counted as"
            " days without customers, so see that the log is whole."
        )
    if service.alone:
        yield (
            f"{counted(service.alone, 'contact')} came in an hour in which nobody is on duty by"
            " the staffing table."
        )
    if service.calendar.closes - service.calendar.opens >= 24:
        yield "Each day is simulated from midnight with nobody waiting."
    at_once = service.patience.at_once.sum() / service.contacts
    if at_once > MANY_AT_ONCE:
        yield (
            f"{at_once:.1%} hung up within a second: they did not wait at all, and draw the fitted"
            " patience towards early leaving."
        )


# --- Quantities with their draws ------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Quantity:
    """One estimate, with the same number under each draw of weights."""

    name: str
    group: str
    unit: str
    estimate: np.ndarray  # (1,)
    draws: np.ndarray
    n: float
    blocks: int

    def row(self, confidence: float) -> dict:
        estimate = float(self.estimate[0])
        known = np.isfinite(estimate) and np.isfinite(self.draws).all()
        low, high, note = np.nan, np.nan, "" if known else "the log does not tell it"
        if known and self.unit == "share" and not 0 < estimate < 1:
            low, high = wilson(estimate, self.n, confidence=confidence)
            note = "all alike: the interval takes contacts as independent"
        elif known:
            low, high = self._limits(estimate, confidence)
        estimate = estimate if np.isfinite(estimate) else np.nan
        return _row(self.name, self.group, self.unit, estimate, low, high, self.n, note)

    def _limits(self, estimate: float, confidence: float) -> tuple[float, float]:
        """Student's limits with the draws' standard deviation, on a scale without bounds."""
        there, back = (special.logit, special.expit) if self.unit == "share" else (np.log, np.exp)
        spread = there(self.draws).std(ddof=1)
        spread *= np.sqrt((self.blocks - 3) / (self.blocks - 1))  # the draws are as wide as t
        reach = stats.t.ppf((1 + confidence) / 2, self.blocks - 1) * spread
        low, high = back(there(estimate) + np.array([-reach, reach]))
        return float(low), float(high)


def _row(name, group, unit, estimate, low, high, n, note="") -> dict:
    return {
        "quantity": name,
        "group": group,
        "unit": unit,
        "estimate": float(estimate),
        "low": float(low),
        "high": float(high),
        "n": int(n),
        "note": note,
    }


def _quantities(service: Service, best: Parameters, drawn: Parameters) -> Iterator[_Quantity]:
    """Everything that is re-weighted."""
    both, blocks = (best, drawn), len(service.arrivals.counts)
    yield from _arrival_quantities(service, both, blocks)
    yield from _service_quantities(service, both, blocks)
    yield from _resolution_quantities(service, both, blocks)
    yield from _patience_quantities(service, both, blocks)


def _arrival_quantities(service: Service, both, blocks: int) -> Iterator[_Quantity]:
    a_day = [_a_day(service, each) for each in both]
    n = service.arrivals.counts.sum(axis=(0, 2, 3))
    for s, site in enumerate(service.grid.sites):
        values = (each[:, s] for each in a_day)
        yield _Quantity("contacts a day", site, "contacts", *values, n[s], blocks)


def _a_day(service: Service, parameters: Parameters) -> np.ndarray:
    """Contacts of an average open day, (draws, sites)."""
    days = service.arrivals.site_days.sum(axis=0)
    return (parameters.rate.sum(axis=3) * days).sum(axis=2) / np.maximum(days.sum(axis=1), 1)


def _service_quantities(service: Service, both, blocks: int) -> Iterator[_Quantity]:
    """Mean, median and spread of served contacts' times, by site and by reason."""
    pool = service.pool
    site, block = _places(service)
    served = ~pool.left
    time = pool.service_s
    for name, code, levels, told in (
        ("site", site, service.grid.sites, ("mean",)),
        ("reason", pool.reason, service.grid.reasons, tuple(_SERVICE_UNITS)),
    ):
        for i, level in enumerate(levels):
            rows = served & (code == i)
            if rows.any():
                found = [_moments(time[rows], block[rows], each.weights) for each in both]
                n = int(rows.sum())
                for what in told:
                    values = (each[what] for each in found)
                    quantity, unit = f"service time, {what}, by {name}", _SERVICE_UNITS[what]
                    yield _Quantity(quantity, level, unit, *values, n, blocks)


_SERVICE_UNITS = {"mean": "s", "median": "s", "standard deviation of the logarithm": "1"}


def _places(service: Service) -> tuple[np.ndarray, np.ndarray]:
    """Site and block of each contact of the pool."""
    size = service.pool.size
    site, block = (each.ravel() for each in np.indices(size.shape))
    return np.repeat(site, size.ravel()), np.repeat(block, size.ravel())


def _moments(time: np.ndarray, block: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Mean, median and standard deviation of the logarithm under each set of weights."""
    blocks = weights.shape[1]
    logs = np.log(time)
    n, total, first, second = (
        weights @ np.bincount(block, of, minlength=blocks)
        for of in (np.ones(len(time)), time, logs, logs**2)
    )
    n = np.maximum(n, 1e-9)
    return {
        "mean": total / n,
        "median": _weighted_median(time, block, weights),
        "standard deviation of the logarithm": np.sqrt(
            np.maximum(second / n - (first / n) ** 2, 1e-12)
        ),
    }


def _weighted_median(time: np.ndarray, block: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Median under each set of weights, read between the edges of bins of equal number."""
    edges = np.unique(np.quantile(time, np.linspace(0, 1, BINS + 1)))
    if len(edges) < 3:
        return np.full(len(weights), np.median(time))
    bins = np.clip(np.searchsorted(edges, time, side="right") - 1, 0, len(edges) - 2)
    place = block * (len(edges) - 1) + bins
    counts = np.bincount(place, minlength=weights.shape[1] * (len(edges) - 1))
    share = (weights @ counts.reshape(weights.shape[1], -1)).cumsum(axis=1)
    share = np.c_[np.zeros(len(share)), share / np.maximum(share[:, -1:], 1e-9)]
    above = (share >= 0.5).argmax(axis=1)
    row = np.arange(len(share))
    before, after = share[row, above - 1], share[row, above]
    part = (0.5 - before) / np.maximum(after - before, 1e-12)
    return edges[above - 1] + part * (edges[above] - edges[above - 1])


def _resolution_quantities(service: Service, both, blocks: int) -> Iterator[_Quantity]:
    served = service.pool.served.sum(axis=0)
    for r, reason in enumerate(service.grid.reasons):
        values = (
            np.average(each.resolution[:, :, r], axis=1, weights=served[:, r] + 1e-9)
            for each in both
        )
        n = max(served[:, r].sum(), 1)
        yield _Quantity("resolved, share of served", reason, "share", *values, n, blocks)


def _patience_quantities(service: Service, both, blocks: int) -> Iterator[_Quantity]:
    leavers = service.patience.leavers.sum()
    shape, scale = ([getattr(each, f"patience_{of}") for each in both] for of in ("shape", "s"))
    with np.errstate(invalid="ignore"):
        median = [b * np.log(2) ** (1 / k) for k, b in zip(shape, scale, strict=True)]
        mean = [b * special.gamma(1 + 1 / k) for k, b in zip(shape, scale, strict=True)]
    if not leavers:
        shape = [np.full(len(each), np.nan) for each in shape]
    extrapolated = "patience, mean (beyond the waits seen: extrapolated)"
    yield _Quantity("patience, median", "all", "s", *median, leavers, blocks)
    yield _Quantity(extrapolated, "all", "s", *mean, leavers, blocks)
    yield _Quantity("patience, Weibull shape", "all", "1", *shape, leavers, blocks)


# --- Quantities of their own kind -----------------------------------------------------------------


def _abandoned(service: Service) -> float:
    return float(service.patience.leavers.sum() / service.contacts)


def _at_once(service: Service, confidence: float) -> Iterator[dict]:
    """Who hung up at once, how many would still wait, and the naive mean."""
    patience, n = service.patience, service.contacts
    share = float(patience.at_once.sum() / n)
    limits = wilson(share, n, confidence=confidence)
    yield _row("hung up within a second, share of contacts", "all", "share", share, *limits, n)
    time, *curve = (np.array(each) for each in patience.survival)
    for seconds in WAITED_S:
        name = f"would still wait after {seconds / 60:.0f} min if nobody answered"
        if len(time) and time[0] <= seconds <= time[-1]:
            at = np.searchsorted(time, seconds, side="right") - 1
            found, note = (each[at] for each in curve), "Kaplan-Meier, 95 % interval"
        else:
            found, note = (np.nan,) * 3, "waits that long were hardly seen"
        yield _row(name, "all", "share", *found, n, note)
    name = "mean wait of those who hung up (not patience)"
    note = "the mistake: those who were answered first are left out"
    yield _row(name, "all", "s", patience.naive_s, np.nan, np.nan, patience.leavers.sum(), note)


def _day_variation(service: Service, confidence: float) -> tuple[dict, float]:
    """Coefficient of variation of a site's day beyond Poisson, with its interval and test."""
    arrivals = service.arrivals
    there = arrivals.expected > 0
    seen, mean = np.where(there, arrivals.seen, 0.0), np.where(there, arrivals.expected, 0.0)
    days = int(there.sum())
    degrees = max(days - arrivals.spent, 1)
    square = (seen - mean) ** 2 * days / degrees
    index = float(((seen - mean)[there] ** 2 / mean[there]).sum())
    of_block = np.bincount(service.block, weights=square.sum(axis=1))
    blocks = len(of_block)
    error = of_block.std(ddof=1) * np.sqrt(blocks) / of_block.sum()
    reach = stats.t.ppf((1 + confidence) / 2, blocks - 1) * error
    sums = of_block.sum() * np.exp(np.array([0.0, -reach, reach]))
    found = np.sqrt(np.maximum(sums - seen.sum(), 0.0) / (mean**2).sum())
    name = "variation of a site's day beyond Poisson (coefficient)"
    row = _row(name, "all", "1", *found, days, f"{counted(days, 'site-day')}")
    return row, float(stats.chi2.sf(index, degrees))


def _played_again(service: Service, replays: int, confidence: float, rng) -> pd.DataFrame:
    """Share who hang up where the log's own days are played with two kinds of patience."""
    parameters = service.parameters(draws=replays, rng=rng)
    naive = replace(
        parameters,
        patience_shape=np.ones(replays),
        patience_s=np.full(replays, service.patience.naive_s),
    )
    rows, seed = [], rng.integers(2**63)
    for words, each in (("as fitted", parameters), ("of the naive mean", naive)):
        share = low = high = np.nan
        if service.patience.leavers.any():  # the same customers meet both
            sums = replayed(service, each, service.roster, rng=np.random.default_rng(seed))
            contacts, _, left, _ = sums.sum(axis=1).T
            values = special.logit(np.clip(left / contacts, 1e-6, 1 - 1e-6))
            half = stats.t.ppf((1 + confidence) / 2, replays - 1) * values.std(ddof=1)
            share, low, high = special.expit(values.mean() + np.array([0, -half, half]))
        note = "where a replay of the days falls" if share == share else "nobody hung up"
        name = f"hung up, days played again with patience {words}"
        rows.append(_row(name, "all", "share", share, low, high, service.contacts, note))
    share = _abandoned(service)
    name = "hung up, as it was"
    rows.append(_row(name, "all", "share", share, np.nan, np.nan, service.contacts, "counted"))
    return pd.DataFrame(rows)


# --- Which curve describes service times ----------------------------------------------------------


def _distance_name(family: str) -> str:
    return f"service time, farthest from a curve of the {family} family"


def _fits(service: Service, rng: np.random.Generator) -> Iterator[dict]:
    """How far each family lies from the log, by reason."""
    pool = service.pool
    for r, reason in enumerate(service.grid.reasons):
        times = pool.service_s[~pool.left & (pool.reason == r)]
        chosen = rng.permutation(len(times))[:COMPARED]
        times = np.sort(times[chosen])
        for family in FAMILIES:
            name = _distance_name(family)
            if len(times) < 20 or times[0] == times[-1]:
                note = "too few different times"
                yield _row(name, reason, "share", np.nan, np.nan, np.nan, len(times), note)
                continue
            found = _distance(times[None], family)[0]
            trials = _distance(_sampled(times, family, rng), family)
            p = (1 + (trials >= found).sum()) / (TRIALS + 1)
            verdict = "compatible" if p >= FITS_P else "not compatible"
            usual = np.quantile(trials, 1 - FITS_P)
            note = f"{verdict}, p = {p:.2f}; 95 of 100 samples of it lie within {usual:.3f}"
            yield _row(name, reason, "share", found, np.nan, np.nan, len(times), note)


def _fitted(times: np.ndarray, family: str) -> tuple[np.ndarray, np.ndarray]:
    """Two numbers of a family for each row of times, arrays of shape (rows, 1)."""
    mean, logs = times.mean(axis=1, keepdims=True), np.log(times)
    if family == "exponential":
        return mean, mean
    if family == "lognormal":
        return logs.mean(axis=1, keepdims=True), logs.std(axis=1, ddof=1, keepdims=True)
    scale = (times * logs).mean(axis=1, keepdims=True) - mean * logs.mean(axis=1, keepdims=True)
    return mean / scale, scale


def _distance(times: np.ndarray, family: str) -> np.ndarray:
    """Largest distance between a family's curve and the steps of sorted times, row by row."""
    one, two = _fitted(times, family)
    if family == "exponential":
        curve = -np.expm1(-times / one)
    elif family == "lognormal":
        curve = special.ndtr((np.log(times) - one) / two)
    else:
        curve = special.gammainc(one, times / two)
    n = times.shape[1]
    upper, lower = np.arange(1, n + 1) / n - curve, curve - np.arange(n) / n
    return np.maximum(upper, lower).max(axis=1)


def _sampled(times: np.ndarray, family: str, rng: np.random.Generator) -> np.ndarray:
    """Samples from the family fitted, sorted: (trials, times)."""
    one, two = (float(each[0, 0]) for each in _fitted(times[None], family))
    shape = (TRIALS, len(times))
    if family == "exponential":
        drawn = rng.exponential(one, shape)
    elif family == "lognormal":
        drawn = np.exp(one + two * rng.standard_normal(shape))
    else:
        drawn = rng.gamma(one, two, shape)
    return np.sort(np.maximum(drawn, 1e-9), axis=1)
