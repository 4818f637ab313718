"""Which models of gold are made of which tables of silver, as dbt's manifest says.

Here: reading the manifest. Not here: making it (`engine.embedded.manifest`), building models (`lake.gold.builds`).
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

SOURCES = {"silver": "", "history": "history/"}
"""dbt's sources that are tables of the lake, and how `LakePaths.readable` begins their names."""
_BUILT = ("model", "snapshot")
IN_MEMORY = "memory"
"""The database of what is below the marts (`dbt_project.yml`): it is there only while a build lasts."""


def tables_below(manifest: Path) -> dict[str, set[str]]:
    """For each model or snapshot, the tables of silver that it is made of, named as `LakePaths.readable` does.

    Empty when the project was not parsed yet.
    """
    if not manifest.is_file():
        return {}
    read = _read(manifest)
    below = _below(read)
    return {node["name"]: below[key] for key, node in _built(read).items()}


def untouched(manifest: Path, changed: Iterable[str]) -> list[str]:
    """The models and snapshots that would hold what they hold: nothing that they are made of has changed.

    Args:
        manifest: dbt's, of the project as it is.
        changed: Tables as in `tables_below`.
    """
    read = _read(manifest)
    below, nodes, news = _below(read), _built(read), set(changed)
    parents: dict[str, list[str]] = read["parent_map"]
    in_memory = {key for key, node in nodes.items() if node["database"] == IN_MEMORY}
    tests = [key for key, node in read["nodes"].items() if node["resource_type"] == "test"]
    needed: set[str] = set()
    more = {key for key in nodes if below[key] & news or not below[key]}
    while more:
        needed |= more
        # What is read by a model that is computed, or by a test that runs because of one.
        readers = needed.union(test for test in tests if needed.intersection(parents[test]))
        more = {parent for key in readers for parent in parents[key]} & in_memory - needed
    return sorted(node["name"] for key, node in nodes.items() if key not in needed)


def published(manifest: Path) -> list[str]:
    """The models and snapshots that a build publishes: marts, not what is below them."""
    return sorted(node["name"] for node in _built(_read(manifest)).values() if node["database"] != IN_MEMORY)


def _read(manifest: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))
    return found


def _built(read: Mapping[str, Any]) -> dict[str, Any]:
    return {key: node for key, node in read["nodes"].items() if node["resource_type"] in _BUILT}


def _below(read: Mapping[str, Any]) -> dict[str, set[str]]:
    """The tables of silver below each node, by its id."""
    known: dict[str, set[str]] = {
        key: {SOURCES[source["source_name"]] + source["name"]}
        for key, source in read["sources"].items()
        if source["source_name"] in SOURCES
    }

    def find(key: str) -> set[str]:
        if key not in known:
            known[key] = {name for parent in read["parent_map"].get(key, []) for name in find(parent)}
        return known[key]

    return {key: find(key) for key in read["nodes"]}
