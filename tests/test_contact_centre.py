"""The contact-centre data: the tables link, what was planted is there, the truth is true."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

FOLDER = Path(__file__).parent.parent / "data" / "contact-centre"
TWELVE_HOURS = 12 * 3600
EMPTY_IF_OPEN = (
    *("contact_id", "acknowledged_at", "closed_at", "cost_eur"),
    *("ended", "reopened", "compensation_eur"),
)


@pytest.fixture(scope="module")
def made():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)  # the generator imports its neighbours
        yield from _made()


def _made():
    spec = importlib.util.spec_from_file_location("make_data", FOLDER / "make_data.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def panels(made):
    spec = importlib.util.spec_from_file_location("make_panels", FOLDER / "make_panels.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)  # finds make_data as loaded above
    return module


@pytest.fixture(scope="module")
def truth():
    return yaml.safe_load((FOLDER / "truth.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def operations():
    table = pd.read_csv(FOLDER / "operations.csv.gz", parse_dates=["arrived_at"])
    return table.assign(week=(table["arrived_at"] - pd.Timestamp("2024-12-30")).dt.days // 7 + 1)


@pytest.fixture(scope="module")
def contacts(operations):
    """Operations without the rows that cannot be."""
    possible = operations["wait_s"].between(0, TWELVE_HOURS)
    return operations[possible].drop_duplicates()


@pytest.fixture(scope="module")
def complaints():
    return pd.read_csv(
        FOLDER / "complaints.csv.gz",
        parse_dates=["opened_at", "acknowledged_at", "closed_at"],
        keep_default_na=False,
        na_values={name: [""] for name in EMPTY_IF_OPEN},
    )


@pytest.fixture(scope="module")
def survey():
    return pd.read_csv(FOLDER / "survey.csv.gz", parse_dates=["answered_at"])


@pytest.fixture(scope="module")
def staffing():
    return pd.read_csv(FOLDER / "staffing.csv.gz", parse_dates=["date"])


def value(truth, name):
    return truth["effects"][name]["value"]


def test_the_files_are_those_that_the_generator_makes(made, panels, tmp_path):
    made.main(["--out", str(tmp_path)])
    panels.main(["--out", str(tmp_path)])
    for path in tmp_path.iterdir():
        # the tables and not the bytes: another zlib may pack the same table otherwise
        pd.testing.assert_frame_equal(pd.read_csv(path), pd.read_csv(FOLDER / path.name))


def test_the_same_seed_gives_the_same_bytes(made, tmp_path):
    for name in ("once.csv.gz", "again.csv.gz"):
        _, staffing = made.make_contacts(3)
        made.write(staffing, tmp_path / name)
    assert (tmp_path / "once.csv.gz").read_bytes() == (tmp_path / "again.csv.gz").read_bytes()


def test_every_file_is_small():
    assert all(path.stat().st_size < 2 * 2**20 for path in FOLDER.iterdir() if path.is_file())


def test_complaints_and_answers_come_after_their_contacts(contacts, complaints, survey):
    arrived = contacts.set_index("contact_id")["arrived_at"]
    linked = complaints.dropna(subset="contact_id")
    assert linked["contact_id"].is_unique
    assert (linked["opened_at"] > linked["contact_id"].map(arrived)).all()
    assert (survey["answered_at"] > survey["contact_id"].map(arrived)).all()
    closed = complaints.dropna(subset="closed_at")
    assert (closed["closed_at"] > closed["opened_at"]).all()


def test_linked_rows_tell_of_the_same_site(contacts, complaints, survey):
    site = contacts.set_index("contact_id")["site"]
    for table in (complaints.dropna(subset="contact_id"), survey):
        assert (table["contact_id"].map(site) == table["site"]).all()


def test_a_complaint_has_a_cost_once_it_is_closed(complaints):
    assert (complaints["closed_at"].isna() == complaints["cost_eur"].isna()).all()


def test_coders_read_letters_that_say_something(complaints):
    coders = pd.read_csv(FOLDER / "coders.csv")
    text = complaints.set_index("complaint_id")["text"]
    assert (coders["complaint_id"].map(text) != "").all()


def test_no_agent_serves_two_at_once(contacts):
    served = contacts[contacts["outcome"] == "served"]
    begins = served["arrived_at"] + pd.to_timedelta(served["wait_s"], unit="s")
    ends = begins + pd.to_timedelta(served["service_s"], unit="s")
    turns = pd.DataFrame({"agent": served["agent"], "begins": begins, "ends": ends})
    turns = turns.sort_values(["agent", "begins"])
    before = turns.groupby("agent")["ends"].shift()
    assert (turns["begins"] >= before)[before.notna()].all()


def test_no_more_agents_serve_than_are_on_duty(contacts, staffing):
    served = contacts[contacts["outcome"] == "served"]
    begins = served["arrived_at"] + pd.to_timedelta(served["wait_s"], unit="s")
    served = served.assign(date=begins.dt.normalize(), hour=begins.dt.hour)
    seen = served.groupby(["date", "hour", "site"])["agent"].nunique().rename("seen").reset_index()
    both = staffing.merge(seen, on=["date", "hour", "site"])
    assert (both["seen"] <= both["agents"]).all()


def test_waiting_customers_are_served_in_turn(contacts):
    served = contacts[contacts["outcome"] == "served"].sort_values("arrived_at", kind="stable")
    begins = served["arrived_at"] + pd.to_timedelta(served["wait_s"], unit="s")
    step = begins.groupby(served["site"]).diff().dropna()
    assert (step >= pd.Timedelta(0)).all()


def test_the_impossible_rows_of_operations_are_as_listed(operations, truth):
    planted = {kind: facts["ids"] for kind, facts in truth["planted"].items()}
    ids = operations["contact_id"]
    assert sorted(ids[operations["wait_s"] < 0]) == planted["negative_waits"]
    assert sorted(ids[operations["wait_s"] > TWELVE_HOURS]) == planted["endless_waits"]
    assert sorted(ids[operations.duplicated()]) == planted["double_contacts"]


def test_the_oddities_of_the_survey_are_as_listed(survey, truth):
    planted = {kind: facts["ids"] for kind, facts in truth["planted"].items()}
    assert sorted(survey["respondent_id"][survey.duplicated()]) == planted["double_respondents"]
    assert sorted(survey["respondent_id"][survey["p04"] == 99]) == planted["not_applicable_answers"]
    items = survey.filter(regex=r"^[ep]\d\d$")
    same = items.min(axis=1) == items.where(items.notna().all(axis=1)).max(axis=1)
    assert sorted(survey["respondent_id"][same]) == planted["careless_respondents"]


def test_the_oddities_of_the_letters_are_as_listed(complaints, truth):
    text = complaints.set_index("complaint_id")["text"]
    planted = {kind: facts["ids"] for kind, facts in truth["planted"].items()}
    assert sorted(text.index[text == ""]) == sorted(planted["empty_texts"])
    assert sorted(text.index[text.str.contains("<b>")]) == planted["markup_texts"]
    assert sorted(text.index[text.str.match(r"[=+-]")]) == sorted(planted["formula_texts"])
    reachable = text.str.contains(r"@example\.com|\+34 555")
    assert sorted(text.index[reachable]) == sorted(planted["contact_details"])
    assert text[planted["campaign_letters"]].str.startswith("Como miembro").all()


def test_a_logistic_regression_finds_the_effects_on_complaints(contacts, complaints, truth):
    """Every coefficient within 3.3 standard errors of what was put in."""
    import statsmodels.api as sm

    design = pd.DataFrame({
        "wait_per_minute": contacts["wait_s"] / 60,
        "unresolved": contacts["resolved"].eq(0),
        "abandoned": contacts["outcome"].eq("abandoned"),
        "chat": contacts["channel"].eq("chat"),
        "drift": contacts["week"] >= 40,
    })  # fmt: skip
    reasons = ["billing", "contract", "delivery", "technical"]
    design[reasons] = np.column_stack([contacts["reason"].eq(reason) for reason in reasons])
    sites = pd.get_dummies(contacts["site"])
    complained = contacts["contact_id"].isin(complaints["contact_id"])
    fit = sm.Logit(complained, design.join(sites).astype(float)).fit(disp=0)
    for name in design:
        error = (fit.params[name] - value(truth, f"complaint.{name}")) / fit.bse[name]
        assert abs(error) < 3.3, name


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("mean_wait_s", 12), ("share_abandoned", 0.006), ("share_waiting_over_5_min", 0.012)],
)
def test_waits_of_the_year_are_about_the_true_ones(contacts, truth, name, tolerance):
    """Tolerances: about four standard errors of a mean over 190 correlated days."""
    early = contacts[contacts["week"] <= 39]
    seen = {
        "mean_wait_s": early["wait_s"].mean(),
        "share_abandoned": early["outcome"].eq("abandoned").mean(),
        "share_waiting_over_5_min": (early["wait_s"] > 300).mean(),
    }
    assert seen[name] == pytest.approx(value(truth, f"weeks_1_to_39.{name}"), abs=tolerance)


def test_the_training_resolves_more(contacts, truth):
    contacts = contacts[contacts["week"] <= 52]
    trained = contacts["site"].isin(truth["improvement"]["sites"])
    share = contacts.groupby([trained, contacts["week"] >= 40])["resolved"].mean()
    found = share[True, True] - share[True, False] - (share[False, True] - share[False, False])
    # the standard error of this difference is about 0.006
    assert found == pytest.approx(value(truth, "improvement.resolved_share"), abs=0.025)


def test_marginal_effects_by_another_way(made, truth):
    """The slope per minute by moving every wait a second to each side, on one more year."""
    lanes = made.site_days(range(1, 40))
    rng = np.random.default_rng(11)
    roster, customers = made.draw_roster(rng, lanes), made.draw_customers(rng, lanes)
    became = made.run(lanes, roster, customers, made.UNTRAINED)

    def rate(shift_s):
        state = became.served, became.resolved, became.agent
        logit = made.complaint_logit(lanes, customers, became.wait + shift_s, *state)
        return made.logistic(logit[customers.real]).mean()

    slope = (rate(1) - rate(-1)) * 30
    assert slope == pytest.approx(value(truth, "marginal.wait_per_minute.weeks_1_to_39"), rel=0.03)


def test_kappa_by_simulated_coders(made, truth):
    """Kappa counted on 200,000 letters instead of worked out from the matrices."""
    rng, n = np.random.default_rng(5), 200_000
    shares = np.array([value(truth, f"category.{name}") for name in made.CATEGORIES])
    true = rng.choice(len(shares), size=n, p=shares / shares.sum())
    a, b = (
        made._choose(rng, made.confusion(right)[true])
        for right in (made.CODER_A_RIGHT, made.CODER_B_RIGHT)
    )
    table = np.histogram2d(a, b, bins=range(len(shares) + 1))[0] / n
    by_chance = table.sum(axis=1) @ table.sum(axis=0)
    kappa = (np.trace(table) - by_chance) / (1 - by_chance)
    assert kappa == pytest.approx(value(truth, "coders.kappa"), abs=0.006)


def test_gaps_of_the_survey_are_about_the_true_ones(made, survey, truth):
    careless = truth["planted"]["careless_respondents"]["ids"]
    careful = survey.drop_duplicates()
    careful = careful[~careful["respondent_id"].isin(careless)].replace({"p04": {99: np.nan}})
    careful = careful.assign(e12=8 - careful["e12"], p12=8 - careful["p12"])
    for dimension, items in made.DIMENSIONS.items():
        perception = careful[[f"p{i:02d}" for i in items]].mean(axis=1)
        expectation = careful[[f"e{i:02d}" for i in items]].mean(axis=1)
        gap = value(truth, f"servqual.gap_of_respondents.{dimension}")
        # the standard deviation of a gap is about 1.1, so 0.08 is some 3.5 standard errors
        assert (perception - expectation).mean() == pytest.approx(gap, abs=0.08)


# --- How complaints are handled -------------------------------------------------------------------


def test_complaints_end_as_often_and_as_soon_as_the_truth_says(complaints, truth):
    # opened by the end of September all were followed for 90 days; 99.9 % limits of each share
    old = complaints[complaints["opened_at"] < "2025-10-01"]
    days = (old["closed_at"] - old["opened_at"]).dt.total_seconds() / 86400
    for end in ("resolved", "rejected", "withdrawn"):
        for by in (14, 30, 90):
            true = truth["effects"][f"ends.{end}.by_{by}_d"]["value"]
            found = (old["ended"].eq(end) & (days <= by)).mean()
            assert abs(found - true) < 3.3 * np.sqrt(true * (1 - true) / len(old)), (end, by)


def test_letters_are_acknowledged_later(complaints, truth):
    hours = (complaints["acknowledged_at"] - complaints["opened_at"]).dt.total_seconds() / 3600
    for channel, of_channel in hours[complaints["opened_at"] < "2025-12-01"].groupby(
        complaints["channel_in"]
    ):
        true = truth["effects"][f"acknowledged.{channel}.by_48_h"]["value"]
        error = np.sqrt(true * (1 - true) / len(of_channel))
        assert abs((of_channel <= 48).mean() - true) < 3.3 * error + 1e-3, channel


def test_open_complaints_have_no_end_yet(complaints):
    still_open = complaints["closed_at"].isna()
    unknown = complaints.loc[still_open, ["ended", "reopened", "compensation_eur"]]
    assert unknown.isna().all(axis=None)
    assert complaints.loc[~still_open, "ended"].notna().all()


def test_the_codes_change_on_one_day(complaints):
    before = complaints["opened_at"] < "2025-06-02"
    old, new = (set(complaints.loc[rows, "code"]) for rows in (before, ~before))
    assert old - new == {"waiting", "bill"}
    assert new - old == {"queue", "amount wrong", "charge unknown"}
