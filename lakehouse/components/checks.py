"""A stream's asset checks: one pass over each table, one result for each rule, and what must always hold.

Only the checks named `whole`, `no_duplicates` and `rejects_within_tolerance` are blocking: gold waits for them. A
rule's own check warns as soon as one row breaks it, and turns to ERROR past the rule's tolerance. Infrastructure errors
raise: `passed=False` means that the *data* is wrong. The checks carry no partition, because a drain touches many event
dates: their metadata say which days were looked at; started by hand they look at the whole table.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from lakehouse.components.resources import LakeResource
from lakehouse.components.tables import bronze_key, silver_key
from lakehouse.contracts.model import StreamContract

if TYPE_CHECKING:
    from lakehouse.lake.quality.checks import RuleResult

RUNWAY = "retention_runway"
RUNWAY_WARN_SHARE = 0.25
"""Warn when less than this share of the topic's retention is left for the oldest unread record."""
GATE = "rejects_within_tolerance"
IMPLIED = {
    "readable": "Every record is a JSON object in UTF-8.",
    "typed": "Every value is of its field's type.",
    "complete": "Every field that must be there is there; one that names a partition can do so.",
    "in_time": "Every event time lies within the allowed lateness.",
}
_STANDING = {"no_failing_days", "one_date_per_key", "one_row_per_key"}
Results = Iterator[dg.AssetCheckResult]


