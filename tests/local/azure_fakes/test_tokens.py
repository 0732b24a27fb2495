"""Tokens for the credentials of azure-identity."""

from support.local_client import call


def test_a_client_secret_gets_a_token_from_the_authority(workspace):
    form = b"grant_type=client_credentials&client_id=c&scope=https%3A%2F%2Fmonitor.azure.com%2F.default"
    answer = call(workspace, "POST", "/tenant/oauth2/v2.0/token", form)
    assert answer.json["token_type"] == "Bearer"
    assert answer.json["access_token"].count(".") == 2
    assert call(workspace, "POST", "/tenant/oauth2/v2.0/token", b"").status == 400
    configuration = call(workspace, "GET", "/tenant/v2.0/.well-known/openid-configuration").json
    assert configuration["token_endpoint"] == f"{workspace.endpoint}/tenant/oauth2/v2.0/token"


def test_a_managed_identity_gets_a_token_only_with_its_header(workspace):
    path = "/msi/token?api-version=2019-08-01&resource=https://monitor.azure.com"
    assert call(workspace, "GET", path).status == 400
    assert "access_token" in call(workspace, "GET", path, headers={"X-IDENTITY-HEADER": "local"}).json
    assert call(workspace, "POST", path).status == 404
