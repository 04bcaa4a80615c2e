"""What in a text could name a person?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pandas as pd

KINDS = ("e-mail", "phone", "card", "account", "id", "name", "address", "number", "link")
LONGEST_NAME = 30  # letters of one word of a name
LOOK_BACK = 60  # characters in which the word that marks a number is looked for

# A stretch of a text, and what it is.
Span = tuple[int, int, str]

# --- One shape for letters and figures ------------------------------------------------------------

_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_SHAPES = {ord("\uff10") + n: str(n) for n in range(10)}
_SHAPES |= {ord("\u0660") + n: str(n) for n in range(10)} | {0x06F0 + n: str(n) for n in range(10)}
_SHAPES |= {0xFF21 + n: chr(65 + n) for n in range(26)} | {
    0xFF41 + n: chr(97 + n) for n in range(26)
}
_SHAPES |= dict(
    zip(map(ord, "＠＋－（）．／：￥＿　\u00a0\u2007\u2009\u202f"), "@+-()./:¥_     ", strict=True)
)
_SHAPES |= dict.fromkeys(map(ord, "‐‑‒–—−"), "-")


def mask(texts: pd.Series) -> pd.Series:
    """Hide what could name a person.

    Parameters
    ----------
    texts : Series of str

    Returns
    -------
    Series of str
        With ``[e-mail]``, ``[phone]``, ``[card]``, ``[account]``, ``[id]``,
        ``[name]``, ``[address]``, ``[number]`` and ``[link]`` in its place.

    Notes
    -----
    Found by form: e-mail addresses; telephone numbers (7 to 12 digits with a
    plus, brackets or separators, up to 15 with a plus, 9 to 11 without, 12 and 13 with
    Mexico's or China's code); cards (Luhn's check digit [1]_); bank accounts
    (IBAN, CLABE, CCC, each by its check digits); national numbers (Spain's DNI and NIE; the SSN
    and ITIN of the United States; Mexico's CURP, RFC and voter's key; China's
    resident number of 18 and of 15 digits); handles (``@`` and a word), addresses on the
    internet, links that carry a query, a profile or a number; and 6 digits and
    more otherwise, with the letters that belong to them.  Full-width and spaced digits
    and invisible characters inside do not hide one.

    Found only where a word marks them: names (*Mr*, *Sra.*, *my name is*, *me
    llamo*, *我叫*, *X先生*, a closing such as *Regards,*), postal addresses (*calle
    X 12*, *12 Main Street*, *X路12号*), passports, driving licences and number
    plates.  **A name or an address that nothing marks is not found**: finding it
    takes a model of the language, and a text that is masked can still name someone.

    Dates, times, years, amounts of money, quantities with a unit, references to laws,
    shorter numbers and the XXXX of a publisher stay.

    References
    ----------
    .. [1] ISO/IEC 7812-1:2017, annex B. Bank accounts: ISO 13616-1:2020. China's
       resident number: GB 11643-1999 with ISO/IEC 7064 MOD 11-2.

    Examples
    --------
    >>> list(mask(pd.Series(["Write to ana@example.com or +34 600 111 222, order 1234567."])))
    ['Write to [e-mail] or [phone], order [number].']
    >>> list(mask(pd.Series(["Me llamo Ana Gil, DNI 12345678Z, y espero desde el 3/4/2025."])))
    ['Me llamo [name], DNI [id], y espero desde el 3/4/2025.']
    """
    return texts.map(_masked, na_action="ignore").astype("str")


def masked_counts(texts: pd.Series) -> pd.DataFrame:
    """Count what `mask` hides.

    Parameters
    ----------
    texts : Series of str
        Before masking.

    Returns
    -------
    DataFrame
        ``kind, found``: one row for each kind that was found, in the order of `KINDS`.

    Examples
    --------
    >>> masked_counts(pd.Series(["ana@example.com", "Mr Gil, bo@example.com"])).to_dict("list")
    {'kind': ['e-mail', 'name'], 'found': [2, 1]}
    """
    met = Counter(kind for text in texts.dropna() for _, _, kind in spans(text))
    found = [(kind, met[kind]) for kind in KINDS if met[kind]]
    return pd.DataFrame(found, columns=["kind", "found"]).astype({"kind": "str", "found": "int64"})


def spans(text: str) -> list[Span]:
    """Where a text could name a person: start, end and kind of each stretch, from left to right.

    Examples
    --------
    >>> spans("call 600 111 222")
    [(5, 16, 'phone')]
    """
    plain, places = _plain(text)
    found: list[Span] = []
    for look in (_links, _mails, _figures, _names, _zh_names):
        if new := sorted(look(plain)):
            new = _apart(new)
            found += new
            plain = _blanked(plain, new)
    found.sort()
    return [(places[a], places[b - 1] + 1, kind) for a, b, kind in found] if places else found


def _masked(text: str) -> str:
    pieces, at = [], 0
    for start, end, kind in spans(text):
        pieces += [text[at:start], "[", kind, "]"]
        at = end
    return "".join([*pieces, text[at:]]) if pieces else text


def _plain(text: str) -> tuple[str, list[int]]:
    """A text in plain figures, and the places of its characters where some were left out."""
    if text.isascii():
        return text, []
    plain = text.translate(_SHAPES)
    if not _UNSEEN.search(plain):
        return plain, []
    places = [i for i, sign in enumerate(plain) if not _UNSEEN.match(sign)]
    return "".join(plain[i] for i in places), places


def _apart(found: list[Span]) -> list[Span]:
    """Of stretches that overlap the first."""
    kept: list[Span] = []
    for each in found:
        if not kept or each[0] >= kept[-1][1]:
            kept.append(each)
    return kept


def _blanked(text: str, found: list[Span]) -> str:
    """What was found made unreadable, all else in its place."""
    pieces, at = [], 0
    for start, end, _ in found:
        pieces += [text[at:start], "\0" * (end - start)]
        at = end
    return "".join([*pieces, text[at:]])


def _alone(text: str, at: int) -> bool:
    """No letter or figure stands right before."""
    return at == 0 or not text[at - 1].isalnum()


# --- Links, e-mail, handles -----------------------------------------------------------------------

_LINK = re.compile(r"(?:https?://|www\.)[^\s<>\"'，。；（）\u3400-\u9fff]{1,2000}", re.IGNORECASE)
_PERSONAL = re.compile(
    r"[?=@~]|[0-9]{5}|/(?:users?|u|in|profiles?|people|members?|accounts?|perfil|usuarios?"
    r"|clientes?)/"
    r"|(?:facebook|instagram|twitter|tiktok|linkedin|weibo|youtube)\.com/[^/\s]"
    r"|(?:wa\.me|t\.me|paypal\.me|venmo\.com|cash\.app|//x\.com)/[^/\s]",
    re.IGNORECASE,
)
_MAIL = re.compile(
    r"(?<![A-Za-z0-9_.%+-])[A-Za-z0-9À-ÖØ-öø-ÿ._%+-]{1,64}\ ?@\ ?"
    r"[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}"
)
_SPELT_MAIL = re.compile(
    r"(?<![A-Za-z0-9_.%+-])[A-Za-z0-9._%+-]{1,64}\s?(?:\(at\)|\[at\]|\(arroba\)|\sarroba\s)\s?"
    r"[A-Za-z0-9-]{1,63}(?:(?:\.|\s?[\[(](?:dot|punto)[\])]\s?|\spunto\s)[A-Za-z0-9-]{2,63}){1,4}",
    re.IGNORECASE,
)
_HANDLE = re.compile(
    r"@(?:[A-Za-z_][A-Za-z0-9_.]{1,29}[A-Za-z0-9_]|[\u3400-\u9fff]{2,8}(?=[\s:,，]|$))"
)
_ZH_HANDLE = re.compile(
    r"(?:微信|微信号|wechat|weixin|vx)\s?(?:[:：是]|号是|id)?\s?([A-Za-z][A-Za-z0-9_-]{5,19})", re.I
)


def _links(text: str) -> Iterator[Span]:
    if "://" not in text and "www." not in text and "WWW." not in text:
        return
    for link in _LINK.finditer(text):
        said = link.group().rstrip(".,;:!?)")
        if _alone(text, link.start()) and _PERSONAL.search(said):
            yield link.start(), link.start() + len(said), "link"


def _mails(text: str) -> Iterator[Span]:
    if "@" in text:
        for mail in _MAIL.finditer(text):
            yield *mail.span(), "e-mail"
        for handle in _HANDLE.finditer(text):
            before = text[handle.start() - 1] if handle.start() else " "
            if not (before.isascii() and (before.isalnum() or before in ".@_")):
                yield *handle.span(), "name"
    low = text.lower()
    if "(at)" in low or "[at]" in low or "arroba" in low:
        for mail in _SPELT_MAIL.finditer(text):
            yield *mail.span(), "e-mail"
    if any(each in low for each in ("微信", "wechat", "weixin", "vx")):
        for handle in _ZH_HANDLE.finditer(text):
            yield *handle.span(1), "name"


# --- Figures --------------------------------------------------------------------------------------

_Y, _M, _D = r"(?:19|20)[0-9]{2}", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12][0-9]|3[01])"
_DAY = rf"(?:{_Y}[-/.]{_M}[-/.]{_D}|(?:{_D}[-/.]{_M}|{_M}[-/.]{_D})[-/.](?:{_Y}|[0-9]{{2}}))"
_END = r"(?![0-9]|[-/.][0-9])"
_FIGURE = re.compile(r"[0-9+(€$£¥]")
_RUN = re.compile(r"[+(]{0,2}[0-9](?:(?:[ .\-/_)]|\)[ .\-]|\ [ (\-]|-\ )?[0-9])*")
_LATER_DAY = re.compile(rf"(?<=[0-9])[ (]{{1,2}}(?=(?:{_DAY}|(?:0[1-9]|1[0-2])/[0-9]{{2}}){_END})")
# Figures that name nobody: days, spans of years and of hours, a law or month with its year, money.
_STAYS = re.compile(
    rf"""
    {_DAY}(?:\ ?-\ ?{_DAY})?{_END}
  | {_Y}(?:[-/\ ]{{1,2}}{_Y}){{1,3}}{_END}
  | {_Y}/[0-9]{{1,3}}{_END} | [0-9]{{1,3}}/{_Y}{_END}
  | [0-9]{{1,2}}[.:h][0-9]{{2}}\ ?-\ ?[0-9]{{1,2}}[.:h][0-9]{{2}}{_END}
  | [0-9]{{1,2}}\.[0-9]{{3}}(?:\.[0-9]{{3}}){{1,2}}(?:,[0-9]{{1,2}})?(?<=00)(?![0-9]|[-.][0-9])
  | [0-9]{{1,5}}\.[0-9]{{1,2}}{_END}
  | [0-9]\.[0-9]{{1,15}}{_END}
  | [€$£¥]\s?[0-9]{{1,9}}(?![0-9]) (?:[.,][0-9]{{1,3}}(?![0-9])){{0,5}}
  | (?:[0-9]{{1,8}}|[0-9]{{1,3}}(?:[.,\ ][0-9]{{3}}){{1,4}})(?:[.,][0-9]{{1,2}})?\s?
    (?:[€$£¥元块](?!\s?[0-9]) | (?:euros?|eur|usd|mxn|cny|rmb|pesos|dollars|pounds|yuan)\b)
  | [0-9][0-9./]{{0,12}}\s?(?:%|[MGTk]i?b(?:ps|its?)?\b|megas\b|kwh\b|kms?\b|[mkg]?hz\b|m[²2l]\b
    |points\b|puntos\b
    |miles\b|万|亿)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_LAW = re.compile(
    r"(?:C\.?F\.?R\.?|U\.?S\.?C\.?|§|\bley|\bact|\bsection|\bsec\.|\bart(?:\.|icle|ículo)"
    r"|decreto|\brdl?"
    r"|\bregulation|\breg\.|directiv[ae]|reglamento|\borden|circular|\bnom|\btitle|\biso|\biec"
    r"|\bune|第)"
    r"(?:[ -]?(?:\((?:UE|EU|CE|EC)\)|n[ºo°]\.?|ley))?[ -]?\Z",
    re.IGNORECASE,
)
_WORTH = re.compile(r"(?:EUR|USD|MXN|CNY|RMB|US[$]|MX[$])\s?\Z")
_NETWORK = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9]|\.[0-9])")
_NETWORK_6 = re.compile(
    r"(?<![0-9A-Za-z:])(?:(?:[0-9A-F]{1,4}:){7}[0-9A-F]{1,4}"
    r"|(?:[0-9A-F]{1,4}:){1,6}(?::[0-9A-F]{1,4}){1,6}"
    r"|(?:[0-9A-F]{2}[:-]){5}[0-9A-F]{2})(?![0-9A-Za-z:])",
    re.IGNORECASE,
)
_PLACE = re.compile(r"-?[0-9]{1,3}\.[0-9]{4,9}\ ?,\ ?-?[0-9]{1,3}\.[0-9]{4,9}(?![0-9])")

