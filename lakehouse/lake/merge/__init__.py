"""Merging rows into silver: stage them as files, find the rows that lose, adopt the files in one commit.

Rows are written once, as the data files that the table will consist of. Which of them, or of the table's own, lose to
another row of the same key is found in the key columns alone, and losers are hidden by deletion vectors.
"""
