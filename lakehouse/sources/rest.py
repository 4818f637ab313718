"""Records of an HTTP source: page after page, from the last watermark on, as messages for its topic.

Here: pages, records, keys, the note of how far we are. Not here: one question (`sources.http`), the file that describes
a source (`sources.api_config`), sending (`sources.producer`).

The watermark is noted after the broker has acknowledged every record up to it, so a killed run asks for some records
again: at least once. The stream's key makes repeats one.
"""

import json
import os
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from lakehouse.errors import SourceRefusedError
from lakehouse.settings import Settings
from lakehouse.sources.api_config import ApiSource, CursorPages, LinkedPages, NumberedPages
from lakehouse.sources.http import Answer, HttpClient, TimeLimits
from lakehouse.sources.producer import Message
from lakehouse.sources.raw_json import dump_json

Record = dict[str, Any]


def open_client(settings: Settings, source: ApiSource, **changes: Any) -> HttpClient:
    """A client for this source. Raises as `HttpClient` and `Auth.credentials`."""
    limits = TimeLimits(source.connect_seconds, source.read_seconds, source.total_seconds)
    return HttpClient(
        settings,
        source.url,
        credentials=source.auth.credentials(),
        limits=limits,
        attempts=source.attempts,
        **changes,
    )


def pages(client: HttpClient, source: ApiSource, *, since: Any = None) -> Iterator[list[Record]]:
    """The records, one list per page.

    Args:
        client: Where to ask.
        source: How to ask.
        since: The watermark of an earlier run; None takes the source's `initial`.

    Raises:
        SourceRefusedError: when an answer has another form than the source's entry says, or pages go round in a circle.
    """
    query: dict[str, Any] = dict(source.params)
    if source.watermark is not None:
        known = source.watermark.initial if since is None else since
        if known is not None:
            query[source.watermark.param] = known
    path = ""
    way = source.pages
    number = way.start if isinstance(way, NumberedPages) else 0
    seen: set[str] = set()
    for _ in range(source.max_pages):
        if isinstance(way, NumberedPages):
            query[way.param] = number
            if way.size_param:
                query[way.size_param] = way.size
        answer = client.get(path, query)
        records = _records(answer, source)
        yield records
        follows = _next(answer, source, len(records))
        if follows is None:
            return
        if isinstance(way, NumberedPages):
            number += way.size if way.kind == "offset" else 1
            continue
        if follows in seen:
            raise SourceRefusedError(f"{source.url}: the page after {follows!r} is one that we have read already.")
        seen.add(follows)
        if isinstance(way, CursorPages):
            query[way.param] = follows
        else:
            # The link holds the whole query.
            path, query = follows, {}
    raise SourceRefusedError(
        f"{source.url} has more than {source.max_pages} pages.", fix="Raise `max_pages`, or narrow the question."
    )


def messages(records: list[Record], source: ApiSource) -> list[Message]:
    """Kafka messages: the key's values joined by `|`, the record as the service wrote it.

    Raises:
        SourceRefusedError: when a record has no such field.
    """
    return [(_key(record, source), dump_json(record)) for record in records]


class Watermarks:
    """How far each source was read, kept across runs in one small file per topic id and source."""

    def __init__(self, settings: Settings, topic_id: str, name: str) -> None:
        self._path: Path = settings.home / "produce" / topic_id / f"api-{name}.json"

    def read(self) -> Any:
        """The highest value that was acknowledged; None at the beginning."""
        if not self._path.is_file():
            return None
        return json.loads(self._path.read_text(encoding="utf-8"))["watermark"]

    def note(self, value: Any) -> None:
        """Write it down; a kill leaves the old or the new note."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_suffix(".part")
        with unfinished.open("w", encoding="utf-8") as stream:
            json.dump({"watermark": value if isinstance(value, int) else str(value)}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(self._path)

    def forget(self) -> None:
        """Begin anew."""
        self._path.unlink(missing_ok=True)


def highest(records: list[Record], source: ApiSource, known: Any) -> Any:
    """The highest watermark of these records and the known one; numbers count as numbers, other text as text."""
    if source.watermark is None:
        return known
    found = [at_path(record, source.watermark.field) for record in records]
    return max([value for value in [known, *found] if value is not None], key=_rank, default=None)


def at_path(document: Any, path: str) -> Any:
    """The value at a dotted path; None where there is none."""
    for part in path.split(".") if path else []:
        document = document.get(part) if isinstance(document, Mapping) else None
    return document


def _rank(value: Any) -> tuple[int, Decimal, str]:
    try:
        return 0, Decimal(str(value)), ""
    except InvalidOperation:
        return 1, Decimal(0), str(value)


def _records(answer: Answer, source: ApiSource) -> list[Record]:
    found = at_path(answer.payload, source.records)
    if isinstance(found, dict) and not source.records:
        found = [found]
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        where = source.records or "the answer"
        raise SourceRefusedError(
            f"{source.url}: {where} is no list of records.", fix="Correct `records` in the source's entry."
        )
    return found


def _next(answer: Answer, source: ApiSource, count: int) -> str | None:
    """What leads to the next page; None after the last."""
    way = source.pages
    if isinstance(way, NumberedPages):
        return None if count < way.size else "next"
    if isinstance(way, LinkedPages):
        return answer.next_url
    cursor = at_path(answer.payload, way.path) if isinstance(way, CursorPages) else None
    return str(cursor) if cursor not in (None, "") else None


def _key(record: Record, source: ApiSource) -> str | None:
    if not source.key:
        return None
    values = [at_path(record, name) for name in source.key]
    if None in values:
        missing = source.key[values.index(None)]
        raise SourceRefusedError(
            f"{source.url}: a record has no {missing!r}, which its key needs.", fix="Correct `key` in its entry."
        )
    return "|".join(map(str, values))
