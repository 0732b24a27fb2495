"""Answer uploads as the service does, with its refusals and its wording.

Where Azure answers 204 and silently drops data, the loss is recorded in `Store.problems`. Any thread may call in; the
only state is that of the store and the quota.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson

from ..._config.service_limits import MAX_BODY_BYTES, MAX_DECOMPRESSED_BYTES
from ..http.message import Request, Response, failure
from ..storage.plans import StreamPlan
from ..storage.problems import no_array, no_rows, refused, undeclared
from ..storage.store import Store
from ..storage.writer import QueueFullError
from .quota import Quota

API_VERSIONS = ("2023-01-01", "2021-11-01-preview")
# Further undeclared names in the same body are counted together.
MAX_NAMED_COLUMNS = 20

PATH = re.compile(r"/dataCollectionRules/(?P<rule>[^/]+)/streams/(?P<stream>[^/]+)")
_NO_CONTENT = Response(HTTPStatus.NO_CONTENT)


class UploadEndpoint:
    """Answer the uploads to the rules of a store."""

    def __init__(self, store: Store, quota: Quota) -> None:
        self._store = store
        self._quota = quota

    def upload(self, request: Request, rule: str, stream: str) -> Response:
        """Answer an upload; if it is accepted, queue its rows."""
        response = self._judge(request, rule, stream)
        if response.status >= 400:
            error = orjson.loads(response.body)["error"]
            message = f"{response.status} {error['code']}: {error['message']}"
            advice = _ADVICE.get(error["code"], "The message says what to change.")
            self._store.problems.add(refused(stream[:100], message, advice))
        return response

    def _judge(self, request: Request, rule: str, stream: str) -> Response:
        wrong = _refuse_request(request)
        if wrong is not None:
            return wrong
        if rule not in self._store.rule_ids:
            return failure(404, "NotFound", f"Data collection rule with immutable Id '{rule}' not found.")
        plan = self._store.plans.get((rule, stream))
        if plan is None:
            return failure(
                400,
                "InvalidStream",
                f"The stream {stream} was not configured in the data collection rule with immutable Id {rule}.",
            )
        body = _decompressed(request)
        if isinstance(body, Response):
            return body
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            return failure(400, "InvalidPayload", f"The body is malformed JSON: {error}.")
        rows = value if isinstance(value, list) else []
        wait = self._quota.take(rule, len(rows))
        if wait is not None:
            return failure(
                429,
                "TooManyRequests",
                "The data collection rule has reached its limit for this minute.",
                {"Retry-After": str(max(1, math.ceil(wait)))},
            )
        if not isinstance(value, list):
            self._store.problems.add(no_array(stream))
            return _NO_CONTENT
        try:
            self._accept(plan, body, rows)
        except QueueFullError:
            return failure(
                503, "ServiceUnavailable", "The local workspace is still storing earlier rows.", {"Retry-After": "1"}
            )
        return _NO_CONTENT

    def _accept(self, plan: StreamPlan, body: bytes, rows: list[Any]) -> None:
        dropped: dict[str, int] = {}
        declared = plan.columns.keys()
        others = 0
        for row in rows:
            if type(row) is not dict:
                others += 1
            elif not row.keys() <= declared:
                for name in row.keys() - declared:
                    key = name if name in dropped or len(dropped) < MAX_NAMED_COLUMNS else "…"
                    dropped[key] = dropped.get(key, 0) + 1
        if others:
            rows = [row for row in rows if type(row) is dict]
            body = orjson.dumps(rows)
            self._store.problems.add(no_rows(plan.stream, others))
        for name, count in dropped.items():
            near = next((known for known in declared if known.lower() == name.lower()), None)
            self._store.problems.add(undeclared(plan.stream, name[:100], count, near))
        self._store.submit(plan, body.strip()[1:-1].decode(), len(rows))


def _refuse_request(request: Request) -> Response | None:
    version = request.query.get("api-version")
    if version is None:
        return failure(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    if version not in API_VERSIONS:
        return failure(
            400,
            "InvalidApiVersionParameter",
            f"The api-version '{version[:50]}' is invalid. The supported versions are '{','.join(API_VERSIONS)}'.",
        )
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return failure(
            401,
            "AuthenticationTokenMissing",
            "The Authorization header must hold a bearer token; any token will do here.",
            {"WWW-Authenticate": "Bearer"},
        )
    if request.too_long is not None:
        return too_long(request.too_long)
    content_type = request.headers.get("content-type", "application/json")
    if "json" not in content_type.lower():
        return failure(
            415, "UnsupportedMediaType", f"The Content-Type must be application/json, not '{content_type[:100]}'."
        )
    if not request.body:
        return failure(400, "InvalidContentLength", "Content-Length must be greater than zero.")
    return None


def too_long(length: int) -> Response:
    """Refuse a body for its length on the wire, in the service's words."""
    return failure(
        413,
        "ContentLengthLimitExceeded",
        f"Maximum allowed content length: {MAX_BODY_BYTES} bytes (1 MB). Provided content length: {length} bytes.",
    )


def _decompressed(request: Request) -> bytes | Response:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return request.body
    if encoding != "gzip":
        return failure(
            415, "UnsupportedContentEncoding", f"The Content-Encoding '{encoding[:50]}' is not supported: use gzip."
        )
    # A decompression bomb takes no more memory than the limit.
    inflater = zlib.decompressobj(wbits=31)
    parts: list[bytes] = []
    length, rest = 0, request.body
    try:
        while rest:
            part = inflater.decompress(rest, MAX_DECOMPRESSED_BYTES + 1 - length)
            parts.append(part)
            length += len(part)
            if length > MAX_DECOMPRESSED_BYTES:
                return failure(
                    413,
                    "PayloadSizeLimitExceeded",
                    f"The decompressed body is larger than {MAX_DECOMPRESSED_BYTES} bytes (50 MB).",
                )
            if not inflater.eof:
                break
            rest = inflater.unused_data
            inflater = zlib.decompressobj(wbits=31)  # a gzip file may have several members
        else:
            return b"".join(parts)
    except zlib.error as error:
        return failure(400, "InvalidContentEncoding", f"The body is not gzip, as Content-Encoding says: {error}.")
    return failure(400, "InvalidContentEncoding", "The body is not gzip, as Content-Encoding says: it is truncated.")


_ADVICE: Mapping[str, str] = {
    "NotFound": "Check LOGS_DCR_RULE_ID: it must be the rule's immutableId.",
    "InvalidStream": "Check LOGS_DCR_STREAM_NAME: it must name a declared stream, often not the table's name.",
    "ContentLengthLimitExceeded": "Send fewer rows in a request, or compress them.",
    "PayloadSizeLimitExceeded": "Send fewer rows in a request.",
    "InvalidPayload": "Send a JSON array of objects in UTF-8; NaN and Infinity are not JSON.",
    "TooManyRequests": "Send again after the seconds in Retry-After; larger bodies need fewer requests.",
}
