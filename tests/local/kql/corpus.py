"""Run KQL that others wrote against the local workspace: ``python tests/local/kql/corpus.py CHECKOUT…``.

Queries are the `.kql` files, the texts that look like queries, and the blocks of KQL in Markdown. Their tables are
those of this package; columns that a query mentions beside them are guessed, with a type that fits their use, so that
a refusal tells of an operator or a function. Examples that print their result are compared with it. The figures are
per checkout; `--refused` adds the reasons, the most frequent first, and `--wrong` the answers that differ.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb

from logging_azmon._config.presets import BUILT_IN, preset
from logging_azmon.local.kql import grammar
from logging_azmon.local.kql.errors import QueryError
from logging_azmon.local.kql.names import outside
from logging_azmon.local.kql.quoting import sql_name
from logging_azmon.local.kql.rewriter import translate
from logging_azmon.local.kql.stages import SQL_TYPES
from logging_azmon.local.kql.translation import kusto_type, parse, plain_name, stage_type
from logging_azmon.local.query.values import json_writer

SECONDS = 10
MAX_GUESSES = 80
_BLOCK = re.compile(r"^\s*```\s*(?:kusto|kql|KQL|Kusto)\s*\n(.*?)^\s*```", re.DOTALL | re.MULTILINE)
_OUTPUT = re.compile(r"\s*(?:\*\*Output\*\*\s*)?((?:\|?[^\n]*\|[^\n]*\n)+)")
_UNKNOWN = re.compile(r"named '([^']+)'")
_ELSEWHERE = re.compile(
    r"^\s*\.|externaldata|\bcluster\(|\bdatabase\(|workspace\(|_GetWatchlist|\bgeo_|graph-|StormEvents"
)
_TABLES = {
    name: {column.name: "bool" if column.type == "boolean" else column.type for column in preset(name)}
    for name in BUILT_IN
}


def queries(path: Path) -> Iterator[tuple[str, str | None]]:
    """Yield the queries of a checkout, each with the table that is printed as its result."""
    for file in sorted(path.rglob("*")):
        if file.suffix not in {".kql", ".md", ".txt", ".csl"} or not file.is_file():
            continue
        raw = file.read_bytes()
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "replace")
        text = text.replace("\r\n", "\n")
        if file.suffix == ".md":
            for block in _BLOCK.finditer(text):
                output = _OUTPUT.match(text, block.end())
                yield block[1], output[1] if output else None
        elif "|" in text:
            yield text, None


def columns_of(table: str) -> dict[str, str]:
    """Return the known columns of a table."""
    return dict(_TABLES.get(table, {"TimeGenerated": "datetime"}))


def tables_of(query: str) -> set[str]:
    """Return the names that a query reads as tables."""
    tree = parse(grammar.mend(query))
    found: set[str] = set()
    bound: set[str] = set()
    for node in (tree, *tree.walk()):
        if node.kind.startswith("Let"):
            bound.add(plain_name(node.children[1]))
        bound.update(plain_name(each.children[0]) for each in node.children if each.kind == "TabularParameter")
        if node.kind in {"PipeExpression", "UnionOperator", "JoinOperator", "LookupOperator", "Query"}:
            within = [node.children[0]] if node.kind == "PipeExpression" else node.children
            found.update(plain_name(each) for each in within if each.kind == "IdentifierName")
            inner = [each.children[1] for each in within if each.kind == "ParenthesizedExpression"]
            found.update(plain_name(each) for each in inner if each.kind == "IdentifierName")
        elif node.kind == "AsOperator":
            bound.add(plain_name(node.children[-1]))
    if tree.kind == "IdentifierName":
        found.add(plain_name(tree))
    return {name for name in found - bound if name in _TABLES or name[:1].isalpha()}


def _is_whole(query: str) -> bool:
    """Return whether an example makes its own rows."""
    try:
        return not tables_of(query)
    except QueryError:
        return True


def guess(name: str, query: str) -> str:
    """Return a type that fits the use of a column."""
    used = re.escape(name)
    if re.search(
        rf"\b{used}\s*(\.\s*[\w\[]|\[)|(mv-expand|mvexpand|mv-apply|bag_unpack\(|array_length\()\s*(\w+\s*=\s*)?{used}\b",
        query,
    ):
        return "dynamic"
    if re.search(
        rf"bin\(\s*{used}\s*,\s*[\d.]+(d|h|m|s|min)|{used}\s*[<>]=?\s*(ago|now|datetime)|{used}\s+between\s*\((ago|datetime)",
        query,
    ):
        return "datetime"
    if re.search(
        rf"(sum|avg|percentile|stdev|round|sumif|avgif)\(\s*{used}\b|\b{used}\s*([<>]=?|[-+*/])\s*[\d.(]", query
    ):
        return "real"
    if re.search(r"(?<![A-Za-z])(Time|Date|Timestamp)|Time$|DateTime$|^Timestamp$", name) and not re.search(
        rf"{used}\s*(has|contains|==\s*[\"'])", query
    ):
        return "datetime"
    return "string"


class Corpus:
    """Run queries, and count what became of them."""

    def __init__(self) -> None:
        self.connection = duckdb.connect(config={"memory_limit": "1GB"})
        self.connection.execute("SET TimeZone = 'UTC'")

    def run(self, query: str) -> tuple[list[tuple[str, str]], list[tuple[object, ...]]]:
        """Answer a query over empty tables, with the columns that it asks for."""
        query = re.sub(r"""("[^"\n]*"|'[^'\n]*')|//[^\n]*""", lambda found: found[1] or "", query).strip()
        schema = {name: columns_of(name) for name in tables_of(query)}
        if not schema and re.search(r"^\s*(search|find)\b|\bunion\b[^|]*\*", query, re.MULTILINE):
            schema = {name: columns_of(name) for name in _TABLES}
        wanted: set[str] = set()
        for _ in range(MAX_GUESSES):
            try:
                return self._once(query, schema)
            except QueryError as error:
                found = _UNKNOWN.search(error.message)
                if not found or found[1] in wanted or not schema:
                    raise
                wanted.add(name := found[1])
                for columns in schema.values():
                    columns.setdefault(name, guess(name, query))
        raise QueryError("too many guesses")

    def _once(
        self, query: str, schema: dict[str, dict[str, str]]
    ) -> tuple[list[tuple[str, str]], list[tuple[object, ...]]]:
        for table, columns in schema.items():
            folded = {name.casefold(): name for name in reversed(columns)}
            kept = {name: columns[name] for name in columns if folded[name.casefold()] == name}
            schema[table] = kept
            listed = ", ".join(f"{sql_name(name)} {SQL_TYPES[kind]}" for name, kind in kept.items())
            self.connection.execute(f"CREATE OR REPLACE TABLE {sql_name(table)} ({listed})")
        now = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
        try:
            translation = translate(
                query, schema, self._describe, now=now, fetch=lambda part: self._execute(part)[1], seconds=SECONDS
            )
            return self._execute(translation)
        finally:
            for table in schema:
                self.connection.execute(f"DROP TABLE {sql_name(table)}")

    def _describe(self, part):
        try:
            cursor = self.connection.execute(
                "DESCRIBE " + part.sql, *([dict(part.parameters)] if part.parameters else [])
            )
        except duckdb.Error as error:
            raise QueryError(f"leaked: {str(error).partition(chr(10))[0]}") from error
        return {name: stage_type(kind) for name, kind, *_ in cursor.fetchall()}

    def _execute(self, part):
        try:
            self.connection.execute(part.sql, *([dict(part.parameters)] if part.parameters else []))
            columns = [(outside(name), kusto_type(kind)) for name, kind, *_ in self.connection.description]
            return columns, self.connection.fetchmany(10_000)
        except duckdb.Error as error:
            raise QueryError(f"leaked: {str(error).partition(chr(10))[0]}") from error


