"""What a batch pipeline is, as one model: steps, schedule, retries, owners. Read from `defs/batch/*/defs.yaml`.

Here: the shape and the checks that need nothing but the file. Not here: files and line numbers
(`contracts.pipelines`), running a step (`lake.batch`), Dagster (`components.pipeline`).
"""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from lakehouse.contracts.functions import function_problem
from lakehouse.contracts.sql import query_problem, sql_problem, tables_of
from lakehouse.contracts.types import TOPIC_NAME, Duration, FieldType, Name, SqlName
from lakehouse.contracts.window import Cadence

Strategy = Literal["overwrite_partition", "merge"]
Stage = Literal["extract", "transform", "load", "deliver"]
PARTITION_COLUMN = "partition_key"
BROKEN_COLUMN = "_broken"
LARGE_BYTES = 1 << 30
_CRON_FIELD = re.compile(r"^(\*|\d+(-\d+)?)(/\d+)?(,(\*|\d+(-\d+)?)(/\d+)?)*$")
_ALIASES = ("@hourly", "@daily", "@weekly", "@monthly")


def _cron(value: str) -> str:
    fields = value.split()
    if value not in _ALIASES and not (len(fields) == 5 and all(map(_CRON_FIELD.match, fields))):
        raise ValueError(f"{value!r} is no schedule; write five cron fields in UTC, or one of {', '.join(_ALIASES)}")
    return value


def _function(value: str) -> str:
    problem = function_problem(value)
    if problem is not None:
        raise ValueError(problem)
    return value


Cron = Annotated[str, AfterValidator(_cron)]
Function = Annotated[str, AfterValidator(_function)]


class Strict(BaseModel):
    """A part of a YAML file: unknown keys are mistakes, and nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Check(Strict):
    """A condition on every row of a step, as Spark SQL over its columns.

    `warn` counts. `error` blocks: the run ends before the next step when more than `tolerance` (0 to 1) of the rows
    break it. On an extract step rows that break an `error` check carry its name in `_broken`, and no step reads them.
    """

    name: Name
    sql: str = Field(min_length=1)
    severity: Literal["warn", "error"] = "error"
    tolerance: float = Field(default=0.0, ge=0, le=1)
    description: str = ""


class ExtractStep(Strict):
    """Rows of one window from outside. Exactly one of `function`, `table`, `files` says from where.

    `function` is `module:name`, called with (window, options, settings), returning mappings. `table` is a table of the
    lake such as `silver.sales`, limited to the window by its column `time`. `files` is a path in which {partition},
    {date}, {year}, {month} and {day} are replaced, for CSV with a header or JSON, one object per line.
    With `topic` the rows of a function pass through that Kafka topic, keyed by the column `topic_key`. `upstream` names
    the systems outside that a function reads, as the streams declare them: `<stream>/<name>`.
    """

    name: Name
    description: str = ""
    function: Function | None = None
    options: dict[str, Any] = {}
    table: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")
    time: Name | None = None
    files: str | None = None
    format: Literal["csv", "json"] = "csv"
    topic: str | None = Field(default=None, pattern=TOPIC_NAME)
    topic_key: Name | None = None
    upstream: list[str] = []
    columns: dict[Name, FieldType] = {}
    checks: list[Check] = []

    @model_validator(mode="after")
    def _one_source(self) -> "ExtractStep":
        given = [name for name in ("function", "table", "files") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"give one of function, table, files; given: {', '.join(given) or 'none'}")
        if self.table and not self.time:
            raise ValueError("a table needs `time`: the column that says which rows belong to the window")
        if not self.table and not self.columns:
            raise ValueError("needs `columns`: the name and type of each value to take")
        if self.table and self.columns:
            raise ValueError("a table brings its own columns; leave out `columns`")
        if self.topic and not self.function:
            raise ValueError("topic: only the rows of a function pass through a topic")
        if self.topic_key and (not self.topic or self.topic_key not in self.columns):
            raise ValueError(f"topic_key: needs `topic`, and is one of {', '.join(self.columns)}")
        return self


class TransformStep(Strict):
    """Rows made of other steps' rows, without side effects: one `sql` query, or a `function` over `inputs`.

    SQL names the pipeline's steps (their rows of this window) and tables of the lake (`silver.sales`, or
    `<pipeline>.<step>`, whole). `function` is `module:name`, called with ({input: DataFrame}, window).
    """

    name: Name
    description: str = ""
    sql: str | None = None
    function: Function | None = None
    inputs: list[str] = []
    checks: list[Check] = []

    @model_validator(mode="after")
    def _one_way(self) -> "TransformStep":
        if (self.sql is None) == (self.function is None):
            raise ValueError("give either sql or function")
        if self.sql is not None:
            if self.inputs:
                raise ValueError("inputs: a query names its tables itself")
            problem = query_problem(self.sql)
            if problem is not None:
                raise ValueError(f"sql: {problem}")
        elif not self.inputs:
            raise ValueError("a function needs `inputs`")
        return self


class LoadStep(Strict):
    """Where rows stay. `overwrite_partition` replaces the window's rows; `merge` upserts by `key`, last window wins."""

    name: Name
    input: str
    description: str = ""
    strategy: Strategy = "overwrite_partition"
    key: list[str] = []
    checks: list[Check] = []

    @model_validator(mode="after")
    def _keyed(self) -> "LoadStep":
        if self.strategy == "merge" and not self.key:
            raise ValueError("merge needs `key`: the columns that identify a row")
        if self.strategy == "overwrite_partition" and self.key:
            raise ValueError("key: only merge uses it")
        return self


class DeliverStep(Strict):
    """Something outside the tables (a report, a file for a tool): `module:name`, called with one `StepContext`."""

    name: Name
    function: Function
    inputs: list[str] = Field(min_length=1)
    description: str = ""
    options: dict[str, Any] = {}


