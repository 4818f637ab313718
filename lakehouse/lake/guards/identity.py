"""A lake's id: written once at its root, checked by whoever is about to advance the lake.

Here: making, reading and comparing the id. Not here: who may pass which id (CLI, Dagster).
"""

import json
import os
import uuid
from datetime import UTC, datetime
from pathlib import Path

from lakehouse.errors import ForeignLakeError, SetupError
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import Settings

LAYOUT = 1
"""How tables lie below the root and what their commits say. Another number once this version could not read them."""


def read_lake_id(paths: LakePaths) -> str | None:
    """The id at this root, or None when no lake was made here yet.

    Raises:
        SetupError: a newer version of this package made the lake, and this one does not know its layout.
    """
    if not paths.identity.is_file():
        return None
    known = json.loads(paths.identity.read_text(encoding="utf-8"))
    if known.get("layout", LAYOUT) > LAYOUT:
        raise SetupError(
            f"The lake at {paths.root} has layout {known['layout']}; this version knows layouts up to {LAYOUT}.",
            why="A newer version made it or brought it up to date. Going on with this one could damage it.",
            fix="Use that newer version, or set LAKEHOUSE_ROOT to another folder.",
        )
    return str(known["lake_id"])


def ensure_lake_id(paths: LakePaths) -> str:
    """The id at this root; makes one when there is none. Two makers at once agree on one id.

    Raises:
        SetupError: when the root cannot be written.
    """
    known = read_lake_id(paths)
    if known is not None:
        return known
    content = json.dumps({"lake_id": str(uuid.uuid4()), "created_at": datetime.now(UTC).isoformat(), "layout": LAYOUT})
    try:
        paths.identity.parent.mkdir(parents=True, exist_ok=True)
        _write_once(paths.identity, content)
    except OSError as error:
        raise SetupError(
            f"The lake root {paths.root} cannot be written: {error.strerror}.",
            fix="Give the user the right to write there, or set LAKEHOUSE_ROOT.",
        ) from error
    made = read_lake_id(paths)
    assert made is not None  # noqa: S101 - _write_once left a whole file, ours or the other maker's
    return made


def require_lake(settings: Settings, *, another_lake: bool = False) -> str:
    """The id of the lake at the configured root, refused when this state folder has worked on another one.

    A state folder belongs to the first lake that it advances: a changed LAKEHOUSE_ROOT must not make a run go on in
    a lake that it was not meant for.

    Args:
        settings: The root, and the state folder that remembers the lake.
        another_lake: The caller means it: the state folder belongs to this lake from now on.

    Raises:
        ForeignLakeError: when the ids differ.
        SetupError: when the root cannot be written.
    """
    paths = LakePaths.of(settings)
    actual = ensure_lake_id(paths)
    memory = settings.home / "lake_id"
    known = memory.read_text(encoding="utf-8").strip() if memory.is_file() else None
    if known is None or another_lake:
        settings.home.mkdir(parents=True, exist_ok=True)
        memory.write_text(actual + "\n", encoding="utf-8")
    elif known != actual:
        raise ForeignLakeError(
            f"The lake at {paths.root} has id {actual}; {settings.home} has worked on {known} so far.",
            why="LAKEHOUSE_ROOT points elsewhere than it did, or the lake was made anew.",
            fix="Point LAKEHOUSE_ROOT back, or confirm the change once: lakehouse drain STREAM --another-lake",
        )
    return actual


def _write_once(path: Path, content: str) -> None:
    """Make `path` appear whole and only if it is not there: write beside it, then hard-link."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        return
    finally:
        temporary.unlink()
