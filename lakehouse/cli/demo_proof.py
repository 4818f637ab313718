"""The proof at the end of the demo, which begins while gold is still being built, and the box that closes it.

Here: when it begins and ends, what is said of it. Not here: the proof itself (`lake.verify`).
"""

import threading
from typing import TYPE_CHECKING, Self

from lakehouse.cli.background import in_background
from lakehouse.cli.console import out
from lakehouse.cli.demo_beside import wait_for_gold
from lakehouse.cli.demo_view import closing_box, rejects_by_reason, totals_by_category
from lakehouse.cli.verify import describe
from lakehouse.contracts.model import StreamContract
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from concurrent.futures import Future

    from lakehouse.lake.verify import VerifyReport


class Proof:
    """From Kafka to gold, of some streams; the first one is told in full. Leaving its block lets the proof end.

    Args:
        settings: Lake, brokers, Spark, gold.
        contracts: The streams.
    """

    def __init__(self, settings: Settings, contracts: list[StreamContract]) -> None:
        self._settings = settings
        self._contracts = contracts
        self._may_look_at_gold = threading.Event()
        self._report: Future[VerifyReport]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._may_look_at_gold.set()

    def begin(self) -> None:
        """Silver has all that it will have: prove the way to it. Building gold leaves most of the machine idle."""
        from lakehouse.lake.verify import verify

        self._report = in_background(
            lambda: verify(self._settings, self._contracts, before_gold=self._may_look_at_gold.wait)
        )

    def conclude(self, *, is_gold_due: bool) -> bool:
        """Wait for the proof that was begun, and say what was found; whether everything holds.

        Args:
            is_gold_due: Events were sent, which gold will have before long.

        Raises:
            LakehouseError: the proof could not be made.
        """
        settings, sales = self._settings, self._contracts[0]
        if is_gold_due:
            wait_for_gold(settings, [sales])
        self._may_look_at_gold.set()
        report = self._report.result()
        out.print(rejects_by_reason(settings, sales), markup=False)
        out.print(totals_by_category(settings), markup=False)
        for each in report.proofs:
            out.print(describe(each), markup=False)
        for finding in report.findings:
            out.print(f"✗ {finding.check}: {finding.problem}", style="red", markup=False)
        if report.ok:
            proof = report.proofs[0]
            total = proof.bronze + proof.unmerged + proof.waiting
            out.print(
                f"{total:,} sent = {proof.silver:,} in silver + {proof.quarantined:,} quarantined with reasons"
                " · 0 lost · 0 twice · exactly-once holds",
                style="bold green",
                markup=False,
            )
        closing_box(settings)
        return report.ok
