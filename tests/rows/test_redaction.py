"""What `redact=` finds in text, and what it leaves: a corpus of each, checksums, time, and structures."""

import re
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logging_azmon._config.redaction import Redaction
from logging_azmon._rows.redaction import checksums
from logging_azmon._rows.redaction.redactor import MAX_TEXT, PRESETS, Redactor
from support.pages import read
from support.redaction_corpus import NO_SECRETS, NOT_PERSONAL, PERSONAL, SECRETS

CORPUS = {"secrets": (SECRETS, NO_SECRETS), "personal": (PERSONAL, NOT_PERSONAL)}


def redactor(*presets, patterns=(), keys=(), count=lambda replacements: None):
    return Redactor(Redaction(presets, tuple(map(re.compile, patterns)), frozenset(keys)), count)


def is_gone(secret, text):
    """Return whether nothing of a secret is left, of several lines none."""
    return not any(line in text for line in secret.splitlines() if not line.startswith("-----"))


class TestCorpus:
    @pytest.mark.parametrize("preset", CORPUS)
    def test_precision_and_recall_are_those_that_the_documentation_gives(self, preset):
        """At least 300 texts with something to redact, and 300 that only look like it."""
        true, false = CORPUS[preset]
        assert min(len(true), len(false)) >= 300
        assert len({text for text, _ in true}) > 0.95 * len(true)
        redact = redactor(preset).text
        found = sum(is_gone(secret, redact(text)) for text, secret in true)
        wrong = sum(redact(text) != text for text in false)

        recall, precision = found / len(true), found / (found + wrong)
        assert f'| `"{preset}"` | {len(true)} | {recall:.1%} | {len(false)} | {precision:.1%} |' in read("data")

    @pytest.mark.parametrize(("text", "secret"), [*SECRETS[::6], *PERSONAL[::10]], ids=lambda text: text[:60])
    def test_each_form_keeps_what_is_no_secret(self, text, secret):
        """What comes before it stays, so that the row can still be understood."""
        redacted = redactor("secrets", "personal").text(text)
        assert redacted == text or (is_gone(secret, redacted) and "[redacted: " in redacted)
        before = text.partition(secret)[0]
        assert redacted.startswith(before[: max(0, len(before) - 24)])

    @pytest.mark.parametrize("preset", CORPUS)
    def test_a_glance_never_overlooks_what_the_kinds_would_find(self, preset):
        """It only saves time."""
        may_hold, kinds = PRESETS[preset]
        for text, _ in [*CORPUS["secrets"][0], *CORPUS["personal"][0]]:
            if any(kind.replace(text)[1] for kind in kinds):
                assert may_hold(text), text

    @pytest.mark.parametrize("preset", CORPUS)
    def test_a_needed_string_is_in_all_that_a_kind_finds(self, preset):
        """It only saves time, too."""
        for kind in PRESETS[preset][1]:
            for text, _ in [*SECRETS, *PERSONAL]:
                assert not kind.replace(text)[1] or kind.needs in text


