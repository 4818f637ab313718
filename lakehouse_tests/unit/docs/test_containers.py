"""The compose file, the images' parts and the CI workflow: what they promise in the docs is what they say."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lakehouse.engine.embedded.ports import LOOPBACK
from lakehouse.settings import PROJECT_ROOT

COMPOSE = PROJECT_ROOT / "docker-compose.yml"
DOCKER = PROJECT_ROOT / "infra" / "docker"


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]


def test_default_profile_is_the_orchestrator_alone(services: dict[str, dict[str, Any]]) -> None:
    assert {name for name, spec in services.items() if not spec.get("profiles")} == {
        "postgres",
        "dagster-webserver",
        "dagster-daemon",
    }


def test_profiles(services: dict[str, dict[str, Any]]) -> None:
    profiles: dict[str, set[str]] = {}
    for name, spec in services.items():
        for profile in spec.get("profiles", []):
            profiles.setdefault(profile, set()).add(name)
    assert profiles == {
        "kafka-local": {"kafka", "kafka-ui"}, "spark": {"spark"}, "connect": {"connect"},
        "monitoring": {"node-exporter", "prometheus", "grafana"},
    }  # fmt: skip


def test_every_port_is_published_on_the_loopback_only(services: dict[str, dict[str, Any]]) -> None:
    ports = {name: port for name, spec in services.items() for port in spec.get("ports", [])}
    assert all(port.startswith(f"{LOOPBACK}:") for port in ports.values()), ports
    host = {name: int(port.split(":")[1]) for name, port in ports.items()}
    assert host == {
        "postgres": 5432, "dagster-webserver": 3000, "kafka": 9092, "kafka-ui": 8090, "spark": 15002, "connect": 8083,
        "prometheus": 9090, "grafana": 3001,
    }  # fmt: skip


def test_every_service_has_a_health_check_and_a_pinned_image(services: dict[str, dict[str, Any]]) -> None:
    for name, spec in services.items():
        assert spec["healthcheck"]["test"], name
        assert "build" in spec or re.search(r":v?\d", spec["image"]), f"{name}: {spec['image']} has no version"
        assert not spec["image"].endswith(":latest"), name


def test_no_secret_in_clear_text(services: dict[str, dict[str, Any]]) -> None:
    named = [
        (name, key, value)
        for name, spec in services.items()
        for key, value in spec.get("environment", {}).items()
        if re.search("PASSWORD|SECRET|TOKEN", key)
    ]
    assert named
    for name, key, value in named:
        assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), f"{name}: {key} must come from the environment"


def test_every_volume_is_named(services: dict[str, dict[str, Any]]) -> None:
    declared = set(yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["volumes"])
    used = {mount.split(":")[0] for spec in services.values() for mount in spec.get("volumes", [])}
    assert used == declared


def test_spark_sees_the_lake_under_the_path_that_dagster_names(services: dict[str, dict[str, Any]]) -> None:
    mounts = {tuple(services[name]["volumes"]) for name in ("spark", "dagster-daemon", "dagster-webserver")}
    assert mounts == {("lake:/data",)}


def test_broker_has_one_version(services: dict[str, dict[str, Any]]) -> None:
    lock = (PROJECT_ROOT / "infra" / "jars.lock").read_text(encoding="utf-8")
    embedded = re.search(r"org\.apache\.kafka:kafka_2\.13:(\S+)", lock)
    assert embedded is not None
    assert services["kafka"]["image"] == services["connect"]["image"] == f"apache/kafka:{embedded[1]}"


def test_connect_is_the_embedded_worker_and_has_what_the_snowflake_sink_names(
    services: dict[str, dict[str, Any]],
) -> None:
    from lakehouse.engine.embedded.connect import worker_properties
    from lakehouse.kafka.connectors import render

    content = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["configs"]["connect"]["content"]
    ours = dict(line.split("=", 1) for line in content.splitlines())
    embedded = dict(line.split("=", 1) for line in worker_properties("x", 1, Path("y")).splitlines())
    own = {"bootstrap.servers", "plugin.path", "listeners", "rest.advertised.host.name"}
    assert {key: value for key, value in ours.items() if key not in own} == {
        key: embedded[key] for key in ours.keys() - own
    }
    allowed = ours["config.providers.env.param.allowlist.pattern"]
    named = set(re.findall(r"\$\{env:(\w+)\}", " ".join(render("snowflake_connector").config.values())))
    environment = services["connect"]["environment"]
    assert named == set(environment)
    assert all(re.fullmatch(allowed, name) for name in named)
    assert all(value == f"${{{name}:-}}" for name, value in environment.items()), "no secret, and none demanded"


def test_instance_of_the_image_is_the_laptops_plus_postgres() -> None:
    ours = (DOCKER / "dagster.yaml").read_text(encoding="utf-8")
    laptop = (PROJECT_ROOT / "infra" / "dagster" / "dagster.yaml").read_text(encoding="utf-8")
    both = yaml.safe_load(laptop + ours)
    assert set(yaml.safe_load(laptop)) & set(yaml.safe_load(ours)) == set()
    assert both["storage"]["postgres"]["postgres_db"]["password"] == {"env": "DAGSTER_POSTGRES_PASSWORD"}
    wanted = set(re.findall(r"env: (\w+)", ours))
    environment = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["x-dagster"]["environment"]
    assert wanted <= set(environment)


@pytest.mark.parametrize("sample", ["celery", "kubernetes"])
def test_an_instance_for_several_machines_is_one_that_dagster_accepts(sample: str, tmp_path: Path) -> None:
    from dagster._core.errors import DagsterInvalidConfigError
    from dagster._core.instance.config import dagster_instance_config

    parts = [
        PROJECT_ROOT / "infra" / "dagster" / "dagster.yaml",
        DOCKER / "dagster.yaml",
        PROJECT_ROOT / "infra" / "dagster" / f"{sample}.yaml",
    ]
    texts = [part.read_text(encoding="utf-8") for part in parts]
    names = [name for text in texts for name in yaml.safe_load(text)]
    assert len(names) == len(set(names)), "YAML would silently take the last of two"
    (tmp_path / "dagster.yaml").write_text("".join(texts), encoding="utf-8")
    config, _ = dagster_instance_config(str(tmp_path))
    launcher = config["run_launcher"]
    assert (launcher["module"], launcher["class"]) == {
        "celery": ("dagster_celery.launcher", "CeleryRunLauncher"),
        "kubernetes": ("dagster_k8s", "K8sRunLauncher"),
    }[sample]
    for wrong in ("run_lancher: {}\n", "run_launcher: {module: dagster_k8s}\n"):
        (tmp_path / "dagster.yaml").write_text("".join(texts[:2]) + wrong, encoding="utf-8")
        with pytest.raises(DagsterInvalidConfigError):
            dagster_instance_config(str(tmp_path))


def test_dockerfile_names_files_and_targets_that_exist(services: dict[str, dict[str, Any]]) -> None:
    text = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
    for path in re.findall(r"(?:infra/[\w./]+|requirements\.lock|workspace\.yaml)", text):
        assert (PROJECT_ROOT / path).is_file(), path
    targets = set(re.findall(r"^FROM \S+ AS (\w+)", text, re.MULTILINE))
    assert {spec["build"]["target"] for spec in services.values() if "build" in spec} <= targets
    assert "USER lakehouse" in text
    assert ".env" in (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()


def test_postgres_library_fits_dagster() -> None:
    lock = (PROJECT_ROOT / "requirements.lock").read_text(encoding="utf-8")
    ours = (DOCKER / "postgres.lock.txt").read_text(encoding="utf-8")
    library = re.search(r"^dagster-pyspark==(\S+)", lock, re.MULTILINE)
    assert library is not None
    assert f"dagster-postgres=={library[1]} " in ours
    assert ours.count("--hash=sha256:") > 2


def test_spark_listens_for_the_other_containers(tmp_path: Path) -> None:
    import runpy

    for_containers = runpy.run_path(str(DOCKER / "spark_connect.py"))["for_containers"]
    from lakehouse.engine.embedded.spark import server_conf

    command = [f"-D{key}={value}" for key, value in server_conf(tmp_path, 15002).items()]
    changed = for_containers(command)
    assert "-Dspark.connect.grpc.binding.address=0.0.0.0" in changed
    assert len(set(changed) ^ set(command)) == 2
    with pytest.raises(RuntimeError, match="no longer has"):
        for_containers(["java"])


def test_compose_accepts_the_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not installed here")
    result = subprocess.run(
        [
            docker,
            "compose",
            "-f",
            str(COMPOSE),
            "--profile",
            "kafka-local",
            "--profile",
            "spark",
            "--profile",
            "connect",
            "--profile",
            "monitoring",
            "config",
            "--quiet",
        ],
        env={**os.environ, "POSTGRES_PASSWORD": "x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_ci_runs_what_the_makefile_has_on_every_supported_python() -> None:
    workflow = yaml.safe_load((PROJECT_ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["check"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12"]
    script = "\n".join(step.get("run", "") for step in job["steps"])
    targets = set(re.findall(r"\bmake (\w+)", script))
    assert {"lint", "test"} <= targets
    makefile = (PROJECT_ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
