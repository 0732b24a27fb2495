"""Go on with a table of the HTTP Data Collector API, under the names that it gave its columns.

That API made them of the keys of the JSON and a letter for the type: `Level_s`, `OrderId_d`. Dashboards and alerts know
these names. Once the table is migrated, a rule can declare them, and a handler fill them. What to declare and what to
send is all in the old names, so list them (`Shop_CL | getschema | project ColumnName`) and let this translate them.
"""

import logging

from logging_azmon import AzureMonitorHandler

# The letter of the old API, the type of the stream that takes its place, and of the table's column. (`_g` is a guid
# in the table, and streams have none: the rule's transformKql makes it one, `extend Session_g = toguid(Session_g)`.)
TYPES = {"s": "string", "d": "real", "b": "boolean", "t": "datetime", "g": "string"}
# Old names that stand for something every record has. All others are extras, under the name they always had.
FIELDS = {"Level": "level", "Logger": "logger", "Message": "message", "Exception": "exception"}

OLD_COLUMNS = [
    "TimeGenerated",
    "Level_s",
    "Logger_s",
    "Message_s",
    "Exception_s",
    "OrderId_d",
    "Express_b",
    "PaidAt_t",
    "Session_g",
]


def columns_for(old: list[str]) -> dict[str, str]:
    """Translate old names into the handler's `columns`.

    >>> columns_for(["Level_s", "OrderId_d"])
    {'TimeGenerated': 'time:datetime', 'Level_s': 'level:string', 'OrderId_d': 'extra.OrderId:real'}
    """
    columns = {"TimeGenerated": "time:datetime"}
    for column in old:
        name, _, letter = column.rpartition("_")
        if letter in TYPES and name:
            columns[column] = f"{FIELDS.get(name, f'extra.{name}')}:{TYPES[letter]}"
    return columns


def main() -> None:
    """Log as before."""
    logging.getLogger().addHandler(AzureMonitorHandler(columns=columns_for(OLD_COLUMNS)))
    logging.getLogger("shop").error(
        "order %d is late",
        1001,
        extra={
            "OrderId": 1001,
            "Express": True,
            "PaidAt": "2026-09-14T08:30:00Z",
            "Session": "8145d822-13a7-44ad-859c-36f31a84f6dd",
        },
    )


if __name__ == "__main__":
    main()
