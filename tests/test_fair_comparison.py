"""Truth: by hand, limiting cases, and the providers of a health service."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sqm.checks import Problem, Refusal
from sqm.methods.fair_comparison import fair_comparison

HERE = Path(__file__).parent / "reference"
ALIKE = pd.DataFrame(
    {
        "unit": [f"u{i}" for i in range(12)],
        "n": 400,
        "value": [70.0, 75, 80, 85, 90, 78, 82, 80, 80, 76, 84, 80],
    }
)


def test_limits_for_chance_alone_flag_nearly_all_providers_and_usual_limits_few():
    case = json.loads((HERE / "nhs_ae_providers.json").read_text("utf-8"))
    providers = pd.DataFrame({name: case[name] for name in ("unit", "n", "value")})
    found = fair_comparison(providers, unit="provider")
    assert found.units == 134
    assert found.plain_flagged > 0.9 * found.units
    assert found.flagged_better + found.flagged_worse <= 5
    assert found.real > 0.99
    assert f"would flag {found.plain_flagged} of 134" in found.sentence()


def test_units_alike_are_left_in_peace():
    found = fair_comparison(ALIKE)
    assert (found.flagged_better, found.flagged_worse, found.plain_flagged) == (0, 0, 0)
    assert found.inflation < 1 and found.real == 0.0 and found.spread == 0.0
    assert found.sentence().startswith("None of 12 units stands out")
    # no spread beyond chance: the usual limits are those of chance
    assert found.table["low"].to_numpy() == pytest.approx(found.table["plain_low"].to_numpy())


def test_who_stands_out_is_named_on_the_side_that_the_measure_should_go():
    one = ALIKE.assign(value=[200.0, *ALIKE["value"][1:]])
    lower, higher = (fair_comparison(one, better=side) for side in ("lower", "higher"))
    assert lower.table.set_index("unit")["flag"]["u0"] == "worse"
    assert higher.table.set_index("unit")["flag"]["u0"] == "better"
    assert "worse: u0" in lower.sentence().splitlines()[0]
    assert len(lower.sentence().splitlines()[0]) <= 220
    assert lower.table["unit"].iloc[-1] == "u0" and higher.table["unit"].iloc[0] == "u0"


def test_a_flag_is_a_point_beyond_its_limit():
    rng = np.random.default_rng(1)
    units = pd.DataFrame({"unit": [f"{i}" for i in range(40)], "n": rng.integers(100, 5_000, 40)})
    share = np.where(np.arange(40) < 2, 0.5, rng.beta(20, 80, 40))
    units["value"] = rng.binomial(units["n"], share).astype(float)
    for rule in ("false discovery rate", "Bonferroni", "none"):
        table = fair_comparison(units, multiplicity=rule).table
        beyond = (table["adjusted"] > table["high"]) | (table["adjusted"] < table["low"])
        assert (beyond == (table["flag"] != "")).all()
        assert beyond.sum() >= 1


def test_a_difference_of_mix_is_no_difference_of_units():
    # u0 has 160 of 400 where 80 are usual; its mix explains them
    units = ALIKE.assign(value=[160.0, *ALIKE["value"][1:]], expected=[160.0] + [80.0] * 11)
    found = fair_comparison(units)
    assert found.flagged_worse == 0 and found.mixed
    assert fair_comparison(units.drop(columns="expected")).flagged_worse == 1
    assert "own mix" in found.sentence()


def test_agents_are_compared_with_their_own_site():
    # sites at 5 % and 20 %; within them all alike but one
    value = [20.0, 22, 18, 20, 21, 19, 80, 84, 76, 80, 78, 140]
    units = ALIKE.assign(value=value, within=["N"] * 6 + ["S"] * 6)
    found = fair_comparison(units, unit="agent")
    assert found.table.loc[found.table["flag"] == "worse", "unit"].tolist() == ["u11"]
    assert found.flagged_better == 0 and found.grouped
    # the group's own sum is expected of the group
    sums = found.table.groupby("within")[["value", "expected"]].sum()
    assert sums["value"].to_numpy() == pytest.approx(sums["expected"].to_numpy())


def test_small_units_are_joined_without_name_or_flag():
    small = pd.DataFrame({"unit": ["tiny", "wee"], "n": [9, 6], "value": [9.0, 6.0]})
    found = fair_comparison(pd.concat([ALIKE, small]), smallest=5)
    assert found.small == 2 and found.units == 12
    last = found.table.iloc[-1]
    assert (last["unit"], last["n"], last["value"], last["flag"]) == (
        "(small units together)",
        15,
        15,
        "",
    )
    assert "tiny" not in found.sentence() + found.table.to_csv()
    assert "2 units with fewer than 5 expected events" in found.sentence()


def test_rates_and_means():
    # 500 events where 275 are due: sqrt(500 / 275) - 1 = 0.348, by chance 0.5 / sqrt(275) = 0.030
    rates = pd.DataFrame({"unit": list("abcdefghij"), "n": 10.0, "value": [250.0] * 9 + [500]})
    found = fair_comparison(rates, kind="rate").table.set_index("unit")
    assert found.loc["j", "flag"] == "worse" and (found["flag"] != "").sum() == 1
    error = 0.5 / 275**0.5 * 0.9**0.5  # a tenth of the level is its own
    plain = (found.loc["j", "plain_high"] / 27.5) ** 0.5 - 1
    assert plain == pytest.approx(stats.norm.isf(0.05 / 10 / 2) * error)
    means = pd.DataFrame(
        {"unit": list("abcdef"), "n": 100, "value": [5.0, 5.1, 4.9, 5, 5.05, 4.95], "sd": 2.0}
    )
    found = fair_comparison(means, kind="mean", better="higher")
    assert found.flagged_better + found.flagged_worse == 0
    assert found.record == pytest.approx(0)
    wide = fair_comparison(means.assign(value=means["value"] * 10), kind="mean")
    # variance of the means 50 * 50 * 0.0035 / ... by hand: 10^2 * 0.0050 = 0.5 less 4 / 100
    assert wide.spread**2 == pytest.approx(0.5 - 0.04)
    assert wide.record == pytest.approx(0.46 / 4.46)


def test_the_false_flags_are_stated():
    assert fair_comparison(ALIKE, multiplicity="none").expected_false == pytest.approx(0.6)
    assert "0.6 would be flagged" in fair_comparison(ALIKE, multiplicity="none").sentence()
    assert "5% at most" in fair_comparison(ALIKE, multiplicity="Bonferroni").sentence()


def test_bad_settings_and_units():
    with pytest.raises(Problem, match="did you mean 'Bonferroni'"):
        fair_comparison(ALIKE, multiplicity="bonferoni")
    with pytest.raises(Problem, match="better"):
        fair_comparison(ALIKE, better="up")
    with pytest.raises(Refusal, match="1 unit"):
        fair_comparison(ALIKE.iloc[:1])
    odd = ALIKE.assign(n=[0, *ALIKE["n"][1:]], value=[0.0, *ALIKE["value"][1:]])
    assert "1 units without a record" in fair_comparison(odd).sentence()


def test_the_picture_names_the_flagged_only():
    one = ALIKE.assign(unit=["$ < 东 a site", *ALIKE["unit"][1:]], value=[200.0, *[80.0] * 11])
    ax = fair_comparison(one, measure="unresolved").plot(plt.figure().add_subplot())
    assert [text.get_text() for text in ax.texts] == ["$ < 东 a site"]
    assert "unresolved" in ax.get_ylabel()
    plt.close("all")
