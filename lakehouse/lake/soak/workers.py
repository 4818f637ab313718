"""The processes that drain in a soak: starting one, telling a slow one from one that hangs.

Here: processes. Not here: what they do (`soak.worker`), when they die and what that means (`soak.run`).
"""

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from lakehouse.contracts.model import StreamContract
from lakehouse.errors import LakehouseError
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.soak.schedule import Round
from lakehouse.lake.soak.scratch import Scratch
from lakehouse.settings import Settings

_BUDGET_SECONDS = 150.0
_SILENT_SECONDS = 300.0
_LOOK_SECONDS = 1.0


def start_worker(this: Round, contract: Path, place: Scratch, crash_at: str, errors: Path) -> "subprocess.Popen[bytes]":
    """A drain of the stream in the file `contract`; what it says of an error goes to the file `errors`."""
    with errors.open("wb") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "lakehouse.lake.soak.worker", str(contract)],
            env=place.environment()
            | {
                "LAKEHOUSE_CRASH_AT": crash_at,
                "LAKEHOUSE_MAX_BATCH_ROWS": str(this.batch_rows),
                "LAKEHOUSE_DRAIN_BUDGET_SECONDS": str(_BUDGET_SECONDS),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )


def wait_for(
    workers: "list[subprocess.Popen[bytes]]",
    this: Round,
    contract: StreamContract,
    settings: Settings,
    silent_seconds: float = _SILENT_SECONDS,
) -> None:
    """Wait until all have ended. However slow the machine is: who still commits does not hang.

    Raises:
        LakehouseError: none ended and nothing was committed for `silent_seconds`.
    """
    paths = LakePaths.of(settings)
    tables = (paths.bronze(contract.name), paths.silver(contract.name), paths.quarantine(contract.name))
    seen, since = -1, time.monotonic()
    for worker in workers:
        while worker.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                worker.wait(timeout=_LOOK_SECONDS)
            commits = sum(1 for table in tables for _ in (Path(table) / "_delta_log").glob("*.json"))
            if commits > seen:
                seen, since = commits, time.monotonic()
            elif time.monotonic() - since > silent_seconds:
                raise LakehouseError(
                    f"Round {this.number}: a worker neither ended nor committed anything for {silent_seconds:.0f} s.",
                    fix="Replay it with the command above, on a machine with less load if that was the reason.",
                )
