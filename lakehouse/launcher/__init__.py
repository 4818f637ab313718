"""How a run of Dagster becomes a process: forked from one that has loaded the definitions already.

Here: the run launcher that `infra/dagster/one_machine.yaml` names, the process it forks from. Not here: what a run does.
Decision 0024 says why.
"""
