"""Gets a token as the handler would, and says for whom it is. The token itself is never shown."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

from .._azure.credential import make_credential, why_none
from .._config.clouds import CLOUDS
from .._config.settings import Settings
from .._rows.jsonable import one_line
from ._steps import Step

_MESSAGE_LENGTH = 500


def ask(settings: Settings) -> tuple[Step, Any]:
    """Return what came of it, and the credential if it gave a token."""
    if settings.is_local:
        return Step(name="token", state="ok", seen="none is needed by a local workspace"), None
    name = _name(settings.credential)
    try:
        credential = make_credential(settings.credential, settings.cloud)
        token = credential.get_token(CLOUDS[settings.cloud].ingestion_scope)
    except Exception as error:  # noqa: BLE001 - a credential may be anybody's, and raise anything
        advice = (
            "on your own machine: az login; in Azure: give the machine a managed identity; elsewhere set"
            " AZURE_TENANT_ID, AZURE_CLIENT_ID and a secret or certificate; or choose with --credential"
        )
        return Step(
            name="token",
            state="problem",
            seen=f"{name} has none: {one_line(why_none(error), _MESSAGE_LENGTH)}",
            advice=(advice,),
        ), None
    by = getattr(credential, "_successful_credential", None)  # of the several that "default" tries
    name = name if by is None else f"{name}: {type(by).__name__}"
    identity = claims(token.token)
    seen = f"{name}; {describe(identity)}; valid for {max(0, int(token.expires_on - time.time())) // 60} minutes"
    return Step(name="token", state="ok", seen=seen, details={"credential": name, **identity}), credential


def claims(token: str) -> dict[str, str]:
    """Return whose token it is, as far as it says so: nothing else of it is looked at."""
    try:
        part = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        application = found.get("appid") or found.get("azp")
        known = {"application": application, "object": found.get("oid")}
    except (LookupError, ValueError, AttributeError):
        return {}
    return {name: value for name, value in known.items() if isinstance(value, str) and value.isprintable()}


def describe(identity: Mapping[str, Any]) -> str:
    """Name an identity."""
    return ", ".join(f"{name} {identity[name]}" for name in ("application", "object") if name in identity) or (
        "the token does not say for whom"
    )


def _name(credential: Any) -> str:
    if isinstance(credential, Mapping):
        credential = next(iter(credential))
    return credential if isinstance(credential, str) else type(credential).__name__
