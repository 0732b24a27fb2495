"""docs/configuration.md agrees with the settings: arguments, defaults, accepted words and units."""

import base64
import logging
import random
import subprocess
import sys

import pytest

from logging_azmon import AzureMonitorHandler
from logging_azmon._config.clouds import CLOUDS
from logging_azmon._config.credential_checks import CREDENTIALS
from logging_azmon._config.options import ARGUMENTS
from logging_azmon._config.service_limits import MAX_BODY_BYTES
from logging_azmon._config.settings import ACCEPTED, ENVIRONMENT, read
from support.endpoint import Endpoint
from support.pages import blocks, names, table

ADDRESS = {"endpoint": "https://dce.example.org", "rule_id": "dcr-1", "stream": "Custom-App"}
SETTINGS = table("configuration", "Settings", "argument")


def test_the_page_lists_the_address_arguments_with_their_variables():
    """Each argument is beside its environment variable."""
    cells = table("configuration", "Destination", "argument")

    assert {names(row[0])[0]: names(row[1])[0] for row in cells} == ENVIRONMENT


def test_the_page_has_a_line_for_every_argument():
    """There are no other lines."""
    documented = [names(row[0])[0] for row in SETTINGS]

    assert sorted(documented) == sorted({*ACCEPTED, "level", "pipeline"} - set(ENVIRONMENT))


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row[0])
def test_every_documented_default_is_the_default_of_the_code(row):
    """Defaults are written as in Python."""
    (name,), default = names(row[0]), row[1]
    settings = read(ADDRESS, {})
    real = {"columns": "default", "dcr": None, "level": logging.NOTSET, "pipeline": None}.get(
        name, getattr(settings, name, None)
    )

    assert default == "none" if real is None else eval(names(default)[0]) == real
    assert read(ADDRESS | {"columns": "default"}, {}) == settings


def test_the_variables_of_the_example_are_read():
    """Once what stands for the reader's own is filled in."""
    ((_, text),) = blocks("configuration", "ini")
    filled = text.replace("https://…", "https://dce.example.org").replace("dcr-…", "dcr-1")
    filled = filled.replace("ext://myapp.logs.report", "ext://builtins.print")
    settings = read({}, dict(line.split("=", 1) for line in filled.splitlines()))

    assert settings == read(
        ADDRESS
        | {
            "stream": "Custom-Shop",
            "credential": {"managed_identity": {"client_id": "…"}},
            "spool": "/var/spool/shop",
            "batch_seconds": 2.5,
            "columns": {"TimeGenerated": "time", "Level": "level", "Message": "message", "Properties": "*"},
            "report": print,
        },
        {},
    )


def test_the_page_names_every_accepted_word():
    """This concerns settings that accept only a few words."""
    meanings = {names(row[0])[0]: names(row[3]) for row in SETTINGS}
    credentials = [names(row[0])[0].strip('"') for row in table("configuration", "Credentials", "`credential=`")]

    assert set(CREDENTIALS) <= set(credentials)
    assert [word.strip('"') for word in meanings["cloud"]] == list(CLOUDS)
    assert [word.strip('"') for word in meanings["overflow"]] == list(ARGUMENTS["overflow"].choices)
    assert [word.strip('"') for word in meanings["spool_fsync"]] == list(ARGUMENTS["spool_fsync"].choices)
    assert [names(row[0])[0].strip('"') for row in table("spool", "A power cut", "`spool_fsync`")] == list(
        ARGUMENTS["spool_fsync"].choices
    )


def test_every_documented_number_has_its_unit():
    """The unit is in the setting's name and in its description."""
    for row in SETTINGS:
        unit = names(row[0])[0].rpartition("_")[2]
        if unit in {"seconds", "bytes"}:
            assert unit in row[3]


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row[0])
def test_every_range_is_the_real_one(row):
    """Each end as it would be written in Python; `-` for what is not a number."""
    name = names(row[0])[0]

    assert (
        row[2] == "-" if ARGUMENTS[name].limits is None else tuple(map(eval, names(row[2]))) == ARGUMENTS[name].limits
    )


@pytest.mark.parametrize(("name", "least"), [("queue_bytes", 2_000_000), ("spool_bytes", 2_000_000)])
def test_the_documented_minimum_sizes_are_accepted_and_a_byte_less_is_refused(name, least):
    """The minimum is two batches."""
    (said,) = [names(row[3])[0] for row in SETTINGS if names(row[0]) == [name]]
    assert eval(said, {"batch_bytes": 1_000_000}) == least
    address = ADDRESS | {"spool": "spool"}

    assert getattr(read(address | {name: least}, {}), name) == least
    with pytest.raises(ValueError, match=f"{name}={least - 1} is too small"):
        read(address | {name: least - 1}, {})


def test_a_batch_that_is_too_large_when_it_is_compressed_is_split_before_it_is_sent():
    """With 5,000,000 bytes, and rows that hardly compress: no request is larger than the service accepts."""
    with Endpoint() as endpoint:
        handler = AzureMonitorHandler(
            endpoint.url, "dcr-1", "Custom-App", columns={"Text": "message"}, batch_bytes=5_000_000, uploads=1
        )
        for _ in range(70):
            handler.handle(logging.makeLogRecord({"msg": base64.b64encode(random.randbytes(45_000)).decode()}))
        assert handler.flush(30)
        handler.close()

    sizes = [len(request.raw) for request in endpoint.requests]
    assert max(sizes) <= MAX_BODY_BYTES
    assert sum(sizes) > 2 * MAX_BODY_BYTES
    assert len(endpoint.rows) == 70


def test_creating_a_handler_uses_no_network_disk_or_thread(tmp_path, monkeypatch):
    """The page promises this."""
    monkeypatch.chdir(tmp_path)
    script = """
import sys, threading
seen = []
sys.addaudithook(lambda event, args: seen.append(event) if event.startswith("socket.") else None)
from logging_azmon import AzureMonitorHandler
handler = AzureMonitorHandler("https://dce.example.org", "dcr-1", "Custom-App")
seen = [event for event in seen if event not in {"socket.gethostname", "socket.__new__"}]
print(seen, threading.active_count())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)

    assert (done.stdout.strip(), done.stderr) == ("[] 1", "")
    assert list(tmp_path.iterdir()) == []
