"""How a run of Dagster becomes a process: forked from one that has loaded the definitions already.

Here: the run launcher that `infra/dagster/one_machine.yaml` names, and the process it forks from; decision 0024 says
why. Not here: what a run does.
"""

PROCESS_TAG = ".lakehouse/process"
"""Tag of a run: where its process is."""
