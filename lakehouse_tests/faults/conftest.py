"""What several fault tests damage: a disk of their own. Not here: the shared stack (the outer conftest)."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class SmallDisk:
    """A mounted file system whose space, number of files and writability a test may change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def leave(self, space: int) -> None:
        """Fill it up but for so many bytes."""
        status = os.statvfs(self.folder)
        self._filler.write_bytes(bytes(status.f_bavail * status.f_bsize - space))

    def leave_files(self, number: int) -> None:
        """Let so many more files be made."""
        status = os.statvfs(self.folder)
        self._remount(f"nr_inodes={status.f_files - status.f_ffree + number}")

    def forbid_writing(self) -> None:
        """Make it read-only."""
        self._remount("ro")

    def free(self) -> None:
        """Writable, room for everything."""
        self._remount("rw,nr_inodes=100000")
        self._filler.unlink(missing_ok=True)

    def _remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """64 MB of their own; skips where the user may not mount a file system."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a tmpfs")
    try:
        yield SmallDisk(folder)
    finally:
        # Lazily: Spark may still hold a file open, and nothing on it is needed any more.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
