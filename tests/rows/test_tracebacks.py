"""Exceptions as text, by type and words, and structured: as they were raised, and as structlog has structured them."""

import pytest
import structlog

from logging_azmon._rows.tracebacks import exception_message, exception_text, exception_type, exceptions, normalized

TRANSFORM = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


def info(error):
    """Return what sys.exc_info says of an exception that was raised."""
    try:
        raise error
    except type(error) as raised:
        return normalized(raised)


def loop():
    """Two exceptions, each the cause of the other."""
    first, second = info(ValueError("first"))[1], info(KeyError("second"))[1]
    first.__cause__, second.__cause__ = second, first
    return first


def caused():
    try:
        {}["key"]
    except KeyError as error:
        lost = LookupError("lost")
        lost.__cause__ = error
        return info(lost)[1]


def in_the_middle():
    try:
        {}["key"]
    except KeyError:
        return info(LookupError("lost"))[1]


@pytest.mark.parametrize(
    "error",
    [caused(), in_the_middle(), ExceptionGroup("several", [caused(), ValueError("one")])],
    ids=["a cause", "a context", "a group"],
)
def test_structured_exceptions_are_told_by_their_type_and_words(error):
    """As they would be without the structure; only structlog leaves the modules out."""
    raw = info(error)
    structured = TRANSFORM(raw)

    assert exception_type(structured) == exception_type(raw)
    assert str(raw[1]).startswith(exception_message(structured).partition(" (")[0])
    assert exceptions(structured) is structured
    assert exceptions(raw) == structured


@pytest.mark.parametrize("error", [caused(), in_the_middle()], ids=["a cause", "a context"])
def test_structured_exceptions_are_rendered_as_they_would_have_been(error):
    """But for the lines of source, which structlog leaves out."""
    raw = info(error)
    raw[1].add_note("a note")

    def told(text):
        return [line for line in text.split("\n") if not line.startswith("    ")]

    assert told(exception_text(TRANSFORM(raw))) == told(exception_text(raw))


def test_groups_are_rendered_with_their_members():
    """Each behind a bar."""
    group = ExceptionGroup("several", [ValueError("one"), caused()])
    shown = exception_text(TRANSFORM(info(group))).split("\n")

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
def test_other_lists_are_shown_as_they_are(structured, text, kind):
    """Any processor may write the key."""
    assert exception_text(structured) == text
    assert exception_type(structured) == kind
    assert exception_message(structured) is None


@pytest.mark.parametrize("error", [loop(), ExceptionGroup("several", [loop()])], ids=["a loop", "in a group"])
def test_causes_that_lead_back_are_not_structured(error):
    """structlog before 25.5 follows them for ever, in the middle of a log call; as text they have an end."""
    assert exceptions(normalized(error)) is None
    assert "first" in exception_text(normalized(error))


def test_a_cause_that_is_suppressed_is_no_loop():
    """raise … from None."""
    error = loop()
    error.__context__, error.__cause__ = error.__cause__, None

    assert [stack["exc_type"] for stack in exceptions(normalized(error))] == ["ValueError"]


@pytest.mark.parametrize("nothing", [None, False, 0, (None, None, None), "NoneType: None"])
def test_what_says_that_there_is_none_is_none(nothing):
    """As flags do, and formatters that were asked for one."""
    assert normalized(nothing) is None
