"""Each identity by name gets a token with the real azure-identity, from the local workspace's token endpoint."""

import base64
import json
import pickle
from collections.abc import Iterator

import pytest
import trustme

from logging_azmon import AzureMonitorHandler, Pipeline
from logging_azmon._azure.credential import make_credential, token_error_text
from logging_azmon._azure.uploader import Uploader
from logging_azmon._delivery.answer import Failure
from logging_azmon.local import Workspace
from logging_azmon.pipeline import lifecycle_of
from logging_azmon.testing import FakeDestination
from support.delivering import closing, settings_of
from support.endpoint import status

SCOPE = "https://monitor.azure.com/.default"
SECRET = "hunter2-do-not-show"


@pytest.fixture(scope="module")
def authority() -> Iterator[Workspace]:
    """Run a token endpoint over TLS: azure-identity takes no other."""
    with Workspace(tls=True) as workspace:
        yield workspace


@pytest.fixture
def ids(authority, monkeypatch):
    """Return the options that lead to it."""
    for name, value in authority.trust_environment.items():
        monkeypatch.setenv(name, value)
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST"):
        monkeypatch.delenv(name, raising=False)
    return {
        "tenant_id": "tenant",
        "client_id": "the shop",
        "authority": authority.endpoint,
        "disable_instance_discovery": True,
    }


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    """Return a file with a certificate and its key."""
    issued = trustme.CA(key_type=trustme.KeyType.RSA).issue_cert("shop.example.org", key_type=trustme.KeyType.RSA)
    path = tmp_path_factory.mktemp("keys") / "shop.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(path)
    return path


def client_of(credential):
    """Request a token, and return the client that it names."""
    made = make_credential(credential, "public")
    try:
        claims = made.get_token(SCOPE).token.split(".")[1]
    finally:
        made.close()
    return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["appid"]


def test_a_client_secret_gets_a_token(ids):
    """The authority is the cloud's unless it is given."""
    assert client_of({"client_secret": ids | {"client_secret": SECRET}}) == "the shop"


def test_a_certificate_gets_a_token(ids, key_file):
    """From a file, or from bytes."""
    assert client_of({"certificate": ids | {"certificate_path": str(key_file)}}) == "the shop"
    assert client_of({"certificate": ids | {"certificate_data": key_file.read_bytes()}}) == "the shop"


def test_an_assertion_of_the_applications_own_gets_a_token(ids):
    """A federated credential, whoever signs the assertion."""
    asked = []

    def assertion():
        asked.append(1)
        return "an assertion"

    assert client_of({"client_assertion": ids | {"func": assertion}}) == "the shop"
    assert asked == [1]


def test_a_workload_identity_gets_a_token_for_the_assertion_in_its_file(ids, tmp_path):
    """As AKS mounts it."""
    file = tmp_path / "token"
    file.write_text("an assertion", "utf-8")

    assert client_of({"workload_identity": ids | {"token_file_path": str(file)}}) == "the shop"


def test_a_service_connection_of_azure_pipelines_is_built_with_its_options(ids, monkeypatch):
    """Only the pipeline itself can give its assertion."""
    monkeypatch.delenv("SYSTEM_OIDCREQUESTURI", raising=False)
    made = make_credential(
        {"azure_pipelines": ids | {"service_connection_id": "connection", "system_access_token": SECRET}}, "public"
    )
    with pytest.raises(Exception, match="SYSTEM_OIDCREQUESTURI") as caught:
        made.get_token(SCOPE)
    made.close()

    assert SECRET not in token_error_text(caught.value)


