"""Definitions run on records, and judges' verdicts, against counts by hand and Fleiss' data."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats
from statsmodels.stats.inter_rater import cohens_kappa, fleiss_kappa

from sqm.checks import Problem, Refusal
from sqm.interval import wilson
from sqm.methods.definitions import predicates, verdicts_agree
from sqm.predicate import judged


def ctqs(**changes):
    row = {
        "ctq": "quick",
        "table": "calls",
        "measure": "wait_s",
        "direction": "at most",
        "limit": 60.0,
        "unit": "s",
        "target": 0.3,
    }
    return pd.DataFrame([row | changes])


def one(records, **changes):
    tables = {"calls": records if isinstance(records, pd.DataFrame) else _waits(records)}
    return predicates(tables, ctqs=ctqs(**changes)).table.iloc[0]


def _waits(values):
    return pd.DataFrame({"wait_s": values})


# --- the predicate runs ---------------------------------------------------------------------------


def test_every_reading_by_hand():
    # at most 60: 60.4, 61 and 90 fail; with 60 a defect four; 60.4 rounds, and rounds down, to 60
    row = one([10, 60, 60.4, 61, 90, None])
    assert (row["records"], row["judged"], row["blank"], row["running"]) == (6, 5, 1, 0)
    assert (row["defects"], row["at_limit"], row["near_limit"]) == (3, 1, 2)
    assert row["resolution"] == pytest.approx(0.4)
    shares = row[["estimate", "limit_fails", "rounded", "rounded_down"]].tolist()
    assert shares == pytest.approx([0.6, 0.8, 0.4, 0.4])
    assert (row["if_blank_good"], row["if_blank_defect"]) == pytest.approx((3 / 6, 4 / 6))
    assert row["moved"] == pytest.approx(0.2)
    assert not row["robust"]


def test_at_least_turns_the_readings():
    # at least 60: 10 and 59.6 fail; 59.6 rounds up to 60 and so passes, rounded down it fails
    row = one([10, 59.6, 60, 75], direction="at least")
    shares = row[["estimate", "limit_fails", "rounded", "rounded_down"]].tolist()
    assert shares == pytest.approx([0.5, 0.75, 0.25, 0.5])


def test_a_limit_with_decimals_is_rounded_to_them():
    row = one([2.54, 2.55, 2.6], limit=2.5)
    assert row["rounded"] == pytest.approx(2 / 3)  # 2.54 is 2.5, 2.55 is 2.6
    assert row["rounded_down"] == pytest.approx(1 / 3)


def test_a_limit_in_another_unit_than_the_measure():
    # "at most 2 min" of seconds: as written every one fails, 120 s converted one of four
    row = one([30, 60, 120, 121], limit=2.0, unit="min")
    assert row["estimate"] == 1
    assert row["other_unit"] == pytest.approx(0.25)
    assert row["moved_by"] == "other_unit" and row["target_turns"]


def test_values_far_from_the_limit_are_robust_whatever_the_reading():
    found = predicates({"calls": _waits([10.0] * 9 + [90.0])}, ctqs=ctqs())
    assert found.robust == ("quick",)
    assert found.table.loc[0, "moved"] == 0
    assert "no reading of a limit moves the share" in found.sentence()


def test_a_small_move_across_the_target_is_not_robust():
    waits = [10.0] * 699 + [60.0] + [90.0] * 300
    found = predicates({"calls": _waits(waits)}, ctqs=ctqs(target=0.3))
    assert found.table.loc[0, "moved"] == pytest.approx(0.001)
    assert found.fragile == ("quick",)
    assert "Another reading changes sides of the target: quick" in found.sentence()


def test_a_flag_has_one_reading():
    flags = pd.DataFrame({"wait_s": pd.array([True, False, None], dtype="boolean")})
    row = one(flags, limit=0.0)
    assert row["estimate"] == 0.5 and np.isnan(row["limit_fails"])
    assert row["robust"] and row["note"] == "a flag: one reading only"


def test_a_duration_still_running_is_counted():
    running = pd.DataFrame({"wait_s": [10.0, 10.0, 90.0], "wait_s_open": [False, True, True]})
    row = one(running)
    assert (row["judged"], row["running"], row["defects"]) == (2, 1, 1)


def test_what_cannot_run_is_listed_and_the_rest_goes_on():
    table = pd.concat(
        [
            ctqs(),
            ctqs(ctq="none", table="letters"),
            ctqs(ctq="lost", measure="waits"),
            ctqs(ctq="empty", measure="blank"),
        ]
    )
    calls = _waits([10.0, 90.0]).assign(blank=np.nan)
    found = predicates({"calls": calls}, ctqs=table)
    assert found.not_run == ("none", "lost", "empty")
    assert found.sentence().startswith("1 of 4 definitions run on the records")
    for why in ("there is no table letters", "calls has no waits", "no record of blank to judge"):
        assert why in found.sentence()


def test_nothing_to_run_is_a_refusal_and_words_a_problem():
    with pytest.raises(Refusal, match="there is no table calls"):
        predicates({}, ctqs=ctqs())
    with pytest.raises(Refusal, match="no CTQ is named"):
        predicates({}, ctqs=ctqs().iloc[:0])
    with pytest.raises(Problem, match="'wait_s' holds 'long', no number"):
        one(["long"])
    with pytest.raises(Problem, match="tolerable is 5"):
        predicates({"calls": _waits([1.0])}, ctqs=ctqs(), tolerable=5)


def test_the_predicates_are_told_and_drawn():
    found = predicates({"calls": _waits([10, 60, 60, 61])}, ctqs=ctqs(ctq="快 <$>"))
    first = found.sentence().splitlines()[0]
    assert "快 <$> (25.0 % defects as written, 75.0 % with the limit itself" in first
    assert len(first) <= 220
    ax = found.plot()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["快 <$>"]
    assert ax.get_title().endswith("?")
    plt.close(ax.figure)


def test_young_records_are_left_out_together():
    cases = pd.DataFrame({"d": [9.0, 3.0, 1.0], "d_open": [False, True, False]})
    cases["opened"] = pd.to_datetime(["2025-01-01", "2025-01-06", "2025-01-07"])
    broken, note = judged(cases, measure="d", direction="at most", limit=5, time="opened")
    assert broken.tolist() == [True, pd.NA, pd.NA]
    assert note == "2 records from 2025-01-06 on are too young to judge"


# --- two people judge -----------------------------------------------------------------------------


def verdicts(*columns, ctq="late"):
    """One column of verdicts a judge; None: not judged."""
    rows = [
        {"ctq": ctq, "record": f"r{i:03}", "judge": "abcdefgh"[j], "defect": said}
        for j, column in enumerate(columns)
        for i, said in enumerate(column)
        if said != "absent"
    ]
    return pd.DataFrame(rows).astype({"defect": "boolean"})


def pairs(both, first, second, neither):
    a = [True] * (both + first) + [False] * (second + neither)
    b = [True] * both + [False] * first + [True] * second + [False] * neither
    return verdicts(a, b)


def test_cohen_kappa_and_its_large_sample_error():
    row = verdicts_agree(pairs(20, 5, 10, 15)).table.iloc[0]
    known = cohens_kappa(np.array([[20, 5], [10, 15]]))
    assert row["estimate"] == pytest.approx(known.kappa) == pytest.approx(0.4)
    # the same large-sample error (n - 1 for n), symmetric for ln(1 - kappa)
    error = known.std_kappa * np.sqrt(50 / 49) * stats.t.ppf(0.975, 49) / 0.6
    assert (row["low"], row["high"]) == pytest.approx(
        (1 - 0.6 * np.exp(error), 1 - 0.6 * np.exp(-error))
    )
    assert (row["agreed"], row["disputed"], row["records"]) == (0.7, 15, 50)
    assert (row["agreed_low"], row["agreed_high"]) == pytest.approx(wilson(0.7, 50))


def test_ac1_by_hand():
    # p = (25 + 30) / 100 = 0.55, p_e = 2 * 0.55 * 0.45 = 0.495: (0.7 - 0.495) / 0.505
    row = verdicts_agree(pairs(20, 5, 10, 15)).table.iloc[0]
    assert row["ac1"] == pytest.approx(0.205 / 0.505)


def test_fleiss_diagnoses_one_category_against_the_rest():
    """Fleiss (1971), table 1: 30 patients, 6 psychiatrists; kappa of each diagnosis."""
    path = Path(__file__).parent / "reference/fleiss_kappa_1971.json"
    case = json.loads(path.read_text(encoding="utf-8"))
    ratings = np.array(case["input"]["ratings"])
    for category, want in enumerate(case["expected"]["per_category"]["Kappa"], start=1):
        said = ratings == category
        row = verdicts_agree(verdicts(*said.T.tolist())).table.iloc[0]
        counts = np.column_stack([said.sum(axis=1), (~said).sum(axis=1)])
        assert row["estimate"] == pytest.approx(want, abs=5e-4)  # printed to three decimals
        assert row["estimate"] == pytest.approx(fleiss_kappa(counts))
        assert row["coefficient"] == "Fleiss' kappa" and row["judges"] == 6


def test_records_with_different_judges_take_fleiss():
    a, b, c = [True] * 20, [True, False] * 5 + ["absent"] * 10, ["absent"] * 10 + [False, True] * 5
    row = verdicts_agree(verdicts(a, b, c)).table.iloc[0]
    assert (row["judges"], row["records"], row["coefficient"]) == (3, 20, "Fleiss' kappa")
    assert row["agreed"] == 0.5


def test_full_agreement_has_wilsons_lower_limit():
    row = verdicts_agree(pairs(20, 0, 0, 20)).table.iloc[0]
    least = wilson(1.0, 40)[0]
    assert (row["estimate"], row["low"], row["high"]) == (1, pytest.approx((least - 0.5) / 0.5), 1)
    assert row["verdict"] == "clear"


def test_verdict_needs_the_whole_interval():
    assert verdicts_agree(pairs(200, 2, 2, 200)).clear == ("late",)
    assert verdicts_agree(pairs(20, 10, 10, 20)).rewrite == ("late",)
    assert verdicts_agree(pairs(20, 3, 2, 20)).unsettled == ("late",)
    assert verdicts_agree(pairs(20, 3, 2, 20), level=0.2).clear == ("late",)


def test_rare_defects_are_told_apart_from_a_bad_definition():
    found = verdicts_agree(pairs(1, 3, 3, 193))
    row = found.table.iloc[0]
    assert row["agreed"] == 0.97 and row["estimate"] < 0.4 and row["ac1_low"] > 0.75
    assert "AC1, which minds rare verdicts less, is clear" in found.sentence()


def test_verdicts_that_cannot_bear_a_kappa():
    alike = pairs(0, 0, 0, 30).assign(ctq="alike")
    flat = pairs(0, 5, 0, 25).assign(ctq="flat")
    few = pairs(3, 1, 1, 3).assign(ctq="few")
    found = verdicts_agree(pd.concat([alike, flat, few, pairs(20, 5, 10, 15)]))
    assert found.unsaid == ("alike", "flat", "few")
    notes = found.table.set_index("ctq")["note"]
    assert notes["alike"] == "every verdict is good: agreement beyond chance cannot be seen"
    assert notes["flat"].startswith("b gave one verdict throughout")
    assert notes["few"] == "only 8 records judged by two people, 10 needed"
    assert found.table.set_index("ctq").loc["alike", "ac1"] == 1
    assert "3 that cannot be judged" in found.sentence().replace("definitions ", "")


def test_blanks_silent_judges_and_lonely_records_are_counted():
    rows = pairs(20, 5, 10, 15)
    more = pd.DataFrame(
        {
            "ctq": "late",
            "record": ["r900", "r001", "r002"],
            "judge": ["a", "mute", "mute"],
            "defect": pd.array([True, None, None], dtype="boolean"),
        }
    )
    found = verdicts_agree(pd.concat([rows, more], ignore_index=True))
    assert (found.blank, found.silent, found.table.loc[0, "left_out"]) == (2, ("mute",), 1)
    for said in ("2 blank verdicts left out", "Judged nothing: mute", "1 record with a single"):
        assert said in found.sentence()


def test_bad_verdicts():
    rows = pairs(20, 5, 10, 15)
    with pytest.raises(Problem, match="'a' judged record 'r000' of 'late' twice"):
        verdicts_agree(pd.concat([rows, rows.iloc[:1]], ignore_index=True))
    with pytest.raises(Problem, match="'defect' holds 'late', no flag"):
        verdicts_agree(rows.assign(defect="late"))
    with pytest.raises(Problem, match="level is 75"):
        verdicts_agree(rows, level=75)
    with pytest.raises(Refusal, match="No definition has 10 records"):
        verdicts_agree(rows[rows["judge"] == "a"])
    with pytest.raises(Refusal, match="No definition has 10 records"):
        verdicts_agree(rows.iloc[:0])
    with pytest.raises(Refusal, match="no column 'judge'"):
        verdicts_agree(rows.drop(columns="judge"))


def test_agreement_is_told_and_drawn():
    found = verdicts_agree(pd.concat([pairs(20, 5, 10, 15), pairs(90, 1, 1, 90).assign(ctq="ok")]))
    first = found.sentence().splitlines()[0]
    assert first.startswith("1 definition clear; 1 definition to be rewritten.")
    assert "least on late: kappa 0.40 (95% interval" in first and len(first) <= 220
    assert "0.75 (AIAG 2010)" in found.sentence()
    ax = found.plot()
    assert len(ax.get_yticklabels()) == 2 and ax.get_title().endswith("?")
    plt.close(ax.figure)
