"""Does the queue foretell weeks that it has not seen?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import Refusal, need_share
from sqm.clock import local, span_words, week_of
from sqm.contact_log import aside_words, placed, tally, text_of, usable_log
from sqm.finding import Finding, counted, listed
from sqm.roster import Roster, on_duty, roster_of
from sqm.service_model import Service, replayed

QUANTITIES = {
    "contacts_per_day": ("contacts a day", "contacts"),
    "mean_wait_s": ("mean wait of all contacts", "s"),
    "abandoned": ("share who hung up", "share"),
    "waited_longer": ("share who waited longer than the limit", "share"),
}
FEWEST_DAYS = 5


@dataclass(frozen=True, eq=False)
class Gate(Finding):
    """Whether the queue foretold a stretch that it had not seen.

    Attributes
    ----------
    table : DataFrame, one row per quantity and stretch
        ``quantity``; ``kind`` (``all``, ``week``, ``day``, or ``days inside``: the share of days
        whose value lies in the band of its day); ``stretch`` (``all``, the Monday of a week, a
        date), ``unit``, ``estimate, low, high`` as predicted, ``actual``, ``inside`` (bool),
        ``near`` (bool: within the tolerance).  Limits of ``all`` and of ``days inside`` hold for
        the eight rows together, those of a week or a day one by one.
    open : bool
        Whether what-ifs may be shown.
    band : float
        Chance that a right model has all eight forecasts of the whole stretch inside.
    tolerance : float
        Relative error that is near enough although outside.
    wait_error, abandon_error, contacts_error : float
        Relative error of mean wait, abandonment and contacts a day beyond what chance explains;
        what-ifs add it.
    days_inside : float
        Share of days, over the four quantities, whose value lies in the band of its day.
    contacts, set_aside, days, draws, learnt_from : int
    limit_s : float
        The wait that is counted as long.
    learnt, foretold, aside : str
        First and last day of the two stretches; why contacts of the second were set aside.
    """

    open: bool
    band: float
    tolerance: float
    wait_error: float
    abandon_error: float
    contacts_error: float
    days_inside: float
    contacts: int
    set_aside: int
    days: int
    draws: int
    learnt_from: int
    limit_s: float
    learnt: str
    foretold: str
    aside: str

    def sentence(self) -> str:
        """Say plainly whether what-ifs may be shown, and why."""
        wait = self._of("all").loc["mean_wait_s"]
        left_out = f" Set aside: {self.aside}." if self.set_aside else ""
        return (
            f"{self._verdict()} Foretold for {counted(self.days, 'day')} it had not seen: a mean"
            f" wait of {wait['estimate']:.0f} s (joint {self.band:.0%} band {wait['low']:.0f} to"
            f" {wait['high']:.0f}), where {wait['actual']:.0f} s came.\n{self._reasons()} The queue"
            f" was learnt from {self.learnt_from:,} contacts ({self.learnt}) and asked for"
            f" {self.contacts:,} later ones ({self.foretold}), arrivals included.{left_out}"
            f" {self._false_alarm()}"
        )

    def _verdict(self) -> str:
        if self.open:
            return "The gate is open, what-ifs may be shown."
        failed = [_name(row) for _, row in self._failed().iterrows()]
        told = listed(failed, most=2)
        return f"The gate stays shut, no what-if may be shown (not foretold: {told})."

    def _failed(self) -> pd.DataFrame:
        """What was judged and lies outside its band and beyond the tolerance."""
        judged = self.table[self.table["kind"].isin(["all", "days inside"])]
        return judged[~judged["inside"] & ~judged["near"]]

    def _reasons(self) -> str:
        """What failed, or how well the forecasts were met, in words."""
        share = f"{self.days_inside:.0%} of single days lay in the {self.band:.0%} band of the day"
        if not self.open:
            failed = self._failed()
            words = [_missed(row) for _, row in failed[failed["kind"].eq("all")].iterrows()]
            days = failed[failed["kind"].eq("days inside")].nsmallest(1, "actual")
            words += [_missed(row) for _, row in days.iterrows()]  # the worst stands for the rest
            return f"What failed: {'; '.join(words)}. {share}."
        whole = self._of("all")
        near = [QUANTITIES[name][0] for name in whole.index[~whole["inside"]]]
        if near:
            return (
                f"Outside the band but within the tolerance of {self.tolerance:.0%}:"
                f" {', '.join(near)}; the others lie inside, and {share}."
            )
        return f"All four quantities of the whole stretch lie inside, and {share}."

    def _false_alarm(self) -> str:
        """How often a right model is shut out."""
        return (
            f"The bands are set so that a right model meets all of them {self.band * 100:.0f} times"
            f" in 100; a miss of less than {self.tolerance:.0%} is forgiven on top, so that it is"
            " shut out less often than that leaves. All sites are judged together: a single one may"
            " have been missed by more."
        )

    def _of(self, kind: str) -> pd.DataFrame:
        return self.table[self.table["kind"].eq(kind)].set_index("quantity")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what came over what was foretold, with the band, and day by day behind it."""
        ax = look.axes(ax)
        whole, days = self._of("all"), self._of("day")
        for row, (name, each) in enumerate(whole.iterrows()):
            scale = each["estimate"] or 1.0
            ax.plot(
                [each["low"] / scale, each["high"] / scale], [row, row], lw=9, alpha=0.35,
                color=look.MEANING["limit"], solid_capstyle="butt",
            )  # fmt: skip
            of_day = days.loc[[name]]
            ratio = of_day["actual"] / of_day["estimate"].where(of_day["estimate"] > 0)
            for inside, what in ((True, "usual"), (False, "worse")):
                part = ratio[of_day["inside"].eq(inside)]
                ax.plot(
                    part, np.full(len(part), row + (0.22 if inside else 0.32)),
                    "|" if inside else "x", ms=6 if inside else 4, color=look.MEANING[what],
                )  # fmt: skip
            good = bool(each["inside"] or each["near"])
            what = "usual" if good else "worse"
            ax.plot(each["actual"] / scale, row, look.MARKER[what], color=look.MEANING[what], ms=8)
        ax.axvline(1, color=look.MEANING["limit"], lw=1)
        ax.set_yticks(range(len(whole)), [QUANTITIES[name][0] for name in whole.index])
        ax.set_ylim(len(whole) - 0.4, -0.6)
        return look.label(
            ax,
            title="Did the queue foretell days it had not seen?",
            x=f"came / foretold (grey: joint {self.band:.0%} band; below: single days, a cross"
            " where one left its own band)",
        )


