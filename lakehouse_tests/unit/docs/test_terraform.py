"""`infra/terraform`: well-formed, and with the facts that the docs and the topics rely on. It is not applied here."""

import re
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml

from lakehouse.settings import PROJECT_ROOT

ROOT = PROJECT_ROOT / "infra" / "terraform"
MSK = ROOT / "msk"


def plain(value: Any) -> Any:
    """What the parser found, without its quotes and marks; a block that stands alone is its only one."""
    if isinstance(value, dict):
        return {plain(key): plain(each) for key, each in value.items() if key != "__is_block__"}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.strip('"') if isinstance(value, str) else value


def blocks(folder: Path, kind: str) -> dict[str, Any]:
    """Every block of a kind in a folder, by `type.name` or by its only label."""
    found: dict[str, Any] = {}
    for path in sorted(folder.glob("*.tf")):
        with path.open(encoding="utf-8") as file:
            document = plain(hcl2.load(file))
        for block in document.get(kind, []):
            for label, body in block.items():
                if kind in ("resource", "data"):
                    found |= {f"{label}.{name}": own for name, own in body.items()}
                else:
                    found[label] = body
    return found


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    return blocks(MSK, "resource")


def test_three_brokers_three_copies_two_of_them_in_sync(resources: dict[str, Any]) -> None:
    cluster = resources["aws_msk_cluster.this"]
    assert cluster["number_of_broker_nodes"] == "${local.broker_count}"
    text = (MSK / "main.tf").read_text(encoding="utf-8")
    assert re.search(r"^  broker_count = 3$", text, re.MULTILINE)
    assert cluster["configuration_info"][0]["arn"] == "${aws_msk_configuration.this.arn}"
    lines = re.findall(
        r"^ +([\w.]+)=(\S+)$", resources["aws_msk_configuration.this"]["server_properties"], re.MULTILINE
    )
    properties = dict(lines)
    assert properties["default.replication.factor"] == properties["offsets.topic.replication.factor"] == "3"
    assert properties["auto.create.topics.enable"] == properties["unclean.leader.election.enable"] == "false"
    # As the topics themselves are made for production.
    production = yaml.safe_load((PROJECT_ROOT / "infra/kafka/topics.yaml").read_text(encoding="utf-8"))["profiles"][
        "production"
    ]
    assert production["min_replication_factor"] == 3
    assert properties["min.insync.replicas"] == str(production["config"]["min.insync.replicas"]) == "2"


def test_everything_is_encrypted_and_clients_sign_in(resources: dict[str, Any]) -> None:
    cluster = resources["aws_msk_cluster.this"]
    [encryption] = cluster["encryption_info"]
    assert encryption["encryption_at_rest_kms_key_arn"] == "${aws_kms_key.this.arn}"
    assert encryption["encryption_in_transit"] == [{"client_broker": "TLS", "in_cluster": True}]
    assert resources["aws_kms_key.this"]["enable_key_rotation"] is True
    assert cluster["client_authentication"] == [{"sasl": [{"iam": True, "scram": True}]}]


def test_the_ports_are_open_to_named_ranges_only(resources: dict[str, Any]) -> None:
    rules = {
        name.rpartition(".")[2]: rule
        for name, rule in resources.items()
        if name.startswith("aws_vpc_security_group_ingress_rule.")
    }
    assert (rules["kafka"]["from_port"], rules["kafka"]["to_port"]) == (9092, 9094)
    assert rules["kafka"]["for_each"] == "${toset(var.allowed_cidr_blocks)}"
    assert set(rules) == {"kafka", "sign_in", "between_brokers"}
    assert "[9096, 9098]" in rules["sign_in"]["for_each"]
    for rule in rules.values():
        is_own = rule.get("referenced_security_group_id") == "${aws_security_group.brokers.id}"
        assert is_own or "var.allowed_cidr_blocks" in rule["for_each"]
    assert '!endswith(block, "/0")' in (MSK / "variables.tf").read_text(encoding="utf-8")
    assert resources["aws_msk_cluster.this"]["broker_node_group_info"][0]["security_groups"] == [
        "${aws_security_group.brokers.id}"
    ]


def test_clients_get_rights_on_this_cluster_alone() -> None:
    policy = blocks(MSK, "data")["aws_iam_policy_document.client"]
    actions = {action for statement in policy["statement"] for action in statement["actions"]}
    assert {"kafka-cluster:Connect", "kafka-cluster:ReadData", "kafka-cluster:WriteData"} <= actions
    assert "kafka-cluster:AlterTransactionalId" in actions, "transactional relays need it"
    assert not any("*" in action for action in actions)
    named = {resource for statement in policy["statement"] for resource in statement["resources"]}
    assert named == {"${aws_msk_cluster.this.arn}", "${local.topics}", "${local.groups}", "${local.transactions}"}


def test_it_is_off_until_it_is_asked_for_by_the_name_that_terraform_reads() -> None:
    variables, outputs = blocks(ROOT, "variable"), blocks(ROOT, "output")
    assert variables["enable_msk"]["default"] is False
    [module] = [blocks(ROOT, "module")["msk"]]
    assert module["count"] == "${var.enable_msk ? 1 : 0}"
    assert outputs["kafka_bootstrap_servers"]["value"] == "${one(module.msk[*].kafka_bootstrap_servers)}"
    page = (PROJECT_ROOT / "docs" / "msk.md").read_text(encoding="utf-8")
    assert "TF_VAR_enable_msk=true" in page
    assert "terraform output -raw kafka_bootstrap_servers" in page


@pytest.mark.parametrize("folder", [ROOT, MSK], ids=["root", "msk"])
def test_what_is_used_is_declared_and_what_is_declared_is_used(folder: Path) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.tf")))
    declared = set(blocks(folder, "variable"))
    assert set(re.findall(r"\bvar\.(\w+)", text)) == declared
    for variable in blocks(folder, "variable").values():
        assert variable["description"]
    labels = {*blocks(folder, "resource"), *(f"data.{name}" for name in blocks(folder, "data"))}
    used = set(re.findall(r"(?<![\w.])((?:data\.)?aws_\w+\.\w+)(?=\.)", text))
    assert used <= labels
    if folder == ROOT:
        given = set(blocks(ROOT, "module")["msk"]) - {"source", "count"}
        assert given == set(blocks(MSK, "variable"))
        wanted = set(re.findall(r"module\.msk\[\*\]\.(\w+)", text))
        assert wanted <= set(blocks(MSK, "output"))
