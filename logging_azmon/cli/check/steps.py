"""Shows a check step by step: a mark, what was seen, what to do. Lines appear as they are known.

Where colours or characters cannot be shown, the marks are letters; nothing is said by colour alone.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ..._rows.jsonable import one_line

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
_LEAST_WIDTH = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Say what was looked at, what was seen, and what to do about it."""

    name: str
    state: State
    seen: str
    advice: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    """For programs: what `seen` says, in parts."""


class Steps:
    """Collect steps; without a console they are only kept."""

    def __init__(self, console: Console | None) -> None:
        self._console = console
        self._steps: list[Step] = []

    def add(self, step: Step) -> bool:
        """Show a step; return whether one can go on from there."""
        self._steps.append(step)
        if self._console is not None:
            self._show(self._console, step)
        return step.state in ("ok", "warning")

    @contextmanager
    def status(self, said: str) -> Iterator[None]:
        """Say what is being looked at, while it takes a while."""
        if self._console is None or not self._console.is_terminal:
            yield
        else:
            spinner = "line" if _is_plain(self._console) else "dots"
            with self._console.status(f"[bright_black]{said}[/]", spinner=spinner):
                yield

    @property
    def has_problem(self) -> bool:
        """Tell whether rows will not arrive."""
        return any(step.state == "problem" for step in self._steps)

    def json(self) -> str:
        """Write everything for programs."""
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
        """Answer the question."""
        if self._console is None:
            return
        problems = sum(step.state == "problem" for step in self._steps)
        skipped = any(step.state == "skipped" for step in self._steps)
        if problems:
            said = f"[bold red]Rows will not all arrive:[/] {problems} problem{'s' if problems > 1 else ''}, see above."
        elif skipped:
            said = "[bold green]No problem was found[/] in what could be looked at."
        else:
            said = "[bold green]Rows will arrive.[/]"
        self._console.print(f"\n{said}")

    def _show(self, console: Console, step: Step) -> None:
        from rich.text import Text

        character, letters, style = _MARKS[step.state]
        mark = Text(letters if _is_plain(console) else f"{character} ", style)
        for number, line in enumerate(_lines(step.seen, console)):
            head = Text.assemble(mark, " ", (f"{step.name:{_NAME_WIDTH}}", "bold")) if number == 0 else _INDENT
            console.print(Text.assemble(head, line), soft_wrap=True)
        for label, said in (*(("note", note) for note in step.notes), *(("do", advice) for advice in step.advice)):
            for number, line in enumerate(_lines(said, console)):
                head = Text(f"{f'{label}: ':>{len(_INDENT)}}", "bright_black") if number == 0 else _INDENT
                console.print(Text.assemble(head, line), soft_wrap=True)


def _lines(said: str, console: Console) -> list[str]:
    """Break a text at blanks, so that it stands beside the step's name."""
    # Others wrote parts of it: nothing of that may steer a terminal.
    said = one_line(said, len(said))
    width = max(_LEAST_WIDTH, console.width - len(_INDENT))
    if _is_plain(console):
        said = said.replace("…", "...").encode(console.encoding, "backslashreplace").decode(console.encoding)
    return textwrap.wrap(said, width, break_long_words=False, break_on_hyphens=False) or [""]


def _is_plain(console: Console) -> bool:
    """Tell whether there are no marks and dots to be had."""
    return not console.encoding.lower().startswith("utf")
