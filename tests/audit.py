"""Do the pinned releases have known faults, and has one of them been withdrawn?  ``make audit``

    python -m tests.audit [requirements.lock]

Exit code 0: all were looked at, and nothing was found.  1: something was found.  2: something could
not be looked at, which is said; that is never the same as nothing.

pip-audit alone would say "No known vulnerabilities found" and end with 0 where the service that
knows them has answered for not one package, so its table is read here and not its verdict.
Whether a release was withdrawn (yanked, PEP 592) is asked of the index that pip is configured to
use, with pip itself; nothing is installed.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from packaging.markers import Marker

LOCK = Path(__file__).parent.parent / "requirements.lock"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)[^\S\n]*(;[^\\\n]*)?", re.MULTILINE)
SERVICES = ("pypi", "osv")
BESIDE = {"find-links", "extra-index-url", "no-index"}  # folders of wheels know of no withdrawal
PATIENCE = 600  # seconds that one of the two programs may take
FINE, FOUND, NOT_EXAMINED = 0, 1, 2


@dataclass
class Audit:
    """What was found, and what could not be looked at: name and version, each with the reason."""

    found: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    examined: int = 0


def pins(lock: str) -> list[str]:
    r"""The releases that the lock pins for this Python on this system.

    Examples
    --------
    >>> pins("a==1 \\\n    --hash=sha256:0\nb==2 ; python_version < '3' \\\n")
    ['a==1']
    """
    return [f"{name}=={version}" for name, version, when in PIN.findall(lock) if _holds(when)]


def _holds(when: str) -> bool:
    return not when or Marker(when.lstrip("; ")).evaluate()


def faults(lock: Path) -> Audit:
    """Ask the services that know of vulnerabilities, one after the other, until one answers."""
    audit = Audit()
    for service in SERVICES:
        said = _run(
            *("-m", "pip_audit", "--requirement", str(lock), "--require-hashes", "--disable-pip"),
            *("--format", "json", "--progress-spinner", "off", "--vulnerability-service", service),
        )
        audit = read_faults(said, pins(lock.read_text(encoding="utf-8")))
        if audit.examined:
            break
    return audit


def read_faults(said: str, wanted: list[str]) -> Audit:
    """What pip-audit's table says of each release; what it has skipped is not examined.

    Examples
    --------
    >>> table = {"dependencies": [{"name": "a", "version": "1", "vulns": []},
    ...                           {"name": "b", "skip_reason": "not found"}]}
    >>> read_faults(json.dumps(table), ["a==1", "b==2"])
    Audit(found={}, unknown={'b==2': 'the service has no answer'}, examined=1)
    """
    audit = Audit(unknown=dict.fromkeys(wanted, "the service has no answer"))
    try:
        listed = json.loads(said)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return audit
    for each in listed:
        if "version" not in each or "vulns" not in each:
            continue
        release = f"{each['name']}=={each['version']}"
        audit.unknown.pop(release, None)
        audit.examined += 1
        for fault in each["vulns"]:
            mended = ", ".join(fault.get("fix_versions") or ()) or "no release yet"
            known = audit.found.get(release, "")
            audit.found[release] = f"{known}{fault['id']} (mended in {mended}) "
    return audit


def withdrawn(lock: Path) -> Audit:
    """Ask pip's index, by a rehearsed installation, which of the releases have been withdrawn."""
    text = lock.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        bare, report = Path(folder) / "pins.txt", Path(folder) / "report.json"
        # without hashes pip is content with each release's metadata, and fetches no wheel
        bare.write_text("\n".join(pins(text)), encoding="utf-8")
        _run(
            *("-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet"),
            *("--report", str(report), "--requirement", str(bare)),
            environment=_index_alone(),
        )
        said = report.read_text(encoding="utf-8") if report.exists() else ""
    return read_withdrawn(said, pins(text))


def read_withdrawn(said: str, wanted: list[str]) -> Audit:
    """What pip's report says of each release; one that comes from a folder is not examined.

    Examples
    --------
    >>> def one(name, url, yanked):
    ...     of = {"metadata": {"name": name, "version": "1"}, "download_info": {"url": url}}
    ...     return of | {"is_yanked": yanked}
    >>> table = {"install": [one("a", "https:", True), one("b", "file:", False)]}
    >>> read_withdrawn(json.dumps(table), ["a==1", "b==1"])
    Audit(found={'a==1': 'withdrawn'}, unknown={'b==1': 'not asked of an index'}, examined=1)
    """
    audit = Audit(unknown=dict.fromkeys(wanted, "not asked of an index"))
    try:
        listed = json.loads(said)["install"]
    except (ValueError, KeyError, TypeError):
        return audit
    for each in listed:
        name = re.sub(r"[-_.]+", "-", each["metadata"]["name"]).lower()
        release = f"{name}=={each['metadata']['version']}"
        if each["download_info"]["url"].startswith("file:"):
            continue
        audit.unknown.pop(release, None)
        audit.examined += 1
        if each.get("is_yanked"):
            audit.found[release] = "withdrawn"
    return audit


def _index_alone() -> dict[str, str]:
    """pip's own settings, in the environment, without the folders beside the index."""
    kept = {}
    for line in _run("-m", "pip", "config", "list").splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in ("global", "install", ":env:") and name not in BESIDE:
            kept[f"PIP_{name.upper().replace('-', '_')}"] = str(ast.literal_eval(value))
    others = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    return others | kept | {"PIP_CONFIG_FILE": os.devnull}


def _run(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """What a program says; its complaints are kept back, because they name addresses."""
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=PATIENCE,
            text=True,
            encoding="utf-8",
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def told(what: str, audit: Audit) -> list[str]:
    """Lines for a person."""
    count = len(audit.unknown)
    lines = [f"{what}: {audit.examined} releases looked at, {len(audit.found)} found."]
    lines += [f"  {release}: {reason.strip()}" for release, reason in audit.found.items()]
    if count:
        some = ", ".join(list(audit.unknown)[:5]) + (" …" if count > 5 else "")
        lines.append(f"{what}: {count} releases could NOT be looked at: {some}")
        lines.append("  To mend: run it where whoever knows can be reached.")
    return lines


def main() -> int:
    """Print both answers; the number returned is the exit code."""
    lock = Path(sys.argv[1]) if len(sys.argv) > 1 else LOCK
    audits = {"Known faults": faults(lock), "Withdrawn": withdrawn(lock)}
    for what, audit in audits.items():
        print("\n".join(told(what, audit)))
    text = lock.read_text(encoding="utf-8")
    if others := len(PIN.findall(text)) - len(pins(text)):
        print(f"{others} releases are pinned for other Pythons or systems: run it there too.")
    if any(audit.found for audit in audits.values()):
        return FOUND
    return NOT_EXAMINED if any(audit.unknown for audit in audits.values()) else FINE


if __name__ == "__main__":
    sys.exit(main())
