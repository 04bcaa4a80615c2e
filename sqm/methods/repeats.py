"""Who complains again, and which letters are copies?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import clock, interval, look, near_copies, wording
from sqm.checks import Problem, Refusal, need_columns, need_one_of, need_share
from sqm.finding import Finding, counted

SOURCE = "complaints"
SMALLEST_GROUP = 5
FEWEST = 20  # complaints, customers or pairs, below which a share of them is not given
SHOWN = 280  # characters of a typical text that are shown
DRAWN = 12  # groups in a picture
HOW = ("once", "each")


@dataclass(frozen=True, eq=False)
class Repeats(Finding):
    """How many complaints come from customers who complained before or complain again.

    Attributes
    ----------
    table : DataFrame, one row per number of complaints of a customer
        ``complaints_each``, such as ``1`` or ``4 or more`` (numbers that fewer than the smallest
        group share are put together); ``customers``; ``complaints``; ``estimate``, ``low``,
        ``high``, the share of all complaints (0 to 1).
    estimate, low, high : float
        Share of complaints from customers with more than one, 0 to 1.
    customers, again : int
        Customers, and those with more than one complaint.
    complaints, not_known : int
        Complaints with a customer, and those without.
    soon, soon_low, soon_high : float
        Of complaints whose ``within_d`` days are over, the share whose customer complained again
        in that time; NaN if there are too few.
    within_d : float
    followed : int
        Complaints whose ``within_d`` days are over.
    days, days_low, days_high : float
        Median days from a customer's first to second complaint, of those who have one; NaN if
        fewer than 20.
    same, same_low, same_high : float
        Share of complaints that are of the same category as the customer's one before; NaN if
        fewer than 20, or without categories.
    same_by_chance : float
        The same if categories fell to complaints at random.
    pairs : int
        Complaints that follow another of the same customer and have a category as it has.
    frequent : int
        Complaints from which a customer counts as frequent.
    frequent_customers, frequent_complaints : int
        Those customers and their complaints; -1 if they are fewer than the smallest group.
    twice : int
        Complaints opened on the day of the customer's one before, of the same category.
    confidence : float
    """

    estimate: float
    low: float
    high: float
    customers: int
    again: int
    complaints: int
    not_known: int
    soon: float
    soon_low: float
    soon_high: float
    within_d: float
    followed: int
    days: float
    days_low: float
    days_high: float
    same: float
    same_low: float
    same_high: float
    same_by_chance: float
    pairs: int
    frequent: int
    frequent_customers: int
    frequent_complaints: int
    twice: int
    confidence: float

    def sentence(self) -> str:
        first = (
            f"{self._share(self.estimate, self.low, self.high)} of complaints come from customers "
            f"who complained more than once ({self.again:,} of {self.customers:,} customers)."
        )
        rest = [self._soon(), self._days(), self._same(), self._frequent(), self._basis()]
        return f"{first}\n{' '.join(filter(None, rest))}"

    def _share(self, *limits: float) -> str:
        limits = (100 * each for each in limits)
        return interval.spell(*limits, confidence=self.confidence, digits=1, unit="%")

    def _soon(self) -> str:
        if np.isnan(self.soon):
            return f"Too few complaints lie {self.within_d:g} days back to say how many return."
        return (
            f"After a complaint {self._share(self.soon, self.soon_low, self.soon_high)} complain "
            f"again within {self.within_d:g} days ({self.followed:,} complaints that lie so far "
            "back)."
        )

    def _days(self) -> str:
        if np.isnan(self.days):
            return ""
        limits = (self.days, self.days_low, self.days_high)
        told = interval.spell(*limits, confidence=self.confidence, digits=0, unit="days")
        return (
            f"From the first to the second it took a median of {told}; pauses longer than the "
            "file cannot be seen."
        )

    def _same(self) -> str:
        if np.isnan(self.same):
            return ""
        verdict = "no more than chance can make"
        if self.same_low > self.same_by_chance:
            verdict = "more than chance makes"
        elif self.same_high < self.same_by_chance:
            verdict = "less than chance makes"
        return (
            f"{self._share(self.same, self.same_low, self.same_high)} of repeats are of the "
            f"category of the one before, where chance alone gives "
            f"{100 * self.same_by_chance:.1f} %: {verdict}."
        )

    def _frequent(self) -> str:
        words = ""
        if self.frequent_customers > 0:
            words = (
                f"{self.frequent_customers:,} customers with {self.frequent} complaints or more "
                f"sent {100 * self.frequent_complaints / self.complaints:.1f} % of all; who they "
                "are is not kept: read what failed for them before anything is said of them."
            )
        elif self.frequent_customers < 0:
            words = (
                f"Fewer than {SMALLEST_GROUP} customers have {self.frequent} complaints or more."
            )
        if self.twice:
            words += (
                f" {counted(self.twice, 'complaint')} came on the day of the one before and of "
                "its category: look whether they were recorded twice."
            )
        return words.strip()

    def _basis(self) -> str:
        words = (
            "Counted within this file: who complained before it began, or will after it ends, "
            "looks like a single complainer, so the first share grows with the length of the file."
        )
        if self.not_known:
            words += f" {self.not_known:,} complaints without a customer or a date are left out."
        return words

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        rows = self.table.assign(
            **{each: 100 * self.table[each] for each in ("estimate", "low", "high")}
        )
        names = [
            f"{r.complaints_each} ({counted(r.customers, 'customer')})" for r in rows.itertuples()
        ]
        look.dots(ax, rows, names=names)
        ax.set_xlim(left=0)
        ax.set_ylabel("complaints of one customer")
        return look.label(
            ax,
            title="Who complains again?",
            x=f"share of {self.complaints:,} complaints, %",
            y="complaints of one customer",
        )


@dataclass(frozen=True, eq=False)
class Copies(Finding):
    """Groups of complaints that share one wording.

    Attributes
    ----------
    table : DataFrame, one row per group of five texts or more, the largest first
        ``group``, its number; ``copies``, texts in it; ``estimate``, ``low``, ``high``, its share
        of all texts (0 to 1); ``first``, ``last``, when they were opened; ``days`` between;
        ``busiest_week``, copies in the week that has most beyond its share; ``burst``, whether
        these are more than chance makes; ``customers`` who sent them (NaN if fewer than five or
        not known); ``main_category`` and ``main_category_share``, met most often among them;
        ``typical``, the first text, masked (blank unless quoting is allowed).
    estimate, low, high : float
        Share of texts that repeat an earlier one, 0 to 1.
    texts, blank : int
        Texts given, and complaints without one.
    repeated : int
        Texts that repeat an earlier one.
    groups, small_groups : int
        Groups in all, and those of fewer than five texts, which have no row.
    bursts : int
        Groups of the table that came in a burst.
    confidence : float
    """

    estimate: float
    low: float
    high: float
    texts: int
    blank: int
    repeated: int
    groups: int
    small_groups: int
    bursts: int
    confidence: float

    def sentence(self) -> str:
        limits = (100 * each for each in (self.estimate, self.low, self.high))
        found = interval.spell(*limits, confidence=self.confidence, digits=1, unit="%")
        first = f"{found} of texts are near-copies of an earlier one, in {self._groups()}."
        rest = [self._with_firsts(), self._largest(), self._bursts(), self._basis()]
        return f"{first}\n{' '.join(filter(None, rest))}"

    def _groups(self) -> str:
        words = counted(self.groups, "group")
        if self.small_groups:
            words += f", {self.small_groups:,} of them of fewer than {SMALLEST_GROUP} texts"
        return words

    def _largest(self) -> str:
        if self.table.empty:
            return f"No wording is shared by {SMALLEST_GROUP} texts or more."
        row = self.table.iloc[0]
        words = f"The largest has {row['copies']:,} texts"
        if pd.notna(row["first"]):
            words += f", from {row['first']:%Y-%m-%d} to {row['last']:%Y-%m-%d}"
        if row["main_category"]:
            name = look.shorten(row["main_category"], width=40)
            words += f", {100 * row['main_category_share']:.0f} % filed under {name}"
        return f"{words}."

    def _bursts(self) -> str:
        if self.table.empty or self.table["first"].isna().all():
            return ""
        if not self.bursts:
            return "None came in a burst: their weeks are those of all texts."
        return (
            f"{counted(self.bursts, 'group')} came in a burst (more in one week than chance makes "
            f"in any week of any group, at {100 * self.confidence:.4g} %): a campaign or one event."
        )

    def _basis(self) -> str:
        words = (
            f"On {self.texts:,} texts; copies differ in figures and punctuation only or share 70 % "
            "of their runs of three words (five characters of Chinese). The interval is "
            "approximate: it takes groups as independent. A copied letter is still the complaint "
            "of whoever sent it: count copies once to learn what is said, each to learn how many "
            "say it."
        )
        return words + (f" {self.blank:,} complaints have no text." if self.blank else "")

    def _with_firsts(self) -> str:
        both = self.repeated + self.groups
        return f"With the first of each group {100 * both / self.texts:.1f} % share their wording."

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        title = "Which letters are copies, and when did they come?"
        shown = self.table.head(DRAWN)
        if shown.empty or shown["first"].isna().all():
            rows = shown.assign(**{c: 100 * shown[c] for c in ("estimate", "low", "high")})
            look.dots(ax, rows, names=[self._name(row) for row in shown.itertuples()])
            return look.label(ax, title=title, x="share of all texts, %")
        for at, row in enumerate(shown.itertuples()):
            what = "worse" if row.burst else "usual"
            colour = look.MEANING[what]
            ax.plot([row.first, row.last], [at, at], color=colour, lw=1.6)
            ends = [row.first, row.last]
            ax.plot(ends, [at, at], ls="", marker=look.MARKER[what], color=colour, ms=6)
        ax.set_yticks(range(len(shown)), [self._name(row) for row in shown.itertuples()])
        ax.set_ylim(len(shown) - 0.5, -0.5)
        rest = len(self.table) - len(shown)
        more = f"; {rest:,} smaller not drawn" if rest else ""
        look.label(ax, title=title, x=f"opened (down: a burst{more})")
        return look.dates(ax)

    def _name(self, row) -> str:
        known = f" · {row.main_category}" if row.main_category else ""
        return look.shorten(f"{row.copies:,} texts{known}")


def repeats(
    complaints: pd.DataFrame,
    *,
    customer: str = "customer",
    opened: str = "opened",
    category: str = "category",
    within_d: float = 90.0,
    frequent: int = 5,
    confidence: float = 0.95,
) -> Repeats:
    """Say how many complaints come from customers who complain again, when, and of what.

    Parameters
    ----------
    complaints : DataFrame, one row per complaint
    customer, opened : str
        Columns; a row without either is left out.
    category : str
        Column; if there is none, repeats are not set against the category before.
    within_d : float, default 90
        Days in which a customer who complains again comes back soon.
    frequent : int, default 5
        Complaints from which a customer counts as frequent.
    confidence : float, default 0.95

    Returns
    -------
    Repeats
        No customer is named in it.

    Raises
    ------
    Problem
        If times are no times, or a setting is out of range.
    Refusal
        If a column is missing, or fewer than 20 complaints have a customer and a date.

    Notes
    -----
    Shares of complaints have Wilson's interval at the effective number of rows, complaints of one
    customer going together (`interval.share`).  The median wait has the limits of order
    statistics, one pause a customer, so that pauses are independent.  Chance alone gives two
    complaints the same category with sum n_k (n_k - 1) / (n (n - 1)), n_k being the complaints of
    each among those compared.

    Examples
    --------
    Of 30 complaints 10 come from five customers with two each.

    >>> cases = pd.DataFrame({"customer": [*range(20), *list(range(20, 25)) * 2],
    ...                       "opened": pd.date_range("2025-01-01", periods=30)})
    >>> found = repeats(cases)
    >>> round(found.estimate, 4), found.again, found.table["customers"].tolist()
    (0.3333, 5, [20, 5])
    """
    need_columns(complaints, [customer, opened], source=SOURCE)
    need_share(confidence, name="confidence")
    _need_settings(within_d, frequent)
    rows = _by_customer(complaints, customer, opened, category)
    sizes = rows.groupby("customer")["time"].transform("size")
    whole = _clustered(sizes > 1, rows, confidence)
    per_customer = sizes.groupby(rows["customer"]).first()
    soon, followed = _soon(rows, within_d, confidence)
    same, by_chance, pairs = _same(rows, confidence)
    often = per_customer[per_customer >= frequent]
    few = 0 < len(often) < SMALLEST_GROUP
    return Repeats(
        table=_sizes_table(rows, sizes, confidence),
        **_limits("", whole),
        customers=len(per_customer),
        again=int((per_customer > 1).sum()),
        complaints=len(rows),
        not_known=len(complaints) - len(rows),
        **_limits("soon", soon),
        within_d=float(within_d),
        followed=followed,
        **_limits("days", _first_pause(rows, confidence)),
        **_limits("same", same),
        same_by_chance=by_chance,
        pairs=pairs,
        frequent=frequent,
        frequent_customers=-1 if few else len(often),
        frequent_complaints=-1 if few else int(often.sum()),
        twice=_twice(rows),
        confidence=confidence,
    )


def copies(
    complaints: pd.DataFrame,
    *,
    text: str = "text",
    opened: str = "opened",
    category: str = "category",
    customer: str = "customer",
    quote: bool = False,
    confidence: float = 0.95,
) -> Copies:
    """Find the groups of texts that share one wording, and say whether they came in a burst.

    Parameters
    ----------
    complaints : DataFrame, one row per complaint
    text : str
        Column; a blank one is no text.
    opened, category, customer : str
        Columns; what is not there is not told.
    quote : bool
        Whether a masked text of each group may be shown.
    confidence : float, default 0.95

    Returns
    -------
    Copies

    Raises
    ------
    Refusal
        If there is no column of texts, or fewer than 20 texts.

    Notes
    -----
    Near-copies are those of `sqm.near_copies`, on masked texts of up to 4,000 characters.  The
    share that repeats an earlier text has Wilson's interval at the effective number of texts, a
    group going together.  A burst: in the week where a group's copies exceed their share of all
    texts most, the binomial chance of so many, times weeks and groups (Bonferroni), is below 1 -
    ``confidence``.

    Examples
    --------
    >>> texts = ["Refund 12 EUR, please."] * 3 + ["It was late."]
    >>> found = copies(pd.DataFrame({"text": texts * 6}))
    >>> found.repeated, found.table["copies"].tolist()
    (22, [18, 6])
    """
    need_columns(complaints, [text], source=SOURCE)
    need_share(confidence, name="confidence")
    of = _copied(complaints[text])
    if len(of) < FEWEST:
        raise Refusal(
            f"{SOURCE} has {counted(len(of), 'text')}, where copies need {FEWEST}.",
            "collect more, or read them.",
        )
    rows = _beside(complaints, of, opened, category, customer)
    sizes = rows["group"].value_counts()
    repeated = pd.Series((of.index != of.to_numpy()), index=of.index)
    whole = interval.share(repeated, clusters=rows[["group"]], confidence=confidence)
    shared = sizes[sizes > 1]
    kept = shared[shared >= SMALLEST_GROUP].sort_index().sort_values(ascending=False, kind="stable")
    table = _groups_table(rows, kept, complaints[text].reset_index(drop=True), quote, confidence)
    return Copies(
        table=table,
        estimate=whole.estimate,
        low=whole.low,
        high=whole.high,
        texts=len(of),
        blank=len(complaints) - len(of),
        repeated=int(repeated.sum()),
        groups=len(shared),
        small_groups=len(shared) - len(kept),
        bursts=int(table["burst"].sum()),
        confidence=confidence,
    )


def count_copies(
    complaints: pd.DataFrame, *, how: str = "once", text: str = "text"
) -> pd.DataFrame:
    """Leave one complaint of each group of near-copies, or all, with the size of their group.

    Parameters
    ----------
    complaints : DataFrame, one row per complaint
    how : {"once", "each"}
        ``once``: the first row of each group stays; ``each``: all rows stay.
    text : str
        Column; complaints with a blank one all stay.

    Returns
    -------
    DataFrame
        The rows that stay, in their order, with ``copies``: complaints that have this wording,
        itself included.

    Raises
    ------
    Problem
        If ``how`` is neither.
    Refusal
        If there is no column of texts.

    Examples
    --------
    >>> cases = pd.DataFrame({"text": ["Refund 12 EUR.", "refund 9 eur", "It was late."]})
    >>> count_copies(cases)["copies"].to_dict()
    {0: 2, 2: 1}
    """
    need_one_of(how, HOW, name="how")
    need_columns(complaints, [text], source=SOURCE)
    of = _copied(complaints[text])
    group = np.arange(len(complaints))
    group[of.index] = of.to_numpy()
    sizes = np.bincount(group, minlength=len(group))[group]
    counted_rows = complaints.assign(copies=sizes)
    if how == "each":
        return counted_rows
    return counted_rows[group == np.arange(len(group))]


# --- Customers ------------------------------------------------------------------------------------


def _need_settings(within_d: float, frequent: int) -> None:
    if not within_d > 0:
        raise Problem(f"within_d is {within_d}.", "give days above 0, such as 90.")
    if frequent < 2:
        raise Problem(f"frequent is {frequent}.", "give 2 complaints or more.")


def _by_customer(complaints, customer: str, opened: str, category: str) -> pd.DataFrame:
    """Customer, time and category of each complaint, by customer and time."""
    if not pd.api.types.is_datetime64_any_dtype(complaints[opened]):
        raise Problem(f"{opened!r} holds no times.", "give its type as time in the parameters.")
    said = complaints[customer].astype("str").str.strip()
    who, _ = pd.factorize(said.where(complaints[customer].notna() & said.ne("")), sort=True)
    rows = pd.DataFrame({"customer": who, "time": clock.local(complaints[opened])})
    rows["category"] = complaints[category].astype("str") if category in complaints else None
    rows = rows[(who >= 0) & rows["time"].notna().to_numpy()]
    if len(rows) < FEWEST:
        raise Refusal(
            f"{counted(len(rows), 'complaint')} with a customer and a date, where repeats need "
            f"{FEWEST}.",
            "give the column that says who complains, or collect more.",
        )
    rows = rows.sort_values(["customer", "time"], kind="stable", ignore_index=True)
    before = rows.shift()
    follows = rows["customer"].eq(before["customer"])
    return rows.assign(
        follows=follows,
        pause_d=((rows["time"] - before["time"]) / pd.Timedelta(days=1)).where(follows),
        category_before=before["category"].where(follows),
    )


def _limits(name: str, found: tuple[float, float, float]) -> dict[str, float]:
    names = (name, f"{name}_low", f"{name}_high") if name else ("estimate", "low", "high")
    return dict(zip(names, found, strict=True))


def _clustered(hits: pd.Series, rows: pd.DataFrame, confidence: float) -> tuple:
    found = interval.share(hits, clusters=rows.loc[hits.index, ["customer"]], confidence=confidence)
    return found.estimate, found.low, found.high


def _sizes_table(rows: pd.DataFrame, sizes: pd.Series, confidence: float) -> pd.DataFrame:
    """Complaints by how many their customer has; rare numbers put together."""
    customers = sizes[~rows["follows"]].value_counts().sort_index()
    steps, from_here = [], None
    for size in customers.index:
        left = int(customers[customers.index > size].sum())
        if customers[size] < SMALLEST_GROUP or 0 < left < SMALLEST_GROUP:
            from_here = int(size)
            break
        steps.append(int(size))
    if from_here is not None and customers[customers.index >= from_here].sum() < SMALLEST_GROUP:
        from_here = steps.pop() if steps else from_here
    parts = [(str(step), sizes == step) for step in steps]
    if from_here is not None:
        parts.append((f"{from_here} or more", sizes >= from_here))
    table = []
    for name, inside in parts:
        estimate = _clustered(inside, rows, confidence)
        table.append([name, int((inside & ~rows["follows"]).sum()), int(inside.sum()), *estimate])
    columns = ["complaints_each", "customers", "complaints", "estimate", "low", "high"]
    return pd.DataFrame(table, columns=columns)


def _soon(rows: pd.DataFrame, within_d: float, confidence: float) -> tuple[tuple, int]:
    """Of the complaints whose time is over, the share followed by another in that time."""
    over = rows["time"] <= rows["time"].max() - pd.Timedelta(days=within_d)
    if over.sum() < FEWEST:
        return (np.nan,) * 3, int(over.sum())
    after = rows["pause_d"].shift(-1)
    return _clustered((after <= within_d)[over], rows, confidence), int(over.sum())


def _first_pause(rows: pd.DataFrame, confidence: float) -> tuple[float, float, float]:
    """Median days to the second complaint, with the limits of order statistics."""
    pauses = rows[rows["follows"]].groupby("customer")["pause_d"].first().sort_values().to_numpy()
    n = len(pauses)
    if n < FEWEST:
        return (np.nan,) * 3
    below = int(stats.binom.ppf((1 - confidence) / 2, n, 0.5))
    return float(np.median(pauses)), float(pauses[below - 1]), float(pauses[n - below])


def _same(rows: pd.DataFrame, confidence: float) -> tuple[tuple, float, int]:
    """Share of repeats in the category of the one before, what chance gives, and how many."""
    known = rows["category"].notna()
    pairs = rows[known & rows["category_before"].notna()]
    if len(pairs) < FEWEST:
        return (np.nan,) * 3, np.nan, len(pairs)
    same = pairs["category"].eq(pairs["category_before"])
    among = rows.loc[known & rows["customer"].isin(pairs["customer"]), "category"]
    counts, n = among.value_counts().to_numpy(), len(among)
    chance = float((counts * (counts - 1)).sum() / (n * (n - 1)))
    return _clustered(same, rows, confidence), chance, len(pairs)


def _twice(rows: pd.DataFrame) -> int:
    same_day = rows["time"].dt.normalize().eq(rows["time"].shift().dt.normalize())
    same_kind = rows["category"].eq(rows["category_before"]) & rows["category"].notna()
    return int((rows["follows"] & same_day & same_kind).sum())


# --- Copies ---------------------------------------------------------------------------------------


def _copied(texts: pd.Series) -> pd.Series:
    """For each row with a text (by its place) the place of the one it copies, or its own."""
    said = wording.readable(texts)
    return near_copies.near_copies(said) if len(said) else pd.Series(dtype=int)


def _beside(complaints, of: pd.Series, opened, category, customer) -> pd.DataFrame:
    """What is known of each text: its group, time, category and customer."""
    rows = pd.DataFrame({"group": of})
    have = complaints.reset_index(drop=True).loc[of.index]
    timed = opened in have and pd.api.types.is_datetime64_any_dtype(have[opened])
    rows["time"] = clock.local(have[opened]) if timed else pd.NaT
    for name, column in (("category", category), ("customer", customer)):
        rows[name] = have[column].astype("str") if column in have else None
    return rows


def _groups_table(rows, kept: pd.Series, texts: pd.Series, quote, confidence) -> pd.DataFrame:
    columns = [
        "group", "copies", "estimate", "low", "high", "first", "last", "days", "busiest_week",
        "burst", "customers", "main_category", "main_category_share", "typical",
    ]  # fmt: skip
    week = (rows["time"] - rows["time"].min()).dt.days // 7
    all_weeks = week.value_counts(normalize=True).sort_index()
    inside = rows[rows["group"].isin(kept.index)]
    each = dict(tuple(inside.assign(week=week).groupby("group")))
    table = []
    for number, (group, size) in enumerate(kept.items(), start=1):
        mine = each[group]
        share = size / len(rows)
        shown = wording.readable(texts.loc[[group]]).iloc[0] if quote else ""
        table.append(
            [
                number, int(size), share, *interval.wilson(share, len(rows), confidence=confidence),
                *_when(mine, all_weeks, len(kept), confidence), _senders(mine), *_main(mine),
                look.shorten(shown, width=SHOWN),
            ]
        )  # fmt: skip
    return pd.DataFrame(table, columns=columns).astype({"burst": bool})


def _when(mine: pd.DataFrame, all_weeks: pd.Series, groups: int, confidence: float) -> list:
    """First, last, days between, copies in the busiest week, and whether that is a burst."""
    times = mine["time"].dropna()
    if times.empty:
        return [pd.NaT, pd.NaT, np.nan, np.nan, False]
    counts = mine["week"].value_counts().sort_index()
    chance = stats.binom.sf(counts - 1, counts.sum(), all_weeks.reindex(counts.index))
    at = int(np.argmin(chance))
    burst = bool(chance[at] * len(all_weeks) * groups < 1 - confidence)
    days = (times.max() - times.min()) / pd.Timedelta(days=1)
    return [times.min(), times.max(), days, float(counts.iloc[at]), burst]


def _senders(mine: pd.DataFrame) -> float:
    found = mine["customer"].dropna().nunique()
    return float(found) if found >= SMALLEST_GROUP else np.nan


def _main(mine: pd.DataFrame) -> list:
    known = mine["category"].dropna()
    known = known[known.str.strip() != ""] if len(known) else known
    if known.empty:
        return ["", np.nan]
    shares = known.value_counts(normalize=True).sort_index()
    return [str(shares.idxmax()), float(shares.max())]
