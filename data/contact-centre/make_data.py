"""Make the contact-centre data set, and the truth about it, from one seed.

    python make_data.py                      write the tables beside this file
    python make_data.py --truth              and work out truth.yml anew (a few minutes)
    python make_data.py --seed 7 --out DIR   another year of the same organisation

Everything that is put in stands in the constants below. People, sites and
effects are the same for every seed; the seed decides what happens to them.
"""

from __future__ import annotations

import argparse
import gzip
import io
import zlib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from make_handling import with_handling

HERE = Path(__file__).parent
SEED = 2025

# --- The calendar: local time in Europe/Madrid, open Monday to Friday from 08:00 to 20:00 ---------
FIRST_DAY, LAST_DAY = "2024-12-30", "2025-12-31"
END_OF_DATA = pd.Timestamp("2025-12-31 23:59:59")
HOLIDAYS = (
    "2025-01-01",
    "2025-01-06",
    "2025-04-18",
    "2025-05-01",
    "2025-08-15",
    "2025-12-08",
    "2025-12-25",
)
OPENS, CLOSES = 8, 20  # hours of the day
HOURS = np.arange(OPENS, CLOSES)
TRAINING_WEEK = 40  # ISO week in which the improvement starts (Monday 2025-09-29)
BEFORE = 39  # last week before it
LAST_WHOLE_WEEK = 52

# --- The sites. contacts: expected per open day; early, late: agents rostered for each shift;
#     resolution and complaint: what the site adds to the two logits.
SITES = pd.DataFrame(
    [
        ("N1", "north", 6, 2, 2, 40, 0.15, 0.15, False),
        ("N2", "north", 5, 2, 2, 38, -0.40, -0.24, True),
        ("N3", "north", 6, 2, 2, 42, 0.05, -0.02, False),
        ("N4", "north", 7, 3, 2, 46, 0.10, 0.28, False),
        ("C1", "centre", 7, 3, 3, 59, 0.00, 0.10, False),
        ("C2", "centre", 6, 2, 2, 38, -0.35, -0.06, True),
        ("C3", "centre", 5, 2, 2, 35, 0.20, -0.14, False),
        ("C4", "centre", 7, 3, 3, 57, 0.10, 0.20, False),
        ("S1", "south", 6, 2, 2, 40, -0.45, -0.20, True),
        ("S2", "south", 5, 2, 2, 36, 0.05, 0.06, False),
        ("S3", "south", 6, 2, 2, 38, 0.10, -0.03, False),
        ("S4", "south", 7, 3, 2, 45, -0.35, -0.10, True),
    ],
    columns=[
        *("site", "region", "agents", "early", "late"),
        *("contacts", "resolution", "complaint", "trained"),
    ],
)
EARLY, LATE = (8, 15), (14, 20)  # hours from and to; the late shift stays until the queue is empty
ABSENT = 0.08  # chance that a shift of a site lacks one agent on a day

# --- Arrivals -----------------------------------------------------------------------------------
HOUR_SHAPE = np.array([0.55, 0.85, 1.25, 1.40, 1.35, 1.10, 0.90, 0.95, 1.10, 1.05, 0.85, 0.65])
WEEKDAY_SHAPE = np.array([1.18, 1.04, 0.98, 0.95, 0.85])  # Monday to Friday
DAY_CV = 0.12  # coefficient of variation of the gamma factor of a site's day
SEASON_SWING = 0.02  # amplitude of the half-yearly wave in weeks 1 to 39
AUTUMN = (0.97, 0.93)  # level in week 40, and in week 52 after a straight fall

# --- Contacts -----------------------------------------------------------------------------------
CHAT_SHARE = 0.32
REASONS = ("information", "billing", "contract", "delivery", "technical")  # the first is reference
REASON_SHARE = np.array([0.20, 0.26, 0.13, 0.17, 0.24])
SERVICE_MEAN_S = np.array([840.0, 1140.0, 1440.0, 1020.0, 1620.0])  # talk and after-work, by reason
SERVICE_SIGMA = 0.55  # standard deviation of the logarithm
SHORTEST_SERVICE_S = 30
PATIENCE_MEAN_S = 2100.0  # exponential
AGENT_SERVICE_SD = 0.10  # of the logarithm of an agent's speed factor
AGENT_RESOLUTION_SD = 0.25  # on the logit
AGENT_COMPLAINT_SD = 0.10  # on the logit
AGENT_SEED = 1  # the people are the same whatever the seed of the year

# --- Resolved at first contact (logit) ------------------------------------------------------------
RESOLUTION_BY_REASON = np.array([1.75, 1.10, 0.75, 1.00, 0.50])
RESOLUTION_CHAT = -0.15
TRAINING_RESOLUTION = 0.55  # added to the logit at the trained sites
TRAINING_SERVICE = 0.94  # their service times are multiplied by this

# --- A complaint about a contact (logit) ----------------------------------------------------------
COMPLAINT_INTERCEPT = -4.90
COMPLAINT_PER_MINUTE = 0.06
COMPLAINT_UNRESOLVED = 1.4
COMPLAINT_ABANDONED = 1.0
COMPLAINT_CHAT = -0.2
COMPLAINT_BY_REASON = np.array([0.0, 0.35, 0.25, 0.15, 0.20])
COMPLAINT_DRIFT = -0.10  # at every site from week 40 on: not an effect of the training
UNLINKED = 0.02  # further complaints whose contact the desk could not find, as a share

