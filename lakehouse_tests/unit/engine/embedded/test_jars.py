"""The lock file: what it accepts, and that nothing else than the locked bytes reaches the cache."""

import hashlib
from pathlib import Path

import pytest

from lakehouse.engine.embedded import jars
from lakehouse.errors import SetupError

CONTENT = b"not really a jar"
SHA = hashlib.sha256(CONTENT).hexdigest()


def lock_with(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "jars.lock"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_committed_lock_holds_every_group_and_the_versions_named_in_the_module():
    groups = jars.read_lock()
    assert set(groups) == {"kafka", "spark", "compiler"}
    for group, coordinates in jars.FLAT.items():
        locked = {jar.coordinate for jar in groups[group]}
        assert {*coordinates, *jars.TRANSITIVE.get(group, [])} <= locked


def test_file_names_are_unique_so_that_one_folder_holds_all_groups():
    every = {jar for group in jars.read_lock().values() for jar in group}
    assert len({jar.file_name for jar in every}) == len(every)


@pytest.mark.parametrize(
    "line",
    [
        "org.example:thing:1.0",
        f"org.example:thing sha256:{SHA} 16",
        "org.example:thing:1.0 sha256:abc 16",
        f"org.example:thing:1.0 sha256:{SHA} sixteen",
        f"org.example:thing:1.0 md5:{SHA} 16",
    ],
)
def test_bad_line_is_named_with_its_number(tmp_path, line):
    with pytest.raises(SetupError, match=r"jars\.lock:2"):
        jars.read_lock(lock_with(tmp_path, "[spark]", line))


def test_jar_before_the_first_group_is_refused(tmp_path):
    with pytest.raises(SetupError, match="before the first"):
        jars.read_lock(lock_with(tmp_path, f"org.example:thing:1.0 sha256:{SHA} 16"))


def test_missing_lock_says_how_to_restore_it(tmp_path):
    with pytest.raises(SetupError) as caught:
        jars.read_lock(tmp_path / "none.lock")
    assert "git checkout" in caught.value.fix


def test_wrong_hash_names_jar_and_both_hashes(tmp_path):
    path = tmp_path / "thing-1.0.jar"
    path.write_bytes(b"something else")
    with pytest.raises(SetupError) as caught:
        jars.check_hash(path, jars.Jar("org.example:thing:1.0", SHA, len(CONTENT)))
    assert "org.example:thing:1.0" in caught.value.problem
    assert SHA in caught.value.problem
    assert hashlib.sha256(b"something else").hexdigest() in caught.value.problem
    assert "lakehouse setup" in caught.value.fix


@pytest.fixture
def one_jar(monkeypatch, tmp_path):
    """A lock of one jar, and a repository that serves the bytes in `served`."""
    lock = {"spark": [jars.Jar("org.example:thing:1.0", SHA, len(CONTENT))]}
    served = {"bytes": CONTENT, "requests": 0}

    class Repository:
        def __init__(self, folder: Path) -> None:
            self.folder = folder

        def project(self, *_):
            return self

        def at_version(self, *_):
            return self

        def artifact(self, **_):
            return self

        def resolve(self):
            served["requests"] += 1
            path = self.folder / "thing-1.0.jar"
            path.write_bytes(served["bytes"])
            return path

    monkeypatch.setattr(jars, "read_lock", lambda *_: lock)
    monkeypatch.setattr(jars, "_maven", lambda folder, *_: Repository(folder))
    return served


def test_fetch_downloads_once_and_then_reuses(one_jar, tmp_path):
    assert jars.fetch(tmp_path) == 1
    assert jars.fetch(tmp_path) == 0
    assert one_jar["requests"] == 1
    assert [path.name for path in jars.jar_folder(tmp_path).iterdir()] == ["thing-1.0.jar"]


def test_fetch_leaves_nothing_behind_when_the_hash_is_wrong(one_jar, tmp_path):
    one_jar["bytes"] = b"tampered bytes!!"
    with pytest.raises(SetupError, match="SHA-256"):
        jars.fetch(tmp_path)
    assert list(jars.jar_folder(tmp_path).iterdir()) == []


def test_truncated_jar_in_the_cache_is_fetched_again(one_jar, tmp_path):
    jars.fetch(tmp_path)
    (jars.jar_folder(tmp_path) / "thing-1.0.jar").write_bytes(CONTENT[:5])
    assert jars.fetch(tmp_path) == 1


def test_damaged_names_a_jar_of_right_size_and_wrong_bytes(one_jar, tmp_path):
    jars.fetch(tmp_path)
    assert jars.damaged(tmp_path) == []
    (jars.jar_folder(tmp_path) / "thing-1.0.jar").write_bytes(CONTENT[::-1])
    assert jars.damaged(tmp_path) == ["thing-1.0.jar"]


def test_unwritable_cache_names_the_setting(one_jar, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    with pytest.raises(SetupError) as caught:
        jars.fetch(blocked)
    assert "LAKEHOUSE_CACHE" in caught.value.fix
