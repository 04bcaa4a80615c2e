"""What in these outputs could name a person?"""

from __future__ import annotations

import csv
import html
import io
import ipaddress
import json
import re
import socket
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from sqm import parameters, roles, sources
from sqm.checks import Problem
from sqm.masking import card_holds, code_holds, iban_length, resident_holds, spans
from sqm.parameters import StudyFile

FOUND, CLEAN = 3, 0  # exit codes
IN_A_ROW = 8  # words of a customer in a row that are no coincidence
IN_A_ROW_HAN = 14  # Chinese characters
FEW = 3  # lines about one kind in one file
SHORTEST = 3  # signs of a value that is looked for
FEWEST_DIGITS = 6  # of a value of digits alone; shorter ones stand in every table of numbers
NOT_EXAMINED = "not examined"

# What is found, why it matters, and what to do.
KINDS = {
    "e-mail": ("It reaches one person.", "leave it out at the source, or mark the column"),
    "phone": ("It reaches one person.", "leave it out at the source, or mark the column"),
    "card": ("It pays.", "take it out at the source, and tell whoever answers for cards"),
    "account": ("It names whose money it is.", "take it out at the source"),
    "id": ("It names one person for the state.", "take it out at the source"),
    "address": ("It says where someone lives.", "take it out at the source"),
    "network address": ("It can be led back to one line.", "take it out at the source"),
    "home folder": (
        "It holds the name of a user of the machine.",
        "run in a folder that names nobody, such as /srv/sqm, and give --out",
    ),
    "host": ("It names a machine of yours.", "share without it: it serves only the run itself"),
    "own words": (
        "Whoever wrote them can be known by them.",
        "set `quote: false`; hand a sheet to be coded to those alone who code it",
    ),
    "personal": (
        "The study says that this column is personal.",
        "run the study anew, and look for the value in parameters and prose",
    ),
    "secret": ("It was given as a secret.", "change it, then take it out"),
    NOT_EXAMINED: ("It is no text that can be read here.", "open it, or leave it out"),
}
MARK = "`personal: true` on its role"


@dataclass(frozen=True, order=True)
class Found:
    """Something that looks like personal data.

    Attributes
    ----------
    path : str
        Of the file, from the folder that was looked through.
    line : int
        Of its first place in the file; 0 where there is none to tell.
    kind : str
        One of `KINDS`.
    shown : str
        What it is like, itself masked.
    times : int
        How often it stands in the file.
    """

    path: str
    line: int
    kind: str
    shown: str
    times: int = 1


@dataclass
class Known:
    """What a study's own sources hold that no output should.

    Attributes
    ----------
    people : dict
        Per value of a personal column where it stands, such as ``complaints.customer``.
    texts : list of tuple
        Each text of a customer, and its column.
    unlooked : dict
        Per personal column how many values are too short to be looked for.
    alone : dict
        Per personal column how many are so short that they are looked for only where they stand
        alone, such as in a cell of a table.
    """

    people: dict[str, str] = field(default_factory=dict)
    texts: list[tuple[str, str]] = field(default_factory=list)
    unlooked: dict[str, int] = field(default_factory=dict)
    alone: dict[str, int] = field(default_factory=dict)


def scan(folder: Path, *, secrets: Iterable[str] = (), known: Known | None = None) -> list[Found]:
    """Look through all files of a folder for what looks like personal data.

    Parameters
    ----------
    folder : Path
        Outputs, such as ``out/contact-centre``; or one file.
    secrets : iterable of str
        Strings that must stand in no byte.
    known : Known, optional
        What a study's own sources hold; see `known_to`.

    Returns
    -------
    list of Found
        In the order of paths and lines; a file that is no text has the kind "not examined".

    Notes
    -----
    Found by form in CSV, JSON, HTML, SVG, notebooks and other text: e-mail
    addresses; telephone numbers with a plus or in a form of Spain, Mexico, the
    United States or China (plain digits only where a word or a heading marks them);
    payment cards by Luhn's digit, IBAN by its own; DNI, NIE, CURP,
    RFC and China's resident number by their check digits; social security numbers of the United
    States by their form; network addresses; postal addresses with a street and a
    number; home folders and names of hosts.

    Found with ``known``: every value of a column that the study marks as
    personal, alone in a cell or, if it can be told from other words, within a text; and eight
    words in a row that a customer wrote.  Names of files are looked at as well.

    **Not found**: names of people, unless the study marks their column; what is drawn in pixels
    (PNG pictures in notebooks); what stands in binary files, which are listed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "a.csv").write_bytes(b"who,n\\nana@example.com,3\\n")
    ...     print(*scan(Path(folder)))
    Found(path='a.csv', line=2, kind='e-mail', shown='a… (15 characters)', times=1)
    """
    desk = _Desk(known or Known(), tuple(filter(None, secrets)))
    places = [folder] if folder.is_file() else sorted(p for p in folder.rglob("*") if p.is_file())
    for path in places:
        desk.look_at(path, path.name if folder.is_file() else path.relative_to(folder).as_posix())
    desk.compare_texts()
    return sorted(desk.found())


