"""A person decides that rejected records stay out for good. Here: writing the decision. Not here: its effect.

A discarded record keeps its row in quarantine, where `verify` wants it, and no replay, drain or backfill takes it to
silver, whatever the contract says later (`lake.decisions.judge_as_decided`).
"""

from collections.abc import Iterable
from typing import NamedTuple

from lakehouse.contracts.model import StreamContract
from lakehouse.errors import UsageError
from lakehouse.lake.decisions import Decision, current_user, write_decisions
from lakehouse.lake.events import Fact, write_facts
from lakehouse.lake.guards.durable import settled
from lakehouse.lake.guards.identity import require_lake
from lakehouse.lake.guards.locks import exclusive, silver_lock
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.rejects.browse import find_records
from lakehouse.lake.rejects.ids import RecordName
from lakehouse.settings import Settings

_LOCK_SECONDS = 900.0


class Discarded(NamedTuple):
    """Identities that were discarded now, and those that had been before."""

    now: list[str]
    before: list[str]


def discard(contract: StreamContract, settings: Settings, names: Iterable[RecordName], why: str) -> Discarded:
    """Record the decision for each named record that has none yet.

    The lock of silver's writers is held, so that no replay takes the records to silver between the look and the word.

    Raises:
        UsageError: a name means no quarantined record, or several; or no reason is given. Then nothing is written.
    """
    if not why.strip():
        raise UsageError("A decision needs its reason.", fix='Say it: --why "test data of the shop in Boston"')
    require_lake(settings)
    paths = LakePaths.of(settings)
    with exclusive(silver_lock(settings, contract.name), _LOCK_SECONDS):
        found = find_records(contract, paths, names)
        new = [record for record in found if record.decision is None]
        who = current_user()
        made = [Decision(contract.name, r.topic_id, r.partition, r.offset, why.strip(), who) for r in new]
        if made:
            with settled(settings, paths.decisions):
                write_decisions(paths, made)
    if new:
        details = {"records": [record.id for record in new], "who": who, "why": why.strip()}
        write_facts(paths, [Fact(contract.name, "quarantine", "discard", rejected=len(new), details=details)])
    return Discarded([record.id for record in new], [record.id for record in found if record.decision is not None])
