"""What need not be run again, because nothing that it rests on has changed?"""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqm
from sqm.places import PHASES

MADE = "made.json"  # a phase's own record of what it rests on, written last in its folder
WORDS = {
    "notebook": "its notebook",
    "parameters": "its parameters",
    "data": "the data",
    "ledger": "a ledger",
    "source": "sqm itself",
    "versions": "an installed version",
    "earlier": "an earlier phase's findings",
}


@dataclass(frozen=True)
class Phase:
    """What one phase of a study rests on.

    Attributes
    ----------
    parts : dict of str to str
        Per part (`WORDS`) the SHA-256 of what it holds; data that cannot be known without being
        read (a database) are blank, and the phase is run each time.
    files : dict of str to str
        Every file behind the parts, by its path from the project, with the SHA-256 of its bytes.
    folders : dict of str to list of str
        Folders in which a new file would count, with the names of those that are there.
    """

    parts: dict[str, str]
    files: dict[str, str]
    folders: dict[str, list[str]]

    @property
    def key(self) -> str:
        """One SHA-256 over all the parts; blank if one of them cannot be known."""
        return digest(self.parts) if all(self.parts.values()) else ""


def digest(value: Any) -> str:
    """SHA-256 of a value that JSON can hold, whatever the order of its names.

    Examples
    --------
    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, allow_nan=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def of_file(path: Path) -> str:
    """SHA-256 of a file's bytes; ``"absent"`` where there is none.

    A file is hashed once in a process as long as its size and time of change stay the same, so
    that a thousand studies of one table cost one reading.
    """
    try:
        seen = path.stat()
    except OSError:
        return "absent"
    return _hashed(path, seen.st_size, seen.st_mtime_ns, seen.st_ino)


@functools.lru_cache(maxsize=4096)
def _hashed(path: Path, *_version: int) -> str:
    try:
        with path.open("rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()
    except OSError:
        return "absent"


@functools.cache
def of_source() -> str:
    """SHA-256 of everything in the package `sqm` that is not byte code."""
    package = Path(sqm.__file__).parent
    files = sorted(p for p in package.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return digest({path.relative_to(package).as_posix(): of_file(path) for path in files})


@functools.cache
def of_versions() -> str:
    """SHA-256 of the interpreter, the system and the names of all distributions installed."""
    folders = [Path(entry) for entry in sys.path if entry and Path(entry).is_dir()]
    found = {each.name for folder in folders for each in folder.glob("*.dist-info")}
    return digest([sys.version, platform.system(), platform.machine(), sorted(found)])


def names_in(folder: Path) -> list[str]:
    """Names of the files in a folder, hidden ones left out; none where there is no folder."""
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if p.is_file() and p.name[0] != ".")


def record(rests_on: Phase, staging: Path, *, root: Path, changes: Sequence[str]) -> dict[str, Any]:
    """What `MADE` says of a phase that has just been carried out in ``staging``.

    The executed notebook holds clock times, so it is left to the run's own record.
    """
    return {
        "key": rests_on.key,
        "parts": rests_on.parts,
        "files": {_from(root, Path(path)): sha for path, sha in sorted(rests_on.files.items())},
        "folders": {_from(root, Path(p)): names for p, names in sorted(rests_on.folders.items())},
        "changes": list(changes),
        "written": {
            name: of_file(staging / name)
            for name in names_in(staging)
            if not name.endswith(".ipynb") and name != MADE
        },
    }


def made(folder: Path) -> dict[str, Any] | None:
    """A phase's record, if the phase is there whole: every file as it was written.

    Of the executed notebook, which holds clock times, it is asked that it can be read.
    """
    said = _read(folder / MADE)
    if said is None or not isinstance(said.get("written"), dict):
        return None
    intact = all(of_file(folder / name) == sha for name, sha in said["written"].items())
    executed = [_read(path) for path in folder.glob("*.ipynb")]
    whole = intact and executed and None not in executed and "phase.json" in said["written"]
    return said if whole else None


def why_again(there: dict[str, Any] | None, rests_on: Phase) -> str:
    """Say why a phase is to be run; blank if it need not be.

    Examples
    --------
    >>> now = Phase({"data": "a", "source": "b"}, {}, {})
    >>> why_again({"key": now.key, "parts": now.parts}, now)
    ''
    >>> why_again({"key": "x", "parts": {"data": "other", "source": "b"}}, now)
    'the data changed'
    """
    if there is None:
        return "not carried out yet, or not whole"
    if not rests_on.key:
        return "a database may hold something new"
    if there.get("key") == rests_on.key:
        return ""
    before = there.get("parts", {})
    differ = [word for part, word in WORDS.items() if before.get(part) != rests_on.parts.get(part)]
    return f"{' and '.join(differ) or 'its record'} changed"


def whole(study: str, *, root: Path, out: Path, first: str, changes: Iterable[str]) -> Path | None:
    """The report of a study of which no part need be run again; None if any must, or may.

    It reads what the last run wrote down and compares bytes, so it needs neither the parameters
    understood nor a table read: that is what makes a batch with nothing to do quick.

    Parameters
    ----------
    study : str
        Name, or path of a YAML file.
    root, out : Path
        The project, and the folder that holds the studies' folders.
    first : str
        The phase to begin with.
    changes : iterable of str
        Overrides, as typed.
    """
    named = root / "params" / f"{study}.yml"
    try:
        path = Path(study).expanduser() if study.endswith((".yml", ".yaml")) else named
        path = path.resolve()
    except (OSError, RuntimeError, ValueError):  # a home of nobody's: whoever checks it will say so
        return None
    place = out / path.stem
    run = _read(place / "run.json")
    if run is None or first not in PHASES or not isinstance(run.get("written"), dict):
        return None
    if run.get("study_file", {}).get("sha256") != of_file(path):
        return None
    if any(of_file(place / name) != sha for name, sha in run["written"].items()):
        return None
    asked_for = PHASES[PHASES.index(first) :]
    same = all(
        _same(made(place / phase), path, root=root, changes=list(changes)) for phase in asked_for
    )
    return place / "report.html" if same else None


def _same(said: dict[str, Any] | None, path: Path, *, root: Path, changes: list[str]) -> bool:
    """Whether everything behind a phase's record is still so, to the byte."""
    if said is None or not said["key"] or said["changes"] != changes:
        return False
    parts = said["parts"]
    return (
        parts["source"] == of_source()
        and parts["versions"] == of_versions()
        and _from(root, path) in said["files"]
        and all(of_file(root / name) == sha for name, sha in said["files"].items())
        and all(names_in(root / name) == names for name, names in said["folders"].items())
    )


def _from(root: Path, path: Path) -> str:
    """A path as a record holds it: from the project where it lies within."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None
