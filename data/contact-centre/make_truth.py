"""Work out what is true of the contact-centre data, from the generator and not from the data.

`python make_data.py --truth` calls this. What is a parameter is copied from the generator; what
follows from several parameters is simulated, world against world on the same customers, in
batches: the standard error is that of the mean of the batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import make_data as made
import make_handling as handling
import make_panels as panels
import numpy as np
import pandas as pd
import yaml

BATCHES = 24
BEFORE_REPLICATIONS, AFTER_REPLICATIONS, YEAR_REPLICATIONS = 4, 13, 3  # of the period, in a batch
YEAR_BATCHES = 8
YEARS_OF_COMPLAINTS = 20
RESPONDENTS = 200_000
LONG_WAIT_S = 300
MORE_RESOLVED = 0.08
SEED = 20_000  # of the truth; the data have another

MEASURES = {  # name: (what it is, unit)
    "mean_wait_s": ("mean wait of all contacts, those who left included", "seconds"),
    "share_abandoned": ("share of contacts that were abandoned", "proportion"),
    "share_waiting_over_5_min": ("share of all contacts that waited over 300 s", "proportion"),
    "resolved_share": ("share of served contacts resolved at first contact", "proportion"),
    "complaints_per_100": ("complaints per 100 contacts", "complaints per 100 contacts"),
    "complaints_per_year": (
        "complaints per 52 weeks at the number of contacts of these weeks",
        "complaints",
    ),
    "utilisation": ("service time, work after closing included, over rostered time", "proportion"),
}
SCENARIOS = {
    "one_more_agent": "one more agent of average skill at every site from 10:00 to 14:00",
    "service_minus_10_percent": "all service times at every site times 0.90",
    "resolution_plus_8_points": "a shift of the resolution logit at every site, so chosen that 8 "
    "more of 100 served contacts are resolved",
    "training": "the training of week 40 (resolution logit +0.55, service times x 0.94) at the "
    "four sites that had it",
}


# --- What is measured in one simulated period -----------------------------------------------------


@dataclass(frozen=True, eq=False)
class Period:
    """Site-days with their agents and customers, to be run in several worlds."""

    lanes: made.SiteDays
    roster: made.Roster
    customers: made.Customers

    def run(self, world: made.World) -> made.Contacts:
        return made.run(self.lanes, self.roster, self.customers, world)


def draw_period(rng: np.random.Generator, weeks: range, replications: int) -> Period:
    lanes = made.site_days(weeks, replications=replications)
    roster, customers = made.draw_roster(rng, lanes), made.draw_customers(rng, lanes)
    return Period(lanes, roster, customers)


def measures(period: Period, became: made.Contacts, rows: np.ndarray) -> dict[str, float]:
    """The figures of MEASURES for the site-days `rows`, and the number of contacts."""
    real = period.customers.real & rows[:, None]
    served, wait = became.served & real, became.wait[real]
    rate = made.logistic(became.complaint_logit[real]).mean()
    contacts = int(real.sum())
    return {
        "mean_wait_s": wait.mean(),
        "share_abandoned": 1 - served.sum() / contacts,
        "share_waiting_over_5_min": (wait > LONG_WAIT_S).mean(),
        "resolved_share": became.resolved[served].mean(),
        "complaints_per_100": 100 * rate,
        "complaints_per_year": rate * contacts * 52 / _weeks(period.lanes, rows),
        "utilisation": became.service[served].sum() / _rostered_s(period.roster, rows),
        "contacts": contacts,
    }


def _weeks(lanes: made.SiteDays, rows: np.ndarray) -> int:
    return len(np.unique(np.column_stack([lanes.replication, lanes.week])[rows], axis=0))


def _rostered_s(roster: made.Roster, rows: np.ndarray) -> float:
    end = np.minimum(roster.end, made.CLOSES * made.HOUR)
    return np.maximum(end - roster.start, 0)[rows].sum()


def marginal_effects(period: Period, became: made.Contacts) -> dict[str, float]:
    """Average effects on the probability of a complaint, the rest of each contact as it is."""
    real = period.customers.real
    served, resolved = became.served[real], became.resolved[real]
    chat, logit = period.customers.chat[real], became.complaint_logit[real]
    probability = made.logistic(logit)
    state = np.where(served, made.COMPLAINT_UNRESOLVED, made.COMPLAINT_ABANDONED) * ~resolved
    by_state, by_phone = logit - state, logit - made.COMPLAINT_CHAT * chat
    unresolved = _step(by_state, made.COMPLAINT_UNRESOLVED)
    return {
        "wait_per_minute": (made.COMPLAINT_PER_MINUTE * probability * (1 - probability)).mean(),
        "unresolved": unresolved.mean(),
        "unresolved_if_served": unresolved[served].mean(),
        "abandoned": _step(by_state, made.COMPLAINT_ABANDONED).mean(),
        "chat": _step(by_phone, made.COMPLAINT_CHAT).mean(),
        "contacts": len(logit),
    }


def _step(logit: np.ndarray, effect: float) -> np.ndarray:
    return made.logistic(logit + effect) - made.logistic(logit)


# --- Batches --------------------------------------------------------------------------------------


def _labelled(found: dict, *label: str) -> dict:
    return {(*label, name): value for name, value in found.items()}


def resolution_shift(rng: np.random.Generator) -> float:
    """The shift of the logit that resolves 8 more of 100 served contacts, by halving."""
    period = draw_period(rng, range(1, made.BEFORE + 1), 8)
    became = period.run(made.UNTRAINED)
    logit = became.resolution_logit[became.served]
    low, high = 0.0, 2.0
    for _ in range(40):
        middle = (low + high) / 2
        reached = (made.logistic(logit + middle) - made.logistic(logit)).mean()
        low, high = (middle, high) if reached < MORE_RESOLVED else (low, middle)
    return low


def before_batch(rng: np.random.Generator, shift: float) -> dict:
    """Weeks 1 to 39: as they were, and in each scenario."""
    period = draw_period(rng, range(1, made.BEFORE + 1), BEFORE_REPLICATIONS)
    worlds = {
        "as_is": made.UNTRAINED,
        "one_more_agent": made.World(99, extra=(10, 14)),
        "service_minus_10_percent": made.World(99, service=0.9),
        "resolution_plus_8_points": made.World(99, resolution=shift),
        "training": made.World(1),
    }
    trained, found = made.TRAINED[period.lanes.site], {}
    for name, world in worlds.items():
        became = period.run(world)
        for place, rows in {"all": trained | True, "trained": trained, "other": ~trained}.items():
            found |= _labelled(measures(period, became, rows), name, place)
        if name == "as_is":
            found |= _as_is(period, became)
    return found


def _as_is(period: Period, became: made.Contacts) -> dict:
    """What is wanted of weeks 1 to 39 besides: marginal effects, sites, two stretches of weeks."""
    found = _labelled(marginal_effects(period, became), "marginal", "weeks_1_to_39")
    for number, site in enumerate(made.SITES["site"]):
        found |= _labelled(measures(period, became, period.lanes.site == number), "site", site)
    early = period.lanes.week <= 28
    for name, rows in {"weeks_1_to_28": early, "weeks_29_to_39": ~early}.items():
        found |= _labelled(measures(period, became, rows), "stretch", name)
    return found


def after_batch(rng: np.random.Generator) -> dict:
    """Weeks 40 to 52, with the training and without."""
    weeks = range(made.TRAINING_WEEK, made.LAST_WHOLE_WEEK + 1)
    period = draw_period(rng, weeks, AFTER_REPLICATIONS)
    trained, found = made.TRAINED[period.lanes.site], {}
    for name, world in {"with": made.World(), "without": made.UNTRAINED}.items():
        became = period.run(world)
        for place, rows in {"trained": trained, "other": ~trained}.items():
            found |= _labelled(measures(period, became, rows), name, place)
    return found


def year_batch(rng: np.random.Generator) -> dict:
    period = draw_period(rng, range(1, 54), YEAR_REPLICATIONS)
    return _labelled(marginal_effects(period, period.run(made.World())), "marginal", "year")


def _batches(one_batch, number: int, name: str, *given) -> pd.DataFrame:
    rngs = made.stream(SEED, name).spawn(number)
    return pd.DataFrame([one_batch(rng, *given) for rng in rngs])


# --- Effects, as they are written down ------------------------------------------------------------


def parameter(estimand: str, value: float, unit: str) -> dict:
    return {"estimand": estimand, "value": value, "unit": unit, "how": "parameter"}


def simulated(estimand: str, values: pd.Series, unit: str, contacts: pd.Series) -> dict:
    return {
        "estimand": estimand,
        "value": float(values.mean()),
        "unit": unit,
        "how": "Monte Carlo",
        "se": float(values.sem()),
        "draws": int(contacts.sum()),
    }


def complaint_parameters() -> dict:
    of_state = "of a complaint, {} against resolved, the rest alike"
    effects = {
        "complaint.intercept": ("log odds of a complaint: information, phone, resolved, no wait, "
                                "site effect 0", made.COMPLAINT_INTERCEPT),
        "complaint.wait_per_minute": ("log odds of a complaint per minute of wait",
                                      made.COMPLAINT_PER_MINUTE),
        "complaint.unresolved": (f"log odds {of_state.format('served but unresolved')}",
                                 made.COMPLAINT_UNRESOLVED),
        "complaint.abandoned": (f"log odds {of_state.format('abandoned')}",
                                made.COMPLAINT_ABANDONED),
        "complaint.chat": ("log odds of a complaint, chat against phone", made.COMPLAINT_CHAT),
        "complaint.drift": ("log odds of a complaint from week 40 on against before, at every "
                            "site; no effect of the training", made.COMPLAINT_DRIFT),
        "complaint.agent_sd": ("standard deviation of the agents' log odds of a complaint",
                               made.AGENT_COMPLAINT_SD),
    }  # fmt: skip
    for reason, effect in zip(made.REASONS[1:], made.COMPLAINT_BY_REASON[1:], strict=True):
        estimand = f"log odds of a complaint, {reason} against information"
        effects[f"complaint.{reason}"] = (estimand, float(effect))
    return {name: parameter(*effect, "log odds") for name, effect in effects.items()}


def other_parameters() -> dict:
    effects = {
        "resolution.training": parameter(
            "log odds of resolution at first contact, trained against not",
            made.TRAINING_RESOLUTION, "log odds"),
        "resolution.chat": parameter(
            "log odds of resolution at first contact, chat against phone",
            made.RESOLUTION_CHAT, "log odds"),
        "service.training": parameter(
            "service time, trained against not, the rest alike", made.TRAINING_SERVICE, "factor"),
        "patience.mean_s": parameter(
            "mean of the exponential time a customer is ready to wait",
            made.PATIENCE_MEAN_S, "seconds"),
    }  # fmt: skip
    for reason, seconds in zip(made.REASONS, made.SERVICE_MEAN_S, strict=True):
        estimand = f"mean service time of {reason}, agent of average speed, before the training"
        effects[f"service.{reason}_mean_s"] = parameter(estimand, float(seconds), "seconds")
    for severity, days in enumerate(made.CLOSED_AFTER_MEDIAN_D, start=1):
        estimand = f"median time from opened to closed, severity {severity}, all complaints"
        effects[f"closing.severity_{severity}_median_days"] = parameter(
            estimand, float(days), "days"
        )
    return effects


def marginal(batches: pd.DataFrame, when: str) -> dict:
    about = {
        "wait_per_minute": "slope per minute of wait",
        "unresolved": "unresolved against resolved, over all contacts",
        "unresolved_if_served": "unresolved against resolved, over served contacts",
        "abandoned": "abandoned against resolved, over all contacts",
        "chat": "chat against phone, over all contacts",
    }
    contacts = batches["marginal", when, "contacts"]
    words = when.replace("_", " ")
    return {
        f"marginal.{name}.{when}": simulated(
            f"average effect on the probability of a complaint, {words}: {estimand}",
            batches["marginal", when, name], "probability", contacts)
        for name, estimand in about.items()
    }  # fmt: skip


def levels(batches: pd.DataFrame, label: tuple[str, str], where: str) -> dict:
    """Each measure as it is in one place and time."""
    contacts = batches[(*label, "contacts")]
    return {
        name: simulated(f"{what}, {where}", batches[(*label, name)], unit, contacts)
        for name, (what, unit) in MEASURES.items()
    }


def difference(batches, after: tuple, before: tuple, what: str) -> dict:
    """Each measure in one world less the same in another, on the same customers."""
    contacts = batches[(*before, "contacts")]
    found = {}
    for name, (measure, unit) in MEASURES.items():
        change = batches[(*after, name)] - batches[(*before, name)]
        effect = simulated(f"change in the {measure}: {what}", change, unit, contacts)
        effect["before"] = float(batches[(*before, name)].mean())
        effect["after"] = float(batches[(*after, name)].mean())
        found[name] = effect
    return found


def _prefixed(prefix: str, effects: dict) -> dict:
    return {f"{prefix}.{name}": effect for name, effect in effects.items()}


def period_effects(before: pd.DataFrame, after: pd.DataFrame) -> dict:
    effects = _prefixed(
        "weeks_1_to_39", levels(before, ("as_is", "all"), "all sites, weeks 1 to 39")
    )
    for stretch in ("weeks_1_to_28", "weeks_29_to_39"):
        where = f"all sites, {stretch.replace('_', ' ')}"
        effects |= _prefixed(stretch, levels(before, ("stretch", stretch), where))
    improvement = difference(
        after, ("with", "trained"), ("without", "trained"),
        "the four trained sites in weeks 40 to 52, as they were against without the training",
    )  # fmt: skip
    effects |= _prefixed("improvement", improvement) | comparisons(before, after)
    for name, what in SCENARIOS.items():
        for place in ("all", "trained"):
            at = {"all": "all sites", "trained": "the four sites of the training"}[place]
            found = difference(
                before, (name, place), ("as_is", place), f"{what}; {at}, weeks 1 to 39"
            )
            effects |= _prefixed(f"scenario.{name}.{place}", found)
    return effects


def comparisons(before: pd.DataFrame, after: pd.DataFrame) -> dict:
    """What two usual comparisons would say of the training if there were endless data."""
    effects = {}
    contacts = after["with", "trained", "contacts"]
    for name in ("complaints_per_100", "resolved_share", "mean_wait_s", "share_abandoned"):
        what, unit = MEASURES[name]
        own = after["with", "trained", name] - before["as_is", "trained", name]
        others = after["with", "other", name] - before["as_is", "other", name]
        effects[f"before_after.{name}"] = simulated(
            f"{what}: trained sites, weeks 40 to 52 less weeks 1 to 39 (not the effect: season "
            "and drift are in it)",
            own,
            unit,
            contacts,
        )
        effects[f"difference_in_differences.{name}"] = simulated(
            f"{what}: that change less the change at the eight other sites",
            own - others,
            unit,
            contacts,
        )
    return effects  # fmt: skip


# --- Survey, complaints, coders -------------------------------------------------------------------


def alpha(items: np.ndarray) -> float:
    """Cronbach's alpha."""
    k = items.shape[1]
    return k / (k - 1) * (1 - items.var(axis=0, ddof=1).sum() / items.sum(axis=1).var(ddof=1))


