"""No secret is kept in the repository: the shapes that keys, tokens and passwords in addresses have."""

import re
import subprocess

import pytest

from lakehouse.settings import PROJECT_ROOT

SHAPES = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s*[A-Za-z0-9+/]{40}",
    "a key of AWS": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a secret of AWS": r"(?i)aws_secret_access_key\W{1,4}[A-Za-z0-9/+]{40}",
    "a token of GitHub": r"\bgh[pousr]_[A-Za-z0-9]{36}\b",
    "a token of Slack": r"\bxox[abprs]-[0-9A-Za-z-]{20,}",
    "a password in an address": r"[a-z][a-z0-9+]*://[^\s/:@${}<>\"']+:(?!\$|<|\{|%|\*|…|\.\.\.)[^\s/:@${}<>\"']{6,}@",
}
# Made for the tests of masking: whoever reads them learns nothing.
HARMLESS = re.compile(r"canary|example|hunter2|s3cr3t|secret|password", re.IGNORECASE)


def tracked() -> list[str]:
    answer = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT_ROOT, capture_output=True, check=False)
    if answer.returncode:
        pytest.skip("no checkout of git")
    return [name for name in answer.stdout.decode().split("\0") if name]


def test_the_shapes_find_what_they_are_for() -> None:
    key = "-----BEGIN PRIVATE KEY-----\n" + "A" * 64
    made = [key, "AKIA" + "A" * 16, "aws_secret_access_key = " + "a" * 40, "ghp_" + "a" * 36, "xoxb-" + "1" * 24]
    for text, shape in zip([*made, "https://ada:" + "lovelace1@host/"], SHAPES.values(), strict=True):
        assert re.search(shape, text), shape


def test_no_file_of_the_repository_holds_a_secret() -> None:
    found = []
    for name in tracked():
        path = PROJECT_ROOT / name
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        for what, shape in SHAPES.items():
            found += [f"{name}: {what}" for match in re.finditer(shape, text) if not HARMLESS.search(match[0])]
    assert found == []
