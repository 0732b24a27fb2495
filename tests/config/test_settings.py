"""Settings accept every documented value, and refuse every other value with a message that helps."""

import dataclasses
import json
import logging
import logging.config
import pickle
import subprocess
import sys
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from logging_azmon import AzureMonitorHandler, Column, ConfigurationError, Pipeline, Table
from logging_azmon._config.clouds import CLOUDS
from logging_azmon._config.credential_checks import CREDENTIALS
from logging_azmon._config.options import ARGUMENTS, MIB
from logging_azmon._config.settings import ACCEPTED, ENVIRONMENT, SETTINGS, read
from logging_azmon.testing import capture

ENDPOINT = "https://rule-abcd.westeurope-1.ingest.monitor.azure.com"
RULE = "dcr-0123456789abcdef0123456789abcdef"
STREAM = "Custom-App"
ADDRESS = {"endpoint": ENDPOINT, "rule_id": RULE, "stream": STREAM}
ENVIRON = {
    "DATA_COLLECTION_ENDPOINT": "https://environ.ingest.monitor.azure.com",
    "LOGS_DCR_RULE_ID": "dcr-environ",
    "LOGS_DCR_STREAM_NAME": "Custom-Environ",
}
SECRET = "hunter2-do-not-show"
NUMBERS = [argument for argument in ARGUMENTS.values() if argument.limits is not None]
WORDS = [argument for argument in ARGUMENTS.values() if argument.choices]


class Credential:
    """Look like a TokenCredential, and fail if a token is requested."""

    def __repr__(self):
        return SECRET

    def get_token(self, *scopes, **options):
        raise AssertionError("a token is asked by delivering threads only")


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no")


def settings(**arguments):
    """Read a complete configuration with these arguments in it."""
    return read(ADDRESS | arguments, {})


def problems(environ=None, **arguments):
    """Return the problems that are reported for these arguments."""
    with pytest.raises(ConfigurationError) as caught:
        read(arguments if environ is not None else ADDRESS | arguments, environ or {})
    return caught.value.problems


def problem(**arguments):
    """Return the only problem that is reported for these arguments."""
    (said,) = problems(**arguments)
    return said


def rule(**streams):
    """Build a rule that declares these streams, each by its columns' names and types."""
    return {
        "properties": {
            "streamDeclarations": {
                f"Custom-{name}": {"columns": [{"name": column, "type": kind} for column, kind in columns.items()]}
                for name, columns in streams.items()
            }
        }
    }


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Let ext:// find this module's objects, and remove the machine's own variables."""
    monkeypatch.setitem(sys.modules, "test_settings_objects", SimpleNamespace(credential=Credential()))
    for variable in ENVIRONMENT.values():
        monkeypatch.delenv(variable, raising=False)


class TestDefaults:
    def test_every_default_is_the_documented_one(self):
        """A change here is a change for every user."""
        found = {name: getattr(settings(), name) for name in SETTINGS}

        assert found == {
            "credential": "default",
            "enabled": True,
            "cloud": "public",
            "proxy": None,
            "ca_bundle": None,
            "report": None,
            "redact": None,
            "before_send": None,
            "batch_bytes": 1_000_000,
            "batch_seconds": 5.0,
            "queue_bytes": 64 * MIB,
            "overflow": "drop_new",
            "block_seconds": 1.0,
            "spool": None,
            "spool_bytes": 1024 * MIB,
            "spool_fsync": "never",
            "uploads": 4,
            "connect_seconds": 5,
            "read_seconds": 30,
            "retry_seconds": 60.0,
            "give_up_seconds": None,
            "close_seconds": 10,
        }

    def test_none_stands_for_the_default(self):
        """A configuration file may have empty entries."""
        assert settings(**dict.fromkeys(SETTINGS), columns=None, dcr=None) == settings()

    def test_without_columns_and_dcr_the_table_is_the_default_one(self):
        """The default table is the preset "default"."""
        assert [column.name for column in settings().table][:4] == ["TimeGenerated", "Level", "Logger", "Message"]

    def test_settings_cannot_be_changed(self):
        """Threads share them."""
        with pytest.raises(dataclasses.FrozenInstanceError):
            settings().uploads = 9

    def test_a_credential_is_not_in_the_repr(self):
        """Reprs end up in logs."""
        shown = repr(settings(credential={"managed_identity": {"client_id": SECRET}}))

        assert SECRET not in shown
        assert ENDPOINT in shown


class TestEnvironment:
    def test_environment_variables_fill_in_a_missing_address(self):
        """The variables have the names that Microsoft's own samples use."""
        found = read({}, ENVIRON)

        assert (found.endpoint, found.rule_id, found.stream) == tuple(ENVIRON.values())

    def test_an_argument_wins_over_its_environment_variable(self):
        """The environment only fills in what is missing."""
        found = read({"rule_id": RULE}, ENVIRON)

        assert (found.rule_id, found.stream) == (RULE, "Custom-Environ")

    @pytest.mark.parametrize("name", ENVIRONMENT)
    def test_whitespace_around_an_environment_variables_value_is_stripped(self, name):
        """`echo value > file` adds a line end to a mounted secret."""
        variable = ENVIRONMENT[name]

        assert getattr(read({}, ENVIRON | {variable: f" {ENVIRON[variable]}\n"}), name) == ENVIRON[variable]

    @pytest.mark.parametrize("empty", ["", " \n", None])
    @pytest.mark.parametrize("name", ENVIRONMENT)
    def test_a_missing_address_is_reported_by_argument_and_variable(self, name, empty):
        """An empty variable counts as missing."""
        variable = ENVIRONMENT[name]
        environ = {key: value for key, value in ENVIRON.items() if key != variable} | (
            {} if empty is None else {variable: empty}
        )

        assert problems(environ) == (f"{name} is missing: give {name}=… or set the environment variable {variable}",)

    def test_every_missing_part_of_the_address_is_reported_together(self):
        """One run is enough to find them all."""
        assert [said.split()[0] for said in problems({})] == ["endpoint", "rule_id", "stream"]

    def test_handler_and_pipeline_read_the_process_environment(self, monkeypatch):
        """Both pass `os.environ`."""
        for variable, value in ENVIRON.items():
            monkeypatch.setenv(variable, value)

        handler = AzureMonitorHandler()
        handler.close()
        assert handler.pipeline.settings.rule_id == Pipeline().settings.rule_id == "dcr-environ"

    def test_a_bad_value_in_the_environment_is_refused_like_an_argument(self):
        """The message names the argument."""
        (said,) = problems(ENVIRON | {"LOGS_DCR_STREAM_NAME": "App"})

        assert said.startswith("stream='App' is not accepted")


