"""An answer in three forms: whoever shows it need not know which method it came from."""

from dataclasses import FrozenInstanceError, dataclass

import pandas as pd
import pytest

from sqm.finding import Finding


@dataclass(frozen=True, eq=False)
class Lateness(Finding):
    share: float

    def sentence(self):
        return f"{self.share:.0%} <b>late</b> & sorry."


@pytest.fixture
def late():
    return Lateness(pd.DataFrame({"<i>site": ["<script>x</script>"], "estimate": [0.12345]}), 0.12)


def test_it_reads_as_its_sentence(late):
    assert str(late) == "12% <b>late</b> & sorry."


def test_the_notebook_shows_it_with_nothing_run(late):
    page = late._repr_html_()
    first, _, rest = page.partition(">")
    assert "mathjax_ignore" in first
    assert rest.startswith("12% &lt;b&gt;late&lt;/b&gt; &amp; sorry.</p><table")
    assert "<script>" not in page
    assert "<i>" not in page


def test_rounding_is_for_the_eye_only(late):
    assert "0.123<" in late._repr_html_()
    assert late.table["estimate"][0] == 0.12345


def test_it_cannot_be_changed_and_two_of_them_can_be_compared(late):
    with pytest.raises(FrozenInstanceError):
        late.share = 0.0
    assert late == late
    assert late != Lateness(late.table, late.share)


def test_a_method_that_gives_no_sentence_or_picture_says_so():
    bare = Finding(pd.DataFrame())
    for ask in (bare.sentence, bare.plot, bare.__str__):
        with pytest.raises(NotImplementedError):
            ask()
