"""Claimed dimensions to try rooms on: two published cases, and two dimensions made to order."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

REFERENCE = Path(__file__).parent / "reference"


def holzinger():
    """What lavaan and semTools print of nine tests of 301 pupils, the answers and the claim."""
    case = json.loads((REFERENCE / "cfa_holzinger_swineford.json").read_text(encoding="utf-8"))
    return case["expected"], pd.DataFrame(case["input"]["rows"]), case["input"]["dimensions"]


def servqual():
    """What lavaan prints of SERVQUAL in 1992, the published matrix, and what goes with it."""
    case = json.loads((REFERENCE / "cfa_servqual_1992.json").read_text(encoding="utf-8"))
    given = case["input"]
    table = pd.DataFrame(given["correlations"], columns=given["items"])
    settings = {"respondents": given["n"], "dimensions": given["dimensions"]}
    return case["expected"], table.assign(item=given["items"]), settings


TWO = {"staff": ["a1", "a2", "a3"], "place": ["b1", "b2", "b3"]}


def two(rng, n=400, correlation=0.5, loading=0.8):
    """Answers to three items of each of two dimensions that correlate."""
    factors = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], size=n)
    error = rng.normal(size=(n, 6)) * np.sqrt(1 - loading**2)
    return pd.DataFrame(
        factors[:, [0, 0, 0, 1, 1, 1]] * loading + error, columns=TWO["staff"] + TWO["place"]
    )
