"""Signing (RFC 6376 section 5), relaxed/relaxed with SHA-256: the hottest function of the product.

A ``Signer`` prepares what depends on key and policy alone: field names, the folded ``h=`` tag for each shape of
header that it has met, the first part of the DKIM-Signature field in both forms. Per message remain one pass over
the header, one hash of the body and one of some 2 KB; the RSA or Ed25519 operation is for ``sealing``.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from dns_checks.dkim.canonical import is_relaxed_body, relaxed_body
from dns_checks.dkim.keys import ADVISED_RSA_BITS, MIN_RSA_BITS, PrivateKey
from dns_checks.dkim.sealing import SealingKey, UnsealedField, seal_all
from mailtypes.clock import SECOND, Microseconds
from mailtypes.domain import DomainName
from mailtypes.errors import InputSyntaxError, Span

_MAX_LINE = 76  # below the 78 of RFC 5322 section 2.1.1
_MAX_SHAPES = 128
_PIECE = 1984  # a multiple of SHA-256's block, below the 2,048 octets from which hashlib lets go of the lock
_HASHED_IN_PIECES = 128 * 1024
# RFC 5322 section 2.2: a field holds printable ASCII, space and tab, and line ends where it is folded.
_ASCII_HEADER = bytes(range(0x20, 0x7F)) + b"\t\r\n"
_UTF8_HEADER = _ASCII_HEADER + bytes(range(0x80, 0x100))


class UnsignableMessageError(InputSyntaxError):
    """A message that must not be signed as it is; ``message`` says why."""


@dataclass(frozen=True, slots=True)
class SignaturePolicy:
    """What a signature covers and for how long it holds.

    ``oversigned`` names are listed once more often than they occur, absent ones once: nobody can add such a field
    without breaking the signature (RFC 6376 section 8.15). ``signed`` names are listed as often as they occur.
    ``lifetime`` sets ``x=``. ``allow_utf8_headers`` is for SMTPUTF8 (RFC 6532), else 8-bit headers are refused.
    """

    oversigned: tuple[str, ...] = (
        "From",
        "To",
        "Cc",
        "Subject",
        "Date",
        "Reply-To",
        "Message-ID",
        "MIME-Version",
        "Content-Type",
        "List-Id",
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
    )
    signed: tuple[str, ...] = (
        "Sender",
        "Feedback-ID",
        "In-Reply-To",
        "References",
        "Content-Transfer-Encoding",
        "List-Help",
        "List-Subscribe",
        "List-Post",
        "List-Owner",
        "List-Archive",
    )
    identity: str | None = None
    lifetime: timedelta | None = None
    allow_utf8_headers: bool = False

    def __post_init__(self) -> None:
        names = [name.lower() for name in self.oversigned + self.signed]
        if "from" not in names:
            raise ValueError("RFC 6376 section 5.4: the From field must be signed")
        if len(set(names)) != len(names) or "dkim-signature" in names:
            raise ValueError("a name is listed twice, or is DKIM-Signature itself")
        if not all(name.isascii() and name.replace("-", "").isalnum() for name in names):
            raise ValueError("not the name of a header field")
        if self.lifetime is not None and self.lifetime < timedelta(seconds=1):
            raise ValueError("a signature lives at least one second")


DEFAULT_POLICY = SignaturePolicy()


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """Who signs, with which key and policy."""

    domain: DomainName
    selector: str
    private_key: PrivateKey
    policy: SignaturePolicy = DEFAULT_POLICY


def sign(message: bytes, request: SigningRequest, now: Microseconds) -> bytes:
    """The DKIM-Signature field for ``message``, with its final CRLF, to be put before the message.

    For one message; whoever signs many keeps a ``Signer``. Raises ``UnsignableMessageError``.
    """
    return Signer(request).sign(message, now)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What follows from how often each covered field occurs: the field up to the times, raw and canonical."""

    raw: bytes
    canonical: bytes


