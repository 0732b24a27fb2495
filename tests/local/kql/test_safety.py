"""The text of a query never becomes SQL of its own, and its size and time stay in proportion."""

import pytest

from logging_azmon.local import QueryError, Workspace
from logging_azmon.local.kql.translation import check_select
from support.local_client import ask

SERIES = "SELECT UNNEST(generate_series("
LITERALS = [
    SERIES,
    SERIES + '0)) AS \\", 1 AS y); DROP TABLE main.App_CL; SELECT 1 AS z --',
    "'; DROP TABLE main.App_CL; --",
    '\\"); DROP TABLE main.App_CL; --',
    "$span_start {0} %s",
]


@pytest.mark.parametrize("written", LITERALS)
@pytest.mark.parametrize(
    "form",
    ['print x = "{}"', 'range a from 1 to strlen("{}") - strlen("{}") + 1 step 1', 'print ["x"] = 1 | extend y = "{}"'],
)
def test_a_string_literal_stays_a_value(form, written):
    with Workspace() as ws:
        assert ask(ws, form.replace("{}", written)).status == 200
        assert ask(ws, "App_CL | count").json["tables"][0]["rows"] == [[0]]


@pytest.mark.parametrize("sql", ["SELECT 1; DROP TABLE x", "DROP TABLE x", "", "SELECT (", "COPY (SELECT 1) TO 'x'"])
def test_sql_other_than_one_select_is_never_run(sql):
    with pytest.raises(QueryError) as refused:
        check_select(sql)
    assert refused.value.code == "Unsupported"


def test_nested_texts_grow_in_proportion(workspace):
    steps = "let v0 = strcat('x', 'y');" + "".join(f"let v{n} = strcat(v{n - 1}, 'z');" for n in range(1, 8))
    assert ask(workspace, steps + "print v7").json["tables"][0]["rows"] == [["xyzzzzzzz"]]
