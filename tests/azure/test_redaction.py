"""Secrets in the texts of other libraries, which reports never show."""

import pytest

from logging_azmon._azure.redaction import without_secrets

JWT = "eyJ0eXAiOiJKV1QiLCJhbGciOi.eyJhdWQiOiJodHRwczovL21vbml0b3Ii.c2lnbmF0dXJl"


@pytest.fixture
def proxy(monkeypatch):
    def use(url, name="HTTPS_PROXY"):
        monkeypatch.setenv(name, url)

    return use


@pytest.mark.parametrize(
    "text",
    [
        f"Invalid leading whitespace, reserved character(s), or return character(s) in header value: 'Bearer {JWT}\\n'",
        "header value: 'Bearer opaque-s3cret\\n'",
        f"cannot decode {JWT}",
        f"bearer {JWT} was refused",
    ],
)
def test_a_token_is_removed_from_a_text(text):
    """requests quotes the header that it cannot send."""
    shown = without_secrets(text)

    assert "eyJ" not in shown
    assert "s3cret" not in shown
    assert "(not shown)" in shown


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://user:s3cret@127.0.0.1:99999", "Failed to parse: http://user:s3cret@127.0.0.1:99999"),
        ("http://user:s3#cret@proxy:8080", "Failed to parse: 'user:s3' is not a valid host or port"),
        ("http://user:top/s3cret@proxy:8080", "Port could not be cast to integer value as 'top'"),
        ("http://user:s3cret?x@proxy:8080", "Port could not be cast to integer value as 's3cret'"),
        ("user:s3cret@proxy:8080", "Failed to parse: user:s3cret@proxy:8080"),
    ],
)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxys_password_is_removed_from_a_text_however_a_parser_cuts_it(proxy, url, text, name):
    """An unescaped #, / or ? ends the host for a parser."""
    proxy(url, name)
    shown = without_secrets(text)

    assert "s3cret" not in shown
    assert "'top'" not in shown
    assert "cret" not in shown
    assert "'user:s" not in shown


@pytest.mark.parametrize("url", ["", "http://proxy:8080", "http://u:x@proxy:8080"])
def test_a_text_without_secrets_is_left_as_it_is(proxy, url):
    """A password of one or two characters would tear apart other words."""
    proxy(url)
    text = "Name or service not known: dce-1.westeurope-1.ingest.monitor.azure.com; example text"

    assert without_secrets(text) == text


def test_the_login_of_any_url_is_removed():
    assert without_secrets("https://me:pass@host/x failed") == "https://host/x failed"
