"""What does one way of asking whether a change worked have to say?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from sqm.checks import Refusal


@dataclass(frozen=True)
class Rung:
    """One design's answer, with what it rests on and whether its own check held.

    Attributes
    ----------
    design : str
        The design's name, such as ``difference in differences``.
    estimand : str
        What is estimated, in words: of whom, against what.
    estimate, low, high : float
        Change of the measure, in its own unit (shares 0 to 1); NaN if refused.
    n : int
        Records.
    clusters : int
        Independent units that the interval rests on (sites, agents, weeks); 0 if refused.
    effective_n : float
        Independent records that would carry the same information, or weigh as much.
    assumes : str
        What must be true for the estimate to be the effect.
    check : str
        The check of that assumption and what it gave, in words; blank if there is none.
    passed : {"yes", "no", "cannot say", "none"}
        Of the design's own check; none where it has no check.
    refused : str
        Why the data cannot bear this design; blank if they can.
    """

    design: str
    estimand: str
    estimate: float = np.nan
    low: float = np.nan
    high: float = np.nan
    n: int = 0
    clusters: int = 0
    effective_n: float = np.nan
    assumes: str = ""
    check: str = ""
    passed: str = "none"
    refused: str = ""


def refused(design: str, estimand: str, why: Refusal) -> Rung:
    """A design that the data cannot bear, with the reason.

    Examples
    --------
    >>> refused("synthetic control", "", Refusal("Two sites.", "compare more.")).refused
    'Two sites.'
    """
    return Rung(design=design, estimand=estimand, refused=why.what)


def laid_out(rungs: Sequence[Rung]) -> pd.DataFrame:
    """The rungs as a table, one row each, in the order given.

    Examples
    --------
    >>> laid_out([Rung("before and after", "", 1.0, 0.5, 1.5)])[["design", "low"]].values.tolist()
    [['before and after', 0.5]]
    """
    return pd.DataFrame([asdict(rung) for rung in rungs])
