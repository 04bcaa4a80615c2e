"""The evidence ladder: its rule, its words, the flagship's truth, and bad input."""

import re
from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import yaml

from sqm.checks import Problem, Refusal
from sqm.clock import Calendar
from sqm.evidence import Rung
from sqm.methods import evidence_ladder as room
from sqm.methods.evidence_ladder import evidence_ladder, own_verdict, verdict_of
from sqm.panel_change import DIFFERENCE, RETURNED, difference, site_weeks
from sqm.record_change import NAIVE, STRATIFIED

FLAGSHIP = Path(__file__).parent.parent / "data" / "contact-centre"
TRAINED, WEEK_40 = ["N2", "C2", "S1", "S4"], "2025-09-29"
CHANGED, DAY = ["S0", "S1", "S2"], "2025-07-14"
SYNTHETIC = "synthetic control"
DESIGNS = [NAIVE, RETURNED, STRATIFIED, "regression-adjusted", "weighted", DIFFERENCE]
DESIGNS += ["interrupted series", "forecast from the other sites", SYNTHETIC]


def log(rng, *, sites=9, weeks=37, a_day=3, step=0.0, drift=0.0):
    """27 weeks before and 10 after; chats, which wait 40 s less, grow; all sites may drift."""
    days = pd.date_range("2025-01-06", periods=7 * weeks, freq="D")
    n = sites * len(days) * a_day
    day = np.tile(np.repeat(np.arange(len(days)), a_day), sites)
    site = np.repeat(np.arange(sites), len(days) * a_day)
    after, changed = day >= 7 * 27, site < 3
    chat = rng.random(n) < np.where(after, 0.6, 0.4)
    wobble = rng.normal(0, 4, (sites, weeks))[site, day // 7]
    wait = 200 + 5 * site - 40 * chat + wobble + drift * after + step * (after & changed)
    return pd.DataFrame(
        {
            "arrived": days[day] + pd.to_timedelta(rng.integers(8, 20, n), unit="h"),
            "site": [f"S{each}" for each in site],
            "channel": np.where(chat, "chat", "call"),
            "wait_s": wait + rng.normal(0, 30, n),
        }
    )


def ask(records, **settings):
    settings = {
        "measure": "wait_s",
        "measure_name": "wait",
        "unit": "s",
        "better": "lower",
        "treated": CHANGED,
        "change_on": DAY,
        "strata": ("channel",),
        "calendar": Calendar(),
        "rng": np.random.default_rng(1),
    } | settings
    return evidence_ladder(records, **settings)


@pytest.fixture(scope="module")
def improved():
    return ask(log(np.random.default_rng(4), step=-30.0, drift=-20.0), picked_worst=True)


def row(found, design):
    return found.table[found.table["design"] == design].iloc[0]


# --- The rule -------------------------------------------------------------------------------------


def rung(design, low, high, passed="yes"):
    return Rung(design, "", (low + high) / 2, low, high, passed=passed)


@pytest.mark.parametrize(
    ("rungs", "verdict", "rests_on"),
    [
        ([rung(DIFFERENCE, -3, -1)], "improved", DIFFERENCE),
        ([rung(DIFFERENCE, 1, 3)], "worsened", DIFFERENCE),
        ([rung(DIFFERENCE, -1, 3), rung(SYNTHETIC, -3, -1)], "no change shown", DIFFERENCE),
        # one that failed its check carries nothing: the next does
        (
            [rung(DIFFERENCE, 1, 3, "no"), rung(SYNTHETIC, -3, -1)],
            "improved",
            SYNTHETIC,
        ),
        ([rung(DIFFERENCE, 1, 3), rung(SYNTHETIC, -3, -1)], "cannot say", DIFFERENCE),
        ([rung(DIFFERENCE, 1, 3), rung(SYNTHETIC, -3, -1, "no")], "worsened", DIFFERENCE),
        ([rung(DIFFERENCE, 1, 3, "cannot say")], "cannot say", ""),
        # designs without a comparison never carry it, however many
        ([rung(name, -3, -1) for name in DESIGNS[:5]], "cannot say", ""),
        ([Rung(DIFFERENCE, "", refused="One site."), rung(NAIVE, -3, -1)], "cannot say", ""),
    ],
)  # fmt: skip
def test_the_rule(rungs, verdict, rests_on):
    assert verdict_of(rungs, better="lower") == (verdict, rests_on)


def test_a_row_by_itself():
    assert own_verdict(rung(NAIVE, 1, 3), better="higher") == "improved"
    assert own_verdict(rung(NAIVE, 0, 3), better="higher") == "no change shown"
    assert own_verdict(Rung(NAIVE, "", refused="One cluster."), better="higher") == ""


def test_no_effect_no_claim_more_often_than_said():
    """40 years without an effect: at most 5 claims in 100 are said; both checks hold in 95."""
    from test_panel_change import year

    rng = np.random.default_rng(23)
    said = []
    for _ in range(40):
        panel = year(rng, before=10, after=4)
        found = difference(
            panel,
            treated=["S00", "S01", "S02", "S03"],
            change_on="2025-03-17",
            confidence=0.95,
            rng=rng,
        )
        said.append((verdict_of([found], better="lower")[0], found.passed))
    claims = np.mean([verdict in ("improved", "worsened") for verdict, _ in said])
    assert claims <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 40)
    assert np.mean([passed == "no" for _, passed in said]) <= 0.2


