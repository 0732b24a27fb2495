"""Get tokens from the credential that the settings name, or from the user's credential object.

Rules: only delivering threads request tokens, one at a time, because credentials need not be thread-safe. A thread
waits for the others no longer than its wait limit. Errors that a credential raises are wrapped in `CredentialError`,
to distinguish them from failed requests.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .._config.clouds import CLOUDS
from .._config.credential_checks import ASYNCHRONOUS, CHAINED, is_named
from .._config.settings import Settings
from .._process.real_threads import Lock
from .wait_limit import wait_limit

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken

_CREDENTIAL_CLASSES: Mapping[str, str] = {
    "default": "DefaultAzureCredential",
    "managed_identity": "ManagedIdentityCredential",
    "workload_identity": "WorkloadIdentityCredential",
    "environment": "EnvironmentCredential",
    "azure_cli": "AzureCliCredential",
    "client_secret": "ClientSecretCredential",
    "certificate": "CertificateCredential",
    "client_assertion": "ClientAssertionCredential",
    "azure_pipelines": "AzurePipelinesCredential",
}
# These do not log in to Microsoft Entra themselves, so they take no authority and need no proxy.
_WITHOUT_LOGIN = frozenset({"managed_identity", "azure_cli"})
# Matches the lines of DefaultAzureCredential's error, one for each credential that it tried: its name and its error.
_TRIED = re.compile(r"^\t(\w+Credential): (.*?)(?:\. .*|\.?)$", re.MULTILINE)

# Visible ASCII characters, of which a token consists.
_HEADER_VALUE = re.compile(r"[!-~]+")


class CredentialError(Exception):
    """Raised when no token can be obtained."""


def token_error_text(error: BaseException) -> str:
    """Return why there is no token; for a chain, the error of each credential, without the links around it."""
    text = str(error)
    tried = _TRIED.findall(text)
    if not tried:
        return f"{type(error).__name__}: {text}"
    reasons: dict[str, list[str]] = {}
    for name, reason in tried:
        short = reason.removeprefix(f"{name} ").removeprefix("authentication ")
        reasons.setdefault(short, []).append(name.removesuffix("Credential"))
    return "; ".join(f"{', '.join(names)}: {short}" for short, names in reasons.items())


def token_problem(token: Any) -> str:
    """Return why the result of a credential's get_token cannot be used, without showing it; "" if it can."""
    if inspect.isawaitable(token):
        if inspect.iscoroutine(token):
            token.close()
        return f"{ASYNCHRONOUS}; give the class of the same name in azure.identity instead of azure.identity.aio"
    text = getattr(token, "token", None)
    if not isinstance(text, str) or not isinstance(getattr(token, "expires_on", None), int | float):
        return f"get_token returned {type(token).__name__}; it must return an AccessToken(token, expires_on)"
    if not text:
        return "get_token returned an empty token"
    if not _HEADER_VALUE.fullmatch(text):
        return (
            f"get_token returned a token of {len(text):,} characters with a space, a line break or another character"
            " that an HTTP header cannot hold; if it was read from a file, strip it"
        )
    return ""


def http_options(proxy: str | None, ca_bundle: str | None) -> dict[str, Any]:
    """Return the options for a client of the SDK that uses this proxy and these certificate authorities."""
    options: dict[str, Any] = {}
    if proxy is not None:
        # Not for http, over which a machine's own endpoint issues tokens.
        options["proxies"] = {"https": proxy}
    if ca_bundle is not None:
        options["connection_verify"] = ca_bundle
    return options


class TokenSource:
    """Get tokens from the real credential, one thread at a time, and raise its errors as `CredentialError`."""

    def __init__(self, settings: Settings | None) -> None:
        """Build the credential that the settings name; without settings, no token can be requested."""
        self._lock = Lock()
        self._is_ours = settings is not None and is_named(settings.credential)
        try:
            self._credential: Any = None
            if settings is not None:
                http = http_options(settings.proxy, settings.ca_bundle)
                self._credential = make_credential(settings.credential, settings.cloud, http)
        except Exception as error:
            raise CredentialError(token_error_text(error)) from error

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return a token; called by the SDK."""
        seconds = wait_limit()
        if not self._lock.acquire(timeout=max(0.0, seconds)):
            raise CredentialError(f"another thread was still getting a token after {seconds:.0f} s")
        try:
            token = self._credential.get_token(*scopes, **options)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # also SystemExit and CancelledError, which would end our thread
            raise CredentialError(token_error_text(error)) from error
        finally:
            self._lock.release()
        problem = token_problem(token)
        if problem:
            raise CredentialError(problem)
        return token  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close the credential if it was built here; the user's own object may be in use elsewhere."""
        if self._is_ours:
            self._credential.close()


def make_credential(chosen: Any, cloud: str, http: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """Build the named credential, with these options for its HTTP client, or return the user's credential object."""
    options: Any = {}
    if isinstance(chosen, Mapping):
        (chosen, options), *_ = chosen.items()
        if chosen == CHAINED:
            return _make_chain(options, cloud, http)
    if not isinstance(chosen, str):
        return chosen
    if chosen not in _WITHOUT_LOGIN:
        options = {"authority": CLOUDS[cloud].authority, **http, **options}
    # An import statement, so that PyInstaller finds the module.
    from azure import identity

    return getattr(identity, _CREDENTIAL_CLASSES[chosen])(**options)


def _make_chain(members: Sequence[Any], cloud: str, http: Mapping[str, Any]) -> Any:
    """Build a chain of credentials; one that cannot be built, because its surroundings are missing, is passed over."""
    from azure import identity

    credentials = []
    for member in members:
        try:
            credentials.append(make_credential(member, cloud, http))
        except Exception as error:  # noqa: BLE001 - a missing variable or file, and whatever else a constructor raises
            name = next(iter(member)) if isinstance(member, Mapping) else member
            # The chain tells the name of the class beside the reason.
            kind = type(_CREDENTIAL_CLASSES[name], (_Unavailable,), {})
            credentials.append(kind(token_error_text(error)))
    return identity.ChainedTokenCredential(*credentials)


class _Unavailable:
    """Stand in a chain for a credential that could not be built, and say why."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def get_token(self, *_: str, **__: Any) -> Any:
        from azure.identity import CredentialUnavailableError

        raise CredentialUnavailableError(message=self._reason)

    def __exit__(self, *_: object) -> None:
        """Close nothing; the chain calls it when it is closed."""
