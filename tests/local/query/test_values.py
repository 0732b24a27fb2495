"""The format of values in the answers of the query API."""

import json

from support.local_client import ask


def test_an_answer_has_the_shape_of_the_services_answers(workspace):
    query = (
        "print s='x', i=int(1), l=2, r=1.5, b=true, d=datetime(2026-01-01), t=1d, j=parse_json('{\"a\":1}'),"
        " n=real(nan), g=guid(00000000-0000-0000-0000-000000000001), e=int(null), m=-90m,"
        " f=datetime(2026-01-01 00:00:00.25),"
        " o=timespan(null)"
    )
    (table,) = ask(workspace, query).json["tables"]
    assert table["name"] == "PrimaryResult"
    assert {column["name"]: column["type"] for column in table["columns"]} == {
        "s": "string",
        "i": "int",
        "l": "long",
        "r": "real",
        "b": "bool",
        "d": "datetime",
        "t": "timespan",
        "j": "dynamic",
        "n": "real",
        "g": "guid",
        "e": "int",
        "m": "timespan",
        "f": "datetime",
        "o": "timespan",
    }
    assert table["rows"] == [
        [
            "x",
            1,
            2,
            1.5,
            True,
            "2026-01-01T00:00:00Z",
            "1.00:00:00",
            '{"a":1}',
            "NaN",
            "00000000-0000-0000-0000-000000000001",
            None,
            "-01:30:00",
            "2026-01-01T00:00:00.25Z",
            None,
        ]
    ]


def test_lists_are_dynamic_values_and_are_sent_as_json_in_a_string(workspace):
    answer = ask(workspace, "range x from 1 to 2 step 1 | summarize l = make_list(x), s = make_set(x)")
    (table,) = answer.json["tables"]
    assert [column["type"] for column in table["columns"]] == ["dynamic", "dynamic"]
    assert json.loads(table["rows"][0][0]) == [1, 2]
    answer = ask(workspace, "range x from 1 to 2 step 1 | summarize make_list(x * 1h), make_list(datetime(2026-01-01))")
    assert [json.loads(cell) for cell in answer.json["tables"][0]["rows"][0]] == [
        ["01:00:00", "02:00:00"],
        ["2026-01-01T00:00:00.0000000Z", "2026-01-01T00:00:00.0000000Z"],
    ]
