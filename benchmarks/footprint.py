"""What the project costs before it does anything: memory of the stack, seconds until a command or import is there."""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import psutil

from benchmarks.figures import Figure
from benchmarks.workbench import Workbench, environment
from lakehouse.engine.embedded.stack import status

_IMPORT = (
    "import time; a = time.perf_counter(); import dagster; b = time.perf_counter(); "
    "import lakehouse.definitions; print(b - a, time.perf_counter() - b)"
)
_TIMES = 5


def memory(bench: Workbench) -> list[Figure]:
    """Memory of the broker and Spark after the work, and the most that each ever had."""
    now: dict[str, float] = {}
    peak: dict[str, float] = {}
    for service in status(bench.settings):
        now[service.name] = psutil.Process(service.pid).memory_info().rss / 2**20
        peak[service.name] = _peak_mb(service.pid)
    each = ", ".join(f"{name} {mb:,.0f}" for name, mb in now.items())
    peaks = ", ".join(f"{name} {mb:,.0f}" for name, mb in peak.items())
    return [
        Figure(
            "stack_rss_mb",
            "memory of broker and Spark after this run",
            sum(now.values()),
            "MB",
            "lower",
            target=3072,
            note=each,
        ),
        Figure("stack_peak_mb", "the most they ever had", sum(peak.values()), "MB", "lower", note=peaks),
    ]


def start(bench: Workbench) -> list[Figure]:
    """Seconds of imports and commands, medians of five."""
    bench.say("imports and commands")
    imports = [_import_seconds(bench) for _ in range(_TIMES)]
    dagster, ours = (median(column) for column in zip(*imports, strict=True))
    return [
        Figure("up_seconds", "lakehouse up, nothing running (jars there)", bench.start_seconds, "s", "lower"),
        Figure("second_up_seconds", "lakehouse up, all running", _command(bench, "up"), "s", "lower"),
        Figure("help_seconds", "lakehouse --help", _command(bench, "--help"), "s", "lower", target=0.3),
        Figure(
            "definitions_import_seconds",
            "import lakehouse.definitions, on top of import dagster",
            ours,
            "s",
            "lower",
            target=0.5,
            limit=dagster,
            limit_title="import dagster",
        ),
    ]


def _peak_mb(pid: int) -> float:
    """The kernel's high-water mark of a process's memory (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _import_seconds(bench: Workbench) -> tuple[float, float]:
    answer = subprocess.run(
        [sys.executable, "-c", _IMPORT],
        env=environment(bench.settings), capture_output=True, text=True, check=True,
    )  # fmt: skip
    dagster, ours = answer.stdout.split()
    return float(dagster), float(ours)


def _command(bench: Workbench, argument: str) -> float:
    command = [str(Path(sys.executable).parent / "lakehouse"), argument]
    seconds = []
    for _ in range(_TIMES):
        began = time.monotonic()
        subprocess.run(command, env=environment(bench.settings), capture_output=True, check=True)
        seconds.append(time.monotonic() - began)
    return median(seconds)
