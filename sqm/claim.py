"""Which items, covariances and model stand behind the dimensions that are claimed?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from sqm import measurement_model, moments, scales
from sqm.checks import Problem, Refusal, need_columns
from sqm.finding import counted
from sqm.measurement_model import PER_PARAMETER, Fit, parameters
from sqm.scales import SOURCE


@dataclass(frozen=True, eq=False)
class Claim:
    """The claimed dimensions, and the covariances of their items.

    Attributes
    ----------
    dimensions : dict of str to list of str
        The items of each.
    items : list of str
        All of them, in the order of the dimensions.
    groups : list of list of int
        The places of each dimension's items.
    covariances : ndarray, shape (p, p)
        With divisor n.
    respondents, left_out : int
    rows : ndarray, shape (respondents, p), or None
        The complete answers, if there are any.
    """

    dimensions: dict[str, list[str]]
    items: list[str]
    groups: list[list[int]]
    covariances: np.ndarray
    respondents: int
    left_out: int
    rows: np.ndarray | None

    @property
    def basis(self) -> str:
        """``answers`` or ``correlations``."""
        return "correlations" if self.rows is None else "answers"


def of_answers(answers: pd.DataFrame, dimensions: dict[str, list[str]], confidence: float) -> Claim:
    """Take the claim to the respondents who answered every item.

    Raises
    ------
    Problem
        If an item is missing, not numeric, or in two dimensions.
    Refusal
        If an item never varies, two items say the same, or there are not more respondents than
        the model has parameters.
    """
    scales.need_scales(answers, dimensions, confidence)
    items, groups = layout(dimensions)
    values = scales.complete(answers[items])
    need_moving(values, items)
    need_enough(len(values), groups)
    covariances = np.atleast_2d(np.cov(values, rowvar=False, ddof=0))
    _need_distinct(covariances, items)
    left_out = len(answers) - len(values)
    return Claim(dimensions, items, groups, covariances, len(values), left_out, values)


def of_correlations(
    correlations: pd.DataFrame,
    respondents: int,
    dimensions: dict[str, list[str]],
    confidence: float,
) -> Claim:
    """Take the claim to a published matrix of correlations (see `moments.published`).

    Raises
    ------
    Problem
        If an item is missing or in two dimensions, or the matrix is not one of correlations.
    Refusal
        If two items say the same, or there are not more respondents than parameters.
    """
    what = "the correlations"
    need_columns(correlations, ["item"], source=what)
    scales.need_scales(correlations.drop(columns="item"), dimensions, confidence)
    items, groups = layout(dimensions)
    r = moments.published(correlations, items, source=what)
    need_enough(respondents, groups)
    _need_distinct(r, items)
    scaled = r * (respondents - 1) / respondents  # divisor n, as for answers
    return Claim(dimensions, items, groups, scaled, int(respondents), 0, None)


def layout(dimensions: dict[str, list[str]]) -> tuple[list[str], list[list[int]]]:
    """All items in the order of their dimensions, and the places of each dimension's.

    Examples
    --------
    >>> layout({"staff": ["a", "b"], "place": ["c"]})[0]
    ['a', 'b', 'c']
    """
    items = [item for each in dimensions.values() for item in each]
    twice = sorted({item for item in items if items.count(item) > 1})
    if twice:
        raise Problem(
            f"{', '.join(twice)} belongs to more than one dimension.", "name each item once."
        )
    ends = np.cumsum([len(each) for each in dimensions.values()])
    return items, [list(part) for part in np.split(np.arange(len(items)), ends[:-1])]


def need_moving(values: np.ndarray, items: list[str]) -> None:
    """Insist that each item has two different answers."""
    flat = scales.never_vary(values, items)
    if flat and len(values):
        raise Refusal(
            f"{SOURCE}: everyone gave the same answer to {', '.join(flat)}.",
            "leave it out of the dimensions: what never varies goes with nothing.",
        )


def need_enough(respondents: int, groups: list[list[int]]) -> None:
    """Insist on more respondents than the model of these groups has parameters."""
    free = parameters(groups)
    if respondents <= free:
        raise Refusal(
            f"{counted(respondents, 'respondent')} answered every item where the measurement "
            f"model has {free} parameters.",
            f"collect well over {free}, better {PER_PARAMETER} for each parameter.",
        )


def _need_distinct(covariances: np.ndarray, items: list[str]) -> None:
    """Insist that no two items are the same but for their unit."""
    sd = np.sqrt(np.diag(covariances))
    r = np.abs(np.tril(covariances / np.outer(sd, sd), -1))
    same = [f"{items[j]} and {items[i]}" for i, j in np.argwhere(r > 1 - 1e-9)]
    if same:
        raise Refusal(
            f"Items that say exactly the same: {', '.join(same[:5])}.",
            "look for a column that was copied, or for answers all given in one straight line.",
        )


def need_two(dimensions: dict[str, list[str]]) -> None:
    """Insist on two dimensions or more: one cannot be compared."""
    if len(dimensions) < 2:
        raise Refusal("There is one dimension only.", "name the items of a second one.")


# --- The model ------------------------------------------------------------------------------------


def solved(claim: Claim) -> Fit:
    """The fitted model, robust where there are answers; a Refusal if it has no solution."""
    found = measurement_model.fit(
        claim.covariances, respondents=claim.respondents, groups=claim.groups
    )
    found = need_solution(found)
    return found if claim.rows is None else measurement_model.robust(found, claim.rows)


def need_solution(found: Fit) -> Fit:
    """Insist that the likelihood of a model has a maximum, and hand the fit back."""
    if not found.converged:
        raise Refusal(
            "The measurement model has no solution: the likelihood has no single maximum.",
            "give each dimension three items or more that go together, or merge dimensions.",
        )
    return found


def htmt(r: np.ndarray, groups: list[list[int]]) -> np.ndarray:
    """Heterotrait-monotrait ratio of each pair of dimensions: how near they are to being one.

    Parameters
    ----------
    r : ndarray, shape (..., p, p)
        Correlations of the items.
    groups : list of list of int
        The items of each dimension.

    Returns
    -------
    ndarray, shape (..., pairs)
        Mean absolute correlation between the items of two dimensions, over the geometric mean of
        those within; NaN with a dimension of one item.

    Examples
    --------
    Between .32, within .64.

    >>> r = np.kron(np.full((2, 2), 0.32) + 0.32 * np.eye(2), np.ones((2, 2)))
    >>> np.fill_diagonal(r, 1)
    >>> htmt(r, [[0, 1], [2, 3]]).round(9).tolist()
    [0.5]
    """
    member = np.zeros((len(groups), r.shape[-1]))
    for factor, items in enumerate(groups):
        member[factor, items] = 1
    size = member.sum(axis=1)
    total = member @ np.abs(r) @ member.T
    with np.errstate(invalid="ignore", divide="ignore"):
        within = (np.diagonal(total, axis1=-2, axis2=-1) - size) / (size * (size - 1))
        ratio = total / np.outer(size, size)
        ratio = ratio / np.sqrt(within[..., :, None] * within[..., None, :])
    first, second = np.array(list(combinations(range(len(groups)), 2))).T
    return ratio[..., first, second]


# --- Words ----------------------------------------------------------------------------------------


def basis_words(basis: str, respondents: int, left_out: int, *, intervals: bool = True) -> str:
    """What an answer rests on, for its sentence."""
    on = counted(respondents, "respondent")
    if basis == "correlations":
        words = f"From a correlation matrix of {on}"
        return words + ("; intervals assume normal answers." if intervals else ".")
    words = f"On {on} who answered every item; {left_out:,} left one blank and are left out"
    return words + ("; intervals allow for answers that are not normal." if intervals else ".")
