"""Request a token as the handler would, and name its identity. The token itself is never shown."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

from ..._azure.credential import http_options, make_credential, token_error_text, token_problem
from ..._azure.redaction import without_secrets
from ..._config.clouds import CLOUDS
from ..._config.settings import Settings
from ...trouble import one_line
from .steps import Step

_MESSAGE_LENGTH = 500


def request_token(settings: Settings) -> tuple[Step, Any]:
    """Return the result as a step, and the credential if it gave a token."""
    if settings.is_local:
        return Step(name="token", state="ok", seen="a local workspace needs none"), None
    name = _name(settings.credential)
    credential: Any = None
    token: Any = None
    try:
        http = http_options(settings.proxy, settings.ca_bundle)
        credential = make_credential(settings.credential, settings.cloud, http)
        token = credential.get_token(CLOUDS[settings.cloud].ingestion_scope)
        problem = token_problem(token)
    except Exception as error:  # noqa: BLE001 - a user's own credential may raise anything
        problem = token_error_text(error)
    if problem:
        advice = (
            "on your own machine, run az login; in Azure, give the machine a managed identity; elsewhere, set"
            " AZURE_TENANT_ID, AZURE_CLIENT_ID and a secret or certificate; or choose another --credential"
        )
        return Step(
            name="token",
            state="problem",
            seen=f"{name} returned no token: {one_line(without_secrets(problem), _MESSAGE_LENGTH)}",
            advice=(advice,),
        ), None
    chosen = getattr(credential, "_successful_credential", None)  # one of the several that "default" tries
    name = name if chosen is None else f"{name}: {type(chosen).__name__}"
    identity = identity_claims(token.token)
    seen = (
        f"{name}; {describe_identity(identity)}; valid for {max(0, int(token.expires_on - time.time())) // 60} minutes"
    )
    return Step(name="token", state="ok", seen=seen, details={"credential": name, **identity}), credential


def identity_claims(token: str) -> dict[str, str]:
    """Return the ids of the identity that a token names; nothing else in it is read."""
    try:
        part = token.split(".")[1]
        payload = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        application = payload.get("appid") or payload.get("azp")
        ids = {"application": application, "object": payload.get("oid")}
    except (LookupError, ValueError, AttributeError):
        return {}
    return {name: value for name, value in ids.items() if isinstance(value, str) and value.isprintable()}


def describe_identity(identity: Mapping[str, Any]) -> str:
    """Describe an identity by its ids."""
    return ", ".join(f"{name} {identity[name]}" for name in ("application", "object") if name in identity) or (
        "an identity that the token does not name"
    )


def _name(credential: Any) -> str:
    if isinstance(credential, Mapping):
        credential = next(iter(credential))
    return credential if isinstance(credential, str) else type(credential).__name__
