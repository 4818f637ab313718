import pytest

from lakehouse.engine.postgres import connect
from lakehouse.errors import DatabaseUnreachableError, SettingsError


def test_no_plain_text_leaves_this_machine_when_encryption_is_demanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_REQUIRE_TLS", "true")
    monkeypatch.delenv("PGSSLMODE", raising=False)
    for mode in ("", "?sslmode=prefer"):
        with (
            pytest.raises(SettingsError, match=r"PostgreSQL at .* would not be encrypted"),
            connect(f"postgresql://me@db.invalid:5432/shop{mode}"),
        ):
            pytest.fail("it connected")
    for allowed in ("postgresql://me@db.invalid:5432/shop?sslmode=require", "postgresql://me@127.0.0.1:1/shop"):
        with pytest.raises(DatabaseUnreachableError), connect(allowed, timeout_seconds=2):
            pytest.fail("nobody is there")
