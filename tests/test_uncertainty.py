"""Shares of the uncertainty against known variances, and certainty shown for what it is."""

from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from four_customers import CTQS, FASTER, MORE, fit, play

from sqm import rehearsal as rehearsals
from sqm.checks import Problem, Refusal
from sqm.methods.uncertainty import ignored, uncertainty

RNG = np.random.default_rng


def made(*, draws=3000, few=1500, weeks=2, known=(2.0, 1.0), rest=1.0, days=8.0, chance=4.0):
    """A rehearsal of one scenario whose change has variances by hand.

    Two inputs, one of the queue and one of the drivers, with the variances ``known``; ``rest``
    between draws that no input carries; in a week ``days`` and ``chance``.
    """
    rng = RNG(4)
    inputs = rng.normal(size=(draws, 2))
    long_run = inputs @ np.sqrt(known) + rest**0.5 * rng.normal(size=draws)
    of_days = days**0.5 * rng.normal(size=(draws, weeks))
    sets = [of_days + chance**0.5 * rng.normal(size=(draws, weeks)) for _ in range(2)]
    worlds = []
    for errors in sets:
        level = np.stack([np.full((draws, weeks), 50.0), 60 + long_run[:, None] + errors])
        worlds.append(np.stack([level, np.ones_like(level)], axis=-1)[:, :, :, None, :])
    found = rehearsals._told_apart(worlds[0], worlds[1][:, :few], inputs)
    single = play([MORE])
    return replace(
        single,
        measures=("complaints_per_day",),
        **found,
        inputs=inputs,
        input_names=("arrivals", "complaints: a minute of wait"),
        weeks=weeks,
        defects=(),
    )


def share(found, source, part=""):
    table = found.table
    row = table[table["scenario"].eq("more") & table["source"].eq(source) & table["part"].eq(part)]
    return row["estimate"].item()


def test_shares_of_known_variances():
    """Between draws 2 + 1 + 1; over 4 weeks 8 / 4 from days and 4 / 4 from chance: 4, 2, 1 of 7."""
    found = uncertainty(
        made(), horizon_weeks=4, measures=["complaints_per_day"], resamples=50, rng=RNG(1)
    )
    assert share(found, "not known") == pytest.approx(4 / 7, abs=0.04)
    assert share(found, "days") == pytest.approx(2 / 7, abs=0.03)
    assert share(found, "chance") == pytest.approx(1 / 7, abs=0.03)
    assert share(found, "not known", "queue") == pytest.approx(2 / 7, abs=0.03)
    assert share(found, "not known", "drivers") == pytest.approx(1 / 7, abs=0.03)
    assert share(found, "not known", "not told apart") == pytest.approx(1 / 7, abs=0.05)
    whole = found.table[found.table["part"].eq("") & found.table["scenario"].eq("more")]
    assert whole["estimate"].sum() == pytest.approx(1)
    assert f"{share(found, 'not known'):.0%} (95% interval" in found.sentence().split("\n")[0]
    assert "queue" in found.sentence() and len(found.sentence().split("\n")[0]) < 220


def test_a_longer_stretch_leaves_more_to_what_is_not_known():
    """Over H weeks 4 of 4 + 12 / H."""
    rehearsal = made()
    for weeks in (1, 13, 52):
        found = uncertainty(
            rehearsal, horizon_weeks=weeks, measures=["complaints_per_day"], resamples=2, rng=RNG(1)
        )
        assert found.share == pytest.approx(4 / (4 + 12 / weeks), abs=0.04)


def test_what_no_scenario_moves_has_no_share():
    found = uncertainty(made(), measures=["complaints_per_day"], resamples=2, rng=RNG(1))
    as_is = found.table[found.table["scenario"].eq("as is")]
    assert as_is["estimate"].isna().all() and as_is["note"].str.contains("does not change").all()


