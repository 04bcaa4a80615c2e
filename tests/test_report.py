"""The report on shelves made here: what stands where, and what can never happen on the page."""

import base64
import hashlib
import json
import re
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from sqm import look
from sqm.checks import Problem
from sqm.report import Head, render

HEAD = Head(
    study="clinic",
    title="Waiting and complaints at a made-up clinic",
    organisation="Clínica Inventada, S.A.",
    author="A. Author",
    date="2026-01-15",
    currency="EUR",
    time_zone="Europe/Madrid",
    week="ISO week, Monday to Sunday; part weeks left out",
    version="0.1.0",
)
CATEGORIES = ["waiting time", "billing", "tone of voice", "parking"]
VOID = {"meta", "img", "br", "hr", "input", "link", "base", "col", "embed", "source"}


class Page(HTMLParser):
    """Elements in order, each with its attributes and the text inside it."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "attrs": dict(attrs), "text": ""}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open[-1]["tag"] == tag, f"</{tag}> closes <{self.open[-1]['tag']}>"
        self.open.pop()

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, *tags):
        return [each for each in self.elements if each["tag"] in tags]

    def texts(self, *tags):
        return [" ".join(each["text"].split()) for each in self.all(*tags)]

    def by_id(self, name):
        return next(each for each in self.elements if each["attrs"].get("id") == name)


@cache
def picture():
    """Four complaints as the house draws them."""
    table = estimates(*CATEGORIES)
    with mpl.rc_context():
        look.apply()
        figure = Figure()
        look.dots(figure.subplots(), table, names=CATEGORIES)
        return look.svg(figure)[0]


def keep(folder, phase, name, table, *, svg=None, **record):
    """Put one finding on its shelf and enter it in the phase's record."""
    shelf = folder / phase
    shelf.mkdir(parents=True, exist_ok=True)
    found = {
        "name": name,
        "phase": phase,
        "question": f"What about {name}?",
        "sentence": f"The sentence of {name}.",
        "numbers": {},
        "method": "sqm.methods.voice.Pareto",
        "answer": "",
        "columns": {column: str(kind) for column, kind in table.dtypes.items()},
        "picture_notes": [],
        "settings": {},
    }
    table.to_csv(shelf / f"{name}.csv", index=False)
    (shelf / f"{name}.json").write_text(json.dumps({**found, **record}), encoding="utf-8")
    if svg is not None:
        (shelf / f"{name}.svg").write_bytes(svg)
    files = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for kind in ("csv", "json", "svg")
        if (file := shelf / f"{name}.{kind}").is_file()
    }
    close(
        folder, phase, kept=[*phase_record(folder, phase)["kept"], {"name": name, "files": files}]
    )


def phase_record(folder, phase):
    file = folder / phase / "phase.json"
    if file.is_file():
        return json.loads(file.read_text(encoding="utf-8"))
    return {
        "study": "clinic",
        "phase": phase,
        "parameters": {"study": "clinic", "confidence": 0.95, "seed": 20260115},
        "read": [],
        "kept": [],
        "not_examined": [],
        "versions": {"sqm": "0.1.0", "python": "3.11.7", "pandas": "3.1.1"},
    }


def close(folder, phase, **changes):
    record = {**phase_record(folder, phase), **changes}
    (folder / phase).mkdir(parents=True, exist_ok=True)
    (folder / phase / "phase.json").write_text(json.dumps(record), encoding="utf-8")


def estimates(*names):
    middle = np.linspace(0.31, 0.04, len(names))
    return pd.DataFrame(
        {"category": names, "estimate": middle, "low": middle - 0.021, "high": middle + 0.024}
    )


READ = {
    "table": "complaints",
    "file": "data/clinic/complaints.csv",
    "sha256": "0123456789abcdef" * 4,
    "rows": 2618,
    "notes": [
        {
            "column": "closed",
            "what": "closed before it was opened",
            "rows": 3,
            "treatment": "the closing date is taken as blank",
        }
    ],
}


