"""A code location of its own: a job that ends, one that waits to be killed or ended."""

import time

import dagster as dg


@dg.op
def pass_by(context: dg.OpExecutionContext) -> None:
    context.log.info("passed")


@dg.op
def wait() -> None:
    time.sleep(600)


@dg.job(executor_def=dg.in_process_executor)
def short() -> None:
    pass_by()


@dg.job(executor_def=dg.in_process_executor)
def long() -> None:
    wait()


defs = dg.Definitions(jobs=[short, long])