def same(output: str, columns: list[tuple[str, str]], rows: list[tuple[object, ...]]) -> bool:
    """Return whether a table in Markdown shows these rows."""
    lines = [line.strip().strip("|") for line in output.strip().split("\n")]
    cells = [
        [_plain(cell) for cell in re.split(r"(?<!\\)\|", line)] for line in lines if not re.fullmatch(r"[\s|:-]*", line)
    ]
    writers = [json_writer(kind) for _, kind in columns]
    got = [[_plain(_text(writer(cell))) for writer, cell in zip(writers, row, strict=True)] for row in rows]
    shown = cells[1:]
    found = all(any(_same_row(row, each) for each in got) for row in shown)
    return found and (len(shown) == len(got) or (len(shown) < len(got) and "..." in output))


def _same_row(shown: list[str], got: list[str]) -> bool:
    return len(shown) == len(got) and all(map(_same_cell, shown, got))


def _same_cell(shown: str, got: str) -> bool:
    if shown == got:
        return True
    try:
        return math.isclose(float(shown.replace("∞", "inf")), float(got), rel_tol=1e-5)
    except ValueError:
        return (shown, got) in {("0", "false"), ("1", "true"), ("null", "")}


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _plain(cell: str) -> str:
    text = re.sub(r"<br\s*/?>|`|\\(?=[|_*\[\]])|&nbsp;", "", cell).strip().strip('"')
    try:
        return json.dumps(json.loads(text), sort_keys=True).strip('"')
    except ValueError:
        pass
    time = re.fullmatch(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d*?)?0*Z?", text)
    if time:
        return f"{time[1]}T{time[2]}{(time[3] or '')[:7].rstrip('.')}"
    return text.casefold() if text.casefold() in {"true", "false"} else re.sub(r"\s+", " ", text)


