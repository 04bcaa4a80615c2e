"""Languages are told apart, and of a text only what tells its matter is kept."""

import pandas as pd
import pytest

from sqm.masking import KINDS, mask
from sqm.wording import READ, apart, language_of, matter, readable, tokens, zh_terms


@pytest.mark.parametrize(
    ("said", "language"),
    [
        ("I am still waiting for your answer", "en"),
        ("Sigo esperando una respuesta", "es"),
        ("我还在等你们的答复", "zh"),
        ("我的 iPhone 15 坏了", "zh"),
        ("🙂🙂", "other"),
        ("", "other"),
    ],
)
def test_languages(said, language):
    assert language_of(pd.Series([said])).tolist() == [language]


def test_a_missing_text_has_no_language():
    assert language_of(pd.Series([None, "x"], dtype="str")).tolist() == ["other", "other"]


def test_small_words_and_names_are_no_words_of_a_theme():
    assert tokens("The refund was not paid by Señor Gil", "en") == ["refund", "not", "paid"]
    assert tokens("NO REFUND WAS PAID", "en") == ["no", "refund", "paid"]


def test_what_was_masked_makes_no_word():
    said = "refund " + " ".join(f"[{kind}]" for kind in KINDS) + " XXXX paid"
    assert tokens(said, "en") == ["refund", "paid"]
    hidden = mask(pd.Series(["refund to Mr Gil, ana@example.com, at 12 Main Street, IP 10.1.2.3"]))
    assert tokens(hidden[0], "en") == ["refund", "ip"]


def test_a_sentence_that_many_texts_share_is_not_read():
    texts = [f"Dear all. The {word} came late." for word in "abcdefghijklmnopqrst"]
    read = matter([text.replace("The ", "The tr") for text in texts], "en")
    assert all("dear" not in each for each in read)
    assert all("late" in each for each in read)


def test_chinese_is_read_by_characters_and_its_terms_begin_with_no_small_word():
    assert tokens("退款了，谢谢", "zh") == list("退款了谢谢")
    assert zh_terms("的退款") == ["退款"]


def test_terms_that_repeat_each_other_stand_once():
    assert apart(["refund", "refunds", "invoice"], "en") == ["refund", "invoice"]
    assert apart(["退款", "退款慢", "物流"], "zh") == ["退款", "物流"]


def test_what_stands_across_the_edge_is_masked_before_the_text_is_cut():
    # cut at the edge, "ana.perez@exam" would no longer look like an address
    text = "x " * (READ // 2 - 7) + "ana.perez@example.com and more"
    assert text[:READ].endswith("ana.perez@exam")
    said = readable(pd.Series([text]))[0]
    assert "perez" not in said
    assert len(said) <= READ