def survey_effects(rng: np.random.Generator) -> dict:
    """The survey without blanks, careless answers or other oddities, among served customers."""
    period = draw_period(rng, range(1, 54), 2)
    became = period.run(made.World())
    chosen = rng.choice(np.flatnonzero(became.served), RESPONDENTS, replace=False)
    answers = made.draw_answers(rng, became.wait.flat[chosen], became.resolved.flat[chosen])
    return dimension_effects(answers) | satisfaction_effects(answers)


def dimension_effects(answers: made.Answers) -> dict:
    effects, gap = {}, answers.perception - answers.expectation
    for k, dimension in enumerate(made.DIMENSIONS):
        of = np.equal(made.DIMENSION_OF, k)
        gaps = pd.Series(gap[:, of].mean(axis=1))
        for name, who, some in (
            ("gap", "all served customers", gaps),
            ("gap_of_respondents", "those who would answer", gaps[answers.responds]),
        ):
            what = f"mean perception less expectation, {dimension}, {who}, item 12 turned round"
            found = simulated(what, some, "scale points", some.notna())
            effects[f"servqual.{name}.{dimension}"] = found
        sides = {"perception": answers.perception, "expectation": answers.expectation, "gap": gap}
        for name, items in sides.items():
            what = f"Cronbach's alpha of the {name} items of {dimension}, item 12 turned round"
            found = _of_respondents(what, alpha(items[:, of]), "alpha")
            effects[f"servqual.alpha_{name}.{dimension}"] = found
    return effects


