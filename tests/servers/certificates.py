"""Certificates made for a test: a CA, a server's and a client's, in PEM."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

ALICE, KEY_PASSWORD = "alice", "key pass"


class Certificates(NamedTuple):
    """PEM files. client_key is encrypted with KEY_PASSWORD; stranger is a CA that has signed nothing."""

    ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path
    stranger: Path


def make_certificates(folder: Path, *server_names: str) -> Certificates:
    """A server's certificate for `server_names`, and a client's for ALICE, signed by one CA."""
    names = ("ca", "server", "server-key", "client", "client-key", "stranger")
    files = Certificates(*(folder / f"{name}.pem" for name in names))
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(files.ca))
    _write(ca.issue_cert(*server_names), files.server, files.server_key, NoEncryption())
    client = ca.issue_cert("alice.test", common_name=ALICE)
    _write(client, files.client, files.client_key, BestAvailableEncryption(KEY_PASSWORD.encode()))
    trustme.CA().cert_pem.write_to_path(str(files.stranger))
    return files


def _write(issued: trustme.LeafCert, chain: Path, key: Path, encryption: KeySerializationEncryption) -> None:
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    private = load_pem_private_key(issued.private_key_pem.bytes(), None)
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
