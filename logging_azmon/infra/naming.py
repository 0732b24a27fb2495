"""Check names and retention times against Azure's rules; yield a sentence for each value that Azure would refuse.

Sources: "Naming rules and restrictions for Azure resources" and the reference of each resource type, 2026-09.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

PLANS = ("Analytics", "Basic", "Auxiliary")
# Beyond two years, the service keeps rows for whole years only; these are the accepted numbers of days.
LONG_RETENTION = (1095, 1460, 1826, 2191, 2556, 2922, 3288, 3653, 4018, 4383)
MAX_INTERACTIVE_DAYS = 730


class _Rule(NamedTuple):
    label: str
    pattern: re.Pattern[str]
    accepted: str


def _rule(label: str, pattern: str, accepted: str) -> _Rule:
    return _Rule(label, re.compile(pattern, re.ASCII), accepted)


# The names of rules and endpoints become parts of host names, hence the small alphabets.
_RULES = {
    "table": _rule(
        "table", r"[A-Za-z][A-Za-z0-9_]{0,59}_CL", "a letter, then letters, digits and _, at most 63 with _CL"
    ),
    "built-in": _rule("table", r"[A-Za-z][A-Za-z0-9]{2,62}", "the name of one of Azure's own tables"),
    "stream": _rule("stream", r"Custom-[A-Za-z0-9_.-]{1,56}", "Custom- and then letters, digits, _ . -"),
    "rule": _rule(
        "rule", r"[A-Za-z][A-Za-z0-9-]{1,28}[A-Za-z0-9]", "3 to 30 letters, digits and hyphens, beginning with a letter"
    ),
    "dce": _rule(
        "dce", r"[A-Za-z][A-Za-z0-9-]{1,42}[A-Za-z0-9]", "3 to 44 letters, digits and hyphens, beginning with a letter"
    ),
    "workspace": _rule(
        "workspace",
        r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]",
        "the workspace's name (not its id), 4 to 63 letters, digits and hyphens",
    ),
    "resource_group": _rule(
        "resource-group", r"[\w.()-]{0,89}[\w()-]", "1 to 90 letters, digits and _ . - ( ), no . at the end"
    ),
    "location": _rule(
        "location", r"[a-z][a-z0-9]{2,49}", "a region's name as in 'az account list-locations', such as westeurope"
    ),
    "alerts": _rule(
        "alerts",
        r"[\w.%+-]+@[\w-]+(\.[\w-]+)+"
        r"|/subscriptions/[\w-]+/resourceGroups/[\w.()-]+/providers/Microsoft\.Insights/actionGroups/[\w .-]+",
        "an e-mail address, or the resource id of an action group, /subscriptions/…/actionGroups/NAME",
    ),
    "dce_id": _rule(
        "dce-id",
        r"/subscriptions/[\w-]+/resourceGroups/[\w.()-]+/providers/Microsoft\.Insights/dataCollectionEndpoints/[\w-]+",
        "the resource id of a data collection endpoint, /subscriptions/…/dataCollectionEndpoints/NAME",
    ),
    "principal_id": _rule(
        "principal-id",
        r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
        "the object id of the identity that sends (of the service principal or managed identity, not its application"
        " id): 8-4-4-4-12 hexadecimal digits",
    ),
}


def check_name(kind: str, value: str) -> Iterator[str]:
    """Check a name against the rule for its kind."""
    rule = _RULES[kind]
    if not rule.pattern.fullmatch(value):
        yield f"{rule.label} {value!r} is not valid in Azure: give {rule.accepted}"


def check_retention(plan: str, interactive: int | None, total: int | None) -> Iterator[str]:
    """Check how long rows can be queried, and how long they are kept in all."""
    if plan not in PLANS:
        yield f"plan {plan!r} is not known; Azure has {', '.join(PLANS)}"
    if interactive is not None and plan != "Analytics":
        period = "30 days" if plan == "Basic" else "as long as they are kept"
        yield (
            f"retention-days {interactive} cannot be set for the plan {plan}, whose rows can be queried for {period};"
            " set total-retention-days alone"
        )
    elif interactive is not None and not 4 <= interactive <= MAX_INTERACTIVE_DAYS:
        yield f"retention-days {interactive} is not valid in Azure: give 4 to {MAX_INTERACTIVE_DAYS} days"
    if total is not None:
        if not 4 <= total <= MAX_INTERACTIVE_DAYS and total not in LONG_RETENTION:
            years = ", ".join(map(str, LONG_RETENTION))
            yield (f"total-retention-days {total} is not valid in Azure: give 4 to {MAX_INTERACTIVE_DAYS}, or {years}")
        elif interactive is not None and total < interactive:
            yield f"total-retention-days {total} is less than retention-days {interactive}: it includes those days"
