"""Make the smaller tables of the contact-centre: who was invited, the provider's own side, the
needs, and the checks of the measuring.

    python make_panels.py     # after make_data.py; the same bytes every time

What is put in stands in the constants below; `make_truth.py` copies it into `truth.yml`.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import make_data as made
import numpy as np
import pandas as pd

DIMENSIONS = list(made.DIMENSIONS)
SITES = made.SITES["site"].tolist()

# --- The provider's side of the gap model, in points of the survey's scale, by dimension ----------
BELIEF_GAP = np.array([0.35, -0.10, -0.45, -0.20, -0.50])  # managers' belief less expectation
STANDARD_GAP = np.array([0.10, -0.15, -0.20, 0.00, -0.25])  # standard less belief
DELIVERY_GAP = np.array([-0.10, -0.45, -0.15, -0.10, 0.10])  # delivered less standard
PROMISE_GAP = np.array([-0.30, -0.60, -0.70, -0.20, -0.10])  # delivered less promised
MANAGERS_PER_SITE, SHOPPERS_PER_SITE, READERS = 3, 8, 15
MANAGER_SD, STANDARD_SD, SHOPPER_SD, READER_SD = 0.45, 0.10, 0.80, 0.50

# --- Needs ----------------------------------------------------------------------------------------
NEEDS = ("Have it settled at once", "Get it right", "Reach someone soon", "Be treated well")
NEED_WEIGHTS = np.array([0.36, 0.29, 0.22, 0.13])
JUDGES, JUDGEMENT_SD = 12, 0.45  # of the logarithm of a judgement
SAATY = np.array([1 / 9, 1 / 8, 1 / 7, 1 / 6, 1 / 5, 1 / 4, 1 / 3, 1 / 2, *range(1, 10)])

KANO_RESPONDENTS = 240
KANO = {  # feature: chance of must-be, one-dimensional, attractive, indifferent, reverse
    "Settled at the first contact": (0.52, 0.33, 0.06, 0.09, 0.00),
    "An answer within five minutes": (0.28, 0.50, 0.12, 0.10, 0.00),
    "The right invoice": (0.70, 0.18, 0.02, 0.10, 0.00),
    "A call back instead of a queue": (0.08, 0.20, 0.55, 0.15, 0.02),
    "The state of my case online": (0.16, 0.30, 0.34, 0.20, 0.00),
    "The same agent again": (0.05, 0.14, 0.38, 0.40, 0.03),
    "Chat at night": (0.02, 0.06, 0.28, 0.62, 0.02),
    "A survey after each contact": (0.01, 0.02, 0.05, 0.52, 0.40),
}
KANO_CELLS = {  # answers (functional, dysfunctional) that speak of each category
    "M": [(2, 5), (3, 5), (4, 5)],
    "O": [(1, 5)],
    "A": [(1, 2), (1, 3), (1, 4)],
    "I": [(2, 2), (2, 3), (3, 2), (3, 3), (3, 4), (4, 4)],
    "R": [(4, 1), (5, 2), (5, 3), (3, 1)],
}
KANO_QUESTIONABLE = 0.01  # (1, 1) or (5, 5)

# --- Checks of the measuring ----------------------------------------------------------------------
RETESTED, RETEST_RELIABILITY = 160, 0.78  # correlation of two occasions a fortnight apart
CODER_C_RIGHT = np.array([0.90, 0.84, 0.90, 0.86, 0.82, 0.88])
CODER_C_LAPSE = 0.25  # chance, from the second half on, that coder c files under "unresolved"
SHEET, SHEET_LEAST = 300, 20  # complaints drawn to be read, and the fewest of each category
VERDICTS = 150  # records that two people judge, for each CTQ
VERDICT_ERROR = {  # CTQ: share of defects among the records, chance that a judge is wrong
    "answered in time": (0.30, 0.01),
    "resolved at first contact": (0.35, 0.13),
    "complaint closed in 30 days": (0.12, 0.02),
}
AUDITED = {"resolved at first contact": 500, "answered in time": 300}
DEFECT_AMONG_GOOD = {"resolved at first contact": 0.07, "answered in time": 0.01}
GOOD_AMONG_DEFECTS = {"resolved at first contact": 0.04, "answered in time": 0.02}
PARTS, OPERATORS, TRIALS = 10, ("timer A", "timer B", "timer C"), 3
PART_MEAN_S, PART_SD_S, OPERATOR_SD_S, INTERACTION_SD_S, REPEAT_SD_S = 1200, 240.0, 18.0, 10.0, 28.0
STEPS = {  # step of complaint handling: chance that a case is not right the first time
    "registered": 0.03,
    "acknowledged in 2 days": 0.12,
    "category confirmed": 0.08,
    "cause found": 0.15,
    "answer sent": 0.06,
    "answer accepted": 0.11,
}

# --- A planned trial of five changes to how a contact is handled, minutes a contact ---------------
TRIAL_FACTORS = {
    "script": ("old", "new"),
    "authority": ("50 EUR", "100 EUR"),
    "tool": ("search", "guided"),
    "coaching": ("none", "weekly"),
    "desk": ("shared", "own"),
}
TRIAL_MEAN_MIN, TRIAL_SD_MIN, TRIAL_REPLICATES = 20.5, 0.7, 2
TRIAL_EFFECTS_MIN = {  # from the low level to the high one
    ("script",): -0.9,
    ("authority",): -1.6,
    ("tool",): -0.6,
    ("script", "authority"): -0.5,
}


def make_invited(contacts: pd.DataFrame, survey: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Every invitation, and whether it was answered."""
    invited, _, _, sent = made.invite(made.stream(seed, "survey"), contacts)
    table = invited.filter(["contact_id", "site", "channel", "language"])
    table.insert(0, "invited_at", made._clock(invited["arrived_at"] + pd.Timedelta(hours=2)))
    table["answered"] = 0
    table.iloc[sent, table.columns.get_loc("answered")] = 1
    ids = survey.drop_duplicates("contact_id").set_index("contact_id")["respondent_id"]
    table.insert(0, "respondent_id", table["contact_id"].map(ids))
    return table.sort_values(["invited_at", "contact_id"], kind="stable", ignore_index=True)


