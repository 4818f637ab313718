"""What is remembered of files' keys: within its bounds, and never a wrong no."""

import pyarrow as pa

from lakehouse.lake.merge.known_keys import KnownKeys


def hashes(*values: int) -> pa.UInt64Array:
    return pa.array(values, pa.uint64())


def test_files_without_a_wanted_hash_are_told_apart():
    known = KnownKeys()
    for name, keys in (("a", hashes(1, 2)), ("b", hashes(3)), ("empty", hashes()), ("c", hashes(2, 4))):
        known.remember(name, keys)
    assert known.without(["a", "b", "c", "empty", "never seen"], hashes(2, 9)) == {"b", "empty"}
    assert known.without(["never seen"], hashes(2)) == set()


def test_a_file_without_room_is_opened_each_time_until_others_are_forgotten():
    known = KnownKeys(most_rows=4)
    known.remember("old", hashes(1, 2))
    known.remember("large", hashes(3, 4, 5))
    assert "large" in known
    assert known.without(["old", "large"], hashes(9)) == {"old"}
    known.keep(["large"])
    assert "old" not in known
    assert "large" not in known, "there is room now"
    known.remember("large", hashes(3, 4, 5))
    assert known.without(["large"], hashes(9)) == {"large"}


def test_what_is_known_follows_a_file_to_its_new_name():
    known = KnownKeys()
    known.remember("staged", hashes(1))
    known.rename("staged", "adopted")
    assert ("staged" in known, "adopted" in known) == (False, True)
    assert known.without(["adopted"], hashes(2)) == {"adopted"}
    known.rename("never seen", "other")
    assert "other" not in known
