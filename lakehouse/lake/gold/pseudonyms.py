"""The secret behind gold's pseudonyms.

Here: making and keeping it. Not here: using it (`dbt_project/macros/keys.sql`).
"""

import secrets
from pathlib import Path


def secret_key(folder: Path) -> str:
    """The key, made once; it stays in gold's folder, beside the file and never inside.

    Raises:
        OSError: it cannot be kept.
    """
    path = folder / "pii.key"
    if not path.is_file():
        temporary = path.with_name(path.name + ".new")
        temporary.write_text(secrets.token_hex(16), encoding="utf-8")
        temporary.chmod(0o600)
        temporary.replace(path)
    return path.read_text(encoding="utf-8")
