"""Deletion vectors as Delta writes them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap64

from lakehouse.errors import LogDamagedError
from lakehouse.lake.merge.vectors import read_vector, write_vectors

_ROWS = st.sets(st.integers(0, 2**40), max_size=50)


@given(vectors=st.dictionaries(st.sampled_from(["a", "b", "c"]), _ROWS, min_size=1))
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, vectors: dict[str, set[int]]) -> None:
    table = tmp_path_factory.mktemp("table")
    descriptors = write_vectors(table, {name: BitMap64(rows) for name, rows in vectors.items()})
    assert {name: set(read_vector(table, _add(descriptors[name]))) for name in vectors} == vectors
    assert {name: found["cardinality"] for name, found in descriptors.items()} == {
        name: len(rows) for name, rows in vectors.items()
    }


def test_a_file_without_a_vector_hides_nothing(tmp_path: Path) -> None:
    assert not read_vector(tmp_path, {"path": "x"})


def test_a_vector_within_the_log_is_read(tmp_path: Path) -> None:
    """The example of the Delta protocol: rows 3, 4, 7, 11, 18, 29."""
    text = "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L"
    vector = {"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": 44, "cardinality": 6}
    assert set(read_vector(tmp_path, {"path": "x", "deletionVector": vector})) == {3, 4, 7, 11, 18, 29}


def test_a_torn_vector_is_named(tmp_path: Path) -> None:
    descriptor = write_vectors(tmp_path, {"a": BitMap64([1, 2])})["a"]
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-6])
    with pytest.raises(LogDamagedError, match=file.name):
        read_vector(tmp_path, _add(descriptor))


def _add(descriptor: dict[str, object]) -> dict[str, object]:
    return {"path": "x", "deletionVector": descriptor}
