"""What looks like personal data is found in every kind of output, and statistics are not."""

import csv
import html
import io
import json
import socket

import nbformat
import numpy as np
import pandas as pd
import pytest
from conftest import write_study

from sqm import scrub
from sqm.checks import Problem
from sqm.scrub import Known, scan

# Published examples and numbers of no one, each with the kind as which it is to be found.
PLANTED = {
    "ana.perez+x@mail.example.com": "e-mail",
    "ana (at) example (dot) com": "e-mail",
    "+34 600 111 222": "phone",
    "+1 (555) 010-1234": "phone",
    "0034-600-111-222": "phone",
    "(212) 555-0123": "phone",
    "212-555-0123": "phone",
    "600 11 12 22": "phone",
    "612 345 678": "phone",
    "55 1234 5678": "phone",
    "+52 1 55 1234 5678": "phone",
    "13812345678": "phone",
    "+86 138 1234 5678": "phone",
    "tel. 600111222": "phone",
    "4111 1111 1111 1111": "card",
    "4111111111111111": "card",
    "3782 822463 10005": "card",
    "ES91 2100 0418 4502 0005 1332": "account",
    "GB29NWBK60161331926819": "account",
    "12345678Z": "id",
    "12.345.678-Z": "id",
    "X1234567L": "id",
    "HEGG560427MVZRRL04": "id",
    "GODE561231GR8": "id",
    "11010519491231002X": "id",
    "078-05-1120": "id",
    "192.0.2.44": "network address",
    "2001:db8::ff00:42:8329": "network address",
    "00:1B:44:11:3A:B7": "network address",
    "calle Mayor 12": "address",
    "350 5th Avenue": "address",
    "建国路88号": "address",
    "/home/ana/sqm/out": "home folder",
    "C:\\Users\\Ana Gil\\out": "home folder",
    "/Users/ana/out": "home folder",
}
SENTENCE = "It was said: {} (once)."


def as_csv(said):
    file = io.StringIO()
    csv.writer(file).writerows([["what", "n"], ["nothing", 1], [said, 2]])
    return file.getvalue()


def notebook(said, where):
    cell = nbformat.v4.new_code_cell("1 + 1")
    data = {
        "text": {"text/plain": said},
        "page": {"text/html": f"<table><tr><td>{html.escape(said)}</td></tr></table>"},
        "picture": {"image/svg+xml": f"<svg><text>{html.escape(said)}</text></svg>"},
    }
    if where in data:
        cell.outputs = [nbformat.v4.new_output("execute_result", data[where])]
    elif where == "traceback":
        told = {"ename": "E", "evalue": "", "traceback": [f"\x1b[31mE\x1b[0m: {said}"]}
        cell.outputs = [nbformat.v4.new_output("error", **told)]
    elif where == "stream":
        cell.outputs = [nbformat.v4.new_output("stream", text=f"first\n{said}\n")]
    made = nbformat.v4.new_notebook(cells=[cell])
    if where == "metadata":
        made.metadata["papermill"] = {"parameters": {"goal": said}}
    return nbformat.writes(made)


WRITERS = {
    "a.csv": as_csv,
    "a.json": lambda said: json.dumps({"numbers": {"a": [1, said]}}, indent=1),
    "plain.json": lambda said: json.dumps({"a": said}, ensure_ascii=False),
    "a.html": lambda said: f"<html><body><p>One</p>\n<p>{html.escape(said)}</p></body></html>",
    "title.html": lambda said: f'<p><a title="{html.escape(said)}" href="#x">x</a></p>',
    "a.svg": lambda said: f"<svg><text>{html.escape(said)}</text></svg>",
    "drawn.svg": lambda said: f'<svg><!-- {said} -->\n<path d="M 1 2"/></svg>',
    "a.txt": lambda said: f"one\n{said}\n",
    "a.log": lambda said: said,
    ".holder": lambda said: said,
    **{
        f"{where}.ipynb": lambda said, where=where: notebook(said, where)
        for where in ("text", "page", "picture", "traceback", "stream", "metadata")
    },
}


@pytest.mark.parametrize("name", WRITERS)
def test_all_that_is_planted_is_found_in_every_kind_of_file(tmp_path, name):
    missed = []
    for n, (said, kind) in enumerate(PLANTED.items()):
        path = tmp_path / str(n) / name
        path.parent.mkdir()
        path.write_text(WRITERS[name](SENTENCE.format(said)), encoding="utf-8")
        found = scan(path)
        if [each.kind for each in found] != [kind]:
            missed.append((said, found))
        assert not any(said in each.shown for each in found)
        assert all(each.line for each in found)
    assert missed == []


