"""A stream as the source of a batch pipeline: what waits on its topic is taken into silver before silver is read.

Here: the step that brings silver up to date. Not here: draining itself (`lake.drain`).
"""

from collections.abc import Iterator
from typing import Any

from lakehouse.contracts.load import load_stream
from lakehouse.contracts.window import Window
from lakehouse.lake.drain import drain
from lakehouse.settings import Settings


def drained(window: Window, options: dict[str, Any], settings: Settings) -> Iterator[dict[str, Any]]:  # noqa: ARG001 - signature of sources
    """Drain the stream and tell how it went, in one row.

    Options: `stream`, and `budget_seconds` (120), after which what still waits is left to the next drain.
    """
    contract = load_stream(str(options["stream"]))
    budget = float(options.get("budget_seconds", 120))
    summary = drain(contract, settings, budget_seconds=budget, idle_seconds=0)
    yield {
        "stream": contract.name,
        "bronze_rows": summary.bronze_rows,
        "silver_rows": summary.silver_rows,
        "rejected": summary.rejected,
        "ended_because": summary.reason,
    }
