"""What could name a person is hidden, what could not stays, and a long text takes no longer."""

import sys

import numpy as np
import pandas as pd
import pytest

from sqm.masking import KINDS, mask, masked_counts, spans


def masked(text):
    return mask(pd.Series([text]))[0]


# --- one of each ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("write to Ana.Perez+x@mail.example.com!", "write to [e-mail]!"),
        ("请发到abc@example.com联系", "请发到[e-mail]联系"),
        ("ana (at) example (dot) com", "[e-mail]"),
        ("escribe a ana arroba example punto com", "escribe a [e-mail]"),
        ("follow @ana_perez.", "follow [name]."),
        ("微信号：ana_perez88", "微信号：[name]"),
        ("call +34 600 111 222.", "call [phone]."),
        ("call (555) 010-1234", "call [phone]"),
        ("tel. 0034-600-111-222", "tel. [phone]"),
        ("手机13812345678谢谢", "手机[phone]谢谢"),
        ("手机１３８１２３４５６７８谢谢", "手机[phone]谢谢"),
        ("电话 +86 138 1234 5678", "电话 [phone]"),
        ("dial 6 0 0 1 1 1 2 2 2", "dial [phone]"),
        ("marca 55 1234 5678", "marca [phone]"),
        ("dial 600\u200b111\u200b222 now", "dial [phone] now"),
        ("card 4111 1111 1111 1111", "card [card]"),
        ("4111111111111111 12/25", "[card] 12/25"),
        ("DNI 12345678Z", "DNI [id]"),
        ("mi dni es 12.345.678-z", "mi dni es [id]"),
        ("NIE X1234567L", "NIE [id]"),
        ("SSN 078-05-1120", "SSN [id]"),
        ("my SSN is 078051120", "my SSN is [id]"),
        ("CURP HEGG560427MVZRRL04", "CURP [id]"),
        ("RFC: gode561231gr8", "RFC: [id]"),
        ("passport AB1234567", "passport [id]"),
        ("pasaporte: G12345678", "pasaporte: [id]"),
        ("matrícula 1234 BCD", "matrícula [id]"),
        ("placas ABC-12-34", "placas [id]"),
        ("车牌京A12345", "车牌[id]"),
        ("身份证11010519491231002X", "身份证[id]"),
        ("IBAN ES91 2100 0418 4502 0005 1332 from", "IBAN [account] from"),
        ("GB29NWBK60161331926819", "[account]"),
        ("CLABE 032180000118359719", "CLABE [account]"),
        ("my account number is 12345678", "my account number is [account]"),
        ("contrato AB-1234567", "contrato [number]"),
        ("order 1234567", "order [number]"),
        ("parcel 1Z999AA10123456784", "parcel [number]"),
        ("from 192.168.14.2, at", "from [link], at"),
        ("from 2001:db8::ff00:42:8329 at", "from [link] at"),
        ("see https://shop.example.com/orders?id=7.", "see [link]."),
        ("www.facebook.com/ana.perez", "[link]"),
        ("I met Mr. John O'Neil-Smith there", "I met Mr. [name] there"),
        ("mr smith said no", "mr [name] said no"),
        ("MRS JONES CALLED ME", "MRS [name] ME"),
        ("la Sra. María de la Cruz López vino", "la Sra. [name] vino"),
        ("Don José Pérez", "Don [name]"),
        ("D. Juan Gil Ruiz", "D. [name]"),
        ("My name is Ana Gil and", "My name is [name] and"),
        ("my name is ana gil and", "my name is [name] and"),
        ("Me llamo Ana, y", "Me llamo [name], y"),
        ("soy Ana Gil, cliente", "soy [name], cliente"),
        ("Regards, Ana Gil", "Regards, [name]"),
        ("Help me.\nThanks,\nana", "Help me.\nThanks,\n[name]"),
        ("Atentamente, Luis Gómez. 600111222", "Atentamente, [name]. [phone]"),
        ("我叫王小明，要投诉", "我叫[name]，要投诉"),
        ("我姓李。", "我姓[name]。"),
        ("找张先生和欧阳女士", "找[name]先生和[name]女士"),
        ("收货人：王小明", "收货人：[name]"),
        ("vivo en la calle Mayor 12, 3º B", "vivo en la [address]"),
        ("Av. de la Constitución nº 100, Madrid", "[address], Madrid"),
        ("I live at 12 Main Street, Apt 4B, and", "I live at [address], and"),
        ("at 350 5th Avenue", "at [address]"),
        ("PO Box 1234", "PO Box [address]"),
        ("我住在北京市朝阳区建国路88号3号楼1201室", "我住在[address]"),
        ("C.P. 06600", "C.P. [address]"),
        ("我住在calle tres encinas 86。", "我住在[address]。"),
        ("vivo en el paseo del molino 39.", "vivo en el [address]."),
        ("送餐的谢师傅很好", "送餐的[name]师傅很好"),
    ],
)
def test_each_kind_is_hidden(said, kept):
    assert masked(said) == kept


