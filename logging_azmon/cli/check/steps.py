"""Collect the steps of a check, and print each as soon as it is known: a mark, what was seen, what to do.

Marks are letters where the terminal lacks the characters, and no meaning depends on colour alone.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ...trouble import one_line
from .._shared.numbers import pluralize

if TYPE_CHECKING:
    from rich.console import Console

State = Literal["ok", "problem", "warning", "skipped"]

_MARKS: Mapping[State, tuple[str, str, str]] = {
    "ok": ("✓", "ok", "bold green"),
    "problem": ("✗", "NO", "bold red"),
    "warning": ("!", "! ", "bold yellow"),
    "skipped": ("-", "- ", "bright_black"),
}
_NAME_WIDTH = 14
_INDENT = " " * (_NAME_WIDTH + 3)
_MIN_WIDTH = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Hold one step's name, its state, what was seen, and what to do about it."""

    name: str
    state: State
    seen: str
    advice: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    """The parts of `seen`, for programs."""


class Steps:
    """Collect steps, and print them if there is a console."""

    def __init__(self, console: Console | None) -> None:
        self._console = console
        self._steps: list[Step] = []

    def add(self, step: Step) -> bool:
        """Add a step and print it; return whether the steps that depend on it can be taken."""
        self._steps.append(step)
        if self._console is not None:
            self._show(self._console, step)
        return step.state in ("ok", "warning")

    @contextmanager
    def status(self, message: str) -> Iterator[None]:
        """Show a message while the block runs."""
        if self._console is None or not self._console.is_terminal:
            yield
        else:
            spinner = "line" if _is_plain(self._console) else "dots"
            with self._console.status(f"[bright_black]{message}[/]", spinner=spinner):
                yield

    @property
    def has_problem(self) -> bool:
        """Return whether a step has found a problem."""
        return any(step.state == "problem" for step in self._steps)

    def json(self) -> str:
        """Return all steps as JSON."""
        steps = [
            {
                "name": step.name,
                "state": step.state,
                "seen": step.seen,
                "advice": list(step.advice),
                "notes": list(step.notes),
                "details": dict(step.details),
            }
            for step in self._steps
        ]
        return json.dumps({"ok": not self.has_problem, "steps": steps}, indent=2)

    def conclude(self) -> None:
        """Print whether rows will arrive."""
        if self._console is None:
            return
        problems = sum(step.state == "problem" for step in self._steps)
        skipped = any(step.state == "skipped" for step in self._steps)
        if problems:
            verdict = f"[bold red]Not all rows will arrive:[/] {pluralize(problems, 'problem')}, see above."
        elif skipped:
            verdict = "[bold green]No problem was found[/] in the steps that could be taken."
        else:
            verdict = "[bold green]Rows will arrive.[/]"
        self._console.print(f"\n{verdict}")

    def _show(self, console: Console, step: Step) -> None:
        from rich.text import Text

        character, letters, style = _MARKS[step.state]
        mark = Text(letters if _is_plain(console) else f"{character} ", style)
        for number, line in enumerate(_lines(step.seen, console)):
            head = Text.assemble(mark, " ", (f"{step.name:{_NAME_WIDTH}}", "bold")) if number == 0 else _INDENT
            console.print(Text.assemble(head, line), soft_wrap=True)
        for label, sentence in (*(("note", note) for note in step.notes), *(("do", advice) for advice in step.advice)):
            for number, line in enumerate(_lines(sentence, console)):
                head = Text(f"{f'{label}: ':>{len(_INDENT)}}", "bright_black") if number == 0 else _INDENT
                console.print(Text.assemble(head, line), soft_wrap=True)


def _lines(text: str, console: Console) -> list[str]:
    """Wrap a text to fit beside the step's name."""
    # Parts of it come from other machines and must not control the terminal.
    text = one_line(text, len(text))
    width = max(_MIN_WIDTH, console.width - len(_INDENT))
    if _is_plain(console):
        text = text.replace("…", "...").encode(console.encoding, "backslashreplace").decode(console.encoding)
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _is_plain(console: Console) -> bool:
    """Return whether the terminal lacks the characters for marks and dots."""
    return not console.encoding.lower().startswith("utf")
