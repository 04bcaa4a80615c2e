"""Gaps against sums by hand, SciPy's paired t interval, and a coverage."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats

from sqm.checks import Problem, Refusal
from sqm.methods import gaps as room
from sqm.methods.gaps import gap_gate, item_gaps, servqual_gaps, usable_scores
from sqm.scales import alpha

DIMENSIONS = {"prompt": ["p1", "p2"], "kind": ["p3"], "neat": ["p4", "p5", "p6"]}
EXPECTATIONS = {f"p{i}": f"e{i}" for i in range(1, 7)}
TRUE_GAPS = np.array([-1.0, -1.0, -0.2, 0.4, 0.4, 0.4])


def survey(n, seed=1):
    rng = np.random.default_rng(seed)
    expected = 5 + rng.normal(size=(n, 6))
    seen = expected + TRUE_GAPS + rng.normal(size=(n, 1)) + rng.normal(size=(n, 6))
    names = [*EXPECTATIONS.values(), *EXPECTATIONS]
    return pd.DataFrame(np.hstack([expected, seen]), columns=names)


def gaps(answers, **settings):
    settings = {"dimensions": DIMENSIONS, "expectations": EXPECTATIONS, "resamples": 200} | settings
    return servqual_gaps(answers, **settings, rng=np.random.default_rng(1))


@pytest.fixture
def answers():
    return survey(300)


def test_the_interval_is_that_of_a_paired_t_test(answers):
    row = gaps(answers).table.set_index("dimension").loc["neat"]
    paired = stats.ttest_rel(
        answers[["p4", "p5", "p6"]].mean(axis=1), answers[["e4", "e5", "e6"]].mean(axis=1)
    ).confidence_interval(0.95)
    assert (row["low"], row["high"]) == pytest.approx((paired.low, paired.high))
    assert row["estimate"] == pytest.approx(row["perception"] - row["expectation"])


def test_with_complete_answers_the_overall_gap_is_a_paired_t_test_too(answers):
    found = gaps(answers)
    scores = pd.DataFrame(
        {
            name: sum(answers[p] - answers[EXPECTATIONS[p]] for p in items) / len(items)
            for name, items in DIMENSIONS.items()
        }
    ).mean(axis=1)
    plain = stats.ttest_1samp(scores, 0).confidence_interval(0.95)
    assert (found.overall, found.low, found.high) == pytest.approx(
        (scores.mean(), plain.low, plain.high)
    )
    assert found.overall == pytest.approx(found.table["estimate"].mean())


def test_a_lacking_answer_leaves_out_one_dimension_of_one_respondent(answers):
    blank = answers.copy()
    blank.loc[0, "e1"] = np.nan
    found = gaps(blank)
    assert found.table["left_out"].tolist() == [1, 0, 0]
    assert (found.respondents, found.left_out) == (300, 0)
    whole = gaps(answers).table
    assert found.table.loc[1:, "estimate"].tolist() == whole.loc[1:, "estimate"].tolist()
    assert found.table.loc[0, "estimate"] == pytest.approx(
        gaps(answers.drop(index=0)).table.loc[0, "estimate"]
    )


def test_the_overall_interval_holds_the_truth_also_with_blanks():
    """200 samples at 95 %: standard error 1.5 %."""
    truth, held = (-1.0 - 0.2 + 0.4) / 3, 0
    for seed in range(200):
        data = survey(40, seed)
        data = data.mask(np.random.default_rng(seed).random(data.shape) < 0.05)
        found = gaps(data, resamples=2)
        held += found.low <= truth <= found.high
    assert held / 200 == pytest.approx(0.95, abs=0.046)


def test_short_is_below_zero_and_said_so(answers):
    found = gaps(answers)
    assert found.widest == "prompt"
    assert found.widest_share == 1.0
    text = found.sentence()
    assert "falls short of" in text
    assert "The widest shortfall is in prompt: -0.9" in text or "in prompt: -1.0" in text
    assert "Above expectation: neat." in text
    swapped = {p: e for e, p in EXPECTATIONS.items()}
    other = gaps(
        answers,
        dimensions={name: [EXPECTATIONS[p] for p in items] for name, items in DIMENSIONS.items()},
        expectations=swapped,
    )
    assert other.overall == pytest.approx(-found.overall)
    assert "exceeds" in other.sentence()


def test_who_sees_just_what_they_expect_throughout_is_counted():
    answers = pd.DataFrame(
        {f"{half}{i}": 5.0 for half in "pe" for i in range(1, 11)}, index=range(40)
    )
    answers.loc[:19, [f"p{i}" for i in range(1, 11)]] = 3.0
    found = gaps(
        answers,
        dimensions={"all": [f"p{i}" for i in range(1, 11)]},
        expectations={f"p{i}": f"e{i}" for i in range(1, 11)},
    )
    assert (found.same_answer, found.overall, found.overall_without) == (20, -1.0, -2.0)
    assert "without them the overall gap is -2.00" in found.sentence()
    none = gaps(survey(300))
    assert none.same_answer == 0 and np.isnan(none.overall_without)
    assert "same answer" not in none.sentence()


def test_two_like_gaps_are_not_told_apart(answers):
    twins = answers.assign(p3=answers["p1"], e3=answers["e1"], p2=answers["p1"], e2=answers["e1"])
    found = gaps(twins)
    assert found.table.loc[[0, 1], "widest"].tolist() == [0.5, 0.5]
    assert found.table["widest"].sum() == pytest.approx(1)
    assert "kind in 50%: too close to tell which" in found.sentence()


def test_reliability_of_the_difference_by_construction():
    """Shared variance 1, own variance 1 in each of three differences: alpha 3 / 4."""
    found = gaps(survey(20_000)).table["reliability"]
    assert found[2] == pytest.approx(0.75, abs=0.01)
    assert found[0] == pytest.approx(2 / 3, abs=0.015)
    assert np.isnan(found[1])


def test_gaps_can_be_unreliable_though_their_parts_are_not():
    rng = np.random.default_rng(2)
    person = rng.normal(size=(2000, 1))
    noise = 0.3 * rng.normal(size=(2000, 12))
    names = [*EXPECTATIONS.values(), *EXPECTATIONS]
    found = gaps(pd.DataFrame(5 + person + noise, columns=names)).table["reliability"]
    assert abs(found[2]) < 0.1


def test_items_rest_on_their_own_pairs(answers):
    blank = answers.copy()
    blank.loc[:9, "e1"] = np.nan
    found = item_gaps(blank, dimensions=DIMENSIONS, expectations=EXPECTATIONS)
    row = found.table.loc[0]
    assert (row["respondents"], row["left_out"]) == (290, 10)
    assert row["estimate"] == pytest.approx((answers["p1"] - answers["e1"])[10:].mean())
    assert row["estimate"] == pytest.approx(row["perception"] - row["expectation"])
    assert "of 6 items fall short" in found.sentence()


def test_a_dimension_without_pairs_is_noted_beside_the_rest(answers):
    found = gaps(answers.assign(e3=np.nan))
    assert found.table["estimate"].isna().tolist() == [False, True, False]
    assert found.table.loc[1, "note"] == "only 0 respondents with every pair"
    assert "Not given: kind (only 0 respondents" in found.sentence()
    assert found.overall == pytest.approx(found.table["estimate"].mean())


def test_bad_input(answers):
    with pytest.raises(Refusal, match="No dimension has 10"):
        gaps(answers.head(9))
    with pytest.raises(Problem, match="No expectation is named for p6"):
        gaps(answers, expectations={f"p{i}": f"e{i}" for i in range(1, 6)})
    with pytest.raises(Problem, match="no column 'e6'"):
        gaps(answers.drop(columns="e6"))
    with pytest.raises(Problem, match="No dimension is named"):
        gaps(answers, dimensions={})
    with pytest.raises(Problem, match="'kind' has no item"):
        gaps(answers, dimensions={"prompt": ["p1"], "kind": []})
    with pytest.raises(Problem, match="does not hold numbers"):
        gaps(answers.assign(p1="good"))


def test_pictures(answers):
    ax = gaps(answers).plot(plt.figure().subplots())
    assert [text.get_text() for text in ax.get_yticklabels()] == ["prompt", "kind", "neat"]
    items = item_gaps(answers, dimensions=DIMENSIONS, expectations=EXPECTATIONS)
    assert len(items.plot(plt.figure().subplots()).get_yticklabels()) == 6
    plt.close("all")


# --- the gate -----------------------------------------------------------------------------------

BANK = {"quality": [f"qual{i}" for i in range(1, 6)]}
BANK_PAIRS = {f"qual{i}": f"expe{i}" for i in range(1, 6)}


@pytest.fixture(scope="module")
def bank():
    path = Path(__file__).parent / "reference" / "gap_bank.json"
    case = json.loads(path.read_text(encoding="utf-8"))
    return pd.DataFrame(case["input"]), case["expected"]


def gate(answers, **settings):
    settings = {"dimensions": DIMENSIONS, "expectations": EXPECTATIONS, "resamples": 200} | settings
    return gap_gate(answers, **settings, rng=np.random.default_rng(1))


def test_good_parts_make_a_bad_difference_on_real_data(bank):
    answers, expected = bank
    found = gate(answers, dimensions=BANK, expectations=BANK_PAIRS, outcome="sat1")
    row = found.table.loc[0]
    for name in ("perception_reliability", "expectation_reliability"):
        assert row[name] == pytest.approx(expected[name], abs=0.005)
    assert row["estimate"] == pytest.approx(expected["gap_reliability"], abs=0.0005)
    assert row["perception_with_outcome"] == pytest.approx(
        expected["perception_with_satisfaction"], abs=0.005
    )
    assert row["gap_with_outcome"] == pytest.approx(expected["gap_with_satisfaction"], abs=0.005)
    assert (found.usable, row["score"]) == (0, "perception")
    assert row["low"] < row["estimate"] < row["high"] < 0.7
    said = found.sentence()
    assert "too unreliable to be used in any dimension" in said.splitlines()[0]
    assert "perception correlates 0.65" in said
    assert "the gap 0.19" in said
    assert len(said.splitlines()[0]) <= 220


def test_both_reliabilities_of_a_gap_are_said_and_why_they_differ(bank):
    """Alpha of the differences less the classical figure is 2 k (s - o) / variance."""
    answers, _ = bank
    found = gate(answers, dimensions=BANK, expectations=BANK_PAIRS)
    row, seen, hoped = found.table.loc[0], BANK["quality"], list(BANK_PAIRS.values())
    apart = answers[seen].to_numpy() - answers[hoped].to_numpy()
    assert row["of_differences"] == pytest.approx(alpha(apart))
    across = np.cov(answers[seen + hoped].T)[:5, 5:]
    own, other = np.diag(across).mean(), across[~np.eye(5, dtype=bool)].mean()
    more = 2 * 5 * (own - other) / apart.sum(axis=1).var(ddof=1)
    assert row["of_differences"] - row["estimate"] == pytest.approx(more)
    assert row["of_differences_low"] < row["of_differences"] < row["of_differences_high"]
    said = found.sentence()
    assert f"lowest is quality, {row['estimate']:.2f} (95% interval" in said.splitlines()[0]
    assert f"and {row['of_differences']:.2f} (95% interval" in said
    assert "go together more than answers to different items do" in said
    assert "errs low here" in said


def made_to(covariance, n=300):
    """Answers whose sample covariance is just this."""
    drawn = np.random.default_rng(1).normal(size=(n, len(covariance)))
    drawn = np.linalg.solve(np.linalg.cholesky(np.cov(drawn.T)), (drawn - drawn.mean(axis=0)).T)
    return (np.linalg.cholesky(covariance) @ drawn).T


def test_a_gap_is_settled_by_both_of_its_reliabilities():
    # four items each side, alphas .95 and scores that do not correlate: classical .95; the answers
    # to one item go together less than others, so alpha of the differences is .95 - 8 * .01 / 2
    beside = 0.95 / 16
    block = np.full((4, 4), beside) + np.eye(4) * (1 / 4 - 4 * beside)
    across = np.full((4, 4), 0.0025) - np.eye(4) * 0.01
    seen, hoped = [f"p{i}" for i in range(4)], [f"e{i}" for i in range(4)]
    made = pd.DataFrame(
        made_to(np.block([[block, across], [across, block]])), columns=[*seen, *hoped]
    )
    pairs = dict(zip(seen, hoped, strict=True))
    found = gate(made, dimensions={"d": seen}, expectations=pairs, gap_reliability=0.92)
    row = found.table.loc[0]
    assert (row["estimate"], row["of_differences"]) == pytest.approx((0.95, 0.91))
    assert row["low"] > 0.92
    assert (row["usable"], row["settled"]) == (False, False)
    said = found.sentence()
    assert "lowest is d, 0.91" in said.splitlines()[0]
    assert "An interval reaches across the gate: d." in said


def test_a_gap_that_is_the_same_for_everyone_has_no_interval(answers):
    same = answers.assign(**{f"p{i}": answers[f"e{i}"] - 1 for i in range(1, 7)})
    found = gaps(same)
    assert found.table["estimate"].tolist() == pytest.approx([-1, -1, -1])
    assert found.table["low"].isna().all() and np.isnan(found.low)
    assert found.sentence().startswith("The service falls short of")
    assert "-1.00 points (no interval: everyone has the same gap)" in found.sentence()
    items = item_gaps(same, dimensions=DIMENSIONS, expectations=EXPECTATIONS)
    assert items.table["low"].isna().all()


def test_the_sentence_claims_no_more_than_the_interval(answers):
    near = answers.assign(**{f"p{i}": answers[f"p{i}"] - TRUE_GAPS[i - 1] for i in range(1, 7)})
    said = gaps(near[:40]).sentence()
    assert said.startswith("The service cannot be told from what respondents expect")
    few = answers.assign(p3=np.nan)
    assert "over 2 of 3 dimensions" in gaps(few).sentence().splitlines()[0]
    alone = gaps(answers, dimensions={"prompt": ["p1", "p2"]}).sentence()
    assert "100% of" not in alone and "widest" not in alone
    assert ") in prompt.\n" in alone
    assert len(gaps(answers).sentence().splitlines()[0]) <= 220


def test_a_hundred_thousand_are_resampled_a_part_at_a_time(answers, monkeypatch):
    at_once = gaps(answers).table["widest"].tolist()
    monkeypatch.setattr(room, "CELLS", 7 * len(answers))
    assert gaps(answers).table["widest"].tolist() == at_once


def test_reliability_of_a_difference_by_the_formula():
    # four parallel items each side, true variance 0.9 and 0.8 of a total of 1, covariance 0.5:
    # (0.9 + 0.8 - 2 * 0.5) / (1 + 1 - 2 * 0.5) = 0.7
    def block(alpha):
        beside = alpha / 16
        return np.full((4, 4), beside) + np.eye(4) * (1 / 4 - 4 * beside)

    across = np.full((4, 4), 0.5 / 16)
    values = made_to(np.block([[block(0.9), across], [across, block(0.8)]]))
    seen, hoped = [f"p{i}" for i in range(4)], [f"e{i}" for i in range(4)]
    made = pd.DataFrame(values, columns=[*seen, *hoped])
    found = gate(made, dimensions={"d": seen}, expectations=dict(zip(seen, hoped, strict=True)))
    row = found.table.loc[0]
    assert row["perception_reliability"] == pytest.approx(0.9)
    assert row["expectation_reliability"] == pytest.approx(0.8)
    assert row["correlation"] == pytest.approx(0.5)
    assert row["estimate"] == pytest.approx(0.7)


def test_a_reliable_gap_passes_and_the_scores_obey_the_gate():
    rng = np.random.default_rng(2)
    n = 400
    felt, hoped = rng.normal(size=(n, 1)), rng.normal(size=(n, 1))
    good = {f"p{i}": felt[:, 0] + 0.3 * rng.normal(size=n) for i in range(1, 4)}
    good |= {f"e{i}": hoped[:, 0] + 0.3 * rng.normal(size=n) for i in range(1, 4)}
    bad = {f"p{i}": felt[:, 0] + 0.3 * rng.normal(size=n) for i in range(4, 7)}
    bad |= {f"e{i}": felt[:, 0] + 0.3 * rng.normal(size=n) for i in range(4, 7)}
    made = pd.DataFrame(good | bad)
    dimensions = {"apart": ["p1", "p2", "p3"], "close": ["p4", "p5", "p6"]}
    found = gate(made, dimensions=dimensions)
    assert found.table["score"].tolist() == ["gap", "perception"]
    assert "1 of 2 dimensions" in found.sentence()
    scores = usable_scores(made, gate=found.table, dimensions=dimensions, expectations=EXPECTATIONS)
    assert scores["apart"].tolist() == pytest.approx(
        (made[["p1", "p2", "p3"]].mean(axis=1) - made[["e1", "e2", "e3"]].mean(axis=1)).tolist()
    )
    assert scores["close"].tolist() == pytest.approx(made[["p4", "p5", "p6"]].mean(axis=1).tolist())
    with pytest.raises(Problem, match="says nothing of close"):
        usable_scores(made, gate=found.table[:1], dimensions=dimensions, expectations=EXPECTATIONS)


def test_the_gate_says_what_it_cannot_know(answers):
    found = gate(answers).table.set_index("dimension")
    assert found.loc["kind", "note"] == "one item: the reliability of its gap is unknown"
    assert found.loc["kind", "score"] == "perception"
    flat = gate(answers.assign(p1=3.0)).table.set_index("dimension")
    assert flat.loc["prompt", "note"] == "an item that everyone answered alike"
    same = answers.assign(e1=answers["p1"], e2=answers["p2"])
    alike = gate(same).table.set_index("dimension")
    assert alike.loc["prompt", "note"] == "everyone has the same gap"
    few = gate(answers[:9])
    assert few.usable == 0
    assert "only 9 respondents with every pair" in few.sentence()
    with pytest.raises(Problem, match="gap_reliability is 7"):
        gate(answers, gap_reliability=7)


def test_the_gate_draws(answers):
    figure, ax = plt.subplots()
    assert gate(answers).plot(ax).get_title().endswith("?")
    assert len(ax.get_yticklabels()) == 4  # two dimensions can be judged, each in two ways
    plt.close(figure)
