"""Why something will not start on this machine: one function per thing that must be true.

Here: checks of the machine and the installation, each with its fix. Not here: whether services are well now
(`lakehouse health`).
"""

import importlib.metadata
import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from lakehouse.engine.embedded import jars, ports, spark
from lakehouse.engine.embedded.duck import EXTENSIONS
from lakehouse.engine.embedded.java import find_java
from lakehouse.engine.embedded.preparation import MIN_FREE_BYTES, check_folder
from lakehouse.engine.embedded.stack import status
from lakehouse.engine.embedded.state import StackFiles
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT, Settings

OK, WARN, FAIL = "ok", "warn", "fail"
LOCK_FILE = PROJECT_ROOT / "requirements.lock"
COMFORTABLE_FREE_BYTES = 5 * 1024**3
OVERHEAD_BYTES = 1024**3
CLOCK_TOLERANCE_SECONDS = 120


@dataclass(frozen=True)
class Check:
    """The outcome of one check: ok, warn (works, but) or fail; `fix` says what to do."""

    name: str
    status: str
    detail: str
    fix: str = ""


def examine(settings: Settings) -> list[Check]:
    """Run every check; none of them starts or changes a service."""
    checks: list[Callable[[Settings], Check]] = [
        check_python,
        check_packages,
        check_java,
        check_jars,
        check_duckdb,
        check_state_folder,
        check_disk,
        check_memory,
        check_stack,
        check_clock,
    ]
    return [*(check(settings) for check in checks), *_check_ports(settings)]