# Words that mark what a number is, looked for before it.
_AFTER_MARK = (
    r"(?:\s(?:number|no\.?|num(?:ber)?\.?|número|card|code)|(?:号码|号|证))?\s?"
    r"(?:is|was|es|era|:|：|#|是|为|n[ºo°]\.?|ending)?\s?:?\s?"
)
_ID_MARK = re.compile(
    r"(?:\bssn|social security|\bitin|tax id|\bdni|\bnie|\bnif|\bcurp|\brfc|\bine|\bife|\bnss"
    r"|passport|pasaporte"
    r"|clave de elector|driver'?s licen[cs]e|driving licen[cs]e|licencia|\bplates?|\bplacas?"
    r"|matrícula|matricula"
    r"|身份证|护照|驾驶证|车牌)" + _AFTER_MARK + r"([A-Z\u3400-\u9fff]{0,4}[- ]?)\Z",
    re.IGNORECASE,
)
_ID_WORDS = (
    "ssn", "social security", "itin", "tax id", "dni", " nie", "nif", "curp", "rfc", " ine", " "
    "ife", "nss",
    "passport", "pasaporte", "clave de elec", "licen", "plate", "placa", "matr", "身份证", "护照",
    "驾驶证",
    "车牌",
)  # fmt: skip
_MARKED_ID = re.compile(
    r"[\u3400-\u9fff]?[A-Z0-9]{1,12}(?:[- ]?(?=[A-Z]{0,3}[0-9])[A-Z0-9]{1,8}){0,3}(?:[- ]?"
    r"[A-Z]{1,3}\b)?",
    re.IGNORECASE,
)
_ACCOUNT_MARK = re.compile(
    r"(?:\baccount|\bacct\.?|\ba/c|\bcuenta|\bclabe|\biban|账号|帐号|账户|卡号)"
    + _AFTER_MARK
    + r"[A-Z]{0,4}-?\Z",
    re.IGNORECASE,
)


