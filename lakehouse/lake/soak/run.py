"""A soak: rounds of sending, draining and killing on a scratch lake, then the proof over all of it.

Here: the loop and the accounts. Not here: what a round does (`soak.schedule`), where (`soak.scratch`), its processes
(`soak.workers`).
"""

import hashlib
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.crash import DRAIN_POINTS
from lakehouse.errors import LakehouseError
from lakehouse.kafka.client import producer_config
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.drain import drain
from lakehouse.lake.ledger import last_plan
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.soak.certificate import Certificate, versions
from lakehouse.lake.soak.feed import Feed
from lakehouse.lake.soak.pace import pace_of
from lakehouse.lake.soak.schedule import Round, round_of
from lakehouse.lake.soak.scratch import Scratch, on_scratch, scratch
from lakehouse.lake.soak.workers import start_worker, wait_for
from lakehouse.lake.verify import VerifyReport, verify
from lakehouse.sources.producer import EventSender

_LAST_DRAIN_SECONDS = 1_800.0
# A soak goes on beyond its time until a worker was killed, but not for ever.
_MOST_ROUNDS_WITHOUT_A_KILL = 2 * len(DRAIN_POINTS)


@dataclass
class Tally:
    """What happened so far."""

    rounds: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    survived: int = 0
    stops: list[str] = field(default_factory=list)
    broker_restarts: int = 0
    rivals: int = 0
    sent: int = 0
    batches: int = 0


