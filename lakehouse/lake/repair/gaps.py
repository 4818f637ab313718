"""Lost ranges: what retention or a deleted topic took before bronze read it, recorded so that reading goes on.

Here: finding the gap, recording it as a batch without rows. Not here: its arithmetic (`lake.planner.gap_plan`). Nothing
else skips offsets.
"""

import uuid
from datetime import UTC, datetime

from lakehouse.contracts.model import StreamContract
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.lake.bronze import commit_plan
from lakehouse.lake.decisions import current_user
from lakehouse.lake.events import Fact, write_facts
from lakehouse.lake.guards.conflicts import again_after_conflict
from lakehouse.lake.guards.durable import settle
from lakehouse.lake.guards.identity import require_lake
from lakehouse.lake.ledger import last_plan
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.plan import Plan
from lakehouse.lake.planner import gap_plan
from lakehouse.settings import Settings


def find_gap(contract: StreamContract, settings: Settings, *, why: str = "") -> Plan | None:
    """The batch that would record what the stream can never read; None when every resume point can be read.

    Raises:
        TopicTruncatedError, PartitionsMissingError: not a gap; see their runbooks.
        BrokerUnreachableError, TopicMissingError: the broker could not be asked.
    """
    state = read_topic_state(settings, contract.topic.name)
    known = last_plan(LakePaths.of(settings).bronze(contract.name))
    return gap_plan(
        contract.name,
        known[0] if known else None,
        state,
        who=current_user(),
        why=why,
        at=datetime.now(UTC),
        writer=uuid.uuid4().hex,
    )


@again_after_conflict
def accept_gap(contract: StreamContract, settings: Settings, why: str) -> Plan | None:
    """Record the stream's gap with who, when and why; None, and nothing written, when there is none.

    Raises as `find_gap`.
    """
    require_lake(settings)
    plan = find_gap(contract, settings, why=why)
    if plan is None or plan.gap is None:
        return None
    path = LakePaths.of(settings).bronze(contract.name)
    settle(path, commit_plan(plan, None, settings), settings)
    details = plan.gap.to_dict()
    write_facts(LakePaths.of(settings), [Fact(contract.name, "bronze", "gap", batch=plan.batch, details=details)])
    return plan
