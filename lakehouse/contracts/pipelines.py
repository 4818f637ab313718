"""From `defs/batch/*/defs.yaml` to checked pipelines: one to a file, or many short ones in one file.

Here: finding and reading the files, what they may not share. Not here: what a pipeline may say
(`contracts.pipeline`), explaining mistakes (`contracts.load`).
"""

from datetime import date
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, model_validator

from lakehouse.contracts.load import parse_attributes, read_text, read_yaml
from lakehouse.contracts.pipeline import Cron, ExtractStep, LoadStep, PipelineContract, Strict, TransformStep
from lakehouse.contracts.sql import query_problem
from lakehouse.contracts.types import Name
from lakehouse.errors import ContractError, UsageError, nearest

BATCH_FOLDER = Path(__file__).resolve().parents[1] / "defs" / "batch"
PIPELINE_TYPE = "lakehouse.components.PipelineComponent"
PIPELINES_TYPE = "lakehouse.components.EtlPipelinesComponent"
GENERATED_TAGS = ["etl", "auto-generated"]


class EtlEntry(Strict):
    """A short pipeline: rows of a stream's silver, changed by queries, into a table of its own, day by day.

    `source` is a stream, `time` the column of its silver that says the day. Each query of `transformations` reads
    `input`: the source's rows of the day, then the result of the query before.
    """

    source: Name
    destination: Name
    time: Name
    schedule: Cron = "@daily"
    transformations: list[str] = Field(default_factory=list)
    owners: list[str] = Field(["team:data-engineering"], min_length=1)
    description: str = ""

    @model_validator(mode="after")
    def _queries(self) -> "EtlEntry":
        problems = [
            f"transformations.{i}: {problem}"
            for i, text in enumerate(self.transformations)
            if (problem := query_problem(text)) is not None
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def pipeline(self) -> PipelineContract:
        """The pipeline that this entry stands for, named `etl_<source>_<destination>`."""
        transforms: list[TransformStep] = []
        before = "input"
        for number, text in enumerate(self.transformations, start=1):
            name = f"step_{number}"
            # The query reads `input`; after the first one that is the step before.
            chained = f"WITH input AS (SELECT * FROM {before}) SELECT * FROM ({text})"  # noqa: S608 - a query of ours
            said = f"Transformation {number} of {len(self.transformations)}."
            transforms.append(TransformStep(name=name, description=said, sql=text if before == "input" else chained))
            before = name
        description = self.description or f"{self.source} to {self.destination}, day by day."
        return PipelineContract(
            name=f"etl_{self.source}_{self.destination}",
            description=description,
            owners=self.owners,
            tags=GENERATED_TAGS,
            schedule=self.schedule,
            start=date(2024, 1, 1),
            catchup=False,
            extract=[
                ExtractStep(
                    name="input",
                    description=f"Rows of silver.{self.source} of the day.",
                    table=f"silver.{self.source}",
                    time=self.time,
                )
            ],
            transform=transforms,
            load=[LoadStep(name=self.destination, description=description, input=before)],
        )


class EtlPipelines(Strict):
    """Many short pipelines in one file."""

    pipelines: list[EtlEntry] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> "EtlPipelines":
        names = [f"etl_{entry.source}_{entry.destination}" for entry in self.pipelines]
        problems = [
            f"pipelines.{i}.destination: {name} is there already" for i, name in enumerate(names) if name in names[:i]
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return self


def load_pipelines(folder: Path = BATCH_FOLDER) -> dict[str, PipelineContract]:
    """All pipelines by name, in alphabetical order.

    Raises:
        ContractError: for the first file that is wrong, or when two share a name, or one waits for none.
    """
    found: dict[str, PipelineContract] = {}
    for path in sorted(folder.glob("*/defs.yaml")):
        for contract in load_pipeline_file(path):
            if contract.name in found:
                raise ContractError(
                    f"{path}: pipeline name {contract.name!r} is used twice.", fix="Give one of them another name."
                )
            found[contract.name] = contract
    for contract in found.values():
        problem = _wait_problem(contract, found)
        if problem is not None:
            raise ContractError(f"Pipeline {contract.name}: wait_for: {problem}.")
    return dict(sorted(found.items()))


def load_pipeline(name: str, folder: Path = BATCH_FOLDER) -> PipelineContract:
    """The pipeline of that name.

    Raises:
        UsageError: when there is none; names the nearest.
        ContractError: when a file is wrong.
    """
    known = load_pipelines(folder)
    if name in known:
        return known[name]
    hint = nearest(name, known, f"Known pipelines: {', '.join(known) or 'none'}.")
    raise UsageError(f"There is no pipeline {name!r}.", fix=hint)


def load_pipeline_file(path: Path) -> list[PipelineContract]:
    """The pipelines of one file; none when it is of another component type.

    Raises:
        ContractError: naming file, line, field and what is allowed.
    """
    text = read_text(path)
    kind = _type_of(text)
    if kind == PIPELINES_TYPE:
        return [entry.pipeline() for entry in parse_attributes(text, path, kind, EtlPipelines).pipelines]
    return [parse_attributes(text, path, PIPELINE_TYPE, PipelineContract)]


def _type_of(text: str) -> Any:
    try:
        _, document = read_yaml(text)
    except yaml.YAMLError:
        # Explained, with the line, by whoever parses it for good.
        return None
    return document.get("type") if isinstance(document, dict) else None


def _wait_problem(contract: PipelineContract, known: dict[str, PipelineContract]) -> str | None:
    wait = contract.wait_for
    if wait is None:
        return None
    other = known.get(wait.pipeline)
    if other is None:
        return f"there is no pipeline {wait.pipeline!r}; known: {', '.join(known)}"
    if wait.step not in [step.name for _, step in other.steps()]:
        return f"{wait.pipeline} has no step {wait.step!r}; it has {', '.join(s.name for _, s in other.steps())}"
    if other.cadence != contract.cadence:
        return f"{wait.pipeline} is {other.cadence}, this one {contract.cadence}; windows must be the same"
    return None
