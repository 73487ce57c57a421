"""TLS as a client: the CA that verifies the server, and the certificate that the server may ask for."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final, NamedTuple, Self

from pydantic import SecretStr

# What people have in place of PEM, by its first bytes.
_OTHER_FORMATS: Final = (
    (
        b"\xfe\xed\xfe\xed",
        "a Java keystore; `keytool -exportcert -rfc` writes a certificate as PEM",
    ),
    (b"\x30", "DER or PKCS #12; `openssl x509 -inform der` or `openssl pkcs12` writes PEM"),
    (b"\xff\xfe", "text in UTF-16; save it as UTF-8"),
    (b"-----BEGIN OPENSSH", "a key of OpenSSH; `ssh-keygen -p -m PEM` writes PEM"),
)


class TlsNames(NamedTuple):
    """The settings that name the files of a client, for messages."""

    ca: str
    certificate: str
    key: str
    password: str

    @classmethod
    def of(cls, prefix: str) -> Self:
        """The settings that begin with `prefix`."""
        return cls(*(f"{prefix}_{ending}" for ending in ("ca_file", "certificate_file", "key_file", "key_password")))


OF_REDIS_URL: Final = TlsNames(
    "redis: ssl_ca_certs", "redis: ssl_certfile", "redis: ssl_keyfile", "redis: ssl_password"
)


class TlsFiles(NamedTuple):
    """PEM files of a client, and the password of its key.

    ca: the CAs that are trusted; None for those of the system. certificate: what the client shows, with the chain up to
    its CA; key: its private key, None where the certificate's file holds it too.
    """

    ca: Path | None
    certificate: Path | None
    key: Path | None
    key_password: SecretStr | None

    def find_problems(self, names: TlsNames) -> list[str]:
        """What is wrong with the files, each problem with the setting that names the file."""
        problems = []
        for name, path in ((names.ca, self.ca), (names.certificate, self.certificate), (names.key, self.key)):
            problem = path and (_unreadable(path) or _of_another_format(path))
            if problem:
                problems.append(f"{name}: {problem}")
        if self.key and not self.certificate:
            problems.append(f"{names.key} needs {names.certificate}")
        return problems or self._unusable(names)

    def _unusable(self, names: TlsNames) -> list[str]:
        problems = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.ca:
            try:
                context.load_verify_locations(self.ca)
            except ssl.SSLError as error:
                problems.append(f"{names.ca}: {self.ca} holds no certificates in PEM ({error.reason or error})")
        if self.certificate:
            try:
                self._load_certificate(context)
            except ssl.SSLError as error:
                problems.append(f"{names.certificate}: {self._explain(error, names)}")
            except ValueError as error:
                problems.append(f"{names.password}: {error}")
        return problems

    def _explain(self, error: ssl.SSLError, names: TlsNames) -> str:
        reason = _reason(error)
        key = self.key or self.certificate
        if not _holds(self.certificate, b"-----BEGIN CERTIFICATE"):
            return f"{self.certificate} holds no certificate in PEM"
        if not _holds(key, b"PRIVATE KEY-----"):
            return f"{key} holds no private key in PEM; {names.key} names the file of the certificate's key"
        if "MISMATCH" in reason:
            return f"the key in {key} is not that of the certificate in {self.certificate}"
        if "DECRYPT" in reason or "PASSWORD" in reason:
            return f"the key in {key} is encrypted, and {names.password} does not open it"
        return f"{self.certificate} and {key} hold no certificate and key in PEM ({reason})"

    def _load_certificate(self, context: ssl.SSLContext) -> None:
        password = self.key_password.get_secret_value() if self.key_password else ""
        # Without a password, OpenSSL would ask for one at the terminal.
        context.load_cert_chain(str(self.certificate), self.key, lambda: password)

    def context(self) -> ssl.SSLContext:
        """The context of a connection that verifies the server's certificate and its name."""
        context = ssl.create_default_context(cafile=self.ca)
        if self.certificate:
            self._load_certificate(context)
        return context


def _holds(path: Path | None, mark: bytes) -> bool:
    return path is not None and mark in path.read_bytes()


def _unreadable(path: Path) -> str | None:
    if path == Path():
        return "the name is empty; leave the setting out, or name a file"
    if str(path).lstrip().startswith("-----BEGIN"):
        return "it holds what should be in the file; name the file"  # never shown: it may be a key
    try:
        path.read_bytes()
    except OSError as error:
        return f"{path}: {(error.strerror or str(error)).lower()}"
    except ValueError as error:  # a name with a NUL
        return f"{str(path)!r}: {error}"
    return None


def _of_another_format(path: Path) -> str | None:
    """What the file is in place of PEM; None for what OpenSSL reads, or nobody knows."""
    content = path.read_bytes()
    if not content.strip():
        return f"{path} is empty"
    for begins, what in _OTHER_FORMATS:
        if content.startswith(begins):
            return f"{path} is not PEM but {what}"
    if b"-----\\n" in content:
        return f"{path} has \\n in place of the ends of its lines; `printf %b` writes them"
    return None


def _reason(error: ssl.SSLError) -> str:
    """OpenSSL's name of the error; a wrong password has none."""
    return error.reason or "BAD DECRYPT"
