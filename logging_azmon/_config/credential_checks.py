"""Check the form of a credential, and the names of its options. A value that may be a secret is never shown."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from .validators import shown

CREDENTIALS = ("default", "managed_identity", "workload_identity", "environment", "azure_cli", "local")
ASYNCHRONOUS = "credential= is asynchronous: its get_token returns a coroutine"

_WITH_OPTIONS = CREDENTIALS[:-1]
_FORMS = (
    f"a TokenCredential, one of {', '.join(map(repr, CREDENTIALS))},"
    " or a mapping of one of these to its options, such as {'managed_identity': {'client_id': '…'}}"
)
# The options that say which identity is meant. azure.identity ignores a name that it does not know, and then takes
# another identity. Options of its HTTP client are not listed: they pass.
_IDENTITY_OPTIONS: Mapping[str, frozenset[str]] = {
    "default": frozenset(
        [
            "managed_identity_client_id",
            "workload_identity_client_id",
            "workload_identity_tenant_id",
            "shared_cache_username",
            "shared_cache_tenant_id",
            "interactive_browser_tenant_id",
            "interactive_browser_client_id",
            "broker_tenant_id",
            "broker_client_id",
            "visual_studio_code_tenant_id",
            "process_timeout",
            "require_envvar",
            "authority",
            "additionally_allowed_tenants",
            "disable_instance_discovery",
        ]
        + [
            f"exclude_{name}_credential"
            for name in (
                [
                    "environment",
                    "workload_identity",
                    "developer_cli",
                    "cli",
                    "managed_identity",
                    "powershell",
                    "visual_studio_code",
                    "shared_token_cache",
                    "interactive_browser",
                    "broker",
                ]
            )
        ]
    ),
    "managed_identity": frozenset({"client_id", "identity_config"}),
    "workload_identity": frozenset(
        [
            "tenant_id",
            "client_id",
            "token_file_path",
            "authority",
            "additionally_allowed_tenants",
            "disable_instance_discovery",
        ]
    ),
    "environment": frozenset({"authority", "additionally_allowed_tenants", "disable_instance_discovery"}),
    "azure_cli": frozenset({"tenant_id", "subscription", "additionally_allowed_tenants", "process_timeout"}),
}
_ALL_OPTIONS = frozenset().union(
    *_IDENTITY_OPTIONS.values(), {"client_secret", "certificate_path", "username", "password"}
)


def check_credential(credential: Any) -> Iterator[str]:
    """Check a credential's form, and the names of its options; their values are checked by the SDK."""
    if isinstance(credential, Mapping):
        name, options = next(iter(credential.items())) if len(credential) == 1 else (None, None)
        if name in _WITH_OPTIONS and isinstance(options, Mapping):
            yield from _check_options(name, options)
            return
        keys = ", ".join(map(shown, credential)) or "none"
        yield (
            f"credential is a mapping with the keys {keys}; give the name of one credential with its options, such"
            f" as {{'managed_identity': {{'client_id': '…'}}}}; the names are {', '.join(map(repr, _WITH_OPTIONS))}"
        )
    elif isinstance(credential, str):
        if credential not in CREDENTIALS:
            near = difflib.get_close_matches(credential.lower().replace("-", "_"), CREDENTIALS, 1, 0.8)
            if near:
                yield f"credential={shown(credential)} is not accepted; did you mean {near[0]!r}?"
            else:
                # It may be a secret that was pasted in the wrong place, and tracebacks are logged.
                yield f"credential is an unknown name (not shown, it may be a secret); accepted are {_FORMS}"
    elif isinstance(credential, type) or not callable(getattr(credential, "get_token", None)):
        kind = f"the class {credential.__name__}" if isinstance(credential, type) else type(credential).__name__
        yield f"credential is not accepted: {kind} has no get_token() to call; accepted are {_FORMS}"
    elif inspect.iscoroutinefunction(credential.get_token):
        yield f"{ASYNCHRONOUS}; give the class of the same name in azure.identity instead of azure.identity.aio"


def _check_options(name: str, options: Mapping[str, Any]) -> Iterator[str]:
    """Find misspelt options, and options of another credential, which azure.identity would ignore."""
    accepted = _IDENTITY_OPTIONS[name]
    for option in options:
        if option in accepted:
            continue
        near = difflib.get_close_matches(str(option), accepted, 1, 0.8)
        if near:
            yield f"credential: {shown(option)} is not an option of {name!r}; did you mean {near[0]!r}?"
        elif option in _ALL_OPTIONS:
            end = ": it reads AZURE_CLIENT_ID and the like from the environment" if name == "environment" else ""
            yield (
                f"credential: {shown(option)} is not an option of {name!r}{end};"
                f" it takes {', '.join(map(repr, sorted(accepted)))}"
            )
