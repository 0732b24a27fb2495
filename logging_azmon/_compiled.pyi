# The types of the compiled twin; see `_compiled.pyx`.

import logging
from collections.abc import Callable
from typing import Any, final

@final
class RecordEncoder:
    @property
    def handed_over(self) -> int: ...
    def __init__(self, **parts: Any) -> None: ...
    def __call__(self, record: logging.LogRecord, formatter: logging.Formatter | None) -> bytes: ...

@final
class EventEncoder:
    @property
    def handed_over(self) -> int: ...
    def __init__(self, **parts: Any) -> None: ...
    def __call__(self, event: Any, method: Any, logger_name: str | None) -> bytes: ...

@final
class OpenBatch:
    put: Callable[[bytes], bool]
    batch: Any
    data: bytearray
    since: float
    lock_free: Any
    reserved: int
    capacity: int
    rows: int
    def __init__(self, batch: Any, put: Callable[[bytes], bool]) -> None: ...
    def append(self, line: bytes) -> bool: ...