class TestRuleWithAddress:
    RULE: ClassVar = {
        "immutableId": "dcr-0123",
        "endpoints": {"logsIngestion": "https://a.ingest.monitor.azure.com"},
        "streamDeclarations": {"Custom-App": {"columns": [{"name": "TimeGenerated", "type": "datetime"}]}},
    }

    def test_a_rules_own_address_is_not_used_and_the_message_says_so(self):
        """The file describes the columns of every deployment, and only one of them has this id."""
        with pytest.raises(ConfigurationError) as caught:
            read({"dcr": self.RULE}, {})
        endpoint, rule_id = caught.value.problems

        assert endpoint.endswith(
            "DATA_COLLECTION_ENDPOINT (dcr= is read for its columns only, so endpoints in it is not used)"
        )
        assert rule_id.endswith(
            "LOGS_DCR_RULE_ID (dcr= is read for its columns only, so immutableId in it is not used)"
        )

    def test_a_rule_without_an_address_needs_no_remark(self):
        """Such is a rule that has not been deployed."""
        rule = {"properties": {"streamDeclarations": self.RULE["streamDeclarations"]}}
        with pytest.raises(ConfigurationError) as caught:
            read({"dcr": rule}, {})

        assert "columns only" not in str(caught.value)


class TestHome:
    def test_a_spool_in_the_home_directory_is_there(self, monkeypatch, tmp_path):
        """The shell expands ~ in `logging-azmon spool ~/x`, so the two agree."""
        monkeypatch.setenv("HOME", str(tmp_path))

        assert settings(spool="~/x").spool == str(tmp_path / "x")
        assert settings(spool="a~b").spool == str(Path.cwd() / "a~b")

    def test_the_home_of_an_unknown_user_is_refused(self):
        """It would be a directory with that name in the working directory."""
        said = "spool='~nobody-of-this-name/x' begins with the home directory of a user who is not known"
        assert problem(spool="~nobody-of-this-name/x").startswith(said)


class TestUnknownArguments:
    def test_an_unknown_argument_is_refused_with_the_accepted_ones(self):
        """The list helps to find a typo."""
        accepted = f"{', '.join(ACCEPTED)}; a handler or processor also takes level and pipeline"
        assert problem(client=3) == f"unknown argument 'client'; accepted are {accepted}"

    @pytest.mark.parametrize(
        ("typed", "meant"), [("endpont", "endpoint"), ("colums", "columns"), ("batch_second", "batch_seconds")]
    )
    def test_a_typo_is_answered_with_the_nearest_argument(self, typed, meant):
        """The suggestion comes before the list, which is long."""
        assert f"unknown argument '{typed}' (did you mean '{meant}'?); accepted are" in problem(**{typed: 3})

    @pytest.mark.parametrize(
        ("level", "said"),
        [
            ("info", "level='info' is not accepted; did you mean 'INFO'?"),
            ("LOUD", "level='LOUD' is not accepted; give a level's name, such as 'INFO', or number"),
            (2.5, "level=2.5 is not accepted; give a level's name, such as 'INFO', or number"),
        ],
    )
    def test_a_level_that_logging_does_not_know_is_answered_with_one_that_it_knows(self, level, said):
        """Names are in capitals, as everywhere in logging."""
        with pytest.raises(ConfigurationError) as caught:
            AzureMonitorHandler("https://a.example.org", "dcr-1", "Custom-App", level=level)

        assert caught.value.problems == (said,)

    @pytest.mark.parametrize(("typed", "meant"), [("levl", "level"), ("pipline", "pipeline")])
    def test_a_typo_of_a_handlers_own_argument_is_answered_too(self, typed, meant):
        """These never reach the pipeline if they are spelt right."""
        with pytest.raises(
            ConfigurationError, match=f"unknown argument '{typed}' .did you mean '{meant}'..; accepted are"
        ):
            AzureMonitorHandler(**{typed: 3})

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("level", "unknown argument 'level': a handler or a processor takes it, a Pipeline does not"),
            ("drop", "unknown argument 'drop': only a processor takes it"),
            ("formatter", "unknown argument 'formatter': call setFormatter() of the handler"),
            ("filters", "unknown argument 'filters': call addFilter() of the handler"),
        ],
    )
    def test_an_argument_of_another_place_is_named_with_its_place(self, name, said):
        """The name is right, but not here."""
        assert problem(**{name: 3}).startswith(said)

    def test_the_value_of_an_unknown_argument_is_not_shown(self):
        """The value may be a secret: people try client_secret=."""
        assert SECRET not in problem(client_secret=SECRET)

    def test_an_unknown_argument_is_refused_even_if_it_is_none(self):
        """The name is wrong, so the value does not matter."""
        assert "unknown argument 'batch_size'" in problem(batch_size=None)


