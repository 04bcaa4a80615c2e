"""Whom shall we interview, and how many?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from sqm import look
from sqm.checks import Problem, Refusal, need_columns, need_share
from sqm.finding import Finding, counted

SOURCE = "the complaints"
BLANK = "(blank)"
OWN = ("role", "order", "complaint", "heavy", "stratum", "probability", "weight", "size", "shuffle")
OWN += ("drawn", "at")  # columns that the plan makes itself
SHARES = (0.05, 0.1, 0.2, 0.3)  # of complainants, for the picture


@dataclass(frozen=True, eq=False)
class InterviewPlan(Finding):
    """Which complaints to follow up in an interview, and what that many can hear.

    Attributes
    ----------
    table : DataFrame, one row per complaint drawn, interviews first
        ``role``, "interview" or "reserve"; ``order``, within the role and the
        stratum; ``complaint`` (its identifier, and nothing that names a
        person); the columns of ``by``; ``heavy``, whether it is severe or costly
        by the rule given; ``stratum``, the value of the first column of ``by``;
        ``probability`` of being drawn (missing for the reserve) and ``weight``,
        the complaints it stands for.
    interviews, reserve, complaints : int
        Interviews planned, complaints in reserve, complaints drawn from.
    strata, unheard : int
        Values of the first column of ``by``, and how many of them get no interview.
    heavy, heavy_drawn : int
        Severe or costly complaints there are, and among the interviews.
    share : float
        The problem looked for: share of complainants who have it, 0 to 1.
    heard : float
        Chance that at least one interview hears it, drawn without replacement.
    certainty : float
        The chance wanted.
    needed : int
        Interviews that reach it, of so many complaints.
    smallest_share : float
        Share of complainants above which a problem is heard with that chance.
    by : tuple of str
        Columns over which the interviews are spread.
    """

    interviews: int
    reserve: int
    complaints: int
    strata: int
    unheard: int
    heavy: int
    heavy_drawn: int
    share: float
    heard: float
    certainty: float
    needed: int
    smallest_share: float
    by: tuple[str, ...]

    def sentence(self) -> str:
        first = (
            f"Interview {self.interviews} of {counted(self.complaints, 'complainant')}: a problem "
            f"that {100 * self.share:.4g} % of them have is heard at least once with chance "
            f"{100 * self.heard:.0f} %; {self._enough()}."
        )
        return f"{first}\n{' '.join(filter(None, self._rest()))}"

    def _enough(self) -> str:
        if self.interviews >= self.needed:
            return f"{self.needed} would do for {100 * self.certainty:.4g} %"
        return f"{100 * self.certainty:.4g} % takes {self.needed}"

    def _rest(self) -> list[str]:
        spread = f"The draw is random and spread over {' and '.join(self.by)} in proportion"
        every = f", each of {counted(self.strata, 'value')} of {self.by[0]} at least once"
        missed = (
            f"; {self.unheard} of {counted(self.strata, 'value')} of {self.by[0]} get no interview"
        )
        return [
            f"With so many interviews, problems of {100 * self.smallest_share:.3g} % of "
            f"complainants and more are heard with chance {100 * self.certainty:.4g} %.",
            f"{spread}{missed if self.unheard else every}.",
            f"Severe or costly cases are {self.heavy_drawn} of the {self.interviews} and "
            f"{100 * self.heavy / self.complaints:.0f} % of all complaints; use the weights before "
            "anything is counted."
            if self.heavy
            else "",
            f"{counted(self.reserve, 'complaint')} in reserve: replace who declines by the next of "
            "the same stratum."
            if self.reserve
            else "",
            "The chances hold for a plain random draw and for problems that a person who has them "
            "tells; those who never complained are not heard at all.",
        ]

    def plot(self, ax: Axes | None = None) -> Axes:
        ax = look.axes(ax)
        most = max(self.interviews, self.needed, 30)
        n = np.arange(0, min(ceil(1.15 * most), self.complaints) + 1)
        for share, style in zip(SHARES, (":", "--", "-.", "-"), strict=True):
            chance = [100 * chance_heard(share, int(each), of=self.complaints) for each in n]
            ax.plot(n, chance, style, color=look.MEANING["usual"], label=f"{share:.0%} have it")
        ax.axvline(self.interviews, color=look.MEANING["better"], lw=2, label="planned")
        ax.axhline(100 * self.certainty, color=look.MEANING["limit"], label="wanted")
        ax.set_ylim(0, 102)
        ax.legend(fontsize="small", frameon=False)
        return look.label(
            ax,
            title="How many interviews until a problem is heard?",
            x="interviews",
            y="chance that one or more hear it, %",
        )


def interview_plan(
    complaints: pd.DataFrame,
    *,
    interviews: int,
    rng: np.random.Generator,
    by: Sequence[str] = ("category", "site"),
    complaint: str = "complaint",
    heavy: str = "",
    heavy_from: float = 0.0,
    heavy_times: float = 2.0,
    reserve: float = 0.5,
    share: float = 0.1,
    certainty: float = 0.9,
) -> InterviewPlan:
    """Draw the complaints to follow up in interviews.

    Parameters
    ----------
    complaints : DataFrame, one row per complaint
    interviews : int
        How many are planned; 20 to 30 are the practice [1]_.
    rng : Generator
    by : sequence of str
        Columns to spread over: every value of the first gets one interview where
        there are enough, within it the draw is spread over the others.
    complaint : str
        Column of the identifier.
    heavy : str, optional
        Column of numbers (severity, cost): complaints at or above ``heavy_from``
        are ``heavy_times`` as likely to be drawn.
    heavy_from, heavy_times : float
    reserve : float, default 0.5
        Complaints in reserve for each interview of a stratum.
    share : float, default 0.1
        Share of complainants who have the problem looked for.
    certainty : float, default 0.9
        Chance of hearing it that is wanted.

    Returns
    -------
    InterviewPlan

    Raises
    ------
    Problem
        If an identifier is blank or comes twice, or a number makes no sense.
    Refusal
        If there are fewer complaints than interviews.

    Notes
    -----
    Of N complainants K = N share have the problem; n drawn without replacement
    miss it with chance C(N - K, n) / C(N, n), about (1 - share)^n.  Griffin and
    Hauser found that 20 to 30 interviews uncover 90 to 95 % of the needs of a
    fairly uniform group of customers [1]_.

    Interviews go to the values of the first column one each, the rest one by one to
    the value with the most complaints per 2 k + 1, k its interviews so far (Webster).
    Within a value the complaints are shuffled, sorted by the other columns and
    drawn systematically, with chances in proportion to 1 or ``heavy_times``.
    Blank values count as a value of their own.  With fewer interviews than
    values, all complaints are drawn systematically at once.

    References
    ----------
    .. [1] Griffin, A., Hauser, J. R. (1993). The voice of the customer.
       Marketing Science 12, 1-27. doi:10.1287/mksc.12.1.1

    Examples
    --------
    30 complaints about waiting and 10 about bills, 4 interviews: 3 and 1.

    >>> complaints = pd.DataFrame({"complaint": [f"c{i}" for i in range(40)],
    ...                            "category": ["waiting"] * 30 + ["bill"] * 10})
    >>> plan = interview_plan(complaints, interviews=4, by=["category"],
    ...                       rng=np.random.default_rng(1), reserve=0)
    >>> plan.table["category"].value_counts().to_dict(), set(plan.table["probability"])
    ({'waiting': 3, 'bill': 1}, {0.1})
    """
    by = tuple(by)
    _need_sound(interviews, by, heavy, heavy_times, reserve, share, certainty)
    need_columns(complaints, [complaint, *by, *([heavy] if heavy else [])], source=SOURCE)
    cases = _cases(complaints, complaint, by, heavy, heavy_from)
    n = len(cases)
    if n < interviews:
        raise Refusal(
            f"{SOURCE} are {n} where {interviews} interviews are planned.", "plan fewer, or all."
        )
    cases = _shuffled(cases, by, rng)
    cases["size"] = np.where(cases["heavy"], heavy_times, 1.0)
    drawn = _drawn(cases, interviews, rng)
    table = _listed(cases.assign(drawn=drawn > 0, probability=abs(drawn)), by, reserve)
    chosen = table[table["role"] == "interview"]
    strata = cases["stratum"].nunique()
    return InterviewPlan(
        table=table,
        interviews=len(chosen),
        reserve=len(table) - len(chosen),
        complaints=n,
        strata=strata,
        unheard=strata - chosen["stratum"].nunique(),
        heavy=int(cases["heavy"].sum()),
        heavy_drawn=int(chosen["heavy"].sum()),
        share=share,
        heard=chance_heard(share, interviews, of=n),
        certainty=certainty,
        needed=interviews_needed(share, certainty=certainty, of=n),
        smallest_share=_smallest(interviews, certainty, n),
        by=by,
    )


def chance_heard(share: float, interviews: int, *, of: int) -> float:
    """Chance that interviews of ``of`` complainants hear a problem that ``share`` of them have.

    Examples
    --------
    2 of 10 have it, 3 are drawn: 1 - C(8, 3) / C(10, 3) = 1 - 56 / 120.

    >>> round(chance_heard(0.2, 3, of=10), 6)
    0.533333
    """
    having = max(round(share * of), 1)
    return float(stats.hypergeom.sf(0, of, having, interviews))


def interviews_needed(share: float, *, certainty: float = 0.9, of: int) -> int:
    """Fewest interviews of ``of`` complainants that hear a problem with chance ``certainty``.

    At least one complainant is taken to have it.

    Examples
    --------
    Of very many: ln(0.1) / ln(0.9) = 21.85.

    >>> interviews_needed(0.1, of=1_000_000)
    22
    """
    n = min(ceil(log(1 - certainty) / log(1 - share)) + 1, of)  # enough with replacement
    if chance_heard(share, n, of=of) < certainty:
        n = of
    while n > 1 and chance_heard(share, n - 1, of=of) >= certainty:
        n -= 1
    return n


def _smallest(interviews: int, certainty: float, of: int) -> float:
    """Smallest share of complainants whose problem is heard with the chance wanted."""
    low, high = 0, of
    while high - low > 1:
        middle = (low + high) // 2
        enough = stats.hypergeom.sf(0, of, middle, interviews) >= certainty
        low, high = (low, middle) if enough else (middle, high)
    return high / of


def _need_sound(
    interviews: int,
    by: tuple[str, ...],
    heavy: str,
    heavy_times: float,
    reserve: float,
    share: float,
    certainty: float,
) -> None:
    if isinstance(interviews, bool) or not isinstance(interviews, int) or interviews < 1:
        raise Problem(f"interviews is {interviews!r}.", "give a whole number from 1 up.")
    if not by or len(set(by)) < len(by):
        raise Problem(f"by is {list(by)}.", "name one column or more, each once.")
    if set(by) & set(OWN):
        raise Problem(f"by is {list(by)}, of which the plan makes one itself.", "rename it.")
    if heavy and not 1 <= heavy_times < np.inf:
        raise Problem(f"heavy_times is {heavy_times}.", "give a number from 1 up, such as 2.")
    if not 0 <= reserve < np.inf:
        raise Problem(
            f"reserve is {reserve}.", "give a number from 0 up: 0.5 is one for every two."
        )
    need_share(share, name="share")
    need_share(certainty, name="certainty")


def _cases(
    complaints: pd.DataFrame, complaint: str, by: tuple[str, ...], heavy: str, heavy_from: float
) -> pd.DataFrame:
    """Only what the draw needs: no text, no name; a blank value is a value of its own."""
    ids = complaints[complaint]
    wrong = ids.isna() | ids.duplicated(keep=False)
    if wrong.any():
        raise Problem(
            f"{SOURCE}: {int(wrong.sum())} identifiers in {complaint!r} are blank or come twice.",
            "give each complaint its own.",
        )
    cases = complaints[list(by)].astype(object).where(complaints[list(by)].notna(), BLANK)
    cases = cases.astype(str)
    cases["complaint"], cases["stratum"] = ids.astype(str), cases[by[0]]
    if heavy and not pd.api.types.is_numeric_dtype(complaints[heavy]):
        raise Problem(f"{SOURCE}: {heavy!r} does not hold numbers.", "name a column of numbers.")
    cases["heavy"] = complaints[heavy].ge(heavy_from).fillna(False).astype(bool) if heavy else False
    return cases.reset_index(drop=True)


def _shuffled(cases: pd.DataFrame, by: tuple[str, ...], rng: np.random.Generator) -> pd.DataFrame:
    """Sorted by the columns of ``by``, in random order within, whatever order the file had."""
    cases = cases.sort_values("complaint", kind="stable", ignore_index=True)
    cases = cases.assign(shuffle=rng.permutation(len(cases)))
    cases = cases.sort_values("shuffle", kind="stable")
    return cases.sort_values(list(by), kind="stable", ignore_index=True)


def _drawn(cases: pd.DataFrame, interviews: int, rng: np.random.Generator) -> np.ndarray:
    """Chance of each case, negative for those not drawn."""
    sizes = cases["size"].to_numpy()
    places = cases.groupby("stratum", sort=True).indices
    if len(places) > interviews:
        return _systematic(sizes, interviews, rng)
    found = np.empty(len(cases))
    given = _allotted([sizes[at].sum() for at in places.values()], places, interviews)
    for at, k in zip(places.values(), given, strict=True):
        found[at] = _systematic(sizes[at], k, rng)
    return found


def _allotted(sizes: list[float], places: dict, interviews: int) -> list[int]:
    """One to each stratum, the others by Webster's method, none more than it has."""
    given = np.ones(len(sizes), dtype=int)
    most = np.array([len(at) for at in places.values()])
    for _ in range(interviews - len(sizes)):
        claim = np.where(given < most, np.array(sizes) / (2 * given + 1), -1.0)
        given[int(claim.argmax())] += 1
    return given.tolist()


