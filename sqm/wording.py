"""In which language is a text, and which of its words tell its matter?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from sqm.masking import KINDS, mask

READ = 4000  # characters of a text that are read; the rest is left alone
BEYOND = 200  # more that are masked first, so that nothing is cut in half before it is known
TELLS_LANGUAGE = 600  # characters that are enough to tell the language
FORMULA_SHARE, FORMULA_TEXTS = 0.025, 10  # a sentence in more texts than both is a formula
HAN_SHARE = 0.3
HAN = "zh"
LANGUAGE_NAMES = {
    "en": "English", "es": "Spanish", "zh": "Chinese", "fr": "French", "de": "German",
    "it": "Italian", "pt": "Portuguese", "ja": "Japanese", "ko": "Korean", "th": "Thai",
    "ar": "Arabic script", "he": "Hebrew script", "el": "Greek", "ru": "Cyrillic script",
    "hi": "Devanagari script", "other": "other",
}  # fmt: skip

# Small words: they tell the languages apart and make no theme.  "not", "no" and "never" are kept
# as words of a theme where they matter, so they stand in the second list only.
SMALL_WORDS = {
    "en": (
        "a about after all also am an and any are as at be because been before being but by can "
        "could did do does doing for from had has have having he her him his how i if in into is "
        "it its just me more my of on or our out over she so some than that the their them then "
        "there these they this those through to too up us very was we were what when where which "
        "while who why will with would you your"
    ),
    "es": (
        "a al algo ante antes como con cuando cual de del desde donde dos el ella ellos en entre "
        "era es esa ese eso esta estaba este esto están está estoy fue ha han hasta hay he la las "
        "le les lo los me mi mis muy más nos o para pero por porque que qué se sea ser si sido "
        "sin sobre son su sus también te tengo tiene todo todos un una uno unos y ya yo"
    ),
    "fr": (
        "a ai après au aux avec avez avons bien car ce cela ces cet cette chez comme dans de "
        "depuis des dont du elle elles encore est en et eux fait il ils je la le les leur "
        "leurs lui mais même mes moi mon ne notre nous on ont où pas pendant plus pour "
        "pourquoi que qu quand qui sans se ses sont sous suis sur tout toute très un une vos "
        "votre vous à été être"
    ),
    "de": (
        "aber als am auch auf aus bei bin bis bitte da dass dem den der des die dies diese "
        "doch du ein eine einem einen einer er es für habe haben hat ich ihr ihre im ist kann "
        "kein keine man mehr mein meine mich mir mit nach nicht noch nur oder ohne schon sehr "
        "sich sie sind über um und uns unser von vor war warum was wenn werden wie wir wird "
        "wurde zu zum zur"
    ),
    "it": (
        "a ai al alla anche ancora che chi ci come con così cui da dal dalla degli dei del "
        "della delle di dopo dove due e è gli ha hanno ho il in io la le lei loro ma mi mia "
        "mio molto nel nella noi non nostro ogni per perché più poi quando quella quello "
        "questa questo se sempre senza si sono stata stato su sua sul tutto un una vi voi"
    ),
    "pt": (
        "ao aos as até com como da das de depois do dos e ela ele em essa esse esta está este "
        "eu foi isso já lhe mais mas me meu minha muito na nas nem no nos não nós o os ou "
        "para pela pelo porque pois quando que quem se sem ser seu sua são também tem tenho "
        "tudo um uma você à é"
    ),
}
TELLING = {"en": "not never please", "es": "no nunca señor favor ni nada"}
READ_APART = ("fr", "de", "it", "pt")  # told apart so that they are not taken for another
_SMALL = {code: frozenset(words.split()) for code, words in SMALL_WORDS.items()}
SMALLS = _SMALL["en"] | _SMALL["es"]
_TELLS = {code: _SMALL[code] | frozenset(TELLING.get(code, "").split()) for code in _SMALL}
# Characters with which a Chinese term neither begins nor ends.
_ZH_EDGES = frozenset(
    "的了是我你他她它们在和也就都吗呢吧啊着过很被把让给说个这那有到对还又为与及但而且以"
)

# A letter goes with the marks written on it (Arabic, Devanagari).
_WORD = re.compile(r"(?:[^\W\d_][\u0300-\u036f\u064b-\u065f\u0900-\u0903\u093a-\u094f]*){2,}")
CJK = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
LETTER = re.compile(r"[^\W\d_]")
# Scripts that part no words by blanks: Thai, Lao, Burmese, Khmer, kana, Han.
UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
)
_UNSPACED_CODES = frozenset(["zh", "ja", "th", "lo", "my", "km"])
_LETTERS = {
    "es": re.compile("[ñ¿¡áéíóúÑ]"),
    "fr": re.compile("[éèêàçœ]|\\b[ljdcnLJDCN][’']"),
    "de": re.compile("[äöüßÄÖÜ]"),
    "it": re.compile("[èìòùà]|\\b(?:l|dell|all|un)[’']"),
    "pt": re.compile("[áéíóúãõç]|ção"),
}
_SCRIPTS = {
    "ja": re.compile("[\u3040-\u30ff]"),
    "ko": re.compile("[\u1100-\u11ff\uac00-\ud7af]"),
    "th": re.compile("[\u0e00-\u0e7f]"),
    "ar": re.compile("[\u0600-\u06ff\u0750-\u077f]"),
    "he": re.compile("[\u0590-\u05ff]"),
    "el": re.compile("[\u0370-\u03ff]"),
    "ru": re.compile("[\u0400-\u04ff]"),
    "hi": re.compile("[\u0900-\u097f]"),
}
SENTENCE = re.compile(r"(?<=[.!?。！？;；，])\s*|\s*\n\s*")
# A capital in mid-sentence: a person, a street, a product.  None of these is a theme, and none
# should be read among the terms.  Words all in capitals (PIN, SMS) are kept.
_NAME = re.compile(r"(?<=[^\W_][ ,])[A-ZÁÉÍÓÚÑ][^\W\d_]*[a-záéíóúñü][^\W\d_]*")
_HIDDEN = re.compile(rf"\[(?:{'|'.join(KINDS)})\]|\b[xX]{{2,}}\b")


def readable(texts: pd.Series) -> pd.Series:
    """What is read of each text: masked, its beginning, and only where it says something.

    Parameters
    ----------
    texts : Series

    Returns
    -------
    Series of str
        Without the texts that have no letter; the index is each text's place.

    Examples
    --------
    >>> readable(pd.Series([" Call +34 600 111 222. ", None, "?!"])).to_dict()
    {0: 'Call [phone].'}
    """
    raw = texts.astype("str").fillna("").reset_index(drop=True)
    said = mask(raw.str.slice(0, READ + BEYOND)).str.slice(0, READ).str.strip()
    return said[said.map(lambda each: bool(LETTER.search(each))).astype(bool)]


def language_of(texts: pd.Series) -> pd.Series:
    """Guess the language of each text: ``en``, ``es``, ``zh``, or another by its code.

    Notes
    -----
    By script where that tells: Chinese if 30 % of the letters are Han
    characters (and none is kana), Japanese, Korean, Thai, Greek; of Arabic,
    Hebrew, Cyrillic and Devanagari letters the script alone is named.  Else
    the language whose small words and own letters are met most often:
    English, Spanish, or one of four told apart so that they are not taken for
    these (French, German, Italian, Portuguese).  Texts without any small word
    are ``other``.

    Examples
    --------
    >>> list(language_of(pd.Series(["I have been waiting", "No me llaman", "等了很久", "Ok"])))
    ['en', 'es', 'zh', 'other']
    """
    return texts.fillna("").map(_language).astype("str")


def matter(texts: Sequence[str], code: str) -> list[str]:
    """What of each text tells its matter: its words without small words, names and formulas."""
    parts = [parts_of(text, code) for text in texts]
    passed = formulas(parts)
    # a sentence becomes one run, so that no n-gram crosses from one into the next
    return ["\n".join(part for part in each if part not in passed) for each in parts]


def parts_of(text: str, code: str) -> list[str]:
    """The sentences of a text, of each the words that are not small and not names.

    Examples
    --------
    >>> parts_of("Good morning. I waited for the technician.", "en")
    ['good morning', 'waited technician']
    """
    between = "" if by_characters(code) else " "
    read = (between.join(tokens(part, code)) for part in SENTENCE.split(text))
    return [part for part in read if part]


def formulas(parts: Sequence[Sequence[str]]) -> frozenset[str]:
    """Sentences that stand in so many of the texts that they are forms: greetings, closings."""
    met = Counter(part for each in parts for part in set(each))
    most = max(FORMULA_TEXTS, FORMULA_SHARE * len(parts))
    return frozenset(part for part, texts in met.items() if texts > most)


def by_characters(code: str) -> bool:
    """Whether a language parts no words by blanks, so that its characters are read."""
    return code in _UNSPACED_CODES


def reading_of(texts: Sequence[str], code: str) -> str:
    """How texts are read: by characters if their script parts no words, whatever their code."""
    joined = "".join(text[:200] for text in texts)
    unspaced = len(UNSPACED.findall(joined)) / max(len(LETTER.findall(joined)), 1)
    if by_characters(code):
        return code if unspaced >= HAN_SHARE else "other"
    return HAN if unspaced >= HAN_SHARE else code


def tokens(text: str, code: str) -> list[str]:
    """Words that are not small and not names; of scripts without blanks the characters."""
    text = _HIDDEN.sub(" ", text)
    if by_characters(code):
        return UNSPACED.findall(text)
    smalls = SMALLS | _SMALL[code] if code in READ_APART else SMALLS
    names = set()
    # every noun of German has a capital
    if code != "de" and not text.isupper():
        names = {found.start() for found in _NAME.finditer(text)}
    words = ((found.start(), found.group()) for found in _WORD.finditer(text))
    return [word.lower() for at, word in words if at not in names and word.lower() not in smalls]


def zh_terms(text: str) -> list[str]:
    """Runs of two to four characters that neither begin nor end with a small word."""
    runs = re.findall(f"{UNSPACED.pattern}+", text)
    grams = (run[i : i + n] for run in runs for n in (2, 3, 4) for i in range(len(run) - n + 1))
    return [gram for gram in grams if gram[0] not in _ZH_EDGES and gram[-1] not in _ZH_EDGES]


def apart(names: list[str], script: str, most: int = 6) -> list[str]:
    """The first few that do not repeat each other: no shared character, or no shared stem."""
    kept: list[str] = []
    for name in names:
        if by_characters(script):
            new = not any(set(name) & set(known) for known in kept)
        else:
            new = not any(name[:5].startswith(k[:5]) or k.startswith(name[:5]) for k in kept)
        if new:
            kept.append(name)
        if len(kept) == most:
            break
    return kept


def _language(text: str) -> str:
    text = text[:TELLS_LANGUAGE]
    letters = max(len(LETTER.findall(text)), 1)
    if len(CJK.findall(text)) / letters >= HAN_SHARE:
        return "ja" if _SCRIPTS["ja"].search(text) else "zh"
    written = {code: len(signs.findall(text)) for code, signs in _SCRIPTS.items()}
    most = max(written, key=written.get)
    if written[most] / letters >= HAN_SHARE:
        return most
    words = [word.lower() for word in _WORD.findall(text)] + re.findall(r"\b[aeiyoAEIYO]\b", text)
    hits = {code: sum(word in small for word in words) for code, small in _TELLS.items()}
    for code, signs in _LETTERS.items():
        hits[code] += len(signs.findall(text))
    rest = max(READ_APART, key=hits.get)
    if hits[rest] > max(hits["en"], hits["es"]):
        return rest
    if hits["en"] == hits["es"]:
        return "other"
    return "en" if hits["en"] > hits["es"] else "es"
