"""A promise is frozen, read back, and held against its own data."""

import hashlib

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.methods.forecast import frozen, promise, promised

KNOWN = pd.DataFrame(
    {"arrived": pd.to_datetime(["2025-09-25 09:00", "2025-09-26 10:00"]), "wait_s": [10.0, 30.5]}
)
CHANGES = pd.DataFrame(
    [["mean_wait_s", "s", -20.0, -25.0, -15.0], ["resolved", "share of served", 0.1, 0.08, 0.12]],
    columns=["measure", "unit", "estimate", "low", "high"],
)


def rows(changes=CHANGES, *, option="train", known=KNOWN, **plan):
    return promise(changes, option=option, plan=plan, known=known, confidence=0.9)


def test_an_entry_names_its_data():
    found = rows()
    assert found["known_until"].unique().tolist() == ["2025-09-26"]
    text = "arrived,wait_s\n2025-09-25 09:00:00,10\n2025-09-26 10:00:00,30.5"
    assert found["data_sha256"].iloc[0] == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_the_hash_is_that_of_the_content_not_of_its_order():
    again = rows(known=KNOWN.iloc[::-1][["wait_s", "arrived"]])
    other = rows(known=KNOWN.assign(wait_s=[10.0, 30.6]))
    assert again["data_sha256"].iloc[0] == rows()["data_sha256"].iloc[0]
    assert other["data_sha256"].iloc[0] != rows()["data_sha256"].iloc[0]


def test_the_promise_stands_as_it_was_made():
    now = rows(CHANGES.assign(estimate=[-21.0, 0.14], high=[-16.0, 0.15]))
    found = frozen(rows(), now)
    assert found.table["estimate"].tolist() == [-20.0, 0.1]
    assert found.table["now"].tolist() == [-21.0, 0.14]
    assert (found.moved, found.data_unchanged, found.earlier) == (1, True, 0)
    assert "mean wait -20.0 s (-25.0 to -15.0)" in found.sentence().splitlines()[0]
    assert "resolved at first contact +10.0 points (+8.0 to +12.0)" in found.sentence()
    assert "1 measure would lie outside" in found.sentence()


def test_data_that_were_changed_since_are_told():
    found = frozen(rows(), rows(known=KNOWN.assign(wait_s=[10.0, 99.0])))
    assert not found.data_unchanged and "have been changed since" in found.sentence()


def test_other_promises_of_the_same_option_are_counted():
    ledger = pd.concat([rows(agents=1), rows(option="other"), rows(agents=2)], ignore_index=True)
    assert frozen(ledger, rows(agents=2)).earlier == 1
    assert frozen(ledger, rows(agents=1)).earlier == 0
    assert (
        "1 other promise of this option was frozen before"
        in frozen(ledger, rows(agents=2)).sentence()
    )


def test_an_entry_that_stands_twice_counts_once():
    twice = pd.concat([rows(), rows(CHANGES.assign(estimate=[-21.0, 0.11]))], ignore_index=True)
    assert promised(twice, change_on="2025-09-29")["estimate"].tolist() == [-20.0, 0.1]
    assert frozen(twice, rows()).table["estimate"].tolist() == [-20.0, 0.1]


def test_what_is_not_in_the_ledger_is_a_problem():
    with pytest.raises(Problem, match="does not hold this forecast"):
        frozen(rows(), rows(agents=3))


def test_nothing_promised_is_a_problem():
    with pytest.raises(Problem, match="nothing to promise"):
        rows(CHANGES.head(0))
    with pytest.raises(Problem, match="nothing to promise"):
        rows(known=KNOWN.assign(arrived=pd.NaT))


def test_control_takes_the_last_promise_made_before_the_change():
    late = KNOWN.assign(arrived=KNOWN["arrived"] + pd.Timedelta(days=9))
    ledger = pd.concat([rows(agents=1), rows(agents=2), rows(known=late)], ignore_index=True)
    found = promised(ledger, change_on="2025-09-29")
    assert found["plan"].unique().tolist() == ['{"agents": 2}'] and len(found) == 2
    assert len(promised(ledger, change_on="2025-10-20")) == 2


@pytest.mark.parametrize(
    ("ledger", "option", "words"),
    [
        (pd.DataFrame(), "", "Nothing was promised"),
        (rows(), "other", "Nothing was promised of 'other'"),
        (
            rows(known=KNOWN.assign(arrived=pd.Timestamp("2025-10-05"))),
            "",
            "rests on records up to",
        ),
    ],
)
def test_a_promise_that_foretells_nothing_is_refused(ledger, option, words):
    with pytest.raises(Refusal, match=words):
        promised(ledger, change_on="2025-09-29", option=option)


def test_a_picture_is_drawn():
    axes = frozen(rows(), rows()).plot(plt.figure().gca())
    assert axes.get_title(loc="left") or axes.get_title()
    assert len(axes.get_yticks()) == 2
    plt.close(axes.figure)
