"""The notebooks run as they stand, hold what is stored in them, and find what was put in."""

import math
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
import yaml
from store_outputs import injected

from sqm import shelf
from sqm.places import PHASES, notebook
from sqm.warm import ENVIRONMENT

ROOT = Path(__file__).parent.parent
TRIED = ("script", "authority", "tool")


@pytest.fixture(scope="module")
def flagship(tmp_path_factory):
    """nbval over the five notebooks as the flagship study, exercises and solutions included."""
    place = tmp_path_factory.mktemp("flagship")
    for phase in PHASES:
        nbformat.write(injected(phase, ROOT), place / notebook(phase, root=ROOT).name)
    options = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=600"]
    options += ["--nbval-sanitize-with", str(ROOT / "tests" / "nbval.cfg")]
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(place)],
        cwd=place,
        env=os.environ | ENVIRONMENT | {"SQM_OUT": str(place / "out")},
        capture_output=True,
        text=True,
        check=False,
    )
    return found, place / "out" / "contact-centre" / "by-hand"


def test_each_cell_runs_and_each_stored_sentence_still_holds(flagship):
    found, _ = flagship
    assert found.returncode == 0, found.stdout[-6000:]
    assert "passed" in found.stdout


# --- did the study find what was put in? --------------------------------------------------------


@pytest.fixture(scope="module")
def truth():
    text = (ROOT / "data/contact-centre/truth.yml").read_text(encoding="utf-8")
    return {name: effect["value"] for name, effect in yaml.safe_load(text)["effects"].items()}


def kept(flagship, phase, name):
    return shelf.recall(name, shelf=flagship[1] / phase)


def covers(row, value):
    return row["low"] <= value <= row["high"]


@pytest.mark.parametrize(
    ("term", "name"),
    [
        ("wait_s", "wait_per_minute"),
        ("ending=unresolved", "unresolved"),
        ("ending=abandoned", "abandoned"),
        ("channel=chat", "chat"),
    ],
)
def test_the_drivers_are_those_that_were_put_in(flagship, truth, term, name):
    table = kept(flagship, "analyse", "drivers").table.set_index("term")
    assert covers(table.loc[term], truth[f"marginal.{name}.weeks_1_to_39"])


def test_complaints_end_and_are_acknowledged_as_was_put_in(flagship, truth):
    ends = kept(flagship, "analyse", "ends").table
    inside = [
        covers(row, truth[f"ends.{row['outcome']}.by_{row['at']:g}_d"])
        for _, row in ends.iterrows()
    ]
    assert len(inside) == 6
    assert sum(inside) >= 5  # of 95 % intervals
    table = kept(flagship, "analyse", "acknowledged_in_time").table
    channels = table[table["by"] == "channel"].set_index("level")
    inside = [
        covers(row, truth[f"acknowledged.{name}.by_48_h"]) for name, row in channels.iterrows()
    ]
    assert sum(inside) >= 3
    care = kept(flagship, "analyse", "care").table.set_index("measure")
    assert covers(care.loc["escalated"], truth["escalated"])


def test_the_change_of_codes_is_found_with_what_became_of_each(flagship):
    found = kept(flagship, "analyse", "taxonomy")
    joined = zip(found.numbers["joined_from"], found.numbers["joined_to"], strict=True)
    pairs = {frozenset(pair) for pair in joined}
    expected = {("waiting", "queue"), ("bill", "amount wrong"), ("bill", "charge unknown")}
    assert pairs == {frozenset(pair) for pair in expected}
    dates = found.table.loc[found.table["sure"], "date"].astype("str").str[:10]
    assert set(dates) == {"2025-06-02"}


def test_the_order_of_the_drivers_is_the_true_one(flagship):
    # the true log odds: minutes of wait and the ending by far the most, the channel least
    table = kept(flagship, "analyse", "driver_importance").table.sort_values("rank")
    assert set(table["driver"].iloc[:2]) == {"wait_s", "ending"}
    assert table["driver"].iloc[-1] == "channel"


def test_every_planted_matter_is_a_theme_and_nothing_new_is_alarmed(flagship):
    themes = kept(flagship, "analyse", "themes").table
    stable = themes[themes["stable"].astype(bool)]
    assert set(stable["main_category"]) == {
        *("waiting", "unresolved", "billing", "staff", "information", "digital")
    }
    assert kept(flagship, "control", "texts_and_themes").numbers["alarms"] == []