# --- What it says ---------------------------------------------------------------------------------


def test_the_ladder_is_laid_out_and_told(improved):
    table = improved.table
    assert table["design"].tolist() == DESIGNS
    assert improved.verdict == "improved" and improved.rests_on == DIFFERENCE
    assert table.loc[table["rests_on"], "design"].tolist() == [DIFFERENCE]
    assert improved.low <= -30 <= improved.high
    first, rest = improved.sentence().split("\n")
    assert first.startswith("Wait: improved at the 3 sites with the change of 2025-07-14: -")
    assert f"{improved.estimate:.1f} s" in first and len(first) <= 220
    assert "Before and after alone would say" in rest and "change in the mix" in rest
    assert set(table["unit"]) == {"s"} and (table["n"] > 0).all()


def test_why_rows_differ(improved):
    """Of -30 - 20 - 8 s, 20 and 8 moved elsewhere, and 8 (0.2 of the contacts, 40 s) is mix."""
    assert row(improved, NAIVE)["estimate"] == pytest.approx(-58, abs=4)
    assert improved.common_drift == pytest.approx(-28, abs=4)
    assert improved.mix_share == pytest.approx(-8, abs=2)
    assert improved.came_back == pytest.approx(
        row(improved, NAIVE)["estimate"] - row(improved, RETURNED)["estimate"]
    )
    words = improved.sentence()
    assert f"{improved.mix_share:.0f} s is a change in the mix of records" in words.replace(
        f"{improved.mix_share:.1f}", f"{improved.mix_share:.0f}"
    )


def test_other_verdicts_are_told(improved):
    none = replace(improved, verdict="no change shown", low=-8.0, estimate=-2.0, high=4.0)
    assert "no change shown at the 3 sites" in none.sentence().split("\n")[0]
    table = improved.table.assign(rests_on=False)
    nothing = replace(improved, table=table, verdict="cannot say", rests_on="", estimate=np.nan)
    first, rest = nothing.sentence().split("\n")
    assert "cannot be said" in first and "nan" not in nothing.sentence()
    assert rest.startswith(f"{DIFFERENCE}: ")
    apart = replace(improved, verdict="cannot say")
    assert "contradict each other" in apart.sentence().split("\n")[0]
    table = improved.table.assign(passed="no")
    assert "the own check failed" in replace(improved, table=table).sentence()


def test_picture(improved):
    table = improved.table.copy()
    gone = table["design"] == "synthetic control"
    table.loc[gone, ["estimate", "low", "high"]] = np.nan
    table.loc[gone, "refused"] = "Too few donors."
    table.loc[table["design"] == NAIVE, "passed"] = "no"
    ax = replace(improved, table=table).plot(plt.figure().gca())
    assert ax.get_title().startswith("Does the change hold up?")
    assert "(s)" in ax.get_xlabel()
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names[0] == f"{NAIVE} ✗" and names[5] == f"{DIFFERENCE} ✓"
    assert [text.get_text() for text in ax.texts] == ["not borne by the data"]
    plt.close("all")


# --- The flagship ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def contacts():
    columns = ["arrived_at", "site", "channel", "reason", "wait_s", "resolved"]
    table = pd.read_csv(FLAGSHIP / "operations.csv.gz", usecols=columns, parse_dates=["arrived_at"])
    table = table.rename(columns={"arrived_at": "arrived"})
    table = table[table["wait_s"].between(0, 14_400)]
    return table.assign(resolved=table["resolved"].astype("boolean"))


