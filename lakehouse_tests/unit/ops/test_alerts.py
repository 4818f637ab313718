"""The alert rules of the project: each fires just above its bound, not at it; each has its runbook and channels."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import UsageError
from lakehouse.ops.alerts import ALERTS_FILE, AlertRule, evaluate, load_alerts
from lakehouse.ops.samples import Sample
from lakehouse.settings import PROJECT_ROOT

CONFIG = load_alerts()
LABELS = {"stream": "sales", "host": "h", "job": "drain_sales", "run": "1a2b", "reason": "why", "table": "silver.sales",
          "check": "quantity_positive", "topic": "sales_events"}  # fmt: skip
PARTS = ["What you see", "Why", "What was kept", "What to do now", "How to confirm"]


@pytest.mark.parametrize(
    ("metric", "fine", "too_much", "rule"),
    [
        ("run_failed", 0, 1, "pipeline_failure"),
        ("latency_seconds", 10.0, 10.001, "high_latency"),
        ("data_quality_findings", 0, 1, "data_quality"),
        ("cpu_percent", 80.0, 80.1, "high_utilisation"),
        ("memory_percent", 80.0, 80.1, "high_utilisation"),
        ("disk_percent", 80.0, 80.1, "high_utilisation"),
    ],
)
def test_the_four_rules_fire_above_their_bound_and_not_at_it(
    metric: str, fine: float, too_much: float, rule: str
) -> None:
    assert evaluate(CONFIG, [Sample(metric, fine, LABELS)]) == []
    (alert,) = evaluate(CONFIG, [Sample(metric, too_much, LABELS)])
    assert alert.rule == rule
    assert alert.value == too_much
    assert "?" not in alert.summary


@given(value=st.floats(0, 1e6), name=st.sampled_from(sorted({m for rule in CONFIG.rules for m in rule.metrics})))
def test_a_sample_fires_exactly_the_rules_whose_bound_it_exceeds(value: float, name: str) -> None:
    wanted = {rule.name for rule in CONFIG.rules if name in rule.metrics and value > rule.above}
    assert {alert.rule for alert in evaluate(CONFIG, [Sample(name, value, LABELS)])} == wanted


def test_the_worst_comes_first_and_one_trouble_is_one_alert() -> None:
    samples = [
        Sample("cpu_percent", 91, {"host": "h"}),
        Sample("disk_percent", 99, {"host": "h"}),
        *(Sample("latency_seconds", seconds, {"stream": "sales"}) for seconds in (12.0, 47.0, 11.0)),
        *(Sample("run_failed", 1, {"job": "j", "run": run, "reason": run}) for run in "ab"),
    ]
    found = evaluate(CONFIG, samples)
    assert [alert.rule for alert in found] == [
        "pipeline_failure",
        "high_latency",
        "high_utilisation",
        "high_utilisation",
    ]
    assert found[1].value == 47.0
    assert "47.0 s" in found[1].summary
    assert {alert.labels["metric"] for alert in found[2:]} == {"cpu_percent", "disk_percent"}


@pytest.mark.parametrize("rule", CONFIG.rules, ids=lambda rule: rule.name)
def test_every_rule_has_a_runbook_that_helps_and_a_channel(rule: AlertRule) -> None:
    text = (PROJECT_ROOT / rule.runbook).read_text(encoding="utf-8")
    assert text.startswith(f"# {rule.name}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == PARTS
    assert CONFIG.routes[rule.severity]
    index = (PROJECT_ROOT / "docs" / "runbooks" / "alerts" / "README.md").read_text(encoding="utf-8")
    assert f"[{rule.name}]({rule.name}.md)" in index


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metrics": ["no_such"]}, "no such metric: no_such"),
        ({"runbook": "docs/nothing.md"}, "does not exist; every alert has a runbook"),
        ({"severity": "bad"}, "severity"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_file_names_the_field(tmp_path: Path, change: dict[str, object], said: str) -> None:
    document = yaml.safe_load(ALERTS_FILE.read_text(encoding="utf-8"))
    document["rules"][0] |= change
    path = tmp_path / "alerts.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(UsageError, match=re.escape(said)) as failure:
        load_alerts(path)
    assert "rules.0" in str(failure.value)


def test_the_file_says_what_was_agreed() -> None:
    assert CONFIG.repeat_after == timedelta(hours=4)
    assert CONFIG.rule("high_latency").above == 10
    assert CONFIG.rule("high_utilisation").above == 80
    assert CONFIG.routes["critical"] == ["email", "slack", "pagerduty"]
