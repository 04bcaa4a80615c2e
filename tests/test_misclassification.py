"""Corrected rates by hand, by identity, and at their limits."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats

from sqm.checks import Problem, Refusal
from sqm.interval import wilson
from sqm.methods.misclassification import audit_by_standard, corrected_rate


def audit(true_said, true_not, good_said, good_not, ctq="quick"):
    """Audited records: true defects recorded and not, good cases recorded as defects and not."""
    counts = [true_said, true_not, good_said, good_not]
    return pd.DataFrame(
        {
            "ctq": ctq,
            "recorded": np.repeat([True, False, True, False], counts),
            "found": np.repeat([True, True, False, False], counts),
        }
    )


def counts(n, defects, ctq="quick"):
    return pd.DataFrame({"ctq": [ctq], "n": [n], "defects": [defects]})


def row(audited, counted, **more):
    return corrected_rate(audited, counts=counted, **more).table.loc[0]


def test_rogan_and_gladen_by_hand():
    # Se 40/50 = .8, Sp 135/150 = .9, recorded .24: (.24 + .9 - 1) / .7 = .2
    found = row(audit(40, 10, 15, 135), counts(1000, 240))
    assert found[["sensitivity", "specificity", "recorded", "estimate"]].tolist() == pytest.approx(
        [0.8, 0.9, 0.24, 0.2]
    )
    assert [found["sensitivity_low"], found["sensitivity_high"]] == pytest.approx(wilson(0.8, 50))
    assert [found["if_recorded"], found["if_not_recorded"]] == pytest.approx([40 / 55, 10 / 145])


def test_lang_and_reiczigels_interval_by_hand():
    # one more success in two more trials: Se 41/52, Sp 136/152; p (240 + z2/2) / (1000 + z2)
    z2 = stats.norm.ppf(0.975) ** 2
    p, se, sp = (240 + z2 / 2) / (1000 + z2), 41 / 52, 136 / 152
    share = (p + sp - 1) / (se + sp - 1)
    a, b = share * se * (1 - se) / 52, (1 - share) * sp * (1 - sp) / 152
    spread = np.sqrt(p * (1 - p) / (1000 + z2) + share * a + (1 - share) * b) / (se + sp - 1)
    centre = share + 2 * z2 * (a - b)
    found = row(audit(40, 10, 15, 135), counts(1000, 240))
    assert [found["low"], found["high"]] == pytest.approx(
        [centre - np.sqrt(z2) * spread, centre + np.sqrt(z2) * spread]
    )


def test_drawn_by_record_weighs_the_two_kinds_by_hand():
    # of 50 recorded defects 40 true, of 100 others 5: .1 * .8 + .9 * .05 = .125
    found = row(audit(40, 5, 10, 95), counts(1000, 100), drawn="by record")
    assert found["estimate"] == pytest.approx(0.125)
    assert np.isnan(found["sensitivity"])
    assert found["low"] < 0.125 < found["high"]


def test_an_audit_of_everything_recorded_leaves_only_the_records_in_doubt():
    # by record, with huge audits: the interval is that of p, times a - b
    found = row(
        audit(8_000_000, 500_000, 2_000_000, 9_500_000), counts(400, 100), drawn="by record"
    )
    low, high = wilson(0.25, 400)
    at = 0.25 * 0.8 + 0.75 * 0.05
    assert found["low"] == pytest.approx(at - 0.75 * (0.25 - low), abs=1e-4)
    assert found["high"] == pytest.approx(at + 0.75 * (high - 0.25), abs=1e-4)


def test_the_two_ways_agree_on_an_audit_at_random_of_the_same_records():
    audited = audit(80, 20, 30, 270)
    said = audited["recorded"].mean()
    counted = counts(100_000, round(said * 100_000))
    assert row(audited, counted)["estimate"] == pytest.approx(
        row(audited, counted, drawn="by record")["estimate"], abs=1e-5
    )


def test_perfect_records_change_nothing_but_the_interval():
    found = row(audit(100, 0, 0, 300), counts(1000, 240))
    assert found["estimate"] == pytest.approx(0.24)
    assert found["low"] < wilson(0.24, 1000)[0]


def test_a_share_below_zero_is_cut_and_said():
    found = corrected_rate(audit(40, 10, 30, 120), counts=counts(1000, 100))
    # (.1 + .8 - 1) / .6
    assert found.table.loc[0, "uncut"] == pytest.approx(-0.1 / 0.6)
    assert found.table.loc[0, "estimate"] == found.table.loc[0, "low"] == 0
    assert "before it was cut off: quick -16.7 %" in found.sentence()


def test_records_that_tell_nothing_are_refused():
    with pytest.raises(Refusal, match="hardly tell a defect from none"):
        corrected_rate(audit(25, 25, 75, 75), counts=counts(1000, 500))
    with pytest.raises(Refusal, match="hardly tell"):
        corrected_rate(audit(10, 40, 75, 25), counts=counts(1000, 500))


def test_too_few_audited_is_said_row_by_row():
    audited = pd.concat([audit(40, 10, 15, 135), audit(2, 1, 5, 92, ctq="kind")])
    counted = pd.concat([counts(1000, 240), counts(500, 30, ctq="kind"), counts(9, 1, ctq="new")])
    found = corrected_rate(audited, counts=counted)
    notes = found.table.set_index("ctq")["note"]
    assert notes["kind"] == "only 3 audited records that are truly defects, where 5 are needed"
    assert np.isnan(found.table.set_index("ctq").loc["new", "estimate"])
    assert "Not corrected: kind (only 3 audited" in found.sentence()
    by_record = corrected_rate(audited, counts=counted, drawn="by record").table.set_index("ctq")
    assert np.isfinite(by_record.loc["kind", "estimate"])


def test_no_recorded_defect_needs_no_audit_of_defects():
    found = row(audit(0, 5, 0, 95), counts(1000, 0), drawn="by record")
    assert found["estimate"] == pytest.approx(0.05)


def test_fewer_independent_records_widen_the_interval():
    audited, counted = audit(40, 10, 15, 135), counts(1000, 240)
    clustered = counted.assign(effective_n=[100.0])
    for drawn in ("at random", "by record"):
        one = row(audited, counted, drawn=drawn)
        other = row(audited, clustered, drawn=drawn)
        assert one["estimate"] == pytest.approx(other["estimate"])
        assert other["high"] - other["low"] > one["high"] - one["low"]


def test_a_coders_standard_as_audit():
    ratings = pd.DataFrame(
        {
            "complaint": range(4),
            "coder_a": ["late", "late", "rude", None],
            "standard": ["late", "rude", "late", "late"],
        }
    )
    found = audit_by_standard(ratings, defect="late")
    assert found["recorded"].tolist() == [True, True, False]
    assert found["found"].tolist() == [True, False, True]
    assert set(found["ctq"]) == {"late"}


def test_bad_input():
    good = audit(40, 10, 15, 135)
    with pytest.raises(Problem, match="300 defects in 200 records"):
        corrected_rate(good, counts=counts(200, 300))
    with pytest.raises(Problem, match="a CTQ twice"):
        corrected_rate(good, counts=pd.concat([counts(9, 3)] * 2))
    with pytest.raises(Problem, match="no flag"):
        corrected_rate(good.assign(found="perhaps"), counts=counts(1000, 240))
    with pytest.raises(Problem, match="drawn is 'anyhow'"):
        corrected_rate(good, counts=counts(1000, 240), drawn="anyhow")
    with pytest.raises(Refusal, match="no column 'found'"):
        corrected_rate(good.drop(columns="found"), counts=counts(1000, 240))
    with pytest.raises(Refusal, match="no record is counted"):
        corrected_rate(good, counts=counts(0, 0))
    blanks = good.astype({"found": "boolean"})
    blanks.loc[:4, "found"] = pd.NA
    assert corrected_rate(blanks, counts=counts(1000, 240)).left_out == 5


def test_sentence_and_picture():
    found = corrected_rate(
        pd.concat([audit(40, 10, 15, 135), audit(70, 5, 4, 221, ctq="<b>$ 😀")]),
        counts=pd.concat([counts(1000, 340), counts(400, 90, ctq="<b>$ 😀")]),
    )
    first = found.sentence().splitlines()[0]
    assert "quick fails in 34.3 % (95% interval" in first
    assert "34.0 % are recorded" in first
    assert len(first) <= 220
    ax = found.plot(plt.figure().subplots())
    assert [text.get_text() for text in ax.get_yticklabels()] == ["quick", "<b>$ 😀"]
    plt.close("all")
