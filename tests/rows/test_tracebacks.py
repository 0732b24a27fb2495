"""An exception, raw or structured by structlog, is rendered as text, by type and message, and as a structure."""

import pytest
import structlog

from logging_azmon._rows.tracebacks import exception_message, exception_text, exception_type, exceptions, normalized
from support.rows import exc_info

TRANSFORM = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


def cycle():
    """Return one of two exceptions, each the cause of the other."""
    first, second = exc_info(ValueError("first"))[1], exc_info(KeyError("second"))[1]
    first.__cause__, second.__cause__ = second, first
    return first


def with_cause():
    try:
        {}["key"]
    except KeyError as error:
        lost = LookupError("lost")
        lost.__cause__ = error
        return exc_info(lost)[1]


def with_context():
    try:
        {}["key"]
    except KeyError:
        return exc_info(LookupError("lost"))[1]


@pytest.mark.parametrize(
    "error",
    [with_cause(), with_context(), ExceptionGroup("several", [with_cause(), ValueError("one")])],
    ids=["a cause", "a context", "a group"],
)
def test_a_structured_exception_has_the_type_and_message_of_the_raw_one(error):
    """Only the module is missing from the type, because structlog leaves it out."""
    raw = exc_info(error)
    structured = TRANSFORM(raw)

    assert exception_type(structured) == exception_type(raw)
    assert str(raw[1]).startswith(exception_message(structured).partition(" (")[0])
    assert exceptions(structured) is structured
    assert exceptions(raw) == structured


@pytest.mark.parametrize("error", [with_cause(), with_context()], ids=["a cause", "a context"])
def test_a_structured_exception_is_rendered_like_the_raw_one(error):
    """Only the lines of source are missing, because structlog leaves them out."""
    raw = exc_info(error)
    raw[1].add_note("a note")

    def without_source(text):
        return [line for line in text.split("\n") if not line.startswith("    ")]

    assert without_source(exception_text(TRANSFORM(raw))) == without_source(exception_text(raw))


def test_a_structured_exception_group_is_rendered_with_its_members():
    """Each line of a member begins with a bar."""
    group = ExceptionGroup("several", [ValueError("one"), with_cause()])
    shown = exception_text(TRANSFORM(exc_info(group))).split("\n")

    assert shown[0] == "Traceback (most recent call last):"
    assert "ExceptionGroup: several (2 sub-exceptions)" in shown
    assert "  | ValueError: one" in shown
    assert "  | LookupError: lost" in shown


@pytest.mark.parametrize(
    ("structured", "text", "kind"),
    [
        ([], "[]", None),
        ([5], "[5]", None),
        (["x"], '["x"]', None),
        ([{"exc_type": "E"}], '[{"exc_type":"E"}]', "E"),
        ([{"exc_type": 5, "exc_value": None, "frames": None}], "5: None", "5"),
        ([{"frames": 5}], '[{"frames":5}]', None),
    ],
)
def test_a_list_that_is_not_a_structured_exception_is_rendered_as_json(structured, text, kind):
    """Any processor may write this key."""
    assert exception_text(structured) == text
    assert exception_type(structured) == kind
    assert exception_message(structured) is None


@pytest.mark.parametrize(
    "error", [cycle(), ExceptionGroup("several", [cycle()])], ids=["a cycle", "a cycle in a group"]
)
def test_an_exception_among_its_own_causes_is_not_structured(error):
    """structlog before 25.5 would follow the causes for ever, within a log call; a traceback as text is finite."""
    assert exceptions(normalized(error)) is None
    assert "first" in exception_text(normalized(error))


def test_a_cycle_through_a_suppressed_context_does_not_count():
    """raise … from None suppresses the context."""
    error = cycle()
    error.__context__, error.__cause__ = error.__cause__, None

    assert [stack["exc_type"] for stack in exceptions(normalized(error))] == ["ValueError"]


@pytest.mark.parametrize("nothing", [None, False, 0, (None, None, None), "NoneType: None"])
def test_values_that_stand_for_no_exception_are_none(nothing):
    """Such values are flags, and the text that a formatter writes without an exception."""
    assert normalized(nothing) is None