def build_bronze_checks(contract: StreamContract) -> dg.AssetChecksDefinition:
    """Checks of bronze: nothing missing, nothing twice, nothing about to expire unread."""
    key = bronze_key(contract)
    specs = [
        dg.AssetCheckSpec(
            "whole", asset=key, blocking=True, description="Each batch starts where the one before it ended."
        ),
        dg.AssetCheckSpec(
            "no_duplicates", asset=key, blocking=True, description="Each (topic id, partition, offset) is there once."
        ),
        dg.AssetCheckSpec(
            RUNWAY,
            asset=key,
            description="In how long retention deletes the oldest unread record; warns when less than a quarter of the "
            "topic's retention is left, or less than twice the time that reading it takes.",
        ),
    ]

    @dg.multi_asset_check(name=f"check_bronze_{contract.name}", specs=specs, can_subset=True)
    def check_bronze(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> Results:
        wanted = {check.name for check in context.selected_asset_check_keys}
        if wanted - {RUNWAY}:
            for result in _integrity(lake, contract, _days(context, key)):
                if result.check_name in wanted:
                    yield result
        if RUNWAY in wanted:
            yield _runway(context, lake, contract)

    return check_bronze


def build_silver_checks(contract: StreamContract) -> dg.AssetChecksDefinition:
    """Checks of silver: one for each rule, four that every contract implies, the gate for gold, two standing ones."""
    key = silver_key(contract)
    specs = [
        dg.AssetCheckSpec(name, asset=key, description=description)
        for name, description in _described(contract).items()
    ]
    specs += [
        dg.AssetCheckSpec(
            GATE,
            asset=key,
            blocking=True,
            description="No rule rejects more than its tolerance; otherwise gold is not built.",
        ),
        dg.AssetCheckSpec(
            "no_failing_days",
            asset=key,
            description="No arrival day, past ones included, rejected more than a rule tolerates.",
        ),
        dg.AssetCheckSpec(
            _once(contract),
            asset=key,
            description=f"No {', '.join(contract.key)} appears "
            f"{'in two rows' if contract.is_cdc else 'under two event dates'}.",
        ),
    ]

    @dg.multi_asset_check(name=f"check_silver_{contract.name}", specs=specs, can_subset=True)
    def check_silver(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> Results:
        wanted = {check.name for check in context.selected_asset_check_keys}
        if wanted - _STANDING:
            for result in _rule_results(lake, contract, _days(context, key)):
                if result.check_name in wanted:
                    yield result
        if "no_failing_days" in wanted:
            yield _no_failing_days(lake, contract)
        if _once(contract) in wanted:
            yield _each_key_once(lake, contract)

    return check_silver


def _described(contract: StreamContract) -> dict[str, str]:
    """Name and description of every rule's check, in the order of the YAML."""
    described = dict(IMPLIED)
    for rule in contract.rules:
        action = {
            "warn": "a row that breaks it is kept and counted",
            "error": f"a row that breaks it goes to quarantine; more than {rule.tolerance:.0%} stop gold",
            "fail": "one row that breaks it stops silver",
        }
        described[rule.name] = f"{rule.description or rule.sql} ({rule.severity}: {action[rule.severity]}.)"
    for table_rule in contract.table_rules:
        described[table_rule.name] = f"{table_rule.kind} {table_rule.limit:g} ({table_rule.severity})"
    return described


def check_name(rule: str, contract: StreamContract) -> str:
    """The check that a counted rule belongs to: its own, or one of the four that every contract implies."""
    own = {entry.name for entry in contract.rules} | {entry.name for entry in contract.table_rules}
    if rule in own:
        return rule
    if rule.startswith("event_time_"):
        return "in_time"
    if rule.endswith("_type"):
        return "typed"
    return "complete" if rule.endswith(("_present", "_partition")) else "readable"


def _rule_results(lake: LakeResource, contract: StreamContract, days: list[date] | None) -> Results:
    counted: dict[str, list[RuleResult]] = {name: [] for name in _described(contract)}
    results = lake.evaluate_rules(contract, days)
    for result in results:
        counted[check_name(result.rule, contract)].append(result)
    for name, parts in counted.items():
        yield rule_result(contract, name, parts, days)
    past = [result for result in results if is_past_tolerance(result)]
    yield dg.AssetCheckResult(
        asset_key=silver_key(contract),
        check_name=GATE,
        passed=not past,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(f"{r.rule}: {r.broken} of {r.rows}, tolerated {r.tolerance:.2%}" for r in past) or None,
        metadata={"rules": len(results), "rules_past_tolerance": len(past), "days": _named(days)},
    )


def rule_result(
    contract: StreamContract, name: str, parts: "list[RuleResult]", days: list[date] | None
) -> dg.AssetCheckResult:
    """A check's verdict: passes when no row broke its rules, warns up to the tolerance, is an ERROR beyond.

    `parts` is empty for a rule of severity fail: rows that break it stop silver, so none is ever counted.
    """
    broken = [part for part in parts if not part.passed]
    sql = {rule.name: rule.sql for rule in contract.rules}.get(name)
    metadata: dict[str, Any] = {
        "rows": max((part.rows for part in parts), default=0),
        "broken": sum(part.broken for part in parts),
        "share": round(max((part.share for part in parts), default=0.0), 6),
        "days": _named(days),
    }
    if sql is not None:
        metadata["rule"] = sql
    if broken and name in IMPLIED:
        metadata["broken_rules"] = dg.MetadataValue.json({part.rule: part.broken for part in broken})
    return dg.AssetCheckResult(
        asset_key=silver_key(contract),
        check_name=name,
        passed=not broken,
        severity=dg.AssetCheckSeverity.ERROR if any(map(is_past_tolerance, broken)) else dg.AssetCheckSeverity.WARN,
        description="; ".join(f"{part.rule}: {part.broken} of {part.rows} rows" for part in broken) or None,
        metadata=metadata,
    )


def is_past_tolerance(result: "RuleResult") -> bool:
    """Whether the rule stops gold: warnings never do."""
    return result.severity != "warn" and not result.tolerated


def _no_failing_days(lake: LakeResource, contract: StreamContract) -> dg.AssetCheckResult:
    failing = lake.failing_days(contract)
    metadata: dict[str, Any] = {"failing_days": len({found.day for found in failing})}
    if failing:
        columns = ("day", "rule", "rows", "rejected", "share", "tolerance")
        records = [dg.TableRecord({name: _cell(getattr(found, name)) for name in columns}) for found in failing]
        metadata["days"] = dg.MetadataValue.table(records)
    return dg.AssetCheckResult(
        asset_key=silver_key(contract),
        check_name="no_failing_days",
        passed=not failing,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=metadata,
    )


def _cell(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _once(contract: StreamContract) -> str:
    """The check that silver holds a key once; what is no change record may hold it once on each event date."""
    return "one_row_per_key" if contract.is_cdc else "one_date_per_key"


def _each_key_once(lake: LakeResource, contract: StreamContract) -> dg.AssetCheckResult:
    twice = lake.keys_held_twice(contract)
    return dg.AssetCheckResult(
        asset_key=silver_key(contract),
        check_name=_once(contract),
        passed=twice == 0,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"keys_held_twice": twice},
    )


def _integrity(lake: LakeResource, contract: StreamContract, days: list[date] | None) -> Results:
    facts = lake.bronze_facts(contract, days)
    yield dg.AssetCheckResult(
        asset_key=bronze_key(contract),
        check_name="whole",
        passed=not facts.breaks,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(facts.breaks[:5]) or None,
        metadata={"batches": facts.batches, "breaks": len(facts.breaks), "days": _named(days)},
    )
    yield dg.AssetCheckResult(
        asset_key=bronze_key(contract),
        check_name="no_duplicates",
        passed=facts.duplicates == 0,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={"rows": facts.rows, "duplicates": facts.duplicates, "days": _named(days)},
    )


def _runway(
    context: dg.AssetCheckExecutionContext, lake: LakeResource, contract: StreamContract
) -> dg.AssetCheckResult:
    backlog = lake.backlog(contract)
    retention = contract.topic.retention.total_seconds() / 3600
    hours = retention if backlog.total == 0 else lake.hours_until_expiry(contract, backlog, now=datetime.now(tz=UTC))
    metadata: dict[str, Any] = {
        "lag_rows": backlog.total,
        "runway_hours": round(hours, 2),
        "retention_hours": retention,
    }
    rate = _rows_per_second(context, contract)
    hours_to_read = 0.0
    if rate:
        hours_to_read = backlog.total / rate / 3600
        metadata |= {"rows_per_second": round(rate, 1), "hours_to_read": round(hours_to_read, 4)}
    return dg.AssetCheckResult(
        asset_key=bronze_key(contract),
        check_name=RUNWAY,
        passed=hours >= max(RUNWAY_WARN_SHARE * retention, 2 * hours_to_read),
        severity=dg.AssetCheckSeverity.WARN,
        metadata=metadata,
    )


def _rows_per_second(context: dg.AssetCheckExecutionContext, contract: StreamContract) -> float | None:
    """Pace of the latest drain, from its closing event; None when there was none or it read nothing."""
    event = context.instance.get_latest_materialization_event(bronze_key(contract))
    found = event.asset_materialization.metadata if event and event.asset_materialization else {}
    rows, seconds = (found.get(name) for name in ("run_rows", "run_seconds"))
    if rows is None or seconds is None or not rows.value or not seconds.value:
        return None
    return float(str(rows.value)) / float(str(seconds.value))


def _days(context: dg.AssetCheckExecutionContext, key: dg.AssetKey) -> list[date] | None:
    """Days of this table that the run has written; None (all) when the run only checks."""
    events = context.instance.all_logs(context.run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    days = set()
    for entry in events:
        event = entry.dagster_event
        if event is not None and event.asset_key == key and event.partition is not None:
            days.add(date.fromisoformat(event.partition))
    return sorted(days) or None


def _named(days: list[date] | None) -> str:
    if days is None:
        return "all"
    if len(days) <= 3:
        return ", ".join(f"{day}" for day in days)
    return f"{days[0]} … {days[-1]} ({len(days)} days)"