def known_to(study: str, *, root: Path) -> Known:
    """What a study's own sources hold that no output should.

    Parameters
    ----------
    study : str
        Name, or path of a YAML file.
    root : Path
        The project.

    Raises
    ------
    Problem
        If the study or one of its sources cannot be read.
    """
    return _known(parameters.load(study, root=root), root)


def scrub(folder: Path, *, root: Path, studies: Sequence[str] = ()) -> tuple[list[str], int]:
    """Look through outputs, and say what was found and what to do.

    Parameters
    ----------
    folder : Path
    root : Path
        The project, in which the studies are looked for.
    studies : sequence of str
        Whose sources to compare with; without, those whose run.json lies in the folder.

    Returns
    -------
    list of str, int
        Lines for a person, and the exit code: 3 if anything was found, else 0.
    """
    if not folder.exists():
        raise Problem(f"There is no folder {folder}.", "give the folder that a run has written.")
    known, remarks = Known(), []
    for study in studies or _studies_in(folder):
        try:
            its = known_to(study, root=root)
        except Problem as problem:
            remarks.append(f"{study}: its own values were not looked for: {problem.what}")
            continue
        known.people |= its.people
        known.texts += its.texts
        remarks += [_unlooked(study, *each) for each in its.unlooked.items()]
        remarks += [_alone(study, *each) for each in its.alone.items()]
    found = scan(folder, known=known)
    return _told(found, remarks), FOUND if any(f.kind != NOT_EXAMINED for f in found) else CLEAN


# --- words ----------------------------------------------------------------------------------------


def _told(found: list[Found], remarks: list[str]) -> list[str]:
    lines = _lines_by_place(found)
    for kind, (why, mend) in KINDS.items():
        its = [each for each in found if each.kind == kind]
        if its:
            paths = len({each.path for each in its})
            count = f"{kind}: {len(its)} in {paths} file{'s' * (paths > 1)}"
            lines.append(f"{count}. {why} To mend: {mend}.")
    if not any(each.kind != NOT_EXAMINED for each in found):
        lines.append("Nothing was found that looks like personal data.")
    lines += remarks
    lines.append("Names of people are found only where a study marks their column as personal.")
    return lines


def _lines_by_place(found: list[Found]) -> list[str]:
    """A line each, of one kind in one file no more than a few."""
    places: dict[tuple[str, str], list[Found]] = defaultdict(list)
    for each in found:
        places[each.path, each.kind].append(each)
    lines = []
    for (path, kind), its in places.items():
        lines += [_line(each) for each in its[:FEW]]
        if more := len(its) - FEW:
            lines += [f"{path}: {kind}: {more} more"] if more > 0 else []
    return lines


def _line(each: Found) -> str:
    place = f"{each.path}, line {each.line}" if each.line else each.path
    again = f", {each.times} times" if each.times > 1 else ""
    return f"{place}: {each.kind}{again}: {each.shown}"


def _unlooked(study: str, column: str, count: int) -> str:
    return (
        f"{study}: {count} values of {column} were not looked for: as short as they are, they"
        " stand everywhere."
    )


def _alone(study: str, column: str, count: int) -> str:
    return (
        f"{study}: {count} values of {column} were looked for only where they stand alone: they are"
        " too short to be told from the words around them."
    )


def _masked(said: str) -> str:
    return f"{said[:1]}… ({len(said)} characters)"


