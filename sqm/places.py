"""Where do a project's studies, notebooks and outputs lie?"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from sqm.checks import Problem, nearest

PHASES = ("define", "measure", "analyse", "improve", "control")
DEFAULT_STUDY = "contact-centre"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
DEVICES = {"con", "prn", "aux", "nul"} | {
    f"{port}{n}" for port in ("com", "lpt") for n in range(10)
}


def find_root(start: Path | None = None) -> Path:
    """Find the project: upwards from ``start`` to a folder with pyproject.toml and notebooks/."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents, Path(__file__).resolve().parent.parent):
        if (folder / "pyproject.toml").is_file() and (folder / "notebooks").is_dir():
            return folder
    raise Problem(
        f"{here} is in no sqm project.",
        "change into the folder that holds notebooks/, params/ and pyproject.toml.",
    )


def need_name(name: str) -> None:
    """Insist on a study name that is safe as a folder on every system.

    Examples
    --------
    >>> need_name("../secrets")
    Traceback (most recent call last):
    ...
    sqm.checks.Problem: '../secrets' cannot name a study.
      To mend: use letters, digits, - and _, at most 64, and no device name such as CON.
    """
    if not NAME.fullmatch(name) or name.lower() in DEVICES:
        raise Problem(
            f"{name!r} cannot name a study.",
            "use letters, digits, - and _, at most 64, and no device name such as CON.",
        )


def locate(study: str, *, root: Path) -> Path:
    """Find a study's file from its name (in params/) or from the path of a YAML file."""
    if study.endswith((".yml", ".yaml")):
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # no path of any file
            path = Path(study).expanduser()
            if path.is_file():
                return path.resolve()
        raise Problem(f"There is no file {study!r}.", "check the path.")
    need_name(study)
    path = root / "params" / f"{study}.yml"
    if not path.is_file():
        known = sorted(each.stem for each in (root / "params").glob("*.yml"))
        raise Problem(f"There is no study {study!r}.", nearest(study, known))
    return path


def notebook(phase: str, *, root: Path) -> Path:
    """The notebook that carries out a phase."""
    return root / "notebooks" / f"{PHASES.index(phase) + 1}-{phase}.ipynb"


def out_folder(root: Path) -> Path:
    """Where runs write: the environment variable SQM_OUT, else out/ in the project."""
    return Path(os.environ.get("SQM_OUT") or root / "out")
