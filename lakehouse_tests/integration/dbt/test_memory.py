"""A model that needs more memory than dbt may take writes to disk, and those after it are built as well.

Two models of the test's own on the project's connection: how much the real ones need at least is decided by which of
them run at once.
"""

import shutil
from pathlib import Path

import pytest

from lakehouse.engine.duck import duck_connection
from lakehouse.lake.gold import dbt_run

_PROJECT = """
name: lakehouse
version: "1.0.0"
profile: lakehouse
config-version: 2
models: {+database: build, +materialized: table}
"""
# Some 230 MB in the order of a hash: nothing that could be sorted in 100.
_LARGE = "select hash(range) as number, repeat('x', 100) || range as text from range(2000000) order by number"
_AFTER = "select count(*) as rows, current_setting('memory_limit') as memory from {{ ref('large') }}"


def test_what_needs_more_memory_than_it_may_take_is_built_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    (project / "models").mkdir(parents=True)
    (project / "dbt_project.yml").write_text(_PROJECT, encoding="utf-8")
    (project / "models" / "large.sql").write_text(_LARGE, encoding="utf-8")
    (project / "models" / "after.sql").write_text(_AFTER, encoding="utf-8")
    shutil.copy(dbt_run.PROJECT / "profiles.yml", project)
    monkeypatch.setattr(dbt_run, "PROJECT", project)
    monkeypatch.setattr(dbt_run, "PARSED", project / "target" / "none")
    variables = dbt_run.environment(lake_root="", folder=tmp_path, pii_key="", plan_json="{}")

    result = dbt_run.run_dbt(["build"], variables | {"LAKEHOUSE_DBT_MEMORY": "100MB"}, tmp_path / "state")

    assert not result.failures
    with duck_connection(tmp_path / dbt_run.WORK_FILE, read_only=True) as built:
        assert built.execute("from after").fetchall() == [(2_000_000, "95.3 MiB")]
    assert not (tmp_path / f"{dbt_run.WORK_FILE}.tmp").exists()
