"""Published daily reports that an HTTP service offers, brought into a folder of the form that `publications` reads.

Here: which files to fetch, and fetching them once. Not here: HTTP (`sources.http`), what is in a report (`report`).

The service has `manifest.csv`, whose column `file` names every publication, and the files beside it. The folder is a
copy, not a source: a file is whole in it or not there, and it may be deleted at any time.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from lakehouse.contracts.window import Window
from lakehouse.engine.embedded.files import write_atomically
from lakehouse.errors import SourceRefusedError
from lakehouse.settings import Settings
from lakehouse.sources.covid.publications import Publication, comparable, publication_of
from lakehouse.sources.http import HttpClient

INDEX = "manifest.csv"
_TAGS = "tags.json"
_DEPTH = 2


def download(window: Window, settings: Settings, address: str) -> Path:
    """Fetch what was published within the window, and what it is compared with; returns the folder.

    A file of the window that is here already is asked for by its tags, so that a corrected copy is fetched and an
    unchanged one is not. What was published before is only fetched when it is missing.

    Raises:
        SourceUnavailableError, CircuitOpenError: no whole answer; nothing of this file was kept, run it again.
        SourceRefusedError: the service has no such file, or its index is none.
    """
    folder = settings.home / "landing" / f"covid-{hashlib.sha256(address.encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    tags = _read_tags(folder)
    try:
        with HttpClient(settings, address.rstrip("/") + "/") as client:
            _fetch(client, folder, INDEX, tags)
            known = _listed(folder, address)
            wanted = [one for one in known if window.start <= one.published_at < window.end]
            for publication in _with_comparable(wanted, known):
                name = f"{publication.path.parent.name}/{publication.path.name}"
                if publication in wanted or not publication.path.is_file():
                    _fetch(client, folder, name, tags)
    finally:
        write_atomically(folder / _TAGS, json.dumps(tags))
    return folder


def _fetch(client: HttpClient, folder: Path, name: str, tags: dict[str, Mapping[str, str]]) -> None:
    target = folder / name
    answer = client.download(name, tags.get(name) if target.is_file() else None)
    if answer.content is not None:
        target.parent.mkdir(exist_ok=True)
        write_atomically(target, answer.content)
        tags[name] = dict(answer.tags)


def _listed(folder: Path, address: str) -> list[Publication]:
    """The publications that the index names, oldest first."""
    try:
        rows = csv.DictReader(io.StringIO((folder / INDEX).read_text(encoding="utf-8-sig"), newline=""))
        names = [row["file"] for row in rows]
    except (UnicodeDecodeError, csv.Error, KeyError) as error:
        raise SourceRefusedError(
            f"{address}/{INDEX} is no list of published reports.", fix="It is a CSV file with a column `file`."
        ) from error
    found = {name: publication_of(folder / name) for name in names if len(Path(name).parts) == _DEPTH}
    wrong = [name for name in names if found.get(name) is None or ".." in name]
    if wrong:
        raise SourceRefusedError(
            f"{address}/{INDEX} names {wrong[0]!r}, which does not say which day it reports and when it was published.",
            fix="Name it <report date>/<anything>_<published, as 20200228T000238Z>.csv.",
        )
    return sorted(publication for publication in found.values() if publication is not None)


def _with_comparable(wanted: Iterable[Publication], known: list[Publication]) -> list[Publication]:
    needed = {other for publication in wanted for other in (publication, *comparable(publication, known))}
    return sorted(needed)


def _read_tags(folder: Path) -> dict[str, Mapping[str, str]]:
    try:
        found: dict[str, Mapping[str, str]] = json.loads((folder / _TAGS).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return found
