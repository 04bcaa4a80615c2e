"""How do outputs reach a place that is no folder of this machine?"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import filelock

from sqm.checks import Problem
from sqm.places import NAME, PHASES, need_name, notebook
from sqm.run import Outcome, Say
from sqm.writing import write

RECORD, RUN = "made.json", "run.json"  # what is sent last: of a phase, and of a study
KEPT_THERE = {"previous", "by-hand", "ledger"}  # there these are no mirror of the folder here
LEDGER = re.compile(rf"ledger/{NAME.pattern}\.csv")
STAGING = ".sent"  # a local run of the same study lies beside it, and neither touches the other
PATIENCE = 10  # seconds to wait for another batch, and for what a killed one had started
LOCAL = {"file", "local", "sftp", "ssh"}  # whose files are seen while they are being written
PART = re.compile(r'[^.\x00-\x1f\x7f/\\:*?"<>|][^\x00-\x1f\x7f/\\:*?"<>|]{0,254}')


@dataclass(frozen=True)
class _There:
    """A study's folder at an address."""

    system: Any
    base: str

    def path(self, name: str) -> str:
        """The path of one of its files; no name leads out of the folder."""
        if not all(PART.fullmatch(part) for part in name.split("/")):
            raise Problem(f"{name!r} cannot name a file of a study.", "take it out of the folder.")
        return f"{self.base}/{name}"

    def sizes(self) -> dict[str, int]:
        """Every file there, by its path from the study's folder, with its bytes."""
        found = self.system.find(self.base, detail=True)
        return {str(p)[len(self.base) :].lstrip("/"): said["size"] for p, said in found.items()}

    def read(self, name: str) -> bytes | None:
        """The bytes of a file; None if it is not there."""
        try:
            return self.system.cat_file(self.path(name))
        except FileNotFoundError:
            return None

    def put(self, file: Path, name: str) -> None:
        """Send one file, whole or not at all: object stores do so by themselves."""
        target = self.path(name)
        self.system.makedirs(target.rpartition("/")[0], exist_ok=True)
        if _protocol(self.system) not in LOCAL:
            self.system.put_file(str(file), target)
            return
        beside = f"{target}.part"
        self.system.put_file(str(file), beside)
        self.system.mv(beside, target)

    def copy(self, name: str, to: str) -> None:
        """Copy one file within the folder."""
        self.system.makedirs(self.path(to).rpartition("/")[0], exist_ok=True)
        self.system.cp_file(self.path(name), self.path(to))

    def remove(self, name: str) -> None:
        """Take a file away; it is no fault if another did."""
        with contextlib.suppress(FileNotFoundError):
            self.system.rm_file(f"{self.base}/{name}")


def is_address(text: str | PurePath) -> bool:
    """Whether an output place is an address instead of a folder.

    Examples
    --------
    >>> is_address("s3://bucket/studies"), is_address("out"), is_address("C:/out")
    (True, False, False)
    """
    return "://" in str(text)


def need_address(address: str) -> None:
    """Insist on an address that can be reached and that carries no secret.

    Raises
    ------
    Problem
        Secrets stand in the environment, where the client of the store looks for them: an address
        is printed, logged and seen by everybody who lists processes.

    Examples
    --------
    >>> need_address("ftp://anna:word@host/out")
    Traceback (most recent call last):
    ...
    sqm.checks.Problem: The address ftp://…@host/out carries a password.
      To mend: leave it out, and give it in the environment or in the store's own settings.
    """
    if "::" in address or "?" in address or "#" in address:
        raise Problem(
            f"The address {_shown(address)} is more than a place.",
            "give a protocol and a folder, for example s3://bucket/studies.",
        )
    if re.match(r"[^/]*://[^/]*:[^/]*@", address):
        raise Problem(
            f"The address {_shown(address)} carries a password.",
            "leave it out, and give it in the environment or in the store's own settings.",
        )
    with _reaching(address):
        system, base = _connect(address)
        system.exists(base)