def soak(
    contract: StreamContract,
    *,
    minutes: float,
    seed: int,
    batches: int | None = None,
    rounds: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Certificate:
    """Play rounds on a scratch lake until enough is done, at least until one worker was killed; then prove it.

    Args:
        contract: The user's stream; its own topic and lake are not touched.
        minutes: Time for the rounds. Starting the stack and the proof at the end come on top.
        seed: Of every choice.
        batches: End earlier once bronze has so many micro-batches.
        rounds: Play exactly so many rounds, whatever the time.
        say: Takes a line of progress.

    Raises:
        LakehouseError: the soak could not be carried out: the stack does not start, a worker hangs.
    """
    began, started_at = time.monotonic(), datetime.now(UTC)
    ours, notes = on_scratch(contract)
    feed = Feed(contract.name, ours, seed)
    tally = Tally()
    with scratch(say) as place:
        try:
            apply_topics(place.settings, desired_topics([ours]))
            _Soak(ours, place, feed, seed, say, tally).play(minutes, batches, rounds)
            say("last drain, then the proof")
            drain(ours, place.settings, budget_seconds=_LAST_DRAIN_SECONDS, idle_seconds=0)
            report = verify(place.settings, [ours])
        except LakehouseError:
            place.kept = True
            say(f"replay: {_replay(contract.name, seed, tally.rounds + 1)}")
            raise
        findings = [*(f"{f.check}: {f.problem}" for f in report.findings), *unbalanced(report, tally)]
        place.kept = bool(findings)
        tally.batches = _batches(ours, place)
    proof = report.proofs[0]
    notes += [f"events: {feed.source}", "gold is not part of it: its models name the live streams"]
    if proof.silver == 0:
        notes.append("no event was valid, so silver was hardly tried; see the reasons in quarantine")
    return Certificate(
        stream=contract.name,
        contract=hashlib.sha256(contract.model_dump_json().encode()).hexdigest(),
        seed=seed,
        replay=_replay(contract.name, seed, tally.rounds),
        started_at=started_at,
        seconds=round(time.monotonic() - began, 1),
        rounds=tally.rounds,
        kills={point: tally.kills[point] for point in DRAIN_POINTS},
        survived=tally.survived,
        stops=tally.stops,
        broker_restarts=tally.broker_restarts,
        rivals=tally.rivals,
        batches=tally.batches,
        wanted_batches=batches,
        sent=tally.sent,
        bronze=proof.bronze + proof.unmerged,
        silver=proof.silver,
        quarantined=proof.quarantined,
        repeats=proof.repeats,
        findings=findings,
        notes=notes,
        versions=versions(),
    )


def unbalanced(report: VerifyReport, tally: Tally) -> list[str]:
    """What `verify` cannot know: every acknowledged event is there, all are merged, and a worker was killed."""
    proof = report.proofs[0]
    total = proof.silver + proof.quarantined + proof.repeats
    checks = {
        f"{tally.sent} events were acknowledged, bronze has {proof.bronze}": proof.bronze == tally.sent,
        f"bronze has {proof.bronze} rows, silver, quarantine and repeats {total}": total == proof.bronze,
        f"{proof.waiting} offsets were left unread": proof.waiting == 0,
        f"{proof.unmerged} rows were left unmerged": proof.unmerged == 0,
        "no worker was killed, so nothing was proved": tally.kills.total() > 0,
    }
    return [f"accounts: {text}" for text, holds in checks.items() if not holds]


def _replay(stream: str, seed: int, rounds: int) -> str:
    """The command that makes the same choices again."""
    return f"lakehouse prove {stream} --seed {seed} --rounds {rounds}"


def _batches(contract: StreamContract, place: Scratch) -> int:
    """Micro-batches that bronze has."""
    known = last_plan(LakePaths.of(place.settings).bronze(contract.name))
    return known[0].batch + 1 if known else 0


def goes_on(tally: Tally, is_time_left: bool, batches: int | None) -> bool:
    """Whether another round is played: until the time is up or the batches are there, and one worker was killed."""
    if tally.kills.total() == 0:
        return tally.rounds < _MOST_ROUNDS_WITHOUT_A_KILL
    return is_time_left and (batches is None or tally.batches < batches)


class _Soak:
    def __init__(
        self,
        contract: StreamContract,
        place: Scratch,
        feed: Feed,
        seed: int,
        say: Callable[[str], None],
        tally: Tally,
    ) -> None:
        self._contract = contract
        self._place = place
        self._feed = feed
        self._seed = seed
        self._say = say
        self._tally = tally
        self._file = place.settings.home / "contract.json"
        self._file.write_text(contract.model_dump_json(), encoding="utf-8")
        self._sender = EventSender(place.settings, contract.topic.name, producer_config(place.settings))

    def play(self, minutes: float, batches: int | None, rounds: int | None) -> None:
        tally = self._tally
        began = time.monotonic()
        deadline = began + 60 * minutes
        while tally.rounds < rounds if rounds is not None else goes_on(tally, time.monotonic() < deadline, batches):
            done = self._round(round_of(self._seed, tally.rounds))
            now = time.monotonic()
            pace = pace_of(tally.batches, now - began, wanted=batches, seconds_left=deadline - now)
            self._say(done if rounds is not None else f"{done} · {pace}")
            tally.rounds += 1

    def _round(self, this: Round) -> str:
        """Play one round; returns what happened in it."""
        tally = self._tally
        self._sender.send(self._feed.take(this.events))
        self._sender.settle()
        self._sender.raise_if_failed("a round's events")
        tally.sent = self._sender.sent
        if this.restart_broker:
            self._place.restart_broker()
            tally.broker_restarts += 1
        tally.rivals += this.rival
        outcome = self._drained(this)
        tally.batches = _batches(self._contract, self._place)
        return (
            f"round {this.number}: {this.events} events{', broker killed' if this.restart_broker else ''}"
            f"{', two workers' if this.rival else ''} · {this.crash_at}: {outcome} · kills {tally.kills.total()} · "
            f"sent {tally.sent:,} · batches {tally.batches:,}"
        )

    def _drained(self, this: Round) -> str:
        """Let the round's workers drain until they are dead or done; the first is the one to be killed."""
        began, tally = time.monotonic(), self._tally
        with tempfile.TemporaryDirectory() as folder:
            workers: list[subprocess.Popen[bytes]] = []
            try:
                for number, crash_at in enumerate([this.crash_at, ""] if this.rival else [this.crash_at]):
                    workers.append(start_worker(this, self._file, self._place, crash_at, Path(folder) / str(number)))
                wait_for(workers, this, self._contract, self._place.settings)
            finally:
                # Ctrl-C does not reach them: they are in sessions of their own.
                for worker in workers:
                    worker.kill()
                    worker.wait()
            for number, worker in enumerate(workers):
                if worker.returncode > 0:
                    said = (Path(folder) / str(number)).read_text(encoding="utf-8", errors="replace").strip()
                    tally.stops.append(f"round {this.number}: {(said.splitlines() or ['no message'])[-1][:300]}")
        if workers[0].returncode == -signal.SIGKILL:
            tally.kills[this.point] += 1
            return f"killed after {time.monotonic() - began:.1f} s"
        if workers[0].returncode == 0:
            tally.survived += 1
            return "not reached"
        return f"stopped ({tally.stops[-1] if tally.stops else workers[0].returncode})"
