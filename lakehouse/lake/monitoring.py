"""How each stream stands right now: lag, age of its tables, gold's age. Written as facts, decided about elsewhere.

Here: one look at every stream, without Spark. Not here: whether a service answers (`lakehouse health`), alerts.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from lakehouse.contracts.model import StreamContract
from lakehouse.lake.events import Fact, write_facts
from lakehouse.lake.gold import gold_path
from lakehouse.lake.ledger import last_commit_of
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.lake.progress import backlog
from lakehouse.settings import Settings


@dataclass(frozen=True)
class StreamState:
    """One stream.

    Attributes:
        stream: Its name.
        lag_rows: Offsets that the broker has and bronze has not.
        unmerged_batches: Bronze batches that silver has not.
        bronze_age_seconds: Time since bronze's last batch; None when there is none.
        silver_age_seconds: Time since silver's last batch; None when there is none.
        gold_age_seconds: Time since gold was published; None when it was not.
        is_late: Silver is older than the contract's freshness allows although something waits.
    """

    stream: str
    lag_rows: int
    unmerged_batches: int
    bronze_age_seconds: float | None
    silver_age_seconds: float | None
    gold_age_seconds: float | None
    is_late: bool


def observe(streams: list[StreamContract], settings: Settings) -> list[StreamState]:
    """Look at every stream once and write what was seen to `ops/events`.

    Raises:
        BrokerUnreachableError: no broker answers.
        Stop: a stream cannot be read on; see its runbook.
    """
    now = datetime.now(tz=UTC)
    states = [_observe(contract, settings, now) for contract in streams]
    facts = [
        Fact(state.stream, "ops", "monitoring", lag_rows=state.lag_rows, details=asdict(state), at=now)
        for state in states
    ]
    write_facts(LakePaths.of(settings), facts)
    return states


def _observe(contract: StreamContract, settings: Settings, now: datetime) -> StreamState:
    paths = LakePaths.of(settings)
    waiting = backlog(contract, settings)
    ages = {layer: _age(getattr(paths, layer)(contract.name), layer, now) for layer in ("bronze", "silver")}
    behind = waiting.last_batch - waiting.silver_batch
    silver = ages["silver"]
    allowed = contract.freshness.fail.total_seconds()
    return StreamState(
        stream=contract.name,
        lag_rows=waiting.total,
        unmerged_batches=behind,
        bronze_age_seconds=ages["bronze"],
        silver_age_seconds=silver,
        gold_age_seconds=_file_age(gold_path(settings), now),
        is_late=(waiting.total > 0 or behind > 0) and (silver is None or silver > allowed),
    )


def _age(path: str, kind: str, now: datetime) -> float | None:
    commit = last_commit_of(path, kind) if table_exists(path) else None
    return None if commit is None else round((now - commit.committed_at).total_seconds(), 3)


def _file_age(path: Path, now: datetime) -> float | None:
    return round(now.timestamp() - path.stat().st_mtime, 3) if path.is_file() else None
