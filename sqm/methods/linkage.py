"""Which contact did each complaint arise from?"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes

from sqm import interval, look
from sqm.checks import Problem, Refusal, first_rows, need_columns
from sqm.finding import Finding

ENDINGS = ("resolved", "unresolved", "abandoned")
UNKNOWN = "not known"


@dataclass(frozen=True, eq=False)
class Linked(Finding):
    """How complaints and contacts belong together.

    Attributes
    ----------
    table : DataFrame, one row for all contacts and one per ending
        ``ending``; ``contacts``, how many ended so; ``complained``, how many
        of them drew a complaint; ``estimate, low, high``, that share, 0 to 1.
    complaints : int
        Complaints in all; the next three add up to it.
    linked, astray, nameless : int
        Those that name a contact on file, those that name one that is not
        there, and those that name none.
    contacts, complained, repeated : int
        Contacts on file, those that drew a complaint, and those that drew more than one.
    estimate, low, high : float
        Share of contacts that drew a complaint, 0 to 1.
    confidence : float
        Level of the intervals.
    clustered : bool
        Whether the intervals allow for contacts of one agent or site being alike.
    """

    complaints: int
    linked: int
    astray: int
    nameless: int
    contacts: int
    complained: int
    repeated: int
    estimate: float
    low: float
    high: float
    confidence: float
    clustered: bool

    def sentence(self) -> str:
        rate = interval.spell(
            self.estimate * 100,
            self.low * 100,
            self.high * 100,
            confidence=self.confidence,
            unit="%",
        )
        return (
            f"{self.complained:,} of {self.contacts:,} contacts drew a complaint, {rate}; "
            f"{self.repeated:,} drew more than one.\n"
            f"{self.linked:,} of {self.complaints:,} complaints name a contact on file; "
            f"{self.nameless:,} name none and {self.astray:,} name one that is not there."
            f"{self._worst()}{self._missing()} Complaints still to come of the newest contacts are"
            f" missing too.{self._alike()}"
        )

    def _alike(self) -> str:
        return " Contacts of one agent or site may be alike." if self.clustered else ""

    def _worst(self) -> str:
        known = self.table[self.table["ending"].isin(ENDINGS)].dropna(subset="estimate")
        if len(known) < 2:
            return ""
        known = known.sort_values("estimate", ascending=False, kind="stable")
        parts = [f"{each.ending} {each.estimate * 100:.2f} %" for each in known.itertuples()]
        return f" By how the contact ended: {', '.join(parts)}."

    def _missing(self) -> str:
        lost = self.complaints - self.linked
        if not lost:
            return ""
        return (
            f" The {lost:,} without a contact are not in these rates, which therefore "
            f"miss {lost / self.complaints * 100:.1f} % of the complaints."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        shares = self.table.assign(**(self.table[["estimate", "low", "high"]] * 100))
        look.dots(ax, shares, names=shares["ending"])
        return look.label(
            ax,
            title="After which contacts do people complain?",
            x=f"contacts that drew a complaint (%), {self.confidence * 100:.4g}% interval",
        )


def with_complaints(
    contacts: pd.DataFrame,
    complaints: pd.DataFrame,
    *,
    contact: str = "contact",
    abandoned: str | None = None,
    resolved: str | None = None,
) -> pd.DataFrame:
    """Say of every contact whether it drew a complaint and how it ended.

    Parameters
    ----------
    contacts : DataFrame, one row per contact
        The columns named below, and any others, which are kept.
    complaints : DataFrame, one row per complaint
        Its column ``contact`` names the contact it arose from, blank if not known.
    contact : str
        Column of both tables.
    abandoned, resolved : str, optional
        Columns of ``contacts`` that hold true or false, blank where not
        known; an empty name for none.  By default those called so, if they are there.

    Returns
    -------
    DataFrame, the rows of ``contacts`` in their order
        With ``complained`` (bool) and ``ending``: abandoned, else resolved or
        unresolved, else blank.

    Raises
    ------
    Problem
        If a column is missing, a contact appears twice, or the two tables
        write contacts in different ways.
    Refusal
        If no complaint names any contact on file.

    Examples
    --------
    >>> contacts = pd.DataFrame({"contact": ["a", "b", "c"], "abandoned": [False, True, False],
    ...                          "resolved": pd.array([True, None, False], dtype="boolean")})
    >>> complaints = pd.DataFrame({"contact": ["c", None]})
    >>> with_complaints(contacts, complaints)[["complained", "ending"]].values.tolist()
    [[False, 'resolved'], [False, 'abandoned'], [True, 'unresolved']]
    """
    abandoned = _usual("abandoned", contacts) if abandoned is None else abandoned
    resolved = _usual("resolved", contacts) if resolved is None else resolved
    _need_one_row_each(contacts, complaints, contact, [abandoned, resolved])
    named = complaints[contact].dropna()
    complained = contacts[contact].isin(named) & contacts[contact].notna()
    if not complained.any():
        raise Refusal(
            f"None of {len(complaints):,} complaints names a contact on file"
            f"{_as_written(named, contacts[contact])}.",
            f"check that {contact!r} is written alike in both tables, or leave out what follows.",
        )
    return contacts.assign(
        complained=complained.astype(bool), ending=_ending(contacts, abandoned, resolved)
    )


def _as_written(named: pd.Series, on_file: pd.Series) -> str:
    """One identifier of each table, side by side, so that the eye sees how they differ."""
    on_file = on_file.dropna()
    if named.empty or on_file.empty:
        return ": the column is blank"
    one, other = (look.shorten(str(each.iloc[0])) for each in (named, on_file))
    return f" (a complaint names {one!r}; a contact is called {other!r})"


def linked(
    contacts: pd.DataFrame,
    complaints: pd.DataFrame,
    *,
    contact: str = "contact",
    abandoned: str | None = None,
    resolved: str | None = None,
    agent: str = "agent",
    site: str = "site",
    confidence: float = 0.95,
) -> Linked:
    """Count how complaints and contacts belong together, and what share of each ending complains.

    Parameters
    ----------
    contacts, complaints, contact, abandoned, resolved
        As for `with_complaints`.
    agent, site : str
        Columns of ``contacts``.  Contacts of one agent are allowed to be
        alike, and so are those of one site that reached no agent; a column
        that is not there is passed over.
    confidence : float, default 0.95

    Returns
    -------
    Linked

    Raises
    ------
    Problem, Refusal
        As `with_complaints`.

    Notes
    -----
    The intervals are Wilson's at the effective number of contacts (`interval.share`).

    Examples
    --------
    >>> contacts = pd.DataFrame({"contact": ["a", "b", "c", "d"], "abandoned": False,
    ...                          "resolved": [True, True, False, False]})
    >>> complaints = pd.DataFrame({"contact": ["c", "c", "z", None]})
    >>> found = linked(contacts, complaints)
    >>> found.linked, found.astray, found.nameless, found.repeated, found.estimate
    (2, 1, 1, 1, 0.25)
    """
    whole = with_complaints(
        contacts, complaints, contact=contact, abandoned=abandoned, resolved=resolved
    )
    groups = _alike(whole, agent, site)
    named = complaints[contact].dropna()
    on_file = named[named.isin(whole.loc[whole["complained"], contact])]
    table = _rates(whole, groups, confidence)
    return Linked(
        table=table,
        complaints=len(complaints),
        linked=len(on_file),
        astray=len(named) - len(on_file),
        nameless=len(complaints) - len(named),
        contacts=len(whole),
        complained=int(whole["complained"].sum()),
        repeated=int((on_file.value_counts() > 1).sum()),
        **{name: float(table.loc[0, name]) for name in ("estimate", "low", "high")},
        confidence=confidence,
        clustered=groups is not None,
    )


def _usual(name: str, contacts: pd.DataFrame) -> str:
    return name if name in contacts else ""


def _need_one_row_each(contacts, complaints, contact: str, flags: list[str]) -> None:
    need_columns(contacts, [contact, *filter(None, flags)], source="contacts")
    need_columns(complaints, [contact], source="complaints")
    known = contacts[contact].dropna()
    twice = known[known.duplicated()]
    if len(twice):
        raise Problem(
            f"contacts: {len(twice)} rows name a contact that an earlier row has named"
            f" (first rows: {first_rows(twice)}; values: {twice.unique().tolist()[:5]}).",
            "keep one row a contact; if the rows are legs of one contact, join them first.",
        )
    named = complaints[contact].dropna()
    numbers = [pd.api.types.is_numeric_dtype(column) for column in (known, named)]
    if len(known) and len(named) and numbers[0] != numbers[1]:
        raise Problem(
            f"{contact!r} is a number in one table and text in the other.",
            "read both as text, so that 007 stays 007.",
        )


def _ending(contacts: pd.DataFrame, abandoned: str, resolved: str) -> pd.Series:
    ending = pd.Series(pd.NA, index=contacts.index, dtype="str")
    if resolved:
        solved = _flag(contacts, resolved)
        ending = ending.mask(solved.eq(True).fillna(False), "resolved")
        ending = ending.mask(solved.eq(False).fillna(False), "unresolved")
    if abandoned:
        ending = ending.mask(_flag(contacts, abandoned).fillna(False), "abandoned")
    return ending


def _flag(contacts: pd.DataFrame, column: str) -> pd.Series:
    try:
        return contacts[column].astype("boolean")
    except (TypeError, ValueError):
        odd = contacts[column].dropna().unique().tolist()[:5]
        raise Problem(
            f"contacts: {column!r} should hold true and false, and holds {odd}.",
            f"say under `data:` which values of {column!r} mean true and false.",
        ) from None


def _alike(contacts: pd.DataFrame, agent: str, site: str) -> pd.DataFrame | None:
    """The agent of each contact, or its site where there was none."""
    if agent in contacts and site in contacts:
        nobody = "no agent, " + contacts[site].astype("str").fillna("no site")
        return _numbered(contacts[agent].astype("str").fillna(nobody))
    for column in (agent, site):
        if column in contacts:
            return _numbered(contacts[column].astype("str").fillna("none"))
    return None


def _numbered(names: pd.Series) -> pd.DataFrame:
    """Numbers group faster than names."""
    return pd.DataFrame({"group": pd.factorize(names)[0]}, index=names.index)


def _rates(contacts: pd.DataFrame, groups: pd.DataFrame | None, confidence: float) -> pd.DataFrame:
    ending = contacts["ending"].fillna(UNKNOWN)
    rows = [_rate("all", contacts["complained"], groups, confidence)]
    for each in (*ENDINGS, UNKNOWN):
        here = ending.eq(each)
        if here.any():
            of_these = None if groups is None else groups[here]
            rows.append(_rate(each, contacts.loc[here, "complained"], of_these, confidence))
    return pd.DataFrame(rows)


def _rate(ending: str, complained: pd.Series, groups: pd.DataFrame | None, confidence: float):
    if groups is not None and groups["group"].nunique() < 2:
        groups = None  # one group shows nothing of how groups differ
    found = interval.share(complained, clusters=groups, confidence=confidence)
    return {
        "ending": ending,
        "contacts": found.n,
        "complained": int(complained.sum()),
        "estimate": found.estimate,
        "low": found.low,
        "high": found.high,
    }
