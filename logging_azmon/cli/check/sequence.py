"""Take the steps of a check in order; a failed step skips those that depend on it."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from ..._azure.credential import http_options
from ..._config.clouds import CLOUDS
from ..._config.environment import unknown, used
from ..._config.settings import ENVIRONMENT, Settings
from ..._config.unfilled import remarks
from ..._config.validators import check_endpoint
from ...errors import ConfigurationError
from ...table import FIELD_TYPES, Extra, Table
from .._shared.options import read_settings, require_enabled
from .._shared.rule_design import default_table
from .._shared.workspace import VARIABLE, WorkspaceClient, find_workspace, is_local
from . import arrival, identity, network, probe
from .comparison import compare
from .deployed import Deployed, from_file, from_manager
from .ingestion import ingestion_steps
from .resource_manager import ManagerError, ResourceManager
from .steps import State, Step, Steps

_RIGHTS = "give the rule with --dcr FILE, or give this identity the role Reader on the rule"
_DEPENDS = "it depends on the steps above"
# Similarity, from 0 to 1, from which one name may be a misspelling of another.
_SIMILARITY = 0.8
_AZURE_RULE_ID = re.compile(r"dcr-[0-9a-f]{32}")


class Check:
    """Take the steps, with the handler's arguments and the command's options."""

    def __init__(
        self,
        arguments: argparse.Namespace,
        pipeline_arguments: dict[str, Any],
        steps: Steps,
        wait: Callable[[float], bool],
    ) -> None:
        self._arguments = arguments
        self._pipeline_arguments = pipeline_arguments
        self._steps = steps
        self._wait = wait
        self._credential: Any = None
        self._deployed: Deployed | None = None

    def take(self) -> None:
        """Take all steps that can be taken."""
        settings = self._check_configuration()
        if settings is None:
            return
        is_reachable = self._check_network(settings)
        with self._steps.status("requesting a token"):
            token, self._credential = identity.request_token(settings)
        has_token = self._steps.add(token)
        try:
            self._check_service(settings, token, is_reachable=is_reachable, has_token=has_token)
        finally:
            if self._credential is not None and isinstance(settings.credential, str | Mapping):
                self._credential.close()

    @contextmanager
    def _reporting(self, name: str) -> Iterator[None]:
        """Turn an error that nobody has foreseen, such as an odd answer, into a problem of this step."""
        try:
            yield
        except ModuleNotFoundError:  # the dispatcher says what to install
            raise
        except Exception as error:  # noqa: BLE001 - whatever answers in Azure's place, a check ends with its steps
            seen = f"the check itself failed ({type(error).__name__}: {error})"
            advice = "check what answers there; if it is Azure, please report this as a mistake of this command"
            self._steps.add(Step(name=name, state="problem", seen=seen, advice=(advice,)))

    def _check_configuration(self) -> Settings | None:
        try:
            require_enabled(self._pipeline_arguments)
            settings = read_settings(self._pipeline_arguments)
        except ConfigurationError as error:
            self._steps.add(
                Step(
                    name="configuration",
                    state="problem",
                    seen="not complete or not valid",
                    advice=tuple(error.problems),
                )
            )
            return None
        columns = len(settings.table.columns)
        address = {name: getattr(settings, name) for name in ENVIRONMENT}
        seen = f"{settings.endpoint}, {settings.rule_id}, {settings.stream}; {columns} columns"
        details = {**address, "columns": columns}
        variables = used(os.environ)
        notes = tuple(_likely_fields(settings.table))
        if variables:
            notes = (*notes, f"from the environment, unless the code says otherwise: {', '.join(variables)}")
        advice = tuple(remarks(settings.table))
        state: State = "problem" if advice else "ok"
        # A local workspace accepts any id; in Azure a rule's name often begins with dcr- as well.
        if not (is_local(settings.endpoint, settings.credential) or _AZURE_RULE_ID.fullmatch(settings.rule_id)):
            state = "problem" if advice else "warning"
            name_advice = (
                f"{settings.rule_id} looks like the rule's name; its immutable id, dcr- and 32 hexadecimal digits, is"
                " printed by: az monitor data-collection rule show --query immutableId"
            )
            advice = (*advice, name_advice)
        if unknown_variables := tuple(unknown(os.environ)):
            state = "problem" if state == "problem" else "warning"
            advice = (*advice, *unknown_variables)
        self._steps.add(Step(name="configuration", state=state, seen=seen, advice=advice, notes=notes, details=details))
        return settings

    def _check_network(self, settings: Settings) -> bool:
        is_reachable = False
        with self._steps.status("connecting"), self._reporting("connection"):
            for step in network.connection_steps(
                settings.endpoint,
                is_local=settings.is_local,
                seconds=settings.connect_seconds,
                proxy=settings.proxy,
                ca_bundle=settings.ca_bundle,
            ):
                is_reachable = self._steps.add(step)
        return is_reachable

    def _check_service(self, settings: Settings, token: Step, *, is_reachable: bool, has_token: bool) -> None:
        is_admitted = False
        if is_reachable and has_token:
            with self._steps.status("probing the endpoint"), self._reporting("rule"):
                authenticated = dataclasses.replace(settings, credential=self._token_source(settings))
                for step in probe.probe(authenticated, token.details):
                    is_admitted = self._steps.add(step)
        else:
            self._skip("rule", _DEPENDS)
        with self._steps.status("comparing columns"), self._reporting("columns"):
            self._compare_columns(settings, has_token=has_token, is_reachable=is_reachable)
        if self._arguments.send:
            self._send_row(settings, is_admitted=is_admitted)

    def _token_source(self, settings: Settings) -> Any:
        return settings.credential if self._credential is None else self._credential

    def _compare_columns(self, settings: Settings, *, has_token: bool, is_reachable: bool) -> None:
        # Azure Resource Manager can be reached even if the endpoint cannot; a local workspace is both.
        if self._arguments.dcr is None and not (has_token and (is_reachable or not settings.is_local)):
            self._skip("columns", _DEPENDS)
            return
        try:
            deployed = self._find_deployed(settings)
        except ConfigurationError as error:
            self._steps.add(Step(name="columns", state="problem", seen="; ".join(error.problems)))
            return
        except ManagerError as error:
            self._skip("columns", str(error), _RIGHTS)
            return
        if deployed is None:
            self._skip("columns", "this identity cannot read a rule with this id", _RIGHTS)
            return
        self._deployed = deployed
        self._steps.add(_columns_step(settings, deployed))

    def _find_deployed(self, settings: Settings) -> Deployed | None:
        if self._arguments.dcr is not None:
            return from_file(self._arguments.dcr, settings.rule_id, settings.stream)
        manager = self._manager(settings)
        try:
            return from_manager(manager, settings.rule_id, settings.stream)
        finally:
            manager.close()

    def _manager(self, settings: Settings) -> ResourceManager:
        address = self._arguments.resource_manager
        if address is None:
            address = settings.endpoint if settings.is_local else CLOUDS[settings.cloud].resource_manager
        problems = [problem.replace("endpoint=", "resource-manager=") for problem in check_endpoint(address, None)]
        if problems and not settings.is_local:
            raise ConfigurationError(problems)
        # A token is never sent over plain http, not even to this machine.
        http = http_options(settings.proxy, settings.ca_bundle)
        return ResourceManager(address.rstrip("/"), self._credential if address.startswith("https://") else None, http)

    def _send_row(self, settings: Settings, *, is_admitted: bool) -> None:
        if not is_admitted:
            self._skip("send", _DEPENDS)
            return
        mark = arrival.new_mark()
        began = time.monotonic()
        with self._steps.status("sending a row"):
            is_sent = self._steps.add(arrival.send_marked_row(self._pipeline_arguments, mark))
        if is_sent and self._arguments.wait is not None:
            with self._steps.status("waiting for the row in the workspace"), self._reporting("arrival"):
                for step in self._await_row(settings, mark, began):
                    self._steps.add(step)

    def _await_row(self, settings: Settings, mark: str, began: float) -> Iterator[Step]:
        deployed = self._deployed
        table = deployed.table_name if deployed is not None and deployed.output else default_table(settings.stream)
        column = arrival.message_column(settings.table, deployed.table if deployed else None)
        if column is None or not table.replace("_", "a").isalnum():
            seen = f"no column of {table} holds the message, so the row cannot be recognised"
            yield Step(name="arrival", state="skipped", seen=seen)
            return
        try:
            workspace = WorkspaceClient(find_workspace(self._workspace_options(settings)))
        except (ConfigurationError, ManagerError) as error:
            yield Step(name="arrival", state="problem", seen=f"no workspace to query: {error}")
            return
        try:
            yield arrival.await_row(
                workspace, table, column, mark, since=began, seconds=self._arguments.wait, wait=self._wait
            )
            yield from ingestion_steps(workspace, settings.stream)
        finally:
            workspace.close()

    def _workspace_options(self, settings: Settings) -> argparse.Namespace:
        """Return the options with the workspace that they name, or else the one that the rule writes to."""
        workspace = self._arguments.workspace
        deployed = self._deployed
        is_named = workspace is not None or settings.is_local or os.environ.get(VARIABLE)
        if not is_named and deployed and deployed.workspace:
            manager = self._manager(settings)
            try:
                workspace = manager.workspace_id(deployed.workspace)
            finally:
                manager.close()
        return argparse.Namespace(**{**vars(self._arguments), "dcr": None, "workspace": workspace})

    def _skip(self, name: str, reason: str, *advice: str) -> None:
        self._steps.add(Step(name=name, state="skipped", seen=f"not checked: {reason}", advice=advice))


def _likely_fields(table: Table) -> Iterator[str]:
    """Yield a remark for each column that takes an extra, but was probably meant for a field of a similar name."""
    for column in table:
        names = column.source.names if isinstance(column.source, Extra) else ()
        similar = {field for name in names for field in get_close_matches(name, FIELD_TYPES, 1, _SIMILARITY)}
        if similar and not similar & {*names} and column.name not in names:
            yield f"column {column.name} takes the extra {names[0]!r}; the field is called {min(similar)!r}"


def _columns_step(settings: Settings, deployed: Deployed) -> Step:
    sent = {column.name: column.type for column in settings.table}
    if deployed.stream is None:
        seen = f"the rule does not declare {settings.stream}; {deployed.remark}"
        advice = f"give one of these with --stream, or declare {settings.stream}"
        return Step(name="columns", state="problem", seen=seen, advice=(advice,))
    table = deployed.table_name
    findings = compare(sent, deployed.stream, deployed.table, output=table, is_passed_on=deployed.transform == "source")
    counts = [f"{len(sent)} sent", f"{len(deployed.stream)} declared"]
    remark = [deployed.remark] if deployed.remark else []
    if deployed.table is None:
        remark.append(f"the columns of {table} are not known, so only handler and rule were compared")
    else:
        counts.append(f"{len(deployed.table)} in {table}")
    lost = f"{len(findings.lost)} would be lost or changed" if findings.lost else "nothing is lost"
    return Step(
        name="columns",
        state="problem" if findings.lost else "ok",
        seen=f"{', '.join(counts)}: {lost}",
        notes=(*findings.notes, *remark),
        advice=findings.lost,
        details={"rule": deployed.source},
    )