def _figures(text: str) -> Iterator[Span]:
    if text.count(":") > 3 or "::" in text or text.count("-") > 4:
        yield from ((*each.span(), "link") for each in _NETWORK_6.finditer(text))
    words = _Words(text)
    at = 0
    while begun := _FIGURE.search(text, at):
        at = begun.start()
        if spared := _STAYS.match(text, at):
            at = spared.end()
            continue
        if (run := _RUN.match(text, at)) is None:
            at += 1
            continue
        later = _LATER_DAY.search(run.group())
        end = at + later.start() if later else run.end()
        start, end, kind = _judged(text, at, end, words)
        if kind:
            yield start, end, kind
        at = end


class _Words:
    """Which marking words a text holds at all; asked for once, when the first number is met."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._held: dict[tuple[str, ...], bool] = {}
        self._low = ""

    def hold(self, words: tuple[str, ...]) -> bool:
        if words not in self._held:
            self._low = self._low or f" {self.text.lower()}"
            self._held[words] = any(word in self._low for word in words)
        return self._held[words]


def _judged(text: str, at: int, end: int, words: _Words) -> Span:
    """What a run of figures is, with the letters that belong to it; blank if it stays."""
    for judge in (_place, _code, _address, _marked, _mixed):
        if found := judge(text, at, end, words):
            return found
    digits = "".join(filter(str.isdigit, text[at:end]))
    kind = _kind(text, at, end, digits)
    if not kind or _is_spared(text, at, digits):
        return at, end, ""
    start, end = _with_letters(text, at, end)
    if kind == "phone" and start < at and text[start].isalpha():
        kind = "number"
    if kind in ("phone", "number") and _ACCOUNT_MARK.search(text[max(0, at - LOOK_BACK) : at]):
        kind = "account"
    return start, end, kind


def _is_spared(text: str, at: int, digits: str) -> bool:
    before = text[max(0, at - 24) : at]
    law = len(digits) <= 10 and _LAW.search(before)
    return bool(law or (len(digits) <= 9 and _WORTH.search(before)))


def _kind(text: str, at: int, end: int, digits: str) -> str:
    """What a run of figures is by its length, form and check digits."""
    said = text[at:end]
    size, groups = len(digits), re.findall("[0-9]+", said[:200])
    parts = (len(groups) > 2 or max(map(len, groups)) <= 2) and max(map(len, groups)) <= 3
    if size < 6 or (size == 6 and (" " in said or parts)):
        return ""
    if "".join(groups) in "123456789" and max(map(len, groups)) == 1:  # steps, not a number
        return ""
    for kind, holds in (("id", _is_resident), ("card", _is_card), ("account", _is_account)):
        if holds(digits, groups):
            return kind
    if _is_social(digits, groups):
        return "id"
    return "phone" if _is_phone(said, digits, groups) else "number"


def _is_phone(said: str, digits: str, groups: list[str]) -> bool:
    size = len(digits)
    if said[0] == "+" or said[:2] in ("(+", "00"):
        return 7 <= size <= 17
    if len(groups) == 1 and said[0] != "(":
        abroad = re.match(r"861[3-9]|52[1-9]", digits) and size in (12, 13)
        return 9 <= size <= 11 or bool(abroad)
    return 7 <= size <= 12 or (size == 13 and digits.startswith("86"))


def _is_card(digits: str, groups: list[str]) -> bool:
    """Luhn's check digit, in the whole or in a few groups of it."""
    if not 13 <= len(digits) <= 40:
        return False
    sizes = [len(group) for group in groups[:24]]
    for first in range(len(sizes)):
        for last in range(first + 1, len(sizes) + 1):
            begun = sum(sizes[:first])
            part = digits[begun : begun + sum(sizes[first:last])]
            if card_holds(part):
                return True
    return False


