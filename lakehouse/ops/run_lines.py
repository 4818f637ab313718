"""Reading back what runs logged: the lines of one run, found by its id, or by job, partition and attempt.

Here: choosing lines. Not here: writing them (`ops.logs`), printing (`cli.logs`).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lakehouse.errors import UsageError, nearest

Line = dict[str, Any]
LEVELS = ("debug", "info", "warning", "error", "critical")


def lines_of(
    path: Path,
    run: str,
    *,
    step: str | None = None,
    partition: str | None = None,
    attempt: int | None = None,
    level: str = "debug",
) -> list[Line]:
    """The lines of one run, oldest first.

    Args:
        path: The newest log file; older ones beside it end in .1, .2, ….
        run: The first characters of a run's id, or the name of a job.
        step: Only this step, by its name or the end of it: `extract__places` or `places`.
        partition: Of a job: its run for this partition.
        attempt: Of a job: its first, second, … run; the newest by default.
        level: The least level.

    Raises:
        UsageError: no such run or step; names what there is.
    """
    everything = list(_read(path))
    runs: dict[str, Line] = {}
    for line in everything:
        known = runs.setdefault(str(line["run_id"]), {})
        known.update({name: line[name] for name in ("job", "partition") if name in line and name not in known})
    chosen = _choose(runs, run, partition, attempt)
    found = [line for line in everything if line["run_id"] == chosen]
    if step is not None:
        steps = {str(line["step"]) for line in found if "step" in line}
        wanted = {name for name in steps if name == step or name.endswith(f"__{step}")}
        if not wanted:
            hint = nearest(step, steps, f"Its steps: {', '.join(sorted(steps)) or '(none)'}.")
            raise UsageError(f"Run {chosen} has no step {step!r}.", fix=hint)
        found = [line for line in found if line.get("step") in wanted]
    least = LEVELS.index(level)
    return [line for line in found if str(line.get("level", "info")) in LEVELS[least:]]


def last_failure(path: Path) -> Line | None:
    """The newest line that says why a step failed; None when none did."""
    failures = [line for line in _read(path) if line.get("event_type") == "STEP_FAILURE" and line.get("cause")]
    return failures[-1] if failures else None


def _choose(runs: dict[str, Line], run: str, partition: str | None, attempt: int | None) -> str:
    """The id of the run that is meant."""
    of_job = [run_id for run_id, known in runs.items() if known.get("job") == run]
    found = of_job or [run_id for run_id in runs if run_id.startswith(run)]
    if not found:
        jobs = sorted({str(known["job"]) for known in runs.values() if "job" in known})
        hint = nearest(run, jobs, f"Jobs that ran: {', '.join(jobs) or '(none)'}.")
        raise UsageError(f"No run and no job {run!r} is in the logs.", fix=hint)
    if partition is not None:
        known_days = sorted({str(runs[run_id]["partition"]) for run_id in found if "partition" in runs[run_id]})
        found = [run_id for run_id in found if runs[run_id].get("partition") == partition]
        if not found:
            raise UsageError(f"{run} has no run for {partition}.", fix=f"It has: {', '.join(known_days) or '(none)'}.")
    if not of_job and len(found) > 1:
        raise UsageError(f"{len(found)} runs begin with {run!r}.", fix=f"Write more of it: {', '.join(found[:3])}.")
    if attempt is not None and not 1 <= attempt <= len(found):
        raise UsageError(f"{run} has no attempt {attempt}.", fix=f"It ran {len(found)} times.")
    return found[-1 if attempt is None else attempt - 1]


def _read(path: Path) -> Iterator[Line]:
    """Every line that belongs to a run, oldest first; a line that another process is writing is left out."""
    older = sorted(path.parent.glob(f"{path.name}.*"), key=lambda one: int(one.suffix[1:]), reverse=True)
    for file in [*older, path]:
        if not file.is_file():
            continue
        with file.open(encoding="utf-8") as lines:
            for text in lines:
                try:
                    line = json.loads(text)
                except json.JSONDecodeError:
                    continue
                if isinstance(line, dict) and "run_id" in line:
                    yield line