def _name(row: pd.Series) -> str:
    words = QUANTITIES[row["quantity"]][0]
    return words if row["kind"] == "all" else f"single days' {words}"


def _missed(row: pd.Series) -> str:
    """What was foretold and what came, where the two do not agree."""
    name = row["quantity"]
    if row["kind"] == "all":
        return (
            f"{QUANTITIES[name][0]}, foretold {_figure(name, row['low'])} to"
            f" {_figure(name, row['high'])}, came {_figure(name, row['actual'])}"
        )
    return (
        f"{QUANTITIES[name][0]} of single days, foretold in the band of the day on"
        f" {row['low']:.0%} or more of them, came so on {row['actual']:.0%}"
    )


def _figure(name: str, value: float) -> str:
    unit = QUANTITIES[name][1]
    if unit == "share":
        return f"{value:.1%}"
    return f"{value:.0f}{' s' if unit == 's' else ''}"


def held_out(
    service: Service,
    operations: pd.DataFrame,
    *,
    staffing: pd.DataFrame,
    limit_s: float,
    until: pd.Timestamp | None = None,
    draws: int = 400,
    band: float = 0.9,
    tolerance: float = 0.1,
    rng: np.random.Generator,
) -> Gate:
    """Foretell the days after those learnt from, and compare with what came.

    Parameters
    ----------
    service : Service
        What `learn` returned.
    operations, staffing : DataFrame
        As for `learn`; rows before ``service.until`` are ignored.
    limit_s : float
        The wait that counts as long, in seconds.
    until : Timestamp, optional
        Compare with contacts that arrived before this moment.
    draws : int, default 400
    band : float, default 0.9
        Chance with which a right model should have all its forecasts inside.
    tolerance : float, default 0.1
        Relative error of a quantity that is accepted although it lies outside the band; of the
        share of days inside their band, the points that may be lacking to ``band``.
    rng : Generator

    Returns
    -------
    Gate

    Raises
    ------
    Problem
        If nobody is on duty in hours in which customers come.
    Refusal
        If fewer than five days are held out, or a site opened since.

    Notes
    -----
    Each draw has its own parameters (Bayesian bootstrap of weeks), its own random days and its
    own customers; staffing is as it was.  Eight forecasts are judged: contacts a day, mean wait,
    share who hung up and share of long waits of the whole stretch, each with two limits, and of
    each of the four the share of days that lie in the band of their day, with a lower limit.
    All limits are quantiles of the draws at one common level, the level at which a share ``band``
    of the draws has all eight inside; a draw's days depend on each other as the real ones do.
    """
    need_share(band, name="band")
    log, roster, aside = _later(service, operations, staffing, until)
    parameters = service.parameters(draws=draws, rng=rng)
    drawn = replayed(service, parameters, roster, limit_s=limit_s, rng=rng)
    seen = _seen(log, len(roster.date), limit_s)
    table = pd.DataFrame(
        [
            *_judged(drawn, seen, band=band, tolerance=tolerance),
            *_single(drawn, seen, _weeks(service, roster), kind="week", band=band),
            *_single(drawn, seen, _dates(roster), kind="day", band=band),
        ]
    )
    judged = table[table["kind"].isin(["all", "days inside"])]
    whole = judged[judged["kind"].eq("all")].set_index("quantity")["actual"]
    error = {
        name: _error_beyond_chance(values, whole[name])
        for name, values in zip(QUANTITIES, _four(drawn).T, strict=True)
    }
    return Gate(
        table=_with_nearness(table, tolerance),
        open=bool((judged["inside"] | judged["near"]).all()),
        band=band,
        tolerance=tolerance,
        wait_error=error["mean_wait_s"],
        abandon_error=error["abandoned"],
        contacts_error=error["contacts_per_day"],
        days_inside=float(table.loc[table["kind"].eq("days inside"), "actual"].mean()),
        contacts=len(log),
        set_aside=sum(n for _, n in aside),
        days=len(roster.date),
        draws=draws,
        learnt_from=service.contacts,
        limit_s=float(limit_s),
        learnt=service.span,
        foretold=span_words(log["arrived"]),
        aside=aside_words(aside),
    )


