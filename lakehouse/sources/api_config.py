"""Which HTTP services are read and how: `infra/sources/apis.yaml`, one entry per source.

Here: the file's form and its errors. Not here: asking (`sources.http`), pages and records (`sources.rest`).
"""

import os
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lakehouse.errors import UsageError
from lakehouse.settings import PROJECT_ROOT
from lakehouse.sources.http import Credentials

APIS_FILE = PROJECT_ROOT / "infra" / "sources" / "apis.yaml"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Auth(_Strict):
    """How we prove who we are. Secrets are named by their environment variable, never written here.

    `user_env` belongs to `basic`; `name` is the header's or the query parameter's, for `header` and `query`.
    """

    kind: Literal["none", "bearer", "basic", "header", "query"] = "none"
    secret_env: str = ""
    user_env: str = ""
    name: str = ""

    def credentials(self) -> Credentials:
        """Read the environment.

        Raises:
            UsageError: naming the variable that is not set.
        """
        if self.kind == "none":
            return Credentials()
        secret = _variable(self.secret_env)
        if self.kind == "bearer":
            return Credentials(headers={"authorization": f"Bearer {secret}"})
        if self.kind == "basic":
            return Credentials(basic=(_variable(self.user_env), secret))
        return (
            Credentials(headers={self.name: secret})
            if self.kind == "header"
            else Credentials(params={self.name: secret})
        )


class NoPages(_Strict):
    """Everything is in one answer."""

    kind: Literal["none"] = "none"


class NumberedPages(_Strict):
    """Pages by number or by offset; a page with fewer than `size` records is the last."""

    kind: Literal["page", "offset"]
    param: str
    size_param: str | None = None
    size: int = Field(100, ge=1)
    start: int = Field(1, ge=0)


class CursorPages(_Strict):
    """Each answer holds the cursor of the next one at `path`; none, null or "" ends it."""

    kind: Literal["cursor"]
    param: str
    path: str


class LinkedPages(_Strict):
    """Each answer names the next one in its `Link` header."""

    kind: Literal["link"]


Pages = Annotated[NoPages | NumberedPages | CursorPages | LinkedPages, Field(discriminator="kind")]


class Watermark(_Strict):
    """Ask only for what is new: `param` takes the highest `field` that was sent so far."""

    field: str
    param: str
    initial: str | None = None


class ApiSource(_Strict):
    """One HTTP source.

    `records` is the path of the list of records in an answer ("" when the answer is the list, or one record), `key` the
    fields whose values become the Kafka key. `topic` is where the records go when the command line names no other.
    """

    url: str = Field(pattern=r"^https?://")
    description: str = Field(min_length=3)
    topic: str
    records: str = ""
    key: list[str] = []
    params: dict[str, str | int] = {}
    auth: Auth = Auth()
    pages: Pages = NoPages()
    watermark: Watermark | None = None
    connect_seconds: float = Field(5, gt=0)
    read_seconds: float = Field(10, gt=0)
    total_seconds: float = Field(60, gt=0)
    attempts: int = Field(5, ge=1, le=20)
    max_pages: int = Field(1_000, ge=1)


def load_api(name: str, path: Path = APIS_FILE) -> ApiSource:
    """The entry of that name.

    Raises:
        UsageError: naming the file, the field and what is wrong, or the sources that there are.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.", fix="Name another file with --sources."
        ) from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: no valid YAML: {str(error).splitlines()[0]}.", fix="Correct it.") from error
    sources = document.get("sources") if isinstance(document, dict) else None
    if not isinstance(sources, dict):
        raise UsageError(f"{path} has no `sources:`.", fix="Write one entry per source below it; see docs/sources.md.")
    if name not in sources:
        raise UsageError(f"{path} has no source {name!r}.", fix=f"It has: {', '.join(sources) or 'none'}.")
    try:
        return ApiSource.model_validate(sources[name])
    except ValidationError as error:
        problems = "; ".join(
            f"sources.{name}.{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.errors()
        )
        allowed = ", ".join(ApiSource.model_fields)
        raise UsageError(f"{path}: {problems}.", fix=f"A source may have: {allowed}.") from error


def _variable(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise UsageError(
            f"The source needs the environment variable {name or '(none named)'}, which is not set.",
            fix=f"Set it: export {name}=…" if name else "Name one in the source's `auth`; see docs/sources.md.",
        )
    return value
