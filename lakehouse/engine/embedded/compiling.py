"""The archive that Spark gets from us, made from its Java sources by a compiler of the lock file.

Here: compiling and packing. Not here: where it lies and who gets it (`engine.java_archive`).
"""

import os
import subprocess
import tempfile
import zipfile
from pathlib import Path

from lakehouse.engine import java_archive
from lakehouse.engine.embedded import jars
from lakehouse.engine.embedded.java import Java
from lakehouse.errors import SetupError

COMPILER = "compiler"
CONNECTORS = "spark"
_SECONDS = 120


def build(cache_dir: Path, java: Java, spark_jars: Path) -> bool:
    """Make the archive unless it is there; returns whether it had to be made.

    Args:
        cache_dir: The user's cache, with the compiler and Spark's further archives in it (`jars.fetch`).
        java: The Java that runs the compiler.
        spark_jars: Spark's own archives, whose interfaces ours implement.

    Raises:
        SetupError: the sources do not compile with this Spark.
    """
    archive = java_archive.archive_path(cache_dir)
    if archive.is_file():
        return False
    with tempfile.TemporaryDirectory(prefix=".archive-", dir=archive.parent) as scratch:
        classes = Path(scratch) / "classes"
        _compile(cache_dir, java, spark_jars, classes)
        draft = Path(scratch) / archive.name
        with zipfile.ZipFile(draft, "w") as file:
            for path in sorted(classes.rglob("*.class")):
                file.write(path, path.relative_to(classes))
        draft.replace(archive)
    return True


def _compile(cache_dir: Path, java: Java, spark_jars: Path, target: Path) -> None:
    (compiler,) = jars.paths(cache_dir, COMPILER)
    known = os.pathsep.join(map(str, [*sorted(spark_jars.glob("*.jar")), *jars.paths(cache_dir, CONNECTORS)]))
    version = java_archive.JAVA_VERSION
    command = [str(java.path), "-jar", str(compiler), "-source", version, "-target", version, "-encoding", "UTF-8"]
    sources = sorted(map(str, java_archive.SOURCES.rglob("*.java")))
    result = subprocess.run(
        [*command, "-cp", known, "-d", str(target), *sources],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if result.returncode != 0:
        raise SetupError(
            "What Spark gets from us in Java could not be compiled.",
            why=(result.stderr or result.stdout).strip()[-500:],
            fix="Install the project's packages again: make setup. It needs the Spark that the lock file names.",
        )