def test_where_nothing_is_unknown_there_is_only_noise():
    """No variance between draws: the share is near 0 and its interval holds 0."""
    rehearsal = made(known=(0.0, 0.0), rest=0.0)
    found = uncertainty(rehearsal, measures=["complaints_per_day"], resamples=100, rng=RNG(1))
    assert found.low == 0 and found.share < 0.6


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"measures": ["complaint_per_day"]}, "no measure 'complaint_per_day'.*\n.*did you mean"),
        ({"measures": []}, "No measure is named"),
        ({"horizon_weeks": 0}, "horizon_weeks is 0"),
        ({"confidence": 95}, "confidence is 95"),
    ],
)
def test_bad_input_is_a_problem(given, words):
    with pytest.raises(Problem, match=words):
        uncertainty(play(draws=400), **given, rng=RNG(1))


def test_too_few_draws_and_certainty_are_refused():
    with pytest.raises(Refusal, match="8 draws are too few"):
        uncertainty(play(), rng=RNG(1))
    with pytest.raises(Refusal, match="Nothing was taken as unknown"):
        uncertainty(play(draws=400, plug_in=True), rng=RNG(1))


# --- What ignoring it would do --------------------------------------------------------------------

ROUGH = SimpleNamespace(
    open=True, wait_error=0.4, abandon_error=0.0, contacts_error=0.0, sentence=lambda: ""
)


def twins(**more):
    given = {"drivers": fit({"(intercept)": -4.0}, 0.04), "draws": 3000, "weeks": 2} | more
    return play([MORE, FASTER], **given), play([MORE, FASTER], **given, plug_in=True)


def test_certainty_says_0_or_1_where_the_honest_chance_lies_between():
    """Complaints logistic(-4 + 0.2 z) against 0.02 in the long run: Phi(0.108 / 0.2) = 0.706."""
    honest, certain = twins()
    found = ignored(honest, certain, horizon_weeks=1e6)
    rows = found.table.set_index(["scenario", "outcome"])
    assert rows.loc[("as is", "content"), "estimate"] == pytest.approx(0.706, abs=0.02)
    assert rows.loc[("as is", "content"), "plug_in"] == 1.0
    assert found.ctq == "content" and f"{found.chance:.0%} (" in found.sentence()
    assert "content a chance of 100%" in found.sentence()


def test_intervals_of_certainty_are_too_narrow():
    """A week's error of variance 12 over 3 weeks beside 4 between draws: sd 2 against sqrt(8)."""
    honest = made()
    certain = replace(honest, plug_in=True)
    certain.change[:] = honest.change.mean(axis=1, keepdims=True)
    honest = made()
    found = ignored(honest, certain, horizon_weeks=3, measures=["complaints_per_day"])
    assert found.times_wider == pytest.approx(2**0.5, rel=0.04)
    assert "1.4 times too narrow" in found.sentence()
    assert found.ctq == "" and np.isnan(found.chance)


def test_an_outcome_without_chance_has_no_certain_interval():
    honest, certain = twins()
    found = ignored(honest, certain, measures=["mean_wait_s"])
    assert found.table.loc[found.table["outcome"].eq("mean_wait_s"), "times_wider"].isna().all()
    assert "would have no interval at all" in found.sentence()


def test_two_rehearsals_that_are_no_twins_are_a_problem():
    honest, certain = twins(draws=400)
    with pytest.raises(Problem, match="plug_in=True"):
        ignored(honest, honest)
    with pytest.raises(Problem, match="same scenarios"):
        ignored(play([MORE], draws=400), certain)
    with pytest.raises(Problem, match="same scenarios"):
        ignored(play([MORE, FASTER], draws=400, ctqs=CTQS[:1]), certain)


def test_pictures_are_drawn():
    figure, axes = plt.subplots(2)
    rehearsal = made()
    uncertainty(rehearsal, measures=["complaints_per_day"], resamples=2, rng=RNG(1)).plot(axes[0])
    assert axes[0].get_title() == "What makes complaints a day uncertain?"
    assert [each.get_text() for each in axes[0].get_yticklabels()] == ["more"]
    ignored(*twins(draws=400)).plot(axes[1])
    assert [each.get_text() for each in axes[1].get_yticklabels()] == ["more", "faster"]
    plt.close(figure)
