"""What the tests of the documentation share: the pages and the code blocks in them."""

import re
from pathlib import Path
from typing import NamedTuple

from lakehouse.settings import PROJECT_ROOT

PAGES = [PROJECT_ROOT / "README.md", PROJECT_ROOT / "CONTRIBUTING.md", *sorted((PROJECT_ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(
    r"(?:<!-- recipe:(?P<recipe>[\w-]+) -->\n)?^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """A fenced code block. `recipe` is the name in the HTML comment above it, if there is one."""

    language: str
    text: str
    recipe: str | None


def blocks(page: Path) -> list[Block]:
    """The fenced code blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [Block(found["language"], found["text"], found["recipe"]) for found in _BLOCK.finditer(text)]


def recipe(name: str, page: Path = PROJECT_ROOT / "README.md") -> list[str]:
    """The shell scripts of a recipe, in order; run in one folder they must work as they stand.

    Raises:
        LookupError: when the page has no such recipe.
    """
    found = [block.text for block in blocks(page) if block.recipe == name]
    if not found:
        raise LookupError(f"{page} has no block marked <!-- recipe:{name} -->")
    return found
