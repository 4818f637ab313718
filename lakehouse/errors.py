"""Every error the user may meet, as a type with a code, the reason and the next command.

Here: the exception hierarchy, exit codes, the hint to a misspelt name. Not here: catching; that happens at the edges
(CLI, Dagster ops).
"""

from collections.abc import Iterable
from typing import ClassVar

EXIT_OK = 0
EXIT_COULD_NOT_ASK = 1
EXIT_USAGE = 2
EXIT_UNHEALTHY = 10
EXIT_INTERRUPTED = 130


def nearest(name: str, known: Iterable[str], otherwise: str) -> str:
    """The hint to a name that is not known: the one it is most like, else what `otherwise` says."""
    # Only when something is wrong: every command imports this module.
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean {near[0]!r}?" if near else otherwise


class LakehouseError(Exception):
    """A failure that the user can act on.

    Args:
        problem: What happened, one sentence, naming the thing concerned.
        why: The cause, where it is known.
        fix: What to do next; the exact command where there is one.
    """

    code: ClassVar[str] = "LAKEHOUSE_ERROR"
    exit_code: ClassVar[int] = EXIT_COULD_NOT_ASK
    retryable: ClassVar[bool] = False

    def __init__(self, problem: str, *, why: str = "", fix: str = "") -> None:
        self.problem = problem
        self.why = why
        self.fix = fix
        super().__init__(self.one_line())

    def one_line(self) -> str:
        """The message as one line: problem, reason, next step."""
        parts = [self.problem]
        if self.why:
            parts.append(f"Why: {self.why}")
        if self.fix:
            parts.append(f"Next: {self.fix}")
        return " ".join(parts)


class UsageError(LakehouseError):
    """The command or its arguments are wrong; nothing was done."""

    code = "USAGE"
    exit_code = EXIT_USAGE


class SettingsError(UsageError):
    """An environment variable or `.env` entry has a value that is not allowed."""

    code = "SETTINGS_INVALID"


class ContractError(UsageError):
    """A stream's YAML does not say what a stream must say."""

    code = "CONTRACT_INVALID"


class SetupError(LakehouseError):
    """Something that the machine must have is missing or broken (Java, jars, ports, disk)."""

    code = "SETUP_INCOMPLETE"


class Stop(LakehouseError):  # noqa: N818 - a stop on purpose, not a mistake
    """A drain stopped on purpose: going on would lose, double or corrupt data. What was committed stays."""

    code = "STOPPED"


class BrokerUnreachableError(Stop):
    """No Kafka broker answers at the configured address."""

    code = "BROKER_UNREACHABLE"
    retryable = True


class SparkUnreachableError(Stop):
    """The Spark Connect server does not answer, or went away in mid-work."""

    code = "SPARK_UNREACHABLE"
    retryable = True


class DatabaseUnreachableError(Stop):
    """PostgreSQL does not answer, or went away in mid-work."""

    code = "DATABASE_UNREACHABLE"
    retryable = True


class RegistryUnreachableError(Stop):
    """The schema registry does not answer, and a schema that the lake does not know is needed."""

    code = "REGISTRY_UNREACHABLE"
    retryable = True


class AccessDeniedError(Stop):
    """The broker knows us not, or does not allow what we asked for: wrong password or certificate, missing ACL."""

    code = "ACCESS_DENIED"


class TopicMissingError(Stop):
    """The stream's topic does not exist on the broker."""

    code = "TOPIC_MISSING"


class ResumePointGoneError(Stop):
    """Retention deleted offsets that bronze has not read."""

    code = "RESUME_POINT_GONE"


class TopicRecreatedError(Stop):
    """The topic has another id than the one that bronze last read: it was deleted and made anew."""

    code = "TOPIC_RECREATED"


class TopicTruncatedError(Stop):
    """The topic ends before the offset that bronze has already read."""

    code = "TOPIC_TRUNCATED"


class PartitionsMissingError(Stop):
    """The broker shows fewer partitions than bronze has read."""

    code = "PARTITIONS_MISSING"
    retryable = True


class LogDamagedError(Stop):
    """A Delta log has an empty, torn or missing commit, or a data file is gone."""

    code = "LOG_DAMAGED"


class SchemaIncompatibleError(Stop):
    """The contract changed in a way that the silver table cannot follow by itself."""

    code = "SCHEMA_INCOMPATIBLE"


class QualityStopError(Stop):
    """A rule of severity `fail` is broken; the batch was not merged into silver."""

    code = "QUALITY_STOP"


class ForeignLakeError(Stop):
    """The lake at this root is not the one that this command or run was meant for."""

    code = "FOREIGN_LAKE"


class DiskFullError(Stop):
    """No space is left where the lake or the state folder lives."""

    code = "DISK_FULL"


class BatchConflictError(Stop):
    """Another writer committed the same batch number; plan again."""

    code = "BATCH_CONFLICT"
    retryable = True


class RelayFencedError(Stop):
    """Another relay of the same topics has started; this one must not write any more."""

    code = "RELAY_FENCED"


class ViewStoreError(LakehouseError):
    """The store of real-time views does not answer; the tables that it is filled from are not concerned."""

    code = "VIEW_STORE"
    retryable = True


class GoldMissingError(LakehouseError):
    """No gold file was published yet."""

    code = "GOLD_MISSING"


class GoldBusyError(LakehouseError):
    """Another process builds gold right now."""

    code = "GOLD_BUSY"
    retryable = True


class GoldBuildError(LakehouseError):
    """dbt could not build gold; what was published before stays readable."""

    code = "GOLD_BUILD_FAILED"


class SourceMissingError(LakehouseError):
    """A batch pipeline's source has nothing for a window yet; it may come, so the step is tried again."""

    code = "SOURCE_MISSING"
    retryable = True


class CheckFailedError(LakehouseError):
    """A blocking check of a batch pipeline failed; the steps after it were not run."""

    code = "CHECK_FAILED"


class CircuitOpenError(LakehouseError):
    """A service failed too often in a row and is left alone for a while; it was not called."""

    code = "CIRCUIT_OPEN"
    retryable = True


class SourceUnavailableError(LakehouseError):
    """A source outside (an API, a feed) did not give a whole answer, although it was asked several times."""

    code = "SOURCE_UNAVAILABLE"
    retryable = True


class SourceRefusedError(LakehouseError):
    """A source outside answered that it will not give what we asked for, or answered something else."""

    code = "SOURCE_REFUSED"
