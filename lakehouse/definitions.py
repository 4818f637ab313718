"""The only entry point for Dagster: everything below `lakehouse/defs`, plus the resources.

Here: assembly. Not here: any asset, check, job or sensor; each lives in its folder below `defs/` and is found there.
Lazy: importing this module loads nothing; `workspace.yaml` and `dg` call `defs`.
"""

import warnings
from collections.abc import Mapping

import dagster as dg

from lakehouse.settings import PROJECT_ROOT


def build_defs(resources: Mapping[str, object] | None = None) -> dg.Definitions:
    """The project's definitions; production, tests and commands all use this. `resources` replace the defaults."""
    from lakehouse.components import LakeResource

    # The folder alone: loading from the tree's root would also import every installed library of component types,
    # seconds that each run would pay at its start.
    tree = dg.ComponentTree.for_project(PROJECT_ROOT)
    shared = dg.Definitions(
        resources={"lake": LakeResource(), **(resources or {})},
        # Few steps, each heavy elsewhere (Spark, dbt): a process per step would only add its start.
        executor=dg.in_process_executor,
        component_tree=tree,
    )
    with warnings.catch_warnings():
        # Dagster marks parts of its component API as beta, at every load; the version is pinned.
        warnings.simplefilter("ignore", category=dg.BetaWarning)
        warnings.simplefilter("ignore", category=dg.PreviewWarning)
        return dg.Definitions.merge(tree.build_defs_at_path("."), shared)


@dg.definitions
def defs() -> dg.Definitions:
    """What `dagster dev`, `dg dev` and the deployed code server load."""
    return build_defs()
