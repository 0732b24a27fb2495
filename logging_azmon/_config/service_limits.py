"""Azure Monitor's limits, each with unit and source; limits of this library's own are defined where they are used.

Sources, all in MicrosoftDocs/azure-monitor-docs: "custom logs" is logs/includes/azure-monitor-limits-custom-logs.md
(2026-08), "rules" is fundamentals/includes/azure-monitor-limits-data-collection-rules.md, "ingestion time" is
logs/data-ingestion-time.md (2026-02). The limits of a table's columns are in `table`.
"""

from __future__ import annotations

import datetime as dt

# Bytes of UTF-8 in one value. The service truncates longer ones without an error. Source: custom logs.
MAX_VALUE_BYTES = 65_536

# Bytes of a request's body as sent, that is, compressed. A longer one is answered with 413. Source: custom logs; the
# exact figure is in the answer: "Maximum allowed content length: 1048576 bytes".
MAX_BODY_BYTES = 1_048_576

# Bytes of a request's body after decompression. Undocumented; seen by open-telemetry/otel-arrow, pull request 2535.
MAX_DECOMPRESSED_BYTES = 50 * 1024 * 1024

# Requests and uncompressed bytes that one rule takes in a minute before it answers 429. Both limits are soft and grow
# slowly under load. Source: custom logs.
QUOTA_REQUESTS = 12_000
QUOTA_BYTES = 2_000_000_000

# The service replaces a TimeGenerated that is further than this before or after the time of receipt. Source: ingestion
# time.
MAX_AGE, MAX_LEAD = dt.timedelta(days=2), dt.timedelta(days=1)

# Seconds between the first and the last TimeGenerated of one request, for Auxiliary tables. A longer range is answered
# with 400 RecordsTimeRangeIsMoreThan30Minutes. Source: such an answer, Azure/Azure-Sentinel, issue 12130.
MAX_TIME_RANGE_SECONDS = 30 * 60

# Characters of a data flow's transformKql. Source: rules.
MAX_TRANSFORM_LENGTH = 15_360