def card_holds(digits: str) -> bool:
    """Whether digits can be a payment card's: its length, its issuer's, Luhn's check digit.

    Examples
    --------
    >>> card_holds("4111111111111111"), card_holds("4111111111111112")
    (True, False)
    """
    return 13 <= len(digits) <= 19 and digits[0] in "23456" and _luhn(digits)


def _luhn(digits: str) -> bool:
    """Whether the last of the digits is the check digit of the others."""
    total = sum(map(int, digits[-1::-2]))
    return (total + sum(sum(divmod(2 * int(each), 10)) for each in digits[-2::-2])) % 10 == 0


def _is_account(digits: str, groups: list[str]) -> bool:
    """Mexico's CLABE, 18 digits, or Spain's CCC, 20, by their check digits."""
    if len(digits) == 18:
        return _clabe(digits)
    if len(digits) == 20:
        return _ccc("00" + digits[:8]) == digits[8] and _ccc(digits[10:]) == digits[9]
    return False


def _clabe(digits: str) -> bool:
    total = sum(int(d) * w % 10 for d, w in zip(digits[:17], (3, 7, 1) * 6, strict=False))
    return (10 - total % 10) % 10 == int(digits[17])


def _ccc(ten: str) -> str:
    weights = (1, 2, 4, 8, 5, 10, 9, 7, 3, 6)
    rest = 11 - sum(int(d) * w for d, w in zip(ten, weights, strict=True)) % 11
    return str({10: 1, 11: 0}.get(rest, rest))


_RESIDENT = re.compile(
    r"[1-9][0-9]{5}(?:18|19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9X]"
)
_OLD_RESIDENT = re.compile(
    r"[1-8][0-9]{5}[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}"
)


def _is_resident(digits: str, groups: list[str]) -> bool:
    """China's resident number: 18 digits by ISO 7064 MOD 11-2, or 15 of the old form."""
    if len(digits) == 15:
        amex = digits[:2] in ("34", "37") and _luhn(digits)
        return bool(_OLD_RESIDENT.fullmatch(digits)) and not amex
    return resident_holds(digits)


def resident_holds(said: str) -> bool:
    """Whether 18 signs are a resident number of China, by its day of birth and its check digit.

    Examples
    --------
    >>> resident_holds("11010519491231002X"), resident_holds("110105194912310021")
    (True, False)
    """
    return bool(_RESIDENT.fullmatch(said)) and _mod_11_2(said)


def _mod_11_2(said: str) -> bool:
    total = sum(int(d) * 2 ** (17 - i) for i, d in enumerate(said[:17]))
    return "10X98765432"[total % 11] == said[17]


def _is_social(digits: str, groups: list[str]) -> bool:
    """A social security number or ITIN of the United States, as it is written in three groups."""
    if [len(each) for each in groups] != [3, 2, 4]:
        return False
    area, middle, last = groups
    return area not in ("000", "666") and middle != "00" and last != "0000"


# --- Codes of letters and figures -----------------------------------------------------------------

_BORN = r"[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_STATES = (
    "AS|BC|BS|CC|CL|CM|CS|CH|DF|DG|GT|GR|HG|JC|MC|MN|MS|NT|NL|OC|PL|QT|QR|SP|SL|SR|TC|TS|TL|VZ"
    "|YN|ZS|NE"
)
_NO_MORE = r"(?![A-Z0-9])"
_CODES = (
    rf"[A-Z][AEIOUX][A-Z]{{2}}{_BORN}[HMX](?:{_STATES})[B-DF-HJ-NP-TV-ZÑ]{{3}}[A-Z0-9]"
    rf"[0-9]{_NO_MORE}",  # CURP
    rf"[A-ZÑ&]{{3,4}}[- ]?{_BORN}[- ]?[A-Z0-9]{{2}}[0-9A]{_NO_MORE}",  # RFC
    rf"[A-Z]{{6}}{_BORN}[0-9]{{2}}[HM][0-9]{{3}}{_NO_MORE}",  # voter's key
)
_CODE = re.compile("|".join(_CODES))
_DNI = re.compile(rf"([0-9]{{8}}|[0-9]{{1,2}}\.[0-9]{{3}}\.[0-9]{{3}})[- ]?([A-Z]){_NO_MORE}")
_NIE = re.compile(rf"([XYZ])[- ]?([0-9]{{7}}|[0-9]\.[0-9]{{3}}\.[0-9]{{3}})[- ]?([A-Z]){_NO_MORE}")
_NIF_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}(?:[- ]?[A-Z0-9]){11,30}")
_RESIDENT_X = re.compile(r"[0-9]{17}X" + _NO_MORE)
_SPACED_RESIDENT = re.compile(r"[0-9]{6}[ -][0-9]{8}[ -][0-9]{3}[0-9X]" + _NO_MORE)
IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AT": 20, "BE": 16, "BG": 22, "BR": 29, "CH": 21, "CR": 22, "CY": 28,
    "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "ES": 24, "FI": 18, "FR": 27, "GB": 22,
    "GI": 23, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IT": 27, "LT": 20,
    "LU": 20, "LV": 21, "MC": 27, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24,
    "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SV": 28, "TR": 26, "UA": 29, "VG": 24,
}  # fmt: skip


def _code(text: str, at: int, end: int, words: _Words) -> Span | None:
    """A national number or an account that letters are part of."""
    following = text[end : end + 2]
    begun = _letters_before(text, at)
    if begun == at and not (following[:1].isalpha() or following[:1] in ("-", " ")):
        return None
    chunk = text[begun : begun + 60].upper()
    if begun < at and (found := _CODE.match(chunk)):
        return begun, begun + found.end(), "id"
    if begun < at and (size := iban_length(chunk)):
        return begun, begun + size, "account"
    if begun < at and (found := _NIE.match(chunk)):
        number = "XYZ".index(found[1]) * 10_000_000 + int(found[2].replace(".", ""))
        if _NIF_LETTERS[number % 23] == found[3]:
            return begun, begun + found.end(), "id"
    return _digits_first(text, at) if _alone(text, at) or begun == at else None


