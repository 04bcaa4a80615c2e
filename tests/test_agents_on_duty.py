"""What the number of agents on duty makes of the waits."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from small_service import CALENDAR, make_log

from sqm.checks import Problem, Refusal
from sqm.methods.agents_on_duty import FEWER, GIVEN, MORE, agents_on_duty
from sqm.roster import WAYS


@pytest.fixture(scope="module")
def tables():
    log, staffing = make_log(weeks=10, agents=(2, 3))
    # no agents are made: the contacts of a site take turns between as many as are on duty
    many = log["site"].map({"N1": 2, "S1": 3})
    turn = log.groupby("site").cumcount() % many
    log["agent"] = (log["site"] + "-" + turn.astype(str)).mask(log["abandoned"])
    return log, staffing


@pytest.fixture(scope="module")
def found(tables):
    log, staffing = tables
    return agents_on_duty(
        log, staffing=staffing, calendar=CALENDAR, draws=12, rng=np.random.default_rng(1)
    )


def test_the_right_number_foretells_what_came(found, tables):
    assert found.base == GIVEN and found.given
    assert found.low < found.actual_mean_wait_s < found.high
    assert "agrees with the waits that came" in found.sentence()
    assert f"where {found.actual_mean_wait_s:.0f} s came" in found.sentence()


def test_one_agent_changes_the_waits_and_the_table_says_how_many(found):
    waits = found.table[found.table["quantity"].eq("mean_wait_s")].set_index("way")
    assert waits.loc[FEWER, "low"] > waits.loc[GIVEN, "high"]
    assert waits.loc[MORE, "high"] < waits.loc[GIVEN, "low"]
    assert waits.loc[GIVEN, "agents"] == 2.5
    assert (waits.loc[FEWER, "agents"], waits.loc[MORE, "agents"]) == (1.5, 3.5)


def test_all_ways_of_guessing_are_played(found):
    waits = found.table[found.table["quantity"].eq("mean_wait_s")].set_index("way")["estimate"]
    guessed = waits[list(WAYS)]
    assert guessed.notna().all()
    assert found.inferred_low == guessed.min() and found.inferred_high == guessed.max()
    # an agent who sits idle leaves no trace: as many as are busy at once is never too many
    assert guessed["busy at once"] > waits[GIVEN]


def test_a_wrong_staffing_table_is_found_out(tables):
    log, staffing = tables
    padded = staffing.assign(agents=staffing["agents"] + 2)
    said = agents_on_duty(
        log, staffing=padded, calendar=CALENDAR, draws=6, rng=np.random.default_rng(1)
    ).sentence()
    assert "does not explain the waits that came" in said


def test_without_a_staffing_table_the_nearest_guess_is_named_and_doubted(tables):
    log, _ = tables
    found = agents_on_duty(log, calendar=CALENDAR, draws=6, rng=np.random.default_rng(1))
    assert not found.given and found.base in WAYS
    assert found.base in found.sentence() and "its nearness proves nothing" in found.sentence()


def test_a_log_without_agents_says_what_it_cannot_tell(tables):
    log, staffing = tables
    found = agents_on_duty(
        log.drop(columns="agent"), staffing=staffing, calendar=CALENDAR, draws=5,
        rng=np.random.default_rng(1),
    )  # fmt: skip
    notes = found.table.set_index("way")["note"]
    assert notes["first to last"].str.contains("no column 'agent'").all()
    assert "Not possible here: had a contact, had one nearby, first to last" in found.sentence()


def test_a_log_that_bears_nothing_is_refused(tables):
    log, staffing = tables
    few = log[log["arrived"] < "2025-03-06"]
    with pytest.raises(Refusal, match="Nothing tells who was on duty"):
        agents_on_duty(few, calendar=CALENDAR, rng=np.random.default_rng(1))
    with pytest.raises(Problem, match="negative or missing"):
        agents_on_duty(
            log, staffing=staffing.assign(agents=-1), calendar=CALENDAR,
            rng=np.random.default_rng(1),
        )  # fmt: skip


def test_the_same_chance_gives_the_same_answer(tables, found):
    log, staffing = tables
    again = agents_on_duty(
        log, staffing=staffing, calendar=CALENDAR, draws=12, rng=np.random.default_rng(1)
    )
    pd.testing.assert_frame_equal(again.table, found.table)


def test_a_picture_is_drawn(found):
    axes = plt.figure().gca()
    assert found.plot(axes).get_title() == "What if the number of agents on duty were wrong?"
    assert len(axes.get_yticklabels()) == 7
    plt.close(axes.figure)


def test_the_first_line_fits_the_first_screen(found):
    assert len(found.sentence().splitlines()[0]) <= 220
