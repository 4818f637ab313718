"""Running dbt: the command line, its environment, its progress, what it said at the end.

Here: dbt as a child process. Not here: which versions it reads (`lake.gold.build_plan`), publishing
(`lake.gold.builds`).
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lakehouse.engine.embedded.manifest import MANIFEST, PROJECT, is_stale
from lakehouse.engine.storage import storage_error, storage_errors
from lakehouse.errors import GoldBuildError
from lakehouse.lake.gold.build_record import BuildPlan
from lakehouse.lake.gold.lineage import untouched

PARSED = PROJECT / "target" / "partial_parse.msgpack"
"""The project as set-up parsed it. dbt takes it as long as the files, its options and the connection are the same."""
WORK_FILE = "build.duckdb"
"""The file that dbt writes to: the connection of profiles.yml, in the folder that dbt runs in."""
_FOLDER = "LAKEHOUSE_DBT_FOLDER"
DBT = (
    "-P",
    "-c",
    f"import gc, os; gc.disable(); os.chdir(os.environ['{_FOLDER}']); from dbt.cli.main import cli; cli()",
)
"""What Python is told to be dbt: in the folder of the work file, with the project wherever it is."""
Progress = Callable[[int, int, str], None]
_RESULT_EVENTS = {"LogModelResult", "LogTestResult", "LogSnapshotResult", "LogSeedResult", "LogUnitTestResult"}


@dataclass
class DbtResult:
    """What one dbt command did. Tests are named as dbt names them; `failures` and `warnings` say why.

    `ran` has the names of all tests, `warned` of those that warned.
    """

    models: int = 0
    tests_passed: int = 0
    ran: set[str] = field(default_factory=set)
    warned: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    invocation_id: str = ""


def environment(*, lake_root: str, folder: Path, pii_key: str, plan_json: str, warned: bool = False) -> dict[str, str]:
    """The variables that dbt's process and the project read (`DBT`, macros/silver.sql, macros/keys.sql).

    Args:
        lake_root: Where the Delta tables are.
        folder: Where `WORK_FILE` is, or will be.
        pii_key: The secret behind the pseudonyms.
        plan_json: What is read of silver.
        warned: Whether tests of the last build did.
    """
    return {
        "LAKEHOUSE_DBT_LAKE": lake_root,
        _FOLDER: str(folder),
        "LAKEHOUSE_DBT_PII_KEY": pii_key,
        "LAKEHOUSE_DBT_SILVER": plan_json,
        "LAKEHOUSE_DBT_WARNED": "1" if warned else "",
        "DO_NOT_TRACK": "1",
    }


def left_alone(plan: BuildPlan, *, frozen: bool) -> list[str]:
    """The models that a build need not compute, by name.

    Args:
        plan: What the build reads.
        frozen: As in `builds.building`: which models are built is said elsewhere.
    """
    is_for_changes = plan.mode == "incremental" and not frozen
    return untouched(MANIFEST, plan.changed) if is_for_changes and not is_stale(PROJECT, MANIFEST) else []


def build_arguments(plan: BuildPlan, without: Sequence[str]) -> list[str]:
    """The command line of a build of everything but some models."""
    # Unit tests look at the SQL, not at the data; `make test` runs them.
    arguments = ["build", "--exclude-resource-type", "unit_test"]
    if plan.mode == "full":
        arguments += ["--full-refresh"]
    if without:
        # Cautious: a test between a model that is left alone and one that is not does run.
        arguments += ["--exclude", " ".join(without), "--indirect-selection", "cautious"]
    return arguments


def run_dbt(
    arguments: Iterable[str], variables: Mapping[str, str], state: Path, on_progress: Progress | None = None
) -> DbtResult:
    """Run one dbt command to its end in a process of its own, so that its crash is not ours.

    Args:
        arguments: The command and its options, for example `["build"]`.
        variables: Added to the environment.
        state: Folder for dbt's target and logs.
        on_progress: Called with (done, total, node) as nodes end.

    Raises:
        GoldBuildError: when dbt died or could not even start; failed models and tests are in the result instead.
        DiskFullError, SetupError: when what stopped dbt, or a model of it, was the disk.
    """
    target = state / "target"
    results = target / "run_results.json"
    results.unlink(missing_ok=True)
    with storage_errors():
        target.mkdir(parents=True, exist_ok=True)
        if PARSED.is_file() and not (target / PARSED.name).exists():
            # Half a file, after a full disk, is one that dbt passes over and writes anew.
            shutil.copyfile(PARSED, target / PARSED.name)
    command = [
        sys.executable,
        *DBT,
        "--log-format",
        "json",
        "--log-path",
        str(state),
    ]
    command += [
        "--no-version-check",
        "--log-level-file",
        "info",
        *arguments,
        "--project-dir",
        str(PROJECT),
        "--profiles-dir",
        str(PROJECT),
    ]
    command += ["--target-path", str(target)]
    messages: list[str] = []
    with subprocess.Popen(
        command,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - a pipe was asked for
            for line in process.stdout:
                _listen(line, messages, on_progress)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        # Before its results are read: they may be cut off by the same full disk.
        refused = storage_error(OSError("\n".join(messages)))
        if refused is not None:
            raise refused
    if process.returncode not in (0, 1) or (process.returncode == 1 and not results.is_file()):
        raise GoldBuildError(
            f"dbt {next(iter(arguments), '')} ended with code {process.returncode}.",
            why=" ".join(messages[-3:]) or "it said nothing",
            fix=f"Read {state / 'dbt.log'}.",
        )
    return read_results(results) if results.is_file() else DbtResult()


def _listen(line: str, messages: list[str], on_progress: Progress | None) -> None:
    try:
        event: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError:
        messages.append(line.strip())
        return
    info, data = event.get("info", {}), event.get("data", {})
    if info.get("level") == "error" and str(info.get("msg", "")).strip():
        # dbt adds where in its own code an error came from.
        messages.append(str(info["msg"]).partition("Traceback (most recent call last)")[0].strip())
    if on_progress is not None and info.get("name") in _RESULT_EVENTS:
        node = data.get("node_info", {}).get("node_name") or data.get("name") or ""
        on_progress(int(data.get("index") or data.get("num_models") or 0), int(data.get("total") or 0), str(node))


def read_results(path: Path) -> DbtResult:
    """Turn dbt's run_results.json into counts and sentences."""
    document = json.loads(path.read_text(encoding="utf-8"))
    result = DbtResult(invocation_id=str(document["metadata"]["invocation_id"]))
    for node in document["results"]:
        kind, name, status = node["unique_id"].split(".")[0], node["unique_id"].split(".")[2], node["status"]
        what = f"{kind} {name}: {status}"
        if kind == "test":
            result.ran.add(name)
            result.warned |= {name} if status == "warn" else set()
        message = " ".join(str(node.get("message") or "").split())
        if status in {"error", "fail", "runtime error"}:
            result.failures.append(f"{what}: {message}")
        elif status == "warn":
            result.warnings.append(f"{what}: {message}")
        elif status == "pass":
            result.tests_passed += 1
        elif status == "success" and kind in {"model", "snapshot", "seed"}:
            result.models += 1
    return result