class TestNumbers:
    @pytest.mark.parametrize("end", [0, 1], ids=["lowest", "highest"])
    @pytest.mark.parametrize("argument", NUMBERS, ids=lambda argument: argument.name)
    def test_both_ends_of_a_numbers_range_are_accepted(self, argument, end):
        """The message names both."""
        value = argument.limits[end]
        room = {"queue_bytes": 2**40} if argument.name == "batch_bytes" else {}
        small = {"batch_bytes": 4_096} if argument.name == "queue_bytes" else {}

        assert getattr(settings(**{argument.name: value}, **room, **small), argument.name) == value

    @pytest.mark.parametrize(
        "wrong",
        [
            "5",
            "5 s",
            True,
            False,
            [5],
            {"seconds": 5},
            float("nan"),
            float("inf"),
            float("-inf"),
            -1,
            10**400,
            b"5",
            5j,
        ],
        ids=lambda wrong: str(wrong)[:12],
    )
    @pytest.mark.parametrize("argument", NUMBERS, ids=lambda argument: argument.name)
    def test_a_number_of_another_type_or_range_is_refused_with_the_range(self, argument, wrong):
        """The message has the argument's name and the value."""
        said = problem(**{argument.name: wrong})

        kind = "a whole number" if argument.is_whole else "a number"
        low, high = argument.limits
        assert said.startswith(f"{argument.name}={repr(wrong)[:200]}")
        assert said.endswith(f"; give {kind} from {low:,} to {high:,}")

    @pytest.mark.parametrize("name", ["batch_bytes", "queue_bytes", "uploads"])
    def test_a_float_is_refused_for_a_whole_number(self, name):
        """Even 8192.0 is refused: a float in its place is a mistake somewhere."""
        assert f"{name}=8192.0 is not accepted; give a whole number" in problem(**{name: 8192.0})

    def test_a_value_without_a_repr_is_refused_by_its_type(self):
        """The value's `__repr__` raises, or the number is longer than Python prints."""
        assert problem(uploads=Unprintable()).startswith("uploads=(a Unprintable) is not accepted")
        assert problem(uploads=10**5000).startswith("uploads=(a int) is not accepted")

    def test_a_long_value_is_cut_in_the_message(self):
        """A traceback should be readable."""
        assert len(problem(uploads="9" * 10_000)) < 300

    @pytest.mark.parametrize(("queue_bytes", "batch_bytes"), [(1_999_999, None), (8_192, 4_097), (None, 50 * MIB)])
    def test_the_queue_must_hold_two_batches(self, queue_bytes, batch_bytes):
        """One fills while the other is being sent."""
        said = problem(queue_bytes=queue_bytes, batch_bytes=batch_bytes)

        assert said == (
            f"queue_bytes={queue_bytes or 64 * MIB} is too small: it must hold two batches of"
            f" batch_bytes={batch_bytes or 1_000_000}; give at least {2 * (batch_bytes or 1_000_000)}"
        )

    def test_a_queue_of_exactly_two_batches_is_accepted(self):
        """The limit itself is allowed."""
        assert settings(queue_bytes=8_192, batch_bytes=4_096).queue_bytes == 8_192


class TestSpool:
    @pytest.mark.parametrize("kind", [str, Path])
    def test_a_relative_spool_path_is_made_absolute(self, kind, tmp_path, monkeypatch):
        """A later change of the working directory does not move it; it need not exist yet."""
        monkeypatch.chdir(tmp_path)
        assert settings(spool=kind("spool")).spool == str(tmp_path / "spool")
        assert settings(spool=tmp_path).spool == str(tmp_path)

    @pytest.mark.parametrize("wrong", [5, True, b"spool", ""], ids=repr)
    def test_a_spool_that_is_not_a_path_is_refused(self, wrong):
        """The message says what is accepted."""
        assert problem(spool=wrong) == f"spool={wrong!r} is not accepted; give the path of a directory"

    def test_a_spool_path_that_is_not_a_directory_is_refused(self):
        """Nothing could be written there."""
        assert problem(spool=__file__) == f"spool={__file__!r} is not a directory"
        assert problem(spool="a\0b") == "spool='a\\x00b' is not a directory"

    def test_a_relative_spool_needs_a_working_directory(self, tmp_path, monkeypatch):
        """The directory may have been deleted, as after a deployment."""
        gone = tmp_path / "gone"
        gone.mkdir()
        monkeypatch.chdir(gone)
        gone.rmdir()
        assert problem(spool="relative") == (
            "spool='relative' is relative to a working directory that was deleted; give an absolute path"
        )
        assert settings(spool=tmp_path).spool == str(tmp_path)

    def test_the_spool_must_hold_two_batches(self, tmp_path):
        """Without a spool, its size does not matter."""
        said = problem(spool=tmp_path, spool_bytes=1_999_999)
        assert said == (
            "spool_bytes=1999999 is too small: it must hold two batches of batch_bytes=1000000; give at least 2000000"
        )
        assert settings(spool=tmp_path, spool_bytes=2_000_000).spool_bytes == 2_000_000
        assert settings(spool_bytes=32_768).spool is None


class TestWords:
    @pytest.mark.parametrize("argument", WORDS, ids=lambda argument: argument.name)
    def test_each_documented_word_is_accepted(self, argument):
        """Every word that the message lists is accepted."""
        found = [getattr(settings(**{argument.name: word}), argument.name) for word in argument.choices]

        assert found == list(argument.choices)

    def test_the_accepted_words_are_the_documented_ones(self):
        """A change here is a change for every user."""
        assert {argument.name: argument.choices for argument in WORDS} == {
            "overflow": ("drop_new", "drop_old", "block"),
            "spool_fsync": ("never", "batch", "row"),
            "cloud": tuple(CLOUDS),
        }

    @pytest.mark.parametrize("wrong", ["", "Block", "drop", 3, ["block"], True])
    def test_an_unknown_word_is_refused_with_the_accepted_ones(self, wrong):
        """The message spells the words as they are accepted."""
        assert problem(overflow=wrong) == (
            f"overflow={wrong!r} is not accepted; give one of 'drop_new', 'drop_old', 'block'"
        )
        assert problem(cloud=wrong) == f"cloud={wrong!r} is not accepted; give one of 'public', 'china', 'usgov'"

    def test_report_must_be_callable(self):
        """In dictConfig, the callable is given as ext://."""
        assert settings(report=print).report is print
        assert problem(report="app.report") == (
            "report='app.report' is not callable; give a callable, in dictConfig as 'ext://package.module.name'"
        )


