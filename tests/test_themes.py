"""Themes that were planted are found; where words were shuffled none is."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from sqm.checks import Problem, Refusal
from sqm.interval import wilson
from sqm.methods import themes as room
from sqm.methods.themes import (
    cost_share,
    find_themes,
    share_trend,
    theme_centres_of,
    theme_members_of,
    theme_number_of,
    themes,
    themes_of,
)

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


@pytest.fixture(autouse=True)
def fewer_shuffles(monkeypatch, request):
    """For time's sake, but where shuffled words are the question."""
    if "mixed" not in request.node.name and "shuffled" not in request.node.name:
        monkeypatch.setattr("sqm.text_clusters.SHUFFLED", (2, 2))


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


def found_in(complaints, **settings):
    rng = np.random.default_rng(7)
    settings = {"k": (4,), "resamples": 5, "language": "language", **settings}
    return find_themes(complaints, rng=rng, **settings)


@pytest.fixture(scope="module")
def english():
    return find(letters("en"))


@pytest.mark.parametrize("code", ["en", "es", "zh"])
def test_planted_themes_are_found_again(code):
    found = find(letters(code, each=25), category="category")
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
    found = find(letters(code, each=25, mixed=True), category="category", k=(5,))
    assert found.stable == 0
    assert found.sentence().startswith("No stable theme")


def test_a_theme_must_beat_shuffled_words_even_with_no_bar_to_speak_of():
    found = find(letters("en", mixed=True), bar=0.01)
    assert (found.table["stable"] == (found.table["stability"] > found.table["chance"])).all()
    assert found.stable <= 2


def test_the_same_seed_gives_the_same_table_and_another_seed_the_same_themes():
    one = find(letters("en"))
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
    assert "5 without a word" in found.sentence()
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
    with pytest.raises(Refusal, match="without a letter"):
        find(same.assign(text="🙂🙂🙂"))


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


# --- What is told of a theme ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def dated():
    """Bills (c1) grow from 2 in the first month to 14 in the twelfth; they cost 3, all else 1."""
    rows = []
    for theme, monthly in enumerate([8, 2, 8, 8]):
        said = letters("en", each=200, seed=3)
        texts = iter(said.loc[said["category"] == f"c{theme}", "text"])
        for month in range(12):
            for _ in range(monthly + (month if theme == 1 else 0)):
                rows.append([next(texts), f"2025-{month + 1:02d}-10", f"c{theme}"])
    table = pd.DataFrame(rows, columns=["text", "opened", "category"])
    table["opened"] = pd.to_datetime(table["opened"]).dt.tz_localize("Europe/Madrid")
    table["cost"] = np.where(table["category"] == "c1", 3.0, 1.0)
    table["complaint"] = [f"R{n}" for n in range(len(table))]
    return table.assign(language="en")


@pytest.fixture(scope="module")
def told(dated):
    settings = {"category": "category", "opened": "opened", "cost": "cost", "id": "complaint"}
    return found_in(dated, **settings)


def test_trend_and_cost_of_a_growing_theme(told, dated):
    table = themes_of(told).table.set_index("main_category")
    bills = table.loc["c1"]
    assert bills["trend_low"] > 0.01 and table.drop("c1")["trend_low"].max() < 0
    size = dated["category"].eq("c1").sum()
    assert bills["cost_share"] == pytest.approx(3 * size / (2 * size + len(dated)), abs=0.02)
    assert bills["cost_low"] < bills["cost_share"] < bills["cost_high"]
    assert table["cost_share"].sum() == pytest.approx(1, abs=0.05)


def test_the_sentence_tells_links_and_trends(told):
    found = themes_of(told)
    assert "4 of 4 categories are the main one of a stable theme" in found.sentence()
    assert "The share of 4 of 4 stable themes rises or falls" in found.sentence()
    assert "a share of cost is approximate" in found.sentence()
    assert found.category_ami > 0.9
    assert len(found.sentence().splitlines()[0]) <= 220


