"""The examples for web frameworks and task queues run on their real servers, and their rows arrive."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.endpoint import Endpoint, Held
from support.lifecycle import address_variables, assert_each_once
from support.pipelines import LIMIT_SECONDS, messages

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SCRIPTS = Path(__file__).parent.parent / "scripts"
LONGEST_TURN_SECONDS = 1.0
# A single worker need not look for others.
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")


def server_environment(endpoint, *paths, **more):
    """Return the environment in which a server finds its endpoint and its modules."""
    inherited = os.environ.get("PYTHONPATH", "")
    return (
        os.environ
        | address_variables(endpoint.url, stream="Custom-App")
        | {
            "PYTHONPATH": os.pathsep.join([*map(str, paths), inherited]).rstrip(os.pathsep),
            "PYTHONUNBUFFERED": "1",
        }
        | more
    )


@contextmanager
def server(command, **options):
    """Run a server while the block runs, and kill it if it is still running."""
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **{"stderr": subprocess.PIPE} | options,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def read_until(process, *patterns):
    """Read its output until each pattern has been found, in any order, and return the matches."""
    assert process.stdout is not None
    found = {}
    for line in process.stdout:
        found |= {pattern: match for pattern in patterns if (match := re.search(pattern, line))}
        if len(found) == len(patterns):
            return [found[pattern] for pattern in patterns]
    raise AssertionError(f"the server ended without printing {set(patterns) - set(found)}")


def get(url, **headers):
    """Request a page, and return the status."""
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=LIMIT_SECONDS) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def json_from(url):
    """Request a page, and return its JSON."""
    with urllib.request.urlopen(url, timeout=LIMIT_SECONDS) as answer:
        return json.loads(answer.read())


def pick(rows, *columns, **wanted):
    """Return some columns of the rows that have these values, in the order of their times."""
    rows = [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]
    return [tuple(row.get(name) for name in columns) for row in sorted(rows, key=lambda row: row["TimeGenerated"])]


@pytest.fixture
def project(tmp_path):
    """Copy the Django example, which keeps its database beside its settings."""
    return shutil.copytree(EXAMPLES / "django_shop", tmp_path / "shop")


def test_a_log_call_in_django_never_queries_the_database(project):
    """This holds for synchronous and asynchronous requests; an object that the view has loaded is logged by its key."""
    with Endpoint() as endpoint:
        done = subprocess.run(
            [sys.executable, SCRIPTS / "example_django.py"],
            env=server_environment(endpoint, project, DJANGO_SETTINGS_MODULE="shop.settings", DEBUG="1"),
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
    assert done.returncode == 0, done.stderr

    rows = sorted(endpoint.rows, key=lambda row: row["Sequence"])
    columns = ("Level", "Method", "Path", "Status", "UserId", "Message")
    assert pick(rows, *columns, Logger="django.request") == [
        ("WARNING", "GET", "/orders/2000", 404, None, "Not Found: /orders/2000"),
        ("WARNING", "GET", "/mine", 403, 1, "Forbidden: /mine"),
        ("WARNING", "GET", "/async/missing", 404, None, "Not Found: /async/missing"),
        ("WARNING", "GET", "/async/mine", 403, 1, "Forbidden: /async/mine"),
    ]
    # Only the users that the two views load.
    asked = [row for row in rows[messages(rows).index("begin") :] if row["Logger"] == "django.db.backends"]
    assert len([row for row in asked if '"auth_user"' in row["Message"]]) == 2
    # No row needs the session, so its queries belong to the views as well.
    assert len(asked) == 4
    assert not [row for row in rows[: messages(rows).index("begin")] if row["Logger"] == "django.db.backends"]
    assert not [row for row in rows if "secret" in str(row) or "<" in str(row.get("Properties", {}).get("request"))]


# Appended to the settings: the reloader prints a line once it has seen the file that the test will change.
SAY_WHEN_SEEN = """
LOGGING["filters"]["seen"] = {"()": lambda: lambda record: "urls.py first seen" in record.getMessage()}
LOGGING["handlers"]["seen"] = {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "filters": ["seen"]}
LOGGING["loggers"]["django.utils.autoreload"] = {"level": "DEBUG", "handlers": ["seen"]}
"""


def test_django_runserver_reloads_at_once_and_duplicates_no_row(project):
    """Two processes configure logging and one serves; at each reload, the old one delivers its last rows."""
    with project.joinpath("shop", "settings.py").open("a", encoding="utf-8") as settings:
        settings.write(SAY_WHEN_SEEN)
    with (
        Endpoint() as endpoint,
        server(
            ["manage.py", "runserver", "127.0.0.1:0"],
            cwd=project,
            env=server_environment(endpoint, project, DEBUG="1"),
            stderr=subprocess.DEVNULL,
        ) as process,
    ):

        def address():
            found, _ = read_until(process, r"Starting .*development server at (http://\S+)", "shop/urls.py first seen")
            return found[1]

        url = address()
        assert [get(f"{url}{path}?token=hunter2") for path in ("orders/7", "orders/2000", "broken")] == [200, 404, 500]
        for number in (8, 9):
            os.utime(project / "shop" / "urls.py", (2**31 - 99 + number, 2**31 - 99 + number))
            url = address()
            assert get(f"{url}orders/{number}") == 200
        # After Ctrl-C the serving process has a quarter of a second, so its last rows may or may not arrive.
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=LIMIT_SECONDS)

    served = [row["Instance"] for row in endpoint.rows if row["Message"].endswith("urls.py changed, reloading.")]
    assert len(served) == len(set(served)) == 2
    assert_each_once(row for row in endpoint.rows if row["Instance"] in served)
    # The rows of all processes, so that a row sent by two of them would show.
    rows = [row for row in endpoint.rows if not re.search(r"orders?.9 ", row["Message"])]
    assert pick(rows, "Message", Logger="shop") == [("order 7 shown",), ("order 8 shown",)]
    assert pick(rows, "Level", "Method", "Path", "Status", Logger="django.request") == [
        ("WARNING", "GET", "/orders/2000", 404),
        ("ERROR", "GET", "/broken", 500),
    ]
    (failed,) = [row for row in rows if row.get("Path") == "/broken"]
    assert failed["Exception"].endswith("ZeroDivisionError: division by zero")
    assert pick(rows, "Status", Logger="django.server") == [(200,), (404,), (500,), (200,)]
    # The request that django.server logs is a socket, whose peer may already have gone.
    shown = {row["Properties"]["request"].partition(":")[0] for row in rows if row["Logger"] == "django.server"}

    assert shown <= {"127.0.0.1", "(socket, not connected)"}
    assert not [row for row in rows if "hunter2" in str(row)]
    assert ('"GET /orders/2000 HTTP/1.1" 404',) in [
        (message.rpartition(" ")[0],) for (message,) in pick(rows, "Message", Logger="django.server")
    ]


def test_records_in_flask_name_the_request_they_belong_to():
    """This holds for records of the application, of Flask, of exceptions, and of the example's access log."""
    source = """
import logging
from flask_app import app
client = app.test_client()
ask = lambda path: client.get(f"{path}?token=secret", headers={"X-Request-Id": f"id of {path}"}).status_code
assert [ask("/orders/7"), ask("/orders/2000"), ask("/broken")] == [200, 404, 500]
health = client.get("/healthz")
assert (health.status_code, health.json["status"], len(health.json["places"])) == (200, "ok", 1), health.json
logging.getLogger("flask_app").info("outside")
"""
    with Endpoint() as endpoint:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", source],
            env=server_environment(endpoint, EXAMPLES),
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")

    rows = endpoint.rows
    assert pick(rows, "Level", "Message", "Path", "Endpoint", "Status", "RequestId", Logger="flask_app") == [
        ("INFO", "order 7 shown", "/orders/7", "order", None, "id of /orders/7"),
        ("INFO", "GET /orders/7 200", "/orders/7", "order", 200, "id of /orders/7"),
        ("INFO", "GET /orders/2000 404", "/orders/2000", "order", 404, "id of /orders/2000"),
        ("ERROR", "Exception on /broken [GET]", "/broken", "broken", None, "id of /broken"),
        ("INFO", "GET /broken 500", "/broken", "broken", 500, "id of /broken"),
        ("INFO", "outside", None, None, None, None),
    ]
    (failed,) = [row for row in rows if "Exception" in row]

    assert failed["Exception"].endswith("ZeroDivisionError: division by zero")
    assert rows[0]["Properties"] == {"order": 7}
    assert not [row for row in rows if "secret" in str(row)]


