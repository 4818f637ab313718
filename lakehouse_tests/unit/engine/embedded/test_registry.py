"""The embedded registry as it would be started: loopback only, and its ids live and die with Kafka's logs."""

from pathlib import Path

from typer.testing import CliRunner

from lakehouse.cli import up
from lakehouse.engine.embedded import registry
from lakehouse.engine.embedded.java import Java
from lakehouse.errors import UsageError
from lakehouse.settings import load_settings


def test_nothing_listens_beyond_this_machine_and_schemas_lie_beside_the_logs(tmp_path: Path) -> None:
    settings = load_settings(LAKEHOUSE_HOME=tmp_path, LAKEHOUSE_CACHE=tmp_path / "cache")
    spec = registry.prepare(settings, Java(Path("/java"), "21.0", "test"), 8081, 9001)
    assert "-Dquarkus.http.host=127.0.0.1" in spec.command
    assert "-Dquarkus.management.host=127.0.0.1" in spec.command
    assert "-Dquarkus.management.port=9001" in spec.command
    assert f"-Dapicurio.datasource.url=jdbc:h2:file:{settings.home}/kafka/registry/schemas" in spec.command
    assert (spec.endpoint, spec.url) == ("SCHEMA_REGISTRY_URL", "http://127.0.0.1:8081/apis/ccompat/v7")


def test_up_knows_what_may_be_started_besides() -> None:
    result = CliRunner().invoke(up.app, ["--with", "regsitry"])
    assert isinstance(result.exception, UsageError)
    assert "registry" in result.exception.fix
