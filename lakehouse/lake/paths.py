"""Where each table of a lake lives. Here: addresses only. Not here: reading or writing."""

from dataclasses import dataclass, replace
from pathlib import Path

from lakehouse.settings import Settings


@dataclass(frozen=True)
class LakePaths:
    """Addresses of the tables under one root (a folder, absolute).

    `rebuilt` moves silver and quarantine, not bronze, to the second pair that a replay fills beside the live one.
    """

    root: str
    rebuilt: bool = False

    @classmethod
    def of(cls, settings: Settings) -> "LakePaths":
        """The paths of the lake that the settings point at."""
        return cls(str(Path(settings.lake_root).expanduser().absolute()))

    def bronze(self, stream: str) -> str:
        """Raw records as they came from Kafka, append-only."""
        return f"{self.root}/bronze/{stream}"

    def silver(self, stream: str) -> str:
        """Valid, typed, deduplicated rows."""
        return f"{self.root}/replay/{stream}/silver" if self.rebuilt else f"{self.root}/silver/{stream}"

    def quarantine(self, stream: str) -> str:
        """Rejected records with their reasons."""
        return f"{self.root}/replay/{stream}/quarantine" if self.rebuilt else f"{self.root}/quarantine/{stream}"

    def history(self, stream: str) -> str:
        """Every version of every row, of streams that keep a history."""
        return f"{self.root}/history/{stream}"

    def readable(self, table: str) -> str:
        """A table that gold reads: silver by the stream's name, its history as `history/<stream>`."""
        stream = table.removeprefix("history/")
        return self.silver(table) if stream == table else self.history(stream)

    @property
    def beside(self) -> "LakePaths":
        """The same lake with the tables that a replay fills."""
        return replace(self, rebuilt=True)

    @property
    def events(self) -> str:
        """Facts about every micro-batch."""
        return f"{self.root}/ops/events"

    @property
    def decisions(self) -> str:
        """What people decided about rejected records."""
        return f"{self.root}/ops/decisions"

    @property
    def identity(self) -> Path:
        """The file that carries the lake's id."""
        return Path(self.root) / "_lakehouse.json"


def table_exists(path: str) -> bool:
    """Whether a Delta table was ever committed at this path."""
    log = Path(path) / "_delta_log"
    return log.is_dir() and any(log.glob("*.json"))
