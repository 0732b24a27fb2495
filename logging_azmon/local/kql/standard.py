"""Give each table the standard columns of Azure, where a query mentions them.

TenantId and the ids of resources are the ones of no workspace; `_BilledSize` is the length of the row as JSON, without
the columns that Azure does not bill; `ingestion_time()` is TimeGenerated, because the time of arrival is not stored.
"""

from __future__ import annotations

from .quoting import sql_name
from .translation import Columns

INGESTED = "_ingested"
_NOBODY = "'00000000-0000-0000-0000-000000000000'"


def add_standard_columns(table: str, columns: Columns, words: frozenset[str]) -> dict[str, tuple[str, str]]:
    """Return SQL and type of each standard column that a query mentions and the table lacks."""
    time = '"TimeGenerated"' if columns.get("TimeGenerated") == "datetime" else "CAST(NULL AS TIMESTAMP)"
    listed = ", ".join(f"{sql_name(name)} := {sql_name(name)}" for name in columns)
    known = {
        "Type": ("'" + table.replace("'", "''") + "'", "string"),
        "TenantId": (_NOBODY, "string"),
        "SourceSystem": ("''", "string"),
        "_ResourceId": ("''", "string"),
        "_SubscriptionId": ("''", "string"),
        "_ItemId": ("''", "string"),
        "_IsBillable": ("'True'", "string"),
        "_BilledSize": (f"CAST(strlen(CAST(to_json(struct_pack({listed})) AS VARCHAR)) AS DOUBLE)", "real"),
    }
    taken = {name.casefold() for name in columns}
    found = {name: value for name, value in known.items() if name in words and name.casefold() not in taken}
    if "ingestion_time" in words:
        found[INGESTED] = (time, "datetime")
    return found