def _digits_first(text: str, at: int) -> Span | None:
    chunk = text[at : at + 24].upper()
    found = _DNI.match(chunk)
    if found and _NIF_LETTERS[int(found[1].replace(".", "")) % 23] == found[2]:
        return at, at + found.end(), "id"
    for form in (_RESIDENT_X, _SPACED_RESIDENT):
        if found := form.match(chunk):
            said = re.sub("[ -]", "", found.group())
            if _RESIDENT.fullmatch(said) and _mod_11_2(said):
                return at, at + found.end(), "id"
    return None


def iban_length(chunk: str) -> int:
    """Characters of an IBAN with which a text begins; 0 if its check digits do not hold.

    Examples
    --------
    >>> iban_length("GB29 NWBK 6016 1331 9268 19 of mine"), iban_length("GB28NWBK60161331926819")
    (27, 0)
    """
    length = IBAN_LENGTHS.get(chunk[:2])
    found = _IBAN.match(chunk)
    if length is None or found is None:
        return 0
    places = [i for i, sign in enumerate(found.group()) if sign.isalnum()][:length]
    if len(places) < length:
        return 0
    said = "".join(chunk[i] for i in places)
    number = int("".join(str(int(sign, 36)) for sign in said[4:] + said[:4]))
    return places[-1] + 1 if number % 97 == 1 else 0


def code_holds(said: str) -> bool:
    """Whether this is a DNI, NIE, CURP, RFC or resident number whose check digit holds.

    Examples
    --------
    >>> [code_holds(each) for each in ("12345678Z", "X1234567L", "11010519491231002X")]
    [True, True, True]
    >>> code_holds("HEGG560427MVZRRL04"), code_holds("GODE561231GR8"), code_holds("12345678A")
    (True, True, False)
    """
    bare = re.sub("[ .-]", "", said).upper()
    if re.fullmatch("[0-9]{8}[A-Z]|[XYZ][0-9]{7}[A-Z]", bare):
        number = bare[:-1].replace("X", "0").replace("Y", "1").replace("Z", "2")
        return _NIF_LETTERS[int(number) % 23] == bare[-1]
    if re.fullmatch(_CODES[0], bare):
        return _curp_digit(bare) == bare[-1]
    if re.fullmatch(_CODES[1], bare):
        return _rfc_digit(bare[:-1]) == bare[-1]
    return resident_holds(bare)


def _curp_digit(said: str) -> str:
    signs = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
    return str(-sum(signs.index(sign) * (18 - i) for i, sign in enumerate(said[:17])) % 10)


def _rfc_digit(said: str) -> str:
    """The check digit of an RFC without it; a firm's has one letter less than a person's."""
    signs = "0123456789ABCDEFGHIJKLMN&OPQRSTUVWXYZ Ñ"
    total = sum(signs.index(sign) * (13 - i) for i, sign in enumerate(said.rjust(12)))
    return "0123456789A"[-total % 11]


def _letters_before(text: str, at: int) -> int:
    """Where up to six letters begin that belong to the figures at a place, a dash between or "
    "none."""
    end = at - 1 if at and text[at - 1] in "-" else at
    begun = end
    while begun and end - begun < 7 and text[begun - 1].isascii() and text[begun - 1].isalpha():
        begun -= 1
    return begun if begun < end <= begun + 6 and _bare(text, begun) else at


def _mixed(text: str, at: int, end: int, words: _Words) -> Span | None:
    """Letters and six figures or more in one word: 1Z999AA10123456784."""
    if not (_is_latin(text[end : end + 1]) or (at and _is_latin(text[at - 1]))):
        return None
    token = _TOKEN.match(text, end)
    begun = at - len(_TOKEN_BEFORE.search(text[max(0, at - 40) : at]).group())
    said = text[begun : token.end()]
    if sum(map(str.isdigit, said)) < 6 or not text[begun:end].isalnum():
        return None
    if any(part in said.upper() for part in ("XX", "USC", "CFR")):
        return None
    return begun, token.end(), "number"


_TOKEN = re.compile("[A-Za-z0-9]{0,40}")
_TOKEN_BEFORE = re.compile(r"[A-Za-z0-9]{0,40}\Z")


def _is_latin(sign: str) -> bool:
    return sign.isascii() and sign.isalpha()


def _bare(text: str, at: int) -> bool:
    """No Latin letter or figure stands right before; a Chinese character may."""
    return at == 0 or not (text[at - 1].isascii() and text[at - 1].isalnum())


def _with_letters(text: str, at: int, end: int) -> tuple[int, int]:
    """A number with the letters that are part of it: AB-1234567, 1234567X, 1Z999AA10123456784."""
    begun = _letters_before(text, at)
    if re.fullmatch("[Xx]{2,}-?", text[begun:at]):
        begun = at
    after = re.match(
        r"-?[A-Za-z](?![A-Za-z])|(?=[A-Za-z]{1,4}[0-9])[A-Za-z0-9]{1,40}", text[end : end + 42]
    )
    return begun, end + (after.end() if after else 0)


def _marked(text: str, at: int, end: int, words: _Words) -> Span | None:
    """A number that the words before it call a national number, a passport or a plate."""
    if not words.hold(_ID_WORDS):
        return None
    mark = _ID_MARK.search(text[max(0, at - LOOK_BACK) : at])
    if mark is None:
        return None
    begun = at - len(mark[1])
    found = _MARKED_ID.match(text, begun)
    digits = sum(map(str.isdigit, text[begun : max(end, found.end() if found else end)]))
    if digits < 3 or found is None:
        return None
    return begun, max(end, found.end()), "id"


# --- Addresses ------------------------------------------------------------------------------------