# --- Complaints -----------------------------------------------------------------------------------
CATEGORIES = ("waiting", "unresolved", "billing", "staff", "information", "digital")
MISRECORDED = 0.08  # chance that the desk records another category, any of the five alike
LANGUAGES = ("en", "es", "zh")
LANGUAGE_SHARE = np.array([0.45, 0.40, 0.15])
CHANNELS_IN = ("web", "e-mail", "phone", "letter")
CHANNEL_IN_SHARE = np.array([0.42, 0.30, 0.19, 0.09])
SEVERITY_SHARE = np.array([  # severity 1, 2, 3 by true category
    [0.55, 0.35, 0.10],
    [0.35, 0.42, 0.23],
    [0.35, 0.43, 0.22],
    [0.40, 0.40, 0.20],
    [0.60, 0.32, 0.08],
    [0.62, 0.30, 0.08],
])  # fmt: skip
OPENED_AFTER_MEDIAN_H, OPENED_AFTER_SIGMA = 14.0, 1.2  # lognormal
CLOSED_AFTER_MEDIAN_D = np.array([7.5, 10.0, 14.0])  # by severity, lognormal
CLOSED_AFTER_SIGMA = 0.75
COST_MEDIAN_EUR = np.array([24.0, 58.0, 150.0])  # by severity, lognormal
COST_SIGMA = np.array([0.45, 0.55, 0.70])

# --- Two coders: how often each finds the true category, and what they take it for otherwise ------
CODED = 400
CODER_A_RIGHT = np.array([0.92, 0.87, 0.92, 0.88, 0.84, 0.89])
CODER_B_RIGHT = np.array([0.89, 0.82, 0.91, 0.85, 0.82, 0.87])
TAKEN_FOR = np.array([
    [0, 5, 1, 2, 1, 1],
    [3, 0, 2, 2, 3, 1],
    [1, 3, 0, 1, 4, 1],
    [2, 3, 1, 0, 4, 0],
    [1, 4, 2, 3, 0, 2],
    [3, 4, 1, 0, 2, 0],
])  # fmt: skip

# --- The survey (SERVQUAL, 1 to 7) ----------------------------------------------------------------
RESPONDENTS, INVITED = 2400, 6000
DIMENSIONS = {
    "tangibles": range(1, 5),
    "reliability": range(5, 10),
    "responsiveness": range(10, 14),
    "assurance": range(14, 18),
    "empathy": range(18, 23),
}
DIMENSION_OF = np.repeat(np.arange(5), [len(items) for items in DIMENSIONS.values()])
REVERSED_ITEM = 12
EXPECTATION_MEAN = np.array([5.35, 6.30, 6.20, 6.05, 5.75])  # latent, by dimension
PERCEPTION_MEAN = np.array([5.20, 5.70, 5.55, 5.70, 5.35])
ITEM_OFFSET = np.array([
    0.10, -0.15, 0.05, 0.0, -0.10, 0.15, 0.0, -0.05, 0.0, 0.10, -0.10,
    0.05, -0.05, 0.0, 0.10, -0.10, 0.0, -0.15, 0.10, 0.05, -0.05, 0.05,
])  # fmt: skip
EXPECTATION_LOADINGS = (0.45, 0.50, 0.50)  # general factor, dimension factor, noise
PERCEPTION_LOADINGS = (0.55, 0.55, 0.75)
PER_MINUTE = np.array([0.0, -0.02, -0.05, 0.0, -0.01])  # of wait, on perceptions
LONGEST_FELT_MIN = 25  # a longer wait hurts no more
IF_UNRESOLVED = np.array([0.0, -0.80, -0.50, -0.25, -0.15])
SATISFACTION_INTERCEPT, SATISFACTION_SD = -0.40, 0.60
SATISFACTION_WEIGHTS = np.array([0.07, 0.35, 0.30, 0.18, 0.15])  # on the five dimension means
RECOMMEND = (-0.40, 1.55, 1.00)  # intercept, slope on satisfaction, noise
RESPONSE = (-0.30, 0.30, 4.7)  # logit of answering: intercept, slope on satisfaction, centre
ANSWERED_AFTER_H = (4.0, 36.0)  # at least, and the mean of the exponential time on top
EFFORT = (6.0, -0.05, -1.3, 1.1)  # ease: intercept, per minute of wait, if unresolved, noise
ANSWERING_S, ANSWERING_SIGMA = (430.0, 110.0), 0.35  # median of readers and of others; log-normal
BLANK, CARELESS = 0.02, 0.03  # of answers, of respondents
NOT_APPLICABLE, NOT_APPLICABLE_ITEM = 99, "p04"

# --- Oddities planted, how many of each -----------------------------------------------------------
NEGATIVE_WAITS, DOUBLE_CONTACTS, ENDLESS_WAITS = 6, 4, 5
NOT_APPLICABLE_ANSWERS, DOUBLE_RESPONDENTS = 8, 5
CAMPAIGN_LETTERS, CONTACT_DETAILS, EMPTY_TEXTS = 30, 14, 0.01
CAMPAIGN_WEEKS = (20, 29)

# --- Letters: the chance of each part; what the complaint is about is always there ----------------
OPENING, SECOND_MATTER, DETAIL, CLOSING = 0.55, 0.20, 0.35, 0.50
WRITTEN_WITH_TYPO = 0.12

MINUTE, HOUR = 60, 3600
NEVER = 1e9  # a time of day, in seconds, that does not come


