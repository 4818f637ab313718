"""Truncates among staged rows: whatever comes first, silver is what the order of the source makes of all of them."""

from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lakehouse.engine.duck import lasting_delta_connection, literal
from lakehouse.lake.merge.adopt import Adopted, adopt
from lakehouse.lake.merge.staged import FATE, VALID, staging
from lakehouse_tests.changes import Change, people
from lakehouse_tests.unit.lake.merge.tables import new_table

_CONTRACT = people(change={"truncate": "apply"})
_DAY = date(2026, 11, 20)
_NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
# Few keys and positions, so that rows and truncates meet, also at equal positions.
_CHANGES = st.builds(
    Change, op=st.sampled_from(["c", "c", "d"]), id=st.integers(1, 5), lsn=st.integers(1, 6)
) | st.builds(Change, op=st.just("t"), id=st.just(0), lsn=st.integers(1, 6))
_STEPS = st.lists(st.lists(_CHANGES, max_size=6), min_size=1, max_size=5)
# What readers can tell of a row: its key, what was done, the position and the offset of the record that did it.
Seen = tuple[int | None, str, bool, int, int]


def _take(path: Path, placed: list[tuple[Change, int]], through: int) -> Adopted:
    with staging(_CONTRACT, str(path)) as staged:
        if placed:
            folder = staged.folder / f"{FATE}={VALID}"
            folder.mkdir(parents=True)
            pq.write_table(_table(placed), folder / "part-00000.zstd.parquet")
        return adopt(staged, {_DAY.isoformat()}, {"kind": "silver"}, transaction=("silver/people", through))


def _table(placed: list[tuple[Change, int]]) -> pa.Table:
    count = len(placed)
    columns: dict[str, Any] = {
        "id": pa.array([None if change.op == "t" else change.id for change, _ in placed], pa.int64()),
        "name": pa.array(["Anna" if change.op == "c" else None for change, _ in placed]),
        "event_date": pa.array([_DAY] * count),
        "_op": [change.op for change, _ in placed],
        "_deleted": [change.op != "c" for change, _ in placed],
        "_changed_at": pa.array([_NOON] * count, pa.timestamp("us", "UTC")),
        "_position": pa.array([[change.lsn] for change, _ in placed], pa.list_(pa.int64())),
        "_topic_id": ["t"] * count,
        "_generation": pa.array([0] * count, pa.int32()),
        "_partition": pa.array([0] * count, pa.int32()),
        "_offset": [offset for _, offset in placed],
        "_batch": [0] * count,
        "_ingested_at": pa.array([_NOON] * count, pa.timestamp("us", "UTC")),
    }
    return pa.table(columns)


def _seen(path: Path) -> set[Seen]:
    with lasting_delta_connection() as connection:
        query = 'select id, _op, name is null, _position[1], "_offset", _deleted, event_date, _changed_at, _topic_id'
        rows = connection.execute(f"{query} from delta_scan({literal(str(path))})").fetchall()
    assert len({row[0] for row in rows}) == len(rows)
    assert all(row[5] == row[2] and row[6:] == (_DAY, _NOON, "t") for row in rows)
    return {row[:5] for row in rows}


def _wanted(placed: list[tuple[Change, int]]) -> set[Seen]:
    """The strongest record of each key; of those before the strongest truncate, the key and the truncate."""
    best: dict[int | None, tuple[int, int, str]] = {}
    for change, offset in placed:
        key = None if change.op == "t" else change.id
        best[key] = max(best.get(key, (0, 0, "")), (change.lsn or 0, offset, change.op))
    last = best.get(None, (0, 0, ""))
    told = {key: max(found, last) for key, found in best.items()}
    return {(key, op, op != "c", lsn, offset) for key, (lsn, offset, op) in told.items()}


@settings(max_examples=15, deadline=None, phases=[Phase.generate])
@given(steps=_STEPS, repeat=st.booleans())
def test_silver_is_what_the_order_makes_of_changes_and_truncates(steps: list[list[Change]], repeat: bool) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "silver"
        new_table(path, _CONTRACT)
        taken: list[tuple[Change, int]] = []
        for number, step in enumerate(steps):
            placed = [(change, len(taken) + at + 1) for at, change in enumerate(step)]
            before = _wanted(taken)
            taken += placed
            after = _wanted(taken)
            done = _take(path, placed, number)
            assert _seen(path) == after
            assert done.inserted == len(after) - len(before)
            assert done.updated == len(before - after)
            if repeat:
                assert _take(path, placed, number)[1:] == (0, 0)
                assert _seen(path) == after