def _later(service: Service, operations, staffing, until):
    """The log and the roster of the days held out, and what was set aside."""
    arrived = local(operations["arrived"])
    later = operations[arrived >= service.until]
    log, aside = usable_log(later, calendar=service.calendar, until=until)
    if log["date"].nunique() < FEWEST_DAYS:
        raise Refusal(
            f"Only {counted(log['date'].nunique(), 'open day')} come after"
            f" {service.until:%Y-%m-%d}.",
            "hold five days or more out of the calibration, better four weeks.",
        )
    new = sorted(set(text_of(log, "site").unique()) - set(service.grid.sites))
    if new:
        raise Refusal(
            f"{', '.join(new)} had no contact in the days that were learnt from.",
            "leave the site out, or learn from days in which it was open.",
        )
    roster = roster_of(staffing, service.grid, log["date"].min(), log["date"].max())
    log, off_duty = on_duty(placed(log, service.grid, roster.date), roster)
    aside += (("at a site without staff that day", off_duty),) if off_duty else ()
    return log, roster, aside


def _seen(log: pd.DataFrame, days: int, limit_s: float) -> np.ndarray:
    """The four sums of `replayed` from the log, (1, days, 4)."""
    each = log.assign(one=1.0, long=log["wait_s"] > limit_s)
    columns = [tally(each, ["day"], (days,), of=of) for of in ("one", "wait_s", "left", "long")]
    return np.stack(columns, axis=1)[None]


def _four(sums: np.ndarray) -> np.ndarray:
    """The four quantities of a stretch from its daily sums, (draws, 4)."""
    contacts, *others = np.moveaxis(sums.sum(axis=1), -1, 0)
    some = np.maximum(contacts, 1)
    return np.stack([contacts / sums.shape[1], *(other / some for other in others)], axis=1)


