"""Current state and versions of rows do not depend on how their changes arrive: Spark against a plain Python model."""

from datetime import UTC, datetime
from functools import reduce
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lakehouse.engine.spark import expect_rows, materialised
from lakehouse.lake.schema.tables import BRONZE_COLUMNS
from lakehouse.transforms.events import judge, valid_rows
from lakehouse.transforms.versions import changes_of, with_versions
from lakehouse.transforms.winners import winner_per_key
from lakehouse_tests.changes import Change, bronze_rows, enveloped, people, state_of, versions_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark
Placed = tuple[Change, tuple[int, ...]]

# Few keys, positions and values, so that equal ones meet: duplicates, late changes, deletes, things that come back.
changes = st.builds(
    Change,
    op=st.sampled_from(["c", "u", "u", "r", "d"]),
    id=st.integers(1, 12),
    name=st.sampled_from(["a", "b"]),
    paid=st.sampled_from(["1.00", "2.00"]),
    lsn=st.integers(1, 9),
) | st.integers(1, 12).map(lambda number: Change("tombstone", number))
truncates = st.lists(st.integers(1, 9).map(lambda lsn: Change("t", 0, lsn=lsn)), min_size=1, max_size=2)
batches = st.lists(
    st.tuples(st.lists(changes, min_size=1, max_size=40), truncates).flatmap(
        lambda both: st.permutations([*both[0], *both[1]])
    ),
    min_size=2,
    max_size=4,
)


# Each example is some seconds of Spark and holds many keys: few are enough, and shrinking one would take minutes.
@pytest.mark.parametrize("truncate", ["ignore", "apply"])
@settings(max_examples=2, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(arriving=batches)
def test_state_and_versions_are_those_of_the_model_in_any_order(
    spark: "SparkSession", truncate: str, arriving: list[list[Change]]
) -> None:
    expect_rows(spark, 100)
    contract = people(history="scd2", track=["name"], rules=[], change={"truncate": truncate})
    placed: list[Placed] = []
    steps: list[DataFrame] = []
    for number, batch in enumerate(arriving):
        first = len(placed)
        placed += [(change, (0, 0, first + at)) for at, change in enumerate(batch)]
        rows = bronze_rows([enveloped(change) for change in batch], batch=number, first=first)
        bronze = spark.createDataFrame(rows, BRONZE_COLUMNS)
        steps.append(materialised(valid_rows(judge(bronze, contract, ("topic",)), contract)))

    if truncate == "ignore":
        placed = [(change, place) for change, place in placed if change.op != "t"]

    # One micro-batch after the other upon what is there, the latest first.
    silver = reduce(
        lambda held, step: materialised(winner_per_key(held.unionByName(step), contract)),
        reversed(steps),
        steps[-1].limit(0),
    )
    assert silver.where("id IS NULL").count() == any(change.op == "t" for change, _ in placed)
    held = {row["id"]: (row["name"], str(row["paid"])) for row in silver.where("NOT _deleted").collect()}
    assert held == state_of(placed)

    history = reduce(
        lambda held, step: materialised(with_versions(changes_of(changes_of(step, contract).unionByName(
            changes_of(held, contract)), contract), contract)),
        reversed(steps),
        with_versions(changes_of(steps[-1].limit(0), contract), contract),
    )  # fmt: skip
    found: dict[int, list[tuple[str | None, datetime, datetime | None]]] = {}
    wanted = ("id", "name", "unix_millis(valid_from) AS since", "unix_millis(valid_to) AS until", "is_current")
    for row in history.where("is_version").orderBy("id", "_position", "_offset").selectExpr(*wanted).collect():
        since, until = (None if at is None else datetime.fromtimestamp(at / 1000, UTC) for at in (row[2], row[3]))
        assert since is not None
        assert row["is_current"] == (until is None)
        found.setdefault(row["id"], []).append((row["name"], since, until))
    assert found == versions_of(placed)