def _of_respondents(estimand: str, value: float, unit: str) -> dict:
    return {
        "estimand": f"{estimand}; all served customers",
        "value": float(value),
        "unit": unit,
        "how": "Monte Carlo",
        "draws": RESPONDENTS,
    }


def satisfaction_effects(answers: made.Answers) -> dict:
    """Least squares of the answer (1 to 7) on the five dimension means, in the population."""
    means, satisfaction = made.dimension_means(answers.perception), answers.satisfaction
    design = np.column_stack([np.ones(len(means)), means])
    slopes, *_ = np.linalg.lstsq(design, satisfaction, rcond=None)
    explained = 1 - (satisfaction - design @ slopes).var() / satisfaction.var()
    found = {
        f"satisfaction.slope_{dimension}": _of_respondents(
            f"slope of satisfaction on the mean perception of {dimension}, the others held",
            slope, "scale points per scale point")
        for dimension, slope in zip(made.DIMENSIONS, slopes[1:], strict=True)
    }  # fmt: skip
    promoters = (answers.recommend >= 9).mean() - (answers.recommend <= 6).mean()
    return found | {
        "satisfaction.r_squared": _of_respondents(
            "share of its variance that the five means explain", explained, "proportion"),
        "satisfaction.mean": _of_respondents(
            "mean overall satisfaction", satisfaction.mean(), "scale points"),
        "recommend.net_promoters": _of_respondents(
            "share answering 9 or 10 less share answering 0 to 6", promoters, "proportion"),
    }  # fmt: skip


