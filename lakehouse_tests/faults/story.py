"""What the fault tests share: records with known faults, a drain in its own process, waiting, and the oracle.

Here: helpers. Not here: faults, fixtures.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lakehouse.contracts.model import StreamContract
from lakehouse.lake.bronze import BronzeWriter
from lakehouse.lake.drain import drain
from lakehouse.lake.in_flight import InFlight
from lakehouse.lake.plan import Plan
from lakehouse.lake.reports import BatchReport
from lakehouse.lake.verify import StreamProof, verify
from lakehouse.settings import Settings
from lakehouse_tests.streams import encode, sale

Topic = Callable[[str], str]


def start_worker(
    contract: StreamContract, folder: Path, *, crash_at: str = "", batch_rows: int = 40
) -> "subprocess.Popen[str]":
    """A drain in a process of its own, in small micro-batches."""
    path = folder / "contract.json"
    path.write_text(contract.model_dump_json(), encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "lakehouse.lake.soak.worker", str(path)],
        env={**os.environ, "LAKEHOUSE_CRASH_AT": crash_at, "LAKEHOUSE_MAX_BATCH_ROWS": str(batch_rows)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def some_records(first: int, count: int) -> list[bytes]:
    """Good sales with every tenth broken and every seventh sent twice."""
    values = []
    for number in range(first, first + count):
        value = encode(sale(number, quantity=0)) if number % 10 == 0 else encode(sale(number))
        values += [value] * (2 if number % 7 == 0 else 1)
    return values


def drain_once(contract: StreamContract, settings: Settings) -> list[BatchReport]:
    """Drain what is there; what was committed, batch by batch."""
    reports: list[BatchReport] = []
    drain(contract, settings, budget_seconds=240, idle_seconds=0, report=reports.append)
    return reports


def assert_whole(contract: StreamContract, settings: Settings, sent: int) -> StreamProof:
    """The oracle: after one more drain all `sent` records are there once, and every layer is what it must be."""
    drain_once(contract, settings)
    report = verify(settings, [contract])
    assert report.findings == []
    proof = report.proofs[0]
    assert (proof.bronze, proof.waiting, proof.unmerged) == (sent, 0, 0)
    assert proof.silver + proof.quarantined + proof.repeats == sent
    return proof


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until the condition is true.

    Raises:
        AssertionError: it did not come true in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "condition did not come true"
        time.sleep(0.01)


def append(writer: BronzeWriter, plan: Plan, waiting: int = 0) -> BatchReport:
    """One micro-batch, begun and committed."""
    with InFlight(writer) as batches:
        batches.begin(plan, waiting)
        return batches.commit()


def data_files(table: str) -> set[Path]:
    """Every Parquet file below a table, committed or not."""
    # Unlike a glob, it does not mind folders that go while it looks.
    return {Path(folder) / name for folder, _, names in os.walk(table) for name in names if name.endswith(".parquet")}
