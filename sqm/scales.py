"""How do the items of a scale hang together?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from sqm.checks import Problem, need_columns, need_share

SOURCE = "the answers"
FEWEST = 4  # complete rows below which no interval (Fisher's needs n - 3) can be given


def alpha(values: np.ndarray) -> float:
    """Cronbach's alpha of complete rows (respondents by items); NaN if the total never varies."""
    k = values.shape[1]
    total = values.sum(axis=1).var(ddof=1)
    if total == 0:
        return np.nan
    return float(k / (k - 1) * (1 - values.var(axis=0, ddof=1).sum() / total))


def feldt(alpha: float, n: int, k: int, confidence: float) -> tuple[float, float]:
    """Feldt's interval of alpha for n respondents and k items."""
    tail = (1 - confidence) / 2
    upper, lower = stats.f.ppf([1 - tail, tail], n - 1, (n - 1) * (k - 1))
    return float(1 - (1 - alpha) * upper), float(1 - (1 - alpha) * lower)


def fisher(r: float, n: int, confidence: float) -> tuple[float, float]:
    """Fisher's z interval of a correlation of n pairs."""
    if not abs(r) < 1:
        return r, r
    half = stats.norm.ppf((1 + confidence) / 2) / np.sqrt(n - 3) if n > 3 else np.inf
    return float(np.tanh(np.arctanh(r) - half)), float(np.tanh(np.arctanh(r) + half))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation; NaN where one side never varies."""
    if a.std() == 0 or b.std() == 0:
        return np.nan
    return float(np.clip(np.corrcoef(a, b)[0, 1], -1, 1))


def consistency(values: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Alpha with Feldt's interval, or Spearman-Brown for two items."""
    n, k = values.shape
    if k > 2:
        estimate = alpha(values)
        return estimate, *feldt(estimate, n, k, confidence)
    r = correlation(values[:, 0], values[:, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate, low, high = (2 * x / (1 + x) for x in np.array([r, *fisher(r, n, confidence)]))
    return float(estimate), float(low), float(high)


def complete(answers: pd.DataFrame) -> np.ndarray:
    """Rows without a blank, as numbers."""
    return answers.dropna().to_numpy(dtype=float)


def why_not(values: np.ndarray, items: list[str]) -> str:
    """Why the consistency of these items cannot be given; empty if it can."""
    if len(items) < 2:
        return "one item has no internal consistency"
    if len(values) < FEWEST:
        return f"only {len(values)} respondents answered every item"
    flat = [item for item, column in zip(items, values.T, strict=True) if np.ptp(column) == 0]
    return f"everyone gave the same answer to {', '.join(flat)}" if flat else ""


def summary(answers: pd.DataFrame, *, confidence: float) -> dict:
    """One scale in numbers: items, respondents, left out, consistency with its interval, a note."""
    items, values = list(answers), complete(answers)
    note = why_not(values, items)
    estimate, low, high = (np.nan,) * 3 if note else consistency(values, confidence)
    if not note and len(items) == 2:
        note = "two items: Spearman-Brown"
    elif not note and not np.isfinite(estimate):
        note = "the items cancel out"
    return {
        "items": len(items),
        "respondents": len(values),
        "left_out": len(answers) - len(values),
        "estimate": estimate,
        "low": low,
        "high": high,
        "note": note,
    }


def alpha_without(values: np.ndarray, i: int) -> float:
    """Alpha of the others (of two that are left too, as psychometric programs give it)."""
    return alpha(np.delete(values, i, axis=1)) if values.shape[1] > 2 else np.nan


def rest_correlations(values: np.ndarray) -> np.ndarray:
    """Correlation of each column with the sum of the others."""
    total = values.sum(axis=1)
    return np.array([correlation(column, total - column) for column in values.T])


def need_scales(answers: pd.DataFrame, dimensions: dict, confidence: float) -> None:
    """Insist on scales whose items are there once, and hold numbers."""
    need_share(confidence, name="confidence")
    if not dimensions:
        raise Problem("No scale is named.", "list the items of each dimension.")
    for name, items in dimensions.items():
        if not items or len(set(items)) < len(items):
            raise Problem(
                f"The scale {name!r} has no item, or one twice.", "list each of its items once."
            )
        need_columns(answers, items, source=SOURCE)
        text = [item for item in items if not pd.api.types.is_numeric_dtype(answers[item])]
        if text:
            raise Problem(
                f"{SOURCE}: {text[0]!r} does not hold numbers.",
                "give answers in scale points; name the codes of blanks under `missing`.",
            )


def need_members(declared: list[str], dimensions: dict) -> None:
    """Insist that items declared as worded in reverse belong to a scale."""
    known = [item for items in dimensions.values() for item in items]
    lost = [item for item in declared if item not in known]
    if lost:
        raise Problem(
            f"{', '.join(lost)} is declared as worded in reverse but belongs to no scale.",
            "name it in its dimension too, or correct the spelling.",
        )
