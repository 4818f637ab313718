"""Under which conditions a result was measured. Here: reading the machine and versions. Not here: measuring."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from lakehouse.settings import PROJECT_ROOT

_PACKAGES = ("pyspark", "deltalake", "dagster", "confluent-kafka")


def conditions() -> dict[str, Any]:
    """Machine, versions, revision and the load before the run."""
    return {
        "at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "revision": _revision(),
        "cores": len(os.sched_getaffinity(0)),
        "cpu": _cpu(),
        "memory_gb": psutil.virtual_memory().total / 2**30,
        "load_before": os.getloadavg()[0],
        "system": f"{platform.system()} {platform.release()}",
        "versions": {"Python": platform.python_version(), **_jar_versions(), **{p: version(p) for p in _PACKAGES}},
    }


def _jar_versions() -> dict[str, str]:
    """Versions of the jars that decide the figures, out of the lock file."""
    wanted = {"io.delta:delta-spark_4.0_2.13": "Delta", "org.apache.kafka:kafka_2.13": "Kafka broker"}
    found = {}
    for line in (PROJECT_ROOT / "infra" / "jars.lock").read_text(encoding="utf-8").splitlines():
        for coordinate, name in wanted.items():
            if coordinate + ":" in line:
                found[name] = line.split(coordinate + ":")[1].split()[0]
    return found


def _revision() -> str:
    """The checkout's revision; with a + when files of the project differ from it."""
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", "lakehouse", "benchmarks", "infra")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+" if changed else "")


def _git(*arguments: str) -> str:
    answer = subprocess.run(["git", *arguments], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    return answer.stdout.strip()


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
