"""README and the pages of docs/, in the order of the table of contents, as the tests of docs read them."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
INDEX = DOCS / "index.md"


def toctree():
    """Return the names of all pages that the table of contents lists, in its order."""
    trees = re.findall(r"^```\{toctree\}\n(.*?)^```$", INDEX.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [line for tree in trees for line in tree.splitlines() if line and not line.startswith(":")]


# The names of the pages, for `read` and all functions below.
NAMES = ["README", "index", *toctree()]

# A fence in a list is indented. The word after the language names the file that the block quotes.
_BLOCK = re.compile(r"^( *)```(\S+)(?: (\S+))?\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


def read(name):
    """Return the text of a page, by its name in docs/; of README by "README"."""
    return (README if name == "README" else DOCS / f"{name}.md").read_text("utf-8")


def blocks(name, language, *, quoting=False):
    """Return each block of a language on a page that quotes no file, with its heading.

    With `quoting`, return the blocks that quote a file instead, with the file's name after the heading.
    """
    found = []
    heading = ""
    for match in re.finditer(rf"{_BLOCK.pattern}|^#+ ([^\n]*)$", read(name), re.DOTALL | re.MULTILINE):
        indent, its_language, file, code, title = match.groups()
        if title is not None:
            heading = title
        elif its_language == language and (file is not None) == quoting:
            code = re.sub(rf"^{indent}", "", code, flags=re.MULTILINE)
            found.append((heading, file, code) if quoting else (heading, code))
    return found


def without_code(text):
    """Return a text without its blocks of code."""
    return _BLOCK.sub("", text)


def headings(name):
    """Return the headings of a page."""
    return re.findall(r"^#+ (.*)$", without_code(read(name)), re.MULTILINE)


def anchor(heading):
    """Return the fragment that leads to a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")


def section(name, heading):
    """Return the text under a page's heading, up to the next one of any level."""
    return re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", read(name), re.DOTALL | re.MULTILINE)[1]


def table(name, heading, first):
    """Return the body of a table as cells; `first` is the heading of its first column."""
    rows = re.search(rf"^\| {re.escape(first)} \|.*\n\|[-|]+\|\n((?:\|.*\|\n)+)", section(name, heading), re.MULTILINE)[
        1
    ]
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in rows.replace("|\n", " |\n").splitlines()
    ]


def names(text):
    """Return the texts in backquotes."""
    return re.findall(r"`([^`]+)`", text)


def pick(rows, *columns):
    """Return some columns of each row."""
    return [tuple(row.get(column) for column in columns) for row in rows]