class Signer:
    """Signs for one domain, selector and key. Safe to call from several threads at once."""

    def __init__(self, request: SigningRequest) -> None:
        key = request.private_key
        if isinstance(key, RSAPrivateKey) and key.key_size < MIN_RSA_BITS:
            raise ValueError(f"RFC 8301: an RSA key needs {MIN_RSA_BITS} bits, better {ADVISED_RSA_BITS}")
        identity = request.policy.identity
        if identity is not None:
            _check_identity(identity, request.domain)
        # Refuses a selector that could break out of the field.
        selector = DomainName.parse(f"{request.selector}._domainkey.{request.domain.ascii}")
        self.key_name = selector.ascii
        self._request = request
        self._is_rsa = isinstance(key, RSAPrivateKey)
        self._key = SealingKey(key)
        self._policy = request.policy
        names = [*request.policy.oversigned, *request.policy.signed]
        self._names = tuple((name.lower().encode(), name.encode()) for name in names)
        self._covered_names = frozenset(lower for lower, _ in self._names)
        self._known_names = {name: lower for lower, name in self._names}
        self._oversigned = len(request.policy.oversigned)
        self._allowed = _UTF8_HEADER if request.policy.allow_utf8_headers else _ASCII_HEADER
        self._lifetime = request.policy.lifetime // timedelta(seconds=1) if request.policy.lifetime else None
        self._shapes: dict[tuple[int, ...], _Shape] = {}

    def sign(self, message: bytes, now: Microseconds) -> bytes:
        """The DKIM-Signature field with its final CRLF, dated ``now``. Raises ``UnsignableMessageError``.

        RSA and Ed25519 are deterministic: the same message, key and second give the same field.
        """
        end = _check_message(message)
        return seal_all([self.unsealed(message[:end], _body_digest(message, end + 4), now)])[0]

    def unsealed(self, header: bytes, body_digest: bytes, now: Microseconds) -> UnsealedField:
        """The field but for its signature, from the header (without the empty line) and the hash of the relaxed body.

        For several signatures on one message, and for many messages whose signatures are made together.
        Raises ``UnsignableMessageError``.
        """
        _check_header(header, self._allowed, utf8=self._policy.allow_utf8_headers)
        fields = self._relaxed_fields(header)
        if len(fields.get(b"from", ())) != 1:
            raise UnsignableMessageError(
                "the message has no From field, or more than one",
                next_step="RFC 5322 section 3.6 wants exactly one From field.",
            )
        return self._unsealed(fields, base64.b64encode(body_digest), now)

    def _relaxed_fields(self, header: bytes) -> dict[bytes, list[bytes]]:
        """The covered fields in relaxed form, by name in lower case, in the order of the message."""
        fields: dict[bytes, list[bytes]] = {}
        known = self._known_names
        # A fold is a CRLF before WSP; joined first, each line is one whole field. The header's octets are checked,
        # so that split() meets no white space but space, tab and what was folded.
        for line in header.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n"):
            name, colon, value = line.partition(b":")
            lower = known.get(name) or _field_name(name)
            if not colon:
                raise _no_field(line)
            if lower in self._covered_names:
                fields.setdefault(lower, []).append(lower + b":" + b" ".join(value.split()))
        return fields

    def _unsealed(self, fields: Mapping[bytes, list[bytes]], body_hash: bytes, now: Microseconds) -> UnsealedField:
        counts = tuple([len(fields[lower]) if lower in fields else 0 for lower, _ in self._names])
        shape = self._shapes.get(counts) or self._add_shape(counts)
        seconds = now // SECOND
        times = b"t=%d; x=%d" % (seconds, seconds + self._lifetime) if self._lifetime else b"t=%d" % seconds
        # From the bottom up where a name occurs more than once (RFC 6376 section 5.4.2).
        lines = [field for lower, _ in self._names for field in reversed(fields.get(lower, ()))]
        lines.append(b"%b %b; bh=%b; b=" % (shape.canonical, times, body_hash))
        head = b"%b\r\n %b;\r\n bh=%b;\r\n b=" % (shape.raw, times, body_hash)
        return UnsealedField(self._key, head, _digest(b"\r\n".join(lines)))

    def _add_shape(self, counts: tuple[int, ...]) -> _Shape:
        shape = self._make_shape(counts)
        if len(self._shapes) < _MAX_SHAPES:
            self._shapes[counts] = shape
        return shape

    def _make_shape(self, counts: tuple[int, ...]) -> _Shape:
        listed = []
        for number, (count, (_, name)) in enumerate(zip(counts, self._names, strict=True)):
            listed += [name] * (count + (1 if number < self._oversigned else 0))
        algorithm = b"rsa-sha256" if self._is_rsa else b"ed25519-sha256"
        tokens = [
            b"v=1;",
            b"a=%b;" % algorithm,
            b"c=relaxed/relaxed;",
            b"d=%b;" % self._request.domain.ascii.encode(),
            b"s=%b;" % self._request.selector.encode(),
        ]
        if self._policy.identity is not None:
            tokens.append(b"i=%b;" % self._policy.identity.encode())
        raw = _fill(b"DKIM-Signature:", tokens, b" ")
        names = [b"h=" + listed[0], *listed[1:]]
        raw += b"\r\n " + _fill(b"", [name + b":" for name in names[:-1]] + [names[-1] + b";"], b"")
        canonical = b"dkim-signature:" + raw.partition(b":")[2].replace(b"\r\n", b"").strip()
        return _Shape(raw, canonical)


def unsealed_all(signers: Sequence[Signer], message: bytes, now: Microseconds) -> list[UnsealedField]:
    """One field for each signer, in their order: an RSA and an Ed25519 signature side by side (RFC 8463 section 5)."""
    end = _check_message(message)
    digest = _body_digest(message, end + 4)
    return [signer.unsealed(message[:end], digest, now) for signer in signers]


