"""How a trace looks to a person. Here: words and tables. Not here: finding anything out (`lake.traces.trace`)."""

from typing import Any

from lakehouse.cli.console import out, print_table
from lakehouse.lake.traces.answer import CellTrace, GoldPart, Origin, SilverRow, State, Trace

_WORDS: dict[State, str] = {
    "in_silver": "in silver",
    "beaten": "beaten",
    "quarantined": "quarantined",
    "not_merged": "not merged yet",
}
_VERDICTS = {
    "holds": "holds",
    "broken": "BROKEN",
    "null": "NULL, counts as broken",
    "not_asked": "not asked: unreadable",
}
_MOST_BYTES = 2_000


def show(trace: Trace) -> None:
    """One record, from Kafka to gold."""
    out.print(f"{trace.stream}: {_WORDS[trace.state]}: {trace.why}", style="bold", markup=False)
    _show_origin(trace.record)
    _section("rules")
    for rule in trace.rules:
        mark = "✓" if rule.verdict == "holds" else "✗"
        _line(f"{mark} {rule.rule}", f"{_VERDICTS[rule.verdict]} · {rule.severity} · {rule.description}")
    if trace.versions:
        _section("records of this key, the strongest first")
        print_table(
            "",
            ["place", "generation", "batch", "event time", "state", "because"],
            [
                [v.place, v.generation, v.batch, v.event_time, _WORDS[v.state], v.beaten_by or ", ".join(v.reasons)]
                for v in trace.versions
            ],
        )
    if trace.silver is not None:
        _show_silver(trace.silver)
    _show_gold(trace.gold)


def show_cells(trace: CellTrace) -> None:
    """The records behind rows of a mart."""
    out.print(
        f"{trace.table}: {len(trace.cells)} groups · {trace.count:,} rows of silver version {trace.silver_version}",
        style="bold",
        markup=False,
    )
    for name, values in trace.totals.items():
        same = "equal" if values["gold"] == values["silver"] else "DIFFERENT"
        _line(name, f"gold {values['gold']} · silver {values['silver']} · {same}")
    if trace.offsets:
        columns = list(trace.offsets[0])
        _section(f"records by partition and offset, the first {len(trace.offsets):,}")
        print_table("", columns, [[row[name] for name in columns] for row in trace.offsets])


def _show_origin(record: Origin) -> None:
    _section("bronze")
    _line("record", f"{record.topic} partition {record.partition}, offset {record.offset}")
    _line("topic id", f"{record.topic_id} (generation {record.generation})")
    if record.other_generations:
        listed = ", ".join(map(str, record.other_generations))
        _line("also in", f"generation {listed} of the topic had this place too; this is the newest")
    _line("broker time", record.timestamp)
    _line("on the broker", record.on_broker)
    _line("batch", f"{record.batch}, arrival date {record.arrival_date}")
    _line("commit", _commit(record.delta_version, record.committed_at))
    _line("key", record.key)
    size = "" if record.value_bytes is None else f" ({record.value_bytes:,} bytes, {record.encoding})"
    value = record.value if record.value is None else record.value[:_MOST_BYTES]
    _line("value", f"{value}{size}")


def _show_silver(silver: SilverRow) -> None:
    _section("silver row of the key")
    _line("commit", _commit(silver.delta_version, silver.committed_at))
    for name, value in silver.row.items():
        _line(name, value)


def _show_gold(gold: GoldPart) -> None:
    _section("gold, for the silver row of the key")
    if gold.note:
        _line("note", gold.note)
    for cell in gold.cells:
        _line(cell.table, f"{_pairs(cell.by)} → {_pairs(cell.totals)}")
        if cell.row is not None:
            _line("its row", _pairs(cell.row))
    if gold.includes:
        _line("built from", f"silver version {gold.silver_version}, which has the row")


def _commit(version: int | None, at: Any) -> str:
    return "not in the log any more" if version is None else f"Delta version {version}, {at:%Y-%m-%d %H:%M:%S} UTC"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _section(title: str) -> None:
    out.print(f"\n{title}", style="bold", markup=False)


def _line(name: str, value: Any) -> None:
    out.print(f"  {name:<24} {'(none)' if value is None else value}", markup=False)