LOOK_ALIKES = """
on 2025-03-14 at 12:30
on 14/03/2025 and 14.03.25
del 01/02/2023 al 03/04/2023
from 06/01/2023-07/01/2023
2025年3月14日下午3点
3月14号线路故障
between 2019 and 2023
in 2019 2020 2021
the years 2022-2023
curso 2022/2023
open 10.30-14.00
open 09:00-17:30
24/7
at 9 a.m. for 45 minutes, twice
after 3 hours and 20 minutes
paid 1.234.567,89 € and $1,200,000.00
paid 1234567 pesos
paid USD 1234567 for it
cobraron 123456 euros
付了1234567元
花了100000块钱
¥123456
US$ 100000
costs $35.00 $12.50
a fee of $10 after 30 days
15 U.S.C. 1681
15 USC 1681s-2(b)
12 CFR 1022.43(e)(1)
12 CFR 1024.35
Ley 1480 de 2011
Ley 39/2015
Real Decreto 1/2007
Directiva 2011/83/UE
Reglamento (UE) 2016/679
§ 1692g
Section 609
Article 15
第100000条
Windows 11
iPhone 15 Pro Max
Galaxy S23 Ultra
a 600 Mbps line
600/600 Mb de fibra
10000 MB
1000000 points
version 10.0.19.1
30-60-90 days
30/60/90
three of 24/48/72
1 2 3 4 5 6 7 8 9
score 720
room 12 45
99.99 % of the time
100.000000%
3.14159
0.123456789
2.500.000 usuarios
1.200.000 clientes
XXXX told me on XX/XX/2023
XX/XX/XXXX
Mr. XXXX XXXX called
Sincerely, XXXX XXXX
account ending in 1234
the last four 4321
account number XXXX XXXX
card XXXX XXXX XXXX 1234
my name is on the account
my name is not listed
my name is misspelled
my name is attached to it
me llamo la atención
me llamo un agente
Dr Pepper
Miss you all
Don't call me
don't Call Me
Thank you for your time
Thanks, the team
Gracias por su ayuda
Regards
Saludos, gracias
soy cliente desde hace años
I am Spanish, and
This is Wrong Information and
I work in a call centre
24 hour drive
2 days in court
3 way call
2 miles down the road
la calle durante 3 días
el paseo de 2 horas
plaza de 3 personas
es de 4 plazas
un camino de 20 km
我叫了外卖等了2小时
我叫他来
客服小姐姐很好
这位先生很好
前台小姐姐
谢谢师傅
感谢快递师傅
班主任老师
el camino del trabajo 2 horas
老先生
高速路3号线
等了30分钟
www.consumerfinance.gov
https://www.consumerfinance.gov/complaint
meet me at five
12:30:45
ID
DNI
passport
call 911
dial 112 or 1004
PIN 1234
U.S. 50
100 %
R2-D2
COVID-19
Netflix 4K
3G, 4G and 5G
Form 1099
1099-C
W-2
401(k)
FCRA 609
""".strip().splitlines()  # fmt: skip


def test_look_alikes_stay():
    changed = {said: masked(said) for said in LOOK_ALIKES if masked(said) != said}
    assert len(LOOK_ALIKES) >= 100
    assert changed == {}


# --- many planted, with check digits made here ----------------------------------------------------


