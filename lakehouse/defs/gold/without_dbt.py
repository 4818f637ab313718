"""dagster-dbt without dbt: what it needs of dbt's own code is there without it, as for other engines than dbt-core.

The models come from the parsed project and dbt runs as a command. dbt's Python code is nine hundred modules, and more
than a second of processor each time the definitions are loaded.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _absent(package: str) -> Iterator[None]:
    """Within the block a package that was not imported yet looks as if it were not installed."""
    is_known = package in sys.modules
    if not is_known:
        sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if not is_known:
            del sys.modules[package]


with _absent("dbt"):
    from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets

__all__ = ["DagsterDbtTranslator", "DbtCliResource", "DbtProject", "dbt_assets"]
