"""What is said about frameworks: quotes are those of the files, queries run, tables are true."""

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
def test_a_quote_is_what_the_file_says(page, file, code):
    """Whole lines of it, one after the other."""
    assert f"\n{code}" in "\n" + ROOT.joinpath(file).read_text("utf-8")


def test_all_code_is_quoted_or_a_query():
    """What stands only on the page is run by nobody."""
    assert {language for language, rest in re.findall(r"^```(\w+)( .*)?$", TEXT, re.MULTILINE) if not rest} == {
        "console",  # run by tests/docs/test_commands.py
        "kusto",
    }


def test_every_section_leads_to_its_example():
    """And the table at the top to every section."""
    opening, *_ = re.split(r"^## ", TEXT, flags=re.MULTILINE)
    sections = re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)

    assert [heading for heading, text in sections if "](../examples/" not in text] == []
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
    """By the trace, for requests that failed. The local workspace has no AppRequests, so a table of ours stands in."""
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


def test_one_query_sees_the_old_table_and_the_new():
    """In the order of time."""
    old = TIME | {"Level_s": "string", "Message_s": "string", "OrderId_d": "real"}
    with Workspace(rule(App_CL=LOGGED, Shop_CL=old)) as workspace:
        row = {"TimeGenerated": now(), "Level_s": "INFO", "Message_s": "old", "OrderId_d": 7.0}
        assert send(workspace, [row], stream="Custom-Shop_CL").status == 204
        row = {"TimeGenerated": now(), "Level": "ERROR", "Message": "new", "Properties": {"OrderId": 8}}
        assert send(workspace, [row], stream="Custom-App_CL").status == 204

        rows = workspace.query(QUERIES[1])
    assert [(row["Level"], row["Message"], row["OrderId"]) for row in rows] == [("INFO", "old", 7), ("ERROR", "new", 8)]


def test_old_names_are_translated_as_the_table_says():
    """Each of them, by the example's own function, whose docstring is true as well."""
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