@pytest.fixture
def folder(tmp_path):
    """A study of three phases; Improve and Control were not carried out."""
    study = tmp_path / "clinic"
    pareto = estimates(*CATEGORIES)
    keep(
        study,
        "define",
        "voice",
        pareto,
        svg=picture(),
        question="What do customers complain of?",
        sentence="Waiting time is 31.0 % of complaints (95% interval 28.9 to 33.4), n = 2,618.",
        answer="What do customers complain of?",
        numbers={"confidence": 0.95, "complaints": 2618, "leads": ["waiting time", "billing"]},
    )
    weeks = pd.DataFrame(
        {
            "week": pd.date_range("2025-01-06", periods=51, freq="7D"),
            "contacts": np.arange(1900, 1951),
            "wait_s": np.linspace(61.23456, 98.7, 51),
            "signal": [True] + [False] * 50,
            "note": ["", *["steady"] * 50],
        }
    )
    keep(study, "measure", "baseline", weeks, svg=picture(), answer="Was it steady?")
    keep(study, "measure", "alpha", estimates("polite", "patient", "listens"))
    keep(study, "analyse", "drivers", pareto, answer="What do customers complain of?")
    close(
        study,
        "define",
        read=[READ],
        parameters={"ctqs": [{"name": "wait", "hours": [8, 9], "limit": 60}]},
    )
    close(
        study,
        "measure",
        read=[READ],
        not_examined=[
            {
                "question": "Do two coders agree?",
                "reason": "coders has 0 usable rows.",
                "mend": "let two people code 100 complaints.",
            }
        ],
    )
    (study / "measure" / "2-measure.ipynb").write_text("{}", encoding="utf-8")
    return study


@pytest.fixture
def page(folder):
    return Page(render(folder, head=HEAD))


# What stands where


def test_the_answers_come_first_in_the_order_of_the_phases(page):
    questions = page.texts("dt")[:2]
    assert questions == ["What do customers complain of?", "Was it steady?"]
    answers = page.texts("dd")
    assert answers[0].startswith("Waiting time is 31.0 %") and answers[0].endswith("→ 1.1")
    assert (
        answers[1] == "The sentence of drivers. → 3.1"
    )  # answers the same question: stands with it
    assert answers[2] == "The sentence of baseline. → 2.1"
    order = [page.elements.index(page.by_id(place)) for place in ("answers", "contents", "define")]
    assert order == sorted(order)


def test_what_was_not_examined_is_counted_and_listed(page):
    first_screen = " ".join(page.by_id("answers")["text"].split())
    assert "1 question that the data could not bear" in first_screen
    assert "2 phases not carried out (Improve, Control)" in first_screen
    listed = " ".join(page.by_id("not-examined")["text"].split())
    assert "Do two coders agree?" in listed and "let two people code 100 complaints." in listed
    assert "This phase was not carried out." in page.by_id("improve")["text"]


def test_questions_with_one_cause_stand_together(folder):
    path = folder / "measure" / "phase.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    why = {"reason": "the study has no table 'survey'", "mend": "name the table."}
    record["not_examined"] = [
        {"question": each, **why} for each in ("Who answered?", "Is it alpha?")
    ]
    path.write_text(json.dumps(record), encoding="utf-8")
    page = Page(render(folder, head=HEAD))
    listed = " ".join(page.by_id("not-examined")["text"].split())
    assert listed.count("the study has no table 'survey'") == 1
    assert "Who answered?" in listed and "Is it alpha?" in listed
    assert "2 questions that the data could not bear" in page.by_id("answers")["text"]


def test_a_phase_that_broke_off_is_not_reported_as_done(folder):
    keep(folder, "control", "charts", estimates("a"))
    (folder / "control" / "phase.json").unlink()
    page = Page(render(folder, head=HEAD))
    assert "begun and did not end" in page.by_id("control")["text"]
    assert "charts" not in page.by_id("control")["text"]


def test_alarms_are_counted_only_where_somebody_watched(folder, page):
    assert "alarm" not in page.by_id("answers")["text"].lower()
    keep(folder, "control", "charts", estimates("a"), numbers={"alarms": 2})
    assert "2 alarms under" in Page(render(folder, head=HEAD)).by_id("answers")["text"]


def test_a_study_without_shelves_still_has_a_page(tmp_path):
    page = Page(render(tmp_path / "nothing", head=HEAD))
    assert "5 phases not carried out" in page.by_id("answers")["text"]


def test_a_long_table_shows_its_first_rows_and_says_how_many_more(page):
    baseline = page.by_id("measure/baseline")["text"]
    assert "The first 20 of 51 rows; 31 more stand in the CSV." in " ".join(baseline.split())
    assert "2025-05-19" in baseline and "2025-05-26" not in baseline  # the 20th and 21st Monday


