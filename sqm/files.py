"""How does a file become a table of text?"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import os
import re
import zlib
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow

from sqm.checks import Problem, nearest
from sqm.roles import Table

SEPARATORS = (",", ";", "\t", "|")
TEXTS = (".csv", ".tsv", ".txt")
BOOKS = (".xlsx", ".xlsm")
ENDINGS = (*TEXTS, *BOOKS, ".parquet", ".sav")
PIECE = 4_000  # rows that are in memory as Python texts at one time
START = 1_000_000  # bytes in which a header and a first row are looked for
BUFFER = 1_000_000  # bytes or characters of a text file that are in memory at one time
OLD_ENCODINGS = ["cp1252", "cp1250", "cp1251", "gb18030", "big5", "cp932", "euc_kr"]
WESTERN = frozenset("áéíóúñüàèìòùâêîôûäëïöãõçåæøßÁÉÍÓÚÑÜÀÈÇÄÖÅØÆÃÕ¿¡ªº«»€–—‘’“”…·°´")
LONGEST_CELL = 50_000_000  # characters; csv refuses 131,072 and more unless told otherwise

# Comments, texts and quoted names of a query; and what one database takes for the end of them, or
# for a command, and another does not: a query that holds such a sign is searched as it stands.
ASIDE = r"--[^\n]*|/\*.*?\*/|'[^']*'|\"[^\"]*\"|`[^`]*`|\[[\w .-]*\]"
READ_OTHERWISE = r"\\|\$\w*\$|#|/\*[!M]|/\*(?:(?!\*/).)*/\*|--(?=\S)|\r(?!\n)|\0"
CHANGES = (
    r"\b(insert|update|delete|merge|drop|alter|create|truncate|grant|revoke|into|copy|call"
    r"|exec|execute|attach|detach|pragma|vacuum|set|lock)\b"
)
# Signs by which a query can hide a name, or where a comment ends, from whoever reads it here.
UNCLEAR = r"U&(?=[\"'])|\bUESCAPE\b|/\*(?:(?!\*/).)*/\*|\r(?!\n)|\0"
# Functions that write, reach other files or machines, or hold a database up; of PostgreSQL's own
# all but a few that only tell something.
TELLS = (
    "typeof|backend_pid|client_encoding|column_size|database_size|encoding_to_char"
    "|get_(?:constraintdef|expr|indexdef|serial_sequence|userbyid|viewdef)|indexes_size"
    "|input_is_valid|postmaster_start_time|relation_size|size_pretty|table_is_visible|table_size"
    "|timezone_abbrevs|timezone_names|total_relation_size|type_is_visible"
)
ACTS = (
    rf"\b(pg_(?!(?:{TELLS})\b)\w+|lo_\w+|lowrite|dblink\w*|set_config|nextval"
    r"|setval|(?:query|cursor|table|schema|database)_to_xml\w*|load_extension|load_file|readfile"
    r"|writefile|sys_e\w+|[xs]p_\w+|open(?:rowset|query|datasource)|utl_\w+|dbms_\w+|benchmark"
    r"|sleep|get_lock)[\"`\]]?(?:\s|--[^\n]*\n|#[^\n]*\n|/\*(?:(?!\*/).)*\*/)*\("
)

# A value that a database quotes: from its first sign to the last, for it may hold such signs.
GIVEN = r"""(:\s*|\b(?:value|text|entry|string)\s+)(?:"(?:.*"|.*)|'(?:.*'|.*))"""

# What was noticed while reading: column, what, rows, treatment.
Note = tuple[str, str, int, str]


@dataclass
class Raw:
    """A source as text.

    Attributes
    ----------
    header : list of str
        Every column's name in the source.
    cells : DataFrame of str
        The columns that were asked for, numbered by their place in the
        header, because a header may hold a name twice; blank is ``""``.
    sha256 : str
        Of the file's bytes; for a query, of its result. `head` does not hash a file.
    notes : list of tuple
        What was detected: column, what, rows, treatment.
    labels : dict
        Per column of an SPSS file, the label of each code.
    rows : int
        Rows in the source where fewer were taken from it; else 0.
    """

    header: list[str]
    cells: pd.DataFrame
    sha256: str = ""
    notes: list[Note] = field(default_factory=list)
    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    rows: int = 0

    def under(self, names: Sequence[str]) -> pd.DataFrame:
        """Cells of the named columns, each the first of its name."""
        places = [self.header.index(name) for name in names]
        return self.cells[places].set_axis(list(names), axis="columns")


def whole(table: Table, name: str, *, root: Path, wanted: Container[str] | None = None) -> Raw:
    """Read all rows of a source, and of its columns those wanted (all without).

    Parameters
    ----------
    table : Table
    name : str
        Name of the table in the study, for messages.
    root : Path
        Folder from which paths are counted.
    wanted : container of str, optional
        Names of columns.

    Raises
    ------
    Problem
        If the source cannot be opened or decoded, or has no rows.
    """
    return _opened(table, name, root, wanted, None)


def head(table: Table, name: str, *, root: Path) -> Raw:
    """Read a source's header, and enough to know that there are rows.

    Raises
    ------
    Problem
        If the source cannot be opened or decoded, or has no rows.
    """
    return _opened(table, name, root, (), 1)


def texts(table: Table, name: str, *, root: Path) -> pd.DataFrame:
    """Every column of a source as text, as it stands there; blank is ``""``.

    Columns that share a name, or have none, are left out: no role can point
    to them.
    """
    raw = whole(table, name, root=root)
    return raw.under([column for column in raw.header if column and raw.header.count(column) == 1])


def need_header(raw: Raw, table: Table, name: str) -> None:
    """Insist that a source has every column that the study reads, each once."""
    for column in table.columns():
        times = raw.header.count(column)
        if times == 0:
            raise Problem(
                f"{file_name(table, name)} has no column {column!r}.",
                _nearest_column(column, raw.header),
            )
        if times > 1:
            raise Problem(
                f"{file_name(table, name)} has {times} columns named {column!r}.",
                "rename them in the source, so that each name stands once.",
            )


def lies_in(table: Table, *, root: Path) -> list[Path]:
    """Files in which a table lies, all of a folder or of a pattern such as ``part-*.parquet``."""
    path = root / Path(table.path or "").expanduser()
    if path.is_file():  # though its name may hold a sign of a pattern
        return [path]
    if path.is_dir():
        return sorted(each for each in path.iterdir() if each.is_file())
    if any(sign in path.name for sign in "*?["):
        return sorted(path.parent.glob(path.name))
    return [path]


def file_name(table: Table, name: str) -> str:
    """The source in a message about what it holds.

    Examples
    --------
    >>> file_name(Table(path="data/s.csv", roles={"site": "place"}), "survey")
    's.csv'
    """
    return Path(table.path).name if table.path is not None else f"{name} (query)"


def spellings(words: Iterable[str]) -> list[str]:
    """Words as they may be written: 99 is also 99.0.

    Examples
    --------
    >>> spellings(["99", "n/a"])
    ['99', 'n/a', '99.0', '99.00']
    """
    words = list(words)
    numbers = [word for word in words if re.fullmatch(r"-?\d+", word)]
    return [*words, *(number + zeros for number in numbers for zeros in (".0", ".00"))]


def as_text(value: Any, decimal: str) -> str:
    """A typed value as the text that reading would turn back into it.

    Examples
    --------
    >>> as_text(4.5, ","), as_text(4.0, ","), as_text(None, ","), as_text(True, ",")
    ('4,5', '4', '', 'true')
    """
    if isinstance(value, str):
        return value
    if value is None or value is pd.NaT or value is pd.NA or value != value:
        return ""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        integer = float(value).is_integer() and abs(value) < 1e15
        return str(int(value)) if integer else repr(float(value)).replace(".", decimal)
    if isinstance(value, Decimal):
        return f"{value:f}".replace(".", decimal)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _nearest_column(column: str, header: list[str]) -> str:
    for each in header:
        if each.strip().casefold() == column.strip().casefold():
            return f"did you mean {each!r}?"
    return nearest(column, header)


# --- any source ---------------------------------------------------------------------------------


def _opened(
    table: Table, name: str, root: Path, wanted: Container[str] | None, rows: int | None
) -> Raw:
    if table.database is not None:
        raw = _from_database(table, name, root, wanted, rows)
    else:
        raw = _from_file(_path(table, name, root), table, name, wanted, rows)
    if not len(raw.cells):
        raise _empty(table, name)
    return raw


def _from_file(
    path: Path, table: Table, name: str, wanted: Container[str] | None, rows: int | None
) -> Raw:
    if path.stat().st_size == 0:
        raise _empty(table, name)
    read = _from_csv if ending(path) in TEXTS else _from_program
    raw = read(path, table, wanted, rows)
    if rows is None:
        with path.open("rb") as source:
            raw.sha256 = hashlib.file_digest(source, "sha256").hexdigest()
    return raw


def _path(table: Table, name: str, root: Path) -> Path:
    return need_readable(root / Path(table.path or "").expanduser(), table, name)


def need_readable(path: Path, table: Table, name: str) -> Path:
    """Insist that a file is there and of a kind that can be read."""
    given = table.path or ""
    if path.is_dir():
        mend = "name the file in it; a folder is read where a table has `where` or `summed`."
        raise Problem(f"{name}: {given} is a folder.", mend)
    if not path.is_file():
        raise Problem(f"{name}: there is no file {given}.", _nearest_file(path))
    if not os.access(path, os.R_OK):
        raise Problem(
            f"{name}: {given} may not be read.", "ask its owner for the right to read it."
        )
    if ending(path) == ".xls":
        raise Problem(
            f"{name}: {given} is in the Excel format of before 2007.", "save it as .xlsx or .csv."
        )
    if ending(path) not in ENDINGS:
        raise Problem(
            f"{name}: {given} ends in none of the known endings.",
            f"give a file that ends in {', '.join(ENDINGS)} (.csv, .tsv, .txt also with .gz).",
        )
    if table.sheet is not None and ending(path) not in BOOKS:
        raise Problem(f"{name}: {given} has no sheets.", "leave `sheet` out.")
    return path


def ending(path: Path) -> str:
    """How a file's name ends, without the .gz of a text."""
    name = path.name.lower()
    text = name.removesuffix(".gz")
    found = Path(text).suffix
    return found if text == name or found in TEXTS else ".gz"


