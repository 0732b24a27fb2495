"""Mend the KQL engine where its answers or its SQL are wrong, until a release of it does.

The engine is pinned to one version, so the replaced functions are known. Rule: `mend` replaces them once per process,
with a lock, because the first queries may come concurrently, and a function that is replaced twice writes wrong SQL.
"""

from __future__ import annotations

import threading
from typing import Any

_INLINE = 120
"""An operand whose SQL is longer is computed once, as the argument of a lambda."""


_lock = threading.Lock()
_is_mended = False


def mend() -> None:
    """Replace the functions; later calls do nothing."""
    global _is_mended  # noqa: PLW0603 - the engine's functions are the process's
    from duckdb_kql import lower, translate

    with _lock:
        if not _is_mended:
            _write_each_text_once(translate)
            _stream_ranges(translate)
            _read_unicode_escapes(lower)
            _look_for_terms_fast(translate)
            _add_functions()
            _is_mended = True


def _write_each_text_once(translate: Any) -> None:
    """Compute the operand of `tostring` once: the engine writes it eight times, so five nested calls made 9 MB."""
    original = translate.render_kql_tostring
    is_dynamic, is_datetime = translate._is_dynamic_expr, translate._is_datetime_expr  # noqa: SLF001 - pinned

    class _Sql:
        """Hold SQL, which `render_expr` leaves as it is: it knows it by the name of the engine's own class."""

        def __init__(self, sql: str) -> None:
            self.sql = sql

    def render(node: Any) -> str:
        rendered = translate.render_expr(node)
        if len(rendered) <= _INLINE or is_dynamic(node) or is_datetime(node):
            return str(original(node))
        # One name is enough: a nested operand is the list's element, outside of the lambda.
        return f"list_transform([{rendered}], lambda _text: {original(_Sql('_text'))})[1]"

    translate.render_kql_tostring = render


def _stream_ranges(translate: Any) -> None:
    """Produce a `range` row by row: a list is built in one piece, which neither a limit nor a timer can stop."""
    original = translate.render_range
    start = "SELECT UNNEST(generate_series("

    def render(source: Any) -> str:
        sql = str(original(source))
        name = translate.quote_ident(source.name)
        arguments = sql.removeprefix(start).removesuffix(f")) AS {name}")
        return f"SELECT {name} FROM generate_series({arguments}) AS _range({name})"

    translate.render_range = render


def _read_unicode_escapes(lower: Any) -> None:
    r"""Read `\u00A0` and `\xA0` as one character, and `h'…'` as the string that it hides."""
    from .quoting import string_value

    lower._string_value = string_value  # noqa: SLF001 - pinned


def _look_for_terms_fast(translate: Any) -> None:
    """Compare the letters before a regular expression looks for the whole term: most rows do not even have those."""
    original = translate.term_match_sql

    def match(
        haystack: str, needle: str, *, case_sensitive: bool = False, needle_text: str | None = None, **edges: Any
    ) -> str:
        sql = str(original(haystack, needle, case_sensitive=case_sensitive, needle_text=needle_text, **edges))
        if not needle_text or not needle_text.isascii() or len(haystack) > _INLINE:
            return sql
        literal = translate.quote_string(needle_text if case_sensitive else needle_text.lower())
        found = f"contains({haystack if case_sensitive else f'lower({haystack})'}, {literal})"
        # Only CASE leaves the other rows alone; AND would compute both sides for each.
        return f"CASE WHEN {found} THEN {sql} ELSE false END"

    translate.term_match_sql = match


def _add_functions() -> None:
    """Add functions to the engine's registries, which are plain dicts."""
    from duckdb_kql.translate.functions import AGGREGATE_FUNCTIONS, SCALAR_FUNCTIONS, AggregateSpec, FunctionSpec

    from .additions import AGGREGATES, CORRECTED, SCALARS

    for name, (template, arities) in SCALARS.items():
        SCALAR_FUNCTIONS.setdefault(name, FunctionSpec(name, "template", template, arities))
    for name, (template, arities) in CORRECTED.items():
        SCALAR_FUNCTIONS[name] = FunctionSpec(name, "template", template, arities)
    for name, (template, arities, prefix) in AGGREGATES.items():
        AGGREGATE_FUNCTIONS.setdefault(
            name, AggregateSpec(name, template, arities, name_prefix=prefix, name_is_argument=not prefix)
        )