def test_the_reversed_item_and_the_careless_are_caught(flagship):
    assert kept(flagship, "measure", "reversed_items").numbers["confirmed"] == ["p12"]
    assert kept(flagship, "measure", "careless_answers").numbers["one_answer"] == 72


def test_the_gaps_are_near_those_of_the_respondents(flagship, truth):
    """Three in a hundred answered without reading, which pulls every gap a little towards zero."""
    table = kept(flagship, "measure", "servqual_gaps").table.set_index("dimension")
    inside = [covers(row, truth[f"servqual.gap_of_respondents.{d}"]) for d, row in table.iterrows()]
    assert sum(inside) >= 4


def test_agreement_and_cost(flagship, truth):
    assert covers(kept(flagship, "measure", "coder_agreement").numbers, truth["coders.kappa"])
    assert covers(kept(flagship, "define", "complaint_cost").numbers, truth["cost.mean_eur"])


def test_the_five_gaps_are_found(flagship, truth):
    table = kept(flagship, "measure", "gap_model").table
    rows = table[(table["site"] == "all") & table["gap"].isin([1, 2, 3, 4])]
    rows = rows[
        rows["dimension"].isin(
            ["tangibles", "reliability", "responsiveness", "assurance", "empathy"]
        )
    ]
    assert len(rows) == 20
    inside = [
        covers(row, truth[f"gap_model.gap_{row['gap']}.{row['dimension']}"])
        for _, row in rows.iterrows()
    ]
    assert sum(inside) >= 17  # of twenty 95 % intervals; gap 1 rests on those who answered


def test_the_needs_and_features_are_found(flagship, truth):
    weights = kept(flagship, "define", "ahp_weights").table.set_index("need")
    assert sum(covers(row, truth[f"pairwise.{need}"]) for need, row in weights.iterrows()) >= 3
    features = kept(flagship, "define", "kano").table.set_index("feature")
    held = [
        row[f"{side}_low"] <= truth[f"kano.{side}.{feature}"] <= row[f"{side}_high"]
        for feature, row in features.iterrows()
        for side in ("better", "worse")
    ]
    assert sum(held) >= 14


def test_the_measuring_is_measured(flagship, truth):
    retest = kept(flagship, "measure", "retest").table
    assert sum(covers(row, truth["retest.correlation"]) for _, row in retest.iterrows()) >= 4
    throughput = kept(flagship, "measure", "throughput").numbers
    assert throughput["low"] <= truth["steps.rolled_throughput_yield"] <= throughput["high"]
    drift = kept(flagship, "measure", "agreement_drift").numbers
    assert drift["high"] < 0  # coder c lapses in the second half


def test_those_who_did_not_read_are_flagged_and_few_others(flagship):
    flags = kept(flagship, "measure", "careless_flags").numbers
    assert 72 <= flags["flagged"] <= 90


@pytest.mark.parametrize(
    ("scenario", "name"),
    [
        ("one more agent 10 to 14", "one_more_agent"),
        ("handling 10 % shorter", "service_minus_10_percent"),
        ("first-contact resolution +8 points", "resolution_plus_8_points"),
        ("training at four sites", "training"),
    ],
)
def test_the_simulation_foretells_what_each_scenario_does(flagship, truth, scenario, name):
    table = kept(flagship, "improve", "what_if").table
    change = table[(table["scenario"] == scenario) & (table["kind"] == "change")]
    row = change.set_index("measure").loc["complaints_per_year"]
    assert covers(row, truth[f"scenario.{name}.all.complaints_per_year"])


def test_waits_and_abandonment_of_each_scenario_are_foretold(flagship, truth):
    table = kept(flagship, "improve", "what_if").table
    change = table[table["kind"] == "change"].set_index(["scenario", "measure"])
    names = {
        "one more agent 10 to 14": "one_more_agent",
        "handling 10 % shorter": "service_minus_10_percent",
        "training at four sites": "training",
    }
    measures = {"mean_wait_s": "mean_wait_s", "abandoned": "share_abandoned"}
    inside = [
        covers(change.loc[(scenario, measure)], truth[f"scenario.{name}.all.{of}"])
        for scenario, name in names.items()
        for measure, of in measures.items()
    ]
    assert len(inside) == 6 and sum(inside) >= 5  # of 90 % intervals