def test_week_40_is_covered_by_the_designs_that_claim_it(contacts):
    truth = yaml.safe_load((FLAGSHIP / "truth.yml").read_text(encoding="utf-8"))["effects"]
    true = truth["difference_in_differences.resolved_share"]["value"]
    found = ask(
        contacts,
        measure="resolved",
        measure_name="resolved",
        unit="share",
        better="higher",
        treated=TRAINED,
        change_on=WEEK_40,
        strata=("weekday", "hour"),
        mix=("weekday", "hour", "channel", "reason"),
    )
    assert found.verdict == "improved" and found.low <= true <= found.high
    borne = found.table[found.table["refused"] == ""]
    assert len(borne) == 8
    assert ((borne["low"] <= true) & (true <= borne["high"])).all()
    first, rest = found.sentence().split("\n")
    assert "percentage points" in first
    # the check too is told in percentage points, where the table has shares
    given = re.search(r"made-up date before the change gives (-?[\d.]+) \(.*?\) percentage", rest)
    check = found.table.loc[found.table["rests_on"], "check"].iloc[0]
    share = float(re.search(r"gives (-?[\d.]+) ", check)[1])
    assert float(given[1]) == pytest.approx(share * 100)


@pytest.mark.parametrize(("measure", "better"), [("resolved", "higher"), ("wait_s", "lower")])
def test_sites_without_the_change_are_not_called_improved(contacts, measure, better):
    others = contacts[~contacts["site"].isin(TRAINED)]
    panel = site_weeks(others, measure=measure, calendar=Calendar())
    sites = sorted(panel["site"].unique())
    for treated in [sites[:4], *[[site] for site in sites]]:
        found = difference(
            panel,
            treated=treated,
            change_on=WEEK_40,
            confidence=0.95,
            rng=np.random.default_rng(5),
        )
        assert verdict_of([found], better=better)[0] != "improved", treated


# --- What cannot be borne, and bad input ----------------------------------------------------------


def test_one_changed_site_is_one_cluster(improved):
    records = log(np.random.default_rng(4), step=-60.0)
    found = ask(records[~records["site"].isin(["S1", "S2"])], treated=["S0"])
    records = found.table[found.table["design"].isin(DESIGNS[:5])]
    assert records["estimate"].isna().all() and (records["refused"] != "").all()
    assert "one cluster" in row(found, NAIVE)["refused"]
    assert found.verdict == "improved" and found.not_borne >= 5
    assert "Not borne by the data" in found.sentence()


def test_no_common_weeks_leave_before_and_after_alone():
    records = log(np.random.default_rng(4), step=-60.0)
    apart = records[records["site"].isin(CHANGED) | (records["arrived"] < "2025-03-01")]
    found = ask(apart)
    assert "no common weeks" in row(found, DIFFERENCE)["refused"]
    assert (found.verdict, found.rests_on) == ("cannot say", "")
    assert row(found, NAIVE)["verdict"] == "improved"
    assert np.isnan(found.common_drift) and "nan" not in found.sentence()


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        ({"change_on": "2025-01-06"}, Refusal, "No design can be borne"),
        ({"change_on": "2025-02-10"}, Refusal, "whole weeks before"),
        ({"change_on": "10 May"}, Problem, "cannot be read"),
        ({"treated": ["S0", "S11"]}, Problem, "did you mean 'S1'"),
        ({"treated": []}, Problem, "No site is named"),
        ({"better": "less"}, Problem, "better is 'less'"),
        ({"confidence": 95}, Problem, "confidence is 95"),
        ({"measure": "channel"}, Problem, "holds text"),
        ({"measure": "wait"}, Problem, "did you mean 'wait_s'"),
    ],
)
def test_bad_input(settings, kind, words):
    with pytest.raises(kind, match=words) as caught:
        ask(log(np.random.default_rng(4), a_day=1), **settings)
    assert isinstance(caught.value, Refusal) == (kind is Refusal or "wait_s" in words)


def test_the_house_knows_the_designs():
    assert {room.DIFFERENCE, room.SYNTHETIC} == set(room.CARRYING) <= set(room.ON_SERIES)