@pytest.mark.parametrize("said", [s for s, k in PLANTED.items() if k != "address"])
def test_it_is_found_alone_in_a_cell(tmp_path, said):
    (tmp_path / "a.csv").write_text(as_csv(said), encoding="utf-8")
    assert [(each.kind, each.line) for each in scan(tmp_path)] == [(PLANTED[said], 3)]


@pytest.mark.parametrize(
    ("heading", "said", "kind"),
    [
        ("phone", "2125550123", "phone"),
        ("Teléfono móvil", "600111222", "phone"),
        ("电话", "01012345678", "phone"),
        ("ssn", "078051120", "id"),
        ("n", "600111222", None),
        ("cost_eur", "2125550123", None),
    ],
)
def test_digits_alone_are_told_by_their_heading(tmp_path, heading, said, kind):
    (tmp_path / "a.csv").write_text(f"{heading}\n{said}\n", encoding="utf-8")
    (tmp_path / "b.json").write_text(json.dumps({heading: int(said.lstrip("0") or 0)}))
    found = [each.kind for each in scan(tmp_path)]
    assert set(found) == ({kind} if kind else set())


@pytest.mark.parametrize(
    ("heading", "said", "kind"),
    [
        ("customer", "+34600111222", "phone"),
        ("phone", "+34600111222", "phone"),
        ("phone", "600111222.0", "phone"),
        ("paid", "4111111111111111.0", "card"),
        ("cost_eur", "600111222.0", None),
        ("change", "+600111", None),
        ("change", "-34600111222", None),
    ],
)
def test_a_number_with_a_plus_or_written_as_a_fraction_is_one(tmp_path, heading, said, kind):
    (tmp_path / "a.csv").write_text(f"{heading}\n{said}\n", encoding="utf-8")
    (tmp_path / "a.html").write_text(f"<p>{heading}: <b>{said}</b></p>", encoding="utf-8")
    bare = said if "+" in said else float(said)
    (tmp_path / "a.json").write_text(json.dumps({heading: bare}), encoding="utf-8")
    marked = {"a.csv", "a.json"} | ({"a.html"} if heading in ("customer", "paid") else set())
    found = {each.path: each.kind for each in scan(tmp_path) if each.path in marked}
    assert found == (dict.fromkeys(marked, kind) if kind else {})


