"""How often do the intervals of lifts hold the truth?"""

from functools import partial

import numpy as np
import pandas as pd
from scipy.special import expit

from sqm.checks import Refusal
from sqm.methods.leverage import leverage
from tests.intervals.judge import Case

WAIT = np.arange(0, 10, 0.5)  # minutes, each as likely
CHANNEL, ENDING = 0.4, 0.35  # shares of chat and of unresolved
# about half complain, so that 100 rows hold ten events for each coefficient
B = {"b0": -0.6, "wait": 0.1, "unresolved": 0.9, "chat": -0.3}


def _chance(wait, unresolved, chat, shift=0.0):
    return expit(
        B["b0"] + shift + B["wait"] * wait + B["unresolved"] * unresolved + B["chat"] * chat
    )


def _truth(wait_after, solved):
    """The mean change over the whole population, summed over its cells."""
    total = 0.0
    for unresolved, share in ((0, 1 - ENDING), (1, ENDING)):
        for chat, of in ((0, 1 - CHANNEL), (1, CHANNEL)):
            now = _chance(WAIT, unresolved, chat)
            new = _chance(wait_after(WAIT), unresolved, chat)
            if unresolved:
                new = (1 - solved) * new + solved * _chance(wait_after(WAIT), 0, chat)
            total += share * of * (new - now).mean()
    return 100 * total


def contacts_of(rng, n, groups=0):
    wait = rng.choice(WAIT, n)
    unresolved = rng.random(n) < ENDING
    chat = rng.random(n) < CHANNEL
    agent = np.arange(n) % groups if groups else np.zeros(n, int)
    # agents differ in whom they serve, so that rows of one agent are alike in what is averaged
    if groups:
        unresolved = rng.random(n) < rng.beta(ENDING * 6, (1 - ENDING) * 6, groups)[agent]
    complained = rng.random(n) < _chance(wait, unresolved, chat)
    contacts = pd.DataFrame(
        {
            "contact": np.arange(n).astype(str),
            "wait_min": wait,
            "ending": np.where(unresolved, "unresolved", "resolved"),
            "channel": np.where(chat, "chat", "phone"),
            "agent": [f"a{i}" for i in agent],
        }
    )
    return contacts, pd.DataFrame({"contact": contacts.loc[complained, "contact"]})


CHANGES = {
    "wait_min": -2.0,
    "ending": {"from": "unresolved", "to": "resolved", "share": 0.5},
    "channel": None,
}
TRUTH = {
    "wait_min": _truth(lambda wait: np.maximum(wait - 2, 0), 0.0),
    "ending": _truth(lambda wait: wait, 0.5),
}


def lift(driver, groups, rng, n):
    contacts, complaints = contacts_of(rng, n, groups and n // groups)
    try:
        found = leverage(
            contacts,
            complaints,
            drivers=list(CHANGES),
            changes=CHANGES,
            theme="",
            fixed="",
            cluster="agent" if groups else "",
            reference={"ending": "resolved", "channel": "phone"},
        )
    except Refusal:
        return np.nan, np.nan, TRUTH[driver]
    row = found.table.set_index("driver").loc[driver]
    return row["low"], row["high"], TRUTH[driver]


def gap(rng, n):
    """The share of the gap to 10 % that half of the unresolved would close."""
    contacts, complaints = contacts_of(rng, n)
    contacts["complained"] = contacts["contact"].isin(complaints["contact"])
    ctq = {
        "name": "no complaint", "table": "operations", "measure": "complained",
        "direction": "at most", "limit": 0, "target": 0.1,
    }  # fmt: skip
    found = leverage(
        contacts, complaints, drivers=list(CHANGES), ctqs=[ctq], changes=CHANGES, theme="",
        fixed="", cluster="",
    )  # fmt: skip
    row = found.table[found.table["name"] == "no complaint"].set_index("driver").loc["ending"]
    return row["share_of_gap_low"], row["share_of_gap_high"], _share()


def counted(rng, n):
    """A CTQ on the wait itself: of waits up to 9.5 by halves, those of 5.5 to 7 fall below 5."""
    contacts, complaints = contacts_of(rng, n, n // 5)
    ctq = {
        "name": "answered in time", "table": "operations", "measure": "wait_min",
        "direction": "at most", "limit": 5, "target": 0.1,
    }  # fmt: skip
    found = leverage(
        contacts, complaints, drivers=list(CHANGES), ctqs=[ctq], changes=CHANGES, theme="",
        fixed="", cluster="agent",
    )  # fmt: skip
    row = found.table[found.table["name"] == "answered in time"].set_index("driver").loc["wait_min"]
    return row["low"], row["high"], -100 * 4 / 20


def _share():
    rate = sum(
        share * of * _chance(WAIT, unresolved, chat).mean()
        for unresolved, share in ((0, 1 - ENDING), (1, ENDING))
        for chat, of in ((0, 1 - CHANNEL), (1, CHANNEL))
    )
    return -TRUTH["ending"] / 100 / (rate - 0.1)


CASES = [
    Case("lift of a number, rows alone", partial(lift, "wait_min", 0), replications=500),
    Case("lift of a level, rows alone", partial(lift, "ending", 0), replications=500),
    Case("lift of a level, by agent", partial(lift, "ending", 5), replications=500),
    Case("share of a gap", gap, replications=500),
    Case("lift by definition, by agent", counted, replications=500),
]
