"""What the demo shows: a live table while events flow, and the summary at the end. Here: reading and rendering only."""

import shutil
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from rich.live import Live
from rich.panel import Panel
from rich.table import Table

from lakehouse.cli.console import err, out
from lakehouse.contracts.model import StreamContract
from lakehouse.errors import LakehouseError
from lakehouse.lake.gold.builds import gold_path
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.tally import Tally, Totals
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from rich.console import RenderableType

_LINE_SECONDS = 10.0


class Flow:
    """Where the demo's events are, `count` in all. `sent`, `all_sent` and `failure` are set by the sending thread."""

    def __init__(self, contract: StreamContract, settings: Settings, count: int) -> None:
        self.contract = contract
        self.count = count
        self.sent = 0
        self.failure: LakehouseError | None = None
        self.first_commit = threading.Event()
        self.all_sent = threading.Event()
        self._settings = settings
        self._paths = LakePaths.of(settings)
        self._tally = Tally(contract, self._paths)
        self._before = self._tally.update().bronze

    @property
    def totals(self) -> Totals:
        """The stream's totals as of the last update."""
        return self._tally.totals

    def update(self) -> Totals:
        """Read what was committed since."""
        return self._tally.update()

    @property
    def is_started(self) -> bool:
        """A run has committed some of the demo's events."""
        return self.totals.bronze > self._before

    @property
    def is_in_bronze(self) -> bool:
        """Every event sent so far is in bronze."""
        return self.totals.bronze - self._before >= self.sent

    @property
    def is_merged(self) -> bool:
        """Every event sent so far is in silver or quarantine."""
        return self.is_in_bronze and self.totals.silver_read >= self.totals.bronze


class LiveView:
    """A live table in a terminal; elsewhere a plain line every ten seconds."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._live = Live(console=err, refresh_per_second=4, transient=False) if err.is_terminal else None
        self._next_line = 0.0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.show()
        if self._live is not None:
            self._live.stop()

    def show(self) -> None:
        """Draw the current figures."""
        if self._live is not None:
            self._live.update(self._table())
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_SECONDS
            err.print(" · ".join(f"{name} {value}" for name, value in self._cells()), markup=False, soft_wrap=True)

    def _cells(self) -> list[tuple[str, str]]:
        totals = self._flow.totals
        median, high = totals.age(0.5), totals.age(0.95)
        ages = f"{median:.1f} s / {high:.1f} s" if median is not None and high is not None else "-"
        return [
            ("sent", f"{self._flow.sent:,}"),
            ("bronze", f"{totals.bronze:,}"),
            ("silver", f"{totals.valid:,}"),
            ("quarantined", f"{totals.rejected:,}"),
            ("event→bronze p50/p95", ages),
        ]

    def _table(self) -> "RenderableType":
        cells = self._cells()
        table = Table(show_edge=False, pad_edge=False)
        for name, _ in cells:
            table.add_column(name, justify="right")
        table.add_row(*(value for _, value in cells))
        return table


def rejects_by_reason(settings: Settings, contract: StreamContract) -> str:
    """One line: how many records each rule rejected."""
    from lakehouse.engine.duck import delta_connection

    path = LakePaths.of(settings).quarantine(contract.name)
    with delta_connection() as connection:
        rows = connection.execute(
            "select reason, count(*) from (select unnest(reasons) as reason from delta_scan(?))"
            " group by 1 order by 2 desc",
            [path],
        ).fetchall()
    return "rejected by rule: " + (" · ".join(f"{reason} {count:,}" for reason, count in rows) or "nothing")


def totals_by_category(settings: Settings) -> str:
    """One line: gross amount per category, out of gold; says so when gold is not there yet."""
    from lakehouse.engine.duck import duck_connection

    path = gold_path(settings)
    if not path.is_file():
        return "gold: not built yet"
    with duck_connection(path, read_only=True) as connection:
        rows = connection.execute(
            "select category, sum(gross_amount) from sales_daily group by 1 order by 2 desc"
        ).fetchall()
    return "gross by category: " + " · ".join(f"{category} {amount:,.0f}" for category, amount in rows)


def _installed() -> str:
    """How the command is called from here, without the environment's folder on the PATH."""
    command = Path(sys.executable).with_name("lakehouse")
    return str(command.relative_to(Path.cwd()) if command.is_relative_to(Path.cwd()) else command)


def closing_box(settings: Settings) -> None:
    """Where to look and the next three commands."""
    # `make demo` puts nothing on the PATH.
    command = "lakehouse" if shutil.which("lakehouse") else _installed()
    graph = f"{settings.dagster_url}/locations/lakehouse/asset-groups/silver"
    lines = [
        f"Dagster   {graph}",
        f"lake      {settings.lake_root}",
        f"gold      {gold_path(settings)}",
        "",
        f'{command} sql "from sales_daily order by gross_amount desc limit 5"',
        f"{command} streams new --help",
        f"{command} down",
    ]
    if out.is_terminal:
        out.print(Panel("\n".join(lines), title="what next", expand=False), soft_wrap=False)
    else:
        out.print("\n".join(lines), markup=False, soft_wrap=True)
