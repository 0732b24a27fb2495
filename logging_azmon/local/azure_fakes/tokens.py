"""Issue meaningless tokens where azure-identity looks for real ones.

`ClientSecretCredential` asks ``/<tenant>/oauth2/v2.0/token`` of its authority; `ManagedIdentityCredential` and
`DefaultAzureCredential` ask ``IDENTITY_ENDPOINT``. No secret is checked: a token proves that the request arrived, not
that its sender is authorized. Any thread may call in; there is no state.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping
from urllib.parse import parse_qsl

import orjson

from ..http.message import Request, Response, answer

SECONDS = 3600
MANAGED_IDENTITY_PATH = "/msi/token"

_CONFIGURATION = re.compile(r"/(?P<tenant>[\w.-]+)/v2\.0/\.well-known/openid-configuration")
_TOKEN = re.compile(r"/(?P<tenant>[\w.-]+)/oauth2/v2\.0/token")


class Tokens:
    """Answer as an authority and as the endpoint of a managed identity."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    def answer(self, request: Request) -> Response | None:
        """Answer a request for a token; return None for any other request."""
        if request.path == MANAGED_IDENTITY_PATH and request.method == "GET":
            return self._managed_identity(request)
        if (found := _CONFIGURATION.fullmatch(request.path)) and request.method == "GET":
            return self._configuration(found["tenant"])
        if (found := _TOKEN.fullmatch(request.path)) and request.method == "POST":
            return self._client_credentials(request, found["tenant"])
        return None

    def _configuration(self, tenant: str) -> Response:
        base = f"{self._endpoint}/{tenant}"
        return answer(
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "response_types_supported": ["code"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    def _client_credentials(self, request: Request, tenant: str) -> Response:
        form = dict(parse_qsl(request.body.decode("utf-8", "replace")))
        missing = [name for name in ("grant_type", "client_id", "scope") if not form.get(name)]
        if missing:
            return answer(
                {"error": "invalid_request", "error_description": f"The form lacks {', '.join(missing)}."}, status=400
            )
        audience = form["scope"].split()[0].removesuffix("/.default")
        token = _token({"aud": audience, "tid": tenant, "appid": form["client_id"]})
        return answer({"token_type": "Bearer", "expires_in": SECONDS, "ext_expires_in": SECONDS, "access_token": token})

    def _managed_identity(self, request: Request) -> Response:
        resource = request.query.get("resource", "")
        if not resource or "x-identity-header" not in request.headers:
            return answer(
                {"statusCode": 400, "message": "The parameter resource and the header X-IDENTITY-HEADER are required."},
                status=400,
            )
        return answer(
            {
                "access_token": _token({"aud": resource, "tid": "local", "appid": "local"}),
                "expires_on": str(int(time.time()) + SECONDS),
                "resource": resource,
                "token_type": "Bearer",
            }
        )


def _token(claims: Mapping[str, str]) -> str:
    """Encode claims as an unsigned JWT: clients decode tokens, and some show the claims."""
    parts = ({"alg": "none", "typ": "JWT"}, {**claims, "iss": "local", "exp": int(time.time()) + SECONDS})
    encoded = [base64.urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, "local"])
