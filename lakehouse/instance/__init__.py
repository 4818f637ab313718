"""Dagster's instance in the embedded stack, on one machine: how its databases are opened, how its daemon starts.

Here: what `infra/dagster/one_machine.yaml` and the supervisor name. Not here: the run launcher (`lakehouse.launcher`),
making and mending the databases (`engine.embedded.dagster_storage`).
"""