def staging(address: str, out: Path) -> Path:
    """The folder of this machine in which studies are carried out that go to an address.

    Parameters
    ----------
    address : str
    out : Path
        The folder of outputs; its own studies are left alone.

    Examples
    --------
    >>> staging("s3://bucket/studies", Path("out")).as_posix()
    'out/.sent/b02e951bbb80c198'
    """
    return out / STAGING / hashlib.sha256(address.rstrip("/").encode()).hexdigest()[:16]


def fetch(address: str, study: str, folder: Path) -> None:
    """Bring what an earlier run left at an address, so that unchanged phases need not run.

    Parameters
    ----------
    address : str
        The place of all studies, for example ``s3://bucket/studies``.
    study : str
    folder : Path
        The study's folder on this machine.

    Raises
    ------
    Problem
        If a ledger cannot be brought: a study that ran without it would promise anew what has been
        promised.

    Notes
    -----
    The study's own ledgers come first.  Of all else, only files that a record names are brought,
    and only as that record has them: a phase of which a file is missing or differs is left there,
    and is run again.
    """
    with _at(address, study) as there:
        _bring_ledgers(there, folder)
        for phase in PHASES:
            _bring_phase(there, folder, phase)
        _bring_run(there, folder)


def send(folder: Path, address: str, study: str, phase: str = "") -> None:
    """Send a study's outputs to an address, whole files only and those that differ.

    Parameters
    ----------
    folder : Path
        The study's folder on this machine.
    address : str
        The place of all studies, for example ``s3://bucket/studies``.
    study : str
    phase : str
        Send this phase alone, as soon as it is done; blank sends all, at the end of the study,
        also of one that failed.

    Notes
    -----
    A phase's ``made.json`` is taken away before its first file is replaced and comes back after the
    last one; so does ``run.json`` for the study.  The last finished run lies in ``previous/`` until
    the new one has arrived.  What nobody wrote this time is removed, except ledgers: those are
    sent first, are only ever added to, and stay where the sender has none.
    """
    with _at(address, study) as there:
        _send_ledgers(there, folder)
        if not phase and _same(there, RUN, folder / RUN):
            return
        _set_aside(there)
        if phase:
            _send_phase(there, folder, phase)
        else:
            _send_all(there, folder)


def carry(
    address: str, study: str, out: Path, *, say: Say, work: Callable[[Say], Outcome]
) -> Outcome:
    """Carry a study out in a folder here and deliver it: each phase when done, all at the end.

    Parameters
    ----------
    address, study : str
    out : Path
        A folder of this machine that receives the study's folder: `staging`, or a new one.
    say : callable
        Told each event.
    work : callable
        Carries the study out, telling each event to the ``say`` that it is given.

    Returns
    -------
    Outcome
        Its report lies at the address; what cannot be delivered is a failure, and so is a study
        that another process delivers from the same folder.
    """
    folder = out / study

    def said(name: str, phase: str, state: str, seconds: float) -> None:
        if phase and state == "done":  # if it fails here, the end of the study tries once more
            with contextlib.suppress(Problem):
                send(folder, address, study, phase)
        say(name, phase, state, seconds)

    try:
        need_name(study)
        with _held(out / f".{study}", folder):  # the folder's own lock is for who works in it
            with _held(folder, folder):
                fetch(address, study, folder)
            finished = (folder / RUN).is_file()
            outcome = work(said)
            if outcome.unchanged and finished:
                with _at(address, study) as there:
                    _send_ledgers(there, folder)
            else:
                send(folder, address, study)
    except Problem as problem:
        return Outcome(study, reason=str(problem))
    report = f"{address.rstrip('/')}/{study}/report.html" if outcome.report else ""
    return replace(outcome, report=report)


# --- sending ------------------------------------------------------------------------------------


