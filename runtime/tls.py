"""Mutual TLS between the services, by three files that may be renewed at any time."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import grpc

from runtime.settings import Settings

_LOOK_AGAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Files:
    """Where a process's certificate, its key and the common authority stand (PEM)."""

    cert: Path
    key: Path
    ca: Path

    def stamp(self) -> tuple[int, ...]:
        """Changes when a file is renewed."""
        return tuple(path.stat().st_mtime_ns for path in (self.cert, self.key, self.ca))

    def read(self) -> tuple[bytes, bytes, bytes]:
        """Certificate, key and authority."""
        return self.cert.read_bytes(), self.key.read_bytes(), self.ca.read_bytes()


def files(settings: Settings) -> Files | None:
    """The files that the settings name; None: no TLS."""
    cert, key, ca = settings.tls_cert_file, settings.tls_key_file, settings.tls_ca_file
    return Files(cert, key, ca) if cert and key and ca else None


def server_credentials(source: Files) -> grpc.ServerCredentials:
    """Credentials that ask callers for a certificate, read anew when the files change."""
    seen = source.stamp()

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal seen
        try:
            stamp = source.stamp()
            if stamp == seen:
                return None
            seen = stamp
            return _configuration(source)
        except OSError:  # mid-renewal: the old ones still serve
            return None

    return grpc.dynamic_ssl_server_credentials(
        _configuration(source),
        renewed,  # type: ignore[arg-type] # None: no change
        require_client_authentication=True,
    )


def _configuration(source: Files) -> grpc.ServerCertificateConfiguration:
    cert, key, ca = source.read()
    return grpc.ssl_server_certificate_configuration([(key, cert)], root_certificates=ca)


def caller_names(context: grpc.aio.ServicerContext[Any, Any]) -> set[str]:
    """The names in the certificate of a call's peer; none without TLS."""
    auth = context.auth_context()
    keys = ("x509_subject_alternative_name", "x509_common_name")
    return {name.decode(errors="replace") for key in keys for name in auth.get(key, ())}


R = TypeVar("R")


class Renewing(Generic[R]):
    """Something made from the files, made again once they have changed."""

    def __init__(self, source: Files, make: Callable[[Files], R]) -> None:
        self._source = source
        self._make = make
        self._stamp = source.stamp()
        self._looked = time.monotonic()
        self.value = make(source)

    def current(self) -> R:
        """The value for the files as they are, looked at once a second at the most."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_AGAIN_S:
            self._looked = now
            try:
                stamp = self._source.stamp()
                if stamp != self._stamp:
                    self.value, self._stamp = self._make(self._source), stamp
            except OSError:  # mid-renewal: the old ones still serve
                pass
        return self.value