def main() -> None:
    """Run the queries of each checkout, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("checkouts", nargs="+", type=Path)
    parser.add_argument("--refused", action="store_true", help="print the reasons of refusals")
    parser.add_argument("--wrong", action="store_true", help="print the answers that differ")
    options = parser.parse_args()
    corpus = Corpus()
    reasons: Counter[str] = Counter()
    example: dict[str, str] = {}
    for path in options.checkouts:
        counts: Counter[str] = Counter()
        for query, output in queries(path):
            if _ELSEWHERE.search(query) or not query.strip():
                continue
            shown = output is not None and _is_whole(query)
            counts["shown" if shown else "queries"] += 1
            try:
                columns, rows = corpus.run(query)
            except QueryError as error:
                counts["shown refused" if shown else "refused"] += 1
                reason = re.sub(r"\[line.*|'[^']{30,}'", "", error.message)[:110]
                reasons[reason] += 1
                example.setdefault(reason, query)
                continue
            except Exception as error:  # noqa: BLE001 - a bug, which is counted
                counts["crashed"] += 1
                reasons[f"crash: {error!r}"[:110]] += 1
                example.setdefault(f"crash: {error!r}"[:110], query)
                continue
            if shown and output is not None:
                right = same(output, columns, rows)
                counts["right" if right else "differs"] += 1
                if not right and options.wrong:
                    print("~" * 80, query, output, columns, *rows[:20], sep="\n")  # noqa: T201 - the figures
            else:
                counts["run"] += 1
        share = f"{counts['run'] / max(1, counts['queries']):.1%} run, {counts['right'] / max(1, counts['shown']):.1%} of the examples are right"
        print(f"{path.name}: {share}; {dict(counts)}", flush=True)  # noqa: T201 - the figures
    if options.refused:
        for reason, count in reasons.most_common(120):
            print(f"{count:5} {reason}   <- {' '.join(example[reason].split())[:150]}")  # noqa: T201 - the figures


if __name__ == "__main__":
    main()
