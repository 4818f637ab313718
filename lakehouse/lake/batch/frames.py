"""The rows a step works on: out of a source, typed and judged, or read back from the tables of other steps.

Here: DataFrames of one window. Not here: writing them (`lake.batch.tables`), the order of steps (`lake.batch.run`).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.contracts.functions import function_named
from lakehouse.contracts.pipeline import BROKEN_COLUMN, PARTITION_COLUMN, Check, ExtractStep, TransformStep, inputs_of
from lakehouse.contracts.sql import bind
from lakehouse.contracts.window import Window
from lakehouse.errors import SchemaIncompatibleError, SourceMissingError
from lakehouse.lake.batch.topic import through_topic
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.quality.rules import Condition, broken_names, quote
from lakehouse.settings import Settings
from lakehouse.transforms.fields import SPARK_TYPES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_LAYERS = ("bronze", "silver")


class Frames:
    """Access of one step of one window to rows.

    Args:
        pipeline: Name of the pipeline.
        window: The window.
        settings: The lake.
        spark: The session.
    """

    def __init__(self, pipeline: str, window: Window, settings: Settings, spark: "SparkSession") -> None:
        self.window = window
        self._pipeline = pipeline
        self._settings = settings
        self._spark = spark
        self._paths = LakePaths.of(settings)

    def read(self, name: str) -> "DataFrame":
        """Rows of an earlier step of this window, without rejected ones; or, with a dot in the name, a whole table.

        Raises:
            SourceMissingError: when the table is not there.
        """
        if "." in name:
            return self._table(name)
        path = self._paths.batch(self._pipeline, name)
        if not table_exists(path):
            raise SourceMissingError(
                f"Step {name} of pipeline {self._pipeline} has no table yet.",
                fix=f"Run it first: lakehouse backfill {self._pipeline} --from … --to …",
            )
        rows = self._spark.read.format("delta").load(path).where(f"{PARTITION_COLUMN} = {quote(self.window.key)}")
        if BROKEN_COLUMN in rows.columns:
            rows = rows.where(f"{BROKEN_COLUMN} = ''").drop(BROKEN_COLUMN)
        return rows.drop(PARTITION_COLUMN)

    def extract(self, step: ExtractStep) -> "DataFrame":
        """Rows of the window from the step's source; columns of the declared types, and the broken checks' names."""
        if step.table is not None:
            rows = self._table(step.table).where(f"`{step.time}` >= {_moment(self.window.start)}")
            rows = rows.where(f"`{step.time}` < {_moment(self.window.end)}")
            rows = rows.select(*(f"`{name}`" for name in rows.columns if not name.startswith("_")))
            return judged(rows, step.checks)
        texts = self._from_function(step) if step.function is not None else self._from_files(step)
        return judged(*_typed(texts, step))

    def transform(self, step: TransformStep) -> "DataFrame":
        """The step's rows: its query over views of what it reads, or its function."""
        if step.sql is None:
            function = function_named(str(step.function))
            made: DataFrame = function({name: self.read(name) for name in step.inputs}, self.window)
            return made
        tables = {}
        for name in inputs_of(step):
            view = name.replace(".", "__")
            self.read(name).createOrReplaceTempView(view)
            tables[name] = view
        parameters = {
            "partition": quote(self.window.key),
            "start": _moment(self.window.start),
            "end": _moment(self.window.end),
        }
        return self._spark.sql(bind(step.sql, parameters, tables))

    def _table(self, name: str) -> "DataFrame":
        schema, _, table = name.partition(".")
        path = f"{self._paths.root}/{schema}/{table}" if schema in _LAYERS else self._paths.batch(schema, table)
        if not table_exists(path):
            raise SourceMissingError(f"There is no table {name} in this lake yet.", why=f"{path} is not there.")
        rows = self._spark.read.format("delta").load(path)
        return rows.where(f"{BROKEN_COLUMN} = ''").drop(BROKEN_COLUMN) if BROKEN_COLUMN in rows.columns else rows

    def _from_function(self, step: ExtractStep) -> "DataFrame":
        found: Iterable[Mapping[str, Any]] = function_named(str(step.function))(
            self.window, dict(step.options), self._settings
        )
        # As text, cast afterwards: one bad value becomes one rejected row, not a failed run.
        if step.topic is not None:
            texts = ({name: _text(row.get(name)) for name in step.columns} for row in found)
            return through_topic(texts, step, self.window, self._settings, self._spark)
        rows = [[_text(row.get(name)) for name in step.columns] for row in found]
        return self._spark.createDataFrame(rows, ", ".join(f"`{name}` string" for name in step.columns))

    def _from_files(self, step: ExtractStep) -> "DataFrame":
        path = files_of(step, self.window, self._settings)
        if not any(path.parent.glob(path.name)):
            raise SourceMissingError(
                f"{path} is not there: step {step.name} of {self._pipeline} has no file for {self.window.key}."
            )
        # The embedded Spark lists what lies in a folder, not what lies behind a link to one.
        path = path.resolve() if path.exists() else path.parent.resolve() / path.name
        if step.format == "json":
            schema = ", ".join(f"`{name}` string" for name in step.columns)
            return self._spark.read.schema(schema).json(str(path))
        rows = self._spark.read.option("header", True).option("multiLine", True).option("escape", '"').csv(str(path))
        missing = [name for name in step.columns if name not in rows.columns]
        if missing:
            raise SchemaIncompatibleError(
                f"{path} has no column {', '.join(missing)}; it has {', '.join(rows.columns)}.",
                fix=f"Correct the file, or `columns` of step {step.name} of pipeline {self._pipeline}.",
            )
        return rows


def files_of(step: ExtractStep, window: Window, settings: Settings) -> Path:
    """The window's path, which may hold `*`; a relative one lies below `<LAKEHOUSE_HOME>/landing`."""
    values = {
        "partition": window.key,
        "date": window.day.isoformat(),
        "year": f"{window.day:%Y}",
        "month": f"{window.day:%m}",
        "day": f"{window.day:%d}",
    }
    return settings.home / "landing" / str(step.files).format(**values)


def judged(rows: "DataFrame", checks: Iterable[Check], more: Iterable[Condition] = ()) -> "DataFrame":
    """The rows with `_broken`: names of broken `error` conditions, comma-separated, empty when all hold."""
    conditions = [Condition(check.name, f"({check.sql})", "error", "") for check in checks if check.severity == "error"]
    return rows.selectExpr(
        *(f"`{name}`" for name in rows.columns if not name.startswith("_text_")),
        f"{broken_names([*more, *conditions])} AS {BROKEN_COLUMN}",
    )


def _typed(texts: "DataFrame", step: ExtractStep) -> tuple["DataFrame", list[Check], list[Condition]]:
    """Texts cast to the declared types, kept beside them where a cast may fail, and the condition that it did not."""
    casts = {name: SPARK_TYPES.get(kind, kind) for name, kind in step.columns.items()}
    typed = texts.selectExpr(
        *(f"try_cast(`{name}` AS {kind}) AS `{name}`" for name, kind in casts.items()),
        *(f"`{name}` AS `_text_{name}`" for name, kind in casts.items() if kind != "string"),
    )
    conditions = [
        Condition(f"{name}_type", f"(`{name}` IS NOT NULL OR `_text_{name}` IS NULL)", "error", "")
        for name, kind in casts.items()
        if kind != "string"
    ]
    return typed, step.checks, conditions


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _moment(moment: datetime) -> str:
    return f"TIMESTAMP'{moment:%Y-%m-%d %H:%M:%S}+00:00'"
