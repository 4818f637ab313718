"""Commits of our own to a table's Delta log: data files staged beside the table, moved in, named by one commit file.

All tables of the lake are made this way, and bronze, silver, quarantine, speed tables and the windows of pipelines are
written this way; Spark, DuckDB or this process make the files.
"""
