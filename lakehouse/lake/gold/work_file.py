"""The DuckDB file that a build works on: how it begins, how it takes the place of the published one.

It lies in a folder of its own, made anew for each build: dbt works there, and spills there. A dbt that outlived its
build is in a folder that is gone, and can put nothing into the new one.

Here: files. Not here: the life of a build (`lake.gold.builds`), the record that is written into it
(`lake.gold.build_record`).
"""

import shutil
from pathlib import Path
from typing import Literal

from lakehouse.engine.duck import duck_connection, literal
from lakehouse.lake.guards.durable import fsync

MAX_FREE_SHARE = 0.5
"""A file of which more than this share holds nothing is written anew: that takes a third as long as computing it."""
Keep = Literal["everything", "history", "nothing"]


def begin(work: Path, published: Path, keep: Keep) -> None:
    """Make the work file, or leave its making to dbt when it keeps nothing.

    Args:
        work: Where, in a folder that is its own; what a killed build left there goes.
        published: The published file; it may be absent when nothing is kept.
        keep: What the build goes on from: `history` is what no build computes anew, snapshots and records of builds.
    """
    remove(work)
    work.parent.mkdir(parents=True)
    try:
        if keep == "everything":
            shutil.copyfile(published, work)
        elif keep == "history":
            _copy_history(published, work)
    except BaseException:
        remove(work)
        raise


def _copy_history(published: Path, work: Path) -> None:
    with duck_connection(work) as connection:
        connection.execute(f"attach {literal(str(published))} as published (read_only)")
        kept = connection.execute(
            "select schema_name, table_name from duckdb_tables()"
            " where database_name = 'published' and (schema_name = 'snapshots' or starts_with(table_name, '_'))"
        ).fetchall()
        for schema, table in kept:
            connection.execute(f'create schema if not exists "{schema}"')
            connection.execute(f'create table "{schema}"."{table}" as from published."{schema}"."{table}"')
        connection.execute("checkpoint")


def publish(work: Path, published: Path, *, pack: bool) -> None:
    """Put the work file, read-only, in the place of the published one.

    Readers that have the old file open keep it; whoever opens the path from now on gets the new one.

    Args:
        work: The work file; its folder goes.
        published: The place.
        pack: Write the file anew, since blocks that are free, or partly so, still hold what was deleted from them.
    """
    if pack or _free_share(work) > MAX_FREE_SHARE:
        _pack(work)
    work.chmod(0o444)
    fsync(work)
    work.replace(published)
    fsync(published.parent)
    remove(work)


def _free_share(path: Path) -> float:
    """Share (0 to 1) of a file's blocks that hold nothing: what tables had that were replaced or deleted from."""
    with duck_connection(path, read_only=True) as connection:
        blocks, free = connection.execute("select total_blocks, free_blocks from pragma_database_size()").fetchall()[0]
    return free / blocks if blocks else 0.0


def _pack(work: Path) -> None:
    packed = work.with_name("packed.duckdb")
    with duck_connection() as connection:
        connection.execute(f"attach {literal(str(work))} as loose (read_only)")
        connection.execute(f"attach {literal(str(packed))} as packed")
        connection.execute("copy from database loose to packed")
        connection.execute("checkpoint packed")
    packed.replace(work)


def remove(work: Path) -> None:
    """Take the work file away, with all that is beside it."""
    shutil.rmtree(work.parent, ignore_errors=True)