_WORD = r"[A-Za-zÀ-ÖØ-öø-ſ'’.]"
_CAPITAL = r"(?:[A-ZÀ-ÖØ-Þ][A-Za-zÀ-ÖØ-öø-ſ'’.-]{0,30}|[0-9]{1,3}(?:st|nd|rd|th))"
_PROPER = r"(?:[A-ZÀ-ÖØ-Þ][A-Za-zÀ-ÖØ-öø-ſ'’-]{2,30}|[0-9]{1,3}(?:st|nd|rd|th))"
_STREETS = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Terrace"
    r"|Ter|Circle|Cir"
    r"|Square|Sq|Highway|Hwy|Parkway|Pkwy|Trail|Trl|Way)"
)
_FLAT = r"(?:,?\ (?:Apt|Apartment|Suite|Ste|Unit|Floor|#)\.?\ ?#?[A-Za-z0-9-]{1,6}\b)?"
_TOWN = r"(?:,?\ [A-Z][A-Za-z. ]{1,25},?\ [A-Z]{2}\ [0-9]{5}(?:-[0-9]{4})?\b)?"
_EN_ADDRESS = re.compile(
    rf"[0-9]{{1,6}}[A-Za-z]?\ (?:(?:[NSEW]{{1,2}}\.?\ )?{_PROPER}\ "
    rf"(?:{_CAPITAL}\ ){{0,3}}{_STREETS}|[a-z]{{3,12}}\ (?:[a-z]{{3,12}}\ )?(?:street|avenue"
    rf"|road|blvd))"
    rf"\b\.?{_FLAT}{_TOWN}"
)
_EN_LOUD = re.compile(
    rf"[0-9]{{1,6}}\ [A-Z]{{3,15}}\ (?:STREET|ST|AVENUE|AVE|ROAD|RD|BLVD|LANE|DRIVE)\b\.?{_FLAT}"
)
_NO_STREET = re.compile(
    r"\b(?:the|a|down|off|on|in|per|miles?|blocks?|days?|hours?|years?|times|per)\b"
)
_ES_WORD = r"(?:[^\W\d_]{1,4}\.|[^\W\d_]{1,20}(?:['’-][^\W\d_]{1,20})?)"
_ES_PROPER = (
    r"(?=(?:(?:de|del|la|las|los|el)\ ){0,2}(?-i:[A-ZÁÉÍÓÚÑ])"
    r"|(?:del|de\ la|de\ las|de\ los)\ [^\W\d_]{3})"
)
_ES_STREET = re.compile(
    r"(?<![A-Za-zÀ-ÿ])(?:(?:calle|c/|avenida|avda\.?|av\.|carrer|calzada)(?![^\W\d_])\ ?"
    r"|(?:paseo|pº|plaza|pza\.?|carretera|ctra\.?|camino|ronda|travesía|bulevar|blvd\.?|privada"
    rf"|urbanización|urb\.|glorieta|colonia|col\.)(?![^\W\d_])\ {_ES_PROPER})"
    rf"{_ES_WORD}(?:\ {_ES_WORD}){{0,4}},?\ ?(?:n[ºo°.]{{1,2}}|núm\.?|número|num\.?|\#|no\.)?\ ?\Z",
    re.IGNORECASE,
)
_ES_WORDS = (
    "calle", "c/", "avenida", "avda", "av.", "paseo", "pº", "plaza", "pza", "carretera", "ctra",
    "camino", "ronda", "travesía", "calzada", "bulevar", "blvd", "privada", "urb", "glorieta",
    "carrer", " col",
)  # fmt: skip
_ES_AFTER = re.compile(
    r"(?:\ ?[A-Z]\b)?(?:,?\ ?(?:[0-9]{1,2}[ºª°]|piso|pta\.?|puerta|esc\.?|escalera|int\.?"
    r"|interior|bajo|izq\.?|dcha\.?)"
    r"\ ?[0-9A-Za-z]{0,4}\b\.?){0,4}(?:,?\ (?:C\.?P\.?\ ?)?[0-9]{5}\b(?:\ [A-ZÁÉÍÓÚÑ]"
    r"[^\W\d_]{2,20})?)?"
)
_QUANTITY = re.compile(
    r"\ ?(?:st\b|nd\b|rd\b|th\b|times|days?|hours?|weeks?|months?|years?|people|días?|horas?"
    r"|semanas?|meses|mes|minutos?|min|euros?|veces|años?|semanas?|de\ \w|personas?|%|€|km"
    r"|metros|:[0-9])",
    re.IGNORECASE,
)
_ZH_STREET = re.compile(r"(?:路|街|大道|巷|弄|胡同|小区|花园|公寓|大厦|村|苑|镇)\Z")
_ZH_NUMBER = re.compile(
    r"[0-9]{1,5}(?:-[0-9]{1,4})?(?:号(?!线)|弄|栋|幢|座|单元)(?:院|楼)?(?:[0-9]{1,4}(?:-[0-9]{1,4})?(?:号楼"
    r"|号|栋|幢|座|单元|室|楼|层))*"
)
_ZH_BEFORE = re.compile(r"[\u3400-\u9fff0-9]{0,16}\Z")
_BOX = re.compile(
    r"(?:p\.?\ ?o\.?\ ?box|apartado(?:\ de\ correos|\ postal)?|c\.?p\.?|zip(?:\ code)?"
    r"|código\ postal|邮编)\ ?[:：]?\ ?\Z",
    re.I,
)
_BOX_WORDS = ("box", "apartado", "cp", "c.p", "zip", "postal", "邮编")


def _place(text: str, at: int, end: int, words: _Words) -> Span | None:
    """A machine's address, or a place by its two coordinates."""
    if found := _NETWORK.match(text, at):
        version = re.search(
            r"(?:version|versión|ver\.?|v\.?)\ ?\Z", text[max(0, at - 9) : at], re.I
        )
        if all(int(each) < 256 for each in found.group().split(".")) and not version:
            return at, found.end(), "link"
    if found := _PLACE.match(text, at):
        return at, found.end(), "address"
    return None


def _address(text: str, at: int, end: int, words: _Words) -> Span | None:
    """A postal address of which the figures are part."""
    if not _bare(text, at):
        return None
    house = re.match(r"[0-9]{1,6}", text[at : at + 7])
    if house is None:
        return None
    return (
        _en_address(text, at)
        or _es_address(text, at, at + house.end(), words)
        or _zh_address(text, at)
        or _box(text, at, end, words)
    )


def _en_address(text: str, at: int) -> Span | None:
    found = _EN_ADDRESS.match(text, at)
    if found is None or _NO_STREET.search(found.group().lower()):
        return None
    said = found.group()
    if said.isupper() and not _EN_LOUD.match(said):
        return None
    return at, found.end(), "address"


def _es_address(text: str, at: int, end: int, words: _Words) -> Span | None:
    if not words.hold(_ES_WORDS) or end - at > 5:
        return None
    begun = max(0, at - LOOK_BACK)
    street = _ES_STREET.search(text[begun:at])
    if street is None or _QUANTITY.match(text, end):
        return None
    return begun + street.start(), _ES_AFTER.match(text, end).end(), "address"


