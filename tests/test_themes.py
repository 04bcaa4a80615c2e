"""Themes that were planted are found; where words were shuffled none is."""

import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sqm.checks import Problem, Refusal
from sqm.interval import wilson
from sqm.methods import themes as room
from sqm.methods.themes import language_of, mask, themes

WORDS = {
    "en": [
        "waiting queue minutes hold music nobody answered line ringing hour",
        "invoice charged twice refund amount wrong bill payment account money",
        "technician visit repair broken router fault appointment missed engineer cable",
        "agent rude shouted polite manner attitude tone insulted respect listened",
    ],
    "es": [
        "espera cola minutos música llamada contestan línea suena hora tarde",
        "factura cobro doble devolución importe error recibo pago cuenta dinero",
        "técnico visita reparación roto aparato avería cita faltó cable instalación",
        "agente grosero gritó educado trato actitud tono insultó respeto escuchar",
    ],
    "zh": [
        "排队 等候 电话 没人接 音乐 半小时 占线 忙音",
        "账单 扣款 重复收费 退款 金额 错误 发票 付款",
        "师傅 上门 维修 故障 宽带 预约 没来 安装",
        "客服 态度 恶劣 骂人 语气 不耐烦 礼貌 投诉",
    ],
}
FILLING = {"en": "i the was and with my for", "es": "el la de que con mi por", "zh": "我 了 的 就"}


def letters(code, *, each=40, seed=1, mixed=False):
    """``each`` letters a theme; with ``mixed`` every word comes from any theme."""
    rng = np.random.default_rng(seed)
    rows = []
    for theme, words in enumerate(WORDS[code]):
        own = " ".join(WORDS[code]).split() if mixed else words.split()
        for _ in range(each):
            said = [*rng.choice(own, 6, replace=False), *rng.choice(FILLING[code].split(), 3)]
            text = ("" if code == "zh" else " ").join(rng.permutation(said))
            rows.append({"text": text, "language": code, "category": f"c{theme}"})
    return pd.DataFrame(rows)


def find(complaints, **settings):
    rng = np.random.default_rng(7)
    settings = {"k": (4, 5), "resamples": 6, "language": "language", **settings}
    return themes(complaints, rng=rng, **settings)


@pytest.fixture(scope="module")
def english():
    return find(letters("en"))


@pytest.mark.parametrize("code", ["en", "es", "zh"])
def test_planted_themes_are_found_again(code):
    found = find(letters(code), category="category")
    assert found.stable >= 4
    assert set(found.table["main_category"]) == {"c0", "c1", "c2", "c3"}
    assert found.table["main_category_share"].min() > 0.9
    assert found.table["size"].sum() + found.unclear == found.examined
    planted = " ".join(WORDS[code])
    for terms in found.table["terms"]:
        assert any(term in planted for term in terms.split(", "))


def test_a_share_is_over_the_distinct_texts_of_the_language():
    found = find(pd.concat([letters("en"), letters("es")]))
    for row in found.table.itertuples():
        assert row.estimate == row.size / 160
        assert (row.low, row.high) == wilson(row.estimate, 160)
    assert found.languages == ("en", "es")
    assert "each language apart and nothing translated" in found.sentence()


@pytest.mark.parametrize("code", ["en", "zh"])
def test_mixed_words_make_no_stable_theme(code):
    found = find(letters(code, mixed=True), category="category")
    assert found.stable == 0
    assert found.sentence().startswith("No stable theme")


def test_a_theme_must_beat_shuffled_words_even_with_no_bar_to_speak_of():
    found = find(letters("en", mixed=True), bar=0.01)
    assert (found.table["stable"] == (found.table["stability"] > found.table["chance"])).all()
    assert found.stable <= 1


def test_the_same_seed_gives_the_same_table_and_another_seed_the_same_themes(english):
    one = english
    pd.testing.assert_frame_equal(one.table, find(letters("en")).table)
    other = themes(letters("en"), rng=np.random.default_rng(99), k=(4, 5), resamples=6)
    assert sorted(other.table["size"]) == sorted(one.table["size"])


def test_near_copies_are_set_aside_and_counted_with_their_theme():
    campaign = "We all were charged twice on the invoice of {} euros and want our money back now {}"
    copies = pd.DataFrame(
        {"text": [campaign.format(n, "!" * (n % 3)) for n in range(30)], "language": "en"}
    )
    found = find(pd.concat([letters("en"), copies], ignore_index=True))
    assert (found.texts, found.copies, found.examined) == (190, 29, 161)
    assert found.table["copies"].max() == 29 or found.unclear > 0
    assert "29 near-copies" in found.sentence()


def test_shingles_find_a_letter_with_another_ending():
    letter = " ".join(f"word{chr(97 + i)}" for i in range(26)) * 2
    texts = pd.Series([letter, letter + " and one more thing", "something else altogether here"])
    assert room._copies(texts).tolist() == [0, 0, 2]


def test_greetings_and_names_are_not_read():
    things = [x + y for x in ("bus", "van", "car", "cab", "tram") for y in ("let", "ter", "ton")]
    read = room._read([f"Dear Sir. The {thing} was late at Calle Olmo." for thing in things], "en")
    assert all("dear" not in each and "calle" not in each for each in read)
    assert all("late" in each for each in read)


