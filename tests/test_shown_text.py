"""Which parts of a text are secrets, and which signs do not show."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import URL

from toolkit.config import Database
from toolkit.shown_text import address_without_secrets, json_escaped, printable, without_secrets


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me:{}@host/db",
        "postgresql://me@corp:{}@host/db is asked",
        "postgresql://me:with spaces and / and @{}@host/db",
        "postgresql%3A%2F%2Fme%3A{}%40host",
        "postgresql://host/db?sslpassword={}: no server answers",
        "postgresql://host/db?oauth_client_secret={}&sslmode=require",
        "postgresql://host/db?options=-c%20x%3D{}",
        "'postgresql://host/db?pass%77ord={}'",
        "https://host?x=postgresql%3A%2F%2Fhost%3Fpassword%3D{}%26sslmode%3Drequire",
        "host=127.0.0.1 password = {} dbname=x",
        "host=127.0.0.1 password = 'with spaces {}' dbname=x",
        "password='cut off {}",
        r"password=with\ spaces\ {}",
        "password=with'quotes'{}",
        "dbname=x options='-c custom={}'",
        "PGPASSWORD={} psql",
        "s3://bucket?secret_access_key={}",
        "s3://bucket?secret%5Faccess%5Fkey={}",
        "s3://bucket?X-Amz-Credential={}&X-Amz-Date=2020",
        "az://container?sv=2020&sig={}&se=2030",
        "gs://bucket?service_account_key={}",
        "GET https://host/o?token={} failed",
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey={};EndpointSuffix=core",
        "BlobEndpoint=https://a;SharedAccessSignature={}",
        "1 validation error [input_value={{'db_password': '{}'}}]",
        '{{"client_secret": "{}"}}',
    ],
)
def test_a_secret_is_hidden_wherever_its_name_says_that_it_is_one(text: str) -> None:
    shown = without_secrets(text.format("hunter2"))
    assert "hunter2" not in shown
    assert "***" in shown
    assert without_secrets(shown) == shown


SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=["Cs"]), min_size=3)


@given(SECRETS, st.sampled_from(["password", "sslpassword", "oauth_client_secret", "token", "sig", "options"]))
def test_no_part_of_any_password_is_left(password: str, name: str) -> None:
    secret = f"hunter2{password}hunter2"
    url = URL.create("postgresql", "me", secret, "host", 5, "db", {name: secret}).render_as_string(hide_password=False)
    quoted = secret.replace("\\", r"\\").replace("'", r"\'")
    for text in (url, f"There is no table {url!r}.", f"host=h password = '{quoted}' dbname=d"):
        assert "hunter2" not in without_secrets(text)
    assert "hunter2" not in Database("", url).shown_url


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me@host:5432/a -> postgresql://me@host:5433/b",
        "postgresql://host:5432/a -> postgresql://me@host/b",
        "session token=4711 sig=5 key=6 is refused",
        "metric host=web1, key=cpu, token=5: column 'value' is refused",
        "the login needs secret_id=5, password_file=/x and access_key_id=AKIA",
        "the password was refused: check PGPASSWORD or ~/.pgpass",
        "s3://bucket/prefix?region=eu&skip_signature=true",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_secrets(text) == text


@pytest.mark.parametrize(
    "address", ["s3://bucket?a=b&token=with spaces: {}", "s3://AK:a/b c@{}@bucket/p", "/directory?sas='{}'"]
)
def test_of_an_address_the_whole_value_of_a_parameter_is_hidden(address: str) -> None:
    assert "hunter2" not in address_without_secrets(address.format("hunter2"))


@pytest.mark.parametrize("text", ["x" * 1_000_000, "a=b&" * 100_000, "http://x:" * 3_000, "password = " * 50_000])
def test_a_long_text_takes_no_long_time(text: str) -> None:
    began = time.monotonic()
    without_secrets(text)
    assert time.monotonic() - began < 5


EVIL = "a\x1b]0;b\x07\x9b31m\x7f\r\n\u202e\u2066\u2028\u200b\ufeff\udc80\U000e0001é日本\xa0🙂"


def test_signs_that_do_not_show_are_escaped_and_all_others_stay() -> None:
    shown = printable(EVIL)
    assert shown == (r"a\x1b]0;b\x07\x9b31m\x7f\r\n\u202e\u2066\u2028\u200b\ufeff\udc80\U000e0001" + "é日本\xa0🙂")
    assert printable(shown) == shown


def test_json_has_the_same_value_with_escapes_of_its_own() -> None:
    escaped = json_escaped(json.dumps({"key": [EVIL, {EVIL: 1}]}, indent=2, ensure_ascii=False))
    assert json.loads(escaped) == {"key": [EVIL, {EVIL: 1}]}
    assert all(printable(line) == line for line in escaped.split("\n"))
    assert "é日本\xa0🙂" in escaped