def complaint_shares() -> np.ndarray:
    """Shares of the true categories among complaints, over many simulated years."""
    total = np.zeros(len(made.CATEGORIES))
    for year in range(YEARS_OF_COMPLAINTS):
        contacts, _ = made.make_contacts(SEED + year)
        likely = made.logistic(contacts["complaint_logit"].to_numpy())
        total += likely @ made.category_shares(contacts)
    return total / total.sum()


def complaint_effects() -> dict:
    shares = complaint_shares()
    severity = shares @ made.SEVERITY_SHARE
    mean_cost = made.COST_MEDIAN_EUR * np.exp(made.COST_SIGMA**2 / 2)
    how = f"expected over {YEARS_OF_COMPLAINTS} simulated years of contacts"
    effects = {
        f"category.{name}": ("share of complaints truly of this category", share, "proportion")
        for name, share in zip(made.CATEGORIES, shares, strict=True)
    }
    effects |= {
        f"severity.{k}": ("share of complaints of this severity", share, "proportion")
        for k, share in enumerate(severity, start=1)
    }
    effects["cost.mean_eur"] = (
        "mean cost of a complaint, open or closed", severity @ mean_cost, "EUR")  # fmt: skip
    effects["coders.kappa"] = (
        "Cohen's kappa of the two coders, from their confusion matrices and the shares of the true "
        "categories", made.true_kappa(shares), "kappa")  # fmt: skip
    return {
        name: {"estimand": estimand, "value": float(value), "unit": unit, "how": how}
        for name, (estimand, value, unit) in effects.items()
    }


