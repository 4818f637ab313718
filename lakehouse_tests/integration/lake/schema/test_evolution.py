"""Contracts that change while the pipeline is down: silver and gold follow, or the drain refuses before it writes."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import Evolution, FieldSpec
from lakehouse.errors import SchemaIncompatibleError
from lakehouse.lake.drain import drain
from lakehouse.lake.ledger import current_version, merged_through
from lakehouse.lake.maintenance.upkeep import maintain_stream
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.rejects.outcome import Choice
from lakehouse.lake.rejects.replay import replay
from lakehouse.lake.schema.accepted import read_accepted, schema_problems
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse_tests.streams import encode, rows_of, sale, sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
Topic = Callable[[str], str]
NOTE = FieldSpec(name="note", type="string", description="A note.", nullable=True)
LOYALTY = FieldSpec(name="loyalty", type="integer", description="Points.", nullable=True)


def run(contract: StreamContract, settings: Settings, events: list[dict[str, Any]]) -> None:
    """Events that arrived while nothing ran, then a drain by this contract."""
    if events:
        send(settings, contract.topic.name, [encode(event) for event in events])
    drain(contract, settings, budget_seconds=240, idle_seconds=0)


def changed(contract: StreamContract, which: str, **update: Any) -> StreamContract:
    fields = [f.model_copy(update=update) if f.name == which else f for f in contract.fields]
    return contract.model_copy(update={"fields": fields})


def silver(settings: Settings, contract: StreamContract, select: str) -> list[tuple[Any, ...]]:
    return sorted(rows_of(LakePaths.of(settings).silver(contract.name), select), key=str)


def test_an_added_field_has_the_values_that_came_before_the_contract_knew_it(
    settings: Settings, topic_name: Topic
) -> None:
    """What `_rescued` kept is read anew; a value of the wrong type goes to quarantine; other dates stay as they are."""
    old = sales_on(settings, topic_name("added"))
    now = datetime.now(UTC)
    yesterday = now - timedelta(days=1)
    before = [sale(1, at=now), sale(2, at=now, loyalty=7, till=4), sale(3, at=now, loyalty="x"), sale(4, at=yesterday)]
    run(old, settings, before)
    path = LakePaths.of(settings).silver(old.name)
    assert silver(settings, old, "_rescued")[0][0] == '{"loyalty":"7","till":"4"}'

    new = old.model_copy(update={"fields": [*old.fields, LOYALTY]})
    [problem] = [text for text in [*verify(settings, [new]).findings] if text.check == "schema"]
    assert "lakehouse drain sales" in problem.problem
    after = sale(5, at=now, loyalty=9)
    run(new, settings, [after])
    found = {row[0]: row[1:] for row in silver(settings, new, "order_id, loyalty, _rescued")}
    assert found == {
        before[0]["order_id"]: (None, None),
        before[1]["order_id"]: (7, '{"till":"4"}'),
        before[3]["order_id"]: (None, None),
        after["order_id"]: (9, None),
    }
    [(reasons,)] = rows_of(LakePaths.of(settings).quarantine(new.name), "reasons")
    assert reasons == ["loyalty_type"]
    assert verify(settings, [new]).findings == []
    accepted = read_accepted(path)
    assert accepted is not None
    assert (accepted.version, bool(accepted.rest)) == (2, False)

    version = current_version(path)
    run(new, settings, [])
    assert current_version(path) == version, "the second drain has nothing to follow"
    stopping = old.model_copy(
        update={"fields": [*new.fields, LOYALTY.model_copy(update={"name": "level"})], "evolve": Evolution(add="stop")}
    )
    with pytest.raises(SchemaIncompatibleError, match=r"level is new \(field level, rule evolve\.add\)"):
        run(stopping, settings, [])
    assert current_version(path) == version


@pytest.mark.slow
def test_a_widened_field_takes_larger_values_and_keeps_the_old_ones(settings: Settings, topic_name: Topic) -> None:
    old = sales_on(settings, topic_name("widened"))
    old = old.model_copy(update={"rules": [rule for rule in old.rules if rule.name != "total_is_gross"]})
    large = 2**40
    run(old, settings, [sale(1, quantity=3), sale(2, quantity=large), sale(3, total_price=1.005)])
    assert [row[0] for row in silver(settings, old, "quantity")].count(3) >= 1
    assert schema_problems(changed(old, "quantity", type="string"), LakePaths.of(settings)) == [
        "quantity changes from integer to string (field quantity, rule type_may_only_widen)"
    ]
    with pytest.raises(SchemaIncompatibleError, match="rule type_may_only_widen"):
        run(changed(old, "quantity", type="string"), settings, [])

    new = changed(changed(old, "quantity", type="long"), "total_price", type="decimal(18,4)")
    run(new, settings, [sale(4, quantity=large + 1)])
    replay(new, settings, Choice(reason="quantity_type"))
    found = {row[0]: row[1] for row in silver(settings, new, "order_id, quantity")}
    assert (found[sale(1)["order_id"]], found[sale(2)["order_id"]], found[sale(4)["order_id"]]) == (3, large, large + 1)
    totals = {row[0]: row[1] for row in silver(settings, new, "order_id, total_price::varchar")}
    assert totals[sale(3)["order_id"]] == "1.0050", "digits that the narrower type had cut are read again"
    assert verify(settings, [new]).findings == []


def test_a_renamed_field_goes_on_under_its_new_name_and_old_events_are_still_read(
    settings: Settings, topic_name: Topic
) -> None:
    old = sales_on(settings, topic_name("renamed"))
    run(old, settings, [sale(n, store_location=f"Town {n}") for n in range(3)])
    renamed = changed(old, "store_location", name="city", aliases=["store_location"])
    with pytest.raises(SchemaIncompatibleError, match=r"field city, rule evolve\.rename"):
        run(renamed, settings, [])
    new = renamed.model_copy(update={"evolve": Evolution(rename="alias")})
    late = sale(3, store_location="Town 3")
    fresh = {("city" if key == "store_location" else key): value for key, value in sale(4).items()} | {"city": "Town 4"}
    run(new, settings, [late, fresh])
    assert silver(settings, new, "city") == [(f"Town {n}",) for n in range(5)]
    assert verify(settings, [new]).findings == []


def test_fields_that_mean_something_for_older_events_are_read_from_them(settings: Settings, topic_name: Topic) -> None:
    """A derived field, one under a retired field's key, another order of two keys; a reject that fits a wider type."""
    place = FieldSpec(name="place", type="string", description="Where.", nullable=True, source="city", aliases=["town"])
    first = sales_on(settings, topic_name("reread"))
    first = first.model_copy(update={"fields": [*first.fields, place]})
    first = changed(first, "discount", type="decimal(3,2)")
    before = datetime.now(UTC) - timedelta(days=1)  # a date of which silver has nothing yet
    events = [
        sale(1, city="Rome", town="Roma", note="by hand"),
        sale(2, at=before, discount=0.125, quantity=2**40, total_price=1),
    ]
    loose = [rule for rule in first.rules if rule.name != "total_is_gross"]
    first = first.model_copy(update={"rules": loose, "fields": [*first.fields, NOTE]})
    run(first, settings, events)
    without = first.model_copy(update={"fields": [field for field in first.fields if field.name != "note"]})
    run(without, settings, [])

    twice = FieldSpec(name="twice", type="long", description="Double.", nullable=True, derive="quantity * 2")
    remark = NOTE.model_copy(update={"name": "remark", "source": "note"})
    new = changed(without, "place", source="town", aliases=["city"])
    new = changed(new, "quantity", type="long")
    new = new.model_copy(update={"fields": [*new.fields, twice, remark]})
    run(new, settings, [])
    wanted = [(str(events[0]["quantity"] * 2), "Roma", "by hand"), (str(2**41), None, None)]
    assert silver(settings, new, "twice::varchar, place, remark") == sorted(wanted, key=str)
    assert rows_of(LakePaths.of(settings).quarantine(new.name), "reasons") == []
    assert verify(settings, [new]).findings == []
    appended = new.model_copy(update={"mode": "append"})
    assert schema_problems(appended, LakePaths.of(settings)) == [
        "mode changes from upsert to append (field mode, rule mode_is_fixed)"
    ]


