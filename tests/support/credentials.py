"""Fake credentials, as the SDK's protocol wants them."""

from typing import Any


class Forbidden:
    """A credential that must not be asked for a token, and notes that it was."""

    asked = False

    def get_token(self, *scopes: str, **options: Any) -> Any:
        self.asked = True
        raise AssertionError("no token is needed here")


class Tokens:
    """A credential that raises the given errors first, and then gives a new token each time."""

    def __init__(self, *errors: BaseException) -> None:
        self._errors = list(errors)
        self._given = 0

    def get_token(self, *scopes: str, **options: Any) -> Any:
        from azure.core.credentials import AccessToken

        if self._errors:
            raise self._errors.pop(0)
        self._given += 1
        return AccessToken(f"token-{self._given}", 4_000_000_000)

    def close(self) -> None:
        """Close nothing; the SDK may call it."""