def handling_effects(effects: dict) -> dict:
    """How complaints are handled, from the constants and the expected shares of severity."""
    severity = np.array([effects[f"severity.{k}"]["value"] for k in (1, 2, 3)])
    times = {
        "median_d": made.CLOSED_AFTER_MEDIAN_D,
        "sigma": made.CLOSED_AFTER_SIGMA,
        "severity": severity,
    }
    found = {}
    for days in (14, 30, 90):
        for end, share in handling.shares_by(days, **times).items():
            found[f"ends.{end}.by_{days}_d"] = parameter(
                f"share of complaints that are {end} within {days} days", float(share), "proportion"
            )
    closed = sum(handling.shares_by(2.0, **times).values())
    for channel in made.CHANNELS_IN:
        share = handling.acknowledged_by(48.0, channel, closed=closed)
        found[f"acknowledged.{channel}.by_48_h"] = parameter(
            f"share of complaints by {channel} acknowledged within 48 hours", float(share),
            "proportion")  # fmt: skip
    found["escalated"] = parameter(
        "share of complaints that are escalated", float(severity @ handling.ESCALATED), "proportion"
    )
    return found


def panel_effects() -> dict:
    """What was put into the smaller tables; parameters all."""
    effects = {}
    gaps = (panels.BELIEF_GAP, panels.STANDARD_GAP, panels.DELIVERY_GAP, panels.PROMISE_GAP)
    named = ("belief less expectation", "standard less belief", "delivered less standard",
             "delivered less promised")  # fmt: skip
    for number, (what, sizes) in enumerate(zip(named, gaps, strict=True), start=1):
        for dimension, size in zip(panels.DIMENSIONS, sizes, strict=True):
            effects[f"gap_model.gap_{number}.{dimension}"] = parameter(
                f"mean {what}, {dimension}, all served customers", float(size), "scale points"
            )
    for need, weight in zip(panels.NEEDS, panels.NEED_WEIGHTS, strict=True):
        effects[f"pairwise.{need}"] = parameter(f"weight of the need {need!r}", float(weight), "1")
    for feature, chances in panels.KANO.items():
        of = dict(zip(panels.KANO_CELLS, chances, strict=True))
        heard = sum(of[category] for category in "MOAI")
        better, worse = (of["A"] + of["O"]) / heard, -(of["O"] + of["M"]) / heard
        effects[f"kano.better.{feature}"] = parameter(
            "satisfaction coefficient (A + O) / (A + O + M + I)", better, "1")  # fmt: skip
        effects[f"kano.worse.{feature}"] = parameter(
            "dissatisfaction coefficient -(O + M) / (A + O + M + I)", worse, "1")  # fmt: skip
    effects["retest.correlation"] = parameter(
        "correlation of a person's two scores", panels.RETEST_RELIABILITY, "correlation"
    )
    kept = np.prod([1 - chance for chance in panels.STEPS.values()])
    effects["steps.rolled_throughput_yield"] = parameter(
        "chance that a complaint passes every step right the first time", float(kept), "proportion"
    )
    for name, spread in (("repeat", panels.REPEAT_SD_S), ("part", panels.PART_SD_S)):
        effects[f"gauge.{name}_sd_s"] = parameter(
            f"standard deviation, {name}", float(spread), "seconds")  # fmt: skip
    for factors, effect in panels.TRIAL_EFFECTS_MIN.items():
        effects[f"trial.{'_by_'.join(factors)}"] = parameter(
            f"time of a contact, {' by '.join(factors)}, low to high", effect, "minutes"
        )
    return effects


