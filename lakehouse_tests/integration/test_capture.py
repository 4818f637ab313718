"""Live change data capture: PostgreSQL, Debezium, Kafka, silver, by the project's own contracts.

At the end of each story both silver tables equal their source tables, and the history of customers equals what a
trigger in the source wrote down.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from lakehouse.cli.health import ask_connect
from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec
from lakehouse.engine.embedded import stack as embedded
from lakehouse.engine.postgres import connect
from lakehouse.kafka.connect import Connect
from lakehouse.kafka.connectors import render
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.drain import drain
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.rejects.outcome import Choice
from lakehouse.lake.rejects.replay import replay
from lakehouse.lake.sinks.postgres import load
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings, load_settings
from lakehouse.sources.captured import init_source, slot
from lakehouse_tests.connect import AUDIT, Record, records_until, running_capture
from lakehouse_tests.streams import rows_of

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
NAME = "postgres-cdc-connector"
COLUMNS = "id, name, email, city, updated_at"
ORDERS = "id, customer_id, amount, status, created_at, updated_at"
State = tuple[Any, ...] | None


@pytest.fixture(scope="module")
def capture(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Everything from the source to the topic, with the session's Spark and a lake of this module."""
    home = tmp_path_factory.mktemp("capture")
    with running_capture(home) as found, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_HOME", str(home))
        patch.setenv("SPARK_REMOTE", stack.spark_remote)
        patch.setenv("LAKEHOUSE_DURABILITY", "none")
        for name in ("KAFKA_BOOTSTRAP_SERVERS", "LAKEHOUSE_ROOT"):
            patch.delenv(name, raising=False)
        settings = load_settings()
        assert settings.kafka_bootstrap_servers == found.kafka_bootstrap_servers
        apply_topics(settings, desired_topics([load_stream("customers"), load_stream("orders")]))
        init_source(settings)
        change(
            settings,
            AUDIT,
            "insert into customers select n, 'n' || n, n || '@x.org', null from generate_series(1, 20) n",
            "insert into orders select n, 1 + n % 20, n * 1.25, 'new' from generate_series(1, 40) n",
        )
        connector = render(NAME, settings)
        client = Connect.of(settings)
        assert client.deploy(connector.name, connector.config)
        client.wait_running(NAME, 120)
        assert not client.deploy(connector.name, connector.config)
        yield settings


def change(settings: Settings, *statements: str) -> None:
    assert settings.source_url is not None
    with connect(settings.source_url.get_secret_value()) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def mark(settings: Settings, number: int) -> list[Record]:
    """Make a last customer and a last order, and wait until both are in Kafka; every record of customers."""
    change(
        settings,
        f"insert into orders values ({number}, 1, 1.00, 'new')",
        f"insert into customers values ({number}, 'marker', 'm@x.org')",
    )
    records_until(settings, load_stream("orders").topic.name, number)
    return records_until(settings, load_stream("customers").topic.name, number)


def wait_until_remembered(settings: Settings, number: int) -> None:
    """Wait until Connect has written down how far it came: without that it begins with another snapshot."""
    assert settings.source_url is not None
    with connect(settings.source_url.get_secret_value()) as connection:

        def is_passed(place: str) -> bool:
            found = connection.execute("select bool_and(confirmed_flush_lsn >= %s) from pg_replication_slots", [place])
            return found.fetchone() == (True,)

        [place] = connection.execute("select pg_current_wal_lsn()::text").fetchone() or [""]
        mark(settings, number)
        wait_for(lambda: is_passed(place))


def assert_equal(settings: Settings, contract: StreamContract, columns: str = COLUMNS) -> int:
    """The oracle for customers: silver is the table, the history is what the trigger noted. Returns how many live."""
    count = assert_rows_equal(settings, contract, columns)
    assert held_states(settings, contract) == audited_states(settings)
    assert verify(settings, [contract]).findings == []
    return count


def assert_rows_equal(settings: Settings, contract: StreamContract, columns: str) -> int:
    """Silver's living rows are the rows of the source's table, of the same name."""
    drain(contract, settings, budget_seconds=240, idle_seconds=0)
    assert settings.source_url is not None
    with connect(settings.source_url.get_secret_value()) as connection:
        table = connection.execute(f"select {columns} from {contract.name}".encode()).fetchall()
    silver = rows_of(LakePaths.of(settings).silver(contract.name), f"{columns}, _deleted")
    alive = [row[:-1] for row in silver if not row[-1]]
    assert sorted(map(comparable, alive)) == sorted(map(comparable, table))
    return len(table)


