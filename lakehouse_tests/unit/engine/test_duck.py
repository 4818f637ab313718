"""Every connection counts in UTC, wherever the machine stands; a modest one leaves memory to others."""

from pathlib import Path

import pytest

from lakehouse.engine.duck import delta_connection, duck_connection


def test_connections_are_in_utc_and_modest_ones_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    zone = "select current_setting('TimeZone')"
    with duck_connection(tmp_path / "a.duckdb") as file:
        assert file.execute(zone).fetchone() == ("UTC",)
    with delta_connection(modest=True) as lake:
        assert lake.execute(zone).fetchone() == ("UTC",)
        limits = "select current_setting('threads'), current_setting('memory_limit')"
        assert lake.execute(limits).fetchone() == (2, "953.6 MiB")
        assert lake.execute("select loaded from duckdb_extensions() where extension_name = 'delta'").fetchone() == (
            True,
        )
