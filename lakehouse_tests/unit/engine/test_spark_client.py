"""pyspark's client stays silent in a run, whatever sets up logging there."""

import logging
import logging.config

import pytest

from lakehouse.engine.spark_client import put_right


@pytest.mark.parametrize(("asked", "speaks"), [(None, False), ("WARN", True)])
def test_the_client_is_silent_unless_it_is_asked_to_speak(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, speaks: bool
) -> None:
    logger = logging.getLogger("pyspark.sql.connect.logging")
    before = logger.level, logger.disabled
    logger.setLevel(logging.NOTSET)
    monkeypatch.delenv("SPARK_CONNECT_LOG_LEVEL", raising=False)
    if asked:
        monkeypatch.setenv("SPARK_CONNECT_LOG_LEVEL", asked)
    try:
        put_right()
        # As Dagster does at the beginning of each step.
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
        assert logger.isEnabledFor(logging.WARNING) is speaks
    finally:
        logger.setLevel(before[0])
        logger.disabled = before[1]
