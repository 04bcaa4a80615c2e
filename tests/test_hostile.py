"""A corpus of hostile strings, put wherever text comes in: nothing runs, nothing breaks."""

import csv
import io
import itertools
import json
import re
from html import escape

import matplotlib as mpl
import nbformat
import numpy as np
import pandas as pd
import pytest
from hostile_corpus import CORPUS, FAMILIES, HARMLESS, texts
from hostile_output import formulas_of, intruders_in, opened_in_a_browser
from IPython.utils.capture import capture_output
from matplotlib.figure import Figure
from nbconvert import HTMLExporter
from notebook_shell import notebook_shell
from openpyxl import load_workbook
from test_bad_complaints import filed, study_of
from test_bad_input import new_project, write
from test_report import Page, close, keep, phase_record

from sqm import look, shelf, writing
from sqm.checks import Problem
from sqm.cli import WRONG, main
from sqm.execute import LEFT_OUT
from sqm.parameters import load
from sqm.places import PHASES, need_name, notebook
from sqm.report import SHOWN, Head, render

LINE = 20_000  # longer ones are tried on the report and the shelf alone
OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
NO_NAMES = ("path", "device", "script", "half a letter", "bidi", "control", "terminal")


def whole(strings):
    """Strings that a file of UTF-8 can hold."""
    return [text for text in strings if not re.search(r"[\ud800-\udfff]", text)]


# --- the corpus -----------------------------------------------------------------------------------


def test_no_string_stands_twice_and_no_family_is_empty():
    assert all(strings for _, strings in FAMILIES.values())
    assert len({(each.family, each.text) for each in CORPUS}) == len(CORPUS) > 500
    assert max(len(each.text) for each in CORPUS) == 1_000_000


# --- the shelf ------------------------------------------------------------------------------------


def test_every_string_comes_back_from_behind_its_guard():
    for each in CORPUS:
        assert shelf.unguard(shelf.guard(each.text)) == each.text, ascii(each.text[:80])
    assert [text for text in HARMLESS if shelf.guard(text) != text] == []


def test_no_cell_of_a_table_starts_a_formula_however_a_spreadsheet_parts_it(tmp_path):
    strings = texts(longest=LINE)
    table = pd.DataFrame({"=text": strings, "more": strings[::-1]}, dtype=object).assign(n=-1.5)
    table = table.assign(**{f"{text}{n}": 1 for n, text in enumerate(texts("formula"))})
    content = shelf.as_csv(table).decode("utf-8")
    assert formulas_of(content) == []
    indexed = pd.DataFrame({"n": -1.5}, index=pd.Index(whole(strings), name="@index"))
    assert formulas_of(shelf.as_csv(shelf._flat(indexed)).decode("utf-8")) == []
    read = pd.read_csv(io.StringIO(content), dtype=str, na_filter=False)
    short = read.iloc[:, :3]
    short = short.map(lambda cell: re.sub(r"[\x00-\x1f\ufffe\uffff]", "", cell[:500]))
    short = short.set_axis([f"'={n}" for n, _ in enumerate(short)], axis="columns")
    short.to_excel(tmp_path / "t.xlsx", index=False)
    book = load_workbook(tmp_path / "t.xlsx", read_only=True)
    kinds = {cell.data_type for row in book.active.iter_rows() for cell in row}
    book.close()
    assert len(short) == len(strings) and kinds <= {"s", "inlineStr"}


def test_the_check_for_formulas_finds_them():
    plain = io.StringIO()
    rows = csv.writer(plain)
    rows.writerows([text] for text in texts("formula"))
    assert len(formulas_of(plain.getvalue())) >= 40
    assert formulas_of("v\n-1.5\n-inf\n-1e-7,x\n'=1\n") == []


def test_a_record_holds_nothing_that_a_terminal_obeys():
    record = {each.text: [each.text] for each in CORPUS if len(each.text) < LINE}
    content = writing.as_json(record).decode("utf-8")
    assert not OBEYED.search(content)
    assert json.loads(content) == {
        _whole(name): [_whole(each) for each in values] for name, values in record.items()
    }


def _whole(text):
    return text.encode("utf-8", "replace").decode("utf-8")


def test_a_picture_of_any_name_is_sound_and_holds_no_script(tmp_path):
    strings = texts("svg and mathml", "control", "half a letter") + texts("script")[:6]
    strings += texts("terminal")[:8] + texts("tower")[:3] + texts("breaking out")[:6]
    estimates = pd.DataFrame({"estimate": 1.0, "low": 0.0, "high": 2.0}, index=range(len(strings)))
    with mpl.rc_context():
        look.apply()
        ax = look.dots(Figure().subplots(), estimates, names=strings)
        look.label(ax, title="".join(strings)[:2_000], x=texts("control")[0], y="\ud800")
        (tmp_path / "a.svg").write_bytes(look.svg(ax.figure)[0])
    assert intruders_in(tmp_path / "a.svg") == []