def stream(seed: int, name: str) -> np.random.Generator:
    """Random numbers for one purpose, so that a change in one table leaves the others alone."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


# --- Who and when ---------------------------------------------------------------------------------


@cache
def open_days() -> pd.DataFrame:
    """Every open date, with its week (1 to 52 as in ISO 2025, then 53) and weekday (Monday 0)."""
    dates = pd.bdate_range(FIRST_DAY, LAST_DAY)
    dates = dates[~dates.isin(pd.to_datetime(HOLIDAYS))]
    week = (dates - pd.Timestamp(FIRST_DAY)).days // 7 + 1
    return pd.DataFrame({"date": dates, "week": week, "weekday": dates.day_of_week})


def make_agents() -> pd.DataFrame:
    """The agents: site, speed (service times are multiplied by it), two effects on logits.

    The last row is a stand-in of average skill, for scenarios with one more agent.
    """
    rng = np.random.default_rng(AGENT_SEED)
    site = np.repeat(np.arange(len(SITES)), SITES["agents"])
    number = np.concatenate([np.arange(1, n + 1) for n in SITES["agents"]])
    effects = rng.normal(size=(len(site), 3))
    # centred within each site, so that site effects mean what they say
    effects -= pd.DataFrame(effects).groupby(site).transform("mean").to_numpy()
    agents = pd.DataFrame({
        "agent": [f"{SITES['site'][s]}-{n:02d}" for s, n in zip(site, number, strict=True)],
        "site": site,
        "speed": np.exp(AGENT_SERVICE_SD * effects[:, 0]),
        "resolution": AGENT_RESOLUTION_SD * effects[:, 1],
        "complaint": AGENT_COMPLAINT_SD * effects[:, 2],
    })  # fmt: skip
    agents.loc[len(agents)] = ["stand-in", -1, 1.0, 0.0, 0.0]
    return agents


AGENTS = make_agents()
STAND_IN = len(AGENTS) - 1
SPEED, AGENT_RESOLUTION, AGENT_COMPLAINT = (
    AGENTS[name].to_numpy() for name in ("speed", "resolution", "complaint")
)
TRAINED = SITES["trained"].to_numpy()


def season(week: np.ndarray) -> np.ndarray:
    """What the time of year multiplies arrivals by."""
    wave = 1 + SEASON_SWING * np.sin(2 * np.pi * week / 26)
    fall = np.interp(week, [TRAINING_WEEK, LAST_WHOLE_WEEK], AUTUMN)
    return np.where(week < TRAINING_WEEK, wave, fall)


# --- The year as it is drawn: site-days, their agents, their customers ----------------------------


@dataclass(frozen=True, eq=False)
class SiteDays:
    """One row per site and open day; in a simulation, per replication too."""

    site: np.ndarray
    day: np.ndarray  # row of open_days()
    week: np.ndarray
    weekday: np.ndarray
    replication: np.ndarray


@dataclass(frozen=True, eq=False)
class Roster:
    """Seats of a site-day, arrays of shape (site-days, seats): who, from when, until when (s)."""

    agent: np.ndarray
    start: np.ndarray
    end: np.ndarray


@dataclass(frozen=True, eq=False)
class Customers:
    """Contacts in order of arrival, arrays of shape (site-days, most contacts in a day).

    Drawn before any queue is run, so that two worlds can meet the same customers.
    """

    real: np.ndarray  # False where a day had fewer contacts than the fullest
    arrival: np.ndarray  # seconds since midnight
    chat: np.ndarray
    reason: np.ndarray
    patience: np.ndarray
    service: np.ndarray  # seconds, with an agent of average speed
    luck: np.ndarray  # uniform: resolved when below its probability


@dataclass(frozen=True)
class World:
    """What is done; each field but the first is a scenario."""

    training_week: int = TRAINING_WEEK  # the week from which the four sites are trained
    extra: tuple[int, int] | None = None  # hours from and to of one more agent at every site
    service: float = 1.0  # service times are multiplied by this everywhere
    resolution: float = 0.0  # added to the logit of resolution everywhere


UNTRAINED = World(training_week=99)


def site_days(weeks: range, *, sites: np.ndarray | None = None, replications: int = 1) -> SiteDays:
    days = open_days()
    chosen = np.flatnonzero(days["week"].isin(weeks))
    sites = np.arange(len(SITES)) if sites is None else sites
    replication, site, day = (
        grid.ravel() for grid in np.meshgrid(range(replications), sites, chosen, indexing="ij")
    )
    week, weekday = days["week"].to_numpy()[day], days["weekday"].to_numpy()[day]
    return SiteDays(site, day, week, weekday, replication)


def draw_roster(rng: np.random.Generator, lanes: SiteDays) -> Roster:
    """Agents take turns by the week; a shift may lack one; the seat of a scenario comes last."""
    most, weeks = SITES["agents"].max(), lanes.week.max() + 1
    turns = rng.random((lanes.replication.max() + 1, len(SITES), weeks, most))
    order = turns[lanes.replication, lanes.site, lanes.week]
    size, early, late = (
        SITES[name].to_numpy()[lanes.site, None] for name in ("agents", "early", "late")
    )
    order[np.arange(most) >= size] = np.inf
    seats = int((SITES["early"] + SITES["late"]).max())
    first = np.append(0, SITES["agents"].cumsum())[lanes.site, None]
    absent = rng.random((len(lanes.site), 2)) < ABSENT
    seat = np.arange(seats)
    on_early = seat < early - absent[:, :1]
    on_late = (seat >= early) & (seat < early + late - absent[:, 1:])
    start = np.where(on_early, EARLY[0] * HOUR, np.where(on_late, LATE[0] * HOUR, NEVER))
    end = np.where(on_early, EARLY[1] * HOUR, np.where(on_late, np.inf, 0))
    agent = first + order.argsort(axis=1)[:, :seats]
    return _with_last_seat(Roster(agent, start, end))


def _with_last_seat(roster: Roster) -> Roster:
    def beside(seats, last):
        return np.column_stack([seats, np.full(len(seats), last)])

    return Roster(
        beside(roster.agent, STAND_IN), beside(roster.start, NEVER), beside(roster.end, 0.0)
    )


def draw_customers(rng: np.random.Generator, lanes: SiteDays) -> Customers:
    expected = SITES["contacts"].to_numpy()[lanes.site] * season(lanes.week)
    expected = expected * WEEKDAY_SHAPE[lanes.weekday]
    of_the_day = rng.gamma(DAY_CV**-2, DAY_CV**2, len(expected))
    count = rng.poisson(expected * of_the_day)
    shape = (len(count), count.max())
    real = np.arange(shape[1]) < count[:, None]
    arrival = np.sort(np.where(real, _times_of_day(rng, shape), NEVER), axis=1)
    reason = rng.choice(len(REASONS), size=shape, p=REASON_SHARE)
    spread = np.exp(SERVICE_SIGMA * rng.standard_normal(shape) - SERVICE_SIGMA**2 / 2)
    return Customers(
        real=real,
        arrival=arrival,
        chat=rng.random(shape) < CHAT_SHARE,
        reason=reason,
        patience=np.ceil(rng.exponential(PATIENCE_MEAN_S, shape)),
        service=SERVICE_MEAN_S[reason] * spread,
        luck=rng.random(shape),
    )


def _times_of_day(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    hour = rng.choice(HOURS, size=shape, p=HOUR_SHAPE / HOUR_SHAPE.sum())
    return np.floor((hour + rng.random(shape)) * HOUR)


# --- What happens to them -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Contacts:
    """What became of the customers: arrays of the same shape; seconds; `agent` a row of AGENTS."""

    wait: np.ndarray
    served: np.ndarray
    service: np.ndarray
    agent: np.ndarray
    resolution_logit: np.ndarray
    resolved: np.ndarray
    complaint_logit: np.ndarray


def run(lanes: SiteDays, roster: Roster, customers: Customers, world: World) -> Contacts:
    """Let the customers of each site-day queue, be served or leave, and make up their minds."""
    trained = TRAINED[lanes.site] & (lanes.week >= world.training_week)
    faster = world.service * np.where(trained, TRAINING_SERVICE, 1.0)
    wait, served, service, agent = _queue(_with_extra(roster, world), customers, faster)
    logit = (
        RESOLUTION_BY_REASON[customers.reason]
        + RESOLUTION_CHAT * customers.chat
        + SITES["resolution"].to_numpy()[lanes.site, None]
        + AGENT_RESOLUTION[agent]
        + world.resolution
        + TRAINING_RESOLUTION * trained[:, None]
    )
    resolved = served & (customers.luck < logistic(logit))
    complaint = complaint_logit(lanes, customers, wait, served, resolved, agent)
    return Contacts(wait, served, service, agent, logit, resolved, complaint)


def _with_extra(roster: Roster, world: World) -> Roster:
    """Fill the last seat when the world has one more agent."""
    if world.extra is None:
        return roster
    start, end = roster.start.copy(), roster.end.copy()
    start[:, -1], end[:, -1] = world.extra[0] * HOUR, world.extra[1] * HOUR
    return replace(roster, start=start, end=end)


def _queue(roster: Roster, customers: Customers, faster: np.ndarray):
    """First come, first served, exactly: the k-th customers of all site-days at once.

    A customer goes to the agent who is or will be free first (of several free, the one idle for
    longest), if that agent can begin before the end of the shift; a contact begun is finished. Who
    would wait longer than their patience leaves when it ends.
    """
    free, rows = roster.start.astype(float), np.arange(len(roster.start))
    speed = SPEED[roster.agent] * faster[:, None]
    wait, service = np.zeros(customers.real.shape), np.zeros(customers.real.shape)
    served, agent = np.zeros(wait.shape, bool), np.zeros(wait.shape, int)
    for k in range(wait.shape[1]):
        arrival = customers.arrival[:, k]
        in_time = np.maximum(free, arrival[:, None]) < roster.end
        ready = np.where(in_time, free, np.inf)
        seat = ready.argmin(axis=1)
        offered = np.maximum(ready[rows, seat] - arrival, 0)
        patience = customers.patience[:, k]
        stays = customers.real[:, k] & (offered <= patience)
        needed = np.rint(customers.service[:, k] * speed[rows, seat])
        needed = np.maximum(needed, SHORTEST_SERVICE_S)
        free[rows[stays], seat[stays]] = (arrival + offered + needed)[stays]
        wait[:, k], service[:, k] = np.minimum(offered, patience), needed
        served[:, k], agent[:, k] = stays, np.where(stays, roster.agent[rows, seat], STAND_IN)
    return wait, served, service, agent


def complaint_logit(lanes, customers, wait, served, resolved, agent) -> np.ndarray:
    """The logit of a complaint about each contact. The stand-in's effect is nil."""
    state = np.where(resolved, 0.0, np.where(served, COMPLAINT_UNRESOLVED, COMPLAINT_ABANDONED))
    of_site = SITES["complaint"].to_numpy()[lanes.site]
    drift = COMPLAINT_DRIFT * (lanes.week >= TRAINING_WEEK)
    return (
        COMPLAINT_INTERCEPT
        + (of_site + drift)[:, None]
        + COMPLAINT_BY_REASON[customers.reason]
        + COMPLAINT_CHAT * customers.chat
        + COMPLAINT_PER_MINUTE * wait / MINUTE
        + AGENT_COMPLAINT[agent]
        + state
    )