def check_python(_: Settings) -> Check:
    """3.11 or 3.12 runs this command."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if (3, 11) <= sys.version_info[:2] <= (3, 12):
        return Check("python", OK, f"{version} at {sys.executable}")
    return Check("python", FAIL, f"{version} is not supported", "Use 3.11 or 3.12: make PYTHON=python3.11 setup")


def check_packages(_: Settings) -> Check:
    """The installed packages are the locked ones."""
    if not LOCK_FILE.is_file():
        return Check("packages", WARN, f"{LOCK_FILE.name} is not here, so versions were not compared")
    wanted = locked_packages(LOCK_FILE.read_text(encoding="utf-8"))
    drift = []
    for name, version in wanted.items():
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            drift.append(f"{name} {version} is missing")
            continue
        if installed != version:
            drift.append(f"{name} is {installed}, not {version}")
    if drift:
        shown = "; ".join(drift[:3]) + (f"; {len(drift) - 3} more" if len(drift) > 3 else "")
        return Check(
            "packages", FAIL, shown, "make setup (if it says nothing to do: rm .venv/.lakehouse-installed first)"
        )
    return Check("packages", OK, f"{len(wanted)} packages as locked")


def locked_packages(text: str) -> dict[str, str]:
    """Name to version for the entries of a lock file that apply to this machine."""
    from packaging.requirements import Requirement

    found = {}
    for line in text.splitlines():
        if not line or line[0] in "# ":
            continue
        requirement = Requirement(line.rstrip(" \\"))
        if requirement.marker is None or requirement.marker.evaluate():
            found[requirement.name] = next(iter(requirement.specifier)).version
    return found


def check_java(settings: Settings) -> Check:
    """Java 17 or 21 starts."""
    try:
        java = find_java(settings)
    except LakehouseError as error:
        return Check("java", FAIL, error.problem, error.fix)
    return Check("java", OK, f"{java.version} ({java.source})")


def check_jars(settings: Settings) -> Check:
    """Every locked jar is in the cache, with the locked hash."""
    try:
        lock = jars.read_lock()
    except LakehouseError as error:
        return Check("jars", FAIL, error.problem, error.fix)
    wrong = jars.damaged(settings.cache_dir)
    if wrong:
        folder = jars.jar_folder(settings.cache_dir)
        return Check(
            "jars", FAIL, f"not the locked SHA-256: {', '.join(wrong)}", f"Delete them from {folder}; lakehouse setup"
        )
    every = {jar for group in lock.values() for jar in group}
    missing = [jar for jar in every if not jars.is_cached(settings.cache_dir, jar)]
    if missing:
        size = sum(jar.size for jar in missing) / 1e6
        return Check("jars", WARN, f"{len(missing)} of {len(every)} not fetched yet ({size:.0f} MB)", "lakehouse setup")
    return Check("jars", OK, f"{len(every)} jars with the locked SHA-256")


def check_duckdb(_: Settings) -> Check:
    """DuckDB loads its extensions without a download."""
    import duckdb

    try:
        with duckdb.connect() as connection:
            for name in EXTENSIONS:
                connection.load_extension(name)
    except duckdb.Error as error:
        return Check("duckdb", FAIL, str(error).splitlines()[0], "lakehouse setup")
    return Check("duckdb", OK, f"{duckdb.__version__} with {', '.join(EXTENSIONS)}")


def check_state_folder(settings: Settings) -> Check:
    """The state folder can be written and has room."""
    try:
        check_folder(settings.home)
    except LakehouseError as error:
        return Check("state folder", FAIL, error.problem, error.fix)
    return Check("state folder", OK, str(settings.home))


def check_disk(settings: Settings) -> Check:
    """Enough space is free where the state folder lies."""
    place = next(folder for folder in (settings.home, *settings.home.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    detail = f"{free / 1e9:.1f} GB free at {place}"
    fix = "Free some space, or set LAKEHOUSE_HOME to another disk."
    if free < MIN_FREE_BYTES:
        return Check("disk", FAIL, detail, fix)
    return Check("disk", OK, detail) if free >= COMFORTABLE_FREE_BYTES else Check("disk", WARN, detail, fix)


def check_memory(settings: Settings) -> Check:
    """The heaps fit into what is available, unless the stack holds them already."""
    need = heap_bytes(spark.heap(settings)) + heap_bytes(settings.kafka_memory) + OVERHEAD_BYTES
    available = psutil.virtual_memory().available
    detail = f"{available / 1e9:.1f} GB available, the stack uses up to {need / 1e9:.1f} GB"
    if available >= need or any(entry.pid for entry in status(settings)):
        return Check("memory", OK, detail)
    return Check("memory", WARN, detail, "Close something, or set LAKEHOUSE_SPARK_MEMORY=1g.")


def heap_bytes(size: str) -> int:
    """Bytes of a Java size such as 384m or 2g."""
    return int(size[:-1]) * (1024**2 if size.endswith("m") else 1024**3)


def _check_ports(settings: Settings) -> list[Check]:
    return [
        check_port(settings, "kafka", settings.kafka_port, "LAKEHOUSE_KAFKA_PORT"),
        check_port(settings, "spark", settings.spark_port, "LAKEHOUSE_SPARK_PORT"),
        check_port(settings, "dagster-webserver", settings.dagster_port, "LAKEHOUSE_DAGSTER_PORT"),
    ]


def check_port(settings: Settings, service: str, port: int, variable: str) -> Check:
    """The preferred port is free or ours."""
    name = f"port {port}"
    if ports.is_free(port):
        return Check(name, OK, f"free for {service}")
    if any(entry.port == port and entry.pid for entry in status(settings)):
        return Check(name, OK, f"held by our {service}")
    detail = f"held by {ports.holder(port)}; `up` will choose the next free one for {service}"
    return Check(name, WARN, detail, f"To choose it yourself: {variable}=<port>")


def check_stack(settings: Settings) -> Check:
    """What is written down about a running stack is true."""
    files = StackFiles(settings.home)
    try:
        known = files.recorded()
        supervised = files.supervisor() is not None
    except (json.JSONDecodeError, KeyError, OSError) as error:
        return Check("stack", FAIL, f"{files.services} cannot be read: {error}", "Delete it, then: lakehouse up")
    alive = [name for name, identity in known.items() if identity.is_alive()]
    if supervised:
        return Check("stack", OK, f"up: {', '.join(alive)}")
    if alive:
        return Check("stack", FAIL, f"{', '.join(alive)} run without a supervisor", "lakehouse up takes them over")
    if known:
        return Check("stack", WARN, "the last stack ended without `down`", "lakehouse up (or: lakehouse down)")
    return Check("stack", OK, "not running; lakehouse up starts it")


def check_clock(settings: Settings) -> Check:
    """The clock is not behind files that exist already: event times and retention depend on it."""
    candidates = [LOCK_FILE, jars.LOCK_FILE, Path(__file__), StackFiles(settings.home).services]
    newest = max(path.stat().st_mtime for path in candidates if path.is_file())
    behind = newest - time.time()
    if behind > CLOCK_TOLERANCE_SECONDS:
        return Check("clock", FAIL, f"{behind / 60:.0f} min behind files of this project", "Set the clock (NTP).")
    return Check("clock", OK, time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()))