# --- Masks and languages --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("write to Ana.Perez+x@mail.example.com!", "write to [e-mail]!"),
        ("请发到abc@example.com联系", "请发到[e-mail]联系"),
        ("call +34 600 111 222.", "call [phone]."),
        ("call (555) 010-1234", "call [phone]"),
        ("手机13812345678谢谢", "手机[phone]谢谢"),
        ("card 4111 1111 1111 1111", "card [number]"),
        ("DNI 12345678Z", "DNI [number]"),
        ("contrato AB-1234567", "contrato [number]"),
        ("IBAN ES91 2100 0418 4502 0005 1332", "IBAN [number]"),
        ("身份证11010519491231002X", "身份证[number]"),
        ("on 2025-03-14 at 12:30", "on 2025-03-14 at 12:30"),
        ("on 14/03/2025", "on 14/03/2025"),
        ("paid 1.234.567,89 € and $1,200,000.00", "paid 1.234.567,89 € and $1,200,000.00"),
        ("XXXX told me on XX/XX/2023", "XXXX told me on XX/XX/2023"),
        ("after 45 minutes, twice", "after 45 minutes, twice"),
    ],
)
def test_mask(said, kept):
    assert mask(pd.Series([said])).tolist() == [kept]


def test_mask_leaves_blanks_and_takes_linear_time():
    assert mask(pd.Series([None, "x"], dtype="str")).isna().tolist() == [True, False]
    start = time.perf_counter()
    mask(pd.Series(["a" * 100_000, "1" * 100_000, "1 " * 50_000, "a." * 50_000, "$1," * 33_000]))
    assert time.perf_counter() - start < 3


def test_languages():
    said = {
        "I am still waiting for your answer": "en",
        "Sigo esperando una respuesta": "es",
        "我还在等你们的答复": "zh",
        "我的 iPhone 15 坏了": "zh",
        "返事を待っています": "other",
        "🙂🙂": "other",
        "": "other",
    }
    assert language_of(pd.Series(list(said))).tolist() == list(said.values())


# --- Texts of all sorts ---------------------------------------------------------------------------


def test_odd_texts_do_no_harm():
    odd = ["", None, "   ", "...", "🙂🙂🙂", "<script>alert(1)</script>", "=cmd()|' /C calc'!A0"]
    odd += ["$x^2$ " * 10, "waiting " * 12_500]
    complaints = pd.concat(
        [letters("en"), pd.DataFrame({"text": odd, "language": "en"})], ignore_index=True
    )
    found = find(complaints, quote=True)
    assert found.empty == 5  # blank, missing, spaces, dots, emoji
    assert found.stable >= 3
    assert found.table["typical_1"].str.len().max() <= 280


def test_words_are_quoted_only_when_allowed_and_masked(english):
    complaints = letters("en")
    complaints["text"] += " ana@example.com"
    quoting = find(complaints, quote=True)
    assert (english.table["typical_1"] == "").all()
    assert quoting.table["typical_1"].str.contains(r"\[e-mail\]").all()
    assert not quoting.table.astype("str").apply(lambda c: c.str.contains("ana@")).any().any()


def test_all_texts_equal_or_blank_or_few():
    same = pd.DataFrame({"text": ["The line was busy."] * 200, "language": "en"})
    with pytest.raises(Refusal, match="No language has 50 distinct texts: English 1"):
        find(same)
    with pytest.raises(Refusal, match="all are blank"):
        find(same.assign(text=None))
    with pytest.raises(Refusal, match="all are blank"):
        find(same.head(0))


def test_texts_without_a_word_in_common_have_no_theme():
    rng = np.random.default_rng(0)
    alphabet = np.array(list("bcdfghjklmnpqrstvwxyz"))
    texts = [" ".join("".join(rng.choice(alphabet, 12)) for _ in range(4)) for _ in range(60)]
    found = find(pd.DataFrame({"text": texts, "language": "en"}))
    assert found.stable == 0 and found.sentence().startswith("No stable theme")
    assert found.plot(plt.figure().add_subplot()).get_xlabel()
    plt.close("all")


def test_a_language_with_few_texts_is_named():
    both = pd.concat([letters("en"), letters("zh").head(30)], ignore_index=True)
    found = find(both, language="")  # guessed
    assert found.languages == ("en",)
    assert "Chinese (30 distinct texts, fewer than 50)" in found.sentence()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"text": "txt"}, "no column 'txt'"),
        ({"category": "kind"}, "no column 'kind'"),
        ({"k": (1, 2)}, "k is"),
        ({"k": ()}, "k is"),
        ({"resamples": 2}, "2 resamples"),
        ({"bar": 75}, "bar is 75"),
    ],
)
def test_settings_that_cannot_be(settings, said):
    with pytest.raises(Problem, match=said):
        find(letters("en"), **settings)


def test_picture_and_sentence(english):
    found = english
    ax = found.plot(plt.figure().add_subplot())
    assert len(ax.lines) == 2 * found.stable
    assert f"{found.stable} of {found.themes} themes would be found again" in found.sentence()
    plt.close("all")
