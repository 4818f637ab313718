"""Dagster's code server, webserver and daemon as supervised services.

Here: their command lines, their DAGSTER_HOME. Not here: Dagster definitions; nothing here imports Dagster.
"""

import json
import sys
import urllib.error
import urllib.request
from typing import Any

from lakehouse.engine.embedded import dagster_storage
from lakehouse.engine.embedded.ports import LOOPBACK
from lakehouse.engine.embedded.service import ServiceSpec
from lakehouse.settings import PROJECT_ROOT, Settings

NAME = "dagster"
WEBSERVER = "dagster-webserver"
DAEMON = "dagster-daemon"
CODE = "dagster-code"
INSTANCE_CONFIG = PROJECT_ROOT / "infra" / "dagster" / "dagster.yaml"
ONE_MACHINE_CONFIG = INSTANCE_CONFIG.with_name("one_machine.yaml")
_SHARED = """\
load_from:
  - grpc_server: {{host: {host}, port: {port}, location_name: lakehouse}}
"""


def prepare(settings: Settings, port: int, code_port: int) -> list[ServiceSpec]:
    """Prepare DAGSTER_HOME and return the three services.

    The code server is the webserver's and the daemon's: left to themselves each keeps one of its own, and the daemon
    starts a new one every minute, which loads all definitions again.

    Args:
        settings: The state folder.
        port: The webserver's.
        code_port: The code server's.

    Raises:
        SetupError: Dagster cannot open its databases.
    """
    instance = settings.home / NAME
    instance.mkdir(parents=True, exist_ok=True)
    (instance / "dagster.yaml").write_text(instance_config(), encoding="utf-8")
    dagster_storage.make(instance, settings.cache_dir)
    environment = {
        "DAGSTER_HOME": str(instance),
        "LAKEHOUSE_HOME": str(settings.home),
        # Nothing that we start sends anything home.
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "PYTHONWARNINGS": "ignore",
    }
    workspace = instance / "workspace.yaml"
    workspace.write_text(_SHARED.format(host=LOOPBACK, port=code_port))
    code = [sys.executable, "-m", "dagster", "code-server", "start", "-h", LOOPBACK, "-p", str(code_port)]
    webserver = [sys.executable, "-m", "dagster_webserver", "-h", LOOPBACK, "-p", str(port), "-w", str(workspace)]
    daemon = [sys.executable, "-m", "lakehouse.instance.daemon", str(workspace), str(code_port)]
    log = settings.home / "logs"
    return [
        ServiceSpec(
            name=CODE,
            title="Dagster code",
            command=[*code, "-m", "lakehouse.definitions", "--location-name", "lakehouse"],
            cwd=str(PROJECT_ROOT),
            env=environment,
            port=code_port,
            url="",
            log=str(log / f"{CODE}.log"),
            output=str(log / f"{CODE}.log"),
        ),
        ServiceSpec(
            name=WEBSERVER,
            title="Dagster UI",
            command=webserver,
            cwd=str(PROJECT_ROOT),
            env=environment,
            port=port,
            url=f"http://{LOOPBACK}:{port}",
            log=str(log / f"{WEBSERVER}.log"),
            output=str(log / f"{WEBSERVER}.log"),
            endpoint="DAGSTER_URL",
        ),
        ServiceSpec(
            name=DAEMON,
            title="Dagster daemon",
            command=daemon,
            cwd=str(PROJECT_ROOT),
            env=environment,
            port=0,
            url="",
            log=str(log / f"{DAEMON}.log"),
            output=str(log / f"{DAEMON}.log"),
            stop_seconds=20,
        ),
    ]


def instance_config() -> str:
    """Dagster's settings of the stack: those of every instance, and those of one on one machine."""
    return INSTANCE_CONFIG.read_text(encoding="utf-8") + ONE_MACHINE_CONFIG.read_text(encoding="utf-8")


def ask(url: str, timeout_seconds: float) -> bool:
    """Does the webserver answer /server_info?"""
    try:
        with urllib.request.urlopen(f"{url}/server_info", timeout=timeout_seconds) as answer:  # noqa: S310 - our own http address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def unhealthy_daemons(url: str, timeout_seconds: float) -> list[str]:
    """Kinds of required daemons whose heartbeat is missing, as the webserver sees them."""
    query = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"
    try:
        statuses = ask_graphql(url, query, timeout_seconds)["data"]["instance"]["daemonHealth"]["allDaemonStatuses"]
    except (OSError, ValueError, KeyError, TypeError):
        return ["(the webserver does not tell)"]
    return [entry["daemonType"] for entry in statuses if entry["required"] and not entry["healthy"]]


def unloaded_code(url: str, timeout_seconds: float) -> str:
    """Why the webserver has no definitions: the first cause; "" when it has them, or does not tell."""
    query = """{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError {
        ... on PythonError { message errorChain { error { message } } } } } } } }"""
    try:
        entries = ask_graphql(url, query, timeout_seconds)["data"]["workspaceOrError"]["locationEntries"]
        errors = [entry["locationOrLoadError"] for entry in entries]
        said = [_first_cause(error) for error in errors if error and "message" in error]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return "; ".join(said)


def _first_cause(error: dict[str, Any]) -> str:
    chain = [link["error"] for link in error["errorChain"]]
    return " ".join([error, *chain][-1]["message"].split())


def ask_graphql(url: str, query: str, timeout_seconds: float, variables: dict[str, Any] | None = None) -> Any:
    """The webserver's whole answer: `data`, and `errors` when it refused.

    Raises:
        OSError: it does not answer.
        ValueError: its answer is no JSON.
    """
    request = urllib.request.Request(  # noqa: S310 - our own http address
        f"{url}/graphql",
        data=json.dumps({"query": query, "variables": variables or {}}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=timeout_seconds) as answer:  # noqa: S310 - as above
        return json.load(answer)
