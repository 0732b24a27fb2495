"""Read data collection rules: which streams there are, which flows they feed, which table each flow fills.

Accepted are the REST form, the output of ``az monitor data-collection rule show``, the rule file that ``az`` takes, and
ARM templates. Pure: what KQL means and whether a table fits is judged in `flows`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._config.presets import DEFAULT
from ..errors import ConfigurationError
from ..table import TYPES

RULE_ID = "dcr-local"
STREAM = "Custom-App"

Document = str | Path | Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Carry one stream's rows through a transformation into a table."""

    stream: str
    transform: str
    output: str

    @property
    def table(self) -> str:
        """Name the table that the output stream stands for."""
        return self.output.partition("-")[2]

    @property
    def built_in(self) -> bool:
        """Tell whether Azure owns the table's schema."""
        return self.output.startswith("Microsoft-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Hold what one rule declares."""

    rule_id: str
    streams: Mapping[str, Mapping[str, str]]
    flows: tuple[Flow, ...]


DEFAULT_RULE = Rule(
    rule_id=RULE_ID,
    streams={STREAM: {column.name: column.type for column in DEFAULT}},
    flows=(Flow(stream=STREAM, transform="source", output="Custom-App_CL"),),
)


def read_rules(documents: Iterable[Document]) -> tuple[Rule, ...]:
    """Read every rule of every document, or the default rule if there is none; report all mistakes together."""
    rules: list[Rule] = []
    problems: list[str] = []
    for document in documents:
        try:
            rules.extend(_rules(document, taken=len(rules)))
        except ConfigurationError as error:
            problems.extend(error.problems)
    seen: set[str] = set()
    for rule in rules:
        if rule.rule_id in seen:
            problems.append(f"two rules have the immutableId {rule.rule_id!r}: give each its own")
        seen.add(rule.rule_id)
    if problems:
        raise ConfigurationError(problems)
    return tuple(rules) or (DEFAULT_RULE,)


def _rules(document: Document, *, taken: int) -> Iterator[Rule]:
    where, content = _load(document)
    found = list(_find(content))
    if not found:
        raise ConfigurationError([f"dcr: {where} holds no streamDeclarations, so it names no stream"])
    for number, (properties, resource) in enumerate(found, start=taken):
        rule_id = properties.get("immutableId") or resource.get("immutableId")
        # A rule that was never deployed has no id yet.
        fallback = RULE_ID if number == 0 else f"{RULE_ID}-{number + 1}"
        yield _rule(properties, rule_id if isinstance(rule_id, str) else fallback, where)


def _load(document: Document) -> tuple[str, Any]:
    if isinstance(document, Mapping):
        return "the given mapping", document
    where = repr(str(document))
    try:
        return where, json.loads(Path(document).read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise ConfigurationError([f"dcr={where} cannot be read: {error.strerror or error}"]) from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError([f"dcr={where} is not JSON: {error}"]) from error


def _find(
    node: object, parent: Mapping[str, Any] | None = None
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Walk a document for rules' properties, each with the resource around it."""
    if isinstance(node, Mapping):
        if isinstance(node.get("streamDeclarations"), Mapping):
            yield node, parent or {}
            return
        for value in node.values():
            yield from _find(value, node)
    elif isinstance(node, list):
        for value in node:
            yield from _find(value)


def _rule(properties: Mapping[str, Any], rule_id: str, where: str) -> Rule:
    problems: list[str] = []
    streams = {
        name: _columns(name, declared, where, problems) for name, declared in properties["streamDeclarations"].items()
    }
    flows = list(_flows(properties.get("dataFlows"), streams, where, problems))
    if problems:
        raise ConfigurationError(problems)
    return Rule(rule_id=rule_id, streams=streams, flows=tuple(flows))


def _columns(stream: str, declared: object, where: str, problems: list[str]) -> dict[str, str]:
    if not stream.startswith("Custom-"):
        problems.append(f"dcr: stream {stream!r} in {where}: the name of a declared stream begins with 'Custom-'")
    listed = declared.get("columns") if isinstance(declared, Mapping) else None
    if not isinstance(listed, list) or not listed:
        problems.append(f"dcr: stream {stream!r} in {where} has no list of columns, each with a name and a type")
        return {}
    columns: dict[str, str] = {}
    folded: dict[str, str] = {}
    for column in listed:
        name = column.get("name") if isinstance(column, Mapping) else None
        kind = column.get("type") if isinstance(column, Mapping) else None
        if not isinstance(name, str) or not name or not isinstance(kind, str):
            problems.append(f"dcr: stream {stream!r} in {where}: {column!r} is no column with a name and a type")
        elif kind.lower() not in TYPES:
            problems.append(
                f"dcr: stream {stream!r} in {where}: column {name!r} has the type {kind!r};"
                f" a stream knows {', '.join(TYPES)}"
            )
        elif name.lower() in folded:
            problems.append(
                f"dcr: stream {stream!r} in {where}: columns {folded[name.lower()]!r} and {name!r} differ in case at"
                " most; the local workspace cannot tell them apart"
            )
        else:
            folded[name.lower()] = name
            columns[name] = kind.lower()
    return columns


def _flows(listed: object, streams: Mapping[str, Any], where: str, problems: list[str]) -> Iterator[Flow]:
    if listed is None:
        # A rule cut down to its declarations: each stream fills the table of its name, unchanged.
        for stream in streams:
            yield Flow(stream=stream, transform="source", output=stream if stream.endswith("_CL") else f"{stream}_CL")
        return
    for each in listed if isinstance(listed, list) else [listed]:
        flow = each if isinstance(each, Mapping) else {"streams": None}
        names = flow.get("streams")
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            problems.append(f"dcr: a data flow in {where} names no streams: {str(each)[:80]}")
            continue
        transform = flow.get("transformKql") or "source"
        if transform != "source" and len(names) > 1:
            problems.append(f"dcr: a data flow in {where} has a transformKql and several streams; Azure takes one only")
        for name in names:
            if name.startswith("Microsoft-"):
                continue  # an agent's stream: nothing can be uploaded to it
            output = flow.get("outputStream") or name
            if name not in streams:
                problems.append(f"dcr: a data flow in {where} takes the stream {name!r}, which is not declared")
            elif not _is_output(output):
                problems.append(
                    f"dcr: outputStream {output!r} in {where} names no table:"
                    " use 'Custom-<name>_CL' or 'Microsoft-<name>'"
                )
            else:
                yield Flow(stream=name, transform=str(transform), output=output)


def _is_output(output: object) -> bool:
    if not isinstance(output, str):
        return False
    kind, _, table = output.partition("-")
    custom = kind == "Custom" and table.endswith("_CL") and len(table) > 3
    return (custom or (kind == "Microsoft" and bool(table))) and table.replace("_", "a").isalnum()
