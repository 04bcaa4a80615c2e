"""A small service with two sites, made up for the tests."""

import numpy as np
import pandas as pd

from sqm.clock import Calendar
from sqm.queue_engine import simulate, spells

CALENDAR = Calendar(opens=9, closes=13, days=("Mon", "Tue", "Wed", "Thu", "Fri"))


def make_log(
    seed=0, *, weeks=16, per_day=(60, 90), agents=(2, 3), cv=0.15, shift=None, patience=600
):
    """A small service with two sites, open four hours a day: its log and its staffing.

    From week ``shift`` on, 40 % more customers come.
    """
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2025-03-03", periods=weeks * 5)
    rows, staffed = [], []
    for site, mean, number in zip(("N1", "S1"), per_day, agents, strict=True):
        more = np.where(np.arange(len(days)) >= 5 * (shift or 999), 1.4, 1.0)
        factor = rng.gamma(cv**-2, cv**2, len(days)) if cv else np.ones(len(days))
        count = rng.poisson(mean * more * factor)
        shape = (len(days), count.max())
        arrival = np.where(
            np.arange(shape[1]) < count[:, None], rng.uniform(0, 4 * 3600, shape), np.inf
        )
        arrival.sort(axis=1)
        reason = rng.choice(["bill", "fault"], shape)
        service = rng.exponential(np.where(reason == "bill", 200, 400), shape) + 1
        table = np.full((len(days), 4), number)
        starts, ends = spells(table)
        limit = rng.exponential(patience, shape)
        done = simulate(arrival, service, limit, starts_s=starts, ends_s=ends)
        lane, k = np.nonzero(np.isfinite(arrival))
        rows.append(
            pd.DataFrame(
                {
                    "arrived": days[lane]
                    + pd.Timedelta(hours=9)
                    + pd.to_timedelta(arrival[lane, k], "s"),
                    "site": site,
                    "channel": "phone",
                    "reason": reason[lane, k],
                    "abandoned": ~done.served[lane, k],
                    "wait_s": done.wait_s[lane, k],
                    "service_s": np.where(done.served[lane, k], service[lane, k], np.nan),
                    "resolved": pd.array(rng.random(len(lane)) < 0.7, dtype="boolean"),
                }
            )
        )
        staffed.append(
            pd.DataFrame(
                {
                    "date": np.repeat(days, 4),
                    "hour": np.tile(np.arange(9, 13), len(days)),
                    "site": site,
                    "agents": number,
                }
            )
        )
    log = pd.concat(rows, ignore_index=True)
    log["resolved"] = log["resolved"].mask(log["abandoned"])
    log.insert(0, "contact", [f"K{i}" for i in range(len(log))])
    return log, pd.concat(staffed, ignore_index=True)
