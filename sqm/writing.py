"""How is a file written so that nobody ever reads half of it?"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

# What a terminal would obey, or what would turn the text around it, if a record were printed there.
OBEYED = re.compile(r"[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def write(path: Path, content: bytes) -> None:
    """Write to the side and move into place.

    A file that a crash cut off stays beside, under a name that begins with a dot and ends in
    ``.part``.  The name is this process's own, so that two that write the same file each write a
    whole one.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def as_json(record: Any) -> bytes:
    """A record as JSON, the same bytes each time.

    Examples
    --------
    >>> as_json({"words": "señal 信号"}).decode()
    '{\\n "words": "señal 信号"\\n}\\n'
    """
    text = json.dumps(record, ensure_ascii=False, indent=1, allow_nan=False)
    text = OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return (text + "\n").encode("utf-8", errors="replace")


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