Step = ExtractStep | TransformStep | LoadStep | DeliverStep


class Retries(Strict):
    """How often a failed step is tried again. `delay` grows with `backoff`."""

    attempts: int = Field(default=3, ge=0, le=10)
    delay: Duration = timedelta(minutes=5)
    backoff: Literal["none", "linear", "exponential"] = "none"
    jitter: bool = False


class Sla(Strict):
    """`ready_by` is a cron (UTC) by which a run must have succeeded within the hours `within` before it."""

    ready_by: Cron | None = None
    within: Duration = timedelta(hours=6)
    max_runtime: Duration | None = None


class WaitFor(Strict):
    """Run a window as soon as another pipeline's last step has it. Longer than `timeout` after its end: an alert."""

    pipeline: Name
    step: Name
    poll: Duration = timedelta(seconds=60)
    timeout: Duration = timedelta(seconds=3600)


class Resources(Strict):
    """What one run may use, in Kubernetes' words. Of `LARGE_BYTES` or more one run at a time is let through."""

    memory: str = Field(default="512Mi", pattern=r"^[1-9]\d*(Mi|Gi)$")
    cpu: str = Field(default="250m", pattern=r"^([1-9]\d*m?|\d+\.\d+)$")

    @property
    def memory_bytes(self) -> int:
        """The memory as a number."""
        return int(self.memory[:-2]) << (20 if self.memory.endswith("Mi") else 30)

    @property
    def is_large(self) -> bool:
        """Whether two such runs at once would be too much for one machine."""
        return self.memory_bytes >= LARGE_BYTES


class PipelineContract(Strict):
    """The whole of one pipeline. See `lakehouse/defs/batch/daily_etl/defs.yaml` for a commented example."""

    name: SqlName
    description: str = Field(min_length=3)
    owners: list[str] = Field(min_length=1)
    tags: list[str] = []
    schedule: Cron | None = None
    partitions: Cadence | None = None
    start: date
    catchup: bool = False
    catchup_windows: int | None = Field(default=None, ge=1, description="Look back at most so many windows")
    max_active_runs: int = Field(default=1, ge=1, le=32)
    parallel_steps: int = Field(default=1, ge=1, le=8)
    switched_on: bool = False
    gate: Function | None = None
    resources: Resources = Resources()
    retries: Retries = Retries()
    sla: Sla = Sla()
    wait_for: WaitFor | None = None
    extract: list[ExtractStep] = Field(min_length=1)
    transform: list[TransformStep] = []
    load: list[LoadStep] = Field(min_length=1)
    deliver: list[DeliverStep] = []

    @property
    def cadence(self) -> Cadence:
        """How long a window is: as said, or as the schedule suggests."""
        if self.partitions is not None:
            return self.partitions
        if self.schedule is None:
            return "daily"
        minute, hour = (*self.schedule.split(), "0")[:2] if self.schedule not in _ALIASES else ("0", "0")
        if self.schedule == "@hourly":
            return "hourly"
        if minute == "*/15":
            return "15min"
        return "hourly" if hour == "*" else "daily"

    def steps(self) -> Iterator[tuple[Stage, Step]]:
        """Every step with its stage, in the order of the file."""
        yield from (("extract", step) for step in self.extract)
        yield from (("transform", step) for step in self.transform)
        yield from (("load", step) for step in self.load)
        yield from (("deliver", step) for step in self.deliver)

    def step(self, name: str) -> tuple[Stage, Step]:
        """The step of that name.

        Raises:
            KeyError: when the pipeline has none.
        """
        for stage, step in self.steps():
            if step.name == name:
                return stage, step
        raise KeyError(name)

    @model_validator(mode="after")
    def _consistent(self) -> "PipelineContract":
        problems = [
            *self._wiring_problems(),
            *self._check_problems(),
        ]
        if self.catchup and self.cadence == "none":
            problems.append("catchup: a pipeline without partitions has nothing to catch up with")
        if self.catchup_windows is not None and not self.catchup:
            problems.append("catchup_windows: counts only with catchup: true")
        if self.wait_for is not None and self.cadence == "none":
            problems.append("wait_for: a pipeline without partitions has no window to wait for")
        if self.wait_for is not None and self.schedule is not None:
            problems.append("wait_for: a pipeline that waits has no schedule; leave `schedule` out")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _wiring_problems(self) -> Iterator[str]:
        known: list[str] = []
        for stage, step in self.steps():
            place = f"{stage}.{[s.name for s in getattr(self, stage)].index(step.name)}"
            if step.name in known:
                yield f"{place}.name: {step.name} is used twice"
            for name in inputs_of(step):
                if "." not in name and name not in known:
                    yield f"{place}: reads {name}, which no earlier step makes; known: {', '.join(known) or 'none'}"
            if not isinstance(step, DeliverStep):
                known.append(step.name)

    def _check_problems(self) -> Iterator[str]:
        for stage, step in self.steps():
            names = list(step.columns) if isinstance(step, ExtractStep) else []
            for i, check in enumerate(getattr(step, "checks", [])):
                problem = sql_problem(check.sql, names or None)
                if problem is not None:
                    yield f"{stage}.{getattr(self, stage).index(step)}.checks.{i}.sql: {problem}"


def inputs_of(step: Step) -> list[str]:
    """What a step reads: names of steps of its pipeline, and tables with a dot."""
    if isinstance(step, ExtractStep):
        return [step.table] if step.table else []
    if isinstance(step, TransformStep):
        return tables_of(step.sql) if step.sql is not None else step.inputs
    return [step.input] if isinstance(step, LoadStep) else step.inputs