def _by_day(sums: np.ndarray) -> np.ndarray:
    """The four quantities of each day, (draws, days, 4)."""
    contacts = sums[:, :, :1]
    return np.concatenate([contacts, sums[:, :, 1:] / np.maximum(contacts, 1)], axis=2)


def _judged(drawn, seen, *, band: float, tolerance: float) -> list[dict]:
    """The whole stretch, and the share of days inside: the rows that open or shut the gate."""
    of_day, came = _by_day(drawn), _by_day(seen)
    edges = np.quantile(of_day, [(1 - band) / 2, (1 + band) / 2], axis=0)
    within, found = (((edges[0] <= v) & (v <= edges[1])).mean(axis=1) for v in (of_day, came))
    values, actual = _four(drawn), _four(seen)[0]
    level = _joint_level(values, within, band)
    rows = []
    for q, name in enumerate(QUANTITIES):
        low, high = np.quantile(values[:, q], [level, 1 - level])
        rows.append(_row(name, "all", "all", values[:, q].mean(), low, high, actual[q]))
    for q, name in enumerate(QUANTITIES):
        low = np.quantile(within[:, q], level, method="lower")
        rows.append(_row(name, "days inside", "all", within[:, q].mean(), low, 1.0, found[0, q]))
    for row in rows:
        row["near"] = _is_near(row, band, tolerance)
    return rows


def _single(drawn, seen, stretches: dict, *, kind: str, band: float) -> list[dict]:
    """Predicted and actual of each week or day, one by one."""
    rows = []
    for stretch, days in stretches.items():
        values, actual = _four(drawn[:, days]), _four(seen[:, days])[0]
        low, high = np.quantile(values, [(1 - band) / 2, (1 + band) / 2], axis=0)
        for q, name in enumerate(QUANTITIES):
            rows.append(_row(name, kind, stretch, values[:, q].mean(), low[q], high[q], actual[q]))
    return rows


def _weeks(service: Service, roster: Roster) -> dict[str, np.ndarray]:
    code, mondays = pd.factorize(week_of(pd.Series(roster.date), calendar=service.calendar))
    return {f"{monday:%Y-%m-%d}": code == i for i, monday in enumerate(mondays)}


def _dates(roster: Roster) -> dict[str, np.ndarray]:
    place = np.arange(len(roster.date))
    return {f"{date:%Y-%m-%d}": place == i for i, date in enumerate(roster.date)}


def _row(name, kind, stretch, estimate, low, high, actual) -> dict:
    return {
        "quantity": name,
        "kind": kind,
        "stretch": stretch,
        "unit": "share" if kind == "days inside" else QUANTITIES[name][1],
        "estimate": float(estimate),
        "low": float(low),
        "high": float(high),
        "actual": float(actual),
        "inside": bool(low <= actual <= high),
    }


def _is_near(row: dict, band: float, tolerance: float) -> bool:
    if row["kind"] == "days inside":
        return bool(row["actual"] >= band - tolerance)
    return bool(abs(row["actual"] - row["estimate"]) <= tolerance * row["estimate"])


def _with_nearness(table: pd.DataFrame, tolerance: float) -> pd.DataFrame:
    """Say of single weeks and days too whether they are within the tolerance."""
    miss = (table["actual"] - table["estimate"]).abs() <= tolerance * table["estimate"]
    single = table["kind"].isin(["week", "day"])
    return table.assign(near=table["near"].where(~single, miss).astype(bool))


def _joint_level(two_sided: np.ndarray, one_sided: np.ndarray, band: float) -> float:
    """Tail level at which a share ``band`` of the rows has every column inside its own limits."""
    n = len(two_sided)
    low = stats.rankdata(two_sided, axis=0, method="max")
    high = stats.rankdata(-two_sided, axis=0, method="max")
    floor = stats.rankdata(one_sided, axis=0, method="max")
    depth = np.hstack([low, high, floor]).min(axis=1) / (n + 1)
    return float(np.quantile(depth, 1 - band))


def _error_beyond_chance(values: np.ndarray, actual: float) -> float:
    """Relative error of the prediction that its own spread does not explain."""
    middle = values.mean()
    if middle <= 0:
        return 0.0
    error = (actual - middle) / middle
    return float(np.sqrt(max(error**2 - (values.std() / middle) ** 2, 0.0)))
