"""What a soak came to, as a dated certificate. Here: its content and its two forms. Not here: running (`soak.run`)."""

import json
import platform
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lakehouse.engine.embedded.files import write_atomically
from lakehouse.settings import PROJECT_ROOT

_PACKAGES = ("lakehouse", "pyspark", "deltalake", "confluent-kafka")
_JARS = {"io.delta:delta-spark_4.0_2.13": "Delta", "org.apache.kafka:kafka_2.13": "Kafka broker"}


@dataclass(frozen=True)
class Certificate:
    """The outcome of one soak. Everything is counted in events, or rows made of them.

    Attributes:
        stream: The user's stream.
        contract: SHA-256 of its contract, by which it is known again.
        seed: Of every choice; `replay` is the command that makes them again.
        started_at: UTC.
        seconds: From the start of the stack to the verdict.
        rounds: Rounds played.
        kills: Workers killed by SIGKILL, by crash point.
        survived: Workers that ended before their crash point came round.
        stops: What workers ended with that stopped by themselves; the next one went on.
        broker_restarts: Brokers killed and brought back.
        rivals: Rounds in which two workers drained at once.
        batches: Micro-batches in bronze.
        wanted_batches: How many were asked for; None when only the time counted.
        sent: Events that the broker acknowledged.
        bronze: Rows in bronze.
        silver: Rows in silver.
        quarantined: Rejected rows.
        repeats: Valid rows that another row of the same key superseded.
        findings: What does not hold; empty when exactly-once does.
        notes: What a reader must know to judge it.
        versions: Of what it was run with.
    """

    stream: str
    contract: str
    seed: int
    replay: str
    started_at: datetime
    seconds: float
    rounds: int
    kills: dict[str, int]
    survived: int
    stops: list[str]
    broker_restarts: int
    rivals: int
    batches: int
    wanted_batches: int | None
    sent: int
    bronze: int
    silver: int
    quarantined: int
    repeats: int
    findings: list[str]
    notes: list[str]
    versions: dict[str, str]

    @property
    def ok(self) -> bool:
        """Nothing was lost, nothing is there twice."""
        return not self.findings

    @property
    def accounts(self) -> str:
        """The sum that must come out."""
        return (
            f"{self.sent:,} acknowledged · {self.bronze:,} in bronze = {self.silver:,} in silver + "
            f"{self.quarantined:,} quarantined + {self.repeats:,} repeats of a key"
        )

    @property
    def batch_count(self) -> str:
        """How many micro-batches there were; and were to be, when the time was up before."""
        count = f"{self.batches:,} micro-batches"
        is_short = self.wanted_batches is not None and self.batches < self.wanted_batches
        return f"{count} of {self.wanted_batches:,} in the time" if is_short else count

    def as_dict(self) -> dict[str, Any]:
        """As plain data, with the verdict."""
        return {"ok": self.ok, **asdict(self)}


def versions() -> dict[str, str]:
    """Versions of what the outcome depends on."""
    found = {"Python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}
    for line in (PROJECT_ROOT / "infra" / "jars.lock").read_text(encoding="utf-8").splitlines():
        for coordinate, name in _JARS.items():
            if line.startswith(f"{coordinate}:"):
                found[name] = line.removeprefix(f"{coordinate}:").split()[0]
    return found


def store(certificate: Certificate, home: Path) -> list[Path]:
    """Write the certificate's two forms below the state folder and return where they are."""
    folder = home / "certificates"
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"prove-{certificate.stream}-{certificate.started_at:%Y%m%dT%H%M%SZ}"
    paths = [folder / f"{stem}.json", folder / f"{stem}.md"]
    write_atomically(paths[0], json.dumps(certificate.as_dict(), indent=2, default=str) + "\n")
    write_atomically(paths[1], markdown(certificate))
    return paths


def markdown(certificate: Certificate) -> str:
    """The certificate for a person."""
    verdict = "exactly-once holds" if certificate.ok else f"{len(certificate.findings)} findings"
    rows = {
        "verdict": f"**{verdict}**",
        "accounts": certificate.accounts,
        "when": f"{certificate.started_at:%Y-%m-%d %H:%M} UTC, {certificate.seconds:.0f} s",
        "rounds": f"{certificate.rounds}, {certificate.batch_count}",
        "workers killed": f"{sum(certificate.kills.values())}; {certificate.survived} ended before their crash point",
        "brokers killed": certificate.broker_restarts,
        "rounds with two workers": certificate.rivals,
        "seed": certificate.seed,
        "replay": f"`{certificate.replay}`",
        "contract": f"`{certificate.contract}`",
        "versions": ", ".join(f"{name} {number}" for name, number in certificate.versions.items()),
    }
    lines = [f"# Proof of {certificate.stream}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in rows.items()]
    lines += ["", "| killed at | times |", "|---|---|"]
    lines += [f"| {point} | {times} |" for point, times in certificate.kills.items()]
    for title, texts in (
        ("Findings", certificate.findings),
        ("Workers that stopped by themselves", certificate.stops),
        ("Notes", certificate.notes),
    ):
        if texts:
            lines += ["", f"## {title}", "", *(f"- {text}" for text in texts)]
    return "\n".join(lines) + "\n"
