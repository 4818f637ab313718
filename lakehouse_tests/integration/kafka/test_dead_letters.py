"""Dead letters: read, corrected, sent again; what comes back reaches silver once, and not for ever."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from lakehouse.cli import dlq as cli
from lakehouse.contracts.model import StreamContract
from lakehouse.kafka.dead_letters import read_dead_letters
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.lake.drain import drain
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse_tests.streams import encode, rows_of, sale, sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


def run(contract: StreamContract, settings: Settings) -> None:
    drain(contract, settings, budget_seconds=240, idle_seconds=0)


def offered(contract: StreamContract, settings: Settings) -> int:
    return sum(read_topic_state(settings, contract.topic.name).end.values())


def test_a_corrected_dead_letter_reaches_silver_once_and_a_hopeless_one_ends(
    settings: Settings, topic_name: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = sales_on(settings, topic_name("letters"))
    monkeypatch.setattr("lakehouse.contracts.load.load_stream", lambda _: contract)

    def command(*words: str, exit_code: int = 0) -> Any:
        result = CliRunner().invoke(cli.app, [words[0], contract.name, *words[1:], "--json"], catch_exceptions=False)
        assert result.exit_code == exit_code, result.output
        return json.loads(result.stdout)

    def letter_of(reason: str) -> dict[str, Any]:
        (found,) = (entry for entry in command("list")["newest"] if reason in entry["reasons"])
        return found

    good = sale(1)
    hopeless = sale(2, discount=7)
    zeroed = encode(good | {"quantity": 0})
    values = [zeroed, encode(hopeless), b"{", b"\xff", None, encode(sale(3))]
    send(settings, contract.topic.name, values)
    run(contract, settings)
    assert command("list")["total"] == 5
    assert {entry["reasons"][0] for entry in command("list", "--error-type", "DeserializationError")["newest"]} == {
        "malformed_json", "not_utf8", "no_value",
    }  # fmt: skip
    zero = letter_of("quantity_positive")
    assert zero["error_type"] == "ValidationError"
    assert command("show", zero["id"])["letter"]["original_record"] == zeroed.decode()

    # Sent again with the field set right, once: the second call finds it settled.
    fix = ["replay", zero["id"], "--set", f"quantity={good['quantity']}"]
    before = offered(contract, settings)
    assert command(*fix, "--dry-run")["sent"] == [zero["id"]]
    assert offered(contract, settings) == before
    assert command(*fix)["sent"] == [zero["id"]]
    assert (command(*fix)["sent"], command(*fix)["settled"]) == ([], [zero["id"]])
    assert offered(contract, settings) == before + 1
    assert (command("show", zero["id"])["state"], command("show", zero["id"])["retry_count"]) == ("replayed", 1)

    # What no field can mend is refused when one is to be set, and goes back byte by byte when none is.
    torn, blob, empty = (letter_of(reason)["id"] for reason in ("malformed_json", "not_utf8", "no_value"))
    assert set(command("replay", torn, "--set", "quantity=1", exit_code=10)["refused"]) == {torn}
    assert len(command("replay", blob, empty)["sent"]) == 2
    assert command("discard", torn, "--why", "torn on the way")["discarded"] == [torn]
    assert command("replay", torn)["settled"] == [torn]

    # Rejected again, the record is a new letter that knows of the first attempt; at the limit it stays.
    first = letter_of("discount_in_range")
    assert command("replay", first["id"], "--max-retries", "1")["sent"] == [first["id"]]
    run(contract, settings)
    second = letter_of("discount_in_range")
    assert (second["id"] != first["id"], second["retry_count"]) == (True, 1)
    assert command("show", second["id"])["letter"]["retry_count"] == 1
    assert set(command("replay", second["id"], "--max-retries", "1", exit_code=10)["refused"]) == {second["id"]}
    assert letter_of("discount_in_range")["state"] == "open"
    states = {entry["id"]: entry["state"] for entry in command("list", "--all")["newest"]}
    assert [states[record] for record in (zero["id"], torn, blob, empty)] == [
        "replayed", "discarded", "replayed", "replayed",
    ]  # fmt: skip

    proof = verify(settings, [contract])
    assert proof.findings == []
    counts = proof.proofs[0]
    assert (counts.bronze, counts.silver, counts.quarantined, counts.repeats) == (10, 2, 8, 0)
    paths = LakePaths.of(settings)
    assert (good["order_id"], good["quantity"]) in rows_of(paths.silver(contract.name), "order_id, quantity")
    again = [row for row in rows_of(paths.bronze(contract.name), "key, value, headers") if row[2]]
    assert sorted(key for key, _, _ in again) == [b"0", b"1", b"3", b"4"]
    named = {header["value"].decode() for _, _, headers in again for header in headers if header["key"] == "dlq_id"}
    assert named == {zero["id"], blob, empty, first["id"]}
    assert {value for key, value, _ in again if key in (b"3", b"4")} == {b"\xff", None}

    monkeypatch.setenv("COLUMNS", "160")
    listed = CliRunner().invoke(cli.app, ["list", contract.name], catch_exceptions=False).stdout
    assert ("discount_in_range" in listed, "malformed_json" in listed) == (True, False)

    # Not every message of the topic must be ours.
    send(settings, contract.topic.dlq, [b"hello"])
    assert read_dead_letters(settings, contract.topic.dlq).foreign == 1
