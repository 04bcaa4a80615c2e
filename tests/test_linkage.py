"""Complaints and contacts put together, counted by hand."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sqm.checks import Problem, Refusal
from sqm.interval import wilson
from sqm.methods.linkage import linked, with_complaints


@pytest.fixture
def contacts():
    return pd.DataFrame(
        {
            "contact": list("abcdef"),
            "abandoned": pd.array([False, False, True, False, None, None], dtype="boolean"),
            "resolved": pd.array([True, False, None, None, True, None], dtype="boolean"),
        }
    )


@pytest.fixture
def complaints():
    return pd.DataFrame({"contact": ["b", "b", "c", "zz", None]})


def test_every_contact_keeps_its_row_and_learns_its_ending(contacts, complaints):
    found = with_complaints(contacts, complaints)
    assert found["complained"].tolist() == [False, True, True, False, False, False]
    assert found["ending"].fillna("-").tolist() == [
        "resolved",
        "unresolved",
        "abandoned",
        "-",
        "resolved",
        "-",
    ]
    assert found["complained"].dtype == bool
    # the caller's table is untouched
    assert list(contacts.columns) == [
        "contact",
        "abandoned",
        "resolved",
    ]


def test_complaints_are_counted_once_each(contacts, complaints):
    found = linked(contacts, complaints)
    assert (found.complaints, found.linked, found.astray, found.nameless) == (5, 3, 1, 1)
    assert (found.contacts, found.complained, found.repeated) == (6, 2, 1)
    assert found.linked + found.astray + found.nameless == found.complaints


def test_rates_are_shares_of_contacts_not_of_complaints(contacts, complaints):
    table = linked(contacts, complaints).table.set_index("ending")
    assert table["contacts"].to_dict() == {
        "all": 6,
        "resolved": 2,
        "unresolved": 1,
        "abandoned": 1,
        "not known": 2,
    }
    assert table.loc["all", "estimate"] == pytest.approx(2 / 6)
    assert (table.loc["all", "low"], table.loc["all", "high"]) == wilson(2 / 6, 6)


def test_alike_agents_widen_the_interval():
    # every contact of agents 0 to 4 is complained of, none of agents 5 to 19
    agent = np.repeat(np.arange(20), 10)
    contacts = pd.DataFrame(
        {"contact": np.arange(200), "agent": agent.astype(str), "site": "N", "resolved": True}
    )
    complaints = pd.DataFrame({"contact": np.arange(50)})
    alike = linked(contacts, complaints, abandoned="")
    apart = linked(contacts.drop(columns=["agent", "site"]), complaints, abandoned="")
    assert alike.clustered and not apart.clustered
    # ten rows say no more than one: 20 agents (less the correction 19/20) in place of 200 rows,
    # and Student's quantile of 19 degrees of freedom in place of 199
    few = (stats.t.ppf(0.975, 199) / stats.t.ppf(0.975, 19)) ** 2
    assert (alike.low, alike.high) == pytest.approx(wilson(0.25, 19 * few), abs=2e-3)
    assert alike.high - alike.low > 2.5 * (apart.high - apart.low)


def test_contacts_without_an_agent_belong_to_their_site():
    contacts = pd.DataFrame(
        {
            "contact": np.arange(8),
            "agent": ["x", "x", None, None, "y", "y", None, None],
            "site": list("NNNNSSSS"),
            "abandoned": [False, False, True, True] * 2,
            "resolved": True,
        }
    )
    found = linked(contacts, pd.DataFrame({"contact": [2, 3]}))
    by_ending = found.table.set_index("ending")
    # both abandoned contacts of N, none of S: two rows' worth of sites, not four contacts
    assert by_ending.loc["abandoned", "low"] < wilson(0.5, 4)[0]


def test_sentence_and_picture_say_what_is_missing(contacts, complaints):
    found = linked(contacts, complaints)
    said = found.sentence()
    assert "3 of 5 complaints name a contact on file; 1 name none and 1 name one" in said
    assert "33.33 %" in said and "miss 40.0 % of the complaints" in said
    ax = found.plot(plt.figure().add_subplot())
    assert ax.get_yticklabels()[0].get_text() == "all"
    assert len(ax.lines) == 2 * len(found.table)
    plt.close("all")


def test_a_contact_named_twice_is_a_problem(contacts, complaints):
    twice = pd.concat([contacts, contacts.iloc[[1]]], ignore_index=True)
    with pytest.raises(Problem, match=r"1 rows name a contact .*first rows: 6; values: \['b'\]"):
        with_complaints(twice, complaints)


def test_blank_contacts_are_not_twice_the_same(contacts, complaints):
    blank = pd.concat([contacts, contacts.iloc[[4, 4]].assign(contact=None)], ignore_index=True)
    assert with_complaints(blank, complaints)["complained"].sum() == 2


def test_numbers_and_text_do_not_meet(contacts):
    with pytest.raises(Problem, match="number in one table and text"):
        with_complaints(contacts, pd.DataFrame({"contact": [1, 2]}))


@pytest.mark.parametrize("named", [[None, None], ["x", "y"], []])
def test_no_link_at_all_is_refused(contacts, named):
    with pytest.raises(Refusal, match="names a contact on file"):
        linked(contacts, pd.DataFrame({"contact": pd.Series(named, dtype="str")}))


def test_a_column_that_is_not_there_is_named(contacts, complaints):
    with pytest.raises(Problem, match="contacts has no column 'abandond'"):
        with_complaints(contacts, complaints, abandoned="abandond")


def test_flags_that_are_words_are_a_problem(contacts, complaints):
    with pytest.raises(Problem, match="should hold true and false"):
        with_complaints(contacts.assign(resolved="maybe"), complaints)