@pytest.mark.parametrize("name", ["ana@example.com.csv", "4111111111111111/a.txt", "ana-gil.txt"])
def test_names_of_files_and_folders_are_looked_at(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("n")
    found = scan(tmp_path, known=Known(people={"Ana Gil": "own.agent"}))
    assert [(each.path, each.line) for each in found] == [(name, 0)]
    assert "in the name of the file" in found[0].shown


# --- what is not personal -------------------------------------------------------------------------

LOOK_ALIKES = """
2,884 of 130,873 contacts drew a complaint, 2.20 % (95% interval 2.05 to 2.37).
p = 0.0000123456789012, chi-squared 4111.11 on 1111 degrees, z = 1.9599639845400545
0.4111111111111111 and 5.500000000000004 and 4111111111111111.5
from 2025-09-26 to 2026-03-14, week 2025-12-29, at 2026-11-21T14:00:28.123456+00:00
doi:10.1080/10705510701301834 and doi:10.1007/s11747-014-0403-8, ISBN 978-0-13-468599-1
see ISO 7870-2:2013, 7th edition, pages 1234-1299
sha256 e54b75b24d91e3767814416279ebf387ce73b5c6ce13c212261adcb4f057a728
[612 345 678 901] and array([600, 111, 222])
   612 345 678   712 345 679
Linux-6.18.44-fc-v657-x86_64-with-glibc2.36, version 10.0.19045.2364, Python 3.11.7
numpy==2.4.6 papermill@2.7.0 figure@2x.png @needs %%needs @property
127.0.0.1 and 0.0.0.0 and ::1
4111 1111 1111 1112 and ES90 2100 0418 4502 0005 1332 and 12345678A
HEGG560427MVZRRL05 and GODE561231GR9 and 110105194912310021
1234567890 rows, 9876543210 bytes, seed 20250114
50 EUR a day, 1.234.567,89 €, $1,200,000.00, 24/7, 10:30-14:00
a street with 12 shops, 3 avenues of approach, the road to 2030
/home page, /Users guide, C:\\data\\out, /tmp/out/.running/2-measure.ipynb
T00:00:00 12:30:45 1:2:3
"""


@pytest.mark.parametrize("line", LOOK_ALIKES.strip("\n").split("\n"))
def test_a_look_alike_is_passed_over(tmp_path, line):
    (tmp_path / "a.txt").write_text(line, encoding="utf-8")
    (tmp_path / "a.json").write_text(json.dumps({"sentence": line}))
    (tmp_path / "a.html").write_text(f"<p>{html.escape(line)}</p>", encoding="utf-8")
    assert scan(tmp_path) == []


def test_tables_of_statistics_are_passed_over(tmp_path):
    """60,000 figures of six sorts: written as CSV, as JSON, and as a notebook prints them."""
    rng = np.random.default_rng(7)
    table = pd.DataFrame(
        {
            "estimate": rng.normal(size=10_000),
            "share": rng.uniform(size=10_000).round(3),
            "n": rng.integers(0, 2_000_000_000, 10_000),
            "cost_eur": rng.lognormal(12, 2, 10_000).round(2),
            "period": np.datetime64("2020-01-06") + 7 * rng.integers(0, 300, 10_000),
            "unit": rng.choice(["N1", "S2", "C3"], 10_000),
        }
    )
    table.to_csv(tmp_path / "a.csv", index=False)
    table.to_json(tmp_path / "a.json", orient="records", date_format="iso")
    text = table.head(2000).to_string()
    (tmp_path / "a.ipynb").write_text(notebook(text, "text"), encoding="utf-8")
    (tmp_path / "a.html").write_text(table.head(2000).to_html(), encoding="utf-8")
    assert scan(tmp_path) == []


# --- what a study knows ---------------------------------------------------------------------------


def test_values_of_personal_columns_are_looked_for(tmp_path):
    known = Known(people={"Ana Gil": "own.agent", "Grace": "own.agent", "C-00123": "own.customer"})
    (tmp_path / "a.csv").write_text("who,n\nana gil,1\nx (Ana Gil),2\nC-00123,3\n")
    (tmp_path / "b.txt").write_text("A grace period of Gil, Ana\n")
    found = scan(tmp_path, known=known)
    assert [(each.line, each.kind, each.shown) for each in found] == [
        (2, "personal", "a value of own.agent"),
        (3, "personal", "a value of own.agent"),
        (4, "personal", "a value of own.customer"),
    ]


MARKED = Known(
    people=dict.fromkeys(
        ["Ana Gil", "Bo Li", "Grace", "O'Brien", "王小明", "600111222"], "own.agent"
    )
)


@pytest.mark.parametrize(
    "said",
    [
        "1;Ana Gil;2",
        "Ana Gil's calls",
        "agent=Ana Gil",
        "of Cy Oz/Bo Li",
        "{'Ana Gil':3}",
        "ANA GIL called",
        "by ana  gil, twice",
        "by_Ana_Gil_in",
        "by Grace.",
        "GRACE called",
        "told O'Brien: no",
        "O’Brien’s",
        "客户王小明投诉",
        "客户 王小明 投诉",
        "account 600111222.0 of",
        "600111222.0",
    ],
)
def test_marked_values_are_found_within_a_text(tmp_path, said):
    (tmp_path / "a.txt").write_text(f"one\n{said}\n", encoding="utf-8")
    found = scan(tmp_path, known=MARKED)
    assert [(each.kind, each.line) for each in found] == [("personal", 2)]


@pytest.mark.parametrize(
    "said",
    [
        "a grace period",
        "Ana, Gil",
        "Anabel Gil",
        "Ana Gila",
        "0.600111222 of them",
        "1,600111222 and 600111222.25",
        "王小 明白",
        "x600111222",
    ],
)
def test_what_only_holds_a_marked_value_is_passed_over(tmp_path, said):
    (tmp_path / "a.txt").write_text(f"so: {said}\n", encoding="utf-8")
    assert scan(tmp_path, known=MARKED) == []


WORDS = "The engineer came an hour late and then told me that he had no ladder with him."


def test_customers_own_words_are_found_where_eight_stand_in_a_row(tmp_path):
    known = Known(
        texts=[
            (WORDS, "complaints.text"),
            ("等" * 5 + "了三个小时也没有人来处理我的投诉请尽快", "zh"),
        ]
    )
    (tmp_path / "eight.txt").write_text("engineer came an hour LATE, and  then told - he said")
    (tmp_path / "seven.txt").write_text("engineer came an hour late and then he")
    (tmp_path / "drawn.svg").write_text("<svg><!-- came an hour late and then told me --></svg>")
    (tmp_path / "zh.csv").write_text(
        "t\n有顾客说：了三个小时也没有人来处理我的投诉。\n", encoding="utf-8"
    )
    found = scan(tmp_path, known=known)
    assert [each.path for each in found] == ["drawn.svg", "eight.txt", "zh.csv"]
    assert {each.kind for each in found} == {"own words"}
    assert not any("engineer" in each.shown for each in found)


PERSONAL = """\
  own:
    path: data/own.csv
    roles: {agent: {column: a, type: category, personal: true}, text: {column: t, type: text}}
"""


@pytest.fixture
def written(project):
    """Outputs of a study as a run would leave them, and its sources at hand."""
    write_study(project, "tiny", PERSONAL)
    rows = pd.DataFrame({"a": ["Ana Gil", "7", "Ana"], "t": [WORDS, "", ""]})
    rows.to_csv(project / "data" / "own.csv", index=False)
    place = project / "out" / "tiny"
    place.mkdir(parents=True)
    (place / "run.json").write_text('{"study": "tiny"}')
    return project, place


def test_a_study_at_hand_is_compared_with_by_itself(written):
    project, place = written
    lines, code = scrub.scrub(place, root=project)
    assert code == 0
    assert lines[0] == "Nothing was found that looks like personal data."
    assert "tiny: 1 values of own.agent were not looked for" in lines[1]
    assert "tiny: 1 values of own.agent were looked for only where they stand alone" in lines[2]
    (place / "a.csv").write_text(f'who,said\nAna Gil,"{WORDS}"\n')
    lines, code = scrub.scrub(project / "out", root=project)
    assert code == 3
    assert lines[:2] == [
        "tiny/a.csv, line 2: own words: at least 8 words in a row of a text in own.text",
        "tiny/a.csv, line 2: personal: a value of own.agent",
    ]
    assert "own words: 1 in 1 file. Whoever wrote them" in lines[2]
    assert not any("Ana" in line or "ladder" in line for line in lines)


def test_a_study_that_is_not_at_hand_is_said_to_be_missing(tmp_path, project):
    (project / "out").mkdir()
    (project / "out" / "run.json").write_text('{"study": "gone"}')
    lines, code = scrub.scrub(project / "out", root=project)
    assert code == 0
    assert any("gone: its own values were not looked for" in line for line in lines)
    with pytest.raises(Problem, match="There is no folder"):
        scrub.scrub(project / "nowhere", root=project)


# --- files ----------------------------------------------------------------------------------------


def test_what_is_no_text_is_listed_and_secrets_are_looked_for_in_every_byte(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\x00\xff canary-7 \xfe")
    (tmp_path / "wide.csv").write_bytes("who\nana@example.com\n".encode("utf-16"))
    found = scan(tmp_path, secrets=["canary-7", ""])
    assert [(each.path, each.kind) for each in found] == [
        ("a.png", "not examined"),
        ("a.png", "secret"),
        ("wide.csv", "e-mail"),
    ]
    (tmp_path / "wide.csv").unlink()
    lines, code = scrub.scrub(tmp_path, root=tmp_path)
    assert code == 0
    assert lines[0] == "a.png: not examined: 17 bytes that are no text"
    assert "not examined: 1 in 1 file. It is no text that can be read here." in lines[1]


def test_a_file_that_is_not_what_it_says_is_read_line_by_line(tmp_path):
    (tmp_path / "cut.json").write_text('{"a": "ana@example.com", "b')
    (tmp_path / "torn.csv").write_text('a,b\n"ana@example.com,1\nx')
    (tmp_path / "torn.html").write_text("<p <a>ana@example.com <td title='")
    assert [each.kind for each in scan(tmp_path)] == ["e-mail"] * 3


def test_hosts_are_found_where_a_record_names_one(tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "desk-17.example")
    scrub._own_name.cache_clear()
    scrub._by_form.cache_clear()
    (tmp_path / "run.json").write_text('{"host": "north", "machine": "Linux on desk-17.example"}')
    (tmp_path / ".holder").write_text("process 123 on south")
    assert [each.kind for each in scan(tmp_path)] == ["host"] * 3
    scrub._own_name.cache_clear()
    scrub._by_form.cache_clear()


def test_much_of_a_kind_is_told_in_a_few_lines(tmp_path):
    rows = [f"ana{n}@example.com" for n in range(50)]
    (tmp_path / "a.csv").write_text("\n".join(["who", *rows, rows[0]]))
    assert scan(tmp_path)[0].times == 2
    lines, _ = scrub.scrub(tmp_path, root=tmp_path)
    assert lines[0] == "a.csv, line 2: e-mail, 2 times: a… (16 characters)"
    assert lines[3] == "a.csv: e-mail: 47 more"
    assert lines[4].startswith("e-mail: 50 in 1 file. It reaches one person. To mend: ")
