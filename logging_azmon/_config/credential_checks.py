"""Check the form of a credential, and the names of its options. A value that may be a secret is never shown."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .validators import shown

# Credentials that need no options.
CREDENTIALS = ("default", "managed_identity", "workload_identity", "environment", "azure_cli", "local")
CHAINED = "chained"
# Credentials that need options, and which.
_REQUIRED: Mapping[str, frozenset[str]] = {
    "client_secret": frozenset({"tenant_id", "client_id", "client_secret"}),
    "certificate": frozenset({"tenant_id", "client_id"}),
    "client_assertion": frozenset({"tenant_id", "client_id", "func"}),
    "azure_pipelines": frozenset({"tenant_id", "client_id", "service_connection_id", "system_access_token"}),
}
ASYNCHRONOUS = "credential= is asynchronous: its get_token returns a coroutine"

_WITH_OPTIONS = (*CREDENTIALS[:-1], *_REQUIRED)
_NAMES = (*CREDENTIALS, *_REQUIRED, CHAINED)
_CHAIN = "{'chained': ['workload_identity', 'managed_identity']}"
_FORMS = (
    f"a TokenCredential, one of {', '.join(map(repr, CREDENTIALS))},"
    " or a mapping of one of these to its options, such as {'managed_identity': {'client_id': '…'}};"
    f" with their options also {', '.join(map(repr, _REQUIRED))}, and {_CHAIN}"
)
_COMMON = frozenset({"authority", "additionally_allowed_tenants", "disable_instance_discovery"})
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
    "workload_identity": _COMMON | {"tenant_id", "client_id", "token_file_path"},
    "environment": _COMMON,
    "azure_cli": frozenset({"tenant_id", "subscription", "additionally_allowed_tenants", "process_timeout"}),
    "client_secret": _COMMON | _REQUIRED["client_secret"] | {"cache_persistence_options"},
    "certificate": _COMMON
    | _REQUIRED["certificate"]
    | {
        "certificate_path",
        "certificate_data",
        "password",
        "send_certificate_chain",
        "cache_persistence_options",
    },
    "client_assertion": _COMMON | _REQUIRED["client_assertion"] | {"cache_persistence_options"},
    "azure_pipelines": _COMMON | _REQUIRED["azure_pipelines"] | {"cache_persistence_options"},
}
_ALL_OPTIONS = frozenset().union(*_IDENTITY_OPTIONS.values(), {"username"})


def check_credential(credential: Any) -> Iterator[str]:
    """Check a credential's form, and the names of its options; their values are checked by the SDK."""
    if isinstance(credential, Mapping):
        yield from _check_mapping(credential)
    elif isinstance(credential, str):
        yield from _check_name(credential)
    elif isinstance(credential, type) or not callable(getattr(credential, "get_token", None)):
        kind = f"the class {credential.__name__}" if isinstance(credential, type) else type(credential).__name__
        yield f"credential is not accepted: {kind} has no get_token() to call; accepted are {_FORMS}"
    elif inspect.iscoroutinefunction(credential.get_token):
        yield f"{ASYNCHRONOUS}; give the class of the same name in azure.identity instead of azure.identity.aio"


def _check_mapping(credential: Mapping[Any, Any]) -> Iterator[str]:
    name, options = next(iter(credential.items())) if len(credential) == 1 else (None, None)
    if name in _WITH_OPTIONS and isinstance(options, Mapping):
        yield from _check_options(name, options)
    elif name == CHAINED:
        yield from _check_chain(options)
    elif name not in _NAMES and (near := _near(name)):
        yield f"credential: {shown(name)} is not the name of a credential; did you mean {near!r}?"
    else:
        keys = ", ".join(map(shown, credential)) or "none"
        yield (
            f"credential is a mapping with the keys {keys}; give the name of one credential with its options, such"
            f" as {{'managed_identity': {{'client_id': '…'}}}}; the names are"
            f" {', '.join(map(repr, (*_WITH_OPTIONS, CHAINED)))}"
        )


def _check_name(credential: str) -> Iterator[str]:
    if credential in CREDENTIALS:
        return
    if credential in _REQUIRED:
        yield f"credential={credential!r} needs its options: {{{credential!r}: {{{_wanted(credential)}}}}}"
    elif credential == CHAINED:
        yield f"credential={credential!r} needs the credentials that it tries: {_CHAIN}"
    elif near := _near(credential):
        yield f"credential={shown(credential)} is not accepted; did you mean {near!r}?"
    else:
        # It may be a secret that was pasted in the wrong place, and tracebacks are logged.
        yield f"credential is an unknown name (not shown, it may be a secret); accepted are {_FORMS}"


def is_named(credential: Any) -> bool:
    """Return whether a credential consists of names and options, without objects of the user's."""
    if isinstance(credential, Mapping) and CHAINED in credential:
        return all(map(is_named, credential[CHAINED]))
    return isinstance(credential, str | Mapping)


def _near(name: Any) -> str:
    """Return the name that was probably meant, or ""."""
    written = str(name).lower().replace("-", "_")
    if written == "client_certificate":
        return "certificate"
    return next(iter(difflib.get_close_matches(written, _NAMES, 1, 0.8)), "")


def _wanted(name: str) -> str:
    """Return how the options of a credential that needs some are written."""
    wanted = sorted(_REQUIRED[name] | ({"certificate_path"} if name == "certificate" else set()))
    return ", ".join(f"{option!r}: '…'" for option in wanted)


def _check_chain(members: Any) -> Iterator[str]:
    if isinstance(members, str | Mapping) or not isinstance(members, Sequence) or not members:
        yield f"credential: 'chained' takes a list of credentials, which are tried in this order: {_CHAIN}"
        return
    for member in members:
        if member == "local" or (isinstance(member, Mapping) and CHAINED in member):
            kind = "'local'" if member == "local" else "another 'chained'"
            yield f"credential: {kind} cannot be in a chain; leave it out"
        else:
            yield from check_credential(member)


def _check_options(name: str, options: Mapping[str, Any]) -> Iterator[str]:
    """Find misspelt options, and options of another credential, which azure.identity would ignore."""
    accepted = _IDENTITY_OPTIONS[name]
    if missing := sorted(_REQUIRED.get(name, frozenset()) - set(options)):
        yield f"credential: {name!r} needs {' and '.join(map(repr, missing))} as well: {{{_wanted(name)}}}"
    if name == "certificate" and not {"certificate_path", "certificate_data"} & set(options):
        yield "credential: 'certificate' needs 'certificate_path', the path of a PEM or PKCS#12 file with its key"
    if "func" in options and not callable(options["func"]):
        yield (
            "credential: 'func' is not callable; give a callable that returns the assertion, in dictConfig as"
            " 'ext://package.module.name'"
        )
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
