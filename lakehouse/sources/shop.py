"""The database of a simulated shop, as Debezium tells of it: customers and orders that come, change and go.

Here: seeded change records. Not here: sending (`sources.producer`), what is made of them (`transforms.changes`). A run
begins with a snapshot of both tables. Deletes are followed by their tombstones; now and then a row gets another key,
which a source tells as a delete and a create at one position of its log.
"""

import json
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

Table = Literal["customers", "orders"]
Shape = Literal["envelope", "flat"]
Row = dict[str, Any]

CUSTOMERS_AT_START = 20
ORDERS_AT_START = 40
STATUSES = ("new", "paid", "shipped", "delivered")
CITIES = ("Oslo", "Lyon", "Porto", "Graz", "Gdansk", "Turku", "Bristol", None)
_FIRST = ("Ada", "Ben", "Cleo", "Dora", "Emil", "Fay", "Gus", "Hana", "Ivo", "June")
_LAST = ("Berg", "Costa", "Dahl", "Ek", "Ferrari", "Gruber", "Hall", "Ito", "Jansen", "Kern")


class ChangeRecord(NamedTuple):
    """One Kafka record: the table whose topic it belongs to, and what the connector sends."""

    table: Table
    key: str
    value: bytes | None


class Shop:
    """An endless source of change records of both tables, in the order of the database's log.

    Args:
        seed: The same seed gives the same changes, apart from their times and positions.
        shape: `envelope` as Debezium sends it, or `flat` as ExtractNewRecordState leaves it.
        bad_share: Share of records (0 to 1) with an operation that nobody knows.
        now: Seconds since 1970, UTC. Positions grow with it, so that a later run goes on where an earlier one ended.
    """

    def __init__(
        self,
        *,
        seed: int,
        shape: Shape = "envelope",
        bad_share: float = 0.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._random = random.Random(seed)
        self._shape = shape
        self._bad_share = bad_share
        self._now = now
        self._lsn = 0
        self._rows: dict[Table, dict[int, Row]] = {"customers": {}, "orders": {}}
        self._next_id: dict[Table, int] = {"customers": 1, "orders": 1}

    def __iter__(self) -> Iterator[ChangeRecord]:
        yield from self._snapshot()
        while True:
            self._advance()
            yield from self._change()

    def rows(self, table: Table) -> dict[int, Row]:
        """The table as the database has it now, by key."""
        return {number: dict(row) for number, row in self._rows[table].items()}

    def _snapshot(self) -> Iterator[ChangeRecord]:
        self._advance()
        for table, count in (("customers", CUSTOMERS_AT_START), ("orders", ORDERS_AT_START)):
            for number in range(count):
                where = "first" if number == 0 else "last" if number == count - 1 else "true"
                # All rows of a snapshot share the position at which it was taken.
                yield self._record(table, "r", None, self._add(table), snapshot=where)  # type: ignore[arg-type]

    def _change(self) -> Iterator[ChangeRecord]:
        """One transaction: a row comes, changes, goes, or gets another key."""
        source = self._random
        table: Table = "customers" if source.random() < 0.3 else "orders"
        rows = self._rows[table]
        draw = source.random()
        if draw < 0.3 or len(rows) < 5:
            yield self._record(table, "c", None, self._add(table))
            return
        before = rows[source.choice(sorted(rows))]
        if draw < 0.85:
            yield self._record(table, "u", before, self._changed(table, before))
        elif draw < 0.97:
            yield from self._gone(table, before)
        else:
            yield from self._gone(table, before)
            after = before | {"id": self._take_id(table), "updated_at": self._moment()}
            self._rows[table][after["id"]] = after
            yield self._record(table, "c", None, after)

    def _gone(self, table: Table, before: Row) -> Iterator[ChangeRecord]:
        del self._rows[table][before["id"]]
        yield self._record(table, "d", before, None)
        yield ChangeRecord(table, _key(before), None)

    def _add(self, table: Table) -> Row:
        source, number = self._random, self._take_id(table)
        if table == "customers":
            first, last = source.choice(_FIRST), source.choice(_LAST)
            row = {
                "id": number,
                "name": f"{first} {last}",
                "email": f"{first}.{last}.{number}@example.com".lower(),
                "city": source.choice(CITIES),
                "updated_at": self._moment(),
            }
        else:
            row = {
                "id": number,
                "customer_id": source.choice(sorted(self._rows["customers"])),
                "amount": f"{source.randint(1, 400)}.{source.randint(0, 99):02d}",
                "status": "new",
                "created_at": self._moment(),
                "updated_at": self._moment(),
            }
        self._rows[table][number] = row
        return row

    def _changed(self, table: Table, before: Row) -> Row:
        source = self._random
        if table == "customers":
            change = {"city": source.choice(CITIES)} if source.random() < 0.7 else {"name": source.choice(_LAST)}
        elif before["status"] not in STATUSES[:-1] or source.random() < 0.1:
            change = {"status": "cancelled"}
        else:
            change = {"status": STATUSES[STATUSES.index(before["status"]) + 1]}
        after = before | change | {"updated_at": self._moment()}
        self._rows[table][before["id"]] = after
        return after

    def _take_id(self, table: Table) -> int:
        number = self._next_id[table]
        self._next_id[table] = number + 1
        return number

    def _advance(self) -> None:
        self._lsn = max(self._lsn + 56, int(self._now() * 1_000_000))

    def _moment(self) -> str:
        """A timestamptz as the connector writes it."""
        moment = datetime.fromtimestamp(self._lsn // 1_000_000, UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{self._lsn % 1_000_000:06d}Z"

    def _record(
        self, table: Table, op: str, before: Row | None, after: Row | None, *, snapshot: str = "false"
    ) -> ChangeRecord:
        milliseconds = self._lsn // 1000
        if self._bad_share and self._random.random() < self._bad_share:
            op = "?"
        row = after if after is not None else before
        assert row is not None  # noqa: S101 - a change has one of them
        if self._shape == "flat":
            deleted = "true" if after is None else "false"
            added = {"__deleted": deleted, "__op": op, "__source_lsn": self._lsn, "__source_ts_ms": milliseconds}
            return ChangeRecord(table, _key(row), json.dumps(row | added).encode())
        source = {
            "version": "3.6.3.Final", "connector": "postgresql", "name": "source", "ts_ms": milliseconds,
            "snapshot": snapshot, "db": "source_db", "schema": "public", "table": table, "txId": self._lsn // 56,
            "lsn": self._lsn, "xmin": None,
        }  # fmt: skip
        event = {
            "before": before, "after": after, "source": source, "transaction": None, "op": op,
            "ts_ms": milliseconds + 60,
        }  # fmt: skip
        return ChangeRecord(table, _key(row), json.dumps(event).encode())


def _key(row: Row) -> str:
    return json.dumps({"id": row["id"]})