@pytest.mark.parametrize("family", NO_NAMES)
def test_no_hostile_string_names_a_study_or_a_file(family):
    for text in texts(family):
        with pytest.raises(Problem, match="cannot name a study"):
            need_name(text)


# --- the terminal ---------------------------------------------------------------------------------


def test_nothing_that_a_terminal_obeys_passes_by_any_command(project, capsys):
    strings = whole(texts("terminal", "control", "bidi", longest=100))
    strings = [text for text in strings if max(text) < "\U00010000"]  # JSON would halve them
    said = dict.fromkeys(strings, 1) | {"title": "".join(strings), "data": {}}
    said["data"] = {text: {"path": text, "roles": {text: text}} for text in strings}
    file = project / "params" / "bad.yml"
    file.write_text(json.dumps(said), encoding="utf-8")  # JSON is YAML
    assert main(["check", "bad"]) == WRONG
    assert main(["run", "bad"]) == WRONG
    assert main(["list"]) == 0
    every = "".join(strings).replace("\x00", "").replace("/", "")[:60]
    assert main(["check", every]) == main(["check", f"{every}.yml"]) == WRONG
    assert main(["check", "tiny", "--set", f"measure.confidence={every}", "--set", every]) == WRONG
    told = capsys.readouterr()
    assert len(told.err) > 10_000 and "tiny" in told.out
    assert not OBEYED.search(told.out + told.err)


# --- the report -----------------------------------------------------------------------------------


