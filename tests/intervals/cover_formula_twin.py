"""How often do the intervals of the simulated weeks hold the truth?"""

from sqm.methods.formula_twin import ratio_limits
from tests.intervals.judge import Case


def mean_wait_of_uneven_weeks(rng, n):
    """n weeks whose customers vary by a gamma factor; a busy week's waits are longer."""
    factor = rng.gamma(50, 1 / 50, n)
    customers = rng.poisson(300 * factor)
    waits = rng.gamma(20.0, customers * factor**2 * 3.0 / 20.0 + 1e-9)
    # E(N F^2) / E(N) with E(F^3) = (1 + 1/50)(1 + 2/50)
    truth = 3.0 * (1 + 1 / 50) * (1 + 2 / 50)
    _, low, high = ratio_limits(waits[None], customers[None].astype(float), 0.95)
    return low[0], high[0], truth


def share_who_leave(rng, n):
    """One customer in twenty leaves."""
    customers = rng.poisson(300, n)
    _, low, high = ratio_limits(
        rng.binomial(customers, 0.05)[None].astype(float), customers[None].astype(float), 0.95
    )
    return low[0], high[0], 0.05


CASES = [
    Case("formula_twin, ratio over weeks, mean wait", mean_wait_of_uneven_weeks),
    Case("formula_twin, ratio over weeks, share who leave", share_who_leave),
]
