"""Every stop has a runbook that helps: it names its code, its parts are there, its commands exist."""

import re
from pathlib import Path

import pytest

from lakehouse import errors
from lakehouse.components.failures import runbook
from lakehouse.settings import PROJECT_ROOT

RUNBOOKS = PROJECT_ROOT / "docs" / "runbooks"
PARTS = ["What you see", "Why", "What was kept", "What to do now", "How to confirm"]


def stops() -> list[type[errors.Stop]]:
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.Stop)][1:]


def test_the_base_class_is_the_one_left_out() -> None:
    assert errors.Stop not in stops()
    assert len(stops()) >= 13


@pytest.mark.parametrize("kind", stops(), ids=lambda kind: kind.code)
def test_runbook(kind: type[errors.Stop]) -> None:
    text = (RUNBOOKS / f"{kind.code}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {kind.code}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == PARTS
    assert "lakehouse verify" in text.split("## How to confirm")[1]


@pytest.mark.parametrize("kind", stops(), ids=lambda kind: kind.code)
def test_index_tells_whether_it_is_tried_again(kind: type[errors.Stop]) -> None:
    row = re.search(rf"^\| \[{kind.code}\]\({kind.code}\.md\) \| (\w+)", _index(), re.MULTILINE)
    assert row is not None
    assert (row[1] == "yes") == kind.retryable


def test_no_runbook_without_an_error() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == {kind.code for kind in stops()} | {"README"}


def test_messages_point_to_runbooks_that_exist() -> None:
    for module in (PROJECT_ROOT / "lakehouse").rglob("*.py"):
        for path in re.findall(r"docs/runbooks/\w+\.md", module.read_text(encoding="utf-8")):
            assert (PROJECT_ROOT / path).is_file(), f"{module}: {path}"


def test_a_failed_step_names_a_page_that_exists() -> None:
    for code in [*(kind.code for kind in stops()), errors.SetupError.code]:
        assert (PROJECT_ROOT / runbook(code)).is_file(), code


def _index() -> str:
    return Path(RUNBOOKS / "README.md").read_text(encoding="utf-8")
