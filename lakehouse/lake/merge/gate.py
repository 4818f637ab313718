"""What stops a step of silver: rules of severity `fail`. Here: the refusal. Not here: judging (`transforms.events`)."""

from lakehouse.contracts.model import StreamContract
from lakehouse.errors import QualityStopError, SchemaIncompatibleError
from lakehouse.lake.merge.profile import Profile
from lakehouse.quality.rules import schema_conditions


def require_quality(contract: StreamContract, profile: Profile) -> None:
    """Refuse a step that breaks a rule of severity `fail`, of the rows or of all of them together.

    Raises:
        QualityStopError: naming the rules and how many rows broke each.
        SchemaIncompatibleError: events are not as the contract has them, and its `evolve` says stop.
    """
    broken = [f"{rule} ({rows} rows)" for rule, rows in sorted(profile.failed_by_rule.items())]
    for rule in contract.table_rules:
        if rule.severity != "fail":
            continue
        if rule.kind == "max_reject_share" and profile.rejected > rule.limit * profile.read:
            broken.append(f"{rule.name} ({profile.rejected} of {profile.read} rows rejected)")
        if rule.kind == "min_rows" and profile.valid < rule.limit:
            broken.append(f"{rule.name} ({profile.valid} valid rows, at least {rule.limit:g} wanted)")
    if broken:
        by_schema = {condition.name for condition in schema_conditions(contract)} & set(profile.failed_by_rule)
        if by_schema:
            raise SchemaIncompatibleError(
                f"Stream {contract.name}: events are not as the contract has them: {', '.join(broken)}.",
                why="`evolve` of the contract says stop. Bronze has the events; silver is unchanged.",
                fix="See docs/runbooks/SCHEMA_INCOMPATIBLE.md.",
            )
        raise QualityStopError(
            f"Stream {contract.name}: rules of severity fail are broken: {', '.join(broken)}.",
            why="Such rows must not reach silver. Bronze has them; silver and quarantine are unchanged.",
            fix="See docs/runbooks/QUALITY_STOP.md.",
        )