def _nearest_file(path: Path) -> str:
    try:
        there = sorted(each.name for each in path.parent.iterdir() if each.is_file())
    except OSError:
        return "its folder is not there either; paths are counted from the repository root."
    hint = nearest(path.name, there)
    few = len(there) <= 20
    return hint if few or hint.startswith("did") else "check the name and the folder."


def _empty(table: Table, name: str) -> Problem:
    return Problem(
        f"{file_name(table, name)} has no rows.",
        "check that the export worked; a file with a header alone is empty too.",
    )


def _places(header: list[str], wanted: Container[str] | None) -> list[int]:
    return [i for i, column in enumerate(header) if wanted is None or column in wanted]


def _cells(columns: dict[int, Iterable[str]], rows: int) -> pd.DataFrame:
    typed = {i: pd.array(values, dtype="str") for i, values in columns.items()}
    return pd.DataFrame(typed, index=pd.RangeIndex(rows))


# --- CSV ----------------------------------------------------------------------------------------


def _from_csv(path: Path, table: Table, wanted: Container[str] | None, rows: int | None) -> Raw:
    if rows is None:
        encoding = _encoding_throughout(path, table)
        lines: Callable[[], Iterator[str]] = lambda: _lines(path, table, encoding)  # noqa: E731
    else:
        text, encoding = _decoded(_content(path, table, START), table)
        lines = lambda: io.StringIO(text, newline="")  # noqa: E731
    separator = table.separator or _separator(lines(), ending(path))
    raw = _split(lines, separator, table, wanted, rows)
    shown = {"\t": "tab", " ": "space"}.get(separator, separator)
    guessed = "detected" if encoding.startswith("utf") else "guessed; if letters look wrong, set it"
    said = "as the parameters say"
    raw.notes = [
        ("", f"encoding {encoding}", len(raw.cells), said if table.encoding else guessed),
        ("", f"separator {shown}", len(raw.cells), said if table.separator else "detected"),
    ]
    return raw


