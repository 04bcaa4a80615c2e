"""How long does a survey of 10,000 respondents and 22 items take, question by question?

    python -m tests.benchmarks.survey [respondents]

Every question of the Measure notebook that reads a survey is asked once, with 1,000 resamples
where it resamples, in this one process.  Where a package answers the same question, its time
stands beside, and the ratio.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pingouin
from statsmodels.multivariate.factor import Factor

from sqm import factors
from sqm.methods import careless, confirmatory, invariance, structure, validity
from sqm.methods.codes import suspect_codes
from sqm.methods.gap_model import gap_model
from sqm.methods.gaps import gap_gate, servqual_gaps
from sqm.methods.keying import reversed_items
from sqm.methods.loyalty import loyalty_by_group, satisfaction_and_loyalty, smallest_change
from sqm.methods.priorities import importance_performance
from sqm.methods.reliability import cronbach_alpha, item_table, reliability_card
from sqm.methods.response import response_rate, tipping_point
from sqm.methods.weighting import raking, weighted_means

SIZES = {"tangibles": 4, "reliability": 5, "responsiveness": 4, "assurance": 4, "empathy": 5}


def survey(respondents: int, rng: np.random.Generator) -> tuple[pd.DataFrame, dict, dict]:
    """Answers of 1 to 7 to 22 items, perceived and expected, with some blanks."""
    columns, dimensions, expectations, at = {}, {}, {}, 1
    person = rng.normal(size=respondents)
    for dimension, size in SIZES.items():
        felt = 0.6 * person + 0.6 * rng.normal(size=respondents)
        names = [f"p{i:02d}" for i in range(at, at + size)]
        for name in names:
            wish = 6.0 + 0.7 * rng.normal(size=respondents)
            columns[name] = 5.2 + felt + 0.7 * rng.normal(size=respondents)
            columns[name.replace("p", "e")] = wish
            expectations[name] = name.replace("p", "e")
        dimensions[dimension], at = names, at + size
    table = pd.DataFrame(columns).round().clip(1, 7).mask(rng.random((respondents, 44)) < 0.01)
    mean = table[list(expectations)].mean(axis=1)
    table["satisfaction"] = (mean + 0.6 * rng.normal(size=respondents)).round().clip(1, 7)
    table["recommend"] = (1.6 * mean + rng.normal(size=respondents)).round().clip(0, 10)
    table["site"] = rng.choice([f"S{i:02d}" for i in range(12)], respondents)
    table["language"] = rng.choice(["en", "es", "zh"], respondents)
    return table, dimensions, expectations


def questions(respondents: int) -> list[tuple[str, Callable, Callable | None]]:
    """Name of each question, the call that answers it, and a package's call for the same."""
    rng = np.random.default_rng(1)
    data, dimensions, expectations = survey(respondents, rng)
    items = list(expectations)
    both = {"dimensions": dimensions, "expectations": expectations}
    whole = data[items].dropna()
    population = pd.DataFrame(
        [("site", f"S{i:02d}", 100 + 10 * i) for i in range(12)],
        columns=["variable", "level", "count"],
    )
    invited = pd.DataFrame(
        {
            "answered": rng.random(3 * respondents) < 0.33,
            "site": rng.choice(data["site"], 3 * respondents),
            "invited": pd.Timestamp("2025-01-01")
            + pd.to_timedelta(rng.integers(0, 360, 3 * respondents), "D"),
        }
    )
    one = {"total": ["satisfaction"]}
    return [
        ("codes", lambda: suspect_codes(data, items=items, points=(1, 7)), None),
        ("items against their scale", lambda: reversed_items(data, dimensions=dimensions), None),
        (
            "alpha, five dimensions",
            lambda: cronbach_alpha(data, dimensions=dimensions),
            lambda: [pingouin.cronbach_alpha(data[i].dropna()) for i in dimensions.values()],
        ),
        (
            "reliability card",
            lambda: reliability_card(data, dimensions=dimensions, points=(1, 7), rng=rng),
            None,
        ),
        ("item table", lambda: item_table(data, dimensions=dimensions), None),
        (
            "careless answers",
            lambda: careless.careless_flags(data, items=items, dimensions=dimensions, rng=rng),
            None,
        ),
        ("sampling adequacy", lambda: structure.factorable(data, items=items), None),
        (
            "parallel analysis, 1,000 sets",
            lambda: structure.parallel_analysis(data, items=items, rng=rng),
            None,
        ),
        (
            "one maximum likelihood factoring",
            lambda: factors.maximum_likelihood(whole.corr().to_numpy(), factors=5),
            lambda: Factor(corr=whole.corr().to_numpy(), n_factor=5, method="ml").fit(),
        ),
        (
            "exploratory factors, 1,000 resamples",
            lambda: structure.explore(data, items=items, factors=5, dimensions=dimensions, rng=rng),
            None,
        ),
        ("measurement model", lambda: confirmatory.confirm(data, dimensions=dimensions), None),
        ("rival models", lambda: confirmatory.rivals(data, dimensions=dimensions), None),
        ("composite reliability", lambda: validity.convergence(data, dimensions=dimensions), None),
        (
            "HTMT, 1,000 resamples",
            lambda: validity.discriminant(data, dimensions=dimensions, rng=rng),
            None,
        ),
        (
            "invariance, three languages",
            lambda: invariance.invariance(data, dimensions=dimensions, group="language"),
            None,
        ),
        ("response rate", lambda: response_rate(invited), None),
        (
            "tipping point",
            lambda: tipping_point(data, invited=3 * respondents, threshold=4, points=(1, 7)),
            None,
        ),
        ("raking", lambda: raking(data, population=population), None),
        (
            "weighted means",
            lambda: weighted_means(data, outcomes=dimensions | one, population=population),
            None,
        ),
        (
            "gaps, 1,000 resamples",
            lambda: servqual_gaps(data, **both, resamples=1000, rng=rng),
            None,
        ),
        ("gap gate, 1,000 resamples", lambda: gap_gate(data, **both, rng=rng), None),
        ("gap model", lambda: gap_model(data, **both, points=(1, 7), rng=rng), None),
        ("satisfaction and loyalty", lambda: satisfaction_and_loyalty(data), None),
        ("loyalty by site", lambda: loyalty_by_group(data), None),
        ("smallest change", lambda: smallest_change(data), None),
        (
            "priorities, 1,000 resamples",
            lambda: importance_performance(data, dimensions=dimensions, points=(1, 7), rng=rng),
            None,
        ),
    ]


def seconds(call: Callable) -> float:
    """Wall-clock seconds of one call."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def main() -> None:
    """Print the table and its sum."""
    respondents = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    print(f"{respondents:,} respondents, 22 items\n")
    print("| question | seconds | a package's seconds | times as fast |")
    print("|---|---|---|---|")
    total = 0.0
    for name, call, peer in questions(respondents):
        took = seconds(call)
        total += took
        theirs = seconds(peer) if peer else None
        beside = f"{theirs:.3f} | {theirs / took:.1f}" if theirs else " | "
        print(f"| {name} | {took:.3f} | {beside} |", flush=True)
    print(f"| all | {total:.1f} | | |")


if __name__ == "__main__":
    main()