class TestHttp:
    """`proxy` and `ca_bundle` apply to tokens as well as to rows."""

    @pytest.fixture
    def untrusted(self, ids, monkeypatch):
        """Return the options, in an environment that does not trust the endpoint."""
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        return ids | {"client_secret": SECRET}

    def send(self, authority, credential, **options):
        address = {"endpoint": authority.endpoint, "rule_id": "dcr-local", "stream": "Custom-App"}
        uploader = Uploader(settings_of(credential=credential, **address, **options))
        with closing(uploader):
            return uploader.send(b'{"Message":"a"}\n')

    def test_the_authorities_of_the_handler_are_trusted_for_rows_and_tokens(self, authority, untrusted):
        """Without them, not even a token is requested."""
        credential = {"client_secret": untrusted}

        assert self.send(authority, credential).failure is Failure.CREDENTIAL
        assert self.send(authority, credential, ca_bundle=authority.ca_path).status == 204
        assert self.send(authority, {"chained": [credential]}, ca_bundle=authority.ca_path).status == 204

    def test_the_default_credential_takes_them_too(self, authority, untrusted, monkeypatch):
        """It passes them on to those that it tries."""
        monkeypatch.setenv("AZURE_TENANT_ID", "tenant")
        monkeypatch.setenv("AZURE_CLIENT_ID", "the shop")
        monkeypatch.setenv("AZURE_CLIENT_SECRET", SECRET)
        credential = {"default": {name: untrusted[name] for name in ("authority", "disable_instance_discovery")}}

        assert self.send(authority, credential, ca_bundle=authority.ca_path).status == 204

    def test_tokens_are_requested_through_the_proxy(self, authority, untrusted, server):
        """As rows are."""
        server.default = status(502)
        answer = self.send(authority, {"client_secret": untrusted}, ca_bundle=authority.ca_path, proxy=server.url)

        assert answer.failure is Failure.CREDENTIAL
        assert {request.method for request in server.requests} == {"CONNECT"}

    def test_a_managed_identity_is_asked_directly(self, authority, untrusted, server, monkeypatch):
        """It is on the machine itself; the rows go through the proxy."""
        server.default = status(502)
        with Workspace() as machine:
            for name, value in machine.identity_environment.items():
                monkeypatch.setenv(name, value)
            answer = self.send(authority, "managed_identity", ca_bundle=authority.ca_path, proxy=server.url)

        assert answer.failure is Failure.CONNECTION
        assert {request.method for request in server.requests} == {"CONNECT"}


class TestChain:
    def test_the_first_that_gets_a_token_is_used_and_one_that_cannot_be_built_is_passed_over(self, ids):
        """A workload identity cannot be built without the variables that AKS sets."""
        chain = {"chained": ["workload_identity", {"client_secret": ids | {"client_secret": SECRET}}]}

        assert client_of(chain) == "the shop"

    def test_an_object_of_the_applications_own_may_be_among_them(self, ids):
        """It is left open, because it may be in use elsewhere."""
        asked = []

        class Own:
            def get_token(self, *scopes, **options):
                from azure.identity import CredentialUnavailableError

                asked.append(scopes)
                raise CredentialUnavailableError(message="not here")

            def close(self):
                raise AssertionError("it is the application's")

        credential = {"chained": [Own(), {"client_secret": ids | {"client_secret": SECRET}}]}
        handler = AzureMonitorHandler("https://127.0.0.1:9", "dcr-1", "Custom-App", credential, connect_seconds=0.1)
        lifecycle_of(handler.pipeline).destination.send(b'{"Message":"a"}\n')
        handler.close()

        assert asked == [(SCOPE,)]

    def test_if_none_gets_a_token_each_is_told_with_its_reason(self, ids):
        """Those that could not be built, too."""
        made = make_credential(
            {
                "chained": [
                    "workload_identity",
                    "environment",
                    {"certificate": ids | {"certificate_path": "/nowhere.pem"}},
                ]
            },
            "public",
        )
        with pytest.raises(Exception, match="Attempted credentials") as caught:
            made.get_token(SCOPE)
        made.close()
        said = token_error_text(caught.value)

        assert "WorkloadIdentity: ValueError" in said
        assert "Environment: unavailable" in said
        assert "Certificate: FileNotFoundError" in said


@pytest.mark.parametrize("credential", [{"client_secret": {"client_secret": SECRET}}, {"chained": ["azure_cli"]}])
def test_a_pipeline_with_named_credentials_can_be_pickled(credential):
    """Worker processes build their own."""
    credential = {
        name: options if name == "chained" else options | {"tenant_id": "t", "client_id": "c"}
        for name, options in credential.items()
    }
    pipeline = Pipeline(credential=credential, destination=FakeDestination(), background=False)

    assert pickle.loads(pickle.dumps(pipeline)) is pipeline
    assert SECRET not in repr(pipeline.settings)
    pipeline.close()


def test_a_pipeline_with_an_object_in_its_chain_cannot_be_pickled():
    """The sentence says what to do."""

    class Own:
        def get_token(self, *scopes, **options):
            """Stand for any."""

    pipeline = Pipeline(credential={"chained": [Own()]}, destination=FakeDestination(), background=False)
    with pytest.raises(TypeError, match="a pipeline with a credential object cannot be pickled"):
        pickle.dumps(pipeline)
    pipeline.close()
