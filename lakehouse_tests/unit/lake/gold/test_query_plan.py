"""What is slow in a query, told from the plan that DuckDB really followed."""

import json
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from lakehouse.cli.tune import app as tune
from lakehouse.errors import UsageError
from lakehouse.lake.gold.query_plan import MANY_ROWS, follow, judge


@pytest.fixture(scope="module")
def gold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300,000 facts in the order of their day, and a small dimension."""
    path = tmp_path_factory.mktemp("home") / "gold" / "gold.duckdb"
    path.parent.mkdir()
    with duckdb.connect(str(path)) as duck:
        duck.execute(
            "create table facts as select n as id, date '2026-01-01' + cast(n / 1000 as integer) as event_date, "
            "n % 7 as shop, n % 1000 as amount from range(300000) t(n)"
        )
        duck.execute("create table shops as select n as shop, 'Shop ' || n as name from range(7) t(n)")
    return path


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select sum(amount) from facts", "reads all 300,000 rows of facts"),
        ("select sum(id) from facts where amount = 5", "rows of facts to keep"),
        ("select * from facts order by amount", "sorts 300,000 rows"),
        ("select sum(a.amount + b.shop) from facts a, shops b where a.amount > b.shop * 100", "each with each"),
        ("select count(a.id + b.id) from facts a join facts b using (shop) where a.id < 3000 and b.id < 3000", "makes"),
    ],
)
def test_what_costs_is_named(gold: Path, query: str, said: str) -> None:
    found = judge(follow(gold, query))
    assert any(said in advice.what for advice in found), found
    assert all(advice.instead for advice in found)


@pytest.mark.parametrize(
    "query",
    [
        "select sum(amount) from facts where event_date = date '2026-02-01'",
        "select name, sum(amount) from facts join shops using (shop) where event_date = date '2026-02-01' group by 1",
        "select * from shops order by name",
    ],
)
def test_a_query_that_costs_little_gets_no_advice(gold: Path, query: str) -> None:
    assert judge(follow(gold, query)) == []


def test_the_slowest_step_is_named_with_its_share(gold: Path) -> None:
    plan = follow(gold, "select * from facts where event_date > date '2026-01-02' order by amount, id")
    # A scan is judged by what it reads, whatever time it took on this machine.
    slowest = max((step for step in plan.walk() if "Table" not in step.about), key=lambda step: step.seconds)
    assert slowest.given >= MANY_ROWS
    share = slowest.seconds / sum(step.seconds for step in plan.walk())
    assert any(f"{share:.0%} of the time" in advice.what for advice in judge(plan)) == (share >= 0.5)


def test_the_command_answers_in_json_and_refuses_what_is_no_query(gold: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(gold.parents[1]))
    result = CliRunner().invoke(tune, ["--sql", "select sum(amount) from facts", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["seconds"] > 0
    assert found["advice"][0]["instead"]
    for arguments, message in (
        (["--sql", "selct 1"], "cannot answer"),
        (["--sql", "select 1", "--cost"], "do not go together"),
        (["--cost", "--hours", "-1"], "not possible"),
    ):
        refused = CliRunner().invoke(tune, arguments)
        assert isinstance(refused.exception, UsageError)
        assert message in str(refused.exception)
