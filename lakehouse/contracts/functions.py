"""Functions that a YAML names as `module:name`: do they exist, and getting them.

Here: looking without importing, so that loading definitions stays cheap, and importing when it is time. Not here: what
a function must take and return; the step that names it says so.
"""

import ast
import importlib
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

_FORM = re.compile(r"^[A-Za-z_][\w]*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")


def function_problem(text: str) -> str | None:
    """What is wrong with the name of a function, or None. Imports only the packages around the module."""
    if not _FORM.match(text):
        return f"{text!r} names no function; write package.module:function"
    module, _, name = text.partition(":")
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.origin:
        return f"there is no module {module}"
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    if name not in names:
        public = [known for known in names if not known.startswith("_")]
        return f"{module} has no function {name}; it has {', '.join(public) or 'none'}"
    return None


def function_named(text: str) -> Callable[..., Any]:
    """The function behind `module:name`."""
    module, _, name = text.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found
