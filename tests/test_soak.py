"""The short forms of what `make soak` does at length: a batch outlives what happens to it."""

import random
import sys

import pytest
from soak import TRIALS, Batch

SHORT = {"kills": 1, "victims": 2, "interrupts": 2, "disk": 1}


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    return Batch(tmp_path_factory.mktemp("soak"))


@pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")
@pytest.mark.parametrize("name", TRIALS)
def test_a_batch_outlives(batch, name):
    trial, _ = TRIALS[name]
    assert trial(batch, SHORT.get(name, 1), random.Random(name))
