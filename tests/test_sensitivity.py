"""Shares of variance against closed forms: a linear model, Ishigami's function, sums by hand."""

import json
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sqm.checks import Problem, Refusal
from sqm.methods.sensitivity import outcome_at, sensitivity, variance_shares
from sqm.scenario import Scenario

CASE = json.loads((Path(__file__).parent / "reference" / "ishigami.json").read_text("utf-8"))


def named(*names):
    return tuple(Scenario(name) for name in names)


def played(inputs, saved, names=None, **changed):
    """A rehearsal whose one scenario spares ``saved`` complaints a day, each worth 1."""
    n = len(saved)
    given = {
        "scenarios": named("as is", "more"),
        "measures": ("complaints_per_day",),
        "change": -np.stack([np.zeros(n), saved])[:, :, None],
        "cost": np.ones(n),
        "running_cost": np.zeros((2, n)),
        "open_days_per_year": 1.0,
        "inputs": inputs,
        "input_names": names or tuple("abcdefgh"[: inputs.shape[1]]),
    }
    return SimpleNamespace(**(given | changed))


def ishigami(x, a, b):
    return np.sin(x[:, 0]) + a * np.sin(x[:, 1]) ** 2 + b * x[:, 2] ** 4 * np.sin(x[:, 0])


def share_of(found, name):
    rows = found.table[found.table["input"].eq(name)]
    return rows[rows["quantity"].eq("share of variance")].iloc[0]


def test_ishigami_shares():
    """First-order shares in closed form: (b pi^4 / 5 + b^2 pi^8 / 50 + 1/2, a^2 / 8, 0) / V."""
    x = np.random.default_rng(1).uniform(-np.pi, np.pi, (4000, 3))
    shares, rest = variance_shares(x, ishigami(x, **CASE["input"]), confidence=0.95)
    assert shares[:, 0] == pytest.approx(CASE["expected"]["first_order"], abs=CASE["tolerance"])
    assert (shares[:, 1] <= CASE["expected"]["first_order"]).all()
    assert (shares[:, 2] >= CASE["expected"]["first_order"]).all()
    # what is left is the interplay of the first with the third
    assert rest[0] == pytest.approx(1 - sum(CASE["expected"]["first_order"]), abs=0.03)


def test_ishigami_reference_follows_from_its_formula():
    a, b = CASE["input"]["a"], CASE["input"]["b"]
    first = 0.5 * (1 + b * np.pi**4 / 5) ** 2
    whole = a**2 / 8 + b * np.pi**4 / 5 + b**2 * np.pi**8 / 18 + 0.5
    assert CASE["expected"]["first_order"] == pytest.approx(
        [first / whole, a**2 / 8 / whole, 0], abs=1e-4
    )


@pytest.mark.parametrize("n", [200, 2000])
def test_a_linear_model_has_the_shares_of_its_squares(n):
    # coefficients 3, 2, 1, 0 and noise of variance 2: 9, 4, 1 and 0 sixteenths
    rng = np.random.default_rng(3)
    x = rng.standard_normal((n, 4))
    y = x @ [3.0, 2, 1, 0] + np.sqrt(2) * rng.standard_normal(n)
    shares, rest = variance_shares(x, y, confidence=0.99)
    for (estimate, low, high), truth in zip(shares, [9 / 16, 4 / 16, 1 / 16, 0], strict=True):
        assert low <= truth <= high
        assert estimate == pytest.approx(truth, abs=2.5 / np.sqrt(n))
    assert rest[1] <= 2 / 16 <= rest[2]


def test_an_input_of_no_weight_explains_nothing_on_average():
    rng = np.random.default_rng(0)
    found = [
        variance_shares(x[:, :1], x[:, 1], confidence=0.95)[0][0]
        for x in rng.standard_normal((200, 100, 2))
    ]
    assert np.mean([each[0] for each in found]) < 0.02
    assert np.mean([each[1] == 0 for each in found]) > 0.9


def test_a_parabola_is_seen_although_it_is_no_correlation():
    x = np.random.default_rng(5).standard_normal((500, 2))
    shares, _ = variance_shares(x, x[:, 0] ** 2 + 0.01 * x[:, 1], confidence=0.95)
    assert shares[0, 0] > 0.99
    assert shares[1, 0] < 0.05


def test_outcome_at_a_point_of_a_line_is_exact_and_of_a_curve_near():
    x = np.random.default_rng(2).standard_normal(5000)
    assert outcome_at(x, 3 * x - 1, at=-1.2, confidence=0.9) == pytest.approx([-4.6] * 3)
    found = outcome_at(x, x**2, at=1.0, confidence=0.9)
    assert found[0] == pytest.approx(1.0, abs=0.06)  # half the width squared by 0.2 too high


def test_the_sentence_names_the_strongest_and_what_it_moves():
    x = np.random.default_rng(1).standard_normal((3000, 2))
    found = sensitivity(
        played(x, 100 + x @ [1.0, 3.0], names=("patience", "cost of a complaint")), currency="EUR"
    )
    first = found.sentence().splitlines()[0]
    assert "depends most on cost of a complaint: 90 % (95% interval" in first
    assert len(first) <= 220
    # quantiles of a standard normal: 100 -+ 3 * 1.2816
    assert found.at_low == pytest.approx(100 - 3 * 1.2816, abs=0.2)
    assert found.at_high == pytest.approx(100 + 3 * 1.2816, abs=0.2)
    assert f"{found.at_low:.1f} to {found.at_high:.1f} EUR." in first
    second = share_of(found, "patience")["estimate"]
    assert second == pytest.approx(0.1, abs=0.03)
    assert f"Then patience {second * 100:.0f} % (" in found.sentence()
    assert list(dict.fromkeys(found.table["input"])) == [
        "cost of a complaint",
        "patience",
        "everything else",
    ]