def digits(rng, n):
    return "".join(map(str, rng.integers(0, 10, n)))


def luhn(body):
    doubled = [2 * int(d) for d in body[::-2]]
    total = sum(map(int, body[-2::-2])) + sum(d - 9 if d > 9 else d for d in doubled)
    return body + str(-total % 10)


def born(rng, *, century=False):
    day = f"{rng.integers(1, 13):02d}{rng.integers(1, 29):02d}"
    return f"{rng.choice(['19', '20']) if century else ''}{rng.integers(10, 99)}{day}"


def dni(rng):
    n = int(digits(rng, 8))
    return f"{n:08d}{rng.choice(['', '-', ' '])}{'TRWAGMYFPDXBNJZSQVHLCKE'[n % 23]}"


def nie(rng):
    n, first = int(digits(rng, 7)), int(rng.integers(0, 3))
    letter = "TRWAGMYFPDXBNJZSQVHLCKE"[(first * 10_000_000 + n) % 23]
    return f"{'XYZ'[first]}{rng.choice(['', '-'])}{n:07d}{letter}"


def iban(rng, country, body):
    number = int("".join(str(int(sign, 36)) for sign in f"{body}{country}00"))
    said = f"{country}{98 - number % 97:02d}{body}"
    return " ".join(said[i : i + 4] for i in range(0, len(said), 4)) if rng.random() < 0.5 else said


def resident(rng):
    body = f"{rng.integers(11, 65)}{digits(rng, 4)}{born(rng, century=True)}{digits(rng, 3)}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11]


def curp(rng):
    names = "".join(rng.choice(list("BCDFGHJKLM"), 4))
    body = f"{names[0]}A{names[1:3]}{born(rng)}{rng.choice(['H', 'M'])}DF{names[1:4]}0"
    order = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
    total = sum(order.index(sign) * (18 - i) for i, sign in enumerate(body))
    return body + str(-total % 10)


def clabe(rng):
    body = digits(rng, 17)
    total = sum(int(d) * w % 10 for d, w in zip(body, (3, 7, 1) * 6, strict=False))
    return body + str(-total % 10)


def card(rng):
    said = luhn(rng.choice(["4", "51", "62", "2720"]) + digits(rng, 12))
    said = luhn(said[:15])
    parts = [said[i : i + 4] for i in range(0, 16, 4)]
    return str(rng.choice(["", " ", "-"])).join(parts)


def phones(rng):
    d = digits(rng, 20).replace("0", "7")
    return [
        f"+34 6{d[:2]} {d[2:5]} {d[5:8]}",
        f"6{d[:8]}",
        f"9{d[0]} {d[1:4]} {d[4:6]} {d[6:8]}",
        f"({d[:3]}) {d[3:6]}-{d[6:10]}",
        f"{d[:3]}-{d[3:6]}-{d[6:10]}",
        f"+1 {d[:3]}.{d[3:6]}.{d[6:10]}",
        f"1-800-{d[:3]}-{d[3:7]}",
        f"+52 1 55 {d[:4]} {d[4:8]}",
        f"55 {d[:4]} {d[4:8]}",
        f"1{3 + int(d[0]) % 7}{d[1:10]}",
        f"+86 13{d[0]} {d[1:5]} {d[5:9]}",
        f"010-{d[:8]}",
    ]


def planted(rng):
    """Identifiers of every kind that has a form: kind and text."""
    letters = "".join(rng.choice(list("ABCDEFGH"), 6))
    return [
        *(("phone", each) for each in phones(rng)),
        ("e-mail", f"{letters.lower()}.{digits(rng, 2)}@mail.example.org"),
        ("card", card(rng)),
        ("account", iban(rng, "ES", digits(rng, 20))),
        ("account", iban(rng, "GB", "NWBK" + digits(rng, 14))),
        ("account", iban(rng, "DE", digits(rng, 18))),
        ("account", clabe(rng)),
        ("id", f"{rng.integers(100, 665)}-{rng.integers(10, 99)}-{rng.integers(1000, 9999)}"),
        ("id", f"9{digits(rng, 2)}-7{digits(rng, 1)}-{rng.integers(1000, 9999)}"),
        ("id", dni(rng)),
        ("id", nie(rng)),
        ("id", curp(rng)),
        ("id", f"{letters[:1]}A{letters[1:3]}{born(rng)}{letters[4]}{digits(rng, 2)}"),
        ("id", f"{letters}{born(rng)}09H{digits(rng, 3)}"),
        ("id", resident(rng)),
        ("id", f"11{digits(rng, 4)}{born(rng)}{digits(rng, 3)}"),
        ("number", f"{rng.integers(100_000, 999_999)}"),
        ("number", f"{letters[:2]}-{rng.integers(1_000_000, 9_999_999)}"),
    ]