def _lines(path: Path, table: Table, encoding: str) -> Iterator[str]:
    """A file's lines one by one, so that no more than a few are in memory."""
    with (
        _unpacked(path, table) as source,
        io.TextIOWrapper(source, encoding=encoding, newline="") as text,
    ):
        yield next(text, "").removeprefix("\ufeff")
        yield from text


@contextmanager
def _unpacked(path: Path, table: Table) -> Iterator[io.BufferedReader]:
    try:
        with (gzip.open if path.name.lower().endswith(".gz") else Path.open)(path, "rb") as source:
            yield io.BufferedReader(source, BUFFER)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise Problem(
            f"{table.path} is no whole gzip file.", "fetch or compress it anew."
        ) from error


def _encoding_throughout(path: Path, table: Table) -> str:
    """The encoding that reads every byte of a file."""
    with _unpacked(path, table) as source:
        encoding = table.encoding or _unicode(source.peek(4000)) or "utf-8"
        try:
            text = io.TextIOWrapper(source, encoding=encoding, newline="")
            pieces = iter(lambda: text.read(BUFFER), "")
            if not any("\0" in piece for piece in pieces):
                return encoding
        except (LookupError, UnicodeError):
            pass
    # An older encoding, or a damaged line: then the whole is needed, to tell which it is.
    return _decoded(_content(path, table, -1), table)[1]