def _zh_address(text: str, at: int) -> Span | None:
    before = text[max(0, at - 20) : at]
    number = _ZH_NUMBER.match(text, at)
    if number is None or not _ZH_STREET.search(before):
        return None
    road = _ZH_BEFORE.search(before).group()
    for sign in "在到是住于至往从址":
        road = road.rpartition(sign)[2]
    return at - len(road), number.end(), "address"


def _box(text: str, at: int, end: int, words: _Words) -> Span | None:
    if not words.hold(_BOX_WORDS):
        return None
    found = _BOX.search(text[max(0, at - 22) : at])
    if found is None or not _alone(text, max(0, at - 22) + found.start()):
        return None
    return at, end, "address"


# --- Names ----------------------------------------------------------------------------------------

_LATIN = "A-Za-zÀ-ÖØ-öø-ſ"
_NOT_A_NAME = (
    r"(?!(?i:The|I|He|She|They|We|You|My|This|That|It|And|But|When|On|In|At|From|To|Of|For|Who"
    r"|Said|Told|Is|Was"
    r"|Will|Has|Had|Please|Thank|Bank|Not|Under|Company|Account|Customer|Dear|Re|Date|Address"
    r"|Phone|Email|Number|Document"
    r"|Attached|Enclosed|See|Because|By|With|Have|Do|Did|Never|El|Los|Las|Me|No|Se|Que|En|Con"
    r"|Por|Pero|Es|Su|Ha|X{2,})(?![A-Za-zÀ-ÿ]))"
)
_PART = (
    rf"(?:[A-ZÀ-ÖØ-Þ]\.|{_NOT_A_NAME}[A-ZÀ-ÖØ-Þ]"
    rf"(?:[{_LATIN}]|['’-](?=[{_LATIN}])){{1,{LONGEST_NAME}}})"
)
_BETWEEN = r"(?:(?:de la|de los|de las|del?|la|y|van|von|der|bin|da|dos|di)[ ])?"
_NAME = rf"{_PART}(?:[ ]{_BETWEEN}{_PART}){{0,3}}"
_LOUD = re.compile(r"[A-ZÀ-ÖØ-Þ'’-]+(?: [A-ZÀ-ÖØ-Þ'’-]+)?")
# Every branch begins with a letter, so that other places are passed over at once.
_TITLE = re.compile(
    r"(?:Mr|Mrs|Mx|Ms|Miss|MR|MRS|MISS|MS\.|Dra|Dr|DRA|DR|Don|Doña|Dña|DON|DOÑA|Prof|Professor"
    r"|Profesora|Profesor"
    r"|Srta|Sra|Sr|SRTA|SRA|SR|Señorita|Señora|Señor|Licenciado|Licenciada|Lic\.|Ing\.|Ingeniero"
    r"|Ingeniera"
    r"|señorita|señora|señor|srta|sra|sr|doña|don|licenciado|licenciada|lic\.|ing\.|ingeniero"
    r"|ingeniera|mrs|mr|dra|dr)"
    rf"\.?[ ]{{1,2}}({_BETWEEN}{_NAME})"
)
_QUIET_TITLE = re.compile(r"(?:mrs|mr)\.?[ ]([a-z]{2,20})\b")
_TITLE_D = re.compile(rf"D\.ª?[ ]({_PART}[ ]{_NAME})")
_PRODUCTS = ("Pepper", "Martens", "Clean", "Muscle", "Oetker")
_CALLED = re.compile(
    r"(?i:\bmy name is|\bmy name's|(?:(?:^|\n)[ ]?|full |first |last |customer |client "
    r"|contact )name\s?:"
    r"|\bme llamo|\bmi nombre es|\bnombre(?: completo)?\s?:|\ba nombre de|\bin the name of"
    r"|\b(?:agent|representative|supervisor|manager|agente) (?:named|llamad[oa])"
    rf"|\b(?:signed|firmado) (?:by|por)|\b(?:signed|firmado|fdo\.?|titular)\s?:)[ ]{{1,2}}({_NAME})"
)
_CALLED_QUIETLY = re.compile(
    r"\b(?:my name is|my name's|me llamo|mi nombre es)[ ]([a-záéíóúñü]{2,20})\b((?:[ ]"
    r"[a-záéíóúñü]{2,20}\b){0,2})"
)
_I_AM = re.compile(
    rf"(?:[Ss]oy[ ]({_PART}[ ]{_BETWEEN}{_PART}(?:[ ]{_BETWEEN}{_PART})?)(?=[ ]?[,.;\n]|[ ]y\b|\Z)"
    rf"|[Tt]his is[ ]({_PART}(?:[ ]{_PART})?)(?=[ ](?:speaking|calling|writing)\b))"
)
_CALL_WORDS = (
    "my name", "name:", "name :", "me llamo", "mi nombre", "nombre:", "nombre :", "nombre completo",
    "nombre de", "in the name of", " named ", "llamad", "signed by", "signed:", "firmado", "fdo",
    "titular", "soy ", " speaking", " calling", " writing",
)  # fmt: skip
_CLOSING = re.compile(
    r"(?i:\b(?:regards|sincerely(?:,? yours)?|respectfully(?: yours| submitted)?|yours (?:truly"
    r"|faithfully|sincerely)"
    r"|cordially|atentamente|atte\.?|saludos?(?: cordial(?:es)?)?|cordialmente))[ ]?(?:[,:!\n-]"
    r"|\.[ ]?\n)[ \n]{0,4}"
    rf"({_NAME})"
)
_LAST_WORDS = re.compile(
    r"(?i:(?:regards|sincerely|respectfully|truly|faithfully|cordially|atentamente|saludos?"
    r"|cordial(?:es)?|cordialmente"
    r"|thanks|thank you|gracias|cheers)[ ]?[,.:!\n-][ \n]{0,4}"
    rf"([{_LATIN}][{_LATIN}'’.-]{{1,{LONGEST_NAME}}}(?:[ ][{_LATIN}]"
    rf"[{_LATIN}'’.-]{{0,{LONGEST_NAME}}}){{0,3}})[ ]?[.!]?\s{{0,4}}\Z)"
)
_CLOSE_WORDS = (
    "regards", "sincerely", "respectfully", "yours ", "cordial", "atentamente", "atte", "saludo",
    "thank", "gracias", "cheers",
)  # fmt: skip
# Words after "my name is" or a closing that are no name.
_PLAIN = (
    "a able about again all alone already also an and any as at attached back because been "
    "before being but by clear "
    "de del el en es esta está for from good here his in incorrect is it just la las le listed "
    "lo los me mi missing "
    "my no not now nothing of on one only or para pero please por que right same se so soon "
    "still su team that the "
    "their them then there they this to un una unas unos very was we what when who why will with "
    "wrong y ya you your "
    "atención cliente clientes customer customers help ayuda mucho mucha muchas bye antemano "
    "everyone folks again "
    "day support service services time attention assistance consideration tiempo respuesta "
    "pronto nada todo todos "
    "ayer hoy hace ha he al cuando como con sin muy mas más spelled misspelled said told "
    "sincerely respectfully truly cordially correct deeply clearly really actually currently "
    "fully only spelt saludos saludo gracias thanks regards "
    "bank cfpb sir madam señor señores señora"
)
_PLAIN_WORDS = frozenset(_PLAIN.split())
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁宋唐许韩冯邓曹彭曾肖田董袁潘蒋蔡余杜叶程苏魏吕丁沈姚卢"
    "姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤於"
)
# Thanks (谢谢, 感谢) and a class teacher (班主任) are no surnames.
_ZH_NAME = (
    r"(?:(?:欧阳|司马|上官|诸葛|司徒|东方|皇甫|尉迟)"
    rf"|(?<![谢感多致答])谢(?!谢)|(?<!主)任|[{_SURNAMES}])"
)
_ZH_GIVEN = r"[^\W\d_A-Za-z我你您他她它们的了是在来要住电今现投因为说和与之先]"
_ZH_TITLE = re.compile(
    rf"({_ZH_NAME}(?:{_ZH_GIVEN}){{0,2}})(?:先生|女士|小姐(?!姐)|太太|经理|师傅|老师)"
)
_ZH_CALLED = re.compile(
    rf"(?:我叫|叫做|名叫|名字是|名字叫|我是|本人)({_ZH_NAME}(?:{_ZH_GIVEN}){{1,2}})"
    rf"|(?:我姓|免贵姓|本人姓|姓)({_ZH_NAME})"
    rf"|(?:投诉人|姓名|联系人|收货人|收件人|署名|户名|签名)(?:[是为叫]|\s?[:：])\s?([\u3400-\u9fff]{{2,4}})"
)
_ZH_CLOSING = re.compile(
    rf"(?:此致|敬礼|敬上|谢谢)[!！。，,\s]{{0,4}}({_ZH_NAME}[\u3400-\u9fff]{{1,2}})[。\s]{{0,3}}\Z"
)


