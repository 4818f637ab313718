"""Gold: the dbt models as assets, their tests as checks, built and published in one step.

Here: translation of dbt's manifest and the run. Not here: how a build is prepared and published
(`lakehouse.lake.gold.builds`, shared with the command line), when it runs (`automation`).
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import dagster as dg
from packaging.version import Version

from lakehouse.components import LakeResource
from lakehouse.components.failures import typed_failures
from lakehouse.defs.gold.automation import lake_is_new_and_sound
from lakehouse.defs.gold.without_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets
from lakehouse.engine.embedded.manifest import MANIFEST, PROJECT
from lakehouse.errors import SetupError
from lakehouse.lake.gold.build_record import published_columns
from lakehouse.lake.gold.dbt_run import DBT, read_results

POOL = "duckdb"


class GoldTranslator(DagsterDbtTranslator):  # type: ignore[misc]
    """Names, groups and labels of the models; sources keep the keys that `_sources.yml` gives them."""

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """The spec of one model or snapshot."""
        spec: dg.AssetSpec = super().get_asset_spec(manifest, unique_id, project)
        node = {**manifest["nodes"], **manifest["sources"]}[unique_id]
        if node["resource_type"] == "source":
            return spec
        return spec.replace_attributes(
            key=dg.AssetKey(["gold", node["name"]]),
            group_name=self._group(node),
            kinds={"dbt", "duckdb"},
            owners=spec.owners or ["team:data-engineering"],
        )

    @staticmethod
    def _group(node: Mapping[str, Any]) -> str:
        """Marts and snapshots are gold; what only leads there is kept apart."""
        return "gold_staging" if node["fqn"][1] in {"staging", "intermediate"} else "gold"


def require_manifest(path: Path = MANIFEST) -> Path:
    """The parsed dbt project.

    Raises:
        SetupError: when it was never parsed; naming the command that does it.
    """
    if not path.is_file():
        raise SetupError(
            f"{path} is missing, so Dagster does not know the models of gold.",
            why="The dbt project was not parsed yet; parsing at each load would cost every run 10 seconds.",
            fix="lakehouse setup",
        )
    return path


class LeanDbt(DbtCliResource):  # type: ignore[misc]
    """dbt's command as Dagster runs it, without two things that cost a build four CPU-seconds and that we do not use.

    One process to ask dbt for its version, which is locked; and an adapter of our own, for row counts and columns:
    these are read off the published file.
    """

    @cached_property
    def _cli_version(self) -> Version:
        return Version(metadata.version("dbt-core"))

    def _initialize_dbt_core_adapter(self, _args: Sequence[str]) -> None:
        return None


def build_gold_assets(tables: Iterable[dg.AssetKey], manifest: Path) -> dg.AssetsDefinition:
    """All models and snapshots as one step; `tables` are those whose changes and checks decide about a build."""

    def gold(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
        with typed_failures(context), lake.building_gold(whole=not context.is_subset) as build, _environment(build.env):
            if build.left_alone:
                names = ", ".join(build.left_alone)
                context.log.info("Left alone, since nothing that they are made of has changed: %s.", names)
            dbt = LeanDbt(
                project_dir=str(PROJECT),
                profiles_dir=str(PROJECT),
                dbt_executable=sys.executable,
                global_config_flags=list(DBT),
            )
            command = dbt.cli(build.arguments, context=context, target_path=build.state / f"run-{context.run_id[:8]}")
            built: list[dg.Output[Any]] = []
            for event in command.stream():
                if isinstance(event, dg.Output):
                    built.append(event)
                else:
                    yield event
            # A failed model or test has raised by now: nothing half right is published, or called materialised.
            path = build.publish(read_results(command.target_path / "run_results.json"))
            context.log.info("Published %s (%s build).", path, build.plan.mode)
            held = published_columns(path)
            for output in built:
                yield with_schema(output, command.manifest, held)

    decorate = dbt_assets(manifest=manifest, name="gold", dagster_dbt_translator=GoldTranslator(), pool=POOL)
    assets: dg.AssetsDefinition = decorate(gold)
    asks, condition = asking_model(assets), lake_is_new_and_sound(tables)
    return assets.map_asset_specs(
        lambda spec: spec.replace_attributes(automation_condition=condition) if spec.key == asks else spec
    )


def asking_model(assets: dg.AssetsDefinition) -> dg.AssetKey:
    """The model whose condition speaks for all: the first of those that read the lake."""
    return min(key for key in assets.keys if not assets.asset_deps[key] & assets.keys)


def with_schema(
    output: "dg.Output[Any]", manifest: Mapping[str, Any], held: Mapping[str, Mapping[str, str]]
) -> "dg.Output[Any]":
    """A model's output with the columns that its table has in the published file, described as the project does."""
    node = manifest["nodes"][output.metadata["unique_id"].value]
    types = held.get(node["name"])
    if types is None:
        return output
    said = {name: column.get("description") or None for name, column in node["columns"].items()}
    columns = [dg.TableColumn(name, kind, description=said.get(name)) for name, kind in types.items()]
    return output.with_metadata({**output.metadata, "dagster/column_schema": dg.TableSchema(columns=columns)})


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Add variables for the child process that dbt runs in: the resource passes on this process's environment."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
