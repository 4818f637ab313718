"""The only entry point for Dagster: everything below `lakehouse/defs`, plus the resources.

Here: assembly. Not here: any asset, check, job or sensor; each lives in its folder below `defs/` and is found there.
Lazy: importing this module loads nothing; `workspace.yaml` and `dg` call `defs`.
"""

from collections.abc import Mapping

import dagster as dg

from lakehouse.settings import PROJECT_ROOT


def build_defs(resources: Mapping[str, object] | None = None) -> dg.Definitions:
    """The project's definitions; production, tests and commands all use this. `resources` replace the defaults."""
    from lakehouse.components.resources import LakeResource

    found = dg.load_from_defs_folder(path_within_project=PROJECT_ROOT)
    return dg.Definitions.merge(found, dg.Definitions(resources={"lake": LakeResource(), **(resources or {})}))


@dg.definitions
def defs() -> dg.Definitions:
    """What `dagster dev`, `dg dev` and the deployed code server load."""
    return build_defs()
