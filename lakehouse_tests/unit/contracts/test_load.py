"""A broken stream YAML is refused with file, line, field and what is allowed."""

from pathlib import Path

import pytest

from lakehouse.contracts.load import load_stream, load_streams, parse_contract
from lakehouse.contracts.model import StreamContract
from lakehouse.errors import ContractError, UsageError
from lakehouse_tests.changes import people

GOOD = """\
type: lakehouse.components.StreamComponent
attributes:
  name: orders
  description: Orders of the shop.
  topic: {name: orders, partitions: 3, retention: 7d}
  owners: ["team:data"]
  start: 2026-01-01
  event_time: at
  key: [id]
  mode: upsert
  fields:
    - {name: id, type: string, description: Number of the order.}
    - {name: at, type: timestamp, description: When it was placed.}
    - {name: amount, type: "decimal(12,2)", description: What it cost.}
  rules:
    - {name: amount_positive, sql: "amount > 0", severity: error}
  freshness: {warn: 10m, fail: 60m}
"""
PATH = Path("orders/defs.yaml")


def test_the_good_one_loads() -> None:
    assert parse_contract(GOOD, PATH).field_names == ["id", "at", "amount"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mode: upsert", "mood: upsert", "defs.yaml:10: mood: is no known field; allowed: name, description, topic,"),
        (
            "mode: upsert",
            "mode: upset",
            "defs.yaml:10: mode: 'upset' is not allowed; allowed: 'append', 'upsert' or 'cdc'",
        ),
        (
            "name: amount, type",
            "name: value, type",
            "fields: value is a name that the tables use themselves; choose another and add source: value",
        ),
        ("key: [id]", "key: [idd]", "defs.yaml:9: key: idd is no field; allowed: id, at, amount"),
        ("event_time: at", "event_time: when", "defs.yaml:8: event_time: when is no field; allowed: id, at, amount"),
        ("event_time: at", "event_time: id", "defs.yaml:8: event_time: id must be of type timestamp, not string"),
        (
            "severity: error",
            "severity: eror",
            "defs.yaml:16: rules.0.severity: 'eror' is not allowed; allowed: 'warn',",
        ),
        ("severity: error", "sevrity: error", "defs.yaml:16: rules.0.sevrity: is no known field; allowed: name, sql,"),
        ("type: string, d", "type: text, d", "defs.yaml:12: fields.0.type: 'text' is no field type; allowed: string,"),
        (
            "decimal(12,2)",
            "decimal(2,12)",
            "defs.yaml:14: fields.2.type: 'decimal(2,12)': a decimal has 1 to 38 digits",
        ),
        ("{name: at,", "{name: id,", "defs.yaml:11: fields: id appears twice"),
        ("{name: at,", "{name: At,", "defs.yaml:13: fields.1.name: 'At' is not allowed"),
        ("partitions: 3", "partitions: 0", "defs.yaml:5: topic.partitions: 0 is not allowed"),
        (
            "retention: 7d",
            "retention: week",
            "defs.yaml:5: topic.retention: 'week' is no duration; write a whole number",
        ),
        ("warn: 10m", "warn: 90m", "defs.yaml:17: freshness: freshness: warn must be shorter than fail"),
        ('  owners: ["team:data"]\n', "", "defs.yaml:2: owners: is required"),
        ("mode: upsert", "mode: [upsert", "defs.yaml:11: no valid YAML"),
        ("  mode: upsert", "\tmode: upsert", "defs.yaml:10: no valid YAML: YAML takes no tabs; indent with spaces."),
        ("  fields:\n  ", "  fields:\n\t", "defs.yaml:12: no valid YAML: YAML takes no tabs; indent with spaces."),
        ("name: orders\n", "name: order\n", "defs.yaml:3: name: order is a word of SQL, so `from order` would be"),
        ("StreamComponent", "StreemComponent", "defs.yaml:1: type is 'lakehouse.components.StreemComponent'; allowed:"),
        ("attributes:", "attribute:", "defs.yaml:1: a stream file has `type:"),
        ("mode: upsert", "mode: cdc", "defs.yaml:8: event_time: a cdc stream has none;"),
        ("mode: upsert", "mode: upsert\n  change: {order: []}", "defs.yaml:11: change: only for mode cdc"),
        ("mode: upsert", "mode: append\n  history: scd2", "defs.yaml:11: history: an append stream has no versions;"),
        ("mode: upsert", "mode: upsert\n  track: [amount]", "defs.yaml:11: track: only with history: scd2"),
        (
            "timestamp, d",
            "timestamp, encoding: base64, d",
            "encoding base64 is not for timestamp; base64 is for decimals",
        ),
        (
            "mode: upsert",
            "mode: upsert\n  mode: append",
            "defs.yaml:11: no valid YAML: mode is there twice, first in line 10.",
        ),
        (
            "description: What it cost.",
            "aliases: [Amount], description: What it cost.",
            "fields.2: the keys amount and Amount differ in case only; name one of them",
        ),
        ("amount > 0", "amount + 1", "defs.yaml:16: rules.0.sql: is no condition, which is true or false: amount + 1"),
        ("amount > 0", "(amount)::string || 'x'", "rules.0.sql: is no condition"),
        ("amount > 0", "sum(amount) > 1", "rules.0.sql: is about many rows; a rule judges one, table_rules the table"),
        ("amount > 0", "at < now()", "rules.0.sql: calls now, which differs from run to run"),
    ],
)
def test_each_mistake_is_named_with_line_and_allowed_values(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(ContractError) as caught:
        parse_contract(GOOD.replace(old, new, 1), PATH)
    assert message in caught.value.problem


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    _write(tmp_path, "a", GOOD)
    file = tmp_path / "a" / "defs.yaml"
    file.write_bytes(GOOD.replace("of the shop", "du café").encode("latin-1"))
    with pytest.raises(ContractError, match=r"a/defs\.yaml:4: no UTF-8"):
        load_streams(tmp_path)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ContractError) as caught:
        parse_contract(GOOD.replace("mode: upsert", "mood: x").replace("type: string", "type: text"), PATH)
    assert [line.split(": ")[1] for line in caught.value.problem.splitlines()] == ["fields.0.type", "mood"]


def _write(folder: Path, name: str, text: str) -> None:
    (folder / name).mkdir()
    (folder / name / "defs.yaml").write_text(text, encoding="utf-8")


def test_two_streams_share_neither_name_nor_topic(tmp_path: Path) -> None:
    _write(tmp_path, "a", GOOD)
    _write(tmp_path, "b", GOOD.replace("name: orders\n", "name: orders2\n"))
    with pytest.raises(ContractError, match="topic 'orders' already belongs to stream 'orders'"):
        load_streams(tmp_path)
    (tmp_path / "b" / "defs.yaml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(ContractError, match="stream name 'orders' is used twice"):
        load_streams(tmp_path)


def test_an_unknown_stream_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'sales'"):
        load_stream("sale")


def test_contracts_survive_the_way_through_json() -> None:
    for contract in load_streams().values():
        assert StreamContract.model_validate_json(contract.model_dump_json()) == contract


def test_a_truncate_needs_an_order_that_holds_across_partitions() -> None:
    with pytest.raises(ValueError, match=r"change\.truncate: apply needs change\.order"):
        people(change={"order": [], "truncate": "apply"})
    people({"name": "people", "partitions": 1}, change={"order": [], "truncate": "apply"})
