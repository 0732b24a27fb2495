"""Takes the steps of a check, one after the other; a step that fails ends those that need it."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from .._config.clouds import CLOUDS
from .._config.settings import ENVIRONMENT, Settings
from .._config.validators import check_endpoint
from ..cli import _arrival, _identity, _network, _service
from ..errors import ConfigurationError
from ..table import FIELD_TYPES, Extra, Table
from ._azure import ManagerError, ResourceManager
from ._comparison import compare
from ._configuration import settings_of
from ._deployed import Deployed, from_file, from_manager
from ._steps import Step, Steps
from ._workspace import VARIABLE, Workspace, is_local, place_of

_RIGHTS = "give the rule with --dcr FILE, or this identity the role Reader on it"
_FIRST = "the steps before must be right first"
# How alike two names are, from 0 to 1, where one may be a slip of the other.
_NEAR = 0.8
_AZURES_ID = re.compile(r"dcr-[0-9a-f]{32}")


class Check:
    """Take one step after the other; a step that fails ends those that need it."""

    def __init__(
        self, arguments: argparse.Namespace, given: dict[str, Any], steps: Steps, wait: Callable[[float], bool]
    ) -> None:
        self._arguments = arguments
        self._given = given
        self._steps = steps
        self._wait = wait
        self._credential: Any = None
        self._deployed: Deployed | None = None

    def take(self) -> None:
        """Take all steps that can be taken."""
        settings = self._configured()
        if settings is None:
            return
        is_near = self._reached(settings)
        with self._steps.looking("asking for a token"):
            token, self._credential = _identity.ask(settings)
        may_ask = self._steps.add(token)
        try:
            self._asked(settings, token, is_near=is_near, may_ask=may_ask)
        finally:
            if self._credential is not None and isinstance(settings.credential, str | Mapping):
                self._credential.close()

    def _configured(self) -> Settings | None:
        try:
            settings = settings_of(self._given)
        except ConfigurationError as error:
            self._steps.add(
                Step(name="configuration", state="problem", seen="is not complete", advice=tuple(error.problems))
            )
            return None
        columns = len(settings.table.columns)
        address = {name: getattr(settings, name) for name in ENVIRONMENT}
        seen = f"{settings.endpoint}, {settings.rule_id}, {settings.stream}; {columns} columns"
        details = {**address, "columns": columns}
        # A local workspace takes its ids as they come, and many a rule's name begins with dcr-, too.
        notes = tuple(_nearly_fields(settings.table))
        if is_local(settings.endpoint, settings.credential) or _AZURES_ID.fullmatch(settings.rule_id):
            self._steps.add(Step(name="configuration", state="ok", seen=seen, notes=notes, details=details))
        else:
            said = (
                f"{settings.rule_id} looks like the rule's name; its immutable id, dcr- and 32 hexadecimal digits, is"
                " printed by: az monitor data-collection rule show --query immutableId"
            )
            self._steps.add(
                Step(name="configuration", state="warning", seen=seen, advice=(said,), notes=notes, details=details)
            )
        return settings

    def _reached(self, settings: Settings) -> bool:
        is_near = True
        with self._steps.looking("connecting"):
            for step in _network.look(settings.endpoint, is_local=settings.is_local, seconds=settings.connect_seconds):
                is_near = self._steps.add(step)
        return is_near

    def _asked(self, settings: Settings, token: Step, *, is_near: bool, may_ask: bool) -> None:
        is_admitted = False
        if is_near and may_ask:
            with self._steps.looking("asking the endpoint"):
                asking = dataclasses.replace(settings, credential=self._token_source(settings))
                for step in _service.probe(asking, token.details):
                    is_admitted = self._steps.add(step)
        else:
            self._skip("rule", _FIRST)
        with self._steps.looking("comparing columns"):
            self._compared(settings, may_ask=may_ask, is_near=is_near)
        if self._arguments.send:
            self._sent(settings, is_admitted=is_admitted)

    def _token_source(self, settings: Settings) -> Any:
        return settings.credential if self._credential is None else self._credential

    def _compared(self, settings: Settings, *, may_ask: bool, is_near: bool) -> None:
        # Resource Manager is somewhere else than the endpoint, but for a local workspace.
        if self._arguments.dcr is None and not (may_ask and (is_near or not settings.is_local)):
            self._skip("columns", _FIRST)
            return
        try:
            found = self._found(settings)
        except ConfigurationError as error:
            self._steps.add(Step(name="columns", state="problem", seen="; ".join(error.problems)))
            return
        except ManagerError as error:
            self._skip("columns", str(error), _RIGHTS)
            return
        if found is None:
            said = "no rule that this identity may read has this id"
            self._skip("columns", said, _RIGHTS)
            return
        self._deployed = found
        self._steps.add(_columns_step(settings, found))

    def _found(self, settings: Settings) -> Deployed | None:
        if self._arguments.dcr is not None:
            return from_file(self._arguments.dcr, settings.rule_id, settings.stream)
        manager = self._manager(settings)
        try:
            return from_manager(manager, settings.rule_id, settings.stream)
        finally:
            manager.close()

    def _manager(self, settings: Settings) -> ResourceManager:
        named = self._arguments.resource_manager
        if named is None:
            named = settings.endpoint if settings.is_local else CLOUDS[settings.cloud].resource_manager
        problems = [problem.replace("endpoint=", "resource-manager=") for problem in check_endpoint(named, None)]
        if problems and not settings.is_local:
            raise ConfigurationError(problems)
        # Over plain http no token goes, not even to this machine.
        return ResourceManager(named.rstrip("/"), self._credential if named.startswith("https://") else None)

    def _sent(self, settings: Settings, *, is_admitted: bool) -> None:
        if not is_admitted:
            self._skip("send", _FIRST)
            return
        mark = _arrival.new_mark()
        began = time.monotonic()
        with self._steps.looking("sending a row"):
            is_sent = self._steps.add(_arrival.send(self._given, mark))
        if is_sent and self._arguments.wait is not None:
            with self._steps.looking("looking for the row in the workspace"):
                self._steps.add(self._arrived(settings, mark, began))

    def _arrived(self, settings: Settings, mark: str, began: float) -> Step:
        found = self._deployed
        base = settings.stream.removeprefix("Custom-").removesuffix("_CL")
        table = found.table_name if found is not None and found.output else f"{base}_CL"
        column = _arrival.message_column(settings.table, found.table if found else None)
        if column is None or not table.replace("_", "a").isalnum():
            return Step(name="arrival", state="skipped", seen=f"no column of {table} has the message, and so the mark")
        try:
            workspace = Workspace(place_of(self._place(settings)))
        except (ConfigurationError, ManagerError) as error:
            return Step(name="arrival", state="problem", seen=f"no workspace to look into: {error}")
        try:
            return _arrival.look(
                workspace, table, column, mark, since=began, seconds=self._arguments.wait, wait=self._wait
            )
        finally:
            workspace.close()

    def _place(self, settings: Settings) -> argparse.Namespace:
        """Say which workspace: the one that is named, or else the one that the rule writes to."""
        named = self._arguments.workspace
        found = self._deployed
        if named is None and not settings.is_local and not os.environ.get(VARIABLE) and found and found.workspace:
            manager = self._manager(settings)
            try:
                named = manager.workspace_id(found.workspace)
            finally:
                manager.close()
        return argparse.Namespace(**{**vars(self._arguments), "dcr": None, "workspace": named})

    def _skip(self, name: str, said: str, *advice: str) -> None:
        self._steps.add(Step(name=name, state="skipped", seen=f"not looked at: {said}", advice=advice))


def _nearly_fields(table: Table) -> Iterator[str]:
    """Say of columns that take an extra whether a field with nearly its name was meant."""
    for column in table:
        names = column.source.names if isinstance(column.source, Extra) else ()
        near = {field for name in names for field in get_close_matches(name, FIELD_TYPES, 1, _NEAR)}
        if near and not near & {*names} and column.name not in names:
            yield f"column {column.name} takes the extra {names[0]!r}; the field is called {min(near)!r}"


def _columns_step(settings: Settings, found: Deployed) -> Step:
    sent = {column.name: column.type for column in settings.table}
    if found.stream is None:
        seen = f"the rule lacks {settings.stream}; {found.remark}"
        advice = f"give one of these with --stream, or declare {settings.stream}"
        return Step(name="columns", state="problem", seen=seen, advice=(advice,))
    table = found.table_name
    findings = compare(sent, found.stream, found.table, output=table, is_passed_on=found.transform == "source")
    counts = [f"{len(sent)} sent", f"{len(found.stream)} declared"]
    remark = [found.remark] if found.remark else []
    if found.table is None:
        remark.append(f"the columns of {table} are not known, so only handler and rule were compared")
    else:
        counts.append(f"{len(found.table)} in {table}")
    lost = f"{len(findings.lost)} would be lost or changed" if findings.lost else "nothing is lost"
    return Step(
        name="columns",
        state="problem" if findings.lost else "ok",
        seen=f"{', '.join(counts)}: {lost}",
        notes=(*findings.notes, *remark),
        advice=findings.lost,
        details={"rule": found.source},
    )
