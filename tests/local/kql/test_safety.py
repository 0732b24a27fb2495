"""The text of a query never becomes SQL of its own, and its size and time stay in proportion."""

import threading

import pytest

from logging_azmon.local import QueryError, Workspace
from logging_azmon.local.kql import engine
from logging_azmon.local.kql.rewriter import translate
from logging_azmon.local.kql.stages import Stages
from logging_azmon.local.kql.translation import MAX_SQL, check_select
from support.local_client import ask
from support.pipelines import LIMIT_SECONDS

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


def test_first_queries_that_come_concurrently_mend_the_engine_once(monkeypatch):
    """Mended twice, it would write wrong SQL for each `range`."""
    begun, again, go = threading.Event(), threading.Event(), threading.Event()

    def mending(_):
        (again if begun.is_set() else begun).set()
        go.wait(LIMIT_SECONDS)

    monkeypatch.setattr(engine, "_is_mended", False)
    monkeypatch.setattr(engine, "_write_each_text_once", mending)
    for name in ("_stream_ranges", "_read_unicode_escapes", "_look_for_terms_fast"):
        monkeypatch.setattr(engine, name, lambda _: None)
    monkeypatch.setattr(engine, "_add_functions", lambda: None)
    threads = [threading.Thread(target=engine.mend) for _ in range(2)]
    threads[0].start()
    assert begun.wait(LIMIT_SECONDS)
    threads[1].start()
    assert not again.wait(0.2)
    go.set()
    for thread in threads:
        thread.join(LIMIT_SECONDS)
    assert not again.is_set()


def test_a_let_that_is_used_twice_in_a_chain_is_translated_once(workspace):
    steps = "let v0 = App_CL | where Line > 0;" + "".join(
        f"let v{n} = v{n - 1} | join kind=inner v{n - 1} on Line | project Line;" for n in range(1, 25)
    )
    assert ask(workspace, steps + "v24 | count").json["tables"][0]["rows"] == [[0]]


def test_values_that_double_with_each_let_are_refused_before_they_take_memory(workspace):
    steps = "let v0 = 'x';" + "".join(f"let v{n} = strcat(v{n - 1}, v{n - 1});" for n in range(1, 40))
    answer = ask(workspace, steps + "print strlen(v39)")
    assert answer.json["error"]["innererror"]["code"] == "LimitExceeded"


def test_the_sql_of_all_stages_together_is_bounded():
    stages = Stages({}, lambda _: {})
    stages.add(f"SELECT 1 -- {'x' * (MAX_SQL - 100)}", {})
    with pytest.raises(QueryError) as refused:
        stages.add(f"SELECT 2 -- {'x' * 100}", {})
    assert refused.value.code == "LimitExceeded"


def test_reading_and_planning_count_towards_the_time_of_a_query():
    with pytest.raises(QueryError) as refused:
        translate("print 1", {}, lambda _: {}, seconds=-1)
    assert refused.value.code == "Timeout"


def test_an_operator_that_depends_on_the_data_is_refused_where_there_is_none():
    with pytest.raises(QueryError) as refused:
        translate("print d = dynamic({}) | evaluate bag_unpack(d)", {}, lambda _: {"d": "dynamic"})
    assert refused.value.code == "Unsupported"