@pytest.mark.slow
def test_a_dropped_field_keeps_its_column_and_comes_back_whole(settings: Settings, topic_name: Topic) -> None:
    old = sales_on(settings, topic_name("dropped"))
    old = changed(old, "store_location", nullable=True)
    run(old, settings, [sale(1, store_location="Rome"), sale(2, store_location="Oslo")])
    new = old.model_copy(update={"fields": [f for f in old.fields if f.name != "store_location"]})
    with pytest.raises(SchemaIncompatibleError, match=r"field store_location, rule evolve\.drop"):
        run(new.model_copy(update={"evolve": Evolution(drop="stop")}), settings, [])
    later = (datetime.now(UTC) + timedelta(seconds=60)).isoformat()
    run(new, settings, [sale(2, store_location="Bergen", sale_timestamp=later), sale(3, store_location="Pisa")])
    assert silver(settings, new, "store_location, _rescued") == [("Rome", None), (None, None), (None, None)]
    assert verify(settings, [new]).findings == []
    maintain_stream(new, settings)
    run(old, settings, [])
    assert silver(settings, old, "store_location") == [("Bergen",), ("Pisa",), ("Rome",)]
    assert verify(settings, [old]).findings == []


def test_events_of_another_shape_stop_the_batch_when_the_contract_says_so(
    settings: Settings, topic_name: Topic
) -> None:
    loose = sales_on(settings, topic_name("strict"))
    strict = loose.model_copy(update={"evolve": Evolution(type="stop", add="stop")})
    with pytest.raises(SchemaIncompatibleError, match=r"quantity_type \(1 rows\), unknown_fields \(2 rows\)"):
        run(strict, settings, [sale(1), sale(2, quantity="many", extra=1), sale(3, other=1)])
    paths = LakePaths.of(settings)
    assert merged_through(paths.silver(strict.name)) == -1
    run(loose, settings, [])
    assert len(silver(settings, loose, "order_id")) == 2
    [(record,)] = rows_of(paths.quarantine(loose.name), "record")
    assert json.loads(record)["context"]["reasons"][0] == "quantity_type"
