"""What a change of each driver would bring: by hand, by identity, and where it cannot be said."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.methods.leverage import ALL, REST, leverage

WAIT_CTQ = {
    "name": "answered in time", "table": "operations", "measure": "wait_s",
    "direction": "at most", "limit": 300, "target": 0.1,
}  # fmt: skip
SOLVED_CTQ = {
    "name": "resolved", "table": "operations", "measure": "resolved",
    "direction": "at least", "limit": 1, "target": 0.1,
}  # fmt: skip
DESK_CTQ = WAIT_CTQ | {"name": "closed in 30 days", "table": "complaints"}


def contacts_of(n=4000, seed=1):
    rng = np.random.default_rng(seed)
    wait = rng.exponential(180, n)
    unresolved = rng.random(n) < 0.3
    chance = 1 / (1 + np.exp(2.5 - wait / 300 - 1.2 * unresolved))
    contacts = pd.DataFrame(
        {
            "contact": np.arange(n).astype(str),
            "wait_s": wait,
            "ending": np.where(unresolved, "unresolved", "resolved"),
            "resolved": pd.array(~unresolved, dtype="boolean"),
            "site": rng.choice(list("AB"), n),
            "agent": rng.choice([f"a{i}" for i in range(40)], n),
        }
    )
    hit = rng.random(n) < chance
    complaints = pd.DataFrame({"contact": contacts.loc[hit, "contact"]})
    complaints["category"] = rng.choice(
        ["late", "bill", "rude"], len(complaints), p=[0.6, 0.3, 0.1]
    )
    return contacts, complaints


@pytest.fixture(scope="module")
def found():
    return leverage(
        *contacts_of(),
        drivers=["wait_s", "ending"],
        ctqs=[WAIT_CTQ, SOLVED_CTQ, DESK_CTQ],
        changes={"wait_s": -60},
        order=["wait_s", "ending", "resolved"],
    )


def _row(found, name, driver):
    return found.table[(found.table["name"] == name) & (found.table["driver"] == driver)].iloc[0]


def test_a_measure_that_the_driver_is_is_counted(found):
    contacts, _ = contacts_of()
    now = (contacts["wait_s"] > 300).mean()
    then = (contacts["wait_s"] > 360).mean()
    row = _row(found, "answered in time", "wait_s")
    assert row["how"] == "by definition"
    assert row["estimate"] == pytest.approx(100 * (then - now), abs=1e-9)
    assert row["share_of_gap"] == pytest.approx((now - then) / (now - 0.1), abs=1e-9)
    assert row["share_of_gap_low"] < row["share_of_gap"] < row["share_of_gap_high"]


def test_levels_that_decide_the_measure_are_counted(found):
    contacts, _ = contacts_of()
    row = _row(found, "resolved", "ending")
    assert row["how"] == "by definition"
    assert row["estimate"] == pytest.approx(-20 * contacts["ending"].eq("unresolved").mean())


def test_what_is_settled_later_is_left_out(found):
    row = _row(found, "answered in time", "ending")
    assert np.isnan(row["estimate"])
    assert "settled after" in row["note"]
    assert "settled after" in found.sentence()


def test_the_saturated_model_gives_the_lift_by_hand():
    """50 of 100 and 10 of 100 complain: of 100 moved by half, 50 x (0.1 - 0.5) per 200."""
    contacts = pd.DataFrame(
        {"contact": np.arange(200).astype(str), "ending": ["bad"] * 100 + ["good"] * 100}
    )
    complaints = pd.DataFrame(
        {"contact": [*contacts["contact"][:50], *contacts["contact"][100:110]]}
    )
    found = leverage(
        contacts, complaints, drivers=["ending"], fixed="", cluster="", theme="",
        changes={"ending": {"from": "bad", "to": "good", "share": 0.5}},
    )  # fmt: skip
    row = found.table.iloc[0]
    assert row["estimate"] == pytest.approx(-10, abs=1e-6)
    # each part: the share of the bad is fixed by nothing, so the multinomial variance of
    # (a - b q) / 2 with a = bad and complained, b = bad, q the chance of the good
    assert row["low"] < -10 < row["high"]
    assert "10" in found.sentence().splitlines()[0]


def test_the_interval_is_that_of_the_two_shares():
    """The lift is -s P(bad) (p_bad - p_good): by the delta method from the three shares."""
    contacts = pd.DataFrame(
        {"contact": np.arange(200).astype(str), "ending": ["bad"] * 100 + ["good"] * 100}
    )
    complaints = pd.DataFrame(
        {"contact": [*contacts["contact"][:50], *contacts["contact"][100:110]]}
    )
    found = leverage(
        contacts, complaints, drivers=["ending"], fixed="", cluster="", theme="",
        changes={"ending": {"from": "bad", "to": "good", "share": 1}},
    )  # fmt: skip
    row = found.table.iloc[0]
    variance = 0.4**2 * 0.25 / 200 + 0.25 * (0.25 / 100 + 0.09 / 100)
    half = 1.972 * np.sqrt(variance * 200 / 199 * 199 / 198)
    assert (row["high"] - row["low"]) / 2 == pytest.approx(100 * half, rel=2e-3)


def test_themes_sum_to_all_complaints(found):
    whole = _row(found, ALL, "ending")
    themes = found.table[(found.table["target_kind"] == "theme")]
    total = themes.loc[themes["driver"] == "ending", "estimate"].sum()
    assert total == pytest.approx(whole["estimate"], abs=0.25 * (whole["high"] - whole["low"]))
    assert found.themes_together == pytest.approx(
        themes.loc[themes["driver"] == found_best(found), "estimate"].sum()
    )


def found_best(found):
    whole = found.table[found.table["name"] == ALL]
    return whole.loc[whole["estimate"].abs().idxmax(), "driver"]


def test_small_themes_stand_together():
    contacts, complaints = contacts_of()
    complaints["category"] = np.where(
        np.arange(len(complaints)) % 50 < 2,
        np.where(np.arange(len(complaints)) % 2, "x", "y"),
        "late",
    )
    found = leverage(contacts, complaints, drivers=["wait_s", "ending"])
    assert REST in found.themes
    rest = _row(found, REST, "ending")
    assert np.isfinite(rest["estimate"]) or "fewer than" in rest["note"]


def test_the_sentence_and_the_picture(found):
    said = found.sentence()
    assert len(said.splitlines()[0]) <= 220
    assert "not proof" in said
    assert "closed in 30 days" in said
    ax = found.plot()
    assert ax.get_title().endswith("?")
    assert len(ax.patches) == len(found.table)
    plt.close("all")


def test_a_number_never_passes_what_was_seen(found):
    row = _row(found, "answered in time", "wait_s")
    assert "never below" in row["change"]


def test_refusals_and_problems():
    contacts, complaints = contacts_of(400)
    usual = {"drivers": ["wait_s", "ending"], "fixed": "", "cluster": ""}
    with pytest.raises(Problem, match="no level 'lost'"):
        leverage(contacts, complaints, changes={"ending": {"from": "lost"}}, **usual)
    with pytest.raises(Problem, match="no driver"):
        leverage(contacts, complaints, changes={"wait": -60}, **usual)
    with pytest.raises(Problem, match="two rows"):
        leverage(pd.concat([contacts, contacts]), complaints, **usual)
    with pytest.raises(Refusal, match="one value"):
        leverage(contacts.assign(ending="resolved"), complaints, **usual)
    with pytest.raises(Refusal, match="fewer than"):
        leverage(contacts, complaints.head(5), **usual)
    with pytest.raises(Problem, match="lacks"):
        leverage(contacts, complaints, ctqs=[{"name": "x"}], **usual)


def test_a_driver_that_tells_the_outcome_is_a_leak():
    contacts, complaints = contacts_of(1000)
    contacts["complained"] = contacts["contact"].isin(complaints["contact"])
    contacts["letters"] = contacts["complained"] * 1.0 + 0.01 * np.arange(1000) / 1000
    ctq = WAIT_CTQ | {"name": "no complaint", "measure": "complained", "limit": 0}
    found = leverage(
        contacts, complaints, drivers=["wait_s", "letters"], ctqs=[ctq], fixed="", cluster=""
    )
    assert "leak" in _row(found, "no complaint", "letters")["note"]
    assert np.isfinite(_row(found, "no complaint", "wait_s")["estimate"])


def test_the_first_line_ranks_changes_not_drivers(found):
    first = found.sentence().splitlines()[0]
    assert "the largest of 2 changes tried, which differ in size: no ranking of drivers" in first
    whole = found.table[found.table["name"] == ALL]
    best = whole.loc[whole["estimate"].abs().idxmax()]
    assert first.startswith(best["change"])


def test_the_sum_over_themes_names_its_own_change(found):
    """The part closed of a gap may belong to another change than the largest lift."""
    whole = found.table[found.table["name"] == ALL]
    best = whole.loc[whole["estimate"].abs().idxmax(), "change"]
    assert f"Summed over themes, {best!r} brings" in found.sentence()
    assert "this change brings" not in found.sentence()
    assert "Most of a gap" not in found.sentence()
