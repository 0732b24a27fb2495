"""Compares columns three ways: what the handler sends, what the rule declares, what the table holds.

The service answers 204 and drops what it does not know. Pure: takes names and types, returns sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Columns = Mapping[str, str]

# What each type of the stream can also take, without a value that is lost.
_WIDER: Mapping[str, frozenset[str]] = {
    "int": frozenset({"long", "real"}),
    "long": frozenset({"real"}),
    "string": frozenset({"guid"}),
}
_NAMED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Hold what would be lost, and what stays empty."""

    lost: tuple[str, ...]
    """A sentence for each column whose values do not arrive."""
    notes: tuple[str, ...]


def compare(handler: Columns, stream: Columns, table: Columns | None, *, output: str, is_passed_on: bool) -> Findings:
    """Compare what is known; `is_passed_on` tells that the transformation changes nothing."""
    lost = list(_sent(handler, stream))
    notes = list(_never_filled(handler, stream, "the rule declares"))
    if "TimeGenerated" in stream and "TimeGenerated" not in handler:
        notes.append("TimeGenerated is not sent: rows get the time of receipt")
    if table is not None and is_passed_on:
        lost += _stored(stream, table, output)
        notes += _never_filled(stream, table, f"{output} holds")
    elif table is not None:
        notes.append(f"how the rule's columns become those of {output} is up to its transformKql")
    return Findings(lost=tuple(lost), notes=tuple(notes))


def _sent(handler: Columns, stream: Columns) -> Iterator[str]:
    for name, kind in handler.items():
        if name not in stream:
            yield (
                f"{name} is sent, and the rule does not declare it{_near(name, stream)}: the service drops it in"
                " silence; declare it in streamDeclarations, or do not send it"
            )
        elif not _arrives(kind, stream[name]):
            yield (
                f"{name} is sent as {kind}, and the rule declares {stream[name]}: what does not fit becomes null; make"
                " them the same"
            )


def _stored(stream: Columns, table: Columns, output: str) -> Iterator[str]:
    for name, kind in stream.items():
        if name not in table:
            yield (
                f"{name} is declared, and {output} has no such column{_near(name, table)}: its values are dropped, and"
                " billed; add it to the table"
            )
        elif kind != table[name] and table[name] not in _WIDER.get(kind, ()):
            yield f"{name} is declared as {kind}, and {output} holds {table[name]}: convert it in transformKql"


def _arrives(sent: str, declared: str) -> bool:
    """Tell whether every value of a type fits: text takes all, and so does dynamic."""
    return declared in (sent, "string", "dynamic") or declared in _WIDER.get(sent, ())


def _near(name: str, known: Columns) -> str:
    near = next((other for other in known if other.lower() == name.lower()), None)
    return f", but {near} (names are case-sensitive)" if near else ""


def _never_filled(filled: Columns, known: Columns, who: str) -> Iterator[str]:
    names = [name for name in known if name not in filled and name != "TimeGenerated"]
    if names:
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        yield f"never filled, though {who} them: {', '.join(names[:_NAMED])}{more}"
