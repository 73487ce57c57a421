"""Why a connection to a server fails, as far as the network and TLS know, and what to do."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator
from typing import NamedTuple


class Cause(NamedTuple):
    """What is wrong, and what to do about it."""

    problem: str
    advice: str


_NAME_MISMATCH = {62, 64}  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "PACKET_LENGTH")
_OUR_CERTIFICATE = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "ALERT_UNKNOWN_CA", "CERTIFICATE_UNKNOWN", "_EXPIRED")
_CLOCK = 9, 10  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED


def errors_of(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that led to it."""
    seen: set[int] = set()
    left: BaseException | None = error
    while left is not None and id(left) not in seen:
        seen.add(id(left))
        yield left
        left = left.__cause__ or left.__context__


def find_cause(error: BaseException, server: str, *, has_certificate: bool) -> Cause | None:
    """The cause that an error of the network or of TLS stands for; None for another error.

    server: `kafka` or `redis`, with which the names of its settings begin. has_certificate: whether the client has one
    to show.
    """
    found = [find_tls_cause(error, server, has_certificate=has_certificate)]
    found += [_network_cause(one, server) for one in errors_of(error)]
    return next(filter(None, found), None)


def find_tls_cause(error: BaseException, server: str, *, has_certificate: bool) -> Cause | None:
    """As `find_cause` for errors of TLS alone; `server` may be `registry`, too."""
    found = (_tls_cause(one, server, has_certificate) for one in errors_of(error))
    return next(filter(None, found), None)


def _network_cause(error: BaseException, server: str) -> Cause | None:
    start = " (`sentiment stack` runs a local one)"
    another = f"or name another with --{server} (SENTIMENT_{server.upper()})"
    if isinstance(error, ConnectionRefusedError) or _says(error, errno.ECONNREFUSED):
        return Cause("does not answer (connection refused: nothing listens there)", f"Start it{start}, {another}")
    if isinstance(error, socket.gaierror) or "Name or service not known" in str(error):
        problem = f"does not answer (its name cannot be resolved: {error})"
        return Cause(problem, f"Correct the name, {another}")
    if isinstance(error, FileNotFoundError) or _says(error, errno.ENOENT):
        return Cause("does not answer (there is no such socket)", f"Start it{start}, {another}")
    if _says(error, errno.EHOSTUNREACH) or _says(error, errno.ENETUNREACH):
        return Cause("does not answer (no route leads there)", f"Look at the network between here and there, {another}")
    return None


def _says(error: BaseException, number: int) -> bool:
    """Whether the error is of this number; for several addresses of a name, and in redis-py's own, by their text."""
    if isinstance(error, OSError) and error.errno == number:
        return True
    return bool(re.search(rf"(\[Errno |Error ){number}\b", str(error)))


def _tls_cause(error: BaseException, server: str, has_certificate: bool) -> Cause | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_cause(error, server)
    if not isinstance(error, ssl.SSLError) or not error.reason:
        return None
    if any(name in error.reason for name in _NO_TLS):
        return no_tls(server)
    if any(name in error.reason for name in _OUR_CERTIFICATE):
        return client_certificate(error.reason, server, has_certificate)
    return Cause(f"TLS fails ({error.reason})", "Compare the versions and ciphers of TLS that both sides allow")


def _certificate_cause(error: ssl.SSLCertVerificationError, server: str) -> Cause:
    problem = f"its certificate is not accepted ({error.verify_message.rstrip('.')})"
    if error.verify_code in _NAME_MISMATCH:
        return Cause(problem, f"Name it by --{server} as its certificate does, or give it one for this name")
    if error.verify_code in _CLOCK:
        return Cause(problem, "Renew the certificate, and compare the clocks")
    setting = f"--{server}-ca-file (SENTIMENT_{server.upper()}_CA_FILE)"
    return Cause(problem, f"Name the CA that signed it with {setting}")


def client_certificate(reason: str, server: str, has_certificate: bool) -> Cause:
    """The cause where the server says no to the client's certificate, or to its lack of one."""
    if not has_certificate:
        advice = f"Name one with --{server}-certificate-file and --{server}-key-file"
        return Cause(f"it wants a client certificate, and there is none ({reason})", advice)
    problem = f"it does not accept the client certificate ({reason})"
    return Cause(problem, f"Name one with --{server}-certificate-file that is valid and signed by a CA that it trusts")


def no_tls(server: str) -> Cause:
    """The cause where TLS is tried on a port that does not speak it."""
    advice = {
        "kafka": "Name the port of its TLS listener, or set --kafka-security PLAINTEXT (with a login: SASL_PLAINTEXT)",
        "redis": "Name its TLS port, or write redis:// in place of rediss://",
        "registry": "Name its TLS port, or write http:// in place of https://",
    }
    return Cause("it does not speak TLS on this port", advice[server])


def wants_tls(server: str) -> Cause:
    """The cause where a port speaks TLS alone, and the client does not."""
    if server == "kafka":
        advice = "Set --kafka-security SSL (with a login: SASL_SSL)"
    else:
        advice = "Write rediss:// in place of redis://"
    return Cause("it speaks TLS on this port, and the connection was made without", advice)


def tell_protocol(answer: bytes) -> str | None:
    """The protocol of a server that answers so to `GET / HTTP/1.0`; None for one that is not known."""
    if answer.startswith(b"HTTP/"):
        return "HTTP"
    if answer.startswith((b"-ERR", b"-NOAUTH", b"-DENIED")):
        return "Redis' protocol"
    # Alerts of TLS begin so: content type 21, and a version.
    return "TLS" if answer[:2] == b"\x15\x03" else None