class TestEndpoint:
    @pytest.mark.parametrize(
        ("written", "read_as"),
        [
            (ENDPOINT, ENDPOINT),
            (f"{ENDPOINT}/", ENDPOINT),
            (ENDPOINT.upper(), ENDPOINT),
            ("https://gateway.example.org:8443/azure/", "https://gateway.example.org:8443/azure"),
            ("https://10.0.0.7", "https://10.0.0.7"),
            ("https://[2001:DB8::7]:443", "https://[2001:db8::7]:443"),
            ("https://dce.bücher.example", "https://dce.bücher.example"),
        ],
    )
    def test_any_https_endpoint_is_accepted_in_canonical_form(self, written, read_as):
        """Pipelines of one endpoint share their back-off, however it is spelled."""
        found = settings(endpoint=written)

        assert found.endpoint == read_as
        assert not found.is_local

    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.1",
            "http://127.0.0.1:8080",
            "http://127.255.255.254:1",
            "http://[::1]:8080",
            "http://[0:0:0:0:0:0:0:1]",
            "http://localhost:8080/",
            "HTTP://LOCALHOST",
            "hTTp://127.0.0.1",
        ],
    )
    def test_http_is_accepted_for_loopback_and_never_sends_a_real_token(self, url):
        """This holds for any spelling of the scheme; a given credential is not asked for a token."""
        assert settings(endpoint=url).is_local
        assert settings(endpoint=url, credential=Credential()).is_local

    @pytest.mark.parametrize(
        "host",
        [
            "dce.example.org",
            "10.0.0.7",
            "0.0.0.0",
            "[::]",
            "128.0.0.1",
            "127.0.0.1.example.org",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "127.0.0.01",
            "127.0.0.1.",
            "\uff11\uff12\uff17.0.0.1",
            "localhost.evil.org",
            "evil.localhost",
            "localhost.",
            "LOCALHOST.EVIL.ORG",
            "notlocalhost",
            "localhost%2eevil.org",
            "[::ffff:127.0.0.1]",
            "[::127.0.0.1]",
            "[::1%25eth0]",
            "[::2]",
            "metadata",
        ],
    )
    def test_http_is_refused_for_every_other_host(self, host):
        """The host is judged by its address, not by its text."""
        url = f"http://{host}:8080"

        assert problem(endpoint=url) == (
            f"endpoint={url!r} would send a token in clear text: use https://, or credential='local' for a local"
            " workspace on another host (http:// is accepted for 127.0.0.0/8, [::1] and localhost)"
        )

    @pytest.mark.parametrize("url", ["http://workspace:8080", "http://10.0.0.7", "HTTP://workspace"])
    def test_credential_local_allows_http_for_another_host(self, url):
        """The host may be a compose service. No token is requested."""
        assert settings(endpoint=url, credential="local").is_local

    @pytest.mark.parametrize("credential", [None, "default", {"environment": {}}, Credential()])
    def test_no_other_credential_allows_http_for_another_host(self, credential):
        """Above all, a real credential does not."""
        assert "would send a token in clear text" in problem(endpoint="http://workspace:8080", credential=credential)

    @pytest.mark.parametrize("url", ["https://127.0.0.1:8443", "https://localhost", "https://[::1]"])
    def test_https_on_loopback_uses_the_real_credential(self, url):
        """A tunnel or a gateway may end there."""
        assert not settings(endpoint=url).is_local
        assert settings(endpoint=url, credential="local").is_local

    @pytest.mark.parametrize(
        "wrong",
        [
            "dce.example.org",
            "//dce.example.org",
            "ftp://dce.example.org",
            "file:///etc/passwd",
            "https://",
            "https:///streams",
            "https://:443",
            "https://dce.example.org:port",
            "https://dce.example.org:99999",
            "https://[::1",
            "http://[::1].evil.org",
            "http://evil.org[::1]",
            "https://[not-an-address]",
            " https://dce.example.org",
            "https://dce.example.org\n",
            "http://127.0.0.1\n.evil.org",
            "http://127.0.0.1\t.evil.org",
            "https://dce example.org",
            "http://127.0.0.1\\.evil.org",
            "https://dce\x00.example.org",
            7,
            0,
            b"https://dce.example.org",
            ["https://dce.example.org"],
            {"url": "https://dce.example.org"},
        ],
    )
    def test_an_endpoint_that_is_not_a_plain_http_url_is_refused(self, wrong):
        """This includes URLs that two libraries could parse differently."""
        assert problem(endpoint=wrong) == (
            f"endpoint={wrong!r} is not an http(s) URL; give the logs ingestion endpoint of the rule or of its DCE, https://…"
        )

    @pytest.mark.parametrize(
        "url",
        [
            f"https://user:{SECRET}@dce.example.org",
            f"https://{SECRET}@dce.example.org",
            f"https://:{SECRET}@dce.example.org",
            f"https://user:{SECRET}@dce.example.org:99999",
            f"user:{SECRET}@dce.example.org",
            f"http://user:{SECRET}@127.0.0.1",
            f"https://user:{SECRET}@[dce",
            f"http://127.0.0.1:{SECRET}@evil.org",
            f"http://127.0.0.1?{SECRET}@evil.org",
            "http://@127.0.0.1",
        ],
    )
    def test_a_login_in_the_endpoint_is_refused_and_never_shown(self, url):
        """The login is hidden even if something else is wrong with the URL."""
        said = problem(endpoint=url)

        assert said.startswith("endpoint contains a user name or password (not shown)")
        assert SECRET not in said

    @pytest.mark.parametrize(
        "url", ["https://portal.azure.com/#@contoso.com/resource/subscriptions/1", "https://ms.portal.azure.com/#home"]
    )
    def test_a_page_of_the_portal_is_recognized(self, url):
        """It contains an @, but no password."""
        said = problem(endpoint=url)

        assert said.startswith("endpoint is a page of the Azure portal; give the logs ingestion endpoint")
        assert "contoso" not in said

    @pytest.mark.parametrize(
        ("url", "what"),
        [
            ("https://0123.ods.opinsights.azure.com", "is the HTTP Data Collector API, whose support has ended"),
            ("https://0123.oms.opinsights.azure.com", "for agents"),
            ("https://dce.westeurope-1.handler.control.monitor.azure.com", "for agents' configuration"),
            ("https://dce.westeurope-1.metrics.ingest.monitor.azure.com", "for metrics"),
            ("https://westeurope-5.in.applicationinsights.azure.com", "is Application Insights"),
            ("https://api.loganalytics.io", "is the address for queries"),
            ("https://dce.westeurope-1.ingest.monitor.azure.com/dataCollectionRules", "has the path"),
        ],
    )
    def test_another_address_of_azure_is_told_from_that_of_logs_ingestion(self, url, what):
        """Each can be copied from a page next to the right one."""
        said = problem(endpoint=url)

        assert what in said
        assert "give the logs ingestion endpoint of the rule or of its DCE" in said

    @pytest.mark.parametrize("end", [f"/?sig={SECRET}", f"#{SECRET}", f"?api-version={SECRET}", f":99999?{SECRET}"])
    def test_a_query_or_fragment_in_the_endpoint_is_refused_and_never_shown(self, end):
        """A signature in a query is a secret too."""
        said = problem(endpoint=f"{ENDPOINT}{end}")

        assert said.startswith(f"endpoint='{ENDPOINT}")
        assert said.endswith("is followed by a query or fragment (not shown); remove it")
        assert SECRET not in said


