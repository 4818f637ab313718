"""docs/requirements.md is kept true: known states, paths that exist, evidence for what is called done."""

import re
from collections import Counter
from typing import NamedTuple

import pytest

from lakehouse.settings import PROJECT_ROOT

PAGE = (PROJECT_ROOT / "docs" / "requirements.md").read_text(encoding="utf-8")
STATES = ("done", "partly", "not yet")


class Row(NamedTuple):
    id: str
    item: str
    priority: str
    state: str
    where: str
    tests: str
    note: str


ROWS = [
    Row(*(cell.strip() for cell in line.split("|")[1:-1]))
    for line in PAGE.splitlines()
    if re.match(r"\| [A-Z]+-\d", line)
]


def test_each_id_is_there_once_and_numbers_have_no_gap() -> None:
    ids = [row.id for row in ROWS]
    assert len(ids) == len(set(ids)) > 250
    by_area: dict[str, list[int]] = {}
    for name in ids:
        area, _, number = name.partition("-")
        by_area.setdefault(area, []).append(int(number))
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in by_area.values())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_row(row: Row) -> None:
    assert row.state in STATES
    paths = re.findall(r"`([^`]+)`", f"{row.where} {row.tests}")
    for path in paths:
        assert (PROJECT_ROOT / path).exists(), path
    if row.state != "not yet":
        assert row.where, "says where it is"
    if row.state == "partly":
        assert row.note, "says what is missing"
    if row.state == "not yet":
        assert not paths


def test_the_counts_at_the_top_are_the_counts() -> None:
    counted = Counter(row.state for row in ROWS)
    stated = {
        state: int(number)
        for state, number in re.findall(r"^\| (done|partly|not yet) \| (\d+) \|$", PAGE, re.MULTILINE)
    }
    assert stated == dict(counted)
