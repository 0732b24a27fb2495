"""Keep using a table of the HTTP Data Collector API, under the names that this API gave to its columns.

A name was made of a key of the JSON and a letter for the type: `Level_s`, `OrderId_d`. Dashboards and alerts use these
names. Once the table is migrated, a rule can declare them, and a handler can fill them. The old names say all that it
takes, so list them (`Shop_CL | getschema | project ColumnName`) and let this example translate them.
"""

import logging
import logging.config

# The old API's letter, and the stream's type for it. (`_g` is a guid in the table, a type that streams do not have: the
# rule's transformKql converts it, `extend Session_g = toguid(Session_g)`.)
TYPES = {"s": "string", "d": "real", "b": "boolean", "t": "datetime", "g": "string"}
# The old names of fields that every record has. All others are extras, and keep their names.
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


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"azure": {"class": "logging_azmon.AzureMonitorHandler", "columns": columns_for(OLD_COLUMNS)}},
    "root": {"handlers": ["azure"]},
}


def main() -> None:
    """Log as before."""
    logging.config.dictConfig(LOGGING)
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