class TestRuleAndStream:
    @pytest.mark.parametrize(
        "wrong",
        [
            "/subscriptions/1/resourceGroups/g/providers/Microsoft.Insights/dataCollectionRules/app",
            "dcr 1",
            "dcr-1/streams",
            "../dcr-1",
            "dcr-é",
            "dcr-1\n",
            7,
            ["dcr-1"],
        ],
    )
    def test_a_rule_id_that_is_not_an_immutable_id_is_refused(self, wrong):
        """The rule id becomes part of the URL."""
        assert problem(rule_id=wrong) == (
            f"rule_id={wrong!r} is not accepted; give the rule's immutable id, dcr-… (not its name or resource id:"
            " it is 'immutableId' in the rule's JSON)"
        )

    @pytest.mark.parametrize("wrong", ["App", "custom-App", "Custom-", "Custom-A/B", "Custom-A B", "Custom-A\n", 7, []])
    @pytest.mark.parametrize("dcr", [None, rule(App={"Message": "string"})], ids=["without a rule", "with a rule"])
    def test_a_stream_that_is_not_a_streams_name_is_refused(self, wrong, dcr):
        """The message shows the form of a stream's name."""
        said = problems(stream=wrong, dcr=dcr)[0]

        meant = " (did you mean 'Custom-App'?)" if wrong in ("App", "custom-App") else ""
        assert said == (
            f"stream={wrong!r} is not accepted; give the stream's name as the rule declares it, Custom-…{meant}"
        )

    @pytest.mark.parametrize("stream", ["Custom-App", "Custom-App_CL", "Microsoft-Syslog", "Custom-a.b-c_1"])
    def test_every_form_of_a_streams_name_is_accepted(self, stream):
        """This includes the streams of built-in tables."""
        assert settings(stream=stream).stream == stream


class TestProxyAndAuthorities:
    @pytest.mark.parametrize(
        "proxy", ["http://proxy:8080", "https://proxy", "http://user:p%40ss@10.0.0.1:3128/", "http://[::1]:8080"]
    )
    def test_the_url_of_a_proxy_is_accepted_and_not_in_the_repr(self, proxy):
        """It may hold a password."""
        found = settings(proxy=proxy)

        assert found.proxy == proxy
        assert proxy not in repr(found)

    @pytest.mark.parametrize(
        "wrong",
        [
            "proxy:8080",
            f"user:{SECRET}@proxy:8080",
            f"http://user:{SECRET}#x@proxy:8080",
            f"http://user:{SECRET}@proxy..example.org",
            f"http://user:{SECRET}@proxy:99999",
            f"http://user:{SECRET}@proxy:0",
            f"http://proxy:8080/{SECRET}",
            f"socks5://user:{SECRET}@proxy:1080",
            f"http://user:{SECRET}@",
            "",
            8080,
            {"https": SECRET},
        ],
    )
    def test_any_other_proxy_is_refused_and_not_shown(self, wrong):
        """The message says how it is written."""
        found = problem(proxy=wrong)

        assert found.startswith("proxy is not the URL of a proxy (not shown, it may hold a password); give http://")
        assert SECRET not in found

    def test_authorities_are_a_file_or_a_directory(self, tmp_path, monkeypatch):
        """Relative to the directory and the home of the process."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path))
        tmp_path.joinpath("ca.pem").write_text("", "utf-8")

        for given in ("ca.pem", "~/ca.pem", tmp_path / "ca.pem"):
            assert settings(ca_bundle=given).ca_bundle == str(tmp_path / "ca.pem")
        assert settings(ca_bundle=tmp_path).ca_bundle == str(tmp_path)

    @pytest.mark.parametrize("wrong", ["/nowhere/ca.pem", "a\0b", "", b"ca.pem", 7])
    def test_authorities_that_do_not_exist_are_refused(self, wrong):
        """The first upload would fail for a reason that nobody expects."""
        assert problem(ca_bundle=wrong).startswith(f"ca_bundle={wrong!r} ")

    def test_switched_off_neither_is_looked_at(self):
        """An image is built without the authorities of where it will run."""
        assert not settings(enabled=False, proxy=SECRET, ca_bundle="/nowhere/ca.pem").enabled


IDS = {"tenant_id": "…", "client_id": "…"}
SERVICE = {"client_secret": IDS | {"client_secret": "…"}}


class TestCredential:
    @pytest.mark.parametrize(
        "credential",
        [
            *CREDENTIALS,
            {"managed_identity": {"client_id": "…"}},
            {"default": {}},
            SERVICE | {},
            {"certificate": IDS | {"certificate_path": "/run/shop.pem", "password": "…"}},
            {"certificate": IDS | {"certificate_data": b"key"}},
            {"client_assertion": IDS | {"func": print}},
            {"azure_pipelines": IDS | {"service_connection_id": "…", "system_access_token": "…"}},
            {"chained": ["workload_identity", {"managed_identity": {"client_id": "…"}}, SERVICE, Credential()]},
            Credential(),
        ],
        ids=str,
    )
    def test_every_documented_form_of_a_credential_is_accepted(self, credential):
        """No token is requested yet."""
        assert settings(credential=credential).credential is credential

    @pytest.mark.parametrize(
        ("wrong", "meant"),
        [
            ("managed-identity", "managed_identity"),
            ("Default", "default"),
            ("clientsecret", "client_secret"),
            ("client_certificate", "certificate"),
            ("chain", "chained"),
        ],
    )
    def test_a_misspelt_name_comes_with_the_one_that_was_meant(self, wrong, meant):
        assert problem(credential=wrong) == f"credential={wrong!r} is not accepted; did you mean {meant!r}?"

    @pytest.mark.parametrize(
        ("credential", "said"),
        [
            (
                {"managed_identity": {"clientid": SECRET}},
                "'clientid' is not an option of 'managed_identity'; did you mean",
            ),
            (
                {"managed_identity": {"tenant_id": SECRET}},
                "'tenant_id' is not an option of 'managed_identity'; it takes",
            ),
            ({"environment": {"client_id": SECRET}}, "not an option of 'environment': it reads AZURE_CLIENT_ID"),
            ({"default": {"exclude_cli_credentials": SECRET}}, "did you mean 'exclude_cli_credential'?"),
            (
                {"workload_identity": {"client_secret": SECRET}},
                "'client_secret' is not an option of 'workload_identity'",
            ),
            ({"client_secret": IDS | {"client_secrets": SECRET}}, "'client_secret' needs 'client_secret' as well: {"),
            ({"client_secret": IDS}, "needs 'client_secret' as well: {'client_id': '…', 'client_secret': '…', '"),
            ({"certificate": {"client_id": SECRET}}, "'certificate' needs 'tenant_id' as well: {'certificate_path': "),
            ({"certificate": IDS}, "'certificate' needs 'certificate_path', the path of a PEM or PKCS#12 file"),
            ({"certificate": IDS | {"certificate_path": "x", "passwort": SECRET}}, "did you mean 'password'?"),
            ({"client_assertion": IDS | {"func": SECRET}}, "'func' is not callable; give a callable that returns"),
            ({"azure_pipelines": IDS | {"service_connection_id": SECRET}}, "needs 'system_access_token' as well"),
            ({"managed-identity": {"client_id": SECRET}}, "'managed-identity' is not the name of a credential; did"),
            ({"chained": "azure_cli"}, "'chained' takes a list of credentials, which are tried in this order: {"),
            ({"chained": []}, "'chained' takes a list of credentials"),
            ({"chained": ["azure_cli", "local"]}, "'local' cannot be in a chain; leave it out"),
            ({"chained": [{"chained": ["azure_cli"]}]}, "another 'chained' cannot be in a chain; leave it out"),
            ({"chained": [{"managed_identity": {"clientid": SECRET}}]}, "did you mean 'client_id'?"),
            ({"chained": ["azure-cli"]}, "credential='azure-cli' is not accepted; did you mean 'azure_cli'?"),
            ("client_secret", "credential='client_secret' needs its options: {'client_secret': {'client_id': '…', "),
            ("chained", "credential='chained' needs the credentials that it tries: {'chained': ["),
        ],
    )
    def test_an_option_that_the_credential_would_ignore_is_refused(self, credential, said):
        """azure.identity would take the machine's identity, in silence."""
        found = "; ".join(problems(credential=credential))

        assert said in found
        assert SECRET not in found

    @pytest.mark.parametrize("option", ["connection_timeout", "logging_enable", "identity_config"])
    def test_other_options_reach_the_credential(self, option):
        """They are those of azure.identity's HTTP client."""
        assert settings(credential={"managed_identity": {option: 1}}).credential == {"managed_identity": {option: 1}}

    def test_an_asynchronous_credential_is_refused(self):
        """Those of azure.identity.aio are."""

        class Asynchronous:
            async def get_token(self, *scopes):
                raise AssertionError("not called")

        assert problem(credential=Asynchronous()) == (
            "credential= is asynchronous: its get_token returns a coroutine; give the class of the same name in"
            " azure.identity instead of azure.identity.aio"
        )

    @pytest.mark.parametrize(
        "wrong",
        [
            SECRET,
            "",
            SECRET.encode(),
            [SECRET],
            {"client_secret": SECRET},
            {"managed_identity": SECRET},
            {"managed_identity": {"client_id": SECRET}, "environment": {}},
            {"local": {"token": SECRET}},
            {},
            {7: {"client_id": SECRET}},
            7,
            Credential,
            Credential().get_token,
        ],
        ids=lambda wrong: type(wrong).__name__,
    )
    def test_any_other_credential_is_refused_and_never_shown(self, wrong):
        """The message says what is accepted."""
        with pytest.raises(ConfigurationError) as caught:
            AzureMonitorHandler(**ADDRESS, credential=wrong)

        (said,) = caught.value.problems
        assert said.startswith("credential is ")
        assert "'managed_identity'" in said
        assert SECRET not in "".join(traceback.format_exception(caught.value))


