"""The circuit breakers of a state folder: a small JSON file each, shared by processes started one after another.

Here: keeping and reading states. Not here: the state machine (`engine.circuit`), how health shows them (`cli.health`).
"""

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from lakehouse.engine.circuit import CircuitBreaker, Snapshot
from lakehouse.settings import Settings


def circuits_folder(settings: Settings) -> Path:
    """Where the states are."""
    return settings.home / "circuits"


def kept_breaker(
    settings: Settings, name: str, *, is_failure: Callable[[Exception], bool] = lambda _: True
) -> CircuitBreaker:
    """A breaker with the usual thresholds that goes on where the last process left it and writes down each change."""
    path = circuits_folder(settings) / f"{re.sub('[^A-Za-z0-9.-]+', '_', name)}.json"

    def note(snapshot: Snapshot) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(asdict(snapshot)), encoding="utf-8")
        unfinished.replace(path)

    return CircuitBreaker(name, is_failure=is_failure, start=_read(path), on_change=note)


def known_circuits(settings: Settings) -> list[Snapshot]:
    """Every circuit that ever changed, by name."""
    found = [_read(path) for path in sorted(circuits_folder(settings).glob("*.json"))]
    return [snapshot for snapshot in found if snapshot is not None]


def _read(path: Path) -> Snapshot | None:
    try:
        return Snapshot(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        # Never written, or torn by a loss of power: the circuit begins closed.
        return None
