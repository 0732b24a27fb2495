"""The tables and problems that the page asks for."""

from logging_azmon.local import Workspace
from support.local_client import call, send


def test_tables_and_problems_are_listed_for_the_page():
    with Workspace() as ws:
        send(ws, [{"Message": "x", "Nope": 1}, {"Line": "x"}])
        ws.rows("App_CL")
        tables = {table["name"]: table for table in call(ws, "GET", "/api/tables").json}
        assert set(tables) == {"App_CL", "DCRLogErrors"}
        assert tables["App_CL"]["rows"] == 2
        assert tables["App_CL"]["columns"][0] == {"name": "TimeGenerated", "type": "datetime"}
        problems = call(ws, "GET", "/api/problems").json
        assert [(each["kind"], each["column"], each["count"]) for each in problems] == [
            ("mistyped", "Line", 1),
            ("dropped", "Nope", 1),
        ]
        assert all(
            each["advice"] and each["time"].endswith("Z") and each["stream"] == "Custom-App" for each in problems
        )
