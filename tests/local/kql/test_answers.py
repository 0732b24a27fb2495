"""Queries that are typical for logs, over a handful of rows, with answers worked out by hand.

The engine underneath is young: a new version is accepted only if every answer here is unchanged.
"""

import datetime as dt

import pytest

from logging_azmon.local import QueryError, Workspace
from support.local_client import send, stream_declaration
from support.local_rule import NOW


def at(hour, minute=0, second=0):
    return dt.datetime(2026, 3, 10, hour, minute, second, tzinfo=dt.UTC)


RULE = {
    "properties": {
        "immutableId": "dcr-1",
        "streamDeclarations": {
            "Custom-App": stream_declaration(
                {
                    "TimeGenerated": "datetime",
                    "Level": "string",
                    "Logger": "string",
                    "Message": "string",
                    "Line": "int",
                    "Sequence": "long",
                    "Duration": "real",
                    "Ok": "boolean",
                    "Properties": "dynamic",
                }
            ),
            "Custom-Owner": stream_declaration({"TimeGenerated": "datetime", "Logger": "string", "Team": "string"}),
        },
        "dataFlows": [
            {"streams": ["Custom-App"], "outputStream": "Custom-App_CL"},
            {"streams": ["Custom-Owner"], "outputStream": "Custom-Owner_CL"},
        ],
    }
}