def test_a_trend_agrees_with_a_regression_of_another_program():
    """statsmodels' binomial model with Pearson's scale; its slope times p (1 - p)."""

    hits, texts = np.array([3.0, 5, 2, 9, 8, 12, 7]), np.array([40.0, 50, 30, 60, 45, 50, 40])
    fit = sm.GLM(
        np.column_stack([hits, texts - hits]),
        sm.add_constant(np.arange(7.0)),
        family=sm.families.Binomial(),
    ).fit(tol=1e-14)
    share = hits.sum() / texts.sum()
    half = stats.t.ppf(0.975, 5) * fit.bse[1] * np.sqrt(fit.pearson_chi2 / 5)
    want = (
        share * (1 - share) * np.array([fit.params[1], fit.params[1] - half, fit.params[1] + half])
    )
    assert share_trend(hits, texts, np.arange(7.0), 0.95) == pytest.approx(want, rel=1e-6)


def test_costs_that_go_together_widen_the_interval():
    cost, inside = np.ones(200), np.arange(200) < 60
    alone = cost_share(cost, inside, np.arange(200), 0.95)
    pairs = cost_share(cost, inside, np.arange(200) // 10, 0.95)
    assert alone[0] == pairs[0] == 0.3
    assert pairs[2] - pairs[1] > 2.5 * (alone[2] - alone[1])
    assert np.isnan(cost_share(cost, np.ones(200, bool), np.arange(200), 0.95)[1])


def test_what_cannot_be_told_is_noted(dated):
    few = dated.assign(opened=pd.Timestamp("2025-01-01"), cost=0.0)
    table = themes_of(found_in(few, opened="opened", cost="cost")).table
    assert table["trend"].isna().all() and table["cost_share"].isna().all()
    assert table["note"].str.contains("fewer than 6 months").all()
    assert table["note"].str.contains("no share of cost").all()


def test_members_name_each_complaint_once(told, dated):
    members = theme_members_of(told).table
    assert members["complaint"].tolist() == dated["complaint"].tolist()
    assert members.columns.tolist() == ["complaint", "language", "theme", "status", "copy_of"]
    sizes = members.loc[members["status"] == "theme", "theme"].value_counts()
    table = themes_of(told).table
    assert sizes.sort_index().tolist() == (table["size"] + table["copies"]).tolist()


def test_a_copy_goes_with_its_original_and_a_blank_with_none():
    said = letters("en")
    more = pd.DataFrame({"text": [said["text"][0] + "!", ""], "language": "en"})
    found = found_in(pd.concat([said, more], ignore_index=True))
    table = theme_members_of(found).table
    assert table.loc[160, "copy_of"] == "0"
    assert table.loc[160, ["theme", "status"]].equals(table.loc[0, ["theme", "status"]])
    assert table.loc[161, "status"] == "blank" and pd.isna(table.loc[161, "theme"])
    assert "blank 1" in theme_members_of(found).sentence()


def test_centres_and_space_place_the_fitted_texts_again(told):
    centres, group = theme_centres_of(told), told.groups[0]
    at = centres.table.filter(regex=r"^v\d+$").to_numpy()
    texts = told.written.loc[group.rows, "text"].tolist()
    nearest, _ = room.nearest_centre(group.found.space.vectors(texts), at)
    clear = group.themes > 0
    assert (nearest[clear] + 1 == group.themes[clear]).mean() > 0.98


def test_the_number_of_themes_and_its_picture(told):
    found = theme_number_of(told)
    assert found.chosen == (4,) and found.at_an_end == ()
    assert found.sentence().startswith("Themes looked for: English 4.")
    wide = theme_number_of(found_in(letters("en"), k=(2, 3, 4)))
    assert wide.chosen == (4,) and "The largest number tried was chosen" in wide.sentence()
    assert (wide.table["low"] <= wide.table["estimate"]).all()


@pytest.mark.parametrize("maker", [theme_number_of, theme_members_of, theme_centres_of, themes_of])
def test_every_picture_has_a_question_and_an_axis(told, maker):
    ax = maker(told).plot(plt.figure().add_subplot())
    assert ax.get_title().endswith("?") and ax.get_xlabel()
    plt.close("all")


def test_themes_of_two_languages_are_matched_by_their_categories():
    both = pd.concat([letters("en"), letters("es")], ignore_index=True)
    table = themes_of(found_in(both, category="category")).table
    kinds = table.set_index(["language", "theme"])["main_category"]
    for row in table.itertuples():
        other = "es" if row.language == "en" else "en"
        code, number, sure = row.matched.replace("(", "").split(" ")[:3]
        assert code == other and kinds[(other, int(number))] == row.main_category
        assert int(sure) > 90


def test_a_theme_that_is_not_stable_bears_no_name():
    table = find(letters("en", mixed=True)).table
    assert (table["terms"] == "").all() and (table["loose_terms"] != "").any()


# --- Many texts, other languages, other vectors ---------------------------------------------------


def test_texts_beyond_the_sample_join_the_nearest_theme():
    said = letters("en", each=100)
    found = found_in(said, most=200, category="category")
    described = themes_of(found)
    assert (described.fitted, described.examined) == (200, 400)
    assert "learnt from 200 texts drawn at random" in described.sentence()
    assert described.table["main_category_share"].min() > 0.95
    assert described.table["size"].sum() + described.unclear == 400 and described.unclear < 30


FRENCH = [
    "attente file musique personne répond ligne sonne heure",
    "facture montant erreur remboursement paiement compte argent double",
]
RUSSIAN = ["очередь музыка минут никто отвечает линия", "счёт ошибка возврат платёж сумма дважды"]
ARABIC = ["انتظار موسيقى دقائق الخط مشغول ساعة", "فاتورة خطأ استرداد دفع مبلغ مرتين"]


def of_words(groups, filling, each=40):
    rng = np.random.default_rng(5)
    return pd.DataFrame(
        [
            {"text": " ".join(rng.permutation([*rng.choice(words.split(), 4), *filling.split()]))}
            for words in groups
            for _ in range(each)
        ]
    )


@pytest.mark.parametrize(
    ("code", "name", "texts"),
    [
        ("fr", "French", of_words(FRENCH, "je suis pour vous avec")),
        ("ru", "Cyrillic script", of_words(RUSSIAN, "и в на")),
        ("ar", "Arabic script", of_words(ARABIC, "في على")),
    ],
)
def test_a_language_nobody_told_of_is_examined_under_its_own_name(code, name, texts):
    both = pd.concat([letters("en")[["text"]], texts], ignore_index=True)
    found = themes_of(found_in(both, language="", k=(2, 4)))
    assert found.languages == ("en", code)
    assert name in found.sentence()
    assert found.table["language"].eq(code).sum() == 2


def test_vectors_of_another_maker():
    said = letters("en")
    kinds = said["category"].str[1:].astype(int).to_numpy()
    given = np.eye(4)[kinds] + 0.05 * np.random.default_rng(1).normal(size=(160, 4))
    found = found_in(said, vectors=given, category="category")
    assert themes_of(found).stable == 4 and found.groups[0].found.space is None
    with pytest.raises(Problem, match="one row per complaint"):
        found_in(said, vectors=given[:10])
    with pytest.raises(Problem, match="no number"):
        found_in(said, vectors=given * np.nan)


def test_a_megabyte_of_one_word_and_odd_names_of_columns():
    said = letters("en").rename(columns={"text": "$ 文本 <b>"})
    said.loc[0, "$ 文本 <b>"] = "waiting " * 130_000
    found = find(said, text="$ 文本 <b>")
    assert found.stable >= 3


def test_one_category_says_nothing_of_agreement():
    found = themes_of(found_in(letters("en").assign(category="all"), category="category"))
    assert found.category_ami == 0 and found.categories == 1
