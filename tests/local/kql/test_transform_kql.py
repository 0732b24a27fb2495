"""Transformations: their results, and the constructs that Azure refuses in them."""

import pytest

from logging_azmon.errors import ConfigurationError
from logging_azmon.local import Workspace
from support.local_client import send, stream_declaration
from support.local_rule import NOW

TRANSFORMS = {
    "source | where Level != 'DEBUG'": [],
    "source | extend Level = tolower(Level)": [("debug",)],
    "source | project TimeGenerated, Text = strcat(Level, ':', Line)": [("DEBUG:5",)],
    "source | project-away Line, Properties | extend x = 1": [("DEBUG", 1)],
    "source | project TimeGenerated, n = toint(Properties.a.b), s = tostring(Properties.a)": [(3, '{"b":3}')],
    "source | extend p = parse_json('{\"k\": 1}') | project TimeGenerated, k = tolong(p.k)": [(1,)],
    "source | parse Message with * 'id=' id:int ' ' rest | project TimeGenerated, id, rest": [(42, "tail text")],
    "source | project-rename Severity = Level | project TimeGenerated, Severity": [("DEBUG",)],
    "let few = 3; source | where Line > few | project TimeGenerated, Line": [(5,)],
    "source | extend day = startofday(TimeGenerated) | project TimeGenerated = now(), d = dayofyear(day)": [(69,)],
    "source | project TimeGenerated, a = columnifexists('Level', 'n'), b = columnifexists('Nope', 'n')": [("DEBUG", "n")],
    "source | project TimeGenerated, m = extract('id=([0-9]+)', 1, Message)": [("42",)],
    "source | project TimeGenerated, b = base64_encodestring('a'), h = pack('k', Line)": [("YQ==", {"k": 5})],
    "source | project TimeGenerated, ok = iif(Line >= 5, true, false), s = split(Message, ' ')": [
        (True, ["x", "id=42", "tail", "text"])
    ],
    "source | where isnotempty(Message) and Message matches regex 'id=\\\\d+' | project TimeGenerated, Level": [("DEBUG",)],
}  # fmt: skip


def rule(transform, columns=None):
    columns = columns or {
        "TimeGenerated": "datetime",
        "Level": "string",
        "Message": "string",
        "Line": "int",
        "Properties": "dynamic",
    }
    return {
        "streamDeclarations": {"Custom-X": stream_declaration(columns)},
        "dataFlows": [{"streams": ["Custom-X"], "transformKql": transform, "outputStream": "Custom-X_CL"}],
    }


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_transformation_yields_the_columns_worked_out_by_hand(transform):
    with Workspace(rule(transform), now=lambda: NOW) as ws:
        row = {"TimeGenerated": "2026-03-10T09:00:00Z", "Level": "DEBUG", "Message": "x id=42 tail text", "Line": 5}
        assert send(ws, [{**row, "Properties": {"a": {"b": 3}}}]).status == 204
        kept = ("TimeGenerated", *(() if "Text" in transform or "project" in transform else ("Message", "Line")))
        rows = [
            tuple(value for name, value in row.items() if name not in (*kept, "Message", "Properties"))
            for row in ws.rows("X_CL")
        ]
        assert rows == TRANSFORMS[transform]


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        ("source | summarize count() by Level", "'summarize' is refused in a transformation.*line 1, position 10"),
        ("source\n| join (source) on Level", "'join' is refused.*line 2, position 3"),
        ("source | take 5", "'take' is refused"),
        ("source | sort by Line", "'sort' is refused"),
        ("source | mv-expand Properties", "'mv-expand' is refused"),
        ("source | distinct Level", "'distinct' is refused"),
        ("source | project-keep Level", "'project-keep' is refused"),
        ("union source, source", "'union' is refused"),
        ("source | top 1 by Line", "'top' is refused"),
        ("source | extend x = dynamic({'a': 1})", r"dynamic\(…\) literals are refused.*position 21"),
        ("source | extend x = parse_cef_dictionary(Message)", "exists in Azure only.*position 21"),
        ("source | extend x = geo_location('1.0.0.5')", "exists in Azure only"),
        ("source | project Level", "must yield a column TimeGenerated"),
        ("source | extend TimeGenerated = Level", "must yield a column TimeGenerated of type datetime, not string"),
        ("source | extend x = 1h", "of type timespan, which a table cannot hold"),
        ("source | where Nope == 1", "'Nope'.*line 1, position 16"),
        ("App_CL | where 1 == 1", "'App_CL'"),
        ("source | whre 1", "'whre' cannot be parsed"),
        ("source | where Message == '" + "x" * 16_000 + "'", "at most 15,360 characters"),
        (
            "source | parse Message with " + " ".join(f"'{n}' c{n}" for n in range(11)) + " 'z'",
            "parse fills at most 10 columns",
        ),
    ],
    ids=lambda value: value[:40],
)
def test_a_transformation_that_azure_refuses_is_refused_at_start(transform, message):
    with pytest.raises(ConfigurationError, match=message):
        Workspace(rule(transform)).start()
