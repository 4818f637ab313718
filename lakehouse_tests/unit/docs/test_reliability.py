"""docs/reliability.md has every fault of the matrix, and the tests that it names exist."""

import re
from typing import NamedTuple

import pytest

from lakehouse.settings import PROJECT_ROOT

PAGE = (PROJECT_ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
FAULTS = 54
RESULTS = {"holds", "not applicable", "known gap"}


class Row(NamedTuple):
    number: str
    fault: str
    injected: str
    happens: str
    tests: str
    result: str


ROWS = [
    Row(*(cell.strip() for cell in line.split("|")[1:-1])) for line in PAGE.splitlines() if re.match(r"\| \d", line)
]


def test_every_fault_is_there_once_and_in_order() -> None:
    assert [row.number for row in ROWS] == [str(number) for number in range(1, FAULTS + 1)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_row(row: Row) -> None:
    assert row.fault
    assert row.injected
    assert row.happens
    assert row.result in RESULTS
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", row.tests)
    assert named or row.result != "holds", "what holds is proved by a test"
    assert row.tests or "not run" in row.injected or "cannot be injected" in row.injected, "says why there is no test"
    for file, function in named:
        text = (PROJECT_ROOT / "lakehouse_tests" / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {function}\(", text, re.MULTILINE), f"{file} has no {function}"