SAID = (
    "I gave them {} and nobody called me back.",
    "Les di {} y nadie me ha llamado.",
    "我已经提供了{}，没有人联系我。",
    "{}",
)


def test_planted_identifiers_of_every_kind_are_found():
    rng = np.random.default_rng(20)
    rows = [
        (kind, said, SAID[i % 4].format(said)) for i in range(12) for kind, said in planted(rng)
    ]
    assert len(rows) > 300
    hidden = mask(pd.Series([text for _, _, text in rows]))
    left = [
        (said, text)
        for (_, said, given), text in zip(rows, hidden, strict=True)
        if not any(text == sentence.format(f"[{kind}]") for kind in KINDS for sentence in SAID)
    ]
    assert len(left) <= 0.01 * len(rows), left
    unlike = [
        (kind, said, text)
        for (kind, said, _), text in zip(rows, hidden, strict=True)
        if f"[{kind}]" not in text
    ]
    assert len(unlike) < 0.05 * len(rows), unlike


def test_check_digits_tell_a_card_from_a_number():
    assert masked("4111 1111 1111 1111") == "[card]"
    assert masked("4111 1111 1111 1112") == "[number]"
    assert masked("ES91 2100 0418 4502 0005 1332") == "[account]"
    assert "[account]" not in masked("ES92 2100 0418 4502 0005 1332")
    assert masked("12345678Z 12345678A") == "[id] [number]"


def test_counts_say_how_many_of_each_were_hidden():
    texts = pd.Series(["ana@example.com", None, "Mr Gil, 600111222 and bo@example.com", "nothing"])
    counts = masked_counts(texts)
    assert counts.to_dict("list") == {"kind": ["e-mail", "phone", "name"], "found": [2, 1, 1]}
    assert masked_counts(pd.Series(["nothing"], dtype="str")).to_dict("list") == {
        "kind": [],
        "found": [],
    }


def test_masking_twice_changes_nothing_more():
    rng = np.random.default_rng(3)
    texts = pd.Series([SAID[i % 4].format(said) for i, (_, said) in enumerate(planted(rng))])
    texts = pd.concat([texts, pd.Series(LOOK_ALIKES)], ignore_index=True)
    pd.testing.assert_series_equal(mask(mask(texts)), mask(texts))


def test_what_stands_beside_is_left_as_it_was():
    said = "👩\u200d💻 ｗｒｏｎｇ １２ ‘x’ مرحبا ana@example.com \u202b٣ أيام"
    assert masked(said) == said.replace("ana@example.com", "[e-mail]")
    assert mask(pd.Series([None, "", "x"], dtype="str")).fillna("-").tolist() == ["-", "", "x"]


# --- a long text takes no longer ------------------------------------------------------------------

LONG = (
    "a", "1", "1 ", "a.", "$1,", "-", "(", "1-", "@", "a@", "Mr A", "XX", "王", "路1号", "calle a ",
    "A1", "1a", "http://", "regards, ", ":a", "Ana ", "1 Ana ", "my name is ", "soy A ", "\u200b1",
)  # fmt: skip


def steps(text):
    """How many lines of the room and calls of Python's own a text takes."""
    count = 0

    def seen(frame, event, arg):
        nonlocal count
        count += 1
        return seen

    before = sys.gettrace()
    sys.settrace(seen)
    try:
        spans(text)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("word", LONG)
def test_steps_grow_no_faster_than_the_text(word):
    short, long = steps(word * 300), steps(word * 1200)
    assert long <= 4.5 * short + 200
