"""Commits of our own to a table's Delta log: data files staged beside the table, moved in, named by one commit file.

Bronze, silver and quarantine are written this way; Spark and DuckDB make the files.
"""
