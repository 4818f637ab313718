"""`lakehouse quarantine`: a reason that is none is not taken for one that no record has."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakehouse.cli.quarantine import app
from lakehouse.errors import UsageError

runner = CliRunner()


def test_a_misspelled_reason_names_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.delenv("LAKEHOUSE_ROOT", raising=False)
    listed = runner.invoke(app, ["list", "sales", "--reason", "quantity_positive", "--json"])
    assert listed.exit_code == 0, listed.output
    for command in ("list", "replay"):
        refused = runner.invoke(app, [command, "sales", "--reason", "quantity_positiv"]).exception
        assert isinstance(refused, UsageError)
        assert refused.fix == "Did you mean 'quantity_positive'?"
