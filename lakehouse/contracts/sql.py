"""Reading a contract's SQL without Spark: does it parse, does it name only known columns?

Here: what a file can be told at load and lint. Not here: types and functions; `lakehouse check` asks Spark for those.
"""

import difflib
import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot.expressions import Expr

PARAMETERS = ("partition", "start", "end")
"""What a pipeline's SQL may ask of its partition: the key as text, start and end as timestamps."""
# Functions that read a clock or throw a dice: a partition computed twice would differ.
_NOT_REPEATABLE = {
    "now", "current_timestamp", "current_date", "curdate", "current_time", "localtimestamp", "getdate", "sysdate",
    "rand", "random", "randn", "uuid", "monotonically_increasing_id", "shuffle", "input_file_name",
}  # fmt: skip


def sql_problem(text: str, known: Iterable[str] | None) -> str | None:
    """What is wrong with a Spark SQL expression, or None.

    Args:
        text: One expression.
        known: Columns that it may name; None when they are not known here.
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
    problem = _not_repeatable(parsed)
    if problem is not None or known is None:
        # A record is judged again by whoever rebuilds or proves a table.
        return problem
    columns = sorted(set(known))
    bound = {parameter.name for function in parsed.find_all(exp.Lambda) for parameter in function.expressions}
    for column in parsed.find_all(exp.Column):
        if column.name not in columns and column.name not in bound:
            near = difflib.get_close_matches(column.name, columns, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(columns)}"
            return f"names {column.name}, which is no field; {hint}"
    return None


def condition_problem(text: str, known: Iterable[str]) -> str | None:
    """What is wrong with a rule, or None: as `sql_problem`, and what is no yes or no, or is about many rows."""
    import sqlglot
    from sqlglot import exp

    problem = sql_problem(text, known)
    if problem is not None:
        return problem
    parsed = sqlglot.parse_one(text, dialect="spark").unnest()
    if isinstance(parsed, exp.Add | exp.Sub | exp.Mul | exp.Div | exp.Mod | exp.DPipe | exp.Literal | exp.Neg):
        return f"is no condition, which is true or false: {text}"
    if parsed.find(exp.AggFunc, exp.Window) is not None:
        return f"is about many rows; a rule judges one, table_rules the table: {text}"
    return None


def _not_repeatable(parsed: "Expr") -> str | None:
    from sqlglot import exp

    for function in parsed.find_all(exp.Func):
        name = function.name if isinstance(function, exp.Anonymous) else function.sql_name()
        if name.lower() in _NOT_REPEATABLE:
            return f"calls {name.lower()}, which differs from run to run"
    return None


def query_problem(text: str) -> str | None:
    """What is wrong with a pipeline's query, or None: no single SELECT, an unknown parameter, a clock, a dice."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        parsed = sqlglot.parse_one(text, dialect="spark")
    except SqlglotError as error:
        first = str(error).splitlines()[0].replace("\x1b[4m", "").replace("\x1b[0m", "")
        return f"is no SQL query: {first}"
    if not isinstance(parsed, exp.Query):
        return "is no query; write one SELECT"
    for placeholder in parsed.find_all(exp.Placeholder):
        if placeholder.name not in PARAMETERS:
            return f"names the parameter :{placeholder.name}; allowed: {', '.join(f':{name}' for name in PARAMETERS)}"
    problem = _not_repeatable(parsed)
    return None if problem is None else f"{problem}; the partition (:start, :end) is the only clock"


def tables_of(text: str) -> list[str]:
    """Tables that a query reads, as written (`orders`, `silver.sales`), without its own WITH names, each once."""
    import sqlglot
    from sqlglot import exp

    parsed = sqlglot.parse_one(text, dialect="spark")
    own = {cte.alias for cte in parsed.find_all(exp.CTE)}
    # What a hint names, as in `/*+ broadcast(c) */`, is an alias.
    tables = (table for table in parsed.find_all(exp.Table) if table.find_ancestor(exp.Hint) is None)
    found = (f"{table.db}.{table.name}" if table.db else table.name for table in tables)
    return list(dict.fromkeys(name for name in found if name not in own))


def bind(text: str, parameters: dict[str, str], tables: dict[str, str]) -> str:
    """The query with `:name` and `schema.table` replaced; text within quotes stays as it is.

    Args:
        text: A query that `query_problem` finds nothing wrong with.
        parameters: SQL for each parameter.
        tables: What to write for each table with a schema, by the name that `tables_of` gives.
    """
    import sqlglot
    from sqlglot import TokenType

    tokens = sqlglot.tokenize(text, read="spark")
    replaced: list[tuple[int, int, str]] = []
    for first, second in itertools.pairwise(tokens):
        if first.token_type is TokenType.COLON and second.text in parameters and second.start == first.end + 1:
            replaced.append((first.start, second.end, parameters[second.text]))
    for first, dot, last in zip(tokens, tokens[1:], tokens[2:], strict=False):
        name = f"{first.text}.{last.text}"
        if dot.token_type is TokenType.DOT and name in tables:
            replaced.append((first.start, last.end, tables[name]))
    for start, end, new in sorted(replaced, reverse=True):
        text = text[:start] + new + text[end + 1 :]
    return text