class TestForms:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("AUTHORIZATION: BEARER abcdef0123456789", "AUTHORIZATION: BEARER [redacted: header]"),
            ('{"password": "a b", "x": 1}', '{"password": "[redacted: secret]", "x": 1}'),
            ("pwd='it is'; next", "pwd='[redacted: secret]'; next"),
            ("password=hunter2, user=ann", "password=[redacted: secret], user=ann"),
            (
                "https://u:p@h/x https://u:q@h/y",
                "https://u:[redacted: url password]@h/x https://u:[redacted: url password]@h/y",
            ),
            ("Cookie: a=b; c=d\nHost: x", "Cookie: [redacted: cookie]\nHost: x"),
        ],
    )
    def test_only_the_value_is_replaced(self, text, expected):
        """Quotes, names and neighbours stay."""
        assert redactor("secrets").text(text) == expected

    def test_expressions_of_ones_own_are_replaced(self):
        """Each is marked as a pattern."""
        assert redactor(patterns=[r"\bC-\d{4}\b"]).text("customer C-1234") == "customer [redacted: pattern]"

    def test_replacements_are_counted(self):
        """Once for each, and not at all if there is none."""
        counts = []
        redact = redactor("secrets", "personal", patterns=["x+"], count=counts.append).text
        redact("password=hunter2 a@example.com xx y xxx")
        redact("nothing")
        assert counts == [4]

    @pytest.mark.parametrize("preset", CORPUS)
    @pytest.mark.parametrize(
        "unit",
        ["a", "1", "A1", "eyJ", "a.", "1 ", "1:", "a:", "=", "a@", "+1", "password=", "-----BEGIN ", "://a:", "%"],
    )
    def test_the_time_grows_with_the_length_of_the_text_only(self, preset, unit):
        """Whoever can make an application log a text must not be able to stop it."""
        redact = redactor(preset).text
        text = (unit * MAX_TEXT)[: MAX_TEXT - 8]
        begun = time.perf_counter()
        redact(text)
        redact(f"password={text}")
        assert time.perf_counter() - begun < 5

    def test_text_beyond_what_a_value_may_hold_is_cut_first_with_a_margin(self):
        """A secret at the place where a value is cut is seen whole."""
        text = "x" * (MAX_TEXT - 8_192 - 20) + " password=hunter2hunter2hunter2hunter2hunter2" + "y" * 10**6
        redacted = redactor("secrets").text(text)
        assert "hunter" not in redacted
        assert len(redacted) <= MAX_TEXT + 100

    @given(st.text(alphabet=string.printable, max_size=200))
    def test_text_without_marks_is_returned_unchanged_or_marked(self, text):
        """Nothing else is ever done to it."""
        redacted = redactor("secrets", "personal").text(text)
        assert redacted == text or "[redacted: " in redacted


class TestStructures:
    def test_listed_keys_lose_their_values_at_any_depth(self):
        """Whatever the value is, and whatever the case of the key; a null shows that there was none."""
        tree = {"User": {"SSN": 5, "names": [{"ssn": {"a": 1}}, {"ssn": None}]}, "id": 1}
        assert redactor(keys=["ssn"]).value(tree) == {
            "User": {"SSN": "[redacted: key]", "names": [{"ssn": "[redacted: key]"}, {"ssn": None}]},
            "id": 1,
        }

    def test_texts_and_keys_are_redacted_at_any_depth(self):
        """A key may be a secret as well."""
        tree = {"a": ["password=hunter2", {"ann@example.com": (b"x", 1.5)}]}
        assert redactor("secrets", "personal").value(tree) == {
            "a": ["password=[redacted: secret]", {"[redacted: email]": ["x", 1.5]}]
        }

    def test_a_structure_in_a_column_for_text_stays_one(self):
        """Its keys still count."""
        assert redactor(keys=["pin"]).string({"pin": 1}) == {"pin": "[redacted: key]"}
        assert redactor("personal").string(b"ann@example.com") == "[redacted: email]"


class TestChecksums:
    @pytest.mark.parametrize(
        "number",
        [
            "4111111111111111",
            "378282246310005",
            "6011111111111117",
            "5555555555554444",
            "30569309025904",
            "3530111333300000",
        ],
    )
    def test_cards_of_each_issuer_are_known(self, number):
        """These are the issuers' own test numbers."""
        assert checksums.is_card(number)
        assert not checksums.is_card(number[:-1] + str((int(number[-1]) + 1) % 10))

    @pytest.mark.parametrize("number", ["0000000000000000", "1234567812345670", "9111111111111111"])
    def test_numbers_outside_the_issuers_ranges_are_none(self, number):
        """Although the checksum of some is right."""
        assert not checksums.is_card(number)

    @pytest.mark.parametrize(
        "account",
        ["DE89370400440532013000", "GB29NWBK60161331926819", "NO9386011117947", "MT84MALT011000012345MTLCAST001S"],
    )
    def test_accounts_are_checked_by_length_and_modulus(self, account):
        """The examples of the registry."""
        assert checksums.is_iban(account)
        assert not checksums.is_iban(account[:-1])
        assert not checksums.is_iban(account[:4] + account[:3:-1])
