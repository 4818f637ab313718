"""How busy this machine is: processor, memory, disk. Here: measuring, by psutil. Not here: what is too much."""

import socket
from datetime import UTC, datetime
from pathlib import Path

from lakehouse.ops.samples import Sample

CPU_SECONDS = 0.5


def host_name() -> str:
    """The name that this machine's figures carry."""
    return socket.gethostname()


def sample_host(disk: Path, *, now: datetime | None = None, cpu_seconds: float = CPU_SECONDS) -> list[Sample]:
    """Shares in use, 0 to 100.

    Args:
        disk: A path on the disk that matters; its nearest folder that exists is looked at.
        now: Time of the samples (UTC).
        cpu_seconds: How long the processor is watched.
    """
    import psutil

    moment, labels = now or datetime.now(UTC), {"host": host_name()}
    while not disk.exists() and disk != disk.parent:
        disk = disk.parent
    figures = {
        "cpu_percent": psutil.cpu_percent(interval=cpu_seconds),
        "memory_percent": psutil.virtual_memory().percent,
        "disk_percent": psutil.disk_usage(str(disk)).percent,
    }
    return [Sample(metric, float(value), labels, moment) for metric, value in figures.items()]
