"""DuckDB's extensions, installed from their wheels into the user's extension folder.

Here: the one-time installation. Not here: connections that use them.
"""

from lakehouse.errors import SetupError

EXTENSIONS = ("delta", "httpfs")


def install() -> bool:
    """Install what is not installed; return whether anything was.

    Raises:
        SetupError: an extension does not install or load.
    """
    import duckdb
    from duckdb_extensions import import_extension

    try:
        with duckdb.connect() as connection:
            rows = connection.sql("select extension_name from duckdb_extensions() where installed").fetchall()
            missing = [name for name in EXTENSIONS if (name,) not in rows]
            for name in missing:
                import_extension(name, con=connection)
                connection.load_extension(name)
    except (duckdb.Error, RuntimeError, OSError) as error:
        raise SetupError(
            "DuckDB's extensions could not be installed.",
            why=str(error).splitlines()[0],
            fix="DuckDB keeps them in ~/.duckdb, which must be writable; then: lakehouse setup",
        ) from error
    return bool(missing)