def test_fastapi_on_uvicorn_answers_while_an_upload_hangs_and_delivers_its_last_rows_after_sigterm():
    """The event loop is not blocked, and the access log has columns."""
    held = Held()
    with (
        Endpoint(held) as endpoint,
        socket.create_server(("127.0.0.1", 0)) as listening,
        server(
            [SCRIPTS / "example_uvicorn.py", EXAMPLES / "fastapi_app.py", listening.fileno()],
            env=server_environment(endpoint),
            pass_fds=[listening.fileno()],
        ) as process,
    ):
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        assert get(f"{url}/orders/1?token=secret", X_Request_Id="r-1") == 200
        assert held.arrived.wait(LIMIT_SECONDS)
        # A request that waited for the upload would never be answered.
        assert [get(f"{url}/orders/{number}") for number in range(2, 22)] == [200] * 20
        assert [get(f"{url}/{path}") for path in ("orders/2000", "broken")] == [404, 500]
        # The upload that hangs is not late yet; the row that it carries is the oldest.
        health = json_from(f"{url}/healthz")
        assert (health["status"], health["last_delivery_seconds"]) == ("ok", None)
        assert health["oldest_row_seconds"] > 0
        held.go()
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, stderr) == (-signal.SIGTERM, "")
    assert float(stdout) < LONGEST_TURN_SECONDS

    rows = endpoint.rows
    access = pick(rows, "Method", "Path", "Status", "RequestId", Logger="uvicorn.access")
    assert access[0] == ("GET", "/orders/1", 200, "r-1")
    assert access[-2:] == [("GET", "/orders/2000", 404, None), ("GET", "/broken", 500, None)]
    assert len(access) == 23
    assert not [row for row in rows if "secret" in str(row) or "color_message" in row.get("Properties", ())]
    assert pick(rows, "Message", "RequestId", "Properties", Logger="shop")[0] == (
        "order 1 shown",
        "r-1",
        {"order": 1},
    )
    (failed,) = [row for row in rows if "Exception" in row]

    assert (failed["Logger"], failed["Level"]) == ("uvicorn.error", "ERROR")
    assert failed["Exception"].endswith("ZeroDivisionError: division by zero\n") or failed["Exception"].endswith("zero")
    assert pick(rows, "Message")[-1][0].startswith("Finished server process")


