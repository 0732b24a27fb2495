"""Mend the KQL engine where its answers or its SQL are wrong, until a release of it does.

The engine is pinned to one version, so the replaced functions are known. `mend` runs once per process.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

_INLINE = 120
"""An operand whose SQL is longer is computed once, as the argument of a lambda."""


@functools.cache
def mend() -> None:
    """Replace the functions; later calls do nothing."""
    from duckdb_kql import lower, translate

    _write_each_text_once(translate)
    _stream_ranges(translate)
    _read_unicode_escapes(lower)


def _write_each_text_once(translate: Any) -> None:
    """Compute the operand of `tostring` once: the engine writes it eight times, so five nested calls made 9 MB."""
    original = translate.render_kql_tostring
    is_dynamic, is_datetime = translate._is_dynamic_expr, translate._is_datetime_expr  # noqa: SLF001 - pinned
    numbers = itertools.count()

    class _Sql:
        def __init__(self, sql: str) -> None:
            self.sql = sql

    def render(node: Any) -> str:
        rendered = translate.render_expr(node)
        if len(rendered) <= _INLINE or is_dynamic(node) or is_datetime(node):
            return str(original(node))
        # The engine's own class has this name, by which `render_expr` knows that it is SQL already.
        name = f"_text{next(numbers) % 1_000_000}"
        return f"list_transform([{rendered}], lambda {name}: {original(_Sql(name))})[1]"

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