# --- what a study knows ---------------------------------------------------------------------------


def _studies_in(folder: Path) -> list[str]:
    """Studies of which a record of a run or of a phase lies in a folder."""
    named = set()
    for name in ("run.json", "phase.json"):
        for path in folder.rglob(name) if folder.is_dir() else ():
            try:
                study = json.loads(path.read_text(encoding="utf-8")).get("study")
            except (OSError, ValueError, AttributeError):
                continue
            named |= {study} if isinstance(study, str) else set()
    return sorted(named)


def _known(found: StudyFile, root: Path) -> Known:
    known = Known()
    for name, table in found.tables.items():
        for role, spec in table.roles.items():
            text = (spec.type or roles.KNOWN.get(name, {}).get(role)) == "text"
            if table.summed or not (text or spec.personal):
                continue
            values, place = sources.as_written(table, name, role, root=root), f"{name}.{role}"
            if text:
                known.texts += [(value, place) for value in values if value]
                values = [value for value in values if len(value.split()) < IN_A_ROW]
            if spec.personal:
                _note_values(known, values, place)
    return known


def _note_values(known: Known, values: list[str], place: str) -> None:
    for value in filter(None, map(_normal, values)):
        lettered = any(map(str.isalpha, value))
        if len(value) >= (SHORTEST if lettered else FEWEST_DIGITS) or _HAN.search(value):
            if value not in known.people and not (_stands_out(value) or _is_han(value)):
                known.alone[place] = known.alone.get(place, 0) + 1
            known.people.setdefault(value, place)
        else:
            known.unlooked[place] = known.unlooked.get(place, 0) + 1


def _stands_out(value: str) -> bool:
    """Whether a value can be told from the words and figures around it."""
    digits, letters = sum(map(str.isdigit, value)), sum(map(str.isalpha, value))
    return digits >= FEWEST_DIGITS or letters > SHORTEST or bool(digits >= 4 and letters)


def _is_han(value: str) -> bool:
    """Whether a value is looked for between other signs: Chinese has no blanks between words."""
    return bool(_HAN_RUN.fullmatch(value))


_EDGES = ".,;:!?()[]{}<>\"'“”‘’«»"


def _normal(text: str) -> str:
    """A value's words, one blank between them, without punctuation at their ends."""
    return " ".join(filter(None, (word.strip(_EDGES) for word in text.split())))


# --- looking --------------------------------------------------------------------------------------


