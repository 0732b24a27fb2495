"""The pages on frameworks quote the example files, their queries run, and their tables are correct."""

import datetime as dt
import doctest
import importlib.util
import re

import pytest

from logging_azmon.local import Workspace
from support.local_client import send
from support.pages import NAMES, ROOT, anchor, blocks, read

TEXT = read("frameworks")
QUOTES = [
    (name, file, code)
    for name in NAMES
    for language in ("python", "yaml", "ini")
    for _, file, code in blocks(name, language, quoting=True)
]
QUERIES = [code for _, code in blocks("frameworks", "kusto")]


def load(name):
    """Import an example."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("page", "file", "code"), QUOTES, ids=[f"{page}: {file}" for page, file, _ in QUOTES])
def test_each_quoted_piece_of_code_is_in_its_example_file(page, file, code):
    """A quote consists of whole, consecutive lines of the file."""
    assert f"\n{code}" in "\n" + ROOT.joinpath(file).read_text("utf-8")


def test_all_code_on_the_page_is_a_quote_or_a_query():
    """No test would run code that is only on the page."""
    assert {language for language, rest in re.findall(r"^```(\w+)( .*)?$", TEXT, re.MULTILINE) if not rest} == {
        "console",  # run by tests/docs/test_commands.py
        "kusto",
    }


def test_every_section_links_to_its_example():
    """The table at the top links to every section; one lists what was tried by hand, and says so."""
    opening, *_ = re.split(r"^## ", TEXT, flags=re.MULTILINE)
    sections = re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)

    assert [heading for heading, text in sections if "](../examples/" not in text] == ["Other servers and workers"]
    assert "have no example, and are not in the tests" in TEXT
    assert set(re.findall(r"^\| \[.*?\]\(#([\w-]+)\)", opening, re.MULTILINE)) == {
        anchor(heading) for heading, _ in sections
    }


def rule(**tables):
    """Build a rule with a stream for each table."""
    return {
        "immutableId": "dcr-1",
        "streamDeclarations": {
            f"Custom-{name}": {
                "columns": [{"name": column, "type": type_name} for column, type_name in columns.items()]
            }
            for name, columns in tables.items()
        },
        "dataFlows": [
            {
                "streams": [f"Custom-{name}"],
                "transformKql": "source",
                "outputStream": f"Custom-{name}",
            }
            for name in tables
        ],
    }


TIME = {"TimeGenerated": "datetime"}
LOGGED = TIME | {"Level": "string", "Message": "string", "TraceId": "string", "Properties": "dynamic"}


def now():
    return dt.datetime.now(dt.UTC).isoformat()


def test_rows_join_the_requests_of_application_insights():
    """They join by trace id, for failed requests. A custom table stands in for AppRequests in the local workspace."""
    requests = TIME | {"OperationId": "string", "Name": "string", "Success": "boolean"}
    with Workspace(rule(App_CL=LOGGED, AppRequests_CL=requests)) as workspace:
        asked = [
            {"TimeGenerated": now(), "OperationId": trace, "Name": f"GET /{trace}", "Success": trace == "a"}
            for trace in ("a", "b")
        ]
        said = [{"TimeGenerated": now(), "TraceId": trace, "Level": "ERROR", "Message": trace} for trace in ("a", "b")]
        assert send(workspace, asked, stream="Custom-AppRequests_CL").status == 204
        assert send(workspace, said, stream="Custom-App_CL").status == 204

        (row,) = workspace.query(QUERIES[0].replace("AppRequests", "AppRequests_CL"))
    assert (row["Name"], row["Level"], row["Message"]) == ("GET /b", "ERROR", "b")


def test_the_documented_union_reads_the_old_table_and_the_new_one():
    """The rows are in the order of time."""
    old = TIME | {"Level_s": "string", "Message_s": "string", "OrderId_d": "real"}
    with Workspace(rule(App_CL=LOGGED, Shop_CL=old)) as workspace:
        row = {"TimeGenerated": now(), "Level_s": "INFO", "Message_s": "old", "OrderId_d": 7.0}
        assert send(workspace, [row], stream="Custom-Shop_CL").status == 204
        row = {"TimeGenerated": now(), "Level": "ERROR", "Message": "new", "Properties": {"OrderId": 8}}
        assert send(workspace, [row], stream="Custom-App_CL").status == 204

        rows = workspace.query(QUERIES[1])
    assert [(row["Level"], row["Message"], row["OrderId"]) for row in rows] == [("INFO", "old", 7), ("ERROR", "new", 8)]


def test_old_column_names_are_translated_as_the_table_says():
    """The example's own function translates each; its docstring is tested too."""
    module = load("migration")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| `([\w.]+):(\w+)` \| `([\w.]+)` \|$", TEXT, re.MULTILINE)

    assert module.columns_for(module.OLD_COLUMNS) == {
        "TimeGenerated": "time:datetime",
        **{old: f"{source}:{type_name}" for old, _, source, type_name, _ in rows},
    }
    assert [stream for _, stream, _, _, _ in rows] == [type_name for _, _, _, type_name, _ in rows]
    assert all(new.removeprefix("Properties.").lower() in old.lower() for old, _, _, _, new in rows)
    assert doctest.testmod(module).failed == 0
    assert doctest.testmod(module).attempted == 1
