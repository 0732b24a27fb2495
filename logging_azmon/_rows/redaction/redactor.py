"""Replace what a handler's `redact=` asks for, in text and in structures, and count the replacements.

Each replaced part is marked with its kind, ``[redacted: token]``. A key whose name is listed loses its whole value, at
any depth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..._config.redaction import Redaction
from ..._config.service_limits import MAX_VALUE_BYTES
from ..jsonable import plain
from ..jsonable import text as text_of
from ..shrink import cut
from . import personal, secrets
from .kind import Kind

# The glance and the kinds of each preset.
PRESETS: Mapping[str, tuple[Callable[[str], bool], tuple[Kind, ...]]] = {
    "secrets": (secrets.may_hold, secrets.KINDS),
    "personal": (personal.may_hold, personal.KINDS),
}
_MARK = "[redacted: {}]"
# A value is cut after it was redacted, so that half a secret is never left; much more than is kept need not be read.
MAX_TEXT = MAX_VALUE_BYTES + 8_192


class Redactor:
    """Redact text and structures; any thread may call it."""

    max_text = MAX_TEXT

    def __init__(self, redaction: Redaction, count: Callable[[int], None]) -> None:
        """`count` is called with the number of replacements in a value, if there are any."""
        self._presets = [PRESETS[name] for name in redaction.presets]
        self._patterns = redaction.patterns
        self._keys = redaction.keys
        self._count = count

    def text(self, text: str) -> str:
        """Return text with its secrets replaced; it is cut first if it is much longer than a value may be."""
        if len(text) > MAX_TEXT:
            text = cut(text, MAX_TEXT)
        replaced = 0
        for may_hold, kinds in self._presets:
            if may_hold(text):
                for kind in kinds:
                    if kind.needs in text:
                        text, times = kind.replace(text)
                        replaced += times
        for pattern in self._patterns:
            text, times = pattern.subn(_MARK.format("pattern"), text)
            replaced += times
        if replaced:
            self._count(replaced)
        return text

    def is_secret(self, key: str) -> bool:
        """Return whether the values under this key, or in this column, are replaced whole."""
        return key.lower() in self._keys

    def whole(self) -> str:
        """Return the mark that replaces the value of a listed key, and count it."""
        self._count(1)
        return _MARK.format("key")

    def value(self, value: Any) -> Any:
        """Return any value as text or a structure of JSON, with the secrets in it replaced."""
        return self.tree(value if type(value) is str else plain(value))

    def string(self, value: Any) -> Any:
        """Return any value as text with the secrets in it replaced; a structure remains one."""
        if type(value) is not str:
            value = plain(value)
            if type(value) in (dict, list):
                return self.tree(value)
            value = text_of(value)
        return self.text(value)

    def tree(self, value: Any) -> Any:
        """Return a structure of JSON with the secrets in its texts, and under listed keys, replaced."""
        kind = type(value)
        if kind is str:
            return self.text(value)
        if kind is dict:
            return {self.text(key): self._member(key, each) for key, each in value.items()}
        if kind is list:
            return [self.tree(each) for each in value]
        return value

    def _member(self, key: str, value: Any) -> Any:
        if self._keys and self.is_secret(key) and value is not None:
            return self.whole()
        return self.tree(value)
