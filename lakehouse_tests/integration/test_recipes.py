"""The README's recipe, followed to the letter in a copy of the project: a new stream without a line of Python."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.settings import PROJECT_ROOT, Settings
from lakehouse_tests.unit.docs.pages import recipe

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what a checkout holds, and a `lakehouse` command that runs it."""
    copy = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("lakehouse", "dbt_project", "infra"):
        shutil.copytree(PROJECT_ROOT / folder, copy / folder, ignore=ignored)
    command = copy / "bin" / "lakehouse"
    command.parent.mkdir()
    command.write_text(
        f'#!/bin/sh\nPYTHONPATH="{copy}" exec "{sys.executable}" -m lakehouse.cli.main "$@"\n', encoding="utf-8"
    )
    command.chmod(0o755)
    return copy


def test_a_stream_is_added_by_following_the_readme(settings: Settings, project: Path) -> None:
    path = f"{project / 'bin'}:{os.environ['PATH']}"
    outputs = []
    for script in recipe("add-a-stream"):
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=project,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        outputs.append(done.stdout)
    assert (project / "lakehouse/defs/streams/payments/defs.yaml").is_file()
    told = outputs[1]
    assert "P-2001" in told
    assert "amount_type" in told
    assert "3 in bronze = 2 in silver + 1 quarantined" in told
    assert settings.home.is_dir()
