"""A private authority, and one certificate per service signed by it.

    secrets/tls/authority/   cert.pem, key.pem, and previous.pem after a change of authority
    secrets/tls/<service>/   cert.pem, key.pem, ca.pem: what that service's container is given

Services read these files anew when they change, so a certificate is renewed without a restart.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy import files

SERVICES: Final = ("edge", "router_svc", "agent_svc", "memory_svc", "formatter_svc")

AUTHORITY_LIFE: Final = timedelta(days=3650)
CERTIFICATE_LIFE: Final = timedelta(days=397)
RENEW_BEFORE: Final = timedelta(days=30)

_TAKEN_AFTER_S: Final = 3.0
"""Running services look at their files once a second; every one has taken a new authority by
then."""

Key: TypeAlias = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Authority:
    """Who signs the services' certificates."""

    cert: x509.Certificate
    key: Key


def ensure(tls: Path, services: Sequence[str] = SERVICES) -> list[str]:
    """Makes what is missing, renews what ends within 30 days. Returns whose certificates."""
    authority = _authority(files.folder(tls) / "authority")
    due = [name for name in services if _is_due(tls / name / "cert.pem")]
    for name in due:
        _issue(tls, name, authority)
    return due


def renew(tls: Path, services: Sequence[str] = SERVICES) -> None:
    """Gives every service a new certificate from the same authority."""
    authority = _authority(files.folder(tls) / "authority")
    for name in services:
        _issue(tls, name, authority)


def change_authority(tls: Path, services: Sequence[str] = SERVICES) -> None:
    """Makes a new authority, then certificates from it, under running services.

    All services trust both authorities before the first certificate of the new one is seen.
    The older one is trusted until the next change.
    """
    folder = tls / "authority"
    files.replace(folder / "previous.pem", (folder / "cert.pem").read_bytes())
    (folder / "cert.pem").unlink()
    authority = _authority(folder)
    for name in services:
        files.replace(tls / name / "ca.pem", _trusted(tls))
    time.sleep(_TAKEN_AFTER_S)
    for name in services:
        _issue(tls, name, authority)


def _authority(folder: Path) -> Authority:
    files.folder(folder)
    cert, key = folder / "cert.pem", folder / "key.pem"
    if cert.exists():
        loaded = serialization.load_pem_private_key(key.read_bytes(), None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key}: is no key of an elliptic curve")
        return Authority(x509.load_pem_x509_certificate(cert.read_bytes()), loaded)
    made = _new_authority()
    files.replace(key, _key_pem(made.key), mode=0o400)
    files.replace(cert, _cert_pem(made.cert))
    return made


def _new_authority() -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    # A name of its own: among authorities of one name, only the first would be tried.
    name = _name(f"Switchboard private authority {secrets.token_hex(4)}")
    cert = (
        _unsigned(name, name, key, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(cert, key)


def _issue(tls: Path, name: str, authority: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    # localhost: a container's health check calls its own service.
    names = [x509.DNSName(name), x509.DNSName("localhost")]
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    cert = (
        _unsigned(_name(name), authority.cert.subject, key, CERTIFICATE_LIFE)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    # Open to containers, which get this folder alone; closed to others by the folder above.
    folder = files.folder(tls / name, 0o755)
    files.replace(folder / "ca.pem", _trusted(tls))
    files.replace(folder / "key.pem", _key_pem(key))
    files.replace(folder / "cert.pem", _cert_pem(cert))


def _trusted(tls: Path) -> bytes:
    folder = tls / "authority"
    bundle = [folder / "cert.pem", folder / "previous.pem"]
    return b"".join(path.read_bytes() for path in bundle if path.exists())


def _is_due(cert: Path) -> bool:
    if not cert.exists():
        return True
    ends = x509.load_pem_x509_certificate(cert.read_bytes()).not_valid_after_utc
    return ends - datetime.now(UTC) < RENEW_BEFORE


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _unsigned(
    subject: x509.Name, issuer: x509.Name, key: Key, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))  # for clocks that are a little behind
        .not_valid_after(now + life)
    )


def _usage(*, signs_certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _cert_pem(cert: x509.Certificate) -> bytes:
    return cert.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
