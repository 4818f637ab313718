"""Java archives of the embedded engines: the lock file, the download, the check of every hash.

Here: reading and writing `infra/jars.lock`, fetching into the user's cache. Not here: class paths and processes.
The lock is made anew by `python -m lakehouse.engine.embedded.jars --lock`, after a version below has changed.
"""

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.errors import SetupError
from lakehouse.settings import PROJECT_ROOT, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK_FILE = PROJECT_ROOT / "infra" / "jars.lock"
DOWNLOAD_THREADS = 6
REQUEST_TIMEOUT_SECONDS = 60

# The whole tree below these is locked.
TRANSITIVE: dict[str, list[str]] = {"kafka": ["org.apache.kafka:kafka_2.13:4.3.0"]}
# Exactly these are locked. Spark's tree is never resolved: its parent names a second repository that does not
# answer, and most of the tree is inside pyspark already. 4.0 is the line for which all of these exist and ran.
FLAT: dict[str, list[str]] = {
    "kafka": ["org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"],
    "spark": [
        "io.delta:delta-spark_4.0_2.13:4.4.0",
        "io.delta:delta-storage:4.4.0",
        "io.delta:delta-kernel-api:4.4.0",
        "io.delta:delta-kernel-defaults:4.4.0",
        "io.delta:delta-kernel-unitycatalog:4.4.0",
        "io.unitycatalog:unitycatalog-client:0.6.0",
        "io.unitycatalog:unitycatalog-hadoop:0.6.0",
        "org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.3",
        "org.apache.spark:spark-token-provider-kafka-0-10_2.13:4.0.0",
        "org.apache.kafka:kafka-clients:3.9.2",
        "org.apache.commons:commons-pool2:2.13.1",
        "org.apache.spark:spark-avro_2.13:4.0.2",
        "com.globalmentor:hadoop-bare-naked-local-fs:0.1.0",
    ],
    # Compiles what Spark gets from us; the Java in the wheel has no compiler.
    "compiler": ["org.eclipse.jdt:ecj:3.45.0"],
}

Progress = Callable[[int, int], None]
"""Called with (bytes so far, bytes in all) from several threads."""