APP = [
    # hour, minute, level, logger, message, line, sequence, duration, ok, properties
    (9, 0, "INFO", "web", "GET /a took 12ms", 10, 1, 12.0, True, {"user": {"id": 7}, "tags": ["x", "y"]}),
    (9, 20, "ERROR", "web", "GET /b failed: Timeout", 20, 2, 950.5, False, {"user": {"id": 8}, "tags": []}),
    (9, 40, "INFO", "db", "SELECT took 3ms", 30, 3, 3.0, True, {"rows": 5}),
    (10, 10, "WARNING", "db", "slow query: 1500ms", 30, 4, 1500.0, True, {"rows": 0, "user": {"id": 7}}),
    (10, 50, "ERROR", "web", "GET /a failed: Refused", 20, 5, None, False, None),
    (11, 30, "DEBUG", "cache", "hit key=u:7", None, 6, 0.25, None, {"key": "u:7"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def workspace():
    with Workspace(RULE, now=lambda: NOW) as ws:
        names = ["Level", "Logger", "Message", "Line", "Sequence", "Duration", "Ok", "Properties"]
        rows = [{"TimeGenerated": at(h, m).isoformat(), **dict(zip(names, rest, strict=True))} for h, m, *rest in APP]
        owners = [
            {"Logger": "web", "Team": "front"},
            {"Logger": "db", "Team": "data"},
            {"Logger": "job", "Team": "ops"},
        ]
        assert send(ws, rows).status == 204
        assert send(ws, owners, stream="Custom-Owner").status == 204
        ws.query("print 1")
        yield ws


QUERIES = {
    # filters
    "App_CL | count": [(6,)],
    "App_CL | where Level == 'ERROR' | count": [(2,)],
    "App_CL | where Level =~ 'error' | count": [(2,)],
    "App_CL | where Level == 'error' | count": [(0,)],
    "App_CL | where Level != 'INFO' | count": [(4,)],
    "App_CL | where Level in ('ERROR', 'WARNING') | count": [(3,)],
    "App_CL | where Level !in ('ERROR', 'WARNING') | count": [(3,)],
    "App_CL | where Level in~ ('error') | count": [(2,)],
    "App_CL | where Message has 'failed' | count": [(2,)],
    "App_CL | where Message has 'fail' | count": [(0,)],
    "App_CL | where Message !has 'took' | count": [(4,)],
    "App_CL | where Message contains 'fail' | count": [(2,)],
    "App_CL | where Message contains_cs 'Fail' | count": [(0,)],
    "App_CL | where Message startswith 'get' | count": [(3,)],
    "App_CL | where Message startswith_cs 'get' | count": [(0,)],
    "App_CL | where Message endswith 'MS' | count": [(3,)],
    "App_CL | where Message matches regex @'\\d{4}ms' | count": [(1,)],
    "App_CL | where Message has_any ('Timeout', 'Refused') | count": [(2,)],
    "App_CL | where Message has_all ('GET', 'failed') | count": [(2,)],
    "App_CL | where Duration > 900 and Ok | project Sequence": [(4,)],
    "App_CL | where Ok == false or Line > 25 | project Sequence | sort by Sequence asc": [(2,), (3,), (4,), (5,)],
    "App_CL | where not(Ok) | count": [(2,)],
    "App_CL | where isnull(Duration) | project Sequence": [(5,)],
    "App_CL | where isnotnull(Line) | count": [(5,)],
    "App_CL | where isempty(Logger) | count": [(0,)],
    "App_CL | where Duration between (3 .. 12) | project Sequence | order by Sequence asc": [(1,), (3,)],
    "App_CL | where TimeGenerated > ago(2h) | count": [(3,)],
    "App_CL | where TimeGenerated between (datetime(2026-03-10 09:30) .. 1h) | count": [(2,)],
    "App_CL | where TimeGenerated >= datetime(2026-03-10T10:00:00Z) | count": [(3,)],
    "App_CL | where * has 'Refused' | project Sequence": [(5,)],
    # shape
    "App_CL | project Level, Line | take 0": [],
    "App_CL | sort by Duration desc | take 1 | project Sequence, Duration": [(4, 1500.0)],
    "App_CL | top 2 by Duration desc | project Sequence": [(4,), (2,)],
    "App_CL | sort by Duration asc nulls first | take 1 | project Sequence": [(5,)],
    "App_CL | sort by Level asc, Sequence desc | project Level, Sequence | take 3": [
        ("DEBUG", 6),
        ("ERROR", 5),
        ("ERROR", 2),
    ],
    "App_CL | distinct Logger | sort by Logger asc": [("cache",), ("db",), ("web",)],
    "App_CL | project Logger, Level | distinct * | count": [(5,)],
    "App_CL | extend Slow = Duration > 100 | where Slow | count": [(2,)],
    "App_CL | where Sequence == 1 | project-rename Severity = Level | project Severity": [("INFO",)],
    "App_CL | where Sequence == 1 | project-away TimeGenerated, Message, Properties, L* | project-keep *": [(1, 12.0, True)],
    "App_CL | where Sequence == 1 | project-keep Sequence, Le*": [("INFO", 1)],
    "App_CL | where Sequence == 1 | project-keep Sequence, Level | project-reorder Sequence": [(1, "INFO")],
    "App_CL | where Sequence == 6 | project column_ifexists('Nope', 'none'), column_ifexists('Level', '')": [
        ("none", "DEBUG")
    ],
    "App_CL | project Line | getschema | project ColumnName, ColumnType": [("Line", "int")],
    "App_CL | summarize by Level, Logger | count": [(5,)],
    # summaries
    "App_CL | summarize n = count() by Level | sort by n desc, Level asc": [
        ("ERROR", 2),
        ("INFO", 2),
        ("DEBUG", 1),
        ("WARNING", 1),
    ],
    "App_CL | summarize count() by bin(TimeGenerated, 1h) | sort by TimeGenerated asc": [
        (at(9), 3),
        (at(10), 2),
        (at(11), 1),
    ],
    "App_CL | summarize avg(Duration), max(Duration), min(Duration) by Logger | where Logger == 'db'": [
        ("db", 751.5, 1500.0, 3.0)
    ],
    "App_CL | summarize sum(Sequence), dcount(Logger)": [(21, 3)],
    "App_CL | summarize countif(Level == 'ERROR'), sumif(Sequence, Ok)": [(2, 8)],
    "App_CL | summarize errors = countif(not(Ok)) * 100.0 / count()": [(pytest.approx(33.3333, abs=1e-3),)],
    "App_CL | summarize percentile(Line, 50)": [(20,)],
    # take_any(*) returns a whole row, including its nulls.
    "App_CL | summarize take_any(*) by Logger | where Logger == 'web' | project Sequence, Duration": [(5, None)],
    "App_CL | summarize take_any(Level) by Logger | where Logger == 'cache' | project Level": [("DEBUG",)],
    "App_CL | summarize arg_max(TimeGenerated, Message) by Logger | where Logger == 'web' | project Message": [
        ("GET /a failed: Refused",)
    ],
    "App_CL | summarize arg_min(Duration, *) | project Sequence": [(6,)],
    "App_CL | where Logger == 'db' | sort by Sequence asc | summarize make_list(Sequence)": [([3, 4],)],
    "App_CL | summarize s = make_set(Level) | project array_length(s)": [(4,)],
    "App_CL | summarize take_any(Logger) by Level | where Level == 'DEBUG'": [("DEBUG", "cache")],
    "App_CL | summarize stdev(Sequence)": [(pytest.approx(1.8708, abs=1e-3),)],
    # values
    "App_CL | where Sequence == 1 | project Properties.user.id": [(7,)],
    "App_CL | where Sequence == 1 | project x = tostring(Properties['user']), y = toint(Properties.user.id) + 1": [
        ('{"id":7}', 8)
    ],
    "App_CL | where Sequence == 1 | project Properties.tags[1]": [("y",)],
    "App_CL | where toint(Properties.user.id) == 7 | project Sequence | sort by Sequence asc": [(1,), (4,)],
    "App_CL | where isnotempty(Properties.key) | project Sequence": [(6,)],
    "App_CL | where Sequence == 1 | mv-expand tag = Properties.tags to typeof(string) | project tag": [("x",), ("y",)],
    "App_CL | where Sequence == 3 | extend p = parse_json('{\"a\": [1, 2]}') | project p.a[0]": [(1,)],
    "App_CL | parse Message with 'GET ' path ' ' * | where isnotempty(path) | project path, Sequence | sort by Sequence asc": [
        ("/a", 1),
        ("/b", 2),
        ("/a", 5),
    ],
    "App_CL | project ms = extract(@'(\\d+)ms', 1, Message, typeof(long)) | summarize sum(ms)": [(1515,)],
    "App_CL | where Sequence == 4 | project iff(Duration > 1000, 'slow', 'fine'), case(Line > 100, 'a', Line > 20, 'b', 'c')": [
        ("slow", "b")
    ],
    "App_CL | where Sequence == 5 | project strcat(Level, '-', Line), toupper(Logger), strlen(Message)": [
        ("ERROR-20", "WEB", 22)
    ],
    "App_CL | where Sequence == 1 | project split(Message, ' ')[1], substring(Message, 4, 2), indexof(Message, 'took')": [
        ("/a", "/a", 7)
    ],
    "App_CL | where Sequence == 1 | project replace_string(Message, 'GET', 'PUT'), trim('G', Message)": [
        ("PUT /a took 12ms", "ET /a took 12ms")
    ],
    "App_CL | where Sequence == 6 | project coalesce(Line, -1), isnull(Ok)": [(-1, True)],
    "App_CL | where Sequence == 2 | project round(Duration), floor(Duration, 100), toint(Duration)": [(951.0, 900.0, 950)],
    "App_CL | where Sequence == 1 | project startofday(TimeGenerated), hourofday(TimeGenerated), dayofweek(TimeGenerated)": [
        (at(0), 9, dt.timedelta(days=2))
    ],
    "App_CL | where Sequence == 1 | project format_datetime(TimeGenerated, 'yyyy-MM-dd HH:mm')": [("2026-03-10 09:00",)],
    "App_CL | where Sequence == 2 | project datetime_diff('minute', now(), TimeGenerated), now() - TimeGenerated": [
        (160, dt.timedelta(hours=2, minutes=40))
    ],
    "App_CL | where Sequence == 2 | project bin(Duration, 100), 7 / 2, 7.0 / 2, 7 % 4": [(900.0, 3, 3.5, 3)],
    "print tolong('12'), todouble('1.5'), tobool('true'), todatetime('2026-01-01')": [
        (12, 1.5, True, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    ],
    "print base64_encode_tostring('a'), hash_sha256('a') startswith 'ca978', parse_url('http://h/p').Host": [("YQ==", True, "h")],
    # several tables
    "App_CL | join kind=inner (Owner_CL) on Logger | summarize count() by Team | sort by Team asc": [
        ("data", 2),
        ("front", 3),
    ],
    "App_CL | join kind=leftanti (Owner_CL) on Logger | project Logger": [("cache",)],
    "App_CL | lookup (Owner_CL | project Logger, Team) on Logger | where isempty(Team) | project Sequence": [(6,)],
    "union App_CL, Owner_CL | count": [(9,)],
    "union withsource=T App_CL, Owner_CL | summarize count() by T | sort by T asc": [("App_CL", 6), ("Owner_CL", 3)],
    "let slow = 100; let bad = App_CL | where Duration > slow; bad | count": [(2,)],
    "let f = (x: real) { x / 1000 }; App_CL | where Sequence == 4 | project f(Duration)": [(1.5,)],
    "App_CL | where Logger in ((Owner_CL | where Team == 'data' | project Logger)) | count": [(2,)],
    "let newest = toscalar(App_CL | summarize max(Sequence)); App_CL | where Sequence == newest | project Logger": [("cache",)],
    "datatable(a: long, b: string) [1, 'x', 2, 'y'] | where a > 1 | project b": [("y",)],
    "range x from 1 to 3 step 1 | summarize sum(x)": [(6,)],
    # the KQL reference: row-cumsum-function, row-number-function, prev-function
    "datatable (n:string, m:int, s:long) ['Alice', 1, 1000, 'Bob', 1, 1000, 'Alice', 2, 2000, 'Bob', 2, 1950,"
    " 'Alice', 3, 1400, 'Bob', 3, 1450] | order by n asc, m asc | extend t = row_cumsum(s, n != prev(n)) | project t": [
        (1000,), (3000,), (4400,), (1000,), (2950,), (4400,)
    ],
    "range a from 1 to 10 step 1 | sort by a desc | extend rn = row_number(7) | take 2": [(10, 7), (9, 8)],
    "datatable (Airport:string, Airline:string, Departures:long) ['SEA', 'LH', 3, 'SEA', 'LY', 100, 'SEA', 'UA', 3,"
    " 'SEA', 'BA', 2, 'SEA', 'EL', 3, 'TLV', 'LH', 1, 'TLV', 'LY', 100] | sort by Airport asc, Departures desc"
    " | extend Rank = row_number(1, prev(Airport) != Airport) | where Airline == 'LY' | project Airport, Rank": [
        ("SEA", 1), ("TLV", 1)
    ],
    "datatable (a:string) ['x', 'y'] | serialize p = prev(a), q = next(a) | where p == '' | project a, q": [("x", "y")],
    # strings are never null: scalar-data-types/null-values
    "datatable (k:int) [1] | join kind=leftouter (datatable (k:int, b:string) [2, 'x']) on k | where b == '' | count": [(1,)],
    "datatable (k:int) [1] | lookup (datatable (k:int, b:string) [2, 'x']) on k | where b == '' | count": [(1,)],
    "union (datatable (a:int) [1]), (datatable (b:string) ['x']) | where b == '' | project a": [(1,)],
    "datatable (a:int) [1] | union (datatable (b:string) ['x']) | where isnotnull(b) | count": [(2,)],
    # make-list-aggregation-function, string literals, project-reorder-operator, search-operator
    "datatable (a:long) [1] | summarize l = make_list(bag_pack('x', a))": [([{"x": 1}],)],
    "print 'a' h'b', '\\u00e4', @'c:\\d''e'": [("ab", "\u00e4", "c:\\d'e")],
    "print a10='1', a2='2', b='3', a1='4' | project-reorder a* asc | project-away b": [("4", "1", "2")],
    "print a10='1', a2='2', b='3', a1='4' | project-reorder b, a* granny-asc": [("3", "4", "2", "1")],
    "print a10='1', a2='2', b='3', a1='4' | project-reorder a* granny-desc": [("1", "2", "4", "3")],
    "search in (Owner_CL) 'front' | project-away TimeGenerated": [("Owner_CL", "web", "front")],
    "print toupper(strcat('a', strcat('b', strcat('c', tostring(strcat('d', strcat('e', tolower(strcat('F', 1)))))))))": [("ABCDEF1",)],
    # operators and functions that the engine lacks
    "search 'Refused' | project Sequence": [(5,)],
    "search in (Owner_CL) 'front' | count": [(1,)],
    "search '*imeou*' | project Sequence": [(2,)],
    "search '2026' | count": [(9,)],
    "search '30' | project Sequence | sort by Sequence asc": [(3,), (4,), (6,)],
    "print a = 1 | search 'x' | count": [(0,)],
    "search '*' | count": [(9,)],
    "search @'Refused' and Level has 'error' | project Sequence": [(5,)],
    "App_CL | sort by Sequence asc | serialize next_one = Sequence + 1 | take 1 | project next_one": [(2,)],
    "App_CL | sample 2 | count": [(2,)],
    "App_CL | sort by Sequence asc | project n = row_number(), Level | where n == 2": [(2, "ERROR")],
    "let bad = App_CL | where not(Ok); let n = toscalar(bad | count); print n": [(2,)],
    "print strrep('ab', 3)": [("ababab",)],
    "App_CL | consume | count": [(0,)],
    "App_CL | distinct Level | consume": [],
    "App_CL | where Sequence == 1 | project-keep Message | project extract('(\\\\d+)ms', 1, Message)": [("12",)],
    "App_CL | where Sequence == 1 | mv-expand with_itemindex=i tag = Properties.tags | project i": [(0,), (1,)],
    "search 'front' or 'Refused' | summarize count() by ['$table'] | sort by ['$table'] asc": [
        ("App_CL", 1),
        ("Owner_CL", 1),
    ],
    "App_CL | search Message:'GET' and not(Level == 'INFO') | count": [(2,)],
    "App_CL | search 'Time*' | count": [(1,)],
    "App_CL | search kind=case_sensitive 'refused' | count": [(0,)],
    "App_CL | sort by Sequence desc | serialize n = row_number() | where n == 1 | project Sequence": [(6,)],
    "App_CL | sort by Sequence asc | extend n = row_number(0) | where n == 0 | project Sequence": [(1,)],
    "App_CL | sort by TimeGenerated asc | extend gap = TimeGenerated - prev(TimeGenerated) | summarize max(gap)": [
        (dt.timedelta(minutes=40),)
    ],
    "App_CL | sort by Sequence asc | where Level != prev(Level, 1, 'x') | project Sequence": [
        (1,),
        (2,),
        (3,),
        (4,),
        (5,),
        (6,),
    ],
    "App_CL | sort by Sequence asc | serialize total = row_cumsum(Sequence), after = next(Level) | project total, after | take 2": [
        (1, "ERROR"),
        (3, "INFO"),
    ],
    "App_CL | make-series n = count() on TimeGenerated from datetime(2026-03-10 09:00) to datetime(2026-03-10 12:00) step 1h": [
        (
            [3, 2, 1],
            ["2026-03-10T09:00:00.0000000Z", "2026-03-10T10:00:00.0000000Z", "2026-03-10T11:00:00.0000000Z"],
        )
    ],
    "App_CL | make-series n = count() default=0 on TimeGenerated from datetime(2026-03-10 09:00) to datetime(2026-03-10 11:00)"
    " step 1h by Logger | where Logger == 'db' | project n": [([1, 1],)],
    "App_CL | make-series n = count(), m = max(Sequence) default=real(null) on Line step 10 | project n, m": [
        ([1, 2, 2], [1, 5, 4])
    ],
    "App_CL | make-series avg(Sequence) default=-1 on Line step 10 | project avg_Sequence, Line": [
        ([1.0, 3.5, 3.5], [10, 20, 30])
    ],
    # what holds in the main pipeline holds in every other one
    "Owner_CL | join kind=inner (App_CL | sort by Sequence asc | extend n = row_number() | where n == 2) on Logger | project Team, n": [
        ("front", 2)
    ],
    "let numbered = App_CL | sort by Sequence asc | extend p = prev(Level) | where Sequence == 3; numbered | project p": [
        ("ERROR",)
    ],
    "print n = toscalar(App_CL | search 'Refused' | summarize max(Sequence))": [(5,)],
    "union (App_CL | project-keep Lev*, Sequence), (Owner_CL | distinct * | project Team) | where Team == 'ops' or Sequence == 1"
    " | project Level, Team": [("INFO", ""), ("", "ops")],
    "App_CL | where Logger in ((Owner_CL | search 'data' | project-keep Logger)) | count": [(2,)],
    "App_CL | lookup (Owner_CL | project-away T*, Nope*) on Logger | count": [(6,)],
    "App_CL | where Line == 20 | join kind=inner (Owner_CL | project-away TimeGenerated) on Logger | project Team | take 1": [("front",)],
    "(App_CL | where Level == 'ERROR') | count": [(2,)],
    "(union App_CL, Owner_CL) | count": [(9,)],
    # functions of a query
    "let errors = (least: long) { App_CL | where Level == 'ERROR' and Sequence > least }; errors(2) | project Sequence": [(5,)],
    "let errors = () { App_CL | where Level == 'ERROR' }; errors | count": [(2,)],
    "let pick = (T: (*), level: string = 'ERROR') { let wanted = level; T | where Level == wanted }; pick(App_CL) | count": [(2,)],
    "let pick = (T: (Level: string), level: string) { T | where Level == level }; App_CL | invoke pick('INFO') | count": [(2,)],
    "let v = view () { App_CL | take 1 }; v | count": [(1,)],
    "let x = 1; let f = (x: long) { App_CL | where Sequence == x | project s = x }; union f(2), f(3), f(2) | where s != x | sort by s asc": [
        (2,), (2,), (3,)
    ],
    "let T = materialize(App_CL | where Ok); let n = toscalar(T | count); T | count | extend n": [(3, 3)],
    "table('Owner_CL') | count": [(3,)],
    "let t = 'Owner_CL'; table(t) | count": [(3,)],
    "declare query_parameters(level: string = 'INFO'); App_CL | where Level == level | count": [(2,)],
    "set notruncation; App_CL | count": [(6,)],
    # the KQL reference: user-defined functions, named arguments in any order, and defaults
    "let f = (a: long, b: string = 'b.default', c: long = 0) { strcat(a, '-', b, '-', c) }; print f(c=7, a=12)": [("12-b.default-7",)],
    "App_CL | where Sequence == 1 | as Seen | join kind=inner (Seen) on Sequence | project Level, Level1": [("INFO", "INFO")],
    "let newest = (logger: string, add: long = 1) { let extra = add; toscalar(App_CL | where Logger == logger | summarize max(Sequence)) + extra };"
    " Owner_CL | where Logger == 'db' | extend n = newest('db') + newest('web', 0), s = newest('cache', strlen(Team)) | project n, s": [(10, 10)],
    "let f = () { let t = App_CL | take 2; let u = 5; t }; f() | count": [(2,)],
    "let f = (x: long) { x + 1 }; let unused = App_CL | take 1; print f(1), toscalar(1)": [(2, 1)],
    # union: a column of several types becomes one for each
    "union (datatable (a: int) [1]), (datatable (a: string) ['x']) | getschema | project ColumnName, ColumnType": [
        ("a_int", "int"), ("a_string", "string")
    ],
    "union kind=inner (datatable (a: int, b: int) [1, 2]), (datatable (a: int) [3]) | sort by a asc": [(1,), (3,)],
    "union isfuzzy=true withsource=T Owner_CL, Nope_CL, (print 1) | summarize count() by T | sort by T asc": [("Owner_CL", 3), ("union_arg1", 1)],
    "union withsource=T (print x = 1 | as First), (Owner_CL | project x = 2 | take 1) | project T, x": [("First", 1), ("union_arg1", 2)],
    "union withsource=Table Own* | take 1 | project Table": [("Owner_CL",)],
    # names that differ only in case
    "App_CL | where Sequence == 1 | extend level = tolower(Level) | project Level, level": [("INFO", "info")],
    "let o = Owner_CL | extend a = 1, A = 2; App_CL | join kind=inner (o) on Logger | where Sequence == 3 | project A, a": [(2, 1)],
    # a string compared with a number or a bool
    "datatable (ResultType: string) ['0', 'text'] | where ResultType == 0 | count": [(1,)],
    "datatable (ResultType: string) ['0', '-5', 'text'] | where ResultType !in (0, -5) and 1 != ResultType": [("text",)],
    "datatable (Ok: string) ['true', 'no'] | where Ok == true": [("true",)],
    "App_CL | where tostring(Properties.user.id) == 7 | count": [(2,)],
    "App_CL | where (Level) == 0 | count": [(0,)],
    # the standard columns
    "Owner_CL | where Logger == 'db' and _IsBillable == true | project Type, _ResourceId, TenantId, ingestion_time() == TimeGenerated": [
        ("Owner_CL", "", "00000000-0000-0000-0000-000000000000", True)
    ],
    "Owner_CL | summarize sum(_BilledSize) > 100": [(True,)],
    # mv-expand of expressions
    "App_CL | where Sequence == 1 | mv-expand t = todynamic(tostring(Properties.tags)) to typeof(string), u = dynamic([1, 2]) | project t, u": [
        ("x", 1), ("y", 2)
    ],
    "App_CL | where Sequence == 1 | mv-expand Properties.tags | project Properties_tags": [("x",), ("y",)],
    "datatable (d: string) ['[1,2]'] | mv-expand todynamic(d) | project d": [(1,), (2,)],
    "datatable (d: dynamic) [dynamic([{'k': 1}])] | mv-expand kind=array d | project d.k, x = d.['k']": [(1, 1)],
    "print Column1 = 0 | mv-expand dynamic([1, 2])": [(1,), (2,)],
    "print a = '{\"x\": [7]}' | mv-expand todynamic(tostring(a))  | project a.x[0]": [(7,)],
    # the KQL reference: mv-apply-operator
    "let t = datatable (Val: int, Arr1: dynamic, Arr2: dynamic) [1, dynamic(['A1', 'A2']), dynamic([10, 30]), 7, dynamic(['B1', 'B2']), dynamic([50])];"
    " t | mv-apply NewArr1=Arr1, NewArr2=Arr2 to typeof(long) on (top 1 by NewArr2 | summarize NewArr1=make_list(NewArr1))": [
        (1, ["A1", "A2"], [10, 30], ["A2"]), (7, ["B1", "B2"], [50], ["B1"])
    ],
    "let _data = range x from 1 to 8 step 1 | summarize l=make_list(x) by xMod2 = x % 2;"
    " _data | mv-apply element=l to typeof(long) on (top 2 by element | summarize SumOfTop2=sum(element)) | project xMod2, SumOfTop2 | sort by xMod2 asc": [
        (0, 14), (1, 12)
    ],
    "datatable (l: dynamic) [dynamic([5, 6])] | mv-apply with_itemindex=i e = l to typeof(long) on (where e > 5 | project e, i)": [([5, 6], 6, 1)],
    "App_CL | partition hint.strategy=native by Level (top 1 by Sequence desc | project Level, Sequence) | sort by Sequence asc": [
        ("INFO", 3), ("WARNING", 4), ("ERROR", 5), ("DEBUG", 6)
    ],
    "App_CL | partition by Level (count) | sort by Count asc | take 1": [(1,)],
    "App_CL | partition by Level (distinct Level) | partition by Level (sort by Level | take 1 | distinct *) | count": [(4,)],
    # the KQL reference: bag-unpack-plugin, pivot-plugin, narrow-plugin
    "datatable (d: dynamic) [dynamic({'Name': 'John', 'Age': 20}), dynamic({'Name': 'Dave', 'Age': 40})] | evaluate bag_unpack(d)": [
        (20, "John"), (40, "Dave")
    ],
    "datatable (Name: string, d: dynamic) ['x', dynamic({'Name': 'John', 'a': 1}), 'y', dynamic({'a': 1.5, 'b': [1]})] | evaluate bag_unpack(d, 'p_')": [
        ("x", "John", 1.0, None), ("y", "", 1.5, [1])
    ],
    "datatable (a: long, d: dynamic) [1, dynamic({})] | evaluate bag_unpack(d)": [(1,)],
    "print Name = 'a', d = dynamic({'Name': 'b', 'Age': 1}) | evaluate bag_unpack(d, columnsConflict='keep_source')": [("a", 1)],
    "print Name = 'a', d = dynamic({'Name': 'b', 'Age': 1}) | evaluate bag_unpack(d, columnsConflict='replace_source')": [("b", 1)],
    "print d = dynamic({'Name': 'b', 'Age': 1}) | evaluate bag_unpack(d, ignoredProperties=dynamic(['Age']))": [("b",)],
    "App_CL | project Logger, Level | evaluate pivot(Level) | sort by Logger asc": [
        ("cache", 1, 0, 0, 0), ("db", 0, 0, 1, 1), ("web", 0, 2, 1, 0)
    ],
    "App_CL | evaluate pivot(Level, max(Sequence), Logger) | where Logger == 'db'": [("db", None, None, 3, 4)],
    "App_CL | project Level | evaluate pivot(Level)": [(1, 2, 2, 1)],
    "print a = 1, b = 'x' | evaluate narrow()": [(0, "a", "1"), (0, "b", "x")],
    # the page on timespans: they are divided and averaged
    "print 1d / 8, 6 / 3 * 2": [(dt.timedelta(hours=3), 4)],
    "datatable (d: timespan) [1d, 3d] | summarize avg(d), sum(d) | project avg_d, sum_d, h = avg_d / 2": [
        (dt.timedelta(days=2), dt.timedelta(days=4), dt.timedelta(days=1))
    ],
    # small operators and functions
    "let n = 2; let m = n; App_CL | top n by Sequence | take m | sample m | project Sequence": [(6,), (5,)],
    "let n = 1; App_CL | partition by Level (take n) | count": [(4,)],
    "App_CL | summarize n = count(Level) by Logger | where Logger == 'web'": [("web", 3)],
    "print range(1, 3)": [([1, 2, 3],)],
    "App_CL | sort by Sequence asc | serialize | extend n = row_number() | where n == 1 | project Sequence": [(1,)],
    "App_CL | sample-distinct 2 of Level | count": [(2,)],
    "App_CL | summarize take_any(Level, Logger) by Sequence | where Sequence == 6": [(6, "DEBUG", "cache")],
    "App_CL | summarize any(Level) by Sequence | where Sequence == 6 | project any_Level": [("DEBUG",)],
    "App_CL | where Logger == 'db' | summarize x = makeset(Level), y = makelist(Sequence) | project array_length(x), array_length(y)": [(2, 2)],
    "print split('a-b-c', '-', 1)": [(["b"],)],
    "print x = dynamic([1, [2]]) | project x.[1].[0]": [(2,)],
    "print s = 'GET /a 12' | parse s with verb ' ' path ' ' n:long": [("GET /a 12", "GET", "/a", 12)],
    "print s = 'k=v' | parse s with * 'k=' ['the value'] | project ['the value']": [("v",)],
    "datatable (t: datetime) [datetime(2026-01-01)] | summarize l = make_list(t)": [(["2026-01-01T00:00:00.0000000Z"],)],
    # make-series in its other forms
    "App_CL | take 0 | make-series kind=nonempty n=count() default=7 on TimeGenerated from datetime(2026-03-10) to datetime(2026-03-12) step 1d"
    " | project n": [([7, 7],)],
    "App_CL | take 0 | make-series n=count() on TimeGenerated from datetime(2026-03-10) to datetime(2026-03-12) step 1d": [],
    "App_CL | make-series s=sum(Sequence) default=0 on TimeGenerated in range(datetime(2026-03-10 09:00), datetime(2026-03-10 11:00), 1h) | project s": [
        ([6, 9, 6],)
    ],
    "let s = App_CL | make-series n=count() on TimeGenerated from datetime(2026-03-10 09:00) to datetime(2026-03-10 11:00) step 1h; s | project n": [
        ([3, 2],)
    ],
    "App_CL | where Level == 'ERROR' | project Sequence | sort by Sequence asc | render timechart": [(2,), (5,)],
}  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_has_the_answer_worked_out_by_hand(workspace, query):
    expected = QUERIES[query]
    assert [tuple(row.values()) for row in workspace.query(query)] == expected


def test_at_least_sixty_queries_have_answers_worked_out_by_hand():
    assert len(QUERIES) >= 60


REFUSED = {
    "App_CL | wherex Level": ("SyntaxError", 1, 10),
    "App_CL | where Level ==": ("SyntaxError", 1, 24),
    "App_CL\n| where Nope == 1": ("SemanticError", 2, 9),
    "App_CL | where level == 'x'": ("SemanticError", 1, 16),
    "app_cl | take 1": ("SemanticError", 1, 1),
    "App_CL | project-keep Nope": ("SemanticError", 1, 23),
    "App_CL | evaluate autocluster()": ("Unsupported", 1, 10),
    "App_CL | evaluate pivot(Nope)": ("SemanticError", 1, 19),
    "App_CL | evaluate bag_unpack(Level)": ("SemanticError", 1, 19),
    "print Name = 1, d = dynamic({'Name': 2}) | evaluate bag_unpack(d)": ("SemanticError", 1, 53),
    "let n = row_number(); print n": ("Unsupported", 1, 9),
    "let f = (a: long) { a + 1 }; print f()": ("Unsupported", 1, 5),
    "let f = (x: long) { column_ifexists('Nope', x) }; print f(1)": ("Unsupported", 1, 21),
    "print d = dynamic({}) | evaluate bag_unpack(d)": ("SemanticError", 1, 34),
    "App_CL | invoke f()": ("SemanticError", 1, 17),
    "App_CL | mv-apply Properties on (join (Owner_CL) on Logger)": ("Unsupported", None, None),
    "App_CL | project Level, Level = 2": ("SemanticError", 1, 18),
    "App_CL | project-rename x = Nope": ("SemanticError", 1, 29),
    "nope(1) | take 1": ("Unsupported", None, None),
    "table('Nope') | take 1": ("SemanticError", 1, 1),
    "let f = (a: long) { App_CL | where Line == a }; f()": ("SemanticError", 1, 5),
    "declare query_parameters(a: long); App_CL | where Line == a": ("SemanticError", 1, 26),
    "union isfuzzy=true Nope": ("SemanticError", 1, 20),
    "App_CL | summarize hll(Level)": ("Unsupported", 1, 20),
    "App_CL | project hash_xxhash64(Level)": ("Unsupported", 1, 18),
    "App_CL | extend x = current_principal()": ("Unsupported", 1, 21),
    "App_CL | project-keep Level | extend x = current_principal()": ("Unsupported", 1, 42),
    "App_CL | join kind=inner (Owner_CL) on Line": ("SemanticError", 1, 40),
    "App_CL | join kind=inner (Owner_CL) on $left.Logger == $right.Nope": ("SemanticError", 1, 63),
    "App_CL | mv-expand Nope": ("SemanticError", 1, 20),
    "duckdb_settings | take 1": ("SemanticError", 1, 1),
    "information_schema | take 1": ("SemanticError", 1, 1),
    "sqlite_master | count": ("SemanticError", 1, 1),
    "database('other').App_CL": ("SemanticError", 1, 11),
    "cluster('c').database('other').App_CL": ("SemanticError", 1, 10),
    "externaldata (x: string) ['https://example.com/x.csv']": ("Unsupported", 1, 1),
    ".drop table App_CL": ("SyntaxError", 1, 1),
    ".show tables": ("SyntaxError", 1, 1),
    "": ("SyntaxError", 1, 1),
    "App_CL | count; App_CL | count": ("Unsupported", None, None),
    "search 'x' and Nope == 1": ("SemanticError", 1, 1),
    "search in (Nope) 'x'": ("SemanticError", 1, 1),
    "// a comment\n.show tables": ("SyntaxError", 2, 1),
    "App_CL | parse Message with 'a' x '' y": ("Unsupported", None, None),
    "// nothing else": ("SyntaxError", None, None),
    "App_CL | project-keep Level | where Level < now()-1d | project-keep *": ("SemanticError", None, None),
    "App_CL | extend x = column_ifexists('Level')": ("Unsupported", 1, 21),
    "App_CL | extend x = extract('a', 0, Message, 'x') | extend x = strrep()": ("SemanticError", None, None),
    "App_CL | make-series count() default=Level on Line step 1": ("Unsupported", None, None),
    "App_CL | extend x = strrep(Message, Line)": ("SemanticError", 1, 21),
    "App_CL | extend x = prev()": ("SemanticError", 1, 21),
    "App_CL | extend x = prev(Level, Line)": ("Unsupported", None, None),
    "App_CL | make-series count() on Level step 1": ("SemanticError", 1, 10),
    "print a = 1 | extend x = strcat(" + ", ".join(["tostring(strcat(a, 1, 1, 1))"] * 100) + ")": (
        "LimitExceeded",
        None,
        None,
    ),
    "print " + "(" * 500 + "1" + ")" * 500: ("SyntaxError", None, None),
    "print " + "1 + " * 40_000 + "1": ("SyntaxError", None, None),
}


@pytest.mark.parametrize("query", REFUSED, ids=lambda query: query[:40])
def test_a_query_that_cannot_be_answered_is_refused_with_its_position(workspace, query):
    with pytest.raises(QueryError) as refused:
        workspace.query(query)
    code, line, pos = REFUSED[query]
    assert refused.value.code == code, refused.value
    if line is not None:
        assert (refused.value.line, refused.value.pos) == (line, pos), refused.value


def test_a_name_in_another_case_is_refused_with_the_one_that_was_meant(workspace):
    with pytest.raises(
        QueryError, match=r"named 'level'\. Names are case-sensitive: did you mean 'Level'\?"
    ) as refused:
        workspace.query("App_CL | where level == 'x'")
    assert (refused.value.line, refused.value.pos) == (1, 16)