@pytest.mark.parametrize("options", [[], ["--workers=2"]], ids=["one process", "workers"])
def test_exit_on_sigterm_inside_uvicorn_loses_not_even_the_last_row(options):
    """uvicorn imports the application while it handles SIGTERM itself; later it restores the default and raises it."""
    with (
        Endpoint() as endpoint,
        socket.create_server(("127.0.0.1", 0)) as listening,
        server(
            ["-m", "uvicorn", "sigterm_asgi:app", f"--fd={listening.fileno()}", *options],
            env=server_environment(endpoint, SCRIPTS),
            pass_fds=[listening.fileno()],
        ) as process,
    ):
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        assert [get(f"{url}/{number}") for number in range(4)] == [200] * 4
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=LIMIT_SECONDS)

    workers = 2 if options else 1
    assert process.returncode == (0 if options else -signal.SIGTERM)
    assert not re.search("Traceback|logging_azmon", stderr), stderr
    rows = [row for row in endpoint.rows if row["Logger"] == "app"]
    assert sorted(messages(rows)) == sorted(
        ["handled: True", "shutting down"] * workers
        + [f"request /{number}{what}" for number in range(4) for what in ("", " answered")]
    )
    finished = [row for row in endpoint.rows if row["Message"].startswith("Finished server process")]
    assert len({row["ProcessId"] for row in finished}) == workers
    assert_each_once(endpoint.rows)


def test_a_reload_of_uvicorn_loses_no_row(tmp_path):
    """Its reloader ends the old process by SIGTERM."""
    application = shutil.copy(SCRIPTS / "sigterm_asgi.py", tmp_path)
    with (
        Endpoint() as endpoint,
        socket.create_server(("127.0.0.1", 0)) as listening,
        server(
            ["-m", "uvicorn", "sigterm_asgi:app", f"--fd={listening.fileno()}", "--reload", "--reload-delay=0.05"],
            cwd=tmp_path,
            env=server_environment(endpoint, tmp_path),
            pass_fds=[listening.fileno()],
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        read_until(process, "Application startup complete")
        assert get(f"{url}/before") == 200
        os.utime(application, (2**31 - 9, 2**31 - 9))
        read_until(process, "Application startup complete")
        assert get(f"{url}/after") == 200
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=LIMIT_SECONDS)

    rows = [row for row in endpoint.rows if row["Logger"] == "app"]
    assert sorted(messages(rows)) == sorted(
        ["handled: True", "shutting down"] * 2
        + [f"request /{when}{what}" for when in ("before", "after") for what in ("", " answered")]
    )
    assert_each_once(endpoint.rows)


def test_gunicorn_with_preload_sends_its_access_and_error_logs_as_columns():
    """Rows come from the master and the workers, without the headers of a request."""
    with (
        Endpoint() as endpoint,
        socket.create_server(("127.0.0.1", 0)) as listening,
        server(
            ["-m", "gunicorn", f"--bind=fd://{listening.fileno()}", "--workers=2", "app:application"],
            cwd=EXAMPLES / "gunicorn_app",
            env=server_environment(endpoint, EXAMPLES / "gunicorn_app"),
            pass_fds=[listening.fileno()],
        ) as process,
    ):
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        statuses = [
            get(f"{url}{path}", Authorization="Bearer secret") for path in ("/a?b=secret", "/d", "/broken?b=secret")
        ]
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=LIMIT_SECONDS)
    assert statuses == [200, 200, 500]
    assert process.returncode == 0, stderr
    assert "logging_azmon" not in stderr

    rows = endpoint.rows
    access = pick(rows, "Level", "Client", "Method", "Path", "Status", "Bytes", Logger="gunicorn.access")
    assert access == [
        ("INFO", "127.0.0.1", "GET", "/a", 200, 5),
        ("INFO", "127.0.0.1", "GET", "/d", 200, 5),
        ("INFO", "127.0.0.1", "GET", "/broken", 500, 0),
    ]
    assert all("Properties" not in row and row["DurationMs"] > 0 for row in rows if row["Logger"] == "gunicorn.access")
    (failed,) = [row for row in rows if "Exception" in row]
    assert (failed["Logger"], failed["Level"]) == ("gunicorn.error", "ERROR")
    assert "LookupError: no such order" in failed["Exception"]
    assert pick(rows, "Message", Logger="shop")[0] == ("loaded",)
    workers = {row["ProcessId"] for row in rows if row["Message"].startswith("asked for")}
    assert process.pid not in workers
    assert not [row for row in rows if "secret" in str(row)]
    assert any(row["Message"].startswith("Shutting down") for row in rows if row["ProcessId"] == process.pid)
    assert_each_once(rows)