@pytest.mark.parametrize("rows, folded", [(12, False), (13, True)])
def test_a_table_of_more_than_twelve_rows_is_folded(tmp_path, rows, folded):
    keep(tmp_path, "define", "counts", pd.DataFrame({"count": range(rows)}))
    page = Page(render(tmp_path, head=HEAD))
    assert any("Table 1" in text for text in page.texts("summary")) == folded


def test_numbers_that_are_names_keep_their_digits_together(tmp_path):
    table = pd.DataFrame({"site": ["a"], "year": [2025], "contact_id": [10**19 + 1], "n": [2025]})
    keep(tmp_path, "define", "names", table)
    page = Page(render(tmp_path, head=HEAD))
    assert page.texts("td")[:3] == ["2025", "10000000000000000001", "2,025"]


def test_numbers_are_written_for_a_reader(page):
    cells = page.texts("td")
    assert "1,900" in cells and "61.2" in cells and "yes" in cells  # not 61.23456, not True
    assert "wait (s)" in page.texts("th")
    assert "2,618" in page.by_id("data")["text"]


def test_an_estimate_and_its_limits_have_the_same_decimals(folder):
    table = pd.DataFrame({"item": ["a"], "estimate": [12.5], "low": [0.51], "high": [140.25]})
    keep(folder, "improve", "saving", table)
    cells = Page(render(folder, head=HEAD)).texts("td")
    assert {"12.5", "0.5", "140.2"} <= set(cells)


def test_a_missing_value_is_a_dash_and_explained(folder):
    keep(folder, "improve", "gaps", pd.DataFrame({"site": ["a", "b"], "wait_s": [np.nan, 2.5]}))
    page = Page(render(folder, head=HEAD))
    article = next(each for each in page.all("article") if each["attrs"]["id"] == "improve/gaps")
    assert "– : no value." in article["text"]
    assert "nan" not in article["text"].lower() and "–" in page.texts("td")


@pytest.mark.parametrize(
    "table", [pd.DataFrame(), pd.DataFrame({"site": [], "wait_s": []})], ids=["bare", "headed"]
)
def test_an_empty_table_is_said_to_be_empty(folder, table):
    keep(folder, "improve", "none", table)
    assert "has no rows" in Page(render(folder, head=HEAD)).by_id("improve/none")["text"]


def test_a_missing_picture_leaves_the_rest(folder):
    (folder / "define" / "voice.svg").unlink()
    page = Page(render(folder, head=HEAD))
    assert len(page.all("img")) == 1
    assert "Changed or missing since it was kept: voice.svg" in page.by_id("define/voice")["text"]


def test_a_table_altered_after_it_was_kept_is_named(folder, page):
    assert "Changed or missing" not in page.by_id("define/voice")["text"]
    (folder / "define" / "voice.csv").write_text("category,estimate\nwaiting time,0.01\n")
    page = Page(render(folder, head=HEAD))
    assert "Changed or missing since it was kept: voice.csv" in page.by_id("define/voice")["text"]


def test_a_lost_record_is_a_problem(folder):
    (folder / "measure" / "alpha.json").unlink()
    with pytest.raises(Problem, match=re.escape("measure/alpha.json is missing")):
        render(folder, head=HEAD)


def test_data_that_changed_between_phases_are_named(folder, page):
    assert "not the same file" not in page.by_id("data")["text"]
    close(folder, "measure", read=[{**READ, "sha256": "f" * 64}])
    page = Page(render(folder, head=HEAD))
    assert "complaints was not the same file in every phase" in page.by_id("data")["text"]


def test_parameters_stand_as_yaml(page):
    assert page.all("pre")[0]["text"] == "- name: wait\n  hours: [8, 9]\n  limit: 60"
    assert "20260115" in page.by_id("parameters")["text"]


def test_blank_names_leave_a_line_to_sign_on(page):
    names, given = page.texts("dt")[-4:], page.texts("dd")[-4:]
    assert dict(zip(names, given, strict=True)) == {
        "Prepared by": "A. Author",
        "Approved by": "to be filled in by hand",
        "Date": "2026-01-15",
        "Signature": "to be filled in by hand",
    }


