"""Read data collection rules: the streams that each declares, and the flows that carry them into tables.

Accepts the REST form, the output of ``az monitor data-collection rule show``, the rule file that ``az`` takes, a
list of rules, and an ARM template that contains rules. A rule is found by its ``streamDeclarations``, at any depth.
`dcr=` reads declarations only, because a template's flows may still be expressions; `check` and `serve` read both.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from ..table import Column, Extra, clashing_names
from .presets import DEFAULT
from .validators import shown

# The id of the rule that a local workspace serves by default, and of a rule that has not been deployed.
LOCAL_RULE_ID = "dcr-local"
LOCAL_STREAM = "Custom-App"

Document = str | Path | Mapping[str, Any]
Streams = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Describe how the rows of one stream reach a table."""

    stream: str
    transform: str
    output: str

    @property
    def table(self) -> str:
        """Return the name of the table that the output stream stands for."""
        return self.output.partition("-")[2]

    @property
    def built_in(self) -> bool:
        """Return whether Azure owns the table's schema."""
        return self.output.startswith("Microsoft-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Hold the id, streams and flows of one rule."""

    rule_id: str
    streams: Streams
    flows: tuple[Flow, ...]


DEFAULT_RULE = Rule(
    rule_id=LOCAL_RULE_ID,
    streams={LOCAL_STREAM: {column.name: column.type for column in DEFAULT}},
    flows=(Flow(stream=LOCAL_STREAM, transform="source", output="Custom-App_CL"),),
)


def read_streams(document: Document) -> Streams:
    """Return the streams that a document's rules declare, each as a mapping of column name to type.

    Raises a ConfigurationError with every mistake in the declarations; flows are not read.
    """
    streams: dict[str, Mapping[str, str]] = {}
    problems: list[str] = []
    where, found = _find_rules(document)
    for properties, _ in found:
        streams |= _streams(properties, where, problems)
    if problems:
        raise ConfigurationError(problems)
    return streams


def has_address(document: Document, key: str) -> bool:
    """Return whether a rule of a document, which has been read before, holds its immutableId or its endpoints."""
    _, found = _find_rules(document)
    return any(properties.get(key) or resource.get(key) for properties, resource in found)


def read_rules(documents: Iterable[Document]) -> tuple[Rule, ...]:
    """Return every rule of every document, or `DEFAULT_RULE` if there is no document.

    Raises a ConfigurationError with every mistake in all of them.
    """
    rules: list[Rule] = []
    problems: list[str] = []
    for document in documents:
        try:
            rules.extend(_rules(document, earlier=len(rules)))
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


def _rules(document: Document, *, earlier: int) -> Iterator[Rule]:
    where, found = _find_rules(document)
    for number, (properties, resource) in enumerate(found, start=earlier + 1):
        rule_id = properties.get("immutableId") or resource.get("immutableId")
        if not isinstance(rule_id, str):  # Azure assigns it when the rule is deployed
            rule_id = LOCAL_RULE_ID if number == 1 else f"{LOCAL_RULE_ID}-{number}"
        problems = [
            f"dcr: stream {name!r} in {where}: the name of a declared stream begins with 'Custom-'"
            for name in properties["streamDeclarations"]
            if not name.startswith("Custom-")
        ]
        streams = _streams(properties, where, problems)
        flows = tuple(_flows(properties.get("dataFlows"), streams, where, problems))
        if problems:
            raise ConfigurationError(problems)
        yield Rule(rule_id=rule_id, streams=streams, flows=flows)


# The properties of a rule, and the resource around them.
_Found = tuple[Mapping[str, Any], Mapping[str, Any]]


def _find_rules(document: Document) -> tuple[str, list[_Found]]:
    """Return the document's name in messages, and its rules; raise a ConfigurationError if there are none."""
    where, content = _load(document)
    try:
        found = list(_walk(content, {}))
    except RecursionError as error:
        raise ConfigurationError([f"dcr: {where} is nested too deeply for a rule"]) from error
    if not found:
        raise ConfigurationError([f"dcr: {where} has no streamDeclarations, so it declares no stream"])
    return where, found


def _load(document: Document) -> tuple[str, Any]:
    if isinstance(document, Mapping):
        return "the given mapping", document
    if not isinstance(document, str | Path):
        raise ConfigurationError(
            [f"dcr={shown(document)} is not accepted; give the path of a JSON file, or the rule as a mapping"]
        )
    where = repr(str(document))
    try:
        content = Path(document).read_bytes()
    except (OSError, ValueError) as error:  # a NUL in the path is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError([f"dcr={where} cannot be read: {reason}"]) from error
    try:
        return where, json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ConfigurationError([f"dcr={where} is not JSON: {error}"]) from error


def _walk(node: object, parent: Mapping[str, Any]) -> Iterator[_Found]:
    if isinstance(node, Mapping):
        declarations = node.get("streamDeclarations")
        if isinstance(declarations, Mapping) and declarations:
            yield node, parent
            return
        for value in node.values():
            yield from _walk(value, node)
    elif isinstance(node, list):
        for value in node:
            yield from _walk(value, {})


def _streams(properties: Mapping[str, Any], where: str, problems: list[str]) -> dict[str, dict[str, str]]:
    streams: dict[str, dict[str, str]] = {}
    for name, declared in properties["streamDeclarations"].items():
        listed = declared.get("columns") if isinstance(declared, Mapping) else None
        columns: list[Column] = []
        problems.extend(f"dcr: stream {name!r} in {where}: {problem}" for problem in _read_columns(listed, columns))
        streams[name] = {column.name: column.type for column in columns}
    return streams


def _read_columns(listed: object, columns: list[Column]) -> Iterator[str]:
    """Fill `columns` from a declaration; yield its mistakes."""
    if not isinstance(listed, list) or not listed:
        yield "it has no list of columns, each with a name and a type"
        return
    for column in listed:
        name, type_name = (column.get("name"), column.get("type")) if isinstance(column, Mapping) else (None, None)
        if not isinstance(name, str) or not isinstance(type_name, str):
            yield f"{shown(column)} is not a column with a name and a type"
            continue
        try:
            # Rules written by hand spell "dateTime" as often as "datetime"; the service reads both.
            columns.append(Column(name, type_name.lower(), Extra((name,))))
        except ConfigurationError as error:
            yield from error.problems
    yield from clashing_names(column.name for column in columns)


def _flows(listed: object, streams: Streams, where: str, problems: list[str]) -> Iterator[Flow]:
    if listed is None:
        # A rule cut down to its declarations: each stream fills the table of its name, unchanged.
        for stream in streams:
            yield Flow(stream=stream, transform="source", output=stream if stream.endswith("_CL") else f"{stream}_CL")
        return
    for each in listed if isinstance(listed, list) else [listed]:
        flow = each if isinstance(each, Mapping) else {"streams": None}
        names = flow.get("streams")
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            problems.append(f"dcr: a data flow in {where} names no streams: {shown(each)}")
            continue
        transform = flow.get("transformKql") or "source"
        if transform != "source" and len(names) > 1:
            problems.append(
                f"dcr: a data flow in {where} has a transformKql and several streams; Azure accepts only one with it"
            )
        for name in names:
            if name.startswith("Microsoft-"):
                continue  # an agent's stream: nothing can be uploaded to it
            output = flow.get("outputStream") or name
            if name not in streams:
                problems.append(f"dcr: a data flow in {where} takes the stream {name!r}, which is not declared")
            elif not _is_output(output):
                problems.append(
                    f"dcr: outputStream {output!r} in {where} does not name a table:"
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
