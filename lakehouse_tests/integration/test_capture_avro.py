"""Live change data capture in Avro: PostgreSQL, Debezium, Apicurio's converter, a registry, silver.

The same contract as with JSON, but for `topic.format`.
"""

from pathlib import Path

import pytest

from lakehouse.contracts.captured import captured_problems
from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec
from lakehouse.contracts.registry import Registry, subject_of
from lakehouse.engine.postgres import connect
from lakehouse.kafka.connect import Connect
from lakehouse.kafka.connectors import avro_settings, render
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.drain import drain
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings, load_settings
from lakehouse.sources.captured import init_source
from lakehouse_tests.connect import running_capture
from lakehouse_tests.streams import rows_of

pytestmark = [pytest.mark.kafka, pytest.mark.spark, pytest.mark.slow]
NAME = "postgres-cdc-connector"
PHONE = FieldSpec(name="phone", type="string", nullable=True, description="Phone number.")


def on_source(settings: Settings, *statements: str) -> list[tuple[object, ...]]:
    """Run statements; the rows of the last one, if it has any."""
    assert settings.source_url is not None
    with connect(settings.source_url.get_secret_value()) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def taken(settings: Settings, contract: StreamContract, columns: str, marker: int) -> list[tuple[object, ...]]:
    """Living rows of silver, once the row of the number `marker` is among them."""
    path = LakePaths.of(settings).silver(contract.name)
    for _ in range(60):
        drain(contract, settings, budget_seconds=240, idle_seconds=2)
        rows = rows_of(path, f"{columns}, _deleted")
        if any(row[0] == marker for row in rows):
            return sorted(row[:-1] for row in rows if not row[-1])
    raise AssertionError(f"{marker} did not arrive")


def test_a_connector_that_writes_avro(stack: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_capture(tmp_path, "registry"):
        monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
        monkeypatch.setenv("SPARK_REMOTE", stack.spark_remote)
        for name in ("KAFKA_BOOTSTRAP_SERVERS", "LAKEHOUSE_ROOT"):
            monkeypatch.delenv(name, raising=False)
        settings = load_settings()
        contracts = {}
        for name in ("customers", "orders"):
            contract = load_stream(name)
            topic = contract.topic.model_copy(update={"format": "avro"})
            contracts[name] = contract.model_copy(update={"topic": topic})
        apply_topics(settings, desired_topics(list(contracts.values())))
        init_source(settings)
        on_source(
            settings,
            "insert into customers select n, 'n' || n, n || '@x.org', null from generate_series(1, 9) n",
            "insert into orders select n, 1 + n % 9, n * 1.25, 'new' from generate_series(1, 9) n",
        )
        # Decimals as decimals, not as text.
        changes = avro_settings(settings) | {"decimal.handling.mode": "precise"}
        connector = render(NAME, settings, changes)
        client = Connect.of(settings)
        client.deploy(connector.name, connector.config)
        client.wait_running(NAME, 180)
        # The snapshot first: rows that it meets changed have no version from before.
        assert len(taken(settings, contracts["customers"], "id", 9)) == 9

        on_source(
            settings,
            "update customers set city = 'Oslo' where id = 2",
            "delete from customers where id = 3",
            "update orders set amount = 1234567.89, status = 'paid' where id = 4",
            "insert into orders values (99, 1, 0.01, 'new')",
            "alter table customers add column phone text",
            "insert into customers (id, name, email, phone) values (99, 'marker', 'm@x.org', '+47 1')",
        )
        orders, customers = contracts["orders"], contracts["customers"]
        customers = customers.model_copy(update={"fields": [*customers.fields, PHONE]})
        for contract, columns in (
            (orders, "id, customer_id, amount, status, created_at, updated_at"),
            (customers, "id, name, email, city, phone, updated_at"),
        ):
            table = on_source(settings, f"select {columns} from {contract.name} order by id")
            assert taken(settings, contract, columns, 99) == table
            assert verify(settings, [contract]).findings == []
            newest = Registry.required(settings).latest(subject_of(contract.topic.name))
            assert newest is not None
            assert captured_problems(contract, newest.text) == []
        history = rows_of(LakePaths.of(settings).history("customers"), "id, city, is_current, is_version")
        assert {row[1:3] for row in history if row[0] == 2 and row[3]} == {(None, False), ("Oslo", True)}