# --- The file -------------------------------------------------------------------------------------


def make_truth(seed: int, planted: dict) -> dict:
    shift = resolution_shift(made.stream(SEED, "shift"))
    before = _batches(before_batch, BATCHES, "before", shift)
    after = _batches(after_batch, BATCHES, "after")
    year = _batches(year_batch, YEAR_BATCHES, "year")
    effects = complaint_parameters() | other_parameters()
    effects["scenario.resolution_plus_8_points.shift"] = parameter(
        SCENARIOS["resolution_plus_8_points"], shift, "log odds"
    ) | {"how": "solved for on simulated contacts of weeks 1 to 39"}
    effects |= marginal(before, "weeks_1_to_39") | marginal(year, "year")
    effects |= period_effects(before, after)
    effects |= survey_effects(made.stream(SEED, "survey")) | complaint_effects()
    effects |= handling_effects(effects) | panel_effects()
    return {
        "about": "What was put into the data of this folder. Proportions are 0 to 1. See README.md",
        "seed": seed,
        "calendar": _calendar(),
        "improvement": _improvement(),
        "sites": _sites(before),
        "effects": effects,
        "planted": {kind: {"count": len(ids), "ids": ids} for kind, ids in planted.items()},
    }


def _calendar() -> dict:
    return {
        "first_day": made.FIRST_DAY,
        "last_day": made.LAST_DAY,
        "open": "Monday to Friday, 08:00 to 20:00, Europe/Madrid",
        "holidays": list(made.HOLIDAYS),
    }


def _improvement() -> dict:
    return {
        "starts": "2025-09-29",
        "week": made.TRAINING_WEEK,
        "sites": made.SITES.loc[made.TRAINED, "site"].tolist(),
    }


def _sites(before: pd.DataFrame) -> dict:
    """Each site's two effects on logits (parameters) and its figures in weeks 1 to 39."""
    wanted = ["complaints_per_100", "resolved_share", "mean_wait_s", "share_abandoned"]
    found = {}
    for row in made.SITES.itertuples():
        found[row.site] = {
            "complaint_logit": row.complaint,
            "resolution_logit": row.resolution,
            **{name: float(before["site", row.site, name].mean()) for name in wanted},
        }
    return found


def _rounded(thing):
    """Six significant figures, in plain Python types."""
    if isinstance(thing, dict):
        return {name: _rounded(value) for name, value in thing.items()}
    if isinstance(thing, list):
        return [_rounded(value) for value in thing]
    return float(f"{thing:.6g}") if isinstance(thing, float) else thing


def write_truth(seed: int, planted: dict, path: Path) -> None:
    truth = _rounded(make_truth(seed, planted))
    text = yaml.safe_dump(truth, sort_keys=False, allow_unicode=True, width=100)
    path.write_text(text, encoding="utf-8")