# What can never happen

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></title><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "' onfocus='alert(1)' autofocus='",
    "<a href='javascript:alert(1)'>",
    "&lt;b&gt; \U0001f600 𠀀 排队时间太长 \ud800",
]


@pytest.fixture
def hostile(folder):
    """The same text in every place that a person's text can reach."""
    text = " ".join(HOSTILE)
    table = pd.DataFrame({"text": [*HOSTILE[:6], "排队"], HOSTILE[0]: range(7)})
    svg = (
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>'
    )
    keep(
        folder,
        "improve",
        "hostile",
        table,
        svg=svg,
        question=text,
        sentence=text,
        answer=text,
        method=text,
        numbers={text: text, "list": [text]},
        settings={text: [text]},
        picture_notes=[text],
    )
    note = dict.fromkeys(["column", "what", "treatment"], text)
    close(
        folder,
        "improve",
        parameters={text: text, "deep": [{text: [text]}]},
        read=[{**READ, "table": text, "file": text, "notes": [{**note, "rows": 1}]}],
        not_examined=[dict.fromkeys(["question", "reason", "mend"], text)],
        versions={text: text},
    )
    named = dict.fromkeys(["study", "title", "organisation", "author", "approver", "date"], text)
    return render(folder, head=Head(**named, language='en"><script>', week=text, version=text))


def test_no_text_becomes_an_element_or_an_attribute(hostile, folder):
    page = Page(hostile)
    plain = Page(render(folder, head=HEAD))
    assert {each["tag"] for each in page.elements} == {each["tag"] for each in plain.elements}
    assert not page.all("script", "iframe", "object", "form", "base", "link")
    names = {name for each in page.elements for name in each["attrs"]}
    assert not [name for name in names if name.startswith("on") or name in ("style", "autofocus")]
    assert len(page.all("style")) == len(page.all("title")) == len(page.all("h1")) == 1
    for text in HOSTILE[:6]:  # shown as it was written
        assert text in page.texts("td", "th")
    assert "49" not in page.texts("td", "th")


def test_a_script_in_a_picture_stays_inside_an_image(hostile):
    sources = [each["attrs"]["src"] for each in Page(hostile).all("img")]
    assert any(b"<script>" in base64.b64decode(each.partition(",")[2]) for each in sources)
    assert "<svg" not in hostile
    assert not [each for each in Page(hostile).all("a") if each["attrs"]["href"].endswith(".svg")]


def test_the_page_asks_no_other_host(hostile):
    page = Page(hostile)
    assert all(
        each["attrs"]["src"].startswith("data:image/svg+xml;base64,") for each in page.all("img")
    )
    for link in [each["attrs"]["href"] for each in page.all("a")]:
        assert re.match(r"#|(define|measure|analyse|improve|control)/|run\.json$", link), link
    style = page.all("style")[0]["text"]
    assert "url(" not in style and "@import" not in style
    assert not [each for each in page.elements if {"srcset", "action", "data"} & set(each["attrs"])]


def test_the_policy_lets_only_this_style_sheet_through(page):
    policy = next(
        each["attrs"]["content"]
        for each in page.all("meta")
        if each["attrs"].get("http-equiv") == "Content-Security-Policy"
    )
    style = page.all("style")[0]["text"]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert f"style-src 'sha256-{digest}'" in policy


def test_a_cell_of_100_kb_is_cut(folder):
    keep(folder, "improve", "long", pd.DataFrame({"text": ["x" * 100_000, "y " * 50_000]}))
    page = Page(render(folder, head=HEAD))
    assert max(map(len, page.texts("td", "th"))) == 300


def test_the_guard_against_spreadsheets_is_not_shown_to_readers(folder):
    keep(folder, "improve", "guard", pd.DataFrame({"text": ["'=cmd()", "'tis late"]}))
    assert {"=cmd()", "'tis late"} <= set(Page(render(folder, head=HEAD)).texts("th"))


def test_a_column_with_a_guarded_heading_keeps_its_type(folder):
    keep(folder, "improve", "guard", pd.DataFrame({"=share": [0.25, np.nan]}))
    page = (folder / "improve" / "guard.csv").read_text().replace("=share", "'=share")
    (folder / "improve" / "guard.csv").write_text(page)
    article = Page(render(folder, head=HEAD)).by_id("improve/guard")
    assert "0.25" in article["text"] and "– : no value." in article["text"]


