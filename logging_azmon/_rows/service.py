"""Find out what the running service is called: from OpenTelemetry's variables, or else from those that its host sets.

OpenTelemetry: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/. App Service and
Functions set WEBSITE_*, Container Apps CONTAINER_APP_*, AWS Lambda AWS_LAMBDA_*. In Kubernetes, the host name is the
pod's name, which begins with that of its Deployment or StatefulSet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

# The attributes of OpenTelemetry's resource, and the variables of hosts, in order of preference.
_SOURCES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "service_name": (
        ("service.name",),
        ("WEBSITE_SITE_NAME", "CONTAINER_APP_NAME", "CONTAINER_APP_JOB_NAME", "AWS_LAMBDA_FUNCTION_NAME"),
    ),
    "service_version": (("service.version",), ("CONTAINER_APP_REVISION", "AWS_LAMBDA_FUNCTION_VERSION")),
    "service_instance": (
        ("service.instance.id",),
        (
            "WEBSITE_INSTANCE_ID",
            "CONTAINER_APP_REPLICA_NAME",
            "CONTAINER_APP_JOB_EXECUTION_NAME",
            "AWS_LAMBDA_LOG_STREAM_NAME",
        ),
    ),
    "environment": (
        ("deployment.environment.name", "deployment.environment"),
        ("WEBSITE_SLOT_NAME", "AZURE_FUNCTIONS_ENVIRONMENT"),
    ),
}
FIELDS = frozenset(_SOURCES)

# Kubernetes makes the random parts of names of these characters.
_RANDOM = "[bcdfghjklmnpqrstvwxz2456789]"
# A Deployment's pod has two random parts, a StatefulSet's a number. The pods of other owners cannot be told from names
# that were chosen by hand.
_POD = re.compile(rf"(.+?)(?:-{_RANDOM}{{6,10}}-{_RANDOM}{{5}}|-\d+)")


def find(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the fields that an environment gives a value; variables that are empty count as missing."""
    attributes = _attributes(environ.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    if name := environ.get("OTEL_SERVICE_NAME", "").strip():
        attributes["service.name"] = name
    found = _of_pod(environ)
    for field, (keys, variables) in _SOURCES.items():
        candidates = (*(attributes.get(key) for key in keys), *(environ.get(name) for name in variables))
        if value := next(filter(None, candidates), None):
            found[field] = value
    return found


def _attributes(written: str) -> dict[str, str]:
    """Parse ``key=value,key=value`` with percent-encoded values; ignore what cannot be parsed, as the SDK does."""
    pairs = (item.partition("=") for item in written.split(","))
    return {key.strip(): unquote(value.strip()) for key, sign, value in pairs if sign}


def _of_pod(environ: Mapping[str, str]) -> dict[str, str]:
    pod = environ.get("HOSTNAME", "") if environ.get("KUBERNETES_SERVICE_HOST") else ""
    if not pod:
        return {}
    owner = _POD.fullmatch(pod)
    return {"service_instance": pod} | ({"service_name": owner[1]} if owner else {})