def test_net_saving_takes_the_running_cost_off_and_complaints_do_not():
    x = np.random.default_rng(1).standard_normal((500, 1))
    cost = np.stack([np.zeros(500), 7.0 + 0 * x[:, 0]])
    given = played(x, x[:, 0], running_cost=cost, open_days_per_year=250.0)
    money = sensitivity(given, currency="EUR")
    assert money.mean == pytest.approx(250 * x.mean() - 7)
    complaints = sensitivity(given, scenario="more", outcome="complaints_per_year")
    assert complaints.mean == pytest.approx(-250 * x.mean())
    assert complaints.unit == ""


def test_the_scenario_that_saves_most_is_taken_if_none_is_named():
    x = np.random.default_rng(1).standard_normal((200, 1))
    change = -np.stack([np.zeros(200), x[:, 0] + 1, x[:, 0] + 5])[:, :, None]
    given = played(
        x,
        x[:, 0],
        scenarios=named("as is", "less", "more"),
        change=change,
        running_cost=np.zeros((3, 200)),
    )
    assert sensitivity(given, currency="EUR").scenario == "more"


def test_an_input_that_does_not_vary_is_named_and_left_out():
    x = np.random.default_rng(1).standard_normal((200, 2))
    x[:, 1] = 4.0
    found = sensitivity(played(x, x[:, 0]), currency="EUR")
    row = share_of(found, "b")
    assert np.isnan(row["estimate"])
    assert row["note"] == "does not vary"
    assert "taken for certain: b." in found.sentence()
    assert "only unknown that varies" in found.sentence()


def test_inputs_drawn_together_are_named():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((400, 2))
    x[:, 1] = 0.8 * x[:, 0] + 0.6 * x[:, 1]
    found = sensitivity(played(x, x.sum(axis=1)), currency="EUR")
    assert "a and b (rank correlation 0.7" in found.sentence()


def test_what_cannot_be_asked_is_said():
    x = np.random.default_rng(1).standard_normal((200, 1))
    with pytest.raises(Problem, match="no currency"):
        sensitivity(played(x, x[:, 0]))
    with pytest.raises(Problem, match="no scenario 'mor'"):
        sensitivity(played(x, x[:, 0]), scenario="mor", currency="EUR")
    with pytest.raises(Problem, match="no outcome 'savings'"):
        sensitivity(played(x, x[:, 0]), outcome="savings", currency="EUR")
    with pytest.raises(Refusal, match="same in every draw"):
        sensitivity(played(x, 0 * x[:, 0]), currency="EUR")
    with pytest.raises(Refusal, match="90 draws cannot"):
        sensitivity(played(x[:90], x[:90, 0]), currency="EUR")
    with pytest.raises(Refusal, match="did not keep"):
        sensitivity(played(x, x[:, 0], input_names=()), currency="EUR")
    with pytest.raises(Refusal, match="No unknown varies"):
        sensitivity(played(0 * x, x[:, 0]), currency="EUR")


def test_hostile_names_and_a_lever_of_few_values():
    rng = np.random.default_rng(1)
    x = np.column_stack([rng.integers(0, 3, 300), rng.standard_normal(300)])
    given = played(x, x.sum(axis=1), names=("$a$ <b>", "成本 🙂"))
    found = sensitivity(given, currency="EUR")
    assert np.isfinite(found.table["estimate"]).all()
    found.plot()
    plt.close("all")


def test_it_is_drawn_with_both_ends():
    x = np.random.default_rng(1).standard_normal((200, 2))
    found = sensitivity(played(x, x @ [1.0, 2.0]), currency="EUR")
    ax = found.plot(plt.figure().gca())
    assert ax.get_title().endswith("?")
    assert "EUR" in ax.get_xlabel()
    assert ax.get_yticklabels()[0].get_text().startswith("b\u00a0·\u00a0")
    assert len(ax.get_legend().get_texts()) == 2
    plt.close("all")


def test_levers_and_coefficients_have_no_code_words():
    x = np.random.default_rng(1).standard_normal((300, 5))
    names = (
        "resolution_points: more", "service_factor: other", "complaints: a minute of wait",
        "gate: error of waits", "investment: more",
    )  # fmt: skip
    found = sensitivity(played(x, x @ [5.0, 4, 3, 2, 1], names=names), currency="EUR")
    assert list(dict.fromkeys(found.table["input"]))[:5] == [
        "size of the resolution lever, more",
        "size of the handling-time lever, other",
        "effect of a minute's wait on complaints",
        "error of waits on days held out",
        "investment, more",
    ]
    said = found.sentence()
    # the scenario asked about is not said twice
    assert "of more depends most on size of the resolution lever: " in said
    assert "Then size of the handling-time lever, other " in said


def test_the_picture_shows_the_strongest_and_counts_the_others():
    x = np.random.default_rng(1).standard_normal((1000, 10))
    names = tuple("abcdefghij")
    found = sensitivity(played(x, x @ 0.7 ** np.arange(10), names=names), currency="EUR")
    ax = found.plot(plt.figure().gca())
    beside = [label.get_text() for label in ax.get_yticklabels()]
    strongest = list(dict.fromkeys(found.table["input"]))[:8]
    assert [each[0] for each in beside[:8]] == strongest and strongest[:3] == ["a", "b", "c"]
    assert beside[8].startswith("2 more: ") and beside[8].endswith("or less each")
    assert len(ax.patches) == 8
    plt.close("all")