def _content(path: Path, table: Table, size: int) -> bytes:
    """A file's bytes, unpacked; of the first ``size`` bytes only the whole lines."""
    with _unpacked(path, table) as source:
        content = source.read(size)
    if len(content) != size or b"\0" in content:  # in UTF-16 a line's end is more than one byte
        return content
    return content[: content.rfind(b"\n") + 1] or content


def _decoded(content: bytes, table: Table) -> tuple[str, str]:
    encoding = table.encoding or _encoding(content, table)
    try:
        text = content.decode(encoding)
    except LookupError:
        raise Problem(
            f"{encoding!r} is no encoding.", "use utf-8, latin-1, cp1252, gb18030, utf-16 ..."
        ) from None
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise Problem(
            f"{table.path}: line {line} cannot be read as {encoding}.",
            "give the `encoding` in which the file was written, or correct that line.",
        ) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise Problem(
            f"{table.path}: line {line} holds a NUL byte, which no text does.",
            "the file is damaged or no CSV; export it anew.",
        )
    return text.removeprefix("\ufeff"), encoding


def _encoding(content: bytes, table: Table) -> str:
    if marked := _unicode(content):
        return marked
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return _old_encoding(content, table)
    return "utf-8"


def _unicode(content: bytes) -> str | None:
    """The form of Unicode that a file's first bytes show, if it is not plain UTF-8."""
    for mark, encoding in (
        (b"\xef\xbb\xbf", "utf-8-sig"),
        (b"\xff\xfe\x00\x00", "utf-32"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if content.startswith(mark):
            return encoding
    zeros = np.frombuffer(content[:4000], dtype="uint8") == 0
    if zeros.any() and zeros.mean() > 0.2:  # Latin text in UTF-16 without its mark
        return "utf-16-le" if zeros[1::2].sum() > zeros[::2].sum() else "utf-16-be"
    return None


def _old_encoding(content: bytes, table: Table) -> str:
    """The encoding of text that is not Unicode; a guess, and said to be one in the notes."""
    from charset_normalizer import from_bytes

    _need_one_encoding(content, table)
    foreign = b"\n".join(line for line in content.split(b"\n") if not line.isascii())
    foreign = foreign[: foreign.rfind(b"\n", 0, 200_000) if len(foreign) > 200_000 else None]
    best = from_bytes(foreign, cp_isolation=OLD_ENCODINGS).best()
    if best is None:
        raise Problem(
            f"{table.path}: its encoding cannot be told.", "name it, for example encoding: latin-1."
        )
    # Czech and Spanish letters share their bytes; a text in Western letters alone is Western.
    letters = [letter for letter in foreign.decode("cp1252", errors="replace") if letter > "\x7f"]
    western = sum(letter in WESTERN for letter in letters) > 0.9 * len(letters)
    return "cp1252" if western and best.encoding == "cp1250" else best.encoding


def _need_one_encoding(content: bytes, table: Table) -> None:
    wrong, right = [], 0
    for number, line in enumerate(content.split(b"\n"), start=1):
        try:
            line.decode("utf-8")
            right += not line.isascii()
        except UnicodeDecodeError:
            wrong.append(number)
    if right > 0.2 * len(wrong):
        raise Problem(
            f"{table.path} mixes encodings: {right} lines are UTF-8, {len(wrong)} are not"
            f" (first lines: {', '.join(map(str, wrong[:5]))}).",
            "save it anew as UTF-8; reading it as either would garble the other's letters.",
        )


def opening(path: Path, table: Table) -> tuple[str, str, list[str]]:
    """Encoding, separator and header of a text file, from its first lines alone.

    Parameters
    ----------
    path : Path
        Plain or compressed.
    table : Table
        What it says of encoding and separator goes before what is detected.
    """
    text, encoding = _decoded(_content(path, table, START), table)
    lines = io.StringIO(text, newline="")
    separator = table.separator or _separator(lines, ending(path))
    return (
        encoding,
        separator,
        _split(lambda: io.StringIO(text, newline=""), separator, table, (), 0).header,
    )


def _separator(lines: Iterator[str], ending: str) -> str:
    """The separator that splits the first records into the most, equally many, columns."""
    text = "".join(islice(lines, 400))[:200_000]
    best, most = ("\t" if ending == ".tsv" else ","), 1
    for separator in SEPARATORS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        try:
            widths = [len(row) for row in islice(reader, 30) if row]
        except csv.Error:
            continue
        if len(widths) > 2:
            widths = widths[:-1]  # the last one may be cut
        alike = widths.count(widths[0]) if widths else 0
        if widths and widths[0] > most and alike > len(widths) / 2:
            best, most = separator, widths[0]
    return best


def _split(
    lines: Callable[[], Iterator[str]],
    separator: str,
    table: Table,
    wanted: Container[str] | None,
    rows: int | None,
) -> Raw:
    limit = csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(lines(), delimiter=separator, strict=True)
    try:
        records = filter(None, reader)  # a blank line is no row
        header, records = next(records, []), islice(records, rows)
        count, pieces = 0, {i: [] for i in _places(header, wanted)}
        while piece := list(islice(records, PIECE)):
            if set(map(len, piece)) != {len(header)}:
                raise _ragged(lines(), separator, len(header), table)
            count += len(piece)
            columns = list(zip(*piece, strict=True))
            for i, arrays in pieces.items():
                arrays.append(pyarrow.array(columns[i], pyarrow.string()))
    except csv.Error as error:
        raise Problem(
            f"{table.path}: the quotation marks do not match at or before line {reader.line_num}"
            f" ({error}).",
            'double the quotation marks inside a quoted value (""), or close the open one.',
        ) from None
    finally:
        csv.field_size_limit(limit)
    joined = {i: pyarrow.chunked_array(each, pyarrow.string()) for i, each in pieces.items()}
    return Raw(header, _cells(joined, count))


def _ragged(lines: Iterator[str], separator: str, width: int, table: Table) -> Problem:
    """Find the lines again, one by one, that have more or fewer values than the header."""
    reader = csv.reader(lines, delimiter=separator)
    wrong = [(reader.line_num, len(row)) for row in reader if row and len(row) != width]
    return Problem(
        f"{table.path}: line {wrong[0][0]} has {wrong[0][1]} values where the header has {width}"
        f" ({len(wrong)} such lines; first: {', '.join(str(n) for n, _ in wrong[:5])}).",
        "put a value that holds the separator in quotes, or name the `separator`.",
    )


# --- Excel, Parquet, SPSS -----------------------------------------------------------------------


def _from_program(path: Path, table: Table, wanted: Container[str] | None, rows: int | None) -> Raw:
    last = ending(path)
    read = {".parquet": _from_parquet, ".sav": _from_spss}.get(last, _from_excel)
    try:
        return read(path, table, wanted, rows)
    except Problem:
        raise
    except Exception as error:  # these readers raise errors of many libraries
        raise Problem(
            f"{table.path} cannot be opened as {last} ({type(error).__name__}).",
            "open it in the program that made it and save it anew.",
        ) from error


def _from_excel(path: Path, table: Table, wanted: Container[str] | None, rows: int | None) -> Raw:
    from openpyxl import load_workbook

    book = load_workbook(path, read_only=True, data_only=True)
    try:
        sheets = book.sheetnames
        sheet = table.sheet or sheets[0]
        if sheet not in sheets:
            raise Problem(f"{table.path} has no sheet {sheet!r}.", nearest(sheet, sheets))
        lines = filter(_holds_something, book[sheet].iter_rows(values_only=True))
        first, kept = next(lines, ()), list(islice(lines, rows))
    finally:
        book.close()
    width = max((i + 1 for i, cell in enumerate(first) if cell is not None), default=0)
    if any(_holds_something(line[width:]) for line in kept):
        raise Problem(
            f"{table.path}: the sheet {sheet!r} has values beyond its last column's heading.",
            "give every column a heading in the first row.",
        )
    header = [as_text(cell, ".") for cell in first[:width]]
    raw = _from_records(kept, header, table, wanted)
    if table.sheet is None and len(sheets) > 1:
        raw.notes.append(("", f"sheet {sheet}", len(kept), "first of several, read alone"))
    return raw


def _holds_something(line: tuple) -> bool:
    return any(cell is not None for cell in line)


def _from_records(
    records: list[tuple], header: list[str], table: Table, wanted: Container[str] | None
) -> Raw:
    """Rows of typed values; those of a sheet may end before its last column."""
    cells = {
        i: [as_text(row[i], table.decimal) if i < len(row) else "" for row in records]
        for i in _places(header, wanted)
    }
    return Raw(header, _cells(cells, len(records)))


def _from_parquet(path: Path, table: Table, wanted: Container[str] | None, rows: int | None) -> Raw:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as source:
        header = [str(column) for column in source.schema_arrow.names]
        if rows is not None:
            return Raw(header, _cells({}, min(source.metadata.num_rows, rows)))
        take = [header[i] for i in _places(header, wanted)]
        return from_arrow(source.read(columns=take), header, table)


def from_arrow(read: pyarrow.Table, header: list[str], table: Table) -> Raw:
    """Columns of these names, each as text; of a name that stands twice the first."""
    cells: dict[int, Iterable[str]] = {}
    for name in read.column_names:
        column, kind = read.column(name), read.column(name).type
        if pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind):
            cells[header.index(name)] = column.fill_null("")
        else:
            values = read.select([name]).to_pandas(ignore_metadata=True)[name]
            cells[header.index(name)] = _texts_of(values, table)
    return Raw(header, _cells(cells, read.num_rows))


def _from_spss(path: Path, table: Table, wanted: Container[str] | None, rows: int | None) -> Raw:
    import pyreadstat

    _, meta = pyreadstat.read_sav(path, metadataonly=True)
    header = list(meta.column_names)
    if rows is not None:
        return Raw(header, _cells({}, rows if meta.number_rows is None else meta.number_rows))
    take = [header[i] for i in _places(header, wanted)]
    frame, meta = pyreadstat.read_sav(path, usecols=take)  # user-missing values come as missing
    raw = _from_frame(frame, header, table)
    raw.labels = {
        column: {as_text(code, table.decimal): str(label) for code, label in labels.items()}
        for column, labels in meta.variable_value_labels.items()
    }
    return raw


def _from_frame(frame: pd.DataFrame, header: list[str], table: Table) -> Raw:
    cells = {header.index(column): _texts_of(frame[column], table) for column in frame.columns}
    return Raw(header, _cells(cells, len(frame)))


def _texts_of(values: pd.Series, table: Table) -> list[str]:
    return [as_text(value, table.decimal) for value in values.tolist()]


# --- databases ----------------------------------------------------------------------------------


def _from_database(
    table: Table, name: str, root: Path, wanted: Container[str] | None, rows: int | None
) -> Raw:
    url = address(table, name, root)
    query = one_select(table.query or "", name)
    try:
        header, records = _answer(url, query, rows)
    except Exception as error:  # drivers raise errors of their own besides SQLAlchemy's
        raise no_database(name, url, error) from None
    raw = _from_records(records, header, table, wanted)
    digest = hashlib.sha256(repr(header).encode())
    for row in records:
        digest.update(repr([as_text(value, ".") for value in row]).encode())
    raw.sha256 = digest.hexdigest()
    return raw


def _answer(url: Any, query: str, rows: int | None) -> tuple[list[str], list[tuple]]:
    from sqlalchemy import create_engine

    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            read_only(connection)
            result = connection.execution_options(stream_results=True).exec_driver_sql(query)
            header = [str(column) for column in result.keys()]  # noqa: SIM118, it is no dict
            found = result.fetchall() if rows is None else result.fetchmany(rows)
            connection.rollback()
    finally:
        engine.dispose()
    return header, [tuple(row) for row in found]


def address(table: Table, name: str, root: Path) -> Any:
    """Where a database is, as SQLAlchemy has it; secrets come from the environment alone."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    given = table.database or ""
    from_environment = given.startswith("env:")
    if from_environment:
        given = _from_environment(given.removeprefix("env:"), name)
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        raise Problem(
            f"{name}: the database address cannot be read.",
            "write it as SQLAlchemy does: dialect+driver://user@host/database.",
        ) from None
    secret = any(re.search("pass|pwd|token|secret|key", key, re.I) for key in url.query)
    if not from_environment and (url.password is not None or secret):
        raise Problem(
            f"{name}: the database address in the parameters carries a password.",
            "put the whole address into an environment variable and write database: env:NAME.",
        )
    return _sqlite_file(url, name, root)


def _from_environment(variable: str, name: str) -> str:
    if not os.environ.get(variable):
        raise Problem(
            f"{name}: the environment variable {variable} is not set.",
            f"set {variable} to the database's SQLAlchemy address before running.",
        )
    return os.environ[variable]


def _sqlite_file(url: Any, name: str, root: Path) -> Any:
    """SQLite makes an empty file where none is, and counts paths from where it was started."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return url
    path = root / Path(url.database).expanduser()
    if not path.is_file():
        raise Problem(
            f"{name}: the SQLite file is not there.", "paths are counted from the repository root."
        )
    # any other would become part of a file's name, or be told in a warning
    query = {
        name: url.query[name] for name in ("timeout", "cached_statements") if name in url.query
    }
    return url.set(database=str(path), query=query)


def one_select(query: str, name: str) -> str:
    """Let only one reading statement through; databases are further told to be read-only."""
    odd = re.search(READ_OTHERWISE, query, re.S)
    bare = query if odd else re.sub(ASIDE, lambda found: _left_of(found[0]), query, flags=re.S)
    bare = bare.strip().rstrip(";").strip()
    # a call is looked for in comments and texts too: where they end is not known for certain
    found = re.search(CHANGES, bare, re.I) or re.search(UNCLEAR, query, re.I | re.S)
    found = found or re.search(ACTS, query, re.I | re.S)
    if not re.match(r"(select|with)\b", bare, re.I) or ";" in bare or found:
        raise Problem(
            f"{name}: the query is not a single SELECT"
            + (f" (it says {_word_of(found[0])})." if found else "."),
            "write one statement that begins with SELECT or WITH and only reads;"
            " quote a column that bears such a name.",
        )
    return query.strip().rstrip(";")


def _word_of(found: str) -> str:
    """The word for which a query is refused; or the sign, where it is none."""
    word = re.match(r"[\w&]*", found)[0].upper()
    return word or "a comment within a comment, or a sign that no query needs"


def _left_of(aside: str) -> str:
    """What stays of a comment, a text or a name in quotation marks when its words do not count."""
    return " " if aside.startswith(("--", "/*")) else "''"


def read_only(connection: Any) -> None:
    """Tell a database that nothing is to be changed, and to show one state throughout."""
    statement = {
        "sqlite": "PRAGMA query_only = ON",
        "postgresql": "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
        "mysql": "SET SESSION TRANSACTION READ ONLY",
        "mariadb": "SET SESSION TRANSACTION READ ONLY",
    }.get(connection.dialect.name)
    if statement:
        connection.exec_driver_sql(statement)


def no_database(name: str, url: Any, error: Exception) -> Problem:
    """Say what the database said, without anything of its address."""
    said = re.sub(GIVEN, r"\1…", str(getattr(error, "orig", None) or ""), flags=re.S)
    said = said.strip().split("\n")[0]
    parts = (url.password, url.username, url.host, url.database, *map(str, url.query.values()))
    for part in sorted(map(str, filter(None, parts)), key=len, reverse=True):
        said = said.replace(part, "…")
    said = re.sub(r"\b\d{1,3}(?:\.\d{1,3}){3}\b|\b[0-9a-f]*:[0-9a-f]*:[0-9a-f:]*", "…", said)
    said = f": {said[:200]}" if said else ""
    return Problem(
        f"{name}: the database did not answer the query ({type(error).__name__}{said}).",
        "try the query in the database's own client, and check address, driver and rights.",
    )
