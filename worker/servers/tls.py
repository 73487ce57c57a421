"""TLS as a client: the CA that verifies the server, and the certificate that the server may ask for."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr


class TlsFiles(NamedTuple):
    """PEM files of a client, and the password of its key.

    ca: the CAs that are trusted; None for those of the system. certificate: what the client shows, with the chain up to
    its CA; key: its private key, None where the certificate's file holds it too.
    """

    ca: Path | None
    certificate: Path | None
    key: Path | None
    key_password: SecretStr | None

    def find_problems(self, prefix: str) -> list[str]:
        """What is wrong with the files, each problem with the setting that names the file: `prefix` and its ending."""
        problems = []
        for name, path in (("ca", self.ca), ("certificate", self.certificate), ("key", self.key)):
            problem = path and _unreadable(path)
            if problem:
                problems.append(f"{prefix}_{name}_file: {problem}")
        if self.key and not self.certificate:
            problems.append(f"{prefix}_key_file needs {prefix}_certificate_file")
        return problems or self._unusable(prefix)

    def _unusable(self, prefix: str) -> list[str]:
        problems = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.ca:
            try:
                context.load_verify_locations(self.ca)
            except ssl.SSLError as error:
                problems.append(f"{prefix}_ca_file: {self.ca} holds no certificates in PEM ({_reason(error)})")
        if self.certificate:
            try:
                self._load_certificate(context)
            except ssl.SSLError as error:
                problems.append(f"{prefix}_certificate_file: {self._explain(error, prefix)}")
            except ValueError as error:
                problems.append(f"{prefix}_key_password: {error}")
        return problems

    def _explain(self, error: ssl.SSLError, prefix: str) -> str:
        reason = _reason(error)
        key = self.key or self.certificate
        if not _holds(self.certificate, b"-----BEGIN CERTIFICATE"):
            return f"{self.certificate} holds no certificate in PEM"
        if not _holds(key, b"PRIVATE KEY-----"):
            return f"{key} holds no private key in PEM; {prefix}_key_file names the file of the certificate's key"
        if "MISMATCH" in reason:
            return f"the key in {key} is not that of the certificate in {self.certificate}"
        if "DECRYPT" in reason or "PASSWORD" in reason:
            return f"the key in {key} is encrypted, and {prefix}_key_password does not open it"
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
    try:
        path.read_bytes()
    except OSError as error:
        return f"{path}: {(error.strerror or str(error)).lower()}"
    return None


def _reason(error: ssl.SSLError) -> str:
    """OpenSSL's name of the error; a wrong password has none."""
    return error.reason or "BAD DECRYPT"
