"""Say of each complaint how the desk handled it: who wrote, when it was answered, how it ended.

What is put in stands in the constants below; `make_truth.py` copies it into `truth.yml`.  The
columns come from a stream of their own, so that all others stay as they are.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

# --- Who writes: most once, a few again and again ---------------------------------------------
FREQUENT, FREQUENT_SHARE = 40, 0.06  # customers who keep writing, and their part of the complaints
POOL = 12  # other customers for each complaint: two of them seldom fall on the same one

# --- Acknowledged -----------------------------------------------------------------------------
ACKNOWLEDGED_MEDIAN_H = {"phone": 2.0, "web": 9.0, "e-mail": 12.0, "letter": 40.0}  # lognormal
ACKNOWLEDGED_SIGMA = 0.9

# --- How it ends. What is left over is resolved -----------------------------------------------
REJECTED = 0.16
WITHDRAWN = 0.05
WITHDRAWN_LATE, LATE_D = 0.25, 14.0  # more of those that wait longer than so many days

# --- Afterwards -------------------------------------------------------------------------------
REOPENED = {"unresolved": 0.13}  # of the closed, by category as recorded
REOPENED_OTHERWISE = 0.06
ESCALATED = (0.03, 0.09, 0.27)  # by severity
COMPENSATED, COMPENSATION_MEDIAN_EUR, COMPENSATION_SIGMA = 0.30, 35.0, 0.8  # of the resolved

# --- The desk's own codes, which change on one day --------------------------------------------
CODES = {
    "waiting": "waiting",
    "unresolved": "not solved",
    "billing": "bill",
    "staff": "staff",
    "information": "information",
    "digital": "web and app",
}
NEW_CODES_ON = "2025-06-02"
RENAMED = {"waiting": "queue"}
SPLIT = {"bill": ("amount wrong", "charge unknown")}
SPLIT_SHARE = 0.6  # of the first

COLUMNS = ["acknowledged_at", "ended", "reopened", "escalated", "compensation_eur", "code"]


def with_handling(complaints: pd.DataFrame, rng: np.random.Generator, end: pd.Timestamp):
    """The complaints with a customer, and what the desk wrote down until the end of the data."""
    n, closed = len(complaints), complaints["closed_at"].notna()
    table = complaints.assign(customer_id=_customers(rng, n))
    table["acknowledged_at"] = _acknowledged(rng, complaints, end)
    ended = _ended(rng, complaints)
    table["ended"] = ended.where(closed, "")
    often = complaints["category"].map(REOPENED).fillna(REOPENED_OTHERWISE)
    table["reopened"] = pd.Series(rng.random(n) < often).astype("Int64").where(closed)
    escalated = np.array(ESCALATED)[complaints["severity"] - 1]
    table["escalated"] = (rng.random(n) < escalated).astype(int)
    table["compensation_eur"] = _compensation(rng, ended).where(closed)
    table["code"] = _codes(rng, complaints)
    return table


def _customers(rng: np.random.Generator, n: int) -> np.ndarray:
    frequent = rng.random(n) < FREQUENT_SHARE
    number = np.where(frequent, rng.integers(FREQUENT, size=n), rng.integers(POOL * n, size=n))
    return np.where(
        frequent,
        pd.Series(number).map("P{:06d}".format),
        pd.Series(number + FREQUENT).map("P{:06d}".format),
    )


def _acknowledged(rng, complaints: pd.DataFrame, end: pd.Timestamp) -> pd.Series:
    median = complaints["channel_in"].map(ACKNOWLEDGED_MEDIAN_H)
    hours = median * np.exp(ACKNOWLEDGED_SIGMA * rng.normal(size=len(complaints)))
    answered = complaints["opened_at"] + pd.to_timedelta((hours * 3600).round(), unit="s")
    # a case that is closed first is answered by its closing
    answered = answered.where(~(answered > complaints["closed_at"]), complaints["closed_at"])
    return answered.mask(answered > end)


def _ended(rng, complaints: pd.DataFrame) -> pd.Series:
    days = (complaints["closed_at"] - complaints["opened_at"]).dt.total_seconds() / 86400
    withdrawn = WITHDRAWN + WITHDRAWN_LATE * (days > LATE_D)
    chance = rng.random(len(complaints))
    ended = np.where(
        chance < REJECTED,
        "rejected",
        np.where(chance < REJECTED + withdrawn, "withdrawn", "resolved"),
    )
    return pd.Series(ended, index=complaints.index)


def _compensation(rng, ended: pd.Series) -> pd.Series:
    paid = ended.eq("resolved") & (rng.random(len(ended)) < COMPENSATED)
    amount = COMPENSATION_MEDIAN_EUR * np.exp(COMPENSATION_SIGMA * rng.normal(size=len(ended)))
    return pd.Series(np.where(paid, amount.round(2), 0.0), index=ended.index)


def _codes(rng, complaints: pd.DataFrame) -> pd.Series:
    code = complaints["category"].map(CODES)
    new = complaints["opened_at"] >= pd.Timestamp(NEW_CODES_ON)
    first = rng.random(len(code)) < SPLIT_SHARE
    for old, (one, other) in SPLIT.items():
        code = code.mask(new & code.eq(old) & first, one).mask(new & code.eq(old) & ~first, other)
    return code.mask(new, code.replace(RENAMED))


def shares_by(days: float, *, median_d: np.ndarray, sigma: float, severity: np.ndarray) -> dict:
    """Share of complaints that have ended in each way by so many days (severity: shares)."""
    by = stats.norm.cdf(np.log(days / median_d) / sigma) @ severity
    late = stats.norm.cdf(np.log(LATE_D / median_d) / sigma) @ severity
    withdrawn = WITHDRAWN * by + WITHDRAWN_LATE * max(by - late, 0.0)
    return {
        "resolved": by * (1 - REJECTED) - withdrawn,
        "rejected": by * REJECTED,
        "withdrawn": withdrawn,
    }


def acknowledged_by(hours: float, channel: str, *, closed: float) -> float:
    """Share acknowledged by so many hours, where a share ``closed`` is closed by then."""
    by = stats.norm.cdf(np.log(hours / ACKNOWLEDGED_MEDIAN_H[channel]) / ACKNOWLEDGED_SIGMA)
    return 1 - (1 - by) * (1 - closed)
