"""The catalogue of gold: models, columns, tests and lineage as one page.

Here: rendering and checking that page. Not here: building gold (`lake.gold.builds`), the descriptions (`dbt_project/`).
"""

import re
import shutil
from pathlib import Path

from lakehouse.errors import GoldBuildError
from lakehouse.lake.gold import builds, dbt_run
from lakehouse.settings import Settings

_REMOTE = re.compile(
    r"<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)\s*=\s*[\"']?((?:https?:)?//[^\"'\s>]+)", re.IGNORECASE
)


def build_docs(settings: Settings) -> Path:
    """Render the catalogue as one page that asks nothing of the network and holds no secret.

    Returns:
        `<home>/docs/dbt/index.html`.

    Raises:
        GoldBuildError: when dbt could not run, or the page would load something from elsewhere.
    """
    target = settings.home / "docs" / "dbt" / "index.html"
    with builds.building(settings, frozen=builds.last_build(settings) is not None) as run:
        # The page shows compiled SQL; the key of the pseudonyms must not be in it.
        env = run.env | {"LAKEHOUSE_DBT_PII_KEY": "secret"}
        state = run.state / "docs"
        dbt_run.run_dbt(["docs", "generate", "--static"], env, state)
        page = state / "target" / "static_index.html"
        remote = remote_references(page.read_text(encoding="utf-8"))
        if remote:
            raise GoldBuildError("The page would load from elsewhere.", why=", ".join(sorted(remote)))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(page, target)
    return target


def remote_references(html: str) -> set[str]:
    """Addresses of other hosts that a page would load by itself: scripts, styles, images, frames."""
    return set(_REMOTE.findall(html))
