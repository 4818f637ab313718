"""Everything about a stream that can be known before its first event, asked of the real parts. Writes nothing.

Here: one function per question, each answering with problems in words. Not here: printing (`cli.check`).
"""

from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.kafka.topic_plan import merge_topics
from lakehouse.kafka.topics import desired_topics, plan_topics
from lakehouse.kafka.topics_file import TOPICS_FILE, load_profile, shared_topics
from lakehouse.lake.bronze import today
from lakehouse.lake.gold import dbt_run
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.lake.schema.accepted import schema_problems
from lakehouse.lake.schema.tables import BRONZE_COLUMNS, silver_types
from lakehouse.settings import Settings
from lakehouse.transforms.events import judge, typed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def check_rules(spark: "SparkSession", contract: StreamContract) -> list[str]:
    """Let Spark analyse every expression of the contract on an empty table; names each that it refuses."""
    from pyspark.errors import PySparkException

    empty = spark.createDataFrame([], BRONZE_COLUMNS)
    try:
        fields = typed(empty, contract)
        kinds = dict(fields.dtypes)
    except PySparkException as error:
        return [f"fields: {_first_line(error)}"]
    problems = [
        f"field {field.name}: comes out as {kinds[field.name]}, the contract says {kind}"
        for field, kind in zip(contract.fields, silver_types(contract).values(), strict=False)
        if kinds[field.name] != kind
    ]
    for rule in contract.rules:
        problems += [f"rule {rule.name}: {problem}" for problem in _condition(fields, rule.sql)]
    if not problems:
        judge(empty, contract, ()).schema  # noqa: B018 - asking for the schema is the analysis
    return problems


def check_schema(contract: StreamContract, settings: Settings) -> list[str]:
    """Silver can follow the contract: one line for each field and the rule that it breaks."""
    return schema_problems(contract, LakePaths.of(settings))


def check_partitions(spark: "SparkSession", contract: StreamContract, settings: Settings) -> list[str]:
    """The first day is not ahead; an existing silver table is partitioned as the contract says."""
    problems = []
    if contract.start > today():
        problems.append(f"start: {contract.start} lies ahead; there is no partition yet")
    path = LakePaths.of(settings).silver(contract.name)
    if table_exists(path):
        wanted = contract.partition_columns
        held = list(spark.sql(f"DESCRIBE DETAIL delta.`{path}`").select("partitionColumns").collect()[0][0])
        if held != wanted:
            problems.append(f"partition_by: silver is partitioned by {held}, the contract says {wanted}")
    return problems


def check_topics(contract: StreamContract, settings: Settings) -> list[str]:
    """The broker answers, and the stream's topics are as the contract wants them.

    Raises:
        BrokerUnreachableError: it does not answer.
    """
    wanted = merge_topics(desired_topics([contract]), shared_topics(TOPICS_FILE))
    own = {contract.topic.name, contract.topic.dlq}
    changes = plan_topics(settings, wanted, profile=load_profile("dev", TOPICS_FILE))
    return [
        f"topic {change.topic}: {change.action} needed ({'; '.join(change.details)}); run: lakehouse topics apply"
        for change in changes
        if change.topic in own and change.action != "none"
    ]


def check_dbt(settings: Settings) -> list[str]:
    """Whether dbt parses the project.

    Raises:
        LakehouseError: naming dbt's own complaint.
    """
    state = settings.home / "check"
    variables = dbt_run.environment(
        lake_root=LakePaths.of(settings).root, folder=settings.home, pii_key="check", plan_json="{}"
    )
    dbt_run.run_dbt(["parse"], variables, state)
    return []


def _condition(fields: "DataFrame", sql: str) -> list[str]:
    from pyspark.errors import PySparkException

    try:
        kind = fields.selectExpr(f"({sql}) AS holds").dtypes[0][1]
    except PySparkException as error:
        return [_first_line(error)]
    return [] if kind == "boolean" else [f"comes out as {kind}, a rule must be true or false"]


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
