"""Define all Hypothesis strategies."""

import logging

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from logging_azmon.table import FIELD_TYPES, Column, Table
from support.odd_values import ODD_VALUES

# An example that is slow on a busy machine is not a failure.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# With lone surrogates, which UTF-8 cannot hold.
texts = st.text(st.characters(), max_size=40)

odd_values = st.sampled_from(ODD_VALUES).map(lambda named: named[1]())
# Expensive values would leave no time for the others.
_HEAVY = ("million", "100,000", "40,000", "2,000 deep", "environment", "all")
# Hypothesis itself inspects the types of its examples, and some of these raise.
_NOT_FOR_HYPOTHESIS = ("metaclass", "class raises", "attribute raises", "comparison", "dead weak")
light_odd_values = st.sampled_from(
    [(name, make) for name, make in ODD_VALUES if not any(word in name for word in _HEAVY + _NOT_FOR_HYPOTHESIS)]
).map(lambda named: named[1]())

scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
# Values that JSON can hold, and some that it cannot.
jsonish = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(texts, inner, max_size=6),
    max_leaves=20,
)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=120),
    lambda inner: (
        st.lists(inner, max_size=30)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=60), inner, max_size=30)
    ),
    max_leaves=30,
)
anything = jsonish | light_odd_values | st.lists(light_odd_values, max_size=3)

extra_names = st.sampled_from(["user_id", "duration_ms", "Level", "Message", "ip", "a.b", "Sequence", "_"]) | st.text(
    st.characters(), min_size=1, max_size=12
)
extras = st.dictionaries(extra_names, anything, max_size=5)

_STANDARD = tuple(logging.LogRecord("", 0, "", 0, "", None, None).__dict__)


@st.composite
def records(draw):
    """Make a record as a logger does, and then change it as a careless filter might."""
    record = logging.LogRecord(
        draw(st.sampled_from(["app", "app.orders", ""])),
        draw(st.sampled_from([10, 20, 25, 30, 40, 50, 0, -1])),
        draw(st.sampled_from(["/srv/app.py", "", "Unknown"])),
        draw(st.integers(0, 5_000)),
        draw(texts | st.sampled_from(["%s", "%d %s", "100%", "%(a)s", "plain"]) | anything),
        draw(st.just(()) | st.tuples(scalars) | st.tuples(light_odd_values) | st.tuples(st.integers(), texts)),
        draw(st.none() | st.just((None, None, None)) | st.just((ValueError, ValueError("x"), None))),
        draw(st.none() | st.just("function")),
        draw(st.none() | st.just("Stack (most recent call last):")),
    )
    record.created = draw(st.floats(1, 4e9) | st.floats() | st.just(1_700_000_000.9999999))
    for name, value in draw(extras).items():
        record.__dict__[name] = value
    if draw(st.booleans()):
        record.__dict__ |= {"_logger": None, "_name": "info"}  # structlog's marks of an event dict
    for name in draw(st.lists(st.sampled_from(_STANDARD), max_size=1)):
        record.__dict__[name] = draw(anything)
    for name in draw(st.lists(st.sampled_from(_STANDARD), max_size=1)):
        record.__dict__.pop(name, None)
    return record


event_keys = st.sampled_from(
    [
        "event",
        "level",
        "timestamp",
        "logger",
        "logger_name",
        "exception",
        "exc_info",
        "stack",
        "stack_info",
        "pathname",
        "filename",
        "lineno",
        "func_name",
        "module",
        "process",
        "thread",
        "thread_name",
        "process_name",
        "level_number",
        "_record",
        "_from_structlog",
        "_logger",
        "_name",
        "file",
        "time",
    ]
) | st.text(st.characters(), max_size=8)
events = st.dictionaries(
    event_keys, anything | st.sampled_from(["info", "2026-01-01T00:00:00Z", True, False]), max_size=8
)

_TYPES = ("string", "int", "long", "real", "boolean", "datetime", "dynamic")
_FIELDS = tuple(name for name in FIELD_TYPES if name not in ("*", "sequence"))


@st.composite
def tables(draw):
    """Make a table with any field in any type, with or without a star column."""
    columns = {}
    for number, field in enumerate(draw(st.lists(st.sampled_from([*_FIELDS, "user_id", "a.b", "ip"]), max_size=8))):
        columns[f"Column{number}"] = f"{field}:{draw(st.sampled_from(_TYPES))}"
    if draw(st.booleans()):
        columns["Rest"] = "*:" + draw(st.sampled_from(["dynamic", "string"]))
    if draw(st.booleans()):
        columns["Sequence"] = "sequence:" + draw(st.sampled_from(["long", "string", "real", "dynamic"]))
    if draw(st.booleans()):
        columns["Own"] = Column("Own", draw(st.sampled_from(_TYPES)), lambda origin: origin.__dict__["user_id"])
    # A table is refused if a constant, such as the host name, does not fit its column.
    columns = {
        name: spec
        for name, spec in columns.items()
        if not (
            isinstance(spec, str)
            and spec.startswith(("host:", "instance:"))
            and spec.partition(":")[2] not in ("string", "dynamic")
        )
    }
    return Table.from_mapping(columns or {"Message": "message"})
