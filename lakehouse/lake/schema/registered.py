"""The lake's own copy of the schemas that its Avro records were written by: the table `ops/schemas`.

Bronze holds bytes that only their writer's schema explains; with the copy they can be read when the registry is away,
was made anew, or is gone for good. Written by delta-rs alone, as `ops/decisions` is.
Here: reading the copy, completing it. Not here: the registry (`contracts.registry`), decoding (`transforms.avro`).
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.registration import AVRO
from lakehouse.contracts.registry import Registered, Registry, subject_of
from lakehouse.errors import RegistryUnreachableError, SchemaIncompatibleError
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.settings import Settings
from lakehouse.transforms.avro import is_framed, schema_id

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def known_schemas(paths: LakePaths, stream: str) -> dict[int, str]:
    """The schemas that records of the stream may name, by id; the first one that was learnt counts."""
    if not table_exists(paths.schemas):
        return {}
    from deltalake import DeltaTable

    rows = DeltaTable(paths.schemas).to_pyarrow_table(filters=[("stream", "=", stream)]).to_pylist()
    return {row["id"]: row["text"] for row in sorted(rows, key=lambda row: row["at"], reverse=True)}


def writers_of(contract: StreamContract, paths: LakePaths) -> dict[int, str]:
    """What it takes to read the stream's records: nothing for JSON, the known schemas for Avro."""
    return known_schemas(paths, contract.name) if contract.topic.format == "avro" else {}


def remember(paths: LakePaths, stream: str, schemas: list[Registered]) -> None:
    """Add schemas to the copy, in one commit."""
    import pyarrow as pa
    from deltalake import write_deltalake

    shape = pa.schema(
        [
            ("stream", pa.string()),
            ("id", pa.int64()),
            ("kind", pa.string()),
            ("text", pa.string()),
            ("at", pa.timestamp("us", tz="UTC")),
        ]
    )
    now = datetime.now(UTC)
    rows = [{"stream": stream, "id": s.id, "kind": s.kind, "text": s.text, "at": now} for s in schemas]
    write_deltalake(paths.schemas, pa.Table.from_pylist(rows, schema=shape), mode="append")


def learn(bronze: "DataFrame", contract: StreamContract, settings: Settings, paths: LakePaths) -> None:
    """See to it that the lake knows every schema by which these records were written, as far as the registry does.

    An id that the registry has no Avro schema for stays unknown; its records go to quarantine.

    Raises:
        RegistryUnreachableError: a schema is needed that the lake does not know, and the registry does not answer.
    """
    if contract.topic.format != "avro":
        return
    # The key of a change may say more than its value: of a deleted row it is often all that is told.
    named = ", ".join(f"CASE WHEN {is_framed(part)} THEN {schema_id(part)} END" for part in _parts(contract))
    found = bronze.selectExpr(f"explode(array({named})) AS id").where("id IS NOT NULL").distinct().collect()
    missing = sorted({row["id"] for row in found} - known_schemas(paths, contract.name).keys())
    if not missing:
        return
    registry = Registry.required(settings)
    try:
        answers = [registry.by_id(number) for number in missing]
    except RegistryUnreachableError as error:
        raise RegistryUnreachableError(
            f"Stream {contract.name} has records of schema {', '.join(map(str, missing))}, which the lake has not seen "
            "before, and the schema registry does not answer.",
            why=f"{error.problem} {error.why} Bronze has the records; nothing is lost.",
            fix=error.fix,
        ) from error
    learnt = [schema for schema in answers if schema is not None and schema.kind == AVRO]
    if learnt:
        remember(paths, contract.name, learnt)


def look_at_registry(contract: StreamContract, settings: Settings, paths: LakePaths) -> list[str]:
    """Before a drain: does the registry answer, and is it the one whose schemas the lake knows?

    Returns:
        One warning when it does not answer: with the schemas that the lake knows the drain can go on.

    Raises:
        SchemaIncompatibleError: an id means another schema in the registry than it meant when the lake learnt it.
    """
    if contract.topic.format != "avro":
        return []
    known = known_schemas(paths, contract.name)
    try:
        registry = Registry.required(settings)
        subjects = [subject_of(contract.topic.name, part) for part in _parts(contract)]
        answers = [registry.latest(subject) for subject in subjects]
    except RegistryUnreachableError as error:
        return [f"{error.problem} Going on with the {len(known)} schemas of {contract.name} that the lake knows."]
    for newest in answers:
        if newest is None or known.get(newest.id, newest.text) == newest.text:
            continue
        raise SchemaIncompatibleError(
            f"Schema {newest.id} of {newest.subject} in the registry is another one than the lake learnt by this id.",
            why="The registry was made anew or exchanged, while the topic still has records of the old one.",
            fix="Restore the registry, or point SCHEMA_REGISTRY_URL to the right one.",
        )
    return []


def _parts(contract: StreamContract) -> tuple[Literal["value", "key"], ...]:
    """Which parts of the stream's records are read by a registered schema."""
    return ("value", "key") if contract.is_cdc else ("value",)