def _names(text: str) -> Iterator[Span]:
    for found in _TITLE.finditer(text):
        name = found[1]
        if _alone(text, found.start()) and not name.startswith(_PRODUCTS):
            yield found.start(1), found.start(1) + _name_length(name), "name"
    low = text.lower()
    if len(low) != len(text):  # a letter whose small form is two
        low = "".join(sign.lower()[0] for sign in text)
    if " mr" in low or low.startswith("mr"):
        yield from _quiet_titles(text)
    if "D." in text:
        for found in _TITLE_D.finditer(text):
            if _alone(text, found.start()):
                yield *found.span(1), "name"
    if any(word in low for word in _CALL_WORDS):
        yield from _called(text, low)
    if any(word in low for word in _CLOSE_WORDS):
        yield from _closings(text, low)


def _name_length(name: str) -> int:
    """Characters of a name; where all is in capitals no more than two words of it."""
    loud = _LOUD.match(name)
    return loud.end() if loud and name.isupper() and len(name) > 3 else len(name)


def _quiet_titles(text: str) -> Iterator[Span]:
    for found in _QUIET_TITLE.finditer(text):
        if _alone(text, found.start()) and _may_be_name(found[1]):
            yield *found.span(1), "name"


def _called(text: str, low: str) -> Iterator[Span]:
    for near, until in _windows(low, _CALL_WORDS, before=30, after=160):
        for form in (_CALLED, _I_AM):
            for found in form.finditer(text, near, until):
                begun, name = found.start(found.lastindex), found[found.lastindex]
                yield begun, begun + _name_length(name), "name"
        for found in _CALLED_QUIETLY.finditer(text, near, until):
            if size := _quiet_name(found):
                yield found.start(1), found.start(1) + size, "name"


def _windows(
    low: str, words: tuple[str, ...], *, before: int, after: int
) -> Iterator[tuple[int, int]]:
    """Around each place where one of the words stands, the stretch in which to look closer."""
    for word in words:
        at = low.find(word)
        while at >= 0:
            yield max(0, at - before), at + after
            at = low.find(word, at + 1)


def _quiet_name(found: re.Match[str]) -> int:
    """Characters of a name in small letters; 0 if the words are none."""
    if not _may_be_name(found[1]):
        return 0
    size = len(found[1])
    for word in found[2].split():
        if not _may_be_name(word):
            break
        size += 1 + len(word)
    return size


def _closings(text: str, low: str) -> Iterator[Span]:
    for near, until in _windows(low, _CLOSE_WORDS, before=10, after=160):
        for found in _CLOSING.finditer(text, near, until):
            if not _PLAIN_WORDS & set(found[1].lower().split()):
                yield found.start(1), found.start(1) + _name_length(found[1]), "name"
    last = max(0, len(text) - 160)
    if found := _LAST_WORDS.search(text[last:]):
        words = found[1].lower().replace(".", "").split()
        if not _PLAIN_WORDS & set(words) and not re.fullmatch("[xX]{2,}", words[0]):
            yield last + found.start(1), last + found.end(1), "name"


def _may_be_name(word: str) -> bool:
    """A word in small letters after "my name is": no small word, no participle, no publisher's "
    "XX."""
    return not (
        word in _PLAIN_WORDS
        or word.endswith(("ed", "ing", "ado", "ida", "ido"))
        or set(word) == {"x"}
    )


def _zh_names(text: str) -> Iterator[Span]:
    if text.isascii():
        return
    for form in (_ZH_TITLE, _ZH_CALLED, _ZH_CLOSING):
        for found in form.finditer(text):
            yield *found.span(found.lastindex), "name"
