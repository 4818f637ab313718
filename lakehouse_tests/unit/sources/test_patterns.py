"""A drawn text matches its pattern; a pattern that is not understood gives none."""

import random
import re

import pytest

from lakehouse.contracts.load import load_streams
from lakehouse.sources.contract_events import limits_of
from lakehouse.sources.patterns import sample

OWN = [r"a|bc", r"(?:x|y)+z?", r"[^a-c]{3,5}", r"\d{2}\.\w+", r"v[\d-]*", r".{4,}", r"[a-c-]{2}"]
PATTERNS = [*OWN, *(found.pattern for stream in load_streams().values() for found in limits_of(stream).values())]


@pytest.mark.parametrize("pattern", sorted({pattern for pattern in PATTERNS if pattern}))
def test_what_is_drawn_matches(pattern: str) -> None:
    source = random.Random(1)
    drawn = [sample(pattern, source) for _ in range(50)]
    assert all(text is not None and re.fullmatch(pattern, text) for text in drawn)
    assert len(set(drawn)) > 1


@pytest.mark.parametrize("pattern", ["(?=a)b", "[a", "(a", r"\bword", "a{2,1}", "*"])
def test_what_is_not_understood_gives_nothing(pattern: str) -> None:
    assert sample(pattern, random.Random(1)) is None