def audited_states(settings: Settings) -> dict[int, list[State]]:
    """What the source itself noted of each customer: its states in order, None once it was deleted."""
    assert settings.source_url is not None
    with connect(settings.source_url.get_secret_value()) as connection:
        rows = connection.execute("select id, name, email, city, is_gone from audit order by change").fetchall()
    found: dict[int, list[State]] = {}
    for number, *state, is_gone in rows:
        states = found.setdefault(number, [])
        now = None if is_gone else tuple(state)
        if not states or states[-1] != now:
            states.append(now)
    return found


def held_states(settings: Settings, contract: StreamContract) -> dict[int, list[State]]:
    """The same out of the history: its versions in order, None where a version ended and the next did not begin."""
    wanted = "id, name, email, city, valid_from, valid_to, is_current, _position"
    path = LakePaths.of(settings).history(contract.name)
    rows = [row[:-1] for row in rows_of(path, f"{wanted}, is_version") if row[-1]]
    found: dict[int, list[State]] = {}
    ended: dict[int, Any] = {}
    for number, *state, since, until, is_current, _ in sorted(rows, key=lambda row: (row[0], row[-1])):
        states = found.setdefault(number, [])
        if states and ended[number] != since:
            states.append(None)
        states.append(tuple(state))
        assert is_current == (until is None)
        ended[number] = until
    for number, until in ended.items():
        if until is not None:
            found[number].append(None)
    return found


def comparable(row: tuple[Any, ...]) -> str:
    return repr(tuple(value.astimezone(UTC) if isinstance(value, datetime) else value for value in row))


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_every_kind_of_change_reaches_silver_and_the_copy(capture: Settings) -> None:
    contract = load_stream("customers")
    assert capture.source_url is not None
    change(
        capture,
        "insert into customers values (30, 'Ada', 'ada@x.org', 'Paris'), (31, 'Bo', 'bo@x.org', null)",
        "update customers set city = 'Rome' where id <= 3",
        "delete from customers where id = 4",
        "update customers set id = 500 where id = 5",
        "delete from customers where id = 30",
        "insert into customers values (30, 'Ada again', 'ada@x.org', 'Lyon')",
    )
    with (
        connect(capture.source_url.get_secret_value()) as connection,
        connection.cursor().copy("copy customers (id, name, email) from stdin") as copy,
    ):
        for number in range(600, 605):
            copy.write_row((number, "copied", "c@x.org"))
    change(
        capture,
        "update orders set status = 'paid', amount = amount + 0.01 where id <= 10",
        "delete from orders where id between 11 and 15",
        "insert into orders values (11, 3, 9.99, 'new')",
        "update orders set id = 900 where id = 16",
    )
    found = mark(capture, 1001)
    kinds = [record.value["op"] for record in found if record.value is not None]
    # The snapshot, then: 2 + 1 (changed key) + 1 (again) + 5 copied + 1 marker made, 3 changed, 3 deleted.
    assert {kind: kinds.count(kind) for kind in sorted(set(kinds))} == {"c": 10, "d": 3, "r": 20, "u": 3}
    assert sum(record.value is None for record in found) == 3
    copied = [r.value for r in found if r.value is not None and r.key is not None and 600 <= r.key["id"] < 605]
    assert len({value["source"]["lsn"] for value in copied}) == 1, "one position for all rows of a COPY"
    assert assert_equal(capture, contract) == 27
    assert assert_rows_equal(capture, load_stream("orders"), ORDERS) == 37

    # The copy of silver in PostgreSQL follows deletes as well.
    load(contract, capture)
    change(capture, "delete from customers where id in (1, 2)")
    mark(capture, 1002)
    assert assert_equal(capture, contract) == 26
    assert load(contract, capture).deleted == 2
    assert capture.postgres_url is not None
    with connect(capture.postgres_url.get_secret_value()) as connection:
        copied_to = connection.execute("select id from customers order by id").fetchall()
    silver = rows_of(LakePaths.of(capture).silver(contract.name), "id, _deleted")
    assert [row[0] for row in copied_to] == sorted(key for key, deleted in silver if not deleted)
    assert ask_connect(capture)[0].state == "healthy"