# --- The tables -----------------------------------------------------------------------------------


def make_contacts(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The year's contacts with all that is known of them, and who was on duty."""
    lanes = site_days(range(1, 54))
    rng = stream(seed, "contacts")
    roster, customers = draw_roster(rng, lanes), draw_customers(rng, lanes)
    became = run(lanes, roster, customers, World())
    contacts = _in_rows(lanes, customers, became)
    contacts = contacts.sort_values(["arrived_at", "site"], ignore_index=True)
    contacts["language"] = rng.choice(LANGUAGES, size=len(contacts), p=LANGUAGE_SHARE)
    contacts.insert(0, "contact_id", [f"K{i:06d}" for i in range(1, len(contacts) + 1)])
    return contacts, make_staffing(lanes, roster)


def _in_rows(lanes: SiteDays, customers: Customers, became: Contacts) -> pd.DataFrame:
    """One row per contact, from arrays of site-days."""
    lane, k = np.nonzero(customers.real)
    midnight = open_days()["date"].to_numpy()[lanes.day[lane]]
    arrival = customers.arrival[lane, k].astype("int64")
    return pd.DataFrame({
        "arrived_at": midnight + arrival.astype("timedelta64[s]"),
        "site": SITES["site"].to_numpy()[lanes.site[lane]],
        "region": SITES["region"].to_numpy()[lanes.site[lane]],
        "week": lanes.week[lane],
        "channel": np.where(customers.chat[lane, k], "chat", "phone"),
        "reason": np.array(REASONS)[customers.reason[lane, k]],
        "served": became.served[lane, k],
        "wait_s": became.wait[lane, k].astype("int64"),
        "service_s": became.service[lane, k].astype("int64"),
        "agent": AGENTS["agent"].to_numpy()[became.agent[lane, k]],
        "resolved": became.resolved[lane, k],
        "complaint_logit": became.complaint_logit[lane, k],
    })  # fmt: skip


def make_staffing(lanes: SiteDays, roster: Roster) -> pd.DataFrame:
    """How many agents were on duty in each hour, absences taken off."""
    end = np.minimum(roster.end, CLOSES * HOUR)
    second = HOURS * HOUR
    on_duty = (roster.start[..., None] <= second) & (second < end[..., None])
    staffing = pd.DataFrame({
        "date": _date(lanes.day).repeat(len(HOURS)),
        "hour": np.tile(HOURS, len(lanes.day)),
        "site": SITES["site"].to_numpy()[lanes.site].repeat(len(HOURS)),
        "agents": on_duty.sum(axis=1).ravel(),
    })  # fmt: skip
    return staffing.sort_values(["date", "hour", "site"], ignore_index=True)


def _date(day: np.ndarray) -> np.ndarray:
    return open_days()["date"].dt.strftime("%Y-%m-%d").to_numpy()[day]


def make_operations(contacts: pd.DataFrame, planted: dict, rng: np.random.Generator):
    """The table of contacts as the switchboard writes it, with its few impossible rows."""
    served = contacts["served"]
    table = contacts.filter(["contact_id", "arrived_at", "site", "region", "channel", "reason"])
    table = table.assign(
        arrived_at=_clock(contacts["arrived_at"]),
        outcome=np.where(served, "served", "abandoned"),
        wait_s=contacts["wait_s"],
        service_s=contacts["service_s"].where(served).astype("Int64"),
        agent=contacts["agent"].where(served),
        resolved=contacts["resolved"].astype("Int64").where(served),
    )
    plain = contacts.index[served & ~contacts["contact_id"].isin(planted["linked"])]
    counts = [NEGATIVE_WAITS, ENDLESS_WAITS, DOUBLE_CONTACTS]
    negative, endless, double = np.split(
        rng.choice(plain, sum(counts), replace=False), np.cumsum(counts)[:-1]
    )
    table.loc[negative, "wait_s"] = -rng.integers(2, 90, NEGATIVE_WAITS)
    table.loc[endless, "wait_s"] = rng.integers(12 * HOUR + 60, 26 * HOUR, ENDLESS_WAITS)
    planted["negative_waits"] = sorted(table.loc[negative, "contact_id"])
    planted["endless_waits"] = sorted(table.loc[endless, "contact_id"])
    planted["double_contacts"] = sorted(table.loc[double, "contact_id"])
    return _with_copies(table, double, rng)


def _with_copies(table: pd.DataFrame, rows, rng: np.random.Generator) -> pd.DataFrame:
    """Copy some rows a little further down, as a transfer sent twice would."""
    place = table.index.to_numpy(float)
    again = np.array(rows) + rng.integers(1, 40, len(rows)) + 0.5
    both = pd.concat([table, table.loc[rows]])
    return both.iloc[np.argsort(np.append(place, again), kind="stable")].reset_index(drop=True)


def _clock(times: pd.Series) -> pd.Series:
    return times.dt.strftime("%Y-%m-%d %H:%M:%S")


def _by_daylight(times: pd.Series) -> pd.Series:
    """Nobody writes between midnight and seven: those write seven hours later.

    So no time falls into the hours that summer time skips or repeats.
    """
    return times + pd.to_timedelta(np.where(times.dt.hour < 7, 7, 0), unit="h")


# --- Complaints -----------------------------------------------------------------------------------


def category_shares(contacts: pd.DataFrame) -> np.ndarray:
    """How likely a complaint about each contact is of each category, from what happened."""
    minutes = contacts["wait_s"].to_numpy() / MINUTE
    is_of = {name: contacts["reason"].eq(name).to_numpy() for name in REASONS}
    unresolved = (contacts["served"] & ~contacts["resolved"]).to_numpy()
    weight = np.column_stack([
        0.25 + 0.20 * minutes + 2.0 * ~contacts["served"].to_numpy(),
        0.25 + 3.0 * unresolved + 1.0 * (unresolved & is_of["technical"]),
        0.20 + 2.2 * is_of["billing"] + 0.5 * is_of["contract"],
        np.full(len(contacts), 0.8),
        0.55 + 0.8 * (is_of["contract"] | is_of["information"]),
        0.25 + 1.4 * contacts["channel"].eq("chat").to_numpy() + 0.3 * is_of["delivery"],
    ])  # fmt: skip
    return weight / weight.sum(axis=1, keepdims=True)


def _choose(rng: np.random.Generator, shares: np.ndarray) -> np.ndarray:
    """One column per row, with the row's own shares."""
    return (rng.random((len(shares), 1)) > shares.cumsum(axis=1)[:, :-1]).sum(axis=1)


def make_complaints(contacts: pd.DataFrame, seed: int, planted: dict) -> pd.DataFrame:
    """The complaints desk's table, with the true category as a last column."""
    rng = stream(seed, "complaints")
    complains = rng.random(len(contacts)) < logistic(contacts["complaint_logit"].to_numpy())
    linked = contacts[complains]
    about = pd.concat([linked, linked.sample(frac=UNLINKED, random_state=rng)])
    unlinked = np.arange(len(about)) >= len(linked)
    true = _choose(rng, category_shares(about))
    severity = _choose(rng, SEVERITY_SHARE[true])
    table = pd.DataFrame({
        "contact_id": about["contact_id"].where(~unlinked).to_numpy(),
        **_opened_and_closed(rng, about, severity),
        "site": about["site"].to_numpy(),
        "channel_in": rng.choice(CHANNELS_IN, size=len(about), p=CHANNEL_IN_SHARE),
        "language": about["language"].to_numpy(),
        "category": np.array(CATEGORIES)[_misrecorded(rng, true)],
        "severity": severity + 1,
        "cost_eur": np.exp(
            np.log(COST_MEDIAN_EUR[severity]) + COST_SIGMA[severity] * rng.normal(size=len(about))
        ).round(2),
        "wait_s": about["wait_s"].to_numpy(),
        "true_category": np.array(CATEGORIES)[true],
    })  # fmt: skip
    table = _numbered(table[table["opened_at"] <= END_OF_DATA])
    table["text"] = write_texts(table, seed, planted)
    return table


def _opened_and_closed(rng, about: pd.DataFrame, severity: np.ndarray) -> dict:
    hours = np.exp(OPENED_AFTER_SIGMA * rng.normal(size=len(about))) * OPENED_AFTER_MEDIAN_H
    days = np.exp(CLOSED_AFTER_SIGMA * rng.normal(size=len(about)))
    days = days * CLOSED_AFTER_MEDIAN_D[severity]
    ended = about["arrived_at"] + pd.to_timedelta(
        about["wait_s"] + about["service_s"].where(about["served"], 0), unit="s"
    )
    opened = _by_daylight(ended + pd.to_timedelta((hours * HOUR).round(), unit="s"))
    closed = _by_daylight(opened + pd.to_timedelta((days * 24 * HOUR).round(), unit="s"))
    return {"opened_at": opened.to_numpy(), "closed_at": closed.to_numpy()}


def _misrecorded(rng: np.random.Generator, true: np.ndarray) -> np.ndarray:
    wrong = rng.random(len(true)) < MISRECORDED
    step = rng.integers(1, len(CATEGORIES), len(true))
    return np.where(wrong, (true + step) % len(CATEGORIES), true)


def _numbered(table: pd.DataFrame) -> pd.DataFrame:
    """In the order of opening; what the desk does not know by the end of the data is blank."""
    table = table.sort_values("opened_at", kind="stable", ignore_index=True)
    table.insert(0, "complaint_id", [f"R{i:05d}" for i in range(1, len(table) + 1)])
    still_open = table["closed_at"] > END_OF_DATA
    table.loc[still_open, "closed_at"] = pd.NaT
    table.loc[still_open, "cost_eur"] = np.nan
    return table


# --- What complainants write ----------------------------------------------------------------------


def write_texts(complaints: pd.DataFrame, seed: int, planted: dict) -> np.ndarray:
    rng = stream(seed, "texts")
    parts = yaml.safe_load((HERE / "texts.yml").read_text(encoding="utf-8"))
    texts = np.array([_letter(rng, parts, row) for row in complaints.itertuples()], dtype=object)
    _plant_letters(rng, texts, complaints, parts, planted)
    return texts


def _letter(rng: np.random.Generator, parts: dict, row) -> str:
    """An opening, what it is about, a detail and a closing; only the second is always there."""
    words, severe = parts[row.language], row.severity == 3
    closings = words["angry" if rng.random() < (0.8 if severe else 0.2) else "polite"]
    sentences = [
        *_perhaps(rng, OPENING, words["openings"]),
        _one(rng, words["about"][row.true_category]),
        *_perhaps(rng, SECOND_MATTER, words["about"][_one(rng, CATEGORIES)]),
        *_perhaps(rng, DETAIL, words["details"]),
        *_perhaps(rng, CLOSING, closings),
    ]
    filled = [_filled(rng, sentence, parts["names"], row) for sentence in sentences]
    text = ("" if row.language == "zh" else " ").join(dict.fromkeys(filled))
    return _typo(rng, text) if rng.random() < WRITTEN_WITH_TYPO else text


def _one(rng: np.random.Generator, choices):
    return choices[rng.integers(len(choices))]


def _perhaps(rng: np.random.Generator, chance: float, choices: list) -> list:
    return [_one(rng, choices)] if rng.random() < chance else []


def _filled(rng: np.random.Generator, sentence: str, names: dict, row) -> str:
    """Put numbers, streets and products where the sentence leaves room for them."""
    waited = round(row.wait_s / MINUTE)
    return sentence.format(
        minutes=waited if waited > 3 else rng.integers(8, 50),
        days=rng.integers(3, 30),
        times=rng.integers(2, 7),
        amount=rng.integers(6, 140),
        number=rng.integers(10000, 99999),
        street=f"{_one(rng, names['streets'])} {rng.integers(1, 90)}",
        product=_one(rng, names["products"]),
    )


def _typo(rng: np.random.Generator, text: str) -> str:
    """Two letters change places, or one is lost, or accents and capitals are left out."""
    way, place = rng.integers(4), rng.integers(1, max(2, len(text) - 2))
    if way == 0:
        return text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    if way == 1:
        return text[:place] + text[place + 1 :]
    if way == 2:
        return text.lower()
    return text.translate(str.maketrans("áéíóúñ¿¡", "aeioun  ")).strip().rstrip(".。")


def _plant_letters(rng, texts, complaints, parts, planted):
    """Put the oddities in, each in letters that have no other."""
    free = np.ones(len(texts), bool)

    def pick(mask, n):
        rows = np.sort(rng.choice(np.flatnonzero(mask & free), n, replace=False))
        free[rows] = False
        return rows

    week = (complaints["opened_at"] - pd.Timestamp(FIRST_DAY)).dt.days // 7 + 1
    spanish = complaints["language"].eq("es")
    campaign = spanish & complaints["true_category"].eq("billing") & week.between(*CAMPAIGN_WEEKS)
    kinds = {"campaign_letters": pick(campaign, min(CAMPAIGN_LETTERS, int(campaign.sum())))}
    for row in kinds["campaign_letters"]:
        texts[row] = _campaign_letter(rng, parts)
    for kind, odd in parts["oddities"].items():
        kinds[kind] = [_odd(pick, texts, complaints, *letter) for letter in odd]
    kinds["contact_details"] = pick(~complaints["language"].eq("zh"), CONTACT_DETAILS)
    for n, row in enumerate(kinds["contact_details"]):
        texts[row] += " " + _contact_detail(n, complaints["language"][row])
    kinds["empty_texts"] = pick(True, round(EMPTY_TEXTS * len(texts)))
    texts[kinds["empty_texts"]] = ""
    for kind, rows in kinds.items():
        planted[kind] = [str(name) for name in complaints["complaint_id"].to_numpy()[rows]]


def _odd(pick, texts, complaints, language: str, category: str, text: str) -> int:
    of_its_kind = complaints["language"].eq(language) & complaints["true_category"].eq(category)
    row = pick(of_its_kind, 1)[0]
    texts[row] = text
    return row


def _campaign_letter(rng: np.random.Generator, parts: dict) -> str:
    """The same letter with another amount, another product, sometimes another ending."""
    letter = parts["campaign"]
    text = letter["text"].format(
        amount=rng.integers(6, 40), product=_one(rng, parts["names"]["products"])
    )
    return text + _one(rng, letter["endings"])


def _contact_detail(n: int, language: str) -> str:
    """An invented address of example.com, or a number that no network has given out."""
    address, number = f"customer{400 + 17 * n}@example.com", f"+34 555 010 {100 + 7 * n}"
    if language == "es":
        return f"Escríbanme a {address}." if n % 2 else f"Llámenme al {number}."
    return f"Write to {address}." if n % 2 else f"Call me on {number}."


# --- Two coders -----------------------------------------------------------------------------------


def confusion(right: np.ndarray) -> np.ndarray:
    """Row: true category; column: what the coder says; rows add up to 1."""
    wrong = TAKEN_FOR / TAKEN_FOR.sum(axis=1, keepdims=True)
    return np.diag(right) + (1 - right)[:, None] * wrong


def make_coders(complaints: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A simple random sample of the letters that say something, coded twice."""
    rng = stream(seed, "coders")
    written = complaints[complaints["text"] != ""]
    sample = written.sample(CODED, random_state=rng).sort_values("complaint_id")
    true = sample["true_category"].map(CATEGORIES.index).to_numpy()
    coded = {
        f"coder_{name}": np.array(CATEGORIES)[_choose(rng, confusion(right)[true])]
        for name, right in (("a", CODER_A_RIGHT), ("b", CODER_B_RIGHT))
    }
    return pd.DataFrame({"complaint_id": sample["complaint_id"].to_numpy(), **coded})


def true_kappa(shares: np.ndarray) -> float:
    """Cohen's kappa of the two coders in a population with these shares of true categories."""
    a, b = confusion(CODER_A_RIGHT), confusion(CODER_B_RIGHT)
    joint = np.einsum("t,ti,tj->ij", shares, a, b)
    by_chance = joint.sum(axis=1) @ joint.sum(axis=0)
    return float((np.trace(joint) - by_chance) / (1 - by_chance))


# --- The survey -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Answers:
    """What careful respondents mean, every item worded forwards."""

    expectation: np.ndarray  # (respondents, 22), 1 to 7
    perception: np.ndarray
    satisfaction: np.ndarray  # 1 to 7
    recommend: np.ndarray  # 0 to 10
    responds: np.ndarray  # whether they send it back


def draw_answers(rng: np.random.Generator, wait_s: np.ndarray, resolved: np.ndarray) -> Answers:
    felt = np.minimum(wait_s / MINUTE, LONGEST_FELT_MIN)[:, None]
    met = PER_MINUTE * felt + IF_UNRESOLVED * ~resolved[:, None]
    expectation = _items(rng, EXPECTATION_MEAN, EXPECTATION_LOADINGS, np.zeros_like(met))
    perception = _items(rng, PERCEPTION_MEAN, PERCEPTION_LOADINGS, met)
    overall = SATISFACTION_INTERCEPT + dimension_means(perception) @ SATISFACTION_WEIGHTS
    overall = overall + SATISFACTION_SD * rng.normal(size=len(overall))
    intercept, slope, noise = RECOMMEND
    recommend = intercept + slope * overall + noise * rng.normal(size=len(overall))
    base, pull, centre = RESPONSE
    return Answers(
        expectation,
        perception,
        satisfaction=_on_scale(overall, 1, 7),
        recommend=_on_scale(recommend, 0, 10),
        responds=rng.random(len(overall)) < logistic(base + pull * (overall - centre)),
    )


def _items(rng, mean: np.ndarray, loadings: tuple, shift: np.ndarray) -> np.ndarray:
    """22 answers from one general factor, five dimension factors and noise."""
    general, of_dimension, noise = loadings
    n = len(shift)
    latent = (
        mean + shift + general * rng.normal(size=(n, 1)) + of_dimension * rng.normal(size=(n, 5))
    )
    latent = latent[:, DIMENSION_OF] + ITEM_OFFSET + noise * rng.normal(size=(n, 22))
    return _on_scale(latent, 1, 7)


def _on_scale(x: np.ndarray, low: int, high: int) -> np.ndarray:
    return np.clip(np.rint(x), low, high).astype(int)


def dimension_means(items: np.ndarray) -> np.ndarray:
    return np.column_stack([items[:, np.equal(DIMENSION_OF, k)].mean(axis=1) for k in range(5)])


def invite(rng: np.random.Generator, contacts: pd.DataFrame):
    """Who is invited, what each would answer, when, and the rows of those who do."""
    invited = contacts[contacts["served"]].sample(INVITED, random_state=rng)
    answers = draw_answers(rng, invited["wait_s"].to_numpy(), invited["resolved"].to_numpy())
    hours = ANSWERED_AFTER_H[0] + rng.exponential(ANSWERED_AFTER_H[1], len(invited))
    answered = invited["arrived_at"] + pd.to_timedelta(hours * HOUR // 1, unit="s")
    answered = _by_daylight(answered)
    in_time = (answered <= END_OF_DATA).to_numpy()
    return invited, answers, answered, np.flatnonzero(answers.responds & in_time)[:RESPONDENTS]


def make_survey(contacts: pd.DataFrame, seed: int, planted: dict) -> pd.DataFrame:
    rng = stream(seed, "survey")
    invited, answers, answered, sent = invite(rng, contacts)
    survey = invited.filter(["contact_id", "site", "channel", "language"]).iloc[sent]
    survey.insert(0, "answered_at", answered.iloc[sent])
    effort = _effort(stream(seed, "effort"), invited.iloc[sent])
    survey = survey.reset_index(drop=True).join(_as_written(rng, answers, sent))
    survey["effort"] = effort
    survey = survey.sort_values("answered_at", kind="stable", ignore_index=True)
    survey.insert(0, "respondent_id", [f"Q{i:04d}" for i in range(1, len(survey) + 1)])
    survey["answered_at"] = _clock(survey["answered_at"])
    survey = _with_survey_oddities(rng, survey, planted)
    return _timed(stream(seed, "duration"), survey, planted["careless_respondents"])


def _effort(rng: np.random.Generator, contacts: pd.DataFrame) -> np.ndarray:
    """How easy the service made it, 1 (hard) to 7 (easy)."""
    felt = np.minimum(contacts["wait_s"].to_numpy() / MINUTE, LONGEST_FELT_MIN)
    easy, per_minute, unresolved, noise = EFFORT
    easy = easy + per_minute * felt + unresolved * ~contacts["resolved"].to_numpy(bool)
    return _on_scale(easy + noise * rng.normal(size=len(felt)), 1, 7)


def _timed(rng: np.random.Generator, survey: pd.DataFrame, careless: list) -> pd.DataFrame:
    """Seconds from the first page to the last; those who do not read are quick."""
    quick = survey["respondent_id"].isin(careless)
    median = np.where(quick, ANSWERING_S[1], ANSWERING_S[0])
    seconds = median * np.exp(ANSWERING_SIGMA * rng.normal(size=len(survey)))
    survey["duration_s"] = np.rint(seconds).astype(int)
    # a questionnaire that stands twice is the same one
    survey["duration_s"] = survey.groupby("respondent_id")["duration_s"].transform("first")
    return survey


def _as_written(rng: np.random.Generator, answers: Answers, sent: np.ndarray) -> pd.DataFrame:
    """Answers as they stand on the form: item 12 the other way round, some blank."""
    columns = {}
    for letter, items in (("e", answers.expectation[sent]), ("p", answers.perception[sent])):
        for i in range(22):
            turned = i + 1 == REVERSED_ITEM
            columns[f"{letter}{i + 1:02d}"] = 8 - items[:, i] if turned else items[:, i]
    columns["satisfaction"] = answers.satisfaction[sent]
    columns["recommend"] = answers.recommend[sent]
    table = pd.DataFrame(columns).astype("Int64")
    return table.mask(rng.random(table.shape) < BLANK)


def _with_survey_oddities(rng, survey: pd.DataFrame, planted: dict) -> pd.DataFrame:
    rows = rng.permutation(len(survey))
    n = round(CARELESS * len(survey))
    careless, other = rows[:n], rows[n:]
    items = [f"{letter}{i:02d}" for letter in "ep" for i in range(1, 23)]
    # the same box all the way down, whichever way the item is worded
    box = rng.choice([3, 4, 5, 6, 7], size=n, p=[0.1, 0.35, 0.2, 0.15, 0.2])
    survey.loc[careless, items] = np.repeat(box[:, None], len(items), axis=1)
    survey.loc[careless, "satisfaction"] = box
    survey.loc[careless, "recommend"] = rng.integers(3, 11, n)
    odd, double = other[:NOT_APPLICABLE_ANSWERS], other[-DOUBLE_RESPONDENTS:]
    survey.loc[odd, NOT_APPLICABLE_ITEM] = NOT_APPLICABLE
    planted["careless_respondents"] = sorted(survey.loc[careless, "respondent_id"])
    planted["not_applicable_answers"] = sorted(survey.loc[odd, "respondent_id"])
    planted["double_respondents"] = sorted(survey.loc[double, "respondent_id"])
    return _with_copies(survey, double, rng)


# --- Everything together --------------------------------------------------------------------------

COMPLAINT_COLUMNS = [
    "complaint_id", "customer_id", "contact_id", "opened_at", "acknowledged_at", "closed_at",
    "site", "channel_in", "language", "category", "code", "severity", "ended", "reopened",
    "escalated", "cost_eur", "compensation_eur", "text",
]  # fmt: skip


def make_tables(seed: int = SEED) -> tuple[dict[str, pd.DataFrame], dict[str, list]]:
    """All tables by file name, and the ids of what was planted in them."""
    planted: dict = {}
    contacts, staffing = make_contacts(seed)
    complaints = make_complaints(contacts, seed, planted)
    complaints = with_handling(complaints, stream(seed, "handling"), END_OF_DATA)
    survey = make_survey(contacts, seed, planted)
    planted["linked"] = {*complaints["contact_id"].dropna(), *survey["contact_id"]}
    operations = make_operations(contacts, planted, stream(seed, "operations"))
    del planted["linked"]
    times = ("opened_at", "acknowledged_at", "closed_at")
    clock = {name: _clock(complaints[name]) for name in times}
    tables = {
        "operations.csv.gz": operations,
        "survey.csv.gz": survey,
        "complaints.csv.gz": complaints.assign(**clock)[COMPLAINT_COLUMNS],
        "staffing.csv.gz": staffing,
        "true_categories.csv.gz": complaints[["complaint_id", "true_category"]],
    }
    return tables, planted


def write(table: pd.DataFrame, path: Path) -> None:
    """Write CSV; compressed files carry no time, so that the same table is the same bytes."""
    raw = table.to_csv(index=False, lineterminator="\n").encode("utf-8")
    if path.suffix == ".gz":
        packed = io.BytesIO()
        with gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=9, mtime=0) as out:
            out.write(raw)
        raw = packed.getvalue()
    path.write_bytes(raw)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=SEED, help="another year (default %(default)s)")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to")
    parser.add_argument("--truth", action="store_true", help="work out truth.yml too")
    chosen = parser.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    tables, planted = make_tables(chosen.seed)
    for name, table in tables.items():
        write(table, chosen.out / name)
        print(f"{name}: {len(table)} rows")
    if chosen.truth:
        from make_truth import write_truth

        write_truth(chosen.seed, planted, chosen.out / "truth.yml")


if __name__ == "__main__":
    main()