def test_records_in_celery_name_the_task_they_belong_to(tmp_path):
    """This holds in the pool's processes and in the one that distributes the tasks."""
    with Endpoint() as endpoint:
        env = server_environment(endpoint, EXAMPLES, SCRIPTS, BROKER_FILES=str(tmp_path))
        sent = subprocess.run(
            [
                sys.executable,
                "-c",
                "import example_celery as e, celery_app as a; print(a.pay.delay(7), a.pay.delay(-1))",
            ],
            env=env,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=True,
        )
        paid, refused = sent.stdout.split()
        command = ["-W", "ignore::DeprecationWarning", "-m", "celery", "-A", "example_celery", "worker"]
        with server([*command, "--pool=prefork", "--concurrency=2", *QUIET], env=env) as process:
            for _ in range(2):
                read_until(process, "^done$")

    rows = endpoint.rows
    assert pick(rows, "TaskId", "TaskName", "Properties", Message="paying") in (
        [(paid, "celery_app.pay", {"order": 7}), (refused, "celery_app.pay", {"order": -1})],
        [(refused, "celery_app.pay", {"order": -1}), (paid, "celery_app.pay", {"order": 7})],
    )
    processes = {row["Process"] for row in rows if row["Message"] == "paying"}
    assert all(name.startswith("ForkPoolWorker") for name in processes)
    assert sorted(pick(rows, "TaskId", "TaskName", Logger="celery.worker.strategy")) == sorted(
        (task, "celery_app.pay") for task in (paid, refused)
    )
    (succeeded,) = [row for row in rows if "Seconds" in row]
    assert (succeeded["TaskId"], succeeded["Logger"]) == (paid, "celery.app.trace")
    assert succeeded["Message"].startswith(f"Task celery_app.pay[{paid}] succeeded in ")
    assert not [row for row in rows if "Properties" in row and row["Message"] != "paying"]
    (failed,) = [row for row in rows if "Exception" in row]
    assert (failed["TaskId"], failed["Level"]) == (refused, "ERROR")
    assert failed["Exception"].endswith("ValueError: no such order: -1")
    assert_each_once(rows)


def test_celery_removes_the_handlers_of_the_root_logger_unless_hijacking_is_off(tmp_path):
    """The example's comment on worker_hijack_root_logger says so."""
    source = """
import logging, sys
from celery import Celery
from logging_azmon import AzureMonitorHandler
app = Celery("app")
app.conf.worker_hijack_root_logger = sys.argv[1] == "hijack"
root = logging.getLogger()
root.addHandler(AzureMonitorHandler())
root.setLevel("INFO")
app.log.setup_logging_subsystem(loglevel="WARNING")
logging.info("info")
logging.warning(sys.argv[1])
"""
    with Endpoint() as endpoint:
        for word in ("hijack", "leave"):
            subprocess.run(
                [sys.executable, "-W", "ignore::DeprecationWarning", "-c", source, word],
                env=server_environment(endpoint),
                stderr=subprocess.DEVNULL,
                timeout=LIMIT_SECONDS,
                check=True,
            )

    assert messages(endpoint.rows) == ["leave"]
