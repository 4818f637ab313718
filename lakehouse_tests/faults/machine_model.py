"""What the tables of the small stream must hold, said in plain Python: a second opinion that shares no code with Spark.

Here: the model and the comparison with the tables, read by DuckDB. Not here: what is sent and done (`machine`).
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from lakehouse.contracts.model import Mode
from lakehouse.engine.duck import lasting_delta_connection
from lakehouse.lake.ledger import last_commit_of, last_plan, merged_through
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse_tests.faults.machine_events import Event


class Place(NamedTuple):
    """Where a record is."""

    partition: int
    offset: int


class Row(NamedTuple):
    """A row of silver."""

    id: str
    at: datetime
    amount: int
    partition: int
    offset: int


@dataclass
class Model:
    """Every record that the broker acknowledged and that a read_committed reader sees."""

    mode: Mode
    start: datetime
    sent: dict[Place, Event]

    def bronze(self, end: dict[int, int]) -> set[tuple[int, int, str]]:
        """Partition, offset and a digest of the value of every record before the positions that were read."""
        return {
            (place.partition, place.offset, _digest(event.value(self.start)))
            for place, event in self.sent.items()
            if place.offset < end[place.partition]
        }

    def quarantine(self, judged: set[Place]) -> set[tuple[int, int, str]]:
        """The records among `judged` that must be rejected, with the first reason of each."""
        return {(*place, self.sent[place].reason) for place in judged if self.sent[place].reason}

    def silver(self, day: date, merged: set[Place]) -> set[Row]:
        """The winners of an event date among the records `merged`."""
        winners: dict[str, Row] = {}
        for place in merged:
            event = self.sent[place]
            moment = event.moment(self.start)
            if event.reason or moment.date() != day:
                continue
            row = Row(event.key, moment, event.amount, *place)
            rival = winners.get(event.key)
            if rival is None or self._beats(row, rival):
                winners[event.key] = row
        return set(winners.values())

    def _beats(self, row: Row, rival: Row) -> bool:
        mine, other = ((r.at, r.partition, r.offset) for r in (row, rival))
        return mine > other if self.mode == "upsert" else mine < other

    @property
    def days(self) -> set[date]:
        """Event dates of good records."""
        return {event.moment(self.start).date() for event in self.sent.values() if not event.reason}


def assert_tables_agree(model: Model, paths: LakePaths, stream: str) -> None:
    """Bronze is a prefix of what was sent; quarantine and silver are what the model makes of the batches they hold."""
    known = last_plan(paths.bronze(stream)) if table_exists(paths.bronze(stream)) else None
    if known is None:
        return
    with lasting_delta_connection() as duck:

        def rows(path: str, select: str) -> list[tuple[Any, ...]]:
            return duck.execute(f"select {select} from delta_scan(?)", [path]).fetchall()

        bronze = rows(paths.bronze(stream), 'partition, "offset", md5(value), batch')
        quarantine = rows(paths.quarantine(stream), 'partition, "offset", reasons[1]')
        silver = rows(paths.silver(stream), 'id, epoch_us("at"), amount, _partition, _offset, event_date')
    _assert_same("bronze", [row[:3] for row in bronze], model.bronze(known[0].end))

    batches = {Place(partition, offset): batch for partition, offset, _, batch in bronze}
    merged = merged_through(paths.silver(stream))
    rejects = last_commit_of(paths.quarantine(stream), "quarantine")
    # Rejects are written before the merge: a worker that died in between leaves quarantine ahead of silver.
    judged = max(merged, int(rejects.metadata["through"]) if rejects else -1)
    expected = model.quarantine({place for place, batch in batches.items() if batch <= judged})
    _assert_same("quarantine", quarantine, expected)

    found = [Row(r[0], datetime.fromtimestamp(r[1] / 1e6, UTC), *r[2:5]) for r in silver]
    wanted = set[Row]()
    for day in model.days:
        wanted |= model.silver(day, {place for place, batch in batches.items() if batch <= merged})
    _assert_same("silver", found, wanted)
    assert all(row.at.date() == known_row[5] for row, known_row in zip(found, silver, strict=True))


def _digest(value: bytes | None) -> str | None:
    return None if value is None else hashlib.md5(value, usedforsecurity=False).hexdigest()


def _assert_same(layer: str, found: list[tuple[Any, ...]], wanted: set[Any]) -> None:
    held = set(found)
    assert len(held) == len(found), f"{layer} has rows twice"
    extra, missing = sorted(held - wanted, key=str), sorted(wanted - held, key=str)
    assert held == wanted, f"{layer}: too many {extra}, missing {missing}"