@dataclass(frozen=True)
class Jar:
    """One locked archive; `size` in bytes, `sha256` in hex."""

    coordinate: str
    sha256: str
    size: int

    @property
    def file_name(self) -> str:
        """`<artifact>-<version>.jar`, as Maven names it."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def read_lock(path: Path = LOCK_FILE) -> dict[str, list[Jar]]:
    """Parse the lock file into jars per group.

    Raises:
        SetupError: the file is missing, or a line is not `<group>:<artifact>:<version> sha256:<hex> <bytes>`.
    """
    if not path.is_file():
        raise SetupError(f"{path} is missing.", fix="Restore it from the repository: git checkout infra/jars.lock")
    groups: dict[str, list[Jar]] = {}
    current: list[Jar] | None = None
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        line = raw.partition("#")[0].strip()
        if not line:
            continue
        if line.startswith("[") and line.endswith("]"):
            current = groups.setdefault(line[1:-1], [])
            continue
        if current is None:
            raise SetupError(f"{path}:{number}: a jar stands before the first [group].", fix=_RESTORE)
        current.append(_parse_line(line, f"{path}:{number}"))
    return groups


_RESTORE = "Restore it: git checkout infra/jars.lock"


def _parse_line(line: str, where: str) -> Jar:
    parts = line.split()
    well_formed = (
        len(parts) == 3
        and parts[0].count(":") == 2
        and parts[1].startswith("sha256:")
        and len(parts[1]) == len("sha256:") + 64
        and parts[2].isdigit()
    )
    if not well_formed:
        raise SetupError(f"{where}: {line!r} is not '<group>:<artifact>:<version> sha256:<hex> <bytes>'.", fix=_RESTORE)
    return Jar(parts[0], parts[1].removeprefix("sha256:"), int(parts[2]))


def fetch(cache_dir: Path, on_progress: Progress | None = None, *, lock_file: Path = LOCK_FILE) -> int:
    """Make every jar of a lock present in the cache; return how many were downloaded.

    A jar enters the cache by rename after its hash was checked, so an interrupted download leaves nothing behind
    and two processes may fetch at once.

    Raises:
        SetupError: no network, no such jar, or a hash that differs.
    """
    jars = {jar.file_name: jar for group in read_lock(lock_file).values() for jar in group}
    missing = [jar for jar in jars.values() if not is_cached(cache_dir, jar)]
    if not missing:
        return 0
    folder = jar_folder(cache_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".download-", dir=folder))
    except OSError as error:
        raise SetupError(
            f"The jar cache {folder} cannot be written: {error.strerror}.",
            fix="Set LAKEHOUSE_CACHE to a folder that you may write.",
        ) from error
    counter = _Counter(sum(jar.size for jar in missing), on_progress)
    try:
        with ThreadPoolExecutor(DOWNLOAD_THREADS) as pool:
            list(pool.map(lambda jar: _download(jar, scratch, folder, counter), missing))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return len(missing)


def paths(cache_dir: Path, group: str, *, lock_file: Path = LOCK_FILE) -> list[Path]:
    """The cached files of a group, in lock order; call `fetch` first."""
    return [jar_folder(cache_dir) / jar.file_name for jar in read_lock(lock_file)[group]]


def jar_folder(cache_dir: Path) -> Path:
    """Where jars lie in the cache."""
    return cache_dir / "jars"


def is_cached(cache_dir: Path, jar: Jar) -> bool:
    """Is the jar there with the locked size? Hashes were checked when it entered; `damaged` checks them again."""
    path = jar_folder(cache_dir) / jar.file_name
    return path.is_file() and path.stat().st_size == jar.size


def damaged(cache_dir: Path) -> list[str]:
    """File names of cached jars whose SHA-256 is not the locked one; missing jars are not named."""
    folder = jar_folder(cache_dir)
    jars = [jar for group in read_lock().values() for jar in group]
    present = {jar.file_name: jar for jar in jars if (folder / jar.file_name).is_file()}
    return sorted(name for name, jar in present.items() if sha256_of(folder / name) != jar.sha256)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_hash(path: Path, jar: Jar) -> None:
    """Compare a downloaded file with the lock.

    Raises:
        SetupError: naming the jar and both hashes.
    """
    actual = sha256_of(path)
    if actual != jar.sha256:
        raise SetupError(
            f"{jar.coordinate} was downloaded with SHA-256 {actual}, but the lock says {jar.sha256}.",
            why="The file was damaged or exchanged on the way, or a proxy answered in its place.",
            fix="Run `lakehouse setup` again. If it stays so, ask who runs the proxy; do not change the lock.",
        )


class _Counter:
    """Adds up bytes over all threads and reports them."""

    def __init__(self, total: int, report: Progress | None) -> None:
        self._total = total
        self._done = 0
        self._report = report

    @contextmanager
    def __call__(self, _name: str, _size: int) -> "Iterator[Callable[[int], None]]":
        yield self._add

    def _add(self, count: int) -> None:
        self._done += count
        if self._report is not None:
            self._report(min(self._done, self._total), self._total)


def _download(jar: Jar, scratch: Path, folder: Path, counter: _Counter) -> None:
    import requests

    context = _maven(scratch, counter)
    group, artifact, version = jar.coordinate.split(":")
    try:
        path = context.project(group, artifact).at_version(version).artifact(packaging="jar").resolve()
    except (requests.RequestException, RuntimeError, OSError) as error:
        raise SetupError(
            f"{jar.coordinate} could not be downloaded.",
            why=f"{type(error).__name__}: {str(error)[:200]}",
            fix="Check the network and proxy settings (HTTPS_PROXY, REQUESTS_CA_BUNDLE), then: lakehouse setup",
        ) from error
    check_hash(path, jar)
    path.replace(folder / jar.file_name)


def _maven(
    repository: Path, progress: Callable[[str, int], AbstractContextManager[Callable[[int], None]]] | None = None
) -> Any:
    from jgo.maven import MavenContext, PythonResolver

    resolver = PythonResolver(progress_callback=progress)
    return MavenContext(resolver=resolver, repo_cache=repository, local_repos=[], timeout=REQUEST_TIMEOUT_SECONDS)


def make_lock(
    path: Path = LOCK_FILE,
    *,
    transitive: dict[str, list[str]] = TRANSITIVE,
    flat: dict[str, list[str]] = FLAT,
    provided: dict[str, str] | None = None,
    present: dict[str, list[str]] | None = None,
    made_by: str = "lakehouse.engine.embedded.jars",
) -> int:
    """Resolve versions and write a lock anew; return the number of jars.

    Args:
        path: The lock.
        transitive: Per group the artifacts that are locked with all that they need.
        flat: Per group the artifacts that are locked alone.
        provided: Per group another group, whose artifacts it does not take along.
        present: Per group coordinates of another lock, likewise.
        made_by: The module that calls.
    """
    lines = [
        "# Every Java archive of the embedded engines: coordinate, SHA-256, bytes.",
        f"# Made by: python -m {made_by} --lock",
    ]
    locked: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        context = _maven(Path(scratch))
        for group, alone in flat.items():
            lines += ["", f"[{group}]"]
            there = [*locked.get((provided or {}).get(group, ""), []), *(present or {}).get(group, [])]
            known = set(map(_artifact, there))
            found = {*_tree(context, transitive.get(group, [])), *alone}
            locked[group] = sorted(coordinate for coordinate in found if _artifact(coordinate) not in known)
            for coordinate in locked[group]:
                name, artifact, version = coordinate.split(":")
                file = context.project(name, artifact).at_version(version).artifact(packaging="jar").resolve()
                lines.append(f"{coordinate} sha256:{sha256_of(file)} {file.stat().st_size}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return sum(map(len, locked.values()))


def _artifact(coordinate: str) -> str:
    return coordinate.rpartition(":")[0]


def _tree(context: Any, roots: list[str]) -> list[str]:
    if not roots:
        return []
    _, resolved = context.resolver.resolve([context.create_dependency(root) for root in roots])
    runtime = [item for item in resolved if item.scope in ("compile", "runtime")]
    return roots + [f"{item.groupId}:{item.artifactId}:{item.version}" for item in runtime]


if __name__ == "__main__":
    if sys.argv[1:] == ["--lock"]:
        sys.stdout.write(f"{LOCK_FILE}: {make_lock()} jars\n")
    else:
        sys.stdout.write(f"{fetch(load_settings().cache_dir)} jars downloaded\n")