def test_patience_and_the_variation_of_days_are_learnt_as_put_in(flagship, truth):
    found = kept(flagship, "improve", "calibration").numbers
    assert found["low"] <= truth["patience.mean_s"] * math.log(2) <= found["high"]
    gate = kept(flagship, "improve", "gate").numbers
    assert gate["open"]


def test_what_ignoring_the_uncertainty_would_hide_is_shown(flagship):
    table = kept(flagship, "improve", "ignored").table
    widths = table.loc[table["kind"] == "change", "times_wider"].dropna()
    assert widths.median() > 1.5


def test_the_tried_changes_do_what_was_put_in(flagship, truth):
    table = kept(flagship, "improve", "trial_effects").table.set_index("effect")
    inside = [covers(table.loc[name], truth[f"trial.{name}"]) for name in TRIED]
    assert sum(inside) >= 2
    assert covers(table.loc["coaching"], 0)


def test_what_was_promised_stands_and_came(flagship):
    promised = kept(flagship, "improve", "forecast")
    assert promised.numbers["data_unchanged"]
    came = kept(flagship, "control", "prediction_kept")
    assert came.numbers["missed"] == 0 and came.table["score"].notna().all()


@pytest.mark.parametrize(
    ("name", "effect", "times"),
    [
        ("effect_on_resolution", "resolved_share", 1),
        ("effect_on_complaints", "complaints_per_100", 100),
        ("effect_on_waits", "mean_wait_s", 1),
    ],
)
def test_the_effect_of_the_change_is_covered_and_nobody_else_is_called_changed(
    flagship, truth, name, effect, times
):
    found = kept(flagship, "control", name).numbers
    assert found["low"] * times <= truth[f"improvement.{effect}"] <= found["high"] * times
    assert found["called_without"] == 0


@pytest.mark.parametrize(
    ("name", "effect", "times", "verdict"),
    [
        ("ladder_of_resolution", "resolved_share", 1, "improved"),
        ("ladder_of_complaints", "complaints_per_100", 100, "no change shown"),
        ("ladder_of_waits", "mean_wait_s", 1, "no change shown"),
    ],
)
def test_the_design_that_carries_the_verdict_holds_the_truth(
    flagship, truth, name, effect, times, verdict
):
    found = kept(flagship, "control", name)
    assert found.numbers["verdict"] == verdict
    row = found.table.set_index("design").loc[found.numbers["rests_on"]]
    assert row["low"] * times <= truth[f"improvement.{effect}"] <= row["high"] * times


def test_the_change_is_seen_on_the_charts_and_new_limits_wait_for_a_person(flagship):
    charts = kept(flagship, "control", "control_charts").table
    better = charts[(charts["series"] == "resolved at first contact") & ~charts["baseline"]]
    assert (better["signal"] == "better").sum() > 6 and not (better["signal"] == "worse").any()
    moves = kept(flagship, "control", "limits_proposed").table.set_index("series")
    assert moves.loc["resolved at first contact", "action"] == "propose"
    plan = kept(flagship, "control", "control_plan").table
    assert set(plan["chart"]) != {""} and len(plan) == len(moves)


def test_the_list_of_alarms_says_how_many_are_false(flagship):
    found = kept(flagship, "control", "alerts")
    assert set(found.table["source"]) >= {"chart", "streams", "texts"}
    assert 0 < found.numbers["expected_false_alarms"] < 2


# --- papermill alone ----------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["", "notebooks"])
def test_papermill_alone_will_do(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT / folder)
    monkeypatch.setenv("SQM_OUT", str(tmp_path))
    source = os.path.relpath(ROOT / "notebooks" / "2-measure.ipynb")
    executed = papermill.execute_notebook(
        source, tmp_path / "x.ipynb", {"confidence": 0.9}, progress_bar=False
    )
    said = [o.get("text", "") for c in executed.cells for o in c.get("outputs", [])]
    assert any("(90%" in text for text in said)
    assert (tmp_path / "contact-centre" / "by-hand" / "measure" / "phase.json").is_file()
