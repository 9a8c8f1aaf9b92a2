"""DKIM: signing, verification and keys (RFC 6376, RFC 8301, RFC 8463)."""

from dns_checks.dkim.sign import (
    SignaturePolicy,
    Signer,
    SigningRequest,
    UnsignableMessageError,
    sign,
)
from dns_checks.dkim.verify import DkimResult, DkimVerdict, VerifyPolicy, verify

__all__ = [
    "DkimResult",
    "DkimVerdict",
    "SignaturePolicy",
    "Signer",
    "SigningRequest",
    "UnsignableMessageError",
    "VerifyPolicy",
    "sign",
    "verify",
]