class _Desk:
    """One folder while it is being looked through."""

    def __init__(self, known: Known, secrets: tuple[str, ...]) -> None:
        self.known = known
        self.secrets = secrets
        whole = {_whole(value).lstrip("+"): place for value, place in known.people.items()}
        self.values = whole | known.people
        within = {v: place for v, place in self.values.items() if _stands_out(v)}
        self.plain = {value.casefold(): place for value, place in within.items()}
        self.within = {form: place for v, place in within.items() for form in _spellings(v)}
        self.sizes = sorted({len(_parts(value)) for value in self.within})
        self.han = {v: place for v, place in known.people.items() if _is_han(v)}
        self.han_sizes = sorted(set(map(len, self.han)))
        self.raw: dict[str, _Raw] = {}
        self.hits: dict[tuple[str, str, str, str], int] = defaultdict(int)
        self.rows: dict[int, set[tuple[str, str]]] = defaultdict(set)
        self.closed: list[Found] = []

    def look_at(self, path: Path, name: str) -> None:
        self.raw[name] = _Raw("")
        self._look_at_name(name)
        try:
            content = path.read_bytes()
        except OSError as error:
            self.closed.append(Found(name, 0, NOT_EXAMINED, error.strerror or "cannot be read"))
            return
        for secret in self.secrets:
            if times := content.count(secret.encode()):
                self.hits[name, "secret", secret, _masked(secret)] += times
        text = _decoded(content)
        self.raw[name] = _Raw(text or "")
        if text is None:
            size = f"{len(content):,} bytes that are no text"
            self.closed.append(Found(name, 0, NOT_EXAMINED, size))
            return
        for given, mark in _pieces(text, path.suffix.lower()):
            piece = _whole(given)
            if not _is_statistic(piece) or piece in self.values:
                self._look_at_piece(piece, mark, name)

    def _look_at_name(self, name: str) -> None:
        *folders, own = name.split("/")
        for part in (*folders, Path(own).stem):
            found = {
                each[::2]
                for form in (part, part.replace("-", " "))
                for each in self._said_in(form, "")
            }
            self.closed += [
                Found(name, 0, kind, f"{shown}, in the name of the file or its folder")
                for kind, shown in sorted(found)
            ]

    def _said_in(self, piece: str, mark: str) -> Iterator[tuple[str, str, str]]:
        for kind, said in _by_form(piece, mark):
            yield kind, said, _masked(said)
        for said, place in self._values_in(piece):
            yield "personal", said, f"a value of {place}"

    def _look_at_piece(self, piece: str, mark: str, name: str) -> None:
        for kind, said, shown in self._said_in(piece, mark):
            self.hits[name, kind, said, shown] += 1
        if self.known.texts and (not piece.isascii() or piece.count(" ") >= IN_A_ROW - 1):
            for each in _in_a_row(piece):
                self.rows[each].add((name, piece))

    def _values_in(self, piece: str) -> Iterator[tuple[str, str]]:
        """Values of personal columns: alone in any spelling, and within a text."""
        if not self.values:
            return
        plain = _normal(piece)
        if place := self.plain.get(plain.casefold()) or self.values.get(plain):
            yield piece.strip(), place
            return
        yield from self._han_in(piece)
        parts = _parts(piece)
        for size in self.sizes:
            for first, last in zip(parts, parts[size - 1 :], strict=False):
                said = piece[first[0] : last[1]]
                joined = _whole(_joined(said))
                alike = self.within.get(joined.casefold()) if size > 1 else None
                if place := self.within.get(joined) or alike:
                    yield said, place

    def _han_in(self, piece: str) -> Iterator[tuple[str, str]]:
        for run in _HAN_RUN.findall(piece) if self.han else ():
            for size in self.han_sizes:
                for i in range(len(run) - size + 1):
                    if place := self.han.get(run[i : i + size]):
                        yield run[i : i + size], place

    def compare_texts(self) -> None:
        """Find where customers' own words stand; the outputs are the smaller of the two."""
        seen = set()
        for text, place in self.known.texts:
            for each in _in_a_row(text):
                for name, piece in self.rows.get(each, ()):
                    if (name, piece) not in seen:
                        seen.add((name, piece))
                        shown = f"at least {IN_A_ROW} words in a row of a text in {place}"
                        self.hits[name, "own words", piece, shown] += 1

    def found(self) -> list[Found]:
        return self.closed + [
            Found(name, self.raw[name].line_of(said), kind, shown, times)
            for (name, kind, said, shown), times in self.hits.items()
        ]


def _is_statistic(piece: str) -> bool:
    """Nothing, or a number that is too short, or too exact, to be anyone's."""
    digits = piece.removeprefix("+")
    long = digits.isdigit() and len(digits) >= FEWEST_DIGITS
    return not piece or (bool(_MEASURED.fullmatch(piece)) and not long)


def _whole(piece: str) -> str:
    """A whole number that was written as a fraction, such as 600111222.0, without the point."""
    return piece.partition(".")[0] if _AS_FRACTION.fullmatch(piece) else piece


def _parts(text: str) -> list[tuple[int, int]]:
    """Where the words and numbers of a text stand, without the signs between them."""
    return [each.span() for each in _PART.finditer(text)]


def _joined(said: str) -> str:
    """As said, with one blank where blanks or low lines stand, and plain apostrophes."""
    return _BLANKS.sub(" ", said).replace("’", "'")


def _spellings(value: str) -> list[str]:
    """Ways in which a value is looked for within a text.

    A name of several words is known in any case; one word, such as Grace, only in its own and in
    capitals, and what has digits only in its own.
    """
    said = _joined(value)
    if any(map(str.isdigit, value)):
        return [said]
    return [said.casefold()] if len(_parts(value)) > 1 else [said, said.upper()]