class TestColumns:
    def test_columns_can_be_a_preset_by_name(self):
        """ "lean" has six."""
        assert len(settings(columns="lean").table.columns) == 6

    def test_columns_can_be_a_mapping(self):
        """The mapping is from a column's name to what fills it."""
        table = settings(columns={"TimeGenerated": "time", "Text": "message"}).table

        assert [column.name for column in table] == ["TimeGenerated", "Text"]

    def test_columns_can_be_a_table(self):
        """Built in Python."""
        table = Table((Column("TimeGenerated", "datetime", "time"), Column("Text", "string", str)))

        assert settings(columns=table).table is table

    @pytest.mark.parametrize("wrong", [7, ["Message"], b"default", {"Message"}])
    def test_columns_of_another_type_are_refused(self, wrong):
        """The message lists the accepted forms."""
        assert problem(columns=wrong) == (
            f"columns={wrong!r} is not accepted; give a mapping, such as {{'Message': 'message', 'OrderId':"
            " 'order_id:long'}, a logging_azmon.Table, or the name of a preset, such as 'default'"
        )

    def test_an_unknown_preset_is_refused_with_the_known_ones(self):
        """Spelled as they are accepted."""
        assert problem(columns="defualt").startswith("columns='defualt' is not a preset; use 'default', 'lean', ")

    def test_empty_columns_are_refused(self):
        """Empty columns do not stand for the default."""
        assert problem(columns={}) == "columns is empty: a row needs at least one column"

    @pytest.mark.parametrize(
        "name", ["Tenant Id", "1st", "_x", "A" * 46, "TenantId", "type", "Größe", "", 'a"b', 7, "a\ud800"]
    )
    def test_column_names_that_log_analytics_refuses_are_refused(self, name):
        """This holds for a mapping, and for a Table if it can be built at all."""
        said = problem(columns={name: "message"})
        assert said.startswith(f"column name {name!r} is ")

        with pytest.raises(ConfigurationError) as caught:
            settings(columns=Table((Column(name, "string", "message"),)))
        assert repr(name) in str(caught.value)

    def test_a_table_whose_time_generated_is_not_a_datetime_is_refused(self):
        """The service requires a datetime."""
        table = Table((Column("TimeGenerated", "string", "time"),))

        assert problem(columns=table) == "column 'TimeGenerated' must be a datetime, not 'string'"

    def test_an_unknown_column_type_is_refused_with_the_known_ones(self):
        """Spelled as they are accepted."""
        assert "unknown type 'guid'; accepted are string, int" in problem(columns={"Text": "message:guid"})