def shelves(folder, strings):
    """Shelves on which every text that a person or a system can set is one of these strings."""
    given = itertools.cycle(strings)
    for number in range(0, len(strings), SHOWN):
        rows = strings[number : number + SHOWN]
        headings = [f"{next(given)[:80]}\n{n}" for n in range(3)]
        table = pd.DataFrame({"text": rows, headings[1]: rows[::-1]}, dtype=object)
        table = table.assign(**{headings[0]: 0.5, headings[2]: True})
        phase, name = PHASES[number // SHOWN % len(PHASES)], f"finding_{number}"
        columns = {column: str(kind) for column, kind in table.dtypes.items()}
        keep(folder, phase, name, pd.DataFrame(), columns=columns, **_record_of(given))
        (folder / phase / f"{name}.csv").write_bytes(shelf.as_csv(table))
    for phase in PHASES:
        _close(folder, phase, given)


def _record_of(given):
    keys = ("question", "sentence", "answer", "method")
    record = {key: f"{key} {next(given)}" for key in keys}
    return record | {
        "numbers": {f"{next(given)[:80]} 1": next(given), "two": [next(given)]},
        "settings": {f"{next(given)[:80]} 1": [next(given), {next(given)[:80]: next(given)}]},
        "picture_notes": [next(given)],
    }


def _close(folder, phase, given):
    note = {key: f"{next(given)} {key}" for key in ("column", "what", "treatment")}
    why = {key: f"{next(given)} {key}" for key in ("question", "reason", "mend")}
    named = {key: f"{next(given)} {phase}" for key in ("table", "file")}
    files = {each["name"]: each for each in phase_record(folder, phase)["kept"]}
    for name, each in files.items():  # the tables were written anew
        each["files"] = shelf.files_of(name, shelf=folder / phase)
    close(
        folder,
        phase,
        kept=list(files.values()),
        parameters={f"{next(given)[:80]} {n}": next(given) for n in range(9)},
        read=[{**named, "sha256": "0" * 64, "rows": 1, "notes": [{**note, "rows": 1}]}],
        not_examined=[why],
        versions={f"{next(given)[:80]} {phase}": next(given)},
    )


def head_of(strings):
    given = itertools.cycle(strings)
    return Head(**{name: next(given) for name in Head.__dataclass_fields__})


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with opened_in_a_browser(tmp_path_factory.mktemp("browser")) as made:
        yield made


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The report of the whole corpus, and one of as many strings that mean no harm."""
    place = tmp_path_factory.mktemp("reports")
    strings = {"hostile": [each.text for each in CORPUS], "plain": []}
    strings["hostile"] += HARMLESS
    strings["plain"] = [f"word {n}" for n, _ in enumerate(strings["hostile"])]
    for name, these in strings.items():
        shelves(place / name, these)
        markup = texts("breaking out") if name == "hostile" else these
        page = render(place / name, head=head_of(markup))
        (place / f"{name}.html").write_text(page, encoding="utf-8")
    return place


def test_a_report_of_the_whole_corpus_is_built_like_any_other(pages):
    hostile, plain = (
        Page((pages / f"{name}.html").read_text("utf-8")) for name in ("hostile", "plain")
    )
    for tag in ("h1", "h2", "h3", "table", "tr", "bdi", "dl", "details", "section", "article"):
        assert len(hostile.all(tag)) == len(plain.all(tag)), tag
    assert {e["tag"] for e in hostile.elements} == {e["tag"] for e in plain.elements}
    assert len((pages / "hostile.html").read_bytes()) < 4_000_000


def test_what_people_do_write_is_shown_as_they_wrote_it(pages):
    page = Page((pages / "hostile.html").read_text(encoding="utf-8"))
    assert set(HARMLESS) <= {each["text"] for each in page.all("th", "td")}


def test_in_a_browser_the_report_runs_nothing_and_asks_nobody(pages, browser):
    seen, plain = browser.see(pages / "hostile.html"), browser.see(pages / "plain.html")
    assert (seen.asked, seen.live, seen.told, seen.frames) == ([], [], [], [])
    assert seen.scripts == seen.images == 0
    for what in ("h1", "h2", "h3", "tables", "rows", "cells"):
        assert getattr(seen, what) == getattr(plain, what) > 0, what
    assert seen.title.startswith("</title>") is False and seen.title != "42"
    assert seen.outside == [] and seen.wider <= 0


def test_in_a_browser_the_corpus_bites_where_it_stands_raw(browser, tmp_path):
    strings = texts("script", "handler")
    frames = "".join(f'<iframe srcdoc="{escape(text)}"></iframe>' for text in strings)
    (tmp_path / "raw.html").write_text(f"<meta charset=utf-8>{frames}", encoding="utf-8")
    seen = browser.see(tmp_path / "raw.html")
    assert seen.frames.count("42") >= 25
    hosts = {re.search(r"[\w-]+\.beacon", url)[0] for url in seen.asked if ".beacon." in url}
    assert len(hosts) >= 5


def test_in_a_browser_the_policy_of_the_report_stops_what_would_run(pages, browser, tmp_path):
    """Were something to slip through, the page's policy would still not let it run or fetch."""
    page = (pages / "plain.html").read_text(encoding="utf-8")
    strings = "".join(texts("script", "handler", "style")[:60])
    (tmp_path / "slipped.html").write_text(
        page.replace("<main>", f"<main>{strings}"), encoding="utf-8"
    )
    seen = browser.see(tmp_path / "slipped.html")
    assert seen.title != "42" and [url for url in seen.asked if "beacon" in url] == []
    assert any("Content Security Policy" in each for each in seen.told)


# --- the notebooks --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory):
    """Define and Analyse, carried out cell by cell on complaints made of the corpus."""
    root = new_project(tmp_path_factory.mktemp("notebooks"))
    write_own(root)
    made = {}
    with notebook_shell(root) as shell:
        shown = shell.shell.display_formatter
        shown.active_types = shown.format_types  # as in a kernel
        for phase in ("define", "analyse"):
            shell.patch.setenv("SQM_SHELF", str(root / "out" / "own" / phase))
            shell.shell.reset(new_session=False)
            made[phase] = _carried_out(shell.shell, phase, root)
    return root / "out" / "own", made


def write_own(root):
    """A study of complaints; no CSV holds a NUL, so the table is written as Parquet."""
    cases = {"complaints": complaints()}
    write(root, "own", cases, study_of(cases, quote=True))
    (root / "data" / "own-complaints.csv").unlink()
    cases["complaints"].to_parquet(root / "data" / "own {7} $x$ [a](b);=1+1.parquet")
    file = root / "params" / "own.yml"
    said = file.read_text(encoding="utf-8")
    path = "'data/own {7} $x$ [a](b);=1+1.parquet'"
    file.write_text(said.replace("data/own-complaints.csv", path), encoding="utf-8")


def complaints():
    strings = whole(texts(longest=LINE))
    cases = filed(100)[["complaint", "opened", "text"]]
    hostile = [" ".join(strings[n::100]) for n in range(100)]
    cases["text"] = [f"{text} {each}" for text, each in zip(cases["text"], hostile, strict=True)]
    rng, short = np.random.default_rng(3), [t for t in strings if 0 < len(t.strip()) < 400]
    for column, step in (("category", 23), ("site", 61)):
        cases[column] = rng.choice(np.array(short[::step], dtype=object), len(cases))
    return cases


def _carried_out(shell, phase, root):
    given = {**load("own", root=root).sections[phase], "study": "own"}
    lines = [f"{name} = {value!r}" for name, value in given.items()]
    done = nbformat.v4.new_notebook()
    for cell in nbformat.read(notebook(phase, root=root), as_version=4).cells:
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type != "code" or LEFT_OUT & tags or cell.source.endswith(".plot();"):
            continue
        with capture_output() as shown:
            ran = shell.run_cell("\n".join([cell.source, *lines * ("parameters" in tags)]))
        assert ran.success, f"{ran.error_in_exec!r} in {cell.source}"
        mpl.pyplot.close("all")
        bundles = [out.data for out in shown.outputs]
        bundles += [] if ran.result is None else [shell.display_formatter.format(ran.result)[0]]
        outputs = [nbformat.v4.new_output("display_data", each) for each in bundles]
        outputs += [nbformat.v4.new_output("stream", text=shown.stdout)] if shown.stdout else []
        done.cells.append(nbformat.v4.new_code_cell(cell.source, outputs=outputs))
    return done


def as_page(done, file):
    """A notebook as nbconvert shows it, its two foreign scripts left out."""
    exporter = HTMLExporter(mathjax_url="", require_js_url="")
    file.write_text(exporter.from_notebook_node(done)[0], encoding="utf-8")
    return file


def test_the_notebooks_answer_what_they_are_asked(notebooks):
    place, made = notebooks
    assert {"pareto", "copies", "themes", "coding_sheet_to_fill"} <= {
        path.stem for path in (place / "analyse").glob("*.json")
    }
    shown = [out for done in made.values() for cell in done.cells for out in cell.outputs]
    assert sum("text/html" in out.get("data", {}) for out in shown) >= 2


def test_notebooks_emit_tables_and_plain_text_and_nothing_that_could_run(notebooks):
    _, made = notebooks
    kinds, tags, attributes, tables = set(), set(), set(), []
    for out in (out for done in made.values() for cell in done.cells for out in cell.outputs):
        kinds |= set(out.get("data", {}))
        if page := out.get("data", {}).get("text/html"):
            elements = Page(page).elements
            tables += [each for each in elements if each["tag"] == "table"]
            tags |= {each["tag"] for each in elements}
            attributes |= {name for each in elements for name in each["attrs"]}
    assert kinds == {"text/plain", "text/html"}
    assert tags <= {"div", "style", "p", "br", "table", "thead", "tbody", "tr", "th", "td"}
    assert attributes <= {"border", "class", "style", "scoped", "colspan", "rowspan", "valign"}
    assert tables and all("mathjax_ignore" in each["attrs"]["class"] for each in tables)


def test_no_file_that_the_notebooks_keep_could_run(notebooks):
    place, _ = notebooks
    for path in [path for path in place.rglob("*") if path.is_file()]:
        content = path.read_bytes().decode("utf-8")
        if path.suffix == ".csv":
            assert formulas_of(content) == [], path.name
        elif path.suffix == ".svg":
            assert intruders_in(path) == [], path.name
        else:
            assert not OBEYED.search(content), path.name


@pytest.mark.parametrize("phase", ["define", "analyse"])
def test_in_a_browser_an_executed_notebook_runs_nothing_of_the_data(
    notebooks, browser, tmp_path, phase
):
    _, made = notebooks
    empty = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    seen = browser.see(as_page(made[phase], tmp_path / f"{phase}.html"))
    bare = browser.see(as_page(empty, tmp_path / f"bare-{phase}.html"))
    assert seen.title == "Notebook" and seen.frames == [] and seen.live == bare.live
    assert (seen.asked, seen.told) == (bare.asked, bare.told) == ([], [])
    assert seen.scripts == bare.scripts and seen.h1 == seen.h2 == 0
    htmls = [out["data"].get("text/html", "") for cell in made[phase].cells for out in cell.outputs
             if "data" in out]  # fmt: skip
    assert seen.tables == "".join(htmls).count("<table") > 0


def test_the_report_of_these_notebooks_runs_nothing_either(notebooks, browser, tmp_path):
    place, _ = notebooks
    (tmp_path / "report.html").write_text(render(place, head=head_of(texts("script"))), "utf-8")
    seen = browser.see(tmp_path / "report.html")
    assert (seen.asked, seen.live, seen.told, seen.frames) == ([], [], [], [])
    assert (seen.h1, seen.scripts, seen.images, seen.outside) == (1, 0, 0, [])
    assert seen.title == texts("script")[1] and seen.wider <= 0