def _systematic(sizes: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``k`` with chances in proportion to size; chances, negative for those not drawn."""
    chance = _chances(sizes, k)
    before = np.concatenate([[0.0], np.cumsum(chance)])
    start = rng.random()
    hit = np.floor(before[1:] - start + 1e-9) > np.floor(before[:-1] - start + 1e-9)
    return np.where(hit, chance, -chance)


def _chances(sizes: np.ndarray, k: int) -> np.ndarray:
    """Chances of being drawn that add up to ``k``, in proportion to size but at most 1."""
    sure = np.zeros(len(sizes), dtype=bool)
    while True:
        rest = sizes[~sure].sum()
        chance = np.where(sure, 1.0, (k - sure.sum()) * sizes / rest if rest else 1.0)
        over = ~sure & (chance >= 1)
        if not over.any():
            return chance
        sure |= over


def _listed(cases: pd.DataFrame, by: tuple[str, ...], reserve: float) -> pd.DataFrame:
    """The list to work from: interviews, then the reserve of each stratum."""
    chosen = cases[cases["drawn"]].assign(role="interview")
    wanted = np.ceil(reserve * chosen.groupby("stratum").size() - 1e-9)
    spare = cases[~cases["drawn"]].assign(role="reserve", probability=np.nan)
    spare["at"] = spare.groupby("stratum")["shuffle"].rank(method="first")
    spare = spare[spare["at"] <= spare["stratum"].map(wanted).astype(float).fillna(0)]
    spare = spare.sort_values(["stratum", "at"], kind="stable")
    table = pd.concat([chosen, spare], ignore_index=True)
    table["order"] = table.groupby(["role", "stratum"]).cumcount() + 1
    table["weight"] = 1 / table["probability"]
    columns = ["role", "order", "complaint", *by, "heavy", "stratum", "probability", "weight"]
    return table[list(dict.fromkeys(columns))]
