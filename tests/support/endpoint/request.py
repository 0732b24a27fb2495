"""One upload, read to its end and parsed."""

import gzip
import json
import re
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True)
class Request:
    """Hold one upload whose body was read to its end."""

    method: str
    # As sent, without the query.
    path: str
    query: dict[str, str]
    # Names in lower case.
    headers: dict[str, str]
    # As sent, so still compressed; only the framing of chunks is removed.
    raw: bytes = field(repr=False)
    # Decompressed.
    body: bytes = field(repr=False)
    # None when the body is not a JSON array.
    rows: list[dict[str, Any]] | None
    # None, like the stream, when the path is not one of the service's.
    rule: str | None
    stream: str | None

    @classmethod
    def parse(cls, method: str, target: str, headers: dict[str, str], raw: bytes) -> Self:
        """Parse a request; raise if the body does not decompress."""
        body = gzip.decompress(raw) if headers.get("content-encoding") == "gzip" else raw
        url = urlsplit(target)
        upload = re.search(r"/dataCollectionRules/([^/]+)/streams/([^/]+)$", url.path)
        rule, stream = map(unquote, upload.groups()) if upload else (None, None)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        return cls(method, url.path, query, headers, raw, body, _rows(body), rule, stream)


def _rows(body: bytes) -> list[dict[str, Any]] | None:
    try:
        # int refuses the NaN and Infinity that Python accepts and JSON does not have.
        rows = json.loads(body, parse_constant=int)
    except ValueError:
        return None
    return rows if isinstance(rows, list) else None
