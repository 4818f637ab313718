"""Structured logs: everything that a Dagster run says, as one JSON object a line, with run, asset and partition.

Here: the handler that `infra/dagster/dagster.yaml` names, and its fields. Not here: shipping (docs/monitoring.md).
"""

import logging
import logging.handlers
from pathlib import Path
from typing import Any

from lakehouse.settings import load_settings

MOST_BYTES = 50_000_000
KEPT_FILES = 5
_PARTITION_TAG = "dagster/partition"
_STREAM_TAG = "lakehouse/stream"


def log_path() -> Path:
    """Where runs log to: `<LAKEHOUSE_HOME>/logs/runs.jsonl`."""
    return load_settings().home / "logs" / "runs.jsonl"


class RunLogHandler(logging.handlers.WatchedFileHandler):
    """Appends JSON lines; many processes may do so at once. The file is rotated when a process opens it too large."""

    def __init__(self, filename: str | None = None) -> None:
        path = Path(filename) if filename else log_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        _rotate(path)
        super().__init__(path, mode="a", encoding="utf-8", delay=True)
        self.setFormatter(_formatter())
        self.addFilter(is_worth_keeping)


def is_worth_keeping(record: logging.LogRecord) -> bool:
    """Messages from INFO on; of Dagster's own events, which are of level DEBUG, those about assets and runs."""
    event = (getattr(record, "dagster_meta", None) or {}).get("dagster_event")
    kind = getattr(event, "event_type_value", "")
    return record.levelno >= logging.INFO or kind.startswith(("ASSET_", "PIPELINE_", "STEP_FAILURE"))


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What a record says about run, job, step, asset and partition; nothing for a record outside a run."""
    meta: dict[str, Any] = getattr(record, "dagster_meta", None) or {}
    tags = meta.get("job_tags") or {}
    event = meta.get("dagster_event")
    found = {
        "run_id": meta.get("run_id"),
        "job": meta.get("job_name"),
        "step": meta.get("step_key"),
        "stream": tags.get(_STREAM_TAG),
        "partition": tags.get(_PARTITION_TAG),
        "event_type": getattr(event, "event_type_value", None),
        "cause": _cause(getattr(event, "event_specific_data", None)),
    }
    key = getattr(event, "asset_key", None)
    if key is not None:
        found["asset"] = "/".join(key.path)
        found["partition"] = getattr(event, "partition", None) or found["partition"]
    return {name: value for name, value in found.items() if value is not None}


def _cause(failure: Any) -> str | None:
    """Why a step failed, in one line: what the step said itself, or the error that Dagster has wrapped."""
    own: Any = getattr(failure, "user_failure_data", None)
    if own is not None and own.description:
        return str(own.description)
    error: Any = getattr(failure, "error", None)
    while error is not None and error.cause is not None:
        error = error.cause
    return None if error is None else str(error.message).strip().partition("\n")[0]


def _formatter() -> logging.Formatter:
    import structlog

    def add_fields(_logger: Any, _method: str, line: Any) -> Any:
        record: logging.LogRecord = line["_record"]
        meta = getattr(record, "dagster_meta", None) or {}
        # Dagster's own text has job and run in front; here they are fields.
        said = meta.get("orig_message") or line["event"]
        return {**line, "event": said, "logger": record.name, **fields_of(record)}

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True)],
        processors=[
            add_fields,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )


def _rotate(path: Path) -> None:
    """Move a file that has grown too large aside, oldest out first; a race of two processes moves it once."""
    if not path.is_file() or path.stat().st_size < MOST_BYTES:
        return
    for number in range(KEPT_FILES - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.is_file():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    try:
        path.replace(path.with_name(f"{path.name}.1"))
    except FileNotFoundError:
        return