def make_population(contacts: pd.DataFrame) -> pd.DataFrame:
    """How many served contacts there were, by each variable alone."""
    served = contacts[contacts["served"]]
    counts = [
        pd.DataFrame({"variable": name, "level": n.index, "contacts": n.to_numpy()})
        for name in ("site", "channel", "language")
        for n in [served[name].value_counts().sort_index()]
    ]
    return pd.concat(counts, ignore_index=True)


def expectation_mean(draws: int = 200_000) -> np.ndarray:
    """Mean expectation on the scale, by dimension."""
    rng = made.stream(made.SEED, "expectation")
    shift = np.zeros((draws, 5))
    items = made._items(rng, made.EXPECTATION_MEAN, made.EXPECTATION_LOADINGS, shift)
    return made.dimension_means(items).mean(axis=0)


def provider_means() -> dict[str, np.ndarray]:
    """What each table of the provider's side says on average, by dimension."""
    beliefs = expectation_mean() + BELIEF_GAP
    standards = beliefs + STANDARD_GAP
    delivered = standards + DELIVERY_GAP
    return {
        "beliefs": beliefs,
        "standards": standards,
        "delivered": delivered,
        "promised": delivered - PROMISE_GAP,
    }


def make_provider(seed: int) -> dict[str, pd.DataFrame]:
    """Beliefs of managers, standards of sites, scores of mystery shoppers, promises as read."""
    rng, means = made.stream(seed, "provider"), provider_means()
    judges = {
        "beliefs": [(f"M{i:02d}", SITES[i // MANAGERS_PER_SITE]) for i in range(36)],
        "standards": [("standard", site) for site in SITES],
        "delivered": [(f"S{i:03d}", SITES[i // SHOPPERS_PER_SITE]) for i in range(96)],
        "promised": [(f"L{i:02d}", "") for i in range(READERS)],
    }
    spread = dict(zip(means, (MANAGER_SD, STANDARD_SD, SHOPPER_SD, READER_SD), strict=True))
    return {f"{name}.csv": _judged(rng, judges[name], means[name], spread[name]) for name in judges}


def _judged(rng, judges: list, mean: np.ndarray, spread: float) -> pd.DataFrame:
    scores = np.clip(mean + spread * rng.normal(size=(len(judges), 5)), 1, 7)
    table = pd.DataFrame(np.round(scores, 1), columns=DIMENSIONS)
    table.insert(0, "site", [site for _, site in judges])
    table.insert(0, "judge", [judge for judge, _ in judges])
    return table.melt(["judge", "site"], var_name="dimension", value_name="score").assign(
        score=lambda t: t["score"].round(1)
    )


def make_kano(seed: int) -> pd.DataFrame:
    rng = made.stream(seed, "kano")
    rows = []
    for person in range(1, KANO_RESPONDENTS + 1):
        for feature, chances in KANO.items():
            category = rng.choice(list(KANO_CELLS), p=chances)
            cells = KANO_CELLS[category]
            if rng.random() < KANO_QUESTIONABLE:
                cells = [(1, 1), (5, 5)]
            functional, dysfunctional = cells[rng.integers(len(cells))]
            rows.append((f"F{person:03d}", feature, functional, dysfunctional))
    return pd.DataFrame(rows, columns=["respondent_id", "feature", "functional", "dysfunctional"])


def make_comparisons(seed: int) -> pd.DataFrame:
    """Every judge compares each pair of needs on Saaty's scale."""
    rng = made.stream(seed, "comparisons")
    rows = []
    for judge in range(1, JUDGES + 1):
        for i in range(len(NEEDS)):
            for j in range(i + 1, len(NEEDS)):
                ratio = np.log(NEED_WEIGHTS[i] / NEED_WEIGHTS[j]) + JUDGEMENT_SD * rng.normal()
                nearest = SAATY[np.abs(np.log(SAATY) - ratio).argmin()]
                rows.append((f"J{judge:02d}", NEEDS[i], NEEDS[j], round(float(nearest), 6)))
    return pd.DataFrame(rows, columns=["judge", "first", "second", "times"])


def make_retest(survey: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Dimension scores of some respondents, and of the same people a fortnight later."""
    rng = made.stream(seed, "retest")
    items = [f"p{i:02d}" for i in range(1, 23)]
    whole = survey.drop_duplicates("respondent_id").dropna(subset=items)
    differ = whole[items].max(axis=1) > whole[items].min(axis=1)
    whole = whole[differ & (whole[items].max(axis=1) <= 7)]
    chosen = whole.sample(RETESTED, random_state=rng)
    answers = chosen[items].to_numpy(dtype=float)
    answers[:, made.REVERSED_ITEM - 1] = 8 - answers[:, made.REVERSED_ITEM - 1]
    first = made.dimension_means(answers)
    lost = np.sqrt(1 - RETEST_RELIABILITY**2) * first.std(axis=0)
    again = first.mean(axis=0) + RETEST_RELIABILITY * (first - first.mean(axis=0))
    again = again + lost * rng.normal(size=first.shape)
    both = {"first": first, "a fortnight later": np.clip(again, 1, 7)}
    tables = [
        pd.DataFrame(np.round(scores, 2), columns=DIMENSIONS).assign(
            respondent_id=chosen["respondent_id"].to_numpy(), occasion=occasion
        )
        for occasion, scores in both.items()
    ]
    long = pd.concat(tables).melt(
        ["respondent_id", "occasion"], var_name="dimension", value_name="score"
    )
    return long.sort_values(["respondent_id", "dimension", "occasion"], ignore_index=True)


def with_third_coder(coders: pd.DataFrame, complaints: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A third coder who lapses in the second half, the panel's standard, and the day of coding."""
    rng = made.stream(seed, "coder c")
    category = complaints.set_index("complaint_id")["true_category"]
    true = coders["complaint_id"].map(category).map(made.CATEGORIES.index).to_numpy()
    coded = np.array(made.CATEGORIES)[made._choose(rng, made.confusion(CODER_C_RIGHT)[true])]
    late = np.arange(len(coders)) >= len(coders) / 2
    coded[late & (rng.random(len(coders)) < CODER_C_LAPSE)] = "unresolved"
    days = pd.Timestamp("2025-07-01") + pd.to_timedelta(np.arange(len(coders)) * 180 // 400, "D")
    return coders.assign(
        coder_c=coded,
        standard=np.array(made.CATEGORIES)[true],
        coded_on=days.strftime("%Y-%m-%d"),
    )


def make_coding_sheet(complaints: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A sample by recorded category, read by two coders; a letter without a word stays blank."""
    rng = made.stream(seed, "coding sheet")
    recorded = complaints["category"].map(made.CATEGORIES.index).to_numpy()
    of_each = np.bincount(recorded, minlength=len(made.CATEGORIES))
    drawn = _allotted(of_each)
    places = [
        rng.choice(np.flatnonzero(recorded == kind), take, replace=False)
        for kind, take in enumerate(drawn)
    ]
    chosen = complaints.iloc[rng.permutation(np.concatenate(places))]
    true = chosen["true_category"].map(made.CATEGORIES.index).to_numpy()
    kind = chosen["category"].map(made.CATEGORIES.index).to_numpy()
    coded = {
        f"coder_{name}": np.where(
            chosen["text"] != "",
            np.array(made.CATEGORIES)[made._choose(rng, made.confusion(right)[true])],
            "",
        )
        for name, right in (("a", made.CODER_A_RIGHT), ("b", made.CODER_B_RIGHT))
    }
    return pd.DataFrame(
        {
            "complaint_id": chosen["complaint_id"].to_numpy(),
            "stratum": chosen["category"].to_numpy(),
            "chance": (drawn / of_each)[kind].round(6),
            **coded,
        }
    )


def _allotted(of_each: np.ndarray) -> np.ndarray:
    """In proportion beyond the least of each, by largest remainder."""
    spare = (SHEET - SHEET_LEAST * len(of_each)) * of_each / of_each.sum()
    whole = np.floor(spare).astype(int)
    left = SHEET - SHEET_LEAST * len(of_each) - whole.sum()
    whole[np.argsort(whole - spare, kind="stable")[:left]] += 1
    return whole + SHEET_LEAST


def make_verdicts(seed: int) -> pd.DataFrame:
    """Two people judge the same records by the written definition of each CTQ."""
    rng = made.stream(seed, "verdicts")
    tables = []
    for ctq, (share, error) in VERDICT_ERROR.items():
        defect = rng.random(VERDICTS) < share
        for judge in ("first judge", "second judge"):
            said = defect ^ (rng.random(VERDICTS) < error)
            records = [f"V{i:03d}" for i in range(1, VERDICTS + 1)]
            tables.append(
                pd.DataFrame({"ctq": ctq, "record": records, "judge": judge, "defect": said * 1})
            )
    return pd.concat(tables, ignore_index=True)


def make_audit(contacts: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Contacts of the weeks before the training, listened to again: recorded against found."""
    rng = made.stream(seed, "audit")
    baseline = contacts[contacts["arrived_at"] < "2025-09-29"]
    tables = []
    for ctq, size in AUDITED.items():
        some = baseline[baseline["served"]] if ctq.startswith("resolved") else baseline
        some = some.sample(size, random_state=rng).sort_values("contact_id")
        late = some["wait_s"] > 300
        recorded = (
            ~some["resolved"].astype(bool) if ctq.startswith("resolved") else late
        ).to_numpy()
        wrong = np.where(recorded, GOOD_AMONG_DEFECTS[ctq], DEFECT_AMONG_GOOD[ctq])
        found = recorded ^ (rng.random(size) < wrong)
        both = {"recorded": recorded * 1, "found": found * 1}
        tables.append(pd.DataFrame({"ctq": ctq, "record": some["contact_id"].to_numpy(), **both}))
    return pd.concat(tables, ignore_index=True)


def make_gauge(seed: int) -> pd.DataFrame:
    """Three people time the handling of ten recorded calls, three times each."""
    rng = made.stream(seed, "gauge")
    part = PART_SD_S * rng.normal(size=PARTS)
    operator = OPERATOR_SD_S * rng.normal(size=len(OPERATORS))
    both = INTERACTION_SD_S * rng.normal(size=(PARTS, len(OPERATORS)))
    level = PART_MEAN_S + part[:, None] + operator + both
    times = level[:, :, None] + REPEAT_SD_S * rng.normal(size=(*level.shape, TRIALS))
    rows = [
        (f"call {i + 1:02d}", OPERATORS[j], k + 1, int(np.rint(times[i, j, k])))
        for i in range(PARTS)
        for j in range(len(OPERATORS))
        for k in range(TRIALS)
    ]
    return pd.DataFrame(rows, columns=["call", "timer", "trial", "handling_s"])


def make_steps(complaints: pd.DataFrame, seed: int) -> pd.DataFrame:
    """How many complaints each step handled, and how many it had to do again."""
    rng = made.stream(seed, "steps")
    units = int(complaints["closed_at"].notna().sum())
    rows = [(step, units, int(rng.binomial(units, chance))) for step, chance in STEPS.items()]
    return pd.DataFrame(rows, columns=["step", "cases", "not_right_first_time"])


def make_trial(seed: int) -> pd.DataFrame:
    """Half of all combinations of five changes, twice each, in random order: minutes a contact."""
    rng = made.stream(seed, "planned trial")
    signs = np.array(list(product((-1, 1), repeat=4)))
    signs = np.column_stack([signs, signs.prod(axis=1)])  # the fifth is the product of the others
    signs = np.repeat(signs, TRIAL_REPLICATES, axis=0)
    level = np.full(len(signs), TRIAL_MEAN_MIN)
    names = list(TRIAL_FACTORS)
    for factors, effect in TRIAL_EFFECTS_MIN.items():
        level += effect / 2 * signs[:, [names.index(name) for name in factors]].prod(axis=1)
    minutes = np.round(level + TRIAL_SD_MIN * rng.normal(size=len(level)), 2)
    runs = pd.DataFrame(
        {name: np.take(TRIAL_FACTORS[name], (signs[:, i] + 1) // 2) for i, name in enumerate(names)}
    ).assign(handling_min=minutes)
    runs = runs.iloc[rng.permutation(len(runs))].reset_index(drop=True)
    runs.insert(0, "run", np.arange(1, len(runs) + 1))
    return runs


def make_tables(seed: int = made.SEED) -> dict[str, pd.DataFrame]:
    """All tables by file name."""
    planted: dict = {}
    contacts, _ = made.make_contacts(seed)
    complaints = made.make_complaints(contacts, seed, planted)
    survey = made.make_survey(contacts, seed, planted)
    coders = made.make_coders(complaints, seed)
    return {
        "invited.csv.gz": make_invited(contacts, survey, seed),
        "population.csv": make_population(contacts),
        "retest.csv": make_retest(survey, seed),
        **make_provider(seed),
        "kano.csv": make_kano(seed),
        "comparisons.csv": make_comparisons(seed),
        "coders.csv": with_third_coder(coders, complaints, seed),
        "coding_sheet.csv": make_coding_sheet(complaints, seed),
        "verdicts.csv": make_verdicts(seed),
        "audit.csv": make_audit(contacts, seed),
        "gauge.csv": make_gauge(seed),
        "steps.csv": make_steps(complaints, seed),
        "trial.csv": make_trial(seed),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seed", type=int, default=made.SEED, help="another year")
    parser.add_argument("--out", type=Path, default=made.HERE, help="folder to write to")
    chosen = parser.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    for name, table in make_tables(chosen.seed).items():
        made.write(table, chosen.out / name)
        print(f"{name}: {len(table)} rows")


if __name__ == "__main__":
    main()