@pytest.mark.slow
def test_a_killed_connect_repeats_thousands_of_changes_and_silver_has_each_once(capture: Settings) -> None:
    contract = load_stream("customers")
    wait_until_remembered(capture, 1008)
    before = next(entry for entry in embedded.status(capture) if entry.name == "connect")
    change(capture, "insert into customers select n, 'many', 'm@x.org' from generate_series(10001, 15000) n")
    change(capture, "insert into orders select n, 1, 1, 'new' from generate_series(10001, 12000) n")
    mark(capture, 1003)
    os.kill(before.pid, signal.SIGKILL)
    change(
        capture,
        "update customers set city = 'Oslo' where id between 10001 and 10100",
        "delete from customers where id = 10001",
        "update orders set status = 'cancelled' where id > 11000",
    )
    client = Connect.of(capture)
    wait_for(lambda: next(e for e in embedded.status(capture) if e.name == "connect").restarts > before.restarts)
    wait_for(lambda: _answers(client))
    client.wait_running(NAME, 180)
    found = mark(capture, 1004)
    values = [record.value for record in found if record.value is not None]
    distinct = {(str(r.key), r.value["op"], r.value["source"]["lsn"]) for r in found if r.value is not None}
    assert len(values) > len(distinct) + 1000, "a kill must have repeated something, or this story proves nothing"
    assert assert_equal(capture, contract) > 5000
    assert assert_rows_equal(capture, load_stream("orders"), ORDERS) > 2000
    assert verify(capture, [load_stream("orders")]).findings == []


@pytest.mark.slow
def test_paused_truncated_and_grown(capture: Settings) -> None:
    contract = load_stream("customers")
    client = Connect.of(capture)
    client.pause(NAME)
    wait_for(lambda: client.status(NAME).state == "PAUSED")
    change(
        capture,
        "insert into customers values (40, 'while paused', 'p@x.org')",
        "alter table customers add column if not exists phone text",
        "insert into customers (id, name, email, phone) values (41, 'with phone', 'p@x.org', '123')",
        "update customers set phone = '456' where id = 40",
    )
    held = slot(capture)
    assert held is not None
    client.resume(NAME)
    client.wait_running(NAME, 120)
    mark(capture, 1005)
    # The column is unknown to the contract: its values are kept aside, and nothing stops.
    assert_equal(capture, contract)
    rescued = rows_of(LakePaths.of(capture).silver(contract.name), "id, _rescued")
    assert dict(rescued)[41] == '{"phone":"123"}'
    phone = FieldSpec(name="phone", type="string", nullable=True, description="Phone.")
    wider = contract.model_copy(update={"fields": [*contract.fields, phone]})
    change(capture, "update customers set phone = '789'")
    mark(capture, 1006)
    count = assert_equal(capture, wider, f"{COLUMNS}, phone")

    # A truncate is no reason to forget rows: it is quarantined, and silver keeps them.
    change(capture, "truncate customers")
    found = mark(capture, 1007)
    assert [r.value["op"] for r in found if r.key is None and r.value is not None] == ["t"]
    drain(wider, capture, budget_seconds=240, idle_seconds=0)
    silver = rows_of(LakePaths.of(capture).silver(contract.name), "_deleted")
    assert [deleted for (deleted,) in silver].count(False) == count + 1
    reasons = rows_of(LakePaths.of(capture).quarantine(contract.name), "reasons")
    assert reasons == [(["truncate_not_applied"],)]
    # Unless the contract says so: then silver is the emptied table, and the history ends with it.
    applying = wider.model_copy(update={"change": wider.change.model_copy(update={"truncate": "apply"})})
    assert replay(applying, capture, Choice()).released == 1
    assert assert_rows_equal(capture, applying, f"{COLUMNS}, phone") == 1
    states = held_states(capture, applying)
    assert [number for number, story in states.items() if story[-1] is not None] == [1007]
    assert verify(capture, [applying]).findings == []


def _answers(client: Connect) -> bool:
    from lakehouse.errors import LakehouseError

    try:
        return bool(client.names())
    except LakehouseError:
        return False