def _send_phase(there: _There, folder: Path, phase: str) -> None:
    record = f"{phase}/{RECORD}"
    held = {f"{phase}/{name}": sha for name, sha in _written(there.read(record)).items()}
    sizes = {name: size for name, size in there.sizes().items() if name.startswith(f"{phase}/")}
    ours = [f"{phase}/{name}" for name in _files(folder / phase) if name != RECORD]
    differing = [n for n in ours if n not in sizes or _differs(there, folder / n, n, held, sizes)]
    stale = set(sizes) - {record, *ours}
    if not differing and not stale and _same(there, record, folder / record):
        return
    there.remove(record)
    for name in differing:
        there.put(folder / name, name)
    for name in stale:
        there.remove(name)
    if (folder / record).is_file():
        there.put(folder / record, record)


def _differs(there: _There, file: Path, name: str, held: dict, sizes: dict) -> bool:
    """Whether a file is another than the one there, which no record may name (a notebook)."""
    if name in held:
        return held[name] != _sha256(file)
    return sizes[name] != file.stat().st_size or not _same(there, name, file)


def _send_all(there: _There, folder: Path) -> None:
    finished = (folder / RUN).is_file()
    phases = [phase for phase in PHASES if (folder / phase).is_dir()]
    for phase in phases:
        _send_phase(there, folder, phase)
    others = [n for n in _files(folder) if n.split("/")[0] not in {*phases, *KEPT_THERE, RUN}]
    for name in others:
        there.put(folder / name, name)
    kept = {*phases, *KEPT_THERE} if finished else {*PHASES, *KEPT_THERE}
    for name in there.sizes():
        if name.split("/")[0] not in kept and name not in others:
            there.remove(name)
    if finished:
        there.put(folder / RUN, RUN)
        _empty(there, "previous")


def _send_ledgers(there: _There, folder: Path) -> None:
    """Send the ledgers that were added to; at the address they are never cut or removed."""
    names = [f"ledger/{name}" for name in _files(folder / "ledger")]
    for name in filter(LEDGER.fullmatch, names):
        held = there.read(name) or b""
        if _adds(there, name, held=held, more=(folder / name).read_bytes()):
            there.put(folder / name, name)


def _set_aside(there: _There) -> None:
    """Keep the last finished run until the new one has arrived."""
    names = set(there.sizes())
    if RUN not in names:
        return
    _empty(there, "previous")
    for name in sorted(names - {RUN}):
        if name.split("/")[0] not in KEPT_THERE:
            there.copy(name, f"previous/{name}")
    there.copy(RUN, f"previous/{RUN}")
    there.remove(RUN)
    there.remove("report.html")


def _empty(there: _There, part: str) -> None:
    for name in there.sizes():
        if name.startswith(f"{part}/"):
            there.remove(name)


# --- bringing -----------------------------------------------------------------------------------


def _bring_ledgers(there: _There, folder: Path) -> None:
    """Bring the ledgers; where one here holds more, because it could not be sent, it stays."""
    for name in filter(LEDGER.fullmatch, there.sizes()):
        content, file = there.read(name), folder / name
        if content is None:
            raise Problem(f"{there.path(name)} was taken away just now.", "run again.")
        if _adds(there, name, held=file.read_bytes() if file.is_file() else b"", more=content):
            file.parent.mkdir(parents=True, exist_ok=True)
            write(file, content)


def _adds(there: _There, name: str, *, held: bytes, more: bytes) -> bool:
    """Whether a ledger goes on where the one that is held ends.

    Raises
    ------
    Problem
        If neither goes on where the other ends: no row of either may be lost.
    """
    if not (more.startswith(held) or held.startswith(more)):
        raise Problem(
            f"The {name} here and the one at {there.path(name)} each hold rows that the other does"
            " not.",
            "see which one stands, and move the other aside.",
        )
    return len(more) > len(held)


def _bring_phase(there: _There, folder: Path, phase: str) -> None:
    record = f"{phase}/{RECORD}"
    said = there.read(record)
    executed = f"{phase}/{notebook(phase, root=folder).name}"
    wanted = {f"{phase}/{name}": sha for name, sha in _written(said).items()} | {executed: ""}
    if said is None or not _written(said):
        return
    (folder / record).unlink(missing_ok=True)
    for name in _files(folder / phase):
        if f"{phase}/{name}" not in wanted:
            (folder / phase / name).unlink()
    if all(_brought(there, name, folder, sha) for name, sha in wanted.items()):
        write(folder / record, said)


