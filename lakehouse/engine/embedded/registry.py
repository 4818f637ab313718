"""The embedded schema registry (Apicurio), which speaks Confluent's protocol; bound to 127.0.0.1.

Here: fetching and unpacking it, its command line, its health question, its one rule. Not here: watching the process
(supervisor), subjects and schemas (`contracts.registry`).
"""

import json
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lakehouse.engine.embedded import jars
from lakehouse.engine.embedded.java import Java
from lakehouse.engine.embedded.ports import LOOPBACK
from lakehouse.engine.embedded.service import ServiceSpec
from lakehouse.errors import SetupError
from lakehouse.settings import PROJECT_ROOT, Settings

NAME = "registry"
TITLE = "Schema registry (Apicurio 3.3)"
PREFERRED_PORT = 8081
LOCK_FILE = PROJECT_ROOT / "infra" / "registry" / "archive.lock"
COMPATIBILITY = "BACKWARD"
_MEMORY = "256m"
_TIMEOUT_SECONDS = 60


def prepare(settings: Settings, java: Java, port: int, management_port: int) -> ServiceSpec:
    """The service; `fetch` must have been called. Ids and schemas live beside Kafka's logs and are deleted with them.

    With another life than the topics' they would start at 1 again, and old messages would be read by wrong schemas.
    """
    home = settings.home / "kafka" / NAME
    home.mkdir(parents=True, exist_ok=True)
    log = settings.home / "logs" / "registry.log"
    options = {
        "quarkus.http.host": LOOPBACK,
        "quarkus.http.port": str(port),
        # Left alone it would listen on every interface of the machine, port 9000.
        "quarkus.management.host": LOOPBACK,
        "quarkus.management.port": str(management_port),
        "quarkus.http.access-log.enabled": "false",
        "apicurio.storage.sql.kind": "h2",
        "apicurio.datasource.url": f"jdbc:h2:file:{home / 'schemas'}",
    }
    return ServiceSpec(
        name=NAME,
        title=TITLE,
        command=[
            str(java.path),
            f"-Xmx{_MEMORY}",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            *settings.java_options.split(),
            *(f"-D{key}={value}" for key, value in options.items()),
            "-jar",
            "quarkus-run.jar",
        ],
        cwd=str(folder(settings.cache_dir)),
        port=port,
        url=f"http://{LOOPBACK}:{port}/apis/ccompat/v7",
        log=str(log),
        output=str(log),
        endpoint="SCHEMA_REGISTRY_URL",
        stop_seconds=15,
    )


def archive() -> jars.Jar:
    """The locked archive."""
    return jars.read_lock(LOCK_FILE)[NAME][0]


def folder(cache_dir: Path) -> Path:
    """Where the unpacked registry lies; its name changes with the lock."""
    return cache_dir / NAME / f"{archive().coordinate.rpartition(':')[2]}-{archive().sha256[:12]}"


def fetch(cache_dir: Path, on_bytes: Callable[[int, int], None] | None = None) -> bool:
    """Download, check and unpack the archive unless it is there; return whether it was downloaded.

    The folder appears by rename after everything else, so that an interrupted download leaves nothing behind.

    Raises:
        SetupError: no network, no room, or a hash that differs from the lock.
    """
    target = folder(cache_dir)
    if target.is_dir():
        return False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=target.parent) as scratch:
            file = _download(archive(), Path(scratch), on_bytes)
            jars.check_hash(file, archive())
            unpacked = Path(scratch) / "unpacked"
            with tarfile.open(file) as tar:
                tar.extractall(unpacked, filter="data")
            _move(unpacked, target)
    except OSError as error:
        raise SetupError(
            f"The schema registry could not be put into {target.parent}: {error.strerror or error}.",
            why="It needs about 350 MB there while it is unpacked.",
            fix="Free some space, or set LAKEHOUSE_CACHE to a folder on another disk.",
        ) from error
    return True


def ask(url: str, timeout_seconds: float) -> bool:
    """Does the registry answer a request for its subjects?"""
    try:
        _request(f"{url}/subjects", timeout_seconds)
    except (urllib.error.URLError, OSError, ValueError):
        return False
    return True


def require_backward(url: str) -> None:
    """Set the rule by which it accepts new versions, and ask for it: as delivered it accepts anything.

    Raises:
        SetupError: it does not keep the rule.
    """
    try:
        _request(f"{url}/config", _TIMEOUT_SECONDS, {"compatibility": COMPATIBILITY})
        answer = _request(f"{url}/config", _TIMEOUT_SECONDS)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise SetupError(
            f"{TITLE} does not take its compatibility rule.", why=str(error), fix="lakehouse up"
        ) from error
    level = answer.get("compatibilityLevel") if isinstance(answer, dict) else None
    if level != COMPATIBILITY:
        raise SetupError(f"{TITLE} has compatibility {level}, not {COMPATIBILITY}.", fix="lakehouse down; lakehouse up")


def _request(url: str, timeout_seconds: float, body: dict[str, str] | None = None) -> object:
    request = urllib.request.Request(  # noqa: S310 - our own http address
        url,
        data=None if body is None else json.dumps(body).encode(),
        method="GET" if body is None else "PUT",
        headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
    )
    with urllib.request.urlopen(request, timeout=timeout_seconds) as answer:  # noqa: S310 - our own http address
        return json.load(answer)


def _download(locked: jars.Jar, scratch: Path, on_bytes: Callable[[int, int], None] | None) -> Path:
    import requests
    from jgo.maven import MavenContext, PythonResolver

    done = 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        if on_bytes is not None:
            on_bytes(min(done, locked.size), locked.size)

    @contextmanager
    def progress(_name: str, _size: int) -> Iterator[Callable[[int], None]]:
        yield count

    resolver = PythonResolver(progress_callback=progress)
    context = MavenContext(resolver=resolver, repo_cache=scratch, local_repos=[], timeout=_TIMEOUT_SECONDS)
    group, artifact, version = locked.coordinate.split(":")
    try:
        component = context.project(group, artifact).at_version(version)
        return Path(component.artifact(classifier="all", packaging="tar.gz").resolve())
    except (requests.RequestException, RuntimeError) as error:
        raise SetupError(
            f"{locked.coordinate} could not be downloaded.",
            why=f"{type(error).__name__}: {str(error)[:200]}",
            fix="Check the network and proxy settings (HTTPS_PROXY, REQUESTS_CA_BUNDLE), then the same command again.",
        ) from error


def _move(unpacked: Path, target: Path) -> None:
    """Rename into place; when another process was faster, its folder is as good."""
    try:
        unpacked.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        shutil.rmtree(unpacked)