def test_letters_are_neither_turned_around_nor_piled_up_and_long_texts_end(folder):
    turned, tower = "invoice\u202efdp.exe", "e" + "\u0301" * 90
    head = Head(study="clinic", title=turned, author=tower, approver="x" * 50_000)
    page = Page(render(folder, head=head))
    assert page.texts("h1") == page.texts("title") == ["invoice\ufffdfdp.exe"]
    assert "Prepared by e" + "\u0301" * 4 in page.texts("span")
    assert "x" * 9_999 + "…" in page.texts("dd")


def test_what_reads_from_right_to_left_is_left_as_it_is(folder):
    arabic, hebrew = "شركة \u200fالمثال\u200e (12)", "חברה \u2067לדוגמה\u2069 בע״מ"
    head = Head(study="clinic", title=arabic, organisation=hebrew, author=arabic)
    page = Page(render(folder, head=head))
    assert (page.all("h1")[0]["text"], page.all("h1")[0]["attrs"]["dir"]) == (arabic, "auto")
    assert hebrew in [each["text"] for each in page.all("p")]
    assert arabic in [each["text"] for each in page.all("bdi")]  # it turns nothing beside it


def test_the_same_shelves_give_the_same_bytes(folder, tmp_path):
    elsewhere = tmp_path / "somewhere" / "else"
    elsewhere.parent.mkdir()
    first = render(folder, head=HEAD)
    folder.rename(elsewhere)
    assert render(elsewhere, head=HEAD) == first
    assert str(tmp_path) not in first


def test_folders_of_a_machine_are_left_out(folder):
    read = [
        {**READ, "file": "/srv/private/complaints.csv"},
        {**READ, "table": "survey", "file": r"C:\Users\me\survey.sav"},
    ]
    close(folder, "measure", read=read, parameters={"study": "/srv/private/clinic.yml"})
    text = render(folder, head=HEAD)
    assert "private" not in text and "Users" not in text
    assert {"complaints.csv", "survey.sav"} <= set(Page(text).texts("td"))


# For every reader


def test_headings_go_down_one_step_at_a_time(hostile):
    page = Page(hostile)
    levels = [int(each["tag"][1]) for each in page.all("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))


def test_every_link_within_the_page_arrives(page):
    ids = [each["attrs"]["id"] for each in page.elements if "id" in each["attrs"]]
    assert len(ids) == len(set(ids))
    wanted = [
        each["attrs"]["href"][1:] for each in page.all("a") if each["attrs"]["href"][0] == "#"
    ]
    wanted += [
        each["attrs"]["aria-labelledby"]
        for each in page.elements
        if "aria-labelledby" in each["attrs"]
    ]
    assert wanted and set(wanted) <= set(ids)


def test_links_to_files_arrive(folder, page):
    links = [each["attrs"]["href"] for each in page.all("a") if each["attrs"]["href"][0] != "#"]
    files = {link for link in links if link != "run.json"}
    assert {"define/voice.csv", "measure/2-measure.ipynb"} <= files
    assert all((folder / file).is_file() for file in files)


def test_pictures_and_tables_speak(page):
    alt = page.all("img")[0]["attrs"]["alt"]
    assert alt.startswith("What do customers complain of? Waiting time is 31.0 %")
    assert all(each["attrs"].get("scope") in ("col", "row") for each in page.all("th"))
    assert len(page.all("table")) == len(page.all("caption"))


def test_the_language_is_that_of_the_study(folder):
    page = Page(render(folder, head=Head(study="clinic", title="Quejas", language="es")))
    assert page.all("html")[0]["attrs"]["lang"] == page.all("h1")[0]["attrs"]["lang"] == "es"
    assert page.all("body")[0]["attrs"]["lang"] == "en"  # the page's own words


def test_every_colour_of_text_stands_out_from_every_ground(page):
    colour = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", page.all("style")[0]["text"]))
    for ground in ("paper", "tint"):
        for text in ("ink", "soft", "link", "warn"):
            assert _contrast(colour[text], colour[ground]) >= 4.5, (text, ground)


def _contrast(one, other):
    """Contrast ratio of WCAG 2: (L1 + 0.05) / (L2 + 0.05), 21 for black on white."""
    light = sorted(_luminance(each) for each in (one, other))
    return (light[1] + 0.05) / (light[0] + 0.05)


def _luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))
