"""Certificates, keys and logins are checked when settings are loaded; each mistake is named, and no secret shown."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.servers.certificates import KEY_PASSWORD, Certificates, make_certificates
from worker.errors import SettingsError
from worker.servers import fields
from worker.settings import load_settings


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), "localhost")


def test_certificates_that_fit_are_accepted(files: Certificates) -> None:
    settings = load_settings(
        kafka_security="SSL",
        kafka_ca_file=files.ca,
        kafka_certificate_file=files.client,
        kafka_key_file=files.client_key,
        kafka_key_password=KEY_PASSWORD,
    )
    assert settings.kafka_tls.context().get_ca_certs()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kafka_key_password": "wrong"}, "kafka_key_password does not open it"),
        ({"kafka_key_password": None}, "kafka_key_password does not open it"),
        ({"kafka_key_file": "server_key"}, "is not that of the certificate"),
        ({"kafka_certificate_file": "absent"}, "no such file"),
        ({"kafka_certificate_file": None}, "needs kafka_certificate_file"),
        ({"kafka_ca_file": "client_key"}, "no certificates in PEM"),
        ({"kafka_security": "PLAINTEXT"}, "kafka_certificate_file needs kafka_security SSL"),
        ({"kafka_security": "PLAINTEXT"}, "kafka_ca_file needs kafka_security SSL"),
    ],
)
def test_a_file_of_tls_that_cannot_be_used_is_named(
    files: Certificates, changes: dict[str, Any], expected: str
) -> None:
    flags = {
        "kafka_security": "SSL",
        "kafka_ca_file": "ca",
        "kafka_certificate_file": "client",
        "kafka_key_file": "client_key",
        "kafka_key_password": KEY_PASSWORD,
    } | changes
    paths = {
        name: getattr(files, str(value), value) if name.endswith("file") else value for name, value in flags.items()
    }
    with pytest.raises(SettingsError, match=expected):
        load_settings(**paths)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"kafka_sasl_mechanism": "OAUTHBEARER"}, "kafka_oauth_token_url, kafka_oauth_client_id"),
        ({"kafka_sasl_mechanism": "AWS_MSK_IAM"}, "kafka_aws_region"),
        ({"kafka_sasl_mechanism": "GSSAPI"}, "pip install gssapi"),
    ],
)
def test_what_a_login_lacks_is_named(monkeypatch: pytest.MonkeyPatch, flags: dict[str, Any], expected: str) -> None:
    monkeypatch.setattr(fields, "find_spec", lambda module: None if module == "gssapi" else module)
    with pytest.raises(SettingsError, match=expected):
        load_settings(kafka_security="SASL_SSL", **flags)


def test_what_is_set_for_a_connection_that_has_no_use_for_it_is_named(files: Certificates) -> None:
    for flags, expected in (
        ({"registry": "http://h", "registry_ca_file": files.ca}, "registry_ca_file needs a registry URL with https"),
        ({"registry_ca_file": files.ca}, "registry_ca_file needs a registry URL with https"),
        ({"kafka_oauth_ca_file": files.ca}, "kafka_oauth_ca_file needs a kafka_oauth_token_url with https"),
        ({"redis_ca_file": files.ca}, "redis_ca_file needs a redis URL with rediss"),
        ({"kafka_username": "a"}, "kafka_username needs kafka_security SASL_SSL"),
        ({"registry_username": "a:b", "registry_password": "c"}, "registry_username must not hold a colon"),
    ):
        with pytest.raises(SettingsError, match=expected):
            load_settings(**flags)


def test_a_file_that_lacks_its_certificate_or_key_is_named_as_that(files: Certificates) -> None:
    for flags, expected in (
        ({"kafka_certificate_file": files.client}, r"client.pem holds no private key in PEM; kafka_key_file names"),
        ({"kafka_certificate_file": files.server_key, "kafka_key_file": files.server}, "holds no certificate in PEM"),
        (
            {
                "kafka_certificate_file": files.client,
                "kafka_key_file": files.client_key,
                "kafka_key_password": "x" * 5000,
            },
            "kafka_key_password: password cannot be longer",
        ),
        ({"kafka_ca_file": ""}, "kafka_ca_file: the name is empty"),
    ):
        with pytest.raises(SettingsError, match=expected):
            load_settings(kafka_security="SSL", **flags)


def test_a_file_of_another_format_than_pem_is_named_as_that(files: Certificates, tmp_path: Path) -> None:
    pem = files.ca.read_bytes()
    for content, expected in (
        (b"", "is empty"),
        (b"\xfe\xed\xfe\xed\0\0\0\2", "a Java keystore; `keytool"),
        (ssl.PEM_cert_to_DER_cert(pem.decode()), "DER or PKCS #12; `openssl"),
        (pem.decode().encode("utf-16"), "text in UTF-16"),
        (pem.replace(b"\n", b"\\n"), "in place of the ends of its lines"),
        (pem[: len(pem) // 2], r"holds no certificates in PEM \((?!BAD DECRYPT)"),
    ):
        file = tmp_path / "file.pem"
        file.write_bytes(content)
        for flags in ({"kafka_security": "SSL", "kafka_ca_file": file}, {"redis": f"rediss://h?ssl_ca_certs={file}"}):
            with pytest.raises(SettingsError, match=expected):
                load_settings(**flags)
    for content in (pem.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + pem, b"subject=/CN=x\n" + pem):
        file.write_bytes(content)
        assert load_settings(kafka_security="SSL", kafka_ca_file=file).kafka_tls.context().get_ca_certs()


def test_a_key_in_the_place_of_its_file_s_name_is_named_and_not_shown(files: Certificates) -> None:
    for key in (files.server_key.read_text(), "\n" + files.server_key.read_text()):
        with pytest.raises(SettingsError, match="kafka_key_file: it holds what should be in the file") as caught:
            load_settings(kafka_security="SSL", kafka_certificate_file=files.server, kafka_key_file=key)
        assert "PRIVATE KEY" not in str(caught.value)
    with pytest.raises(SettingsError, match=r"kafka_ca_file: .*null byte"):
        load_settings(kafka_security="SSL", kafka_ca_file="a\0b")