class TestRule:
    def test_a_rule_gives_column_names_types_and_its_only_stream(self):
        """The stream need not be given in that case."""
        found = read(
            {"endpoint": ENDPOINT, "rule_id": RULE, "dcr": rule(App={"Message": "string", "DurationMs": "real"})}, {}
        )

        assert found.stream == "Custom-App"
        assert [(column.name, column.type) for column in found.table] == [("Message", "string"), ("DurationMs", "real")]

    def test_a_rule_can_be_the_path_of_a_file(self, tmp_path):
        """The path may be a str or a Path."""
        path = tmp_path / "rule.json"
        path.write_text(json.dumps(rule(App={"Message": "string"})), "utf-8")

        assert settings(dcr=path).table == settings(dcr=str(path)).table

    def test_a_rule_with_several_streams_requires_the_choice_of_one(self):
        """The message lists the streams."""
        dcr = rule(App={"Message": "string"}, Audit={"Message": "string"})

        (said,) = problems({}, endpoint=ENDPOINT, rule_id=RULE, dcr=dcr)
        assert said == (
            "stream is missing: give stream=… or set the environment variable LOGS_DCR_STREAM_NAME;"
            " the given dcr declares Custom-App, Custom-Audit"
        )
        assert settings(dcr=dcr, stream="Custom-Audit").stream == "Custom-Audit"

    def test_a_stream_that_the_rule_does_not_declare_is_refused(self):
        """The stream may come as an argument or from the environment."""
        said = ("stream='Custom-Other' is not declared in the given dcr; it declares Custom-App",)
        dcr = rule(App={"Message": "string"})

        assert problems(dcr=dcr, stream="Custom-Other") == said
        environ = {"LOGS_DCR_STREAM_NAME": "Custom-Other"}
        assert problems(environ, endpoint=ENDPOINT, rule_id=RULE, dcr=dcr) == said

    def test_a_mapping_given_with_a_rule_decides_what_fills_the_columns(self):
        """The types remain the rule's."""
        found = settings(dcr=rule(App={"Message": "string", "Count": "int"}), columns={"Count": "extra.number:long"})

        assert [(column.name, column.type) for column in found.table] == [("Message", "string"), ("Count", "int")]

    def test_a_table_given_with_a_rule_decides_what_fills_the_columns(self):
        """This includes names that only a rule may have."""
        table = Table((Column("_id", "string", "message"),))

        assert settings(dcr=rule(App={"_id": "string"}), columns=table).table == table

    def test_a_column_that_the_rule_does_not_declare_is_refused(self):
        """The service would drop it silently."""
        assert problem(dcr=rule(App={"Message": "string"}), columns={"Txt": "message", "Message": "message"}) == (
            "column 'Txt' is not declared for Custom-App, so the service would drop it silently; declared are Message"
        )

    def test_the_rule_need_not_declare_all_columns_of_a_preset(self):
        """The preset's fields fill the columns that the rule declares."""
        found = settings(dcr=rule(App={"Message": "string", "Line": "int"}), columns="default")

        assert [column.source for column in found.table] == ["message", "line"]

    def test_a_rule_may_declare_names_that_a_table_cannot_have(self):
        """Its transformation renames them."""
        found = settings(dcr=rule(App={"_id": "string", "x": "string"}), columns={"_id": "message"})

        assert [column.name for column in found.table] == ["_id", "x"]

    @pytest.mark.parametrize("name", ["", 'a"b', "a\\b", "a\nb", "a\ud800"])
    def test_a_rules_column_names_that_are_not_json_keys_are_refused(self, name):
        """A deployed stream cannot have such names, but a file can."""
        assert problem(dcr=rule(App={name: "string"})) == (
            f"dcr: stream 'Custom-App' in the given mapping: column {name!r}:"
            " a name must be printable text without quotes or backslashes"
        )

    def test_a_rule_that_cannot_be_read_is_the_only_problem(self):
        """Columns that the rule might have declared are not reported."""
        assert problem(dcr="/nowhere/rule.json", columns={"_id": "message"}) == (
            "dcr='/nowhere/rule.json' cannot be read: No such file or directory"
        )

    def test_a_rule_nested_too_deeply_is_refused(self):
        """The error is a ConfigurationError, not a RecursionError."""
        document = rule(App={"Message": "string"})
        for _ in range(5_000):
            document = {"properties": document}

        assert problem(dcr=document) == "dcr: the given mapping is nested too deeply for a rule"


class TestSeveralMistakes:
    def test_mistakes_in_all_arguments_are_reported_together(self):
        """One attempt finds them all."""
        found = problems(
            endpoint="http://workspace:8080",
            rule_id="my rule",
            stream="App",
            credential=SECRET,
            columns={"Tenant Id": "message", "Line": "line:number"},
            batch_size=1,
            uploads=0,
            overflow="wait",
            queue_bytes=10_000,
            report=3,
        )

        beginnings = [
            "unknown argument 'batch_size'",
            "overflow='wait'",
            "uploads=0",
            "credential is ",
            "report=3",
            "queue_bytes=10000",
            "endpoint='http://workspace:8080'",
            "rule_id='my rule'",
            "stream='App'",
            "column name 'Tenant Id'",
            "column 'Line'",
        ]
        assert len(found) == len(beginnings)
        assert [said for said, begins in zip(found, beginnings, strict=True) if not said.startswith(begins)] == []

    def test_mistakes_in_the_rule_are_reported_with_the_others(self):
        """A missing file does not hide a typo."""
        assert [said.split("=")[0] for said in problems(dcr="/nowhere", uploads="four")] == ["uploads", "dcr"]


