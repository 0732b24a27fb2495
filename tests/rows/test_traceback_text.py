"""Tracebacks are those of the standard library, byte for byte."""

# ruff: noqa: SLF001 - the cache, which must be bounded

import random
import sys
import tempfile
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logging_azmon._rows import traceback_text
from logging_azmon._rows.traceback_text import format_exception


class BrokenTextError(Exception):
    def __str__(self):
        raise ValueError("no text")


class EmptyError(Exception):
    def __str__(self):
        return ""


class Outer:
    class InnerError(Exception):
        pass


def with_notes(notes):
    error = ValueError("noted")
    error.__notes__ = notes
    return error


def syntax_error():
    with pytest.raises(SyntaxError) as caught:
        compile("x = = 1", "<text>", "exec")
    return caught.value.with_traceback(None)


ERRORS = [
    lambda: ValueError("text"),
    lambda: RuntimeError(""),
    lambda: KeyError("key"),
    lambda: OSError(2, "No such file", "name"),
    KeyboardInterrupt,
    BrokenTextError,
    EmptyError,
    lambda: Outer.InnerError("several\nlines"),
    syntax_error,
    lambda: NameError("name 'foo' is not defined", name="foo"),
    lambda: AttributeError("appendd", name="appendd", obj=[]),
    lambda: ImportError("no", name="syss"),
    lambda: ExceptionGroup("several", [ValueError(1), TypeError(2)]),
    lambda: with_notes(["a note", "another\nof two lines"]),
    lambda: with_notes("not a list"),
    lambda: with_notes(None),
]

# How one function calls the next, which is called NEXT.
BODIES = [
    "    return NEXT",
    "    äöü = 1; both = [1,\n        2, NEXT]",
    "    if depth: return SELF(error, depth - 1)\n    NEXT",
    "    try:\n        NEXT\n    except KeyError as caught:\n        raise ValueError('again') from caught",
    "    try:\n        NEXT\n    except OSError:\n        raise ValueError('again') from None",
    "    try:\n        NEXT\n    except ValueError:\n        raise LookupError('while handling')",
    "    return (lambda: [NEXT for _ in (1,)])()",
]


def functions(number, folder):
    """Return a function that raises its argument at some depth, in a file or without source."""
    rnd = random.Random(number)
    count = rnd.randrange(1, 7)
    lines = []
    for index in range(count):
        depth = rnd.randrange(1, 8)
        following = f"f{index + 1}(error)" if index + 1 < count else "throw(error)"
        body = rnd.choice(BODIES).replace("NEXT", following).replace("SELF", f"f{index}")
        lines.append(f"def f{index}(error, depth={depth}):\n{body}")
    source = "def throw(error):\n    raise error\n" + "\n".join(lines)
    path = folder / f"functions_{number}.py"
    path.write_text(source, "utf-8")
    names = {}
    exec(compile(source, str(path) if number % 4 else "<no source>", "exec"), names)
    return names["f0"]


@pytest.fixture(scope="module")
def callers():
    with tempfile.TemporaryDirectory() as folder:
        yield [functions(number, Path(folder)) for number in range(40)]


def raised(caller, error):
    try:
        caller(error)
    except BaseException as caught:  # noqa: BLE001 - KeyboardInterrupt, too
        return caught
    raise AssertionError("nothing was raised")


def linked(rnd, error, other):
    """Link two exceptions in one of the ways that Python code can."""
    if rnd.random() < 0.5:
        error.__cause__ = other
    else:
        error.__context__ = other
    if rnd.random() < 0.2:
        other.__context__ = error
    if rnd.random() < 0.2:
        other.__cause__ = error
    error.__suppress_context__ = rnd.random() < 0.3
    return error


@given(st.randoms(use_true_random=False))
def test_any_traceback_is_that_of_the_standard_library(callers, rnd):
    """Recursion, chains and loops of causes, notes, groups, suggestions, broken texts, source of several lines."""
    error = rnd.choice(ERRORS)()
    if rnd.random() < 0.5:
        error = linked(rnd, error, raised(rnd.choice(callers), rnd.choice(ERRORS)()))
    error = raised(rnd.choice(callers), error)
    tb = error.__traceback__ if rnd.random() < 0.95 else None

    assert format_exception(error, tb) == "".join(traceback.format_exception(type(error), error, tb))


@pytest.mark.parametrize("make", ERRORS)
def test_an_exception_that_was_never_raised_is_its_last_lines(make):
    error = make()

    assert format_exception(error, None) == "".join(traceback.format_exception(type(error), error, None))


def test_a_limit_of_the_standard_library_is_kept(monkeypatch, callers):
    error = raised(callers[1], ValueError("text"))
    monkeypatch.setattr(sys, "tracebacklimit", 1, raising=False)

    assert format_exception(error, error.__traceback__) == "".join(traceback.format_exception(error))


def test_notes_that_cannot_be_read_are_what_the_standard_library_makes_of_them():
    """Until 3.11 it raises, too."""

    class BrokenError(Exception):
        @property
        def __notes__(self):
            raise RuntimeError("no notes")

    def made(function):
        try:
            return function()
        except RuntimeError as error:
            return repr(error)

    error = BrokenError("text")

    assert made(lambda: format_exception(error, None)) == made(lambda: "".join(traceback.format_exception(error)))


def test_a_frame_is_written_by_the_standard_library_once(monkeypatch):
    """The source is read again for each traceback otherwise."""
    monkeypatch.setattr(traceback_text, "_frames", {})
    asked = []
    format_tb = traceback.format_tb
    monkeypatch.setattr(traceback, "format_tb", lambda *args: asked.append(1) or format_tb(*args))

    def fail():
        raise ValueError("text")

    texts = set()
    for _ in range(5):
        error = raised(lambda _: fail(), None)
        texts.add(format_exception(error, error.__traceback__))

    assert len(texts) == 1
    assert len(asked) == len(traceback_text._frames) == 3


def test_frames_of_equal_code_objects_are_kept_apart():
    """Code compares equal whatever the name of its file."""
    texts = []
    for name in ("first.py", "second.py"):
        names = {}
        exec(compile("def fail(_): raise ValueError('text')", name, "exec"), names)
        error = raised(names["fail"], None)
        texts.append(format_exception(error, error.__traceback__))

    assert 'File "first.py"' in texts[0]
    assert 'File "second.py"' in texts[1]


def test_the_number_of_frames_that_are_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(traceback_text, "_frames", {})
    monkeypatch.setattr(traceback_text, "_MAX_FRAMES", 5)
    for number in range(20):
        names = {}
        exec(compile(f"def fail(_): raise ValueError({number})", f"{number}.py", "exec"), names)
        error = raised(names["fail"], None)
        assert format_exception(error, error.__traceback__).endswith(f"ValueError: {number}\n")

    assert len(traceback_text._frames) <= 5
