"""Compare columns three ways: those the handler sends, those the rule declares, those the table has.

The comparison matters because the service answers 204 even when it drops columns that it does not know. Pure functions:
they take names and types, and return sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Columns = Mapping[str, str]

# By a value's type, the other types that can hold every such value.
_WIDER: Mapping[str, frozenset[str]] = {
    "int": frozenset({"long", "real"}),
    "long": frozenset({"real"}),
    "string": frozenset({"guid"}),
}
_MAX_NAMED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Hold the losses, and remarks on differences that cost no data."""

    lost: tuple[str, ...]
    """A sentence for each column whose values do not arrive unchanged."""
    notes: tuple[str, ...]


def compare(handler: Columns, stream: Columns, table: Columns | None, *, output: str, is_passed_on: bool) -> Findings:
    """Compare the columns that are known; `is_passed_on` means that the rule's transformation changes nothing."""
    lost = list(_sent(handler, stream))
    notes = list(_never_filled(handler, stream, "the rule declares"))
    if "TimeGenerated" in stream and "TimeGenerated" not in handler:
        notes.append("TimeGenerated is not sent: rows get the time at which Azure receives them")
    if table is not None and is_passed_on:
        lost += _stored(stream, table, output)
        notes += _never_filled(stream, table, f"{output} has")
    elif table is not None:
        notes.append(f"the rule's transformKql decides how its columns become those of {output}")
    return Findings(lost=tuple(lost), notes=tuple(notes))


def _sent(handler: Columns, stream: Columns) -> Iterator[str]:
    for name, kind in handler.items():
        if name not in stream:
            yield (
                f"{name} is sent, but the rule does not declare it{_case_hint(name, stream)}: the service silently"
                " drops it; declare it in streamDeclarations, or do not send it"
            )
        elif not _arrives(kind, stream[name]):
            yield (
                f"{name} is sent as {kind}, but declared as {stream[name]}: a value that does not fit becomes null; use"
                " the same type in both"
            )


def _stored(stream: Columns, table: Columns, output: str) -> Iterator[str]:
    for name, kind in stream.items():
        if name not in table:
            yield (
                f"{name} is declared, but {output} has no such column{_case_hint(name, table)}: its values are billed"
                " and dropped; add it to the table"
            )
        elif kind != table[name] and table[name] not in _WIDER.get(kind, ()):
            yield f"{name} is declared as {kind}, but is {table[name]} in {output}: convert it in transformKql"


def _arrives(sent: str, declared: str) -> bool:
    """Return whether every value of a type fits the declared one: string and dynamic take any value."""
    return declared in (sent, "string", "dynamic") or declared in _WIDER.get(sent, ())


def _case_hint(name: str, known: Columns) -> str:
    similar = next((other for other in known if other.lower() == name.lower()), None)
    return f" (there is {similar}; names are case-sensitive)" if similar else ""


def _never_filled(filled: Columns, known: Columns, origin: str) -> Iterator[str]:
    names = [name for name in known if name not in filled and name != "TimeGenerated"]
    if names:
        more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
        yield f"never filled, though {origin} them: {', '.join(names[:_MAX_NAMED])}{more}"
