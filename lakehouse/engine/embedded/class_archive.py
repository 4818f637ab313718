"""Class-data archives: a service's classes, parsed once and mapped at every later start, which halves its start-up.

Here: where archives lie, when one is recorded, when it may be used. Not here: command lines of services.
The JVM ignores an archive that does not fit it; nothing here can stop a start.
"""

import hashlib
import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from lakehouse.engine.embedded.java import Java

MIN_JAVA = 21
DUMP_TIMEOUT_SECONDS = 120
_RECORD = "-XX:ArchiveClassesAtExit="
_RECORD_SECONDS = 45


class ClassArchive:
    """The archive of one Java and one class path, in the user's cache.

    Args:
        cache_dir: The user's cache.
        java: The Java that will use it.
        class_path: Exactly as on the command line; an archive fits only this.
        options: Module options of the command line; an archive fits only these.
        owner: A name for the recording of this stack, so that two stacks do not write to one file.
        may_record: Whether the next run may write the archive at its end, which takes it some seconds.
    """

    def __init__(
        self, cache_dir: Path, java: Java, class_path: str, options: list[str], *, owner: str, may_record: bool
    ) -> None:
        self._java = java
        self._may_record = may_record
        self._class_path = class_path
        self._options = options
        key = _digest(java.version, str(java.path), class_path, *options)
        folder = cache_dir / "class-archives" / key
        self._base = folder / "base.jsa"
        self._archive = folder / "classes.jsa"
        self._draft = folder / f"classes-{_digest(owner)}.draft"

    def java_options(self, *, is_service: bool = True) -> list[str]:
        """Options that use the archive, or that record one at the next clean stop; none when neither works.

        Args:
            is_service: Whether it runs long enough to load all classes: only such a run is recorded.
        """
        if self._java.major < MIN_JAVA or not self._make_base():
            return []
        self._promote()
        if self._archive.is_file():
            return [f"-XX:SharedArchiveFile={self._base}{os.pathsep}{self._archive}", "-Xshare:auto", "-Xlog:cds=off"]
        record = [f"{_RECORD}{self._draft}"] if self._may_record and is_service else []
        return [f"-XX:SharedArchiveFile={self._base}", *record, "-Xlog:cds=off"]

    def _make_base(self) -> bool:
        # The wheel's JRE comes without its base archive and its folder may be read-only; so ours lies in the cache.
        if self._base.is_file():
            return True
        try:
            self._base.parent.mkdir(parents=True, exist_ok=True)
        except OSError:
            return False
        draft = self._base.with_suffix(f".{os.getpid()}")
        made = self._run([f"-XX:SharedArchiveFile={draft}", "-Xshare:dump"])
        if made and draft.is_file():
            draft.replace(self._base)
        return self._base.is_file()

    def _promote(self) -> None:
        """Take over what a run recorded, once Java itself has verified it to the last byte; one is enough."""
        for draft in self._recorded():
            with suppress(FileNotFoundError):
                if not self._archive.is_file() and self._is_whole(draft):
                    draft.replace(self._archive)
                else:
                    draft.unlink()

    def _recorded(self) -> list[Path]:
        """Recordings that nobody is writing any more: our own last one, and what other stacks left long enough ago."""
        finished = time.time() - DUMP_TIMEOUT_SECONDS
        others = []
        for draft in self._draft.parent.glob("classes-*.draft"):
            with suppress(FileNotFoundError):
                if draft != self._draft and draft.stat().st_mtime < finished:
                    others.append(draft)
        return [*([self._draft] if self._draft.is_file() else []), *others]

    def _is_whole(self, draft: Path) -> bool:
        checks = ["-Xshare:on", "-XX:+VerifySharedSpaces", *self._options, "-cp", self._class_path, "-version"]
        return self._run([f"-XX:SharedArchiveFile={self._base}{os.pathsep}{draft}", *checks])

    def _run(self, arguments: list[str]) -> bool:
        try:
            result = subprocess.run(
                [str(self._java.path), *arguments], capture_output=True, timeout=DUMP_TIMEOUT_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return result.returncode == 0


def stop_seconds(options: list[str], usual: float) -> float:
    """Seconds that a service with these options may take to stop; one that writes an archive at its end needs more."""
    return _RECORD_SECONDS if any(option.startswith(_RECORD) for option in options) else usual


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
