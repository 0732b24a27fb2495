"""The choice of the credential, and the reports of its failures."""

# ruff: noqa: SLF001 - the SDK is replaced at its border

import sys
import threading
import time
import types
from typing import ClassVar

import pytest
from azure.core.credentials import AccessToken

from logging_azmon._azure import credential as credential_of
from logging_azmon._azure import wait_limit
from logging_azmon._azure.uploader import Uploader
from logging_azmon._delivery.answer import Failure
from support.credentials import Forbidden
from support.delivering import closing, line, settings_of


class Recorded:
    """Stand for a class of azure-identity, and record how it was built."""

    made: list

    def __init__(self, **options):
        self.made.append((type(self).__name__, options))
        self.closed = 0

    def get_token(self, *scopes, **options):
        from azure.core.credentials import AccessToken

        self.made.append(scopes)
        return AccessToken("token", 4_000_000_000)

    def close(self):
        self.made.append("closed")


@pytest.fixture
def identity(monkeypatch):
    """Replace azure.identity; return a list of what is built and requested."""
    made = []
    module = types.ModuleType("azure.identity")
    for name in credential_of._CREDENTIAL_CLASSES.values():
        setattr(module, name, type(name, (Recorded,), {"made": made}))
    monkeypatch.setitem(sys.modules, "azure.identity", module)
    # Where the real one was imported before, the package has it as an attribute.
    monkeypatch.setattr(sys.modules["azure"], "identity", module, raising=False)
    return made


PUBLIC = {"authority": "login.microsoftonline.com"}


