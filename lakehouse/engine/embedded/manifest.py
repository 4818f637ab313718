"""dbt's manifest, parsed ahead of time: Dagster reads it at load and must not pay for the parse in every run.

Here: when it is old, and making it. Not here: running models (lakehouse.lake).
"""

import os
import subprocess
import sys
from pathlib import Path

from lakehouse.errors import SetupError
from lakehouse.settings import PROJECT_ROOT, Settings

PROJECT = PROJECT_ROOT / "dbt_project"
MANIFEST = PROJECT / "target" / "manifest.json"
SOURCES = ("models", "macros", "snapshots", "seeds", "tests")
PARSE_TIMEOUT_SECONDS = 180


def build_manifest(settings: Settings) -> bool:
    """Parse the dbt project when a file of it is newer than the manifest; return whether it was parsed.

    Raises:
        SetupError: dbt found an error in the project.
    """
    if not (PROJECT / "dbt_project.yml").is_file() or not is_stale(PROJECT, MANIFEST):
        return False
    command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "--no-use-colors", "--quiet", "parse"]
    folders = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--log-path", str(settings.home / "logs")]
    result = subprocess.run(
        [*command, *folders],
        env={**os.environ, "DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
        timeout=PARSE_TIMEOUT_SECONDS,
        check=False,
    )
    if result.returncode != 0:
        said = " ".join((result.stdout or result.stderr).split())
        raise SetupError("The dbt project does not parse.", why=said[-500:], fix="Correct it; then: lakehouse setup")
    # dbt leaves the file alone when nothing it knows of changed; the next call must not parse again.
    MANIFEST.touch()
    return True


def is_stale(project: Path, manifest: Path) -> bool:
    """Is there no manifest, or was a source of the project changed after it was made?"""
    if not manifest.is_file():
        return True
    made = manifest.stat().st_mtime
    files = [path for folder in SOURCES for path in (project / folder).rglob("*") if path.is_file()]
    files += [path for path in project.glob("*.yml") if path.is_file()]
    return any(path.stat().st_mtime > made for path in files)
