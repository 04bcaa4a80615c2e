"""Do the drivers fitted to another year of the flagship hold the truth that was put in?

Every data set is a new year of the same organisation (`data/contact-centre/make_data.py` with
another seed), its weeks before the training; all eight effects of a year count together.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import yaml

from sqm.regression import fit_logistic
from tests.intervals.judge import Case

FOLDER = Path(__file__).parents[2] / "data" / "contact-centre"
YEARS, FIRST_SEED = 200, 10_000
TRUTH = {  # term of the model: name in truth.yml
    "wait_s": "complaint.wait_per_minute",
    "ending=unresolved": "complaint.unresolved",
    "ending=abandoned": "complaint.abandoned",
    "channel=chat": "complaint.chat",
    "reason=billing": "complaint.billing",
    "reason=contract": "complaint.contract",
    "reason=delivery": "complaint.delivery",
    "reason=technical": "complaint.technical",
}


@cache
def _truth() -> dict[str, float]:
    effects = yaml.safe_load((FOLDER / "truth.yml").read_text(encoding="utf-8"))["effects"]
    return {term: effects[name]["value"] for term, name in TRUTH.items()}


def _year(seed: int):
    """The contacts of weeks 1 to 39, each with whether it drew a complaint."""
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
    import make_data as made

    contacts, _ = made.make_contacts(seed)
    contacts = contacts[contacts["week"] <= made.BEFORE]
    chance = made.logistic(contacts["complaint_logit"].to_numpy())
    lucky = made.stream(seed, "coverage").random(len(contacts))
    served, resolved = contacts["served"], contacts["resolved"]
    return contacts.assign(
        complained=lucky < chance,
        ending=np.where(~served, "abandoned", np.where(resolved, "resolved", "unresolved")),
        agent=contacts["agent"].where(served),
    )


@cache
def _limits(seed: int) -> dict[str, tuple[float, float]]:
    fit = fit_logistic(
        _year(seed),
        drivers=["wait_s", "ending", "channel", "reason"],
        per={"wait_s": 60},
        reference={"ending": "resolved", "channel": "phone", "reason": "information"},
    )
    half = fit.quantile * np.sqrt(np.diag(fit.covariance))
    names = [term.name for term in fit.terms]
    return {n: (b - h, b + h) for n, b, h in zip(names, fit.b, half, strict=True)}


_turn = iter(range(YEARS * len(TRUTH)))


def _draw(rng: np.random.Generator, n: int) -> tuple[float, float, float]:
    """The next effect of the next year; the year's seed stands for the chance."""
    year, place = divmod(next(_turn), len(TRUTH))
    term = list(TRUTH)[place]
    return *_limits(FIRST_SEED + year)[term], _truth()[term]


CASES = [
    Case(
        "flagship, all drivers of the log odds, another year (n: contacts expected)",
        _draw,
        replications=YEARS * len(TRUTH),
        sizes=(98_000,),
    )
]
