"""A batch of many studies keeps its memory and its handles, leaves nothing, names what failed."""

import sys
import tempfile
from pathlib import Path

import pytest

from tests import soak_studies

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="reads what Linux tells of processes"
)


def test_many_studies_in_a_short_form():
    with tempfile.TemporaryDirectory() as folder:  # a short path: sockets have one of 107 bytes
        said = soak_studies.studies(Path(folder), count=16, failing=9, every_s=0.1)
    assert "16 studies" in said