class TestCredential:
    @pytest.mark.parametrize(
        ("credential", "made"),
        [
            (None, ("DefaultAzureCredential", PUBLIC)),
            ("default", ("DefaultAzureCredential", PUBLIC)),
            ("workload_identity", ("WorkloadIdentityCredential", PUBLIC)),
            ("environment", ("EnvironmentCredential", PUBLIC)),
            ("azure_cli", ("AzureCliCredential", {})),
            ("managed_identity", ("ManagedIdentityCredential", {})),
            ({"managed_identity": {"client_id": "abc"}}, ("ManagedIdentityCredential", {"client_id": "abc"})),
            ({"default": {}}, ("DefaultAzureCredential", PUBLIC)),
            ({"default": {"authority": "login.example"}}, ("DefaultAzureCredential", {"authority": "login.example"})),
        ],
        ids=repr,
    )
    def test_each_name_builds_its_credential_with_its_options(self, identity, credential, made):
        uploader = Uploader(settings_of(endpoint="https://127.0.0.1:9", credential=credential, connect_seconds=0.1))
        uploader.send(line("a"))
        assert identity == [made, ("https://monitor.azure.com/.default",)]
        uploader.close()
        assert identity[-1] == "closed"

    @pytest.mark.parametrize(
        ("cloud", "audience", "authority"),
        [
            ("public", "https://monitor.azure.com/.default", "login.microsoftonline.com"),
            ("china", "https://monitor.azure.cn/.default", "login.chinacloudapi.cn"),
            ("usgov", "https://monitor.azure.us/.default", "login.microsoftonline.us"),
        ],
    )
    def test_cloud_chooses_audience_and_authority(self, identity, cloud, audience, authority):
        uploader = Uploader(settings_of(endpoint="https://127.0.0.1:9", cloud=cloud, connect_seconds=0.1))
        with closing(uploader):
            uploader.send(line("a"))
        assert identity[:2] == [("DefaultAzureCredential", {"authority": authority}), (audience,)]

    @pytest.mark.parametrize("credential", ["managed_identity", {"managed_identity": {"client_id": "abc"}}])
    def test_real_managed_identity_accepts_its_options(self, credential):
        made = credential_of.make_credential(credential, "public")
        assert type(made).__name__ == "ManagedIdentityCredential"
        made.close()

    @pytest.mark.parametrize("name", ["default", "environment", "azure_cli"])
    def test_real_credentials_need_no_options(self, name):
        credential_of.make_credential(name, "public").close()

    def test_error_of_a_chain_is_summed_up_by_credential(self):
        """DefaultAzureCredential's own text is a page of links, in which the reasons would be lost."""
        said = (
            "DefaultAzureCredential failed to retrieve a token from the included credentials.\nAttempted credentials:\n"
            "\tEnvironmentCredential: EnvironmentCredential authentication unavailable. Environment variables are not"
            " fully configured.\nVisit https://aka.ms/azsdk to troubleshoot this issue.\n"
            "\tManagedIdentityCredential: ManagedIdentityCredential authentication unavailable.\n"
            "\tSharedTokenCacheCredential: SharedTokenCacheCredential authentication unavailable. No accounts.\n"
            "\tAzureCliCredential: Please run 'az login' to set up an account\n"
            "To mitigate this issue, please refer to https://aka.ms/azsdk/python."
        )

        assert credential_of.token_error_text(RuntimeError(said)) == (
            "Environment, ManagedIdentity, SharedTokenCache: unavailable;"
            " AzureCli: Please run 'az login' to set up an account"
        )
        assert credential_of.token_error_text(RuntimeError("no luck")) == "RuntimeError: no luck"

    def test_error_of_the_real_chain_is_summed_up(self, monkeypatch):
        """Its text may change with a release of azure-identity."""
        for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
            monkeypatch.delenv(name, raising=False)
        from azure.core.exceptions import ClientAuthenticationError
        from azure.identity import ChainedTokenCredential, EnvironmentCredential

        chain = ChainedTokenCredential(EnvironmentCredential(), EnvironmentCredential())
        with pytest.raises(ClientAuthenticationError) as caught:
            chain.get_token("https://monitor.azure.com/.default")

        assert credential_of.token_error_text(caught.value) == "Environment, Environment: unavailable"

    def test_credential_that_cannot_be_built_is_a_credential_failure(self, monkeypatch):
        for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"):
            monkeypatch.delenv(name, raising=False)
        uploader = Uploader(settings_of(credential="workload_identity"))
        answer = uploader.send(line("a"))
        assert answer.failure is Failure.CREDENTIAL
        assert "ValueError" in answer.message
        uploader.close()

    def test_credential_object_of_the_user_is_left_open(self):
        class Own(Recorded):
            made: ClassVar = []

        uploader = Uploader(settings_of(endpoint="https://127.0.0.1:9", credential=Own(), connect_seconds=0.1))
        uploader.send(line("a"))
        uploader.close()
        assert "closed" not in Own.made

    def test_one_thread_at_a_time_requests_a_token(self):
        running, most = [], []

        class Counting:
            def get_token(self, *scopes, **options):
                running.append(1)
                most.append(len(running))
                running.pop()
                raise ValueError

        uploader = Uploader(settings_of(credential=Counting()))
        threads = [threading.Thread(target=uploader.send, args=(line("a"),)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        uploader.close()
        assert most == [1] * 8

    def test_wait_for_the_token_of_another_thread_has_a_limit(self, monkeypatch):
        monkeypatch.setattr(wait_limit, "MAX_WAIT_SECONDS", 0.01)
        uploader = Uploader(settings_of(credential=Forbidden()))
        uploader._connected()
        with closing(uploader), uploader._connection._credential._lock:
            answer = uploader.send(line("a"))
        assert answer.failure is Failure.CREDENTIAL
        assert "another thread" in answer.message

    def test_wait_for_the_token_of_another_thread_ends_with_the_time_limit(self):
        """At exit, close_seconds must hold even while another thread requests a token."""
        uploader = Uploader(settings_of(credential=Forbidden()))
        uploader._connected()
        begun = time.monotonic()
        with closing(uploader), uploader._connection._credential._lock:
            answer = uploader.send(line("a"), seconds=0.01)
        assert answer.failure is Failure.CREDENTIAL
        assert time.monotonic() - begun < 10

    def test_ctrl_c_while_a_token_is_requested_is_raised(self):
        class Interrupted:
            def get_token(self, *scopes, **options):
                raise KeyboardInterrupt

        uploader = Uploader(settings_of(credential=Interrupted()))
        with closing(uploader), pytest.raises(KeyboardInterrupt):
            uploader.send(line("a"))


class Returning:
    """A credential whose get_token returns this."""

    def __init__(self, result):
        self.result = result

    def get_token(self, *scopes, **options):
        return self.result


class Asynchronous:
    """A credential whose get_token returns a coroutine, without looking like it."""

    def get_token(self, *scopes, **options):
        async def token():
            raise AssertionError("not awaited")

        return token()


class TestTokens:
    """What a credential returns is checked, and never shown."""

    @pytest.mark.parametrize(
        ("result", "words"),
        [
            (AccessToken("s3cret\n", 4_000_000_000), "a token of 7 characters with a space, a line break"),
            (AccessToken(" s3cret", 4_000_000_000), "strip it"),
            (AccessToken("s3cr\u00e9t", 4_000_000_000), "another character that an HTTP header cannot hold"),
            (AccessToken("", 4_000_000_000), "an empty token"),
            (AccessToken(b"s3cret", 4_000_000_000), "must return an AccessToken"),
            ("s3cret", "get_token returned str; it must return an AccessToken(token, expires_on)"),
            (None, "get_token returned NoneType"),
        ],
        ids=repr,
    )
    def test_a_token_that_cannot_be_sent_is_a_credential_error_without_the_token(self, result, words):
        """Such as one that was read from a file, with the newline at its end."""
        uploader = Uploader(settings_of(credential=Returning(result)))
        with closing(uploader):
            answer = uploader.send(line("a"))
        assert answer.failure is Failure.CREDENTIAL
        assert words in answer.message
        assert "s3cr" not in answer.message

    def test_an_asynchronous_credential_is_named_instead_of_the_proxy(self):
        """One that could not be recognized when the handler was made."""
        uploader = Uploader(settings_of(credential=Asynchronous()))
        with closing(uploader):
            answer = uploader.send(line("a"))
        assert answer.failure is Failure.CREDENTIAL
        assert "credential= is asynchronous" in answer.message
        assert "azure.identity.aio" in answer.message

    def test_an_awaitable_that_is_not_a_coroutine_is_refused_as_well(self):
        class Later:
            def __await__(self):
                raise AssertionError("not awaited")

        assert "credential= is asynchronous" in credential_of.token_problem(Later())