def unsealed_canonical(signers: Sequence[Signer], header: bytes, body: bytes, now: Microseconds) -> list[UnsealedField]:
    """As ``unsealed_all`` for a body that its maker knows to be in relaxed form and in CRLF lines; it is only hashed.

    ``header`` ends with the CRLF of its last field; it is checked as always.
    """
    if not header.endswith(b"\r\n"):
        raise _no_field(header[-40:])
    _check_line_ends(header)
    digest = _digest(body)
    return [signer.unsealed(header[:-2], digest, now) for signer in signers]


def _digest(body: bytes) -> bytes:
    """SHA-256; in small pieces, for which hashlib keeps the interpreter's lock.

    Letting go of it for some microseconds costs more than it gives others: the thread has to queue to get it back.
    """
    if len(body) > _HASHED_IN_PIECES:
        return sha256(body).digest()
    digest, view = sha256(), memoryview(body)
    for at in range(0, len(body), _PIECE):
        digest.update(view[at : at + _PIECE])
    return digest.digest()


def _check_identity(identity: str, domain: DomainName) -> None:
    local_part, at, host = identity.rpartition("@")
    if not at or not DomainName.parse(host).is_within(domain):
        raise ValueError("RFC 6376 section 3.5: the identity must lie within the signing domain")
    if not local_part.isascii() or not all(0x21 <= ord(octet) < 0x7F and octet not in ';="' for octet in local_part):
        raise ValueError("the identity's local part cannot be written in the field")


def _fill(first: bytes, tokens: Sequence[bytes], separator: bytes) -> bytes:
    """Tokens put on lines of at most ``_MAX_LINE`` columns; a line is longer only where a single token is."""
    lines = [first]
    for token in tokens:
        gap = separator if lines[-1] else b""
        if lines[-1] and len(lines[-1]) + len(gap) + len(token) + (len(lines) > 1) > _MAX_LINE:
            lines.append(token)
        else:
            lines[-1] += gap + token
    return b"\r\n ".join(lines)


def _check_message(message: bytes) -> int:
    """Where the header ends (before the empty line); refuse what SMTP cannot carry as it stands."""
    _check_line_ends(message)
    end = message.find(b"\r\n\r\n")
    if end < 0:
        raise UnsignableMessageError(
            "no empty line between header and body", next_step="End the header with an empty line (CRLF CRLF)."
        )
    return end


def _check_line_ends(octets: bytes) -> None:
    # Only where CR and LF come in pairs do these two replacements give back what was there; searches for single
    # octets are several times as fast as counting the pairs.
    if octets.replace(b"\r", b"").replace(b"\n", b"\r\n") != octets:
        raise _bare_line_end(octets)
    at = octets.find(b"\0")
    if at >= 0:
        raise _refusal("a NUL octet", at, "Encode the part as base64 (RFC 5321 section 2.3.8 wants no NUL).")


def _check_header(header: bytes, allowed: bytes, *, utf8: bool) -> None:
    stray = header.translate(None, allowed)
    if stray:
        at = header.index(stray[:1])
        raise _refusal(f"octet 0x{stray[0]:02x} in the header", at, "Encode it after RFC 2047, or send with SMTPUTF8.")
    if utf8 and not header.isascii():
        try:
            header.decode()
        except UnicodeDecodeError as error:
            raise _refusal("the header is not UTF-8", error.start, "Write the header in UTF-8.") from error


def _field_name(name: bytes) -> bytes:
    lower = name.rstrip(b" \t").lower()
    if not lower or b" " in lower or b"\t" in lower or not lower.isascii():
        raise _no_field(name)
    return lower


def _no_field(line: bytes) -> UnsignableMessageError:
    return UnsignableMessageError(
        f"the header has a line that is no field: {line[:40].decode('ascii', 'replace')!r}",
        next_step="Every line is Name: value, or begins with a space and continues the one before.",
    )


def _refusal(what: str, at: int, next_step: str) -> UnsignableMessageError:
    return UnsignableMessageError(f"{what}, at octet {at} of the message", span=Span(at, at + 1), next_step=next_step)


def _bare_line_end(message: bytes) -> UnsignableMessageError:
    # What SMTP would do with it differs from host to host: the signature would break, or worse.
    at = 0
    while True:
        line_feed, carriage_return = message.find(b"\n", at), message.find(b"\r", at)
        if carriage_return >= 0 and line_feed == carriage_return + 1:
            at = line_feed + 1
            continue
        at = min(place for place in (line_feed, carriage_return) if place >= 0)
        return _refusal("a bare CR or LF", at, "End every line with CRLF (RFC 5321 section 2.3.8).")


def _body_digest(message: bytes, start: int) -> bytes:
    if is_relaxed_body(message, start):
        return sha256(memoryview(message)[start:]).digest()
    return sha256(relaxed_body(message[start:])).digest()
