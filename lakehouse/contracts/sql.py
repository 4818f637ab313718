"""Reading a contract's SQL without Spark: does it parse, does it name only known columns?

Here: what a file can be told at load and lint. Not here: types and functions; `lakehouse check` asks Spark for those.
"""

import difflib
from collections.abc import Iterable


def sql_problem(text: str, known: Iterable[str]) -> str | None:
    """What is wrong with a Spark SQL expression, or None.

    Args:
        text: One expression.
        known: Columns that it may name.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        parsed = sqlglot.parse_one(text, dialect="spark")
    except SqlglotError as error:
        first = str(error).splitlines()[0].replace("\x1b[4m", "").replace("\x1b[0m", "")
        return f"is no SQL expression: {first} In: {text}"
    if not isinstance(parsed, exp.Condition | exp.Alias) or isinstance(parsed, exp.Query):
        return f"is no SQL expression but a statement: {text}"
    columns = sorted(set(known))
    bound = {parameter.name for function in parsed.find_all(exp.Lambda) for parameter in function.expressions}
    for column in parsed.find_all(exp.Column):
        if column.name not in columns and column.name not in bound:
            near = difflib.get_close_matches(column.name, columns, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(columns)}"
            return f"names {column.name}, which is no field; {hint}"
    return None