class TestFrontDoors:
    @pytest.mark.parametrize("door", [AzureMonitorHandler, Pipeline])
    def test_front_doors_refuse_a_bad_value_at_construction(self, door):
        """The error is not delayed until the first row is sent."""
        with pytest.raises(ConfigurationError, match="uploads='four' is not accepted"):
            door(**ADDRESS, uploads="four")

    def test_a_bad_level_is_reported_with_the_rest(self):
        """The level is an argument of the handler, not of the pipeline, but users need not know the difference."""
        with pytest.raises(ConfigurationError) as caught:
            AzureMonitorHandler(**ADDRESS, level="LOUD", uploads=0)

        assert [said.split(" is ")[0] for said in caught.value.problems] == ["level='LOUD'", "uploads=0"]

    def test_a_refused_handler_leaves_nothing_registered_with_logging(self):
        """Otherwise, logging would flush the handler at exit and print a second traceback that hides the first."""
        script = "import logging_azmon; logging_azmon.AzureMonitorHandler(uploads=0)"

        said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)

        assert said.returncode == 1
        assert said.stderr.count("Traceback") == 1
        assert said.stderr.rstrip().endswith("set the environment variable LOGS_DCR_STREAM_NAME")

    def test_a_configuration_error_survives_pickling(self):
        """A worker process sends its errors pickled."""
        with pytest.raises(ConfigurationError) as caught:
            AzureMonitorHandler(uploads=0)

        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def configure(handler, **more):
    """Run dictConfig with one handler on a logger of its own."""
    handlers = {"azure": {"class": "logging_azmon.AzureMonitorHandler", **handler}}
    loggers = {"test_settings": {"handlers": ["azure"], "level": "DEBUG", "propagate": False}}
    config = {"version": 1, "disable_existing_loggers": False, "handlers": handlers, "loggers": loggers}
    logging.config.dictConfig(config | more)
    return logging.getLogger("test_settings")


@pytest.fixture
def forget():
    """Remove every handler that a test has added."""
    yield
    logger = logging.getLogger("test_settings")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()


VERSION = "1.2.3"


def shout(record):
    return record.getMessage().upper()


@pytest.mark.usefixtures("forget")
class TestDictConfig:
    def test_dict_config_shows_every_mistake_in_its_traceback(self):
        """dictConfig's error names the handler, and its cause lists the mistakes."""
        with pytest.raises(ValueError, match="Unable to configure handler 'azure'") as caught:
            configure({"uploads": "four", "overflow": "wait"})

        shown = "".join(traceback.format_exception(caught.value))
        assert "logging_azmon.errors.ConfigurationError: 5 problems:\n  - overflow='wait' is not accepted" in shown
        assert "\n  - uploads='four' is not accepted; give a whole number from 1 to 32\n" in shown
        assert "\n  - endpoint is missing: give endpoint=… or set the environment variable DATA_COLL" in shown

    def test_dict_config_names_an_unknown_key(self):
        """The key may be a typo in a settings file."""
        with pytest.raises(ValueError, match="azure") as caught:
            configure(ADDRESS | {"batch_sise": 3})

        assert "unknown argument 'batch_sise'" in str(caught.value.__cause__)

    def test_dict_config_references_are_resolved_at_any_depth(self):
        """dictConfig resolves a handler's own entries, but nested ones only when they are read."""
        with capture() as rows:
            logger = configure(
                ADDRESS
                | {
                    "columns": {
                        "Release": {"value": f"ext://{__name__}.VERSION"},
                        "Loud": {"field": f"ext://{__name__}.shout"},
                        "Place": {"value": {"region": ["cfg://place"]}},
                        "Text": "cfg://message_field",
                    },
                    "credential": {"managed_identity": {"client_id": f"ext://{__name__}.VERSION"}},
                },
                place="north",
                message_field="message",
            )
            logger.info("hello")

        assert rows == [{"Release": "1.2.3", "Loud": "HELLO", "Place": {"region": ["north"]}, "Text": "hello"}]
        found = logger.handlers[0].pipeline.settings.credential
        assert found == {"managed_identity": {"client_id": "1.2.3"}}

    def test_dict_config_can_reference_a_credential_and_a_report(self):
        """Each may be any Python object."""
        logger = configure(
            ADDRESS | {"credential": "ext://test_settings_objects.credential", "report": "ext://builtins.print"}
        )

        found = logger.handlers[0].pipeline.settings
        assert isinstance(found.credential, Credential)
        assert found.report is print

    def test_dict_config_can_contain_the_rule(self):
        """The rule is given as a mapping."""
        logger = configure({"endpoint": ENDPOINT, "rule_id": RULE, "dcr": rule(App={"Message": "string"})})

        assert logger.handlers[0].pipeline.settings.stream == "Custom-App"


FILE = """
[loggers]
keys=root,own
[handlers]
keys=azure
[formatters]
keys=
[logger_root]
handlers=
[logger_own]
qualname=test_settings
handlers=azure
propagate=0
level=DEBUG
[handler_azure]
class=logging_azmon.AzureMonitorHandler
level=INFO
"""


@pytest.mark.usefixtures("forget")
class TestFileConfig:
    @pytest.fixture
    def configure_file(self, tmp_path):
        def run(text):
            path = tmp_path / "logging.ini"
            path.write_text(FILE + text, "utf-8")
            logging.config.fileConfig(path, disable_existing_loggers=False)
            return logging.getLogger("test_settings")

        root = logging.getLogger()
        before = list(root.handlers), root.level
        yield run
        root.handlers[:], root.level = before

    def test_file_config_gives_the_address_by_position_and_settings_by_name(self, configure_file):
        """The address is in `args`, the settings in `kwargs`."""
        args = f"args=({ENDPOINT!r}, {RULE!r}, {STREAM!r}, 'managed_identity')"

        with capture() as rows:
            logger = configure_file(f"{args}\nkwargs={{'columns': 'lean', 'uploads': 2}}\n")
            logger.info("hello %s", "you")
            logger.debug("below the handler's level")

        found = logger.handlers[0].pipeline.settings
        assert (found.endpoint, found.rule_id, found.stream, found.credential, found.uploads) == (
            ENDPOINT,
            RULE,
            STREAM,
            "managed_identity",
            2,
        )
        assert [row["Message"] for row in rows] == ["hello you"]

    def test_file_config_numbers_in_quotes_are_refused(self, configure_file):
        """`kwargs` is Python, so a number in quotes is a string."""
        with pytest.raises(ConfigurationError, match="uploads='2' is not accepted; give a whole number"):
            configure_file(f"args=({ENDPOINT!r}, {RULE!r}, {STREAM!r})\nkwargs={{'uploads': '2'}}\n")