class _Raw:
    """A file's text, in which lines are looked up."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0, *(each.end() for each in re.finditer("\n", text))]

    def line_of(self, said: str) -> int:
        """The line of the first place where something stands, however it is escaped; or 0."""
        first = said.strip().split("\n")[0][:200]
        dumped = json.dumps(first)[1:-1], json.dumps(first, ensure_ascii=False)[1:-1]
        for form in (first, *dumped, html.escape(first), first.replace('"', '""')):
            at = self.text.find(form) if form else -1
            if at >= 0:
                return bisect_right(self.starts, at)
        return 0


def _decoded(content: bytes) -> str | None:
    """A file's text; None if it is none."""
    marked = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}.get(content[:2], "utf-8-sig")
    try:
        text = content.decode(marked)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


# --- the strings of a file ------------------------------------------------------------------------

# A string of a file, and the word that marks it: its column, or its key.
Piece = tuple[str, str]
_PIXELS = ("image/png", "image/jpeg", "image/gif", "application/pdf")
_GEOMETRY = frozenset(
    {"d", "points", "transform", "viewbox", "style", "class", "id", "clip-path", "fill", "stroke"}
    | {"x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "ry", "width", "height"}
    | {"stroke-width", "colspan", "rowspan"}
)
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def _pieces(text: str, suffix: str) -> Iterator[Piece]:
    if suffix in (".csv", ".tsv"):
        yield from _cells(text, "\t" if suffix == ".tsv" else ",")
    elif suffix in (".json", ".ipynb"):
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            yield from _lines(text)
        else:
            yield from _walk(said, "")
    elif suffix in (".html", ".htm", ".svg", ".xml", ".xhtml"):
        yield from _page(text)
    else:
        yield from _lines(text)


def _lines(text: str) -> Iterator[Piece]:
    return ((line, "") for line in text.splitlines())


def _cells(text: str, separator: str) -> Iterator[Piece]:
    limit = csv.field_size_limit(len(text) + 1)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        header = next(reader, [])
        yield from ((cell, "") for cell in header)
        for row in reader:
            for place, cell in enumerate(row):
                yield cell, header[place] if place < len(header) else ""
    except csv.Error:
        yield from _lines(text)
    finally:
        csv.field_size_limit(limit)


def _walk(said: Any, mark: str) -> Iterator[Piece]:
    if isinstance(said, dict):
        for key, value in said.items():
            yield key, ""
            if key not in _PIXELS:
                yield from _walk(value, key)
    elif isinstance(said, list):
        joined = mark in ("source", "text", "traceback") or "/" in mark
        if joined and said and all(isinstance(each, str) for each in said):
            yield from _walk("".join(said), mark)
        else:
            for each in said:
                yield from _walk(each, mark)
    elif isinstance(said, str):
        plain = _ANSI.sub("", said)
        paged = mark in ("text/html", "image/svg+xml")
        yield from _page(plain) if paged else ((line, mark) for line in plain.splitlines())
    elif isinstance(said, int) and not isinstance(said, bool):
        yield str(said), mark
    elif isinstance(said, float) and said.is_integer():
        yield str(int(said)), mark


class _Page(HTMLParser):
    """The texts, comments and telling attributes of a page or of a picture.

    Comments count: a picture whose letters are drawn says in them what it draws.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[Piece] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if value and name not in _GEOMETRY and not value.startswith(("#", "url(#", "data:")):
                self.said.append((value, name))

    def handle_data(self, data: str) -> None:
        self.said += [(line, "") for line in data.splitlines() if line.strip()]

    def handle_comment(self, data: str) -> None:
        self.handle_data(data)


def _page(text: str) -> list[Piece]:
    page = _Page()
    page.feed(text)
    page.close()
    return page.said


# --- what has the form of personal data -----------------------------------------------------------

_NUMBER = re.compile(r"[+-]?[0-9]{1,40}")
_AS_FRACTION = re.compile(rf"[+-]?[0-9]{{{FEWEST_DIGITS},}}\.0+")
# A number with its decimals is one part: 100023 is not in 0.100023.
_PART = re.compile(r"[0-9]+(?:[.,][0-9]+)+(?![^\W_])|[^\W_]+")
_BLANKS = re.compile(r"[\s_]+")
_MEASURED = re.compile(r"[+-]?[0-9,]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?%?")
# What has digits and names nobody: decimals, hashes, names of articles, times with a zone.
_NOBODY = re.compile(
    r"(?<![\d.])\d+\.\d{4,}(?:[eE][+-]?\d+)?(?![\d.])"
    r"|(?<![\w@.])(?=[0-9a-f]*[a-f])[0-9a-f]{16,}(?!\w)"
    r"|\b10\.\d{4,9}/[^\s\"'<>]+"
    r"|\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?"
    r"|\bISBN[- 0-9X]{10,20}"
)
_WORTH_A_LOOK = re.compile(r"[0-9]|@|arroba|\[at\]|\(at\)", re.IGNORECASE)
_TEL = re.compile(
    r"(?:\btel|phone|\bcall\b|m[oó]vil|mobile|celular|\bcel\b|whats|\bfax|\bllam|\bmarc|\bdial"
    r"|电话|手机|联系方式)",
    re.IGNORECASE,
)
_SOCIAL = re.compile(r"\bssn\b|social.?security", re.IGNORECASE)
_HOST = re.compile(r"host(?:.?name)?|node|computer(?:.?name)?", re.IGNORECASE)
_HELD_BY = re.compile(r"process [0-9]+ on (\S+)")
_HOME = re.compile(
    r"(?:/home/|/Users/|[A-Za-z]:[\\/]{1,2}(?:Users|Documents and Settings)[\\/]{1,2})"
    r"([^/\\\s\"'<>:|,;)]{1,64})"
)
_NOBODYS = frozenset({"shared", "public", "default", "all", "runner", "user", "name", "x", "you"})
_MAIL = re.compile(r"[^\s@]+@(?:[A-Za-z0-9-]+\.)+(?!png|svg|jpg|css|js\b)[A-Za-z]{2,24}")
# In the order in which they are tried; those with blanks alone must stand apart from other numbers.
_PHONES = (
    re.compile(r"\(?(?:\+|00)\)?[1-9](?:[ .\-()/]{0,2}[0-9]){7,14}"),
    re.compile(r"\(?[2-9][0-9]{2}\)?[-. ]{1,2}[2-9][0-9]{2}[-.][0-9]{4}"),
    re.compile(r"\([2-9][0-9]{1,2}\)[-. ]?[0-9]{3,4}[-. ][0-9]{4}"),
    re.compile(r"(?:86)?1[3-9][0-9]{9}|1[3-9][0-9][ -][0-9]{4}[ -][0-9]{4}"),
    re.compile(r"[6789][0-9]{2}(?:[ .-][0-9]{3}){2}|[6789][0-9]{2}(?:[ .-][0-9]{2}){3}"),
    re.compile(r"(?:55|33|81|[2-9][0-9]{2})[ -][0-9]{3,4}[ -][0-9]{4}"),
)


@lru_cache(maxsize=100_000)
def _by_form(piece: str, mark: str) -> tuple[tuple[str, str], ...]:
    return tuple(dict.fromkeys(_each_by_form(piece, mark)))


def _each_by_form(piece: str, mark: str) -> Iterator[tuple[str, str]]:
    bare = piece.strip()
    for each in _HOME.finditer(piece):
        if each[1].casefold() not in _NOBODYS:
            yield "home folder", each.group()
    for host in _hosts(bare, mark):
        yield "host", host
    if not _WORTH_A_LOOK.search(bare):
        return
    if _NUMBER.fullmatch(bare):
        if _PHONES[0].fullmatch(bare) and bare.startswith("+"):
            yield "phone", bare
        else:
            yield from _of_a_number(bare.lstrip("+-"), mark)
    elif not _MEASURED.fullmatch(bare):
        yield from _of_a_text(piece, mark)


def _of_a_number(digits: str, mark: str) -> Iterator[tuple[str, str]]:
    """A whole number alone in its cell: most are statistics."""
    size = len(digits)
    if card_holds(digits):
        yield "card", digits
    elif resident_holds(digits) or (size == 9 and _SOCIAL.search(mark)):
        yield "id", digits
    elif (7 <= size <= 15 and _TEL.search(mark)) or re.fullmatch(r"1[3-9][0-9]{9}", digits):
        yield "phone", digits


def _of_a_text(piece: str, mark: str) -> Iterator[tuple[str, str]]:
    quiet = _NOBODY.sub(lambda each: "\0" * len(each.group()), piece)
    for start, end, kind in spans(quiet):
        said = quiet[start:end]
        sure = _SURE.get(kind)
        if sure is not None and (what := sure(said, quiet, start, end, mark)):
            yield what, said


def _is_mail(said: str, *_: Any) -> str:
    spelt = "@" not in said
    return "e-mail" if spelt or _MAIL.fullmatch(said.replace(" ", "")) else ""


def _is_phone(said: str, text: str, start: int, end: int, mark: str) -> str:
    digits = re.sub(r"\D", "", said)
    if said.isdigit() and not re.fullmatch(r"(?:86)?1[3-9][0-9]{9}", said):
        marked = _TEL.search(mark) or _TEL.search(text[max(0, start - 24) : start])
        return "phone" if marked and 9 <= len(digits) <= 13 else ""
    if not any(form.fullmatch(said) for form in _PHONES):
        return ""
    return "" if _among_numbers(text, start, end) else "phone"


def _among_numbers(text: str, start: int, end: int) -> bool:
    """Other numbers stand right beside, as in a printed table."""
    before, after = text[:start].rstrip(" \t"), text[end:].lstrip(" \t")
    return before[-1:].isdigit() or before[-1:] == "[" or after[:1].isdigit() or after[:1] == "]"


def _is_card(said: str, text: str, start: int, end: int, mark: str) -> str:
    groups = [len(each) for each in re.findall("[0-9]+", said)]
    whole = len(groups) == 1 or groups[:2] in ([4, 4], [4, 6])
    digits = re.sub(r"\D", "", said)
    if whole and card_holds(digits) and text[start - 1 : start] != ".":
        return "card"
    return _is_phone(said, text, start, end, mark)  # of ten of them one has Luhn's digit by chance


def _is_account(said: str, *_: Any) -> str:
    return "account" if iban_length(said.upper()) == len(said) else ""


def _is_id(said: str, *_: Any) -> str:
    if re.fullmatch(r"[0-9]{3}-[0-9]{2}-[0-9]{4}", said):
        return "id"
    return "id" if code_holds(said) else ""


def _is_address(said: str, *_: Any) -> str:
    return "address" if re.search(r"[^\W\d_]{3}|[\u3400-\u9fff]", said) else ""


def _is_network(said: str, *_: Any) -> str:
    try:
        address = ipaddress.ip_address(said)
    except ValueError:
        physical = re.fullmatch(r"(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}", said)
        return "network address" if physical else ""
    return "" if address.is_loopback or address.is_unspecified else "network address"


_SURE = {
    "e-mail": _is_mail,
    "phone": _is_phone,
    "card": _is_card,
    "account": _is_account,
    "id": _is_id,
    "address": _is_address,
    "link": _is_network,
}


def _hosts(bare: str, mark: str) -> Iterator[str]:
    """Names of machines: where a record names one, and this one's own."""
    if _HOST.fullmatch(mark) and bare and bare != "localhost":
        yield bare
    if held := _HELD_BY.search(bare):
        yield held[1]
    own = _own_name()
    if own and own in bare and re.search(rf"(?<![\w-]){re.escape(own)}(?![\w-])", bare):
        yield own


@lru_cache(maxsize=1)
def _own_name() -> str:
    """This machine's name, if it is none that is also a plain word."""
    name = socket.gethostname()
    return name if len(name) >= 4 and re.search(r"[0-9.\-]", name) else ""


# --- customers' own words -------------------------------------------------------------------------

_WORDS = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+")
_HAN = re.compile(r"[\u3400-\u9fff]")
_HAN_RUN = re.compile(r"[\u3400-\u9fff]{2,}")


def _in_a_row(text: str) -> Iterator[int]:
    """Each stretch of words, long enough to be no coincidence, as one number."""
    words = _WORDS.findall(text.casefold())
    han = [bool(_HAN.match(word)) for word in words]
    for i in range(len(words) - IN_A_ROW + 1):
        size = IN_A_ROW_HAN if sum(han[i : i + IN_A_ROW]) > IN_A_ROW // 2 else IN_A_ROW
        some = words[i : i + size]
        if len(some) == size and not all(word.isdigit() for word in some):
            yield hash(tuple(some))
