"""Where each table of a lake lives. Here: addresses only. Not here: reading or writing."""

from dataclasses import dataclass, replace
from pathlib import Path

from lakehouse.errors import SetupError
from lakehouse.settings import Settings

# Ends a name in SQL; read as another character by Delta's readers; wildcards of Hadoop's paths.
_UNFIT = "`%*?[]{}\\"
_FIRST_PRINTABLE = 32


@dataclass(frozen=True)
class LakePaths:
    """Addresses of the tables under one root (a folder, absolute).

    `rebuilt` moves silver and quarantine, not bronze, to the second pair that a replay fills beside the live one.
    """

    root: str
    rebuilt: bool = False

    @classmethod
    def of(cls, settings: Settings) -> "LakePaths":
        """The paths of the lake that the settings point at.

        Raises:
            SetupError: the root has characters that no table can live with.
        """
        root = str(Path(settings.lake_root).expanduser().absolute())
        unfit = sorted({char for char in root if char in _UNFIT or ord(char) < _FIRST_PRINTABLE})
        if unfit:
            raise SetupError(
                f"The lake cannot live in {root!r}: it has {', '.join(map(repr, unfit))} in it.",
                why="The address stands in SQL and in the names of files of the Delta log.",
                fix="Set LAKEHOUSE_ROOT to a folder without such characters.",
            )
        return cls(root)

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

    def batch(self, pipeline: str, step: str) -> str:
        """Rows of one step of a batch pipeline."""
        return f"{self.root}/batch/{pipeline}/{step}"

    def speed(self, table: str) -> str:
        """Results of the speed layer: windows and sessions."""
        return f"{self.root}/speed/{table}"

    def batch_view(self, name: str) -> str:
        """Results of the batch layer, partitioned by date: `batch-views/<name>/date=<date>/…`."""
        return f"{self.root}/batch-views/{name}"

    def bucketed(self, table: str) -> Path:
        """A bucketed table, as Parquet: `bucketed/<table>/run=<n>/…`, and how Spark is told of the newest."""
        return Path(self.root) / "bucketed" / table

    def archive(self, layer: str, stream: str) -> str:
        """Rows that retention deleted, as Parquet: `run=<n>/arrival_date=<date>/…`."""
        return f"{self.root}/archive/{layer}/{stream}"

    def restored(self, layer: str, stream: str) -> str:
        """Archived rows that somebody wants to look at again; nothing is proved by them, and nothing reads them."""
        return f"{self.root}/restored/{layer}_{stream}"

    def gold_files(self, table: str) -> Path:
        """A table of gold as Parquet files, one folder per event date: `gold/<table>/event_date=<date>/…`."""
        return Path(self.root) / "gold" / table

    def staging(self, table: str) -> Path:
        """Files of a bulk load on their way to a warehouse, a folder per load: `staging/<table>/<load>/…`."""
        return Path(self.root) / "staging" / table

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
    def schemas(self) -> str:
        """The schemas by which Avro records were written."""
        return f"{self.root}/ops/schemas"

    @property
    def quality_results(self) -> str:
        """Results of every check: validations, Dagster's asset checks, dbt tests."""
        return f"{self.root}/quality/results"

    @property
    def quality_statistics(self) -> str:
        """Figures per stream and hour, from which anomaly checks learn what is usual."""
        return f"{self.root}/quality/statistics"

    @property
    def reports(self) -> Path:
        """Dated quality reports and exports, as files for people."""
        return Path(self.root) / "reports"

    @property
    def audit(self) -> str:
        """What users and the system did, out of Dagster's event log."""
        return f"{self.root}/ops/audit"

    @property
    def identity(self) -> Path:
        """The file that carries the lake's id."""
        return Path(self.root) / "_lakehouse.json"


def table_exists(path: str) -> bool:
    """Whether a Delta table was ever committed at this path."""
    log = Path(path) / "_delta_log"
    return log.is_dir() and any(log.glob("*.json"))