def _bring_run(there: _There, folder: Path) -> None:
    """Bring the record of a finished run, and what it names that belongs to no phase."""
    said = there.read(RUN)
    wanted = {name: sha for name, sha in _written(said).items() if "/" not in name}
    (folder / RUN).unlink(missing_ok=True)
    if said and wanted and all(_brought(there, name, folder, sha) for name, sha in wanted.items()):
        write(folder / RUN, said)


def _brought(there: _There, name: str, folder: Path, sha: str) -> bool:
    """Bring one file, if it is there and is the one that its record names (blank for any)."""
    there.path(name)  # insists on a sound name before it is used here
    if sha and (folder / name).is_file() and _sha256(folder / name) == sha:
        return True
    content = there.read(name)
    if content is None or (sha and hashlib.sha256(content).hexdigest() != sha):
        return False
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    write(folder / name, content)
    return True


def _written(record: bytes | None) -> dict[str, str]:
    """The files that a record says were written, each with its SHA-256; none if it says nothing."""
    try:
        return {str(name): str(sha) for name, sha in json.loads(record)["written"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


# --- files and addresses ------------------------------------------------------------------------


@contextlib.contextmanager
def _held(marks: Path, place: Path) -> Iterator[None]:
    """Hold a study's folder, by a lock in ``marks``, as `sqm.execute` does while it works there."""
    holder, held = marks / ".holder", filelock.FileLock(marks / ".lock")
    try:
        marks.mkdir(parents=True, exist_ok=True)
        held.acquire(timeout=PATIENCE)
    except filelock.Timeout:
        raise Problem(
            f"The study in {place} is being run by {_name(holder)}.",
            "wait for it, or use another --out.",
        ) from None
    except OSError as error:
        raise Problem(
            f"{place} cannot be written ({error.strerror or error}).",
            "make room or mend its permissions.",
        ) from None
    try:
        with contextlib.suppress(OSError):  # it only says who it is
            write(holder, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink()
        held.release()


def _name(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8")
    except OSError:
        return "another process"


def _files(folder: Path) -> list[str]:
    """Files to send, by their path from the folder: no link, and nothing that begins with a dot."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = [path.relative_to(folder).as_posix() for path in found if not path.is_symlink()]
    return [name for name in names if not any(p.startswith(".") for p in name.split("/"))]


def _same(there: _There, name: str, file: Path) -> bool:
    return file.is_file() and there.read(name) == file.read_bytes()


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@contextlib.contextmanager
def _at(address: str, study: str) -> Iterator[_There]:
    need_name(study)
    with _reaching(address):
        system, base = _connect(address)
        system.invalidate_cache()  # another machine may have written there since
        yield _There(system, f"{base.rstrip('/')}/{study}")


def _connect(address: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise Problem(
            f"Outputs cannot go to {_shown(address)}: fsspec is not installed.",
            "pip install 'sqm[cluster]', or name a folder.",
        ) from None
    return url_to_fs(address)


@contextlib.contextmanager
def _reaching(address: str) -> Iterator[None]:
    """Whatever a store's client raises becomes one Problem that names the address."""
    try:
        yield
    except Problem:
        raise
    except ImportError as error:  # fsspec names the package that speaks this protocol
        raise Problem(
            f"Outputs cannot go to {_shown(address)}: {error}", "install it, or name a folder."
        ) from None
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise Problem(
            f"The outputs at {_shown(address)} cannot be reached: {type(error).__name__}: {first}",
            "check the address, your rights there and the network, then run again.",
        ) from error


def _protocol(system: Any) -> str:
    return system.protocol if isinstance(system.protocol, str) else system.protocol[0]


def _shown(address: str) -> str:
    """An address as it may be printed."""
    return re.sub(r"://[^/@]*@", "://…@", re.split(r"[?#]", address)[0])
