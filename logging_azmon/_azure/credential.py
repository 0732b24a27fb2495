"""Asks for tokens: builds the credential that the settings name, or takes the one that was given.

Rules: asked by delivering threads only, one at a time, because credentials are not made for more; whoever waits for
his turn does so within a limit. What a credential raises is marked as its own, to tell it from a failed request.
"""

from __future__ import annotations

import importlib
import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._config.clouds import CLOUDS
from .._config.settings import Settings

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken

_CREDENTIAL_CLASSES: Mapping[str, str] = {
    "default": "DefaultAzureCredential",
    "managed_identity": "ManagedIdentityCredential",
    "workload_identity": "WorkloadIdentityCredential",
    "environment": "EnvironmentCredential",
    "azure_cli": "AzureCliCredential",
}
# They log in elsewhere, and take no authority.
_WITHOUT_AUTHORITY = frozenset({"managed_identity", "azure_cli"})
# A token that takes longer does not come.
ASKING_SECONDS = 60.0
# What DefaultAzureCredential writes for each that it has asked: its name, and a first sentence.
_TRIED = re.compile(r"^\t(\w+Credential): (.*?)(?:\. .*|\.?)$", re.MULTILINE)
_patience = threading.local()


def be_patient(seconds: float | None = None) -> None:
    """Say how long the thread at hand may wait for a token or an answer: the SDK hands no such thing through."""
    _patience.seconds = ASKING_SECONDS if seconds is None else min(seconds, ASKING_SECONDS)


def patience() -> float:
    """Tell how long the thread at hand may wait, as `be_patient` has said."""
    return getattr(_patience, "seconds", ASKING_SECONDS)


class CredentialError(Exception):
    """Tell a failure to get a token from a failure of the request."""


def why_none(error: BaseException) -> str:
    """Say why there is no token; of a chain, what each credential says, without its page of links."""
    said = str(error)
    tried = _TRIED.findall(said)
    if not tried:
        return f"{type(error).__name__}: {said}"
    reasons: dict[str, list[str]] = {}
    for name, reason in tried:
        short = reason.removeprefix(f"{name} ").removeprefix("authentication ")
        reasons.setdefault(short, []).append(name.removesuffix("Credential"))
    return "; ".join(f"{', '.join(names)}: {short}" for short, names in reasons.items())


class Credential:
    """Ask the real credential, one thread at a time, and mark what it raises."""

    def __init__(self, settings: Settings | None) -> None:
        """Build the credential that the settings name, if any."""
        self._asking = threading.Lock()
        self._is_ours = settings is not None and isinstance(settings.credential, str | Mapping)
        try:
            self._credential: Any = None if settings is None else make_credential(settings.credential, settings.cloud)
        except Exception as error:
            raise CredentialError(why_none(error)) from error

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return a token."""
        seconds = patience()
        if not self._asking.acquire(timeout=max(0.0, seconds)):
            raise CredentialError(f"another thread has been waiting for it for {seconds:.0f} s")
        try:
            return self._credential.get_token(*scopes, **options)  # type: ignore[no-any-return]
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit and CancelledError, too: they would end the wrong thread
            raise CredentialError(why_none(error)) from error
        finally:
            self._asking.release()

    def close(self) -> None:
        """Close what was built here; what was given may be in use elsewhere."""
        if self._is_ours:
            self._credential.close()


def make_credential(chosen: Any, cloud: str) -> Any:
    """Build the credential that was named, or return the one that was given."""
    options: Mapping[str, Any] = {}
    if isinstance(chosen, Mapping):
        (chosen, options), *_ = chosen.items()
    if not isinstance(chosen, str):
        return chosen
    if chosen not in _WITHOUT_AUTHORITY:
        options = {"authority": CLOUDS[cloud].authority, **options}
    return getattr(importlib.import_module("azure.identity"), _CREDENTIAL_CLASSES[chosen])(**options)
