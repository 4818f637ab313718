"""dbt's manifest, parsed ahead of time: Dagster reads it at load and must not pay for the parse in every run.

Here: when it is old, and making it; what a project is, as a hash. Not here: running models (lakehouse.lake).
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from lakehouse.errors import SetupError
from lakehouse.settings import PROJECT_ROOT, Settings

PROJECT = PROJECT_ROOT / "dbt_project"
MANIFEST = PROJECT / "target" / "manifest.json"
SOURCES = ("models", "macros", "snapshots", "seeds", "tests")
_MADE_OF = "made_of"
"""The file beside a manifest that holds the fingerprint of what it was made of."""
PARSE_TIMEOUT_SECONDS = 180


def build_manifest(settings: Settings) -> bool:
    """Parse the dbt project when the manifest was made of another one; return whether it was parsed.

    Raises:
        SetupError: dbt found an error in the project.
    """
    if not (PROJECT / "dbt_project.yml").is_file() or not is_stale(PROJECT, MANIFEST):
        return False
    made_of = fingerprint(PROJECT)
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
    MANIFEST.with_name(_MADE_OF).write_text(made_of, encoding="utf-8")
    return True


def is_stale(project: Path, manifest: Path) -> bool:
    """Is there no manifest, or was it made of something else than the project as it is?"""
    noted = manifest.with_name(_MADE_OF)
    is_there = manifest.is_file() and noted.is_file()
    return not is_there or noted.read_text(encoding="utf-8") != fingerprint(project)


def fingerprint(project: Path, *secrets: str) -> str:
    """Hash over everything in a dbt project that decides what its models hold and what its tests say."""
    digest = hashlib.sha256("\x00".join(secrets).encode())
    files = [*project.glob("*.yml"), *(path for folder in SOURCES for path in (project / folder).rglob("*.*"))]
    for path in sorted(files):
        if path.suffix in {".sql", ".yml", ".csv"}:
            digest.update(str(path.relative_to(project)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]
