"""The worth of a pilot against closed forms of the normal loss, and against sums done by hand."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

from sqm.checks import Problem, Refusal
from sqm.methods.pilot import _apart, pilot_value, sample_information
from sqm.scenario import Scenario

MEASURES = ("mean_wait_s", "resolved", "complaint_rate", "contacts_per_day", "abandoned_per_day")


def normal_draws(mean, sd, n):
    """Evenly spread over a normal distribution: its moments without chance."""
    draws = stats.norm.ppf((np.arange(n) + 0.5) / n)
    return mean + sd * draws / draws.std()


def normal_loss(mean, sd):
    """Expected gain over choosing by the mean, between nothing and N(mean, sd)."""
    z = abs(mean) / sd
    return sd * (stats.norm.pdf(z) - z * stats.norm.sf(z))


# --- What a pilot shows ---------------------------------------------------------------------------


@pytest.mark.parametrize("weeks", [0.5, 1, 4, 13, 1000])
def test_a_pilot_is_worth_what_the_conjugate_normal_says(weeks):
    """Benefit N(1, 2) seen with an error of sd 3 in a week: foretold with 2 sqrt(4n / (4n + 9))."""
    true = normal_draws(0, 2, 20_000)
    found = sample_information(np.stack([np.zeros(20_000), 1 + true]), true[None] / 3, weeks)
    spread = 2 * np.sqrt(4 * weeks / (4 * weeks + 9))
    assert found == pytest.approx(normal_loss(1, spread), rel=2e-3)


def test_two_measures_are_worth_as_much_as_one_with_their_joint_error():
    """Twice the same, each with an error of 1: as one with an error of sqrt(1 / 2)."""
    true = normal_draws(0, 1, 5_000)
    benefit = np.stack([np.zeros(5_000), true])
    twice = sample_information(benefit, np.stack([true, true]), 3)
    assert twice == pytest.approx(sample_information(benefit, true[None] * np.sqrt(2), 3))
    apart = np.stack([true, np.random.default_rng(1).permutation(true)])
    assert sample_information(benefit, apart, 3) < twice


def test_a_value_starts_at_nothing_never_falls_and_tends_to_perfect_information():
    rng = np.random.default_rng(7)
    true = rng.normal(size=(2, 4000)) * [[1.0], [0.5]]
    benefit = np.stack([np.zeros(4000), true[0] + 0.2, true[1] + 0.1])
    values = [sample_information(benefit, true, weeks) for weeks in (0, 1, 5, 25, 125, 1e9)]
    perfect = benefit.max(axis=0).mean() - benefit.mean(axis=1).max()
    assert values[0] == 0
    assert (np.diff(values) >= 0).all()
    assert values[-1] == pytest.approx(perfect, rel=0.02)
    assert values[-1] <= perfect


def test_what_is_uncertain_besides_the_effect_no_pilot_shows():
    rng = np.random.default_rng(8)
    effect, price = rng.normal(size=(2, 4000))
    benefit = np.stack([np.zeros(4000), effect + 3 * price])
    endless = sample_information(benefit, effect[None], 1e9)
    assert endless == pytest.approx(normal_loss(0, 1), rel=0.15)
    assert endless < normal_loss(0, np.sqrt(10)) / 2


# --- The pilot ------------------------------------------------------------------------------------


def played(draws=400, seed=1, spread=0.03):
    """3,000 contacts a day; `new` resolves about 5 points more, `other` does nothing."""
    rng = np.random.default_rng(seed)
    level = np.broadcast_to([120.0, 0.6, 0.02, 3000.0, 300.0], (3, draws, 5)).copy()
    change = np.zeros((3, draws, 5))
    change[1, :, 1] = 0.05 + spread * rng.standard_normal(draws)
    return SimpleNamespace(
        scenarios=tuple(map(Scenario, ("as is", "new", "other"))),
        measures=MEASURES,
        level=level + change,
        change=change,
        week_sd=np.broadcast_to([20.0, 0.004, 0.001, 60.0, 20.0], (3, 5)),
        open_days_per_year=300.0,
    )


def benefit_of(rehearsal):
    """A million for each share of one resolved more, 50,000 spent; `other` costs 10,000."""
    gain = 1e6 * rehearsal.change[1, :, 1] - 50_000
    return np.stack([np.zeros_like(gain), gain, np.full_like(gain, -10_000)])


def weigh(rehearsal=None, **more):
    rehearsal = rehearsal or played()
    settings = {"weeks": [2, 8], "share": 0.25, "years": 2, "currency": "EUR"}
    settings |= {"rng": np.random.default_rng(1)} | more
    return pilot_value(rehearsal, benefit_of(rehearsal), **settings)


def quantity(finding, name, weeks, option="new"):
    table = finding.table
    at = table["option"].eq(option) & table["weeks"].eq(weeks) & table["quantity"].eq(name)
    return table[at].iloc[0]


def test_the_error_of_a_week_is_that_of_the_part_and_of_the_rest():
    """Resolution of a week: sd 0.004 and the coins of 300 / 52.18 x 2,700 served, p about 0.6."""
    rehearsal = played(draws=4000)
    found = weigh(rehearsal, measures=["resolved"])
    served = 300 / (365.25 / 7) * 2700
    mean = 0.6 + rehearsal.change[1, :, 1].mean()
    as_is = 0.004**2 + 0.6 * 0.4 / served
    new = 0.004**2 + mean * (1 - mean) / served
    error = new / 0.25 + as_is / 0.75
    gain = benefit_of(rehearsal)[1]
    known = gain.var() / 1e12
    spread = gain.std() * np.sqrt(8 * known / (8 * known + error))
    assert quantity(found, "value", 8)["estimate"] == pytest.approx(
        normal_loss(gain.mean(), spread), rel=0.01
    )


def test_cost_waiting_and_use_for_the_rest_make_the_net_value():
    found = weigh(cost_per_week=100, fixed_cost=500)
    passed = 8 / (2 * 365.25 / 7)
    gain = benefit_of(played())[1].mean()
    value = quantity(found, "value", 8)["estimate"]
    assert quantity(found, "cost", 8)["estimate"] == 1300
    waiting = quantity(found, "waiting", 8)["estimate"]
    assert waiting == pytest.approx((max(gain, 0) - 0.25 * gain) * passed)
    net = value * (1 - passed) - 1300 - waiting
    assert quantity(found, "net", 8)["estimate"] == pytest.approx(net)
    assert quantity(found, "value", 2)["estimate"] < value <= found.perfect_information


def test_a_pilot_of_no_weeks_is_worth_and_costs_nothing():
    found = weigh(weeks=[0, 4], fixed_cost=500)
    for name in ("value", "cost", "waiting", "net"):
        assert quantity(found, name, 0)["estimate"] == 0
    assert found.weeks == 4
    with pytest.raises(Problem, match="No pilot has any length"):
        weigh(weeks=[0])


def test_a_pilot_that_shows_nothing_new_is_worth_nothing():
    found = weigh()
    blank = quantity(found, "value", 8, option="other")
    assert blank["estimate"] == 0
    assert blank["note"] == "it would show nothing that is not known already"
    shares = np.random.default_rng(2).uniform(0.2, 1.2, 400)
    assert quantity(weigh(realised=shares), "value", 8)["estimate"] > 0


def test_the_sentence_of_a_pilot_tells_worth_from_cost():
    first, rest = weigh().sentence().split("\n")
    assert len(first) <= 220
    assert first.startswith("Pilot first: ") and "of new at 25% of contacts" in first
    assert "approximate" in rest and "the other contacts of the same weeks" in rest
    dear = weigh(fixed_cost=1e6, share=1.0).sentence()
    assert dear.startswith("No pilot pays.") and "1.00 million EUR" in dear
    assert "as many weeks before it" in dear


def test_the_picture_of_a_pilot_shows_each_option():
    ax = weigh().plot()
    assert {text.get_text() for text in ax.texts} == {"new", "other"}
    assert "net value, thousand EUR" in ax.get_ylabel()
    plt.close("all")


def many(singles="abcde"):
    """Five improvements and two of them together, which is worth most."""
    one = tuple(Scenario(f"improvement {name}") for name in singles)
    both = Scenario(f"{one[0].name} + {one[1].name}", together=one[:2])
    rehearsal = played()
    for name in ("level", "change", "week_sd"):
        of = getattr(rehearsal, name)
        setattr(rehearsal, name, np.concatenate([of[:1], *[of[1:2]] * (len(singles) + 1)]))
    rehearsal.scenarios = (Scenario("as is"), *one, both)
    gain = 1e6 * rehearsal.change[1, :, 1] - 50_000
    less = 1000.0 * np.arange(len(singles) + 1)[:, None]
    return rehearsal, np.vstack([np.zeros_like(gain), gain + 9000 - less[::-1]])


def test_the_picture_of_many_pilots_shows_the_best_few_by_letter():
    rehearsal, benefit = many()
    found = pilot_value(
        rehearsal, benefit, weeks=[2, 8], share=0.25, years=2, currency="EUR",
        rng=np.random.default_rng(1),
    )  # fmt: skip
    assert found.chosen == "improvement a + improvement b"
    ax = found.plot(plt.figure().gca())
    told = [text.get_text() for text in ax.texts]
    assert len(told) == 4 and "a + b" in told
    below = ax.get_xlabel().replace("\u00a0", " ")
    assert "4 of 6 options" in below and "b: improvement b" in below
    plt.close("all")


def test_names_are_moved_apart_and_keep_their_order():
    moved = _apart(np.array([3.0, 1.0, 3.2]), 1.0)  # 1, 3 and 4, less a third of 0.8 each
    assert moved.tolist() == pytest.approx([3 - 0.8 / 3, 1 - 0.8 / 3, 4 - 0.8 / 3])
    assert _apart(np.array([5.0, 1.0]), 1.0).tolist() == [5.0, 1.0]


def test_what_cannot_be_tried_is_refused():
    with pytest.raises(Refusal, match="with 10 draws"):
        weigh(played(draws=10))
    alone = played()
    alone.scenarios = alone.scenarios[:1]
    settings = {"weeks": [2], "share": 0.5, "years": 2, "currency": "EUR"}
    with pytest.raises(Refusal, match="nothing to try"):
        pilot_value(alone, np.zeros((1, 400)), rng=np.random.default_rng(1), **settings)
    with pytest.raises(Problem, match="for 3 options"):
        pilot_value(played(), np.zeros((2, 400)), rng=np.random.default_rng(1), **settings)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"weeks": []}, "weeks is"),
        ({"weeks": [2.5]}, "weeks is"),
        ({"weeks": [-1]}, "weeks is"),
        ({"weeks": 4}, "weeks is 4"),
        ({"share": True}, "share is True"),
        ({"weeks": [200]}, "does not end within"),
        ({"share": 0}, "share is 0"),
        ({"share": 25}, "share is 25"),
        ({"cost_per_week": -1}, "cost_per_week is -1"),
        ({"fixed_cost": "dear"}, "fixed_cost is 'dear'"),
        ({"measures": []}, "judged by nothing"),
        ({"measures": ["complaints_rate"]}, "did you mean 'complaint_rate'"),
        ({"measures": ["abandoned"]}, "measures is 'abandoned'"),
        ({"realised": np.ones(3)}, "realised has the shape"),
        ({"currency": None}, "no currency"),
    ],
)
def test_settings_that_make_no_sense_are_problems(setting, words):
    with pytest.raises(Problem, match=words):
        weigh(**setting)
