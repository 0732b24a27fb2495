"""Log within OpenTelemetry's spans: each row has the ids of the span, and can be joined with Application Insights.

The default table has the columns TraceId and SpanId; columns of your own take the fields trace_id and span_id. It does
not matter what makes the spans: azure-monitor-opentelemetry, another exporter, or an instrumentation.
"""

import logging

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from logging_azmon import AzureMonitorHandler

trace.set_tracer_provider(TracerProvider())
tracer = trace.get_tracer("shop")

logging.getLogger().addHandler(AzureMonitorHandler())
log = logging.getLogger("shop")


def main() -> None:
    """Log in a span, in a span within it, and outside."""
    with tracer.start_as_current_span("order"):
        log.warning("order %d is late", 1001)
        with tracer.start_as_current_span("payment") as span:
            log.error("payment failed")
            print(f"{span.get_span_context().trace_id:032x} {span.get_span_context().span_id:016x}")
    log.warning("done")


if __name__ == "__main__":
    main()
