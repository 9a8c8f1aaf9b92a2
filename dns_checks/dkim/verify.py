"""Verification (RFC 6376 section 6, RFC 8301, RFC 8463): a generator that asks for the key records.

Results are the tokens of RFC 8601 section 2.7.1, each with its cause.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from dns_checks.dkim import canonical
from dns_checks.dkim.canonical import Canonicalization
from dns_checks.dkim.keys import MIN_RSA_BITS, KeyRecord, KeyRecordSyntaxError, KeyType, parse_key_record
from dns_checks.dkim.parse import HeaderField, Signature, has_endless_header, parse_signature, split_message
from mailtypes.clock import SECOND, Microseconds
from mailtypes.errors import InputSyntaxError
from mailtypes.questions import Absent, DnsAnswer, DnsEvaluation, DnsQuestion, RecordType, TxtRecord, Unanswered

_ALGORITHMS = {"rsa-sha256": KeyType.RSA, "ed25519-sha256": KeyType.ED25519}
_MAX_KEY_RECORDS = 3
_PADDING = PKCS1v15()
_HASH = SHA256()


class DkimResult(StrEnum):
    """RFC 8601 section 2.7.1."""

    NONE = "none"
    PASS = "pass"  # noqa: S105 - the RFC's token, no password
    FAIL = "fail"
    POLICY = "policy"
    NEUTRAL = "neutral"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class VerifyPolicy:
    """Bounds of what is looked at, and what is accepted.

    Signatures beyond ``max_signatures`` are not evaluated (result ``neutral``), fields longer than
    ``max_field_octets`` and lines longer than ``max_line_octets`` are not either (``policy``). A body that goes on
    behind ``l=`` is ``policy`` unless ``accept_partial_body``: anybody could have added the rest.
    """

    max_signatures: int = 10
    max_field_octets: int = 65_536
    max_line_octets: int = 1_048_576
    min_rsa_bits: int = MIN_RSA_BITS
    clock_skew: timedelta = timedelta(hours=1)
    accept_partial_body: bool = False


DEFAULT_VERIFY_POLICY = VerifyPolicy()


@dataclass(frozen=True, slots=True)
class DkimVerdict:
    """What became of one signature. ``domain`` and ``selector`` are empty where they could not be read.

    ``body_length`` is the value of ``l=`` where it is used; ``is_testing`` and ``key_bits`` come from the key record.
    """

    result: DkimResult
    cause: str
    domain: str = ""
    selector: str = ""
    identity: str = ""
    algorithm: str = ""
    signed_names: tuple[str, ...] = ()
    body_length: int | None = None
    is_testing: bool = False
    key_bits: int | None = None


class _Refused(Exception):  # noqa: N818 - a verdict on its way up, not an error
    def __init__(self, result: DkimResult, cause: str) -> None:
        super().__init__(cause)
        self.result = result
        self.cause = cause


def verify(
    message: bytes, now: Microseconds, policy: VerifyPolicy = DEFAULT_VERIFY_POLICY
) -> DnsEvaluation[tuple[DkimVerdict, ...]]:
    """One verdict for each DKIM-Signature from the top down; a single ``none`` where there is none.

    Those beyond ``policy.max_signatures`` share one ``neutral`` at the end.
    """
    if has_endless_header(message):
        return (DkimVerdict(DkimResult.POLICY, "the header has too many lines"),)
    fields, body = split_message(message)
    signature_fields = [field for field in fields if field.name == "dkim-signature"]
    if not signature_fields:
        return (DkimVerdict(DkimResult.NONE, "the message is not signed"),)
    evaluation = _Evaluation(fields, _Body(body, policy), now, policy)
    verdicts = []
    for field in signature_fields[: policy.max_signatures]:
        verdicts.append((yield from evaluation.verdict(field)))  # noqa: PERF401  a comprehension cannot yield
    left = len(signature_fields) - len(verdicts)
    if left > 0:
        # One for all: whoever puts thousands of them into a message shall not make us write thousands of lines.
        cause = f"{left} more signatures are not evaluated: at most {policy.max_signatures} are"
        verdicts.append(DkimVerdict(DkimResult.NEUTRAL, cause))
    return tuple(verdicts)


class _Body:
    """The body, canonicalised and hashed once for each way that the signatures ask for."""

    def __init__(self, octets: bytes, policy: VerifyPolicy) -> None:
        self._octets = octets
        self._policy = policy
        self._canonical: dict[Canonicalization, bytes] = {}
        self._hashes: dict[tuple[Canonicalization, int | None], bytes] = {}

    def hash(self, signature: Signature) -> bytes:
        """The body hash that ``signature`` should hold; refuses a ``l=`` that does not fit."""
        algorithm = signature.body_canonicalization
        if algorithm not in self._canonical:
            if _longest_line(self._octets) > self._policy.max_line_octets:
                raise _Refused(DkimResult.POLICY, "the body has a line that is too long")
            self._canonical[algorithm] = canonical.body(algorithm, self._octets)
        octets, length = self._canonical[algorithm], signature.body_length
        if length is not None and length > len(octets):
            # RFC 6376 section 3.5: more than there is means that the end was cut off.
            raise _Refused(DkimResult.PERMERROR, f"l={length} is more than the body's {len(octets)} octets")
        if length is not None and length < len(octets) and not self._policy.accept_partial_body:
            raise _Refused(DkimResult.POLICY, f"l={length} leaves the last {len(octets) - length} octets unsigned")
        if (algorithm, length) not in self._hashes:
            self._hashes[algorithm, length] = sha256(memoryview(octets)[:length]).digest()
        return self._hashes[algorithm, length]


def _longest_line(octets: bytes) -> int:
    return max(map(len, octets.split(b"\n")))


@dataclass(frozen=True, slots=True)
class _Evaluation:
    fields: Sequence[HeaderField]
    body: _Body
    now: Microseconds
    policy: VerifyPolicy

    def verdict(self, field: HeaderField) -> DnsEvaluation[DkimVerdict]:
        """Evaluate one signature to its end."""
        try:
            signature = self._read(field)
        except _Refused as refused:
            return DkimVerdict(refused.result, refused.cause)
        verdict = DkimVerdict(
            DkimResult.PASS,
            "the signature verifies",
            domain=signature.domain.ascii,
            selector=signature.selector,
            identity=signature.identity,
            algorithm=signature.algorithm,
            signed_names=signature.signed_names,
            body_length=signature.body_length,
        )
        try:
            self._check_before_asking(signature)
            # The body is hashed first: where it was changed, no question needs to be asked.
            if not compare_digest(self.body.hash(signature), signature.body_hash):
                raise _Refused(DkimResult.FAIL, "the body was changed: its hash does not match bh=")
            answer = yield DnsQuestion(signature.key_name, RecordType.TXT)
            return self._with_keys(verdict, field, signature, _key_records(answer))
        except _Refused as refused:
            return replace(verdict, result=refused.result, cause=refused.cause)

    def _read(self, field: HeaderField) -> Signature:
        if len(field.octets) > self.policy.max_field_octets:
            raise _Refused(DkimResult.POLICY, "the DKIM-Signature field is too long")
        try:
            return parse_signature(field.octets.partition(b":")[2].decode("latin-1"))
        except InputSyntaxError as error:
            raise _Refused(DkimResult.PERMERROR, error.message) from error

    def _check_before_asking(self, signature: Signature) -> None:
        if signature.algorithm not in _ALGORITHMS:
            # RFC 8301 section 3.1: rsa-sha1 must not be accepted.
            raise _Refused(DkimResult.PERMERROR, f"the algorithm {signature.algorithm[:40]} is not accepted")
        seconds, skew = self.now // SECOND, self.policy.clock_skew // timedelta(seconds=1)
        signed_at, expires_at = signature.signed_at, signature.expires_at
        if expires_at is not None and signed_at is not None and expires_at <= signed_at:
            raise _Refused(DkimResult.PERMERROR, "x= is not later than t=")  # RFC 6376 section 3.5
        if expires_at is not None and expires_at < seconds:
            raise _Refused(DkimResult.PERMERROR, "the signature has expired")  # RFC 6376 section 6.1.1
        if signed_at is not None and signed_at > seconds + skew:
            raise _Refused(DkimResult.NEUTRAL, "the signature is dated in the future")

    def _with_keys(
        self, verdict: DkimVerdict, field: HeaderField, signature: Signature, records: Sequence[str]
    ) -> DkimVerdict:
        # RFC 6376 section 3.6.2.2 leaves several records undefined; any that verifies will do, a few are tried.
        refusal = _Refused(DkimResult.PERMERROR, "the key record is empty")
        for number, text in enumerate(records[:_MAX_KEY_RECORDS]):
            try:
                record = _usable_record(text, signature)
                self._check_signature(field, signature, record)
            except _Refused as refused:
                refusal = refused if number == 0 else refusal
                continue
            return replace(verdict, is_testing=record.is_testing, key_bits=record.rsa_bits)
        return replace(verdict, result=refusal.result, cause=refusal.cause)

    def _check_signature(self, field: HeaderField, signature: Signature, record: KeyRecord) -> None:
        octets = header_hash_input(self.fields, field, signature)
        key = record.public_key
        try:
            if isinstance(key, RSAPublicKey):
                if key.key_size < self.policy.min_rsa_bits:
                    raise _Refused(DkimResult.POLICY, f"an RSA key of {key.key_size} bits is too short")
                key.verify(signature.signature, octets, _PADDING, _HASH)
            elif isinstance(key, Ed25519PublicKey):
                key.verify(signature.signature, sha256(octets).digest())
        except InvalidSignature as error:
            raise _Refused(DkimResult.FAIL, "the signature does not verify: header or key was changed") from error


def _key_records(answer: DnsAnswer) -> Sequence[str]:
    if isinstance(answer, Unanswered):
        raise _Refused(DkimResult.TEMPERROR, f"the key could not be looked up: {answer.cause}")
    texts = [] if isinstance(answer, Absent) else [r.joined for r in answer.records if isinstance(r, TxtRecord)]
    if not texts:
        raise _Refused(DkimResult.PERMERROR, "no key for signature")  # RFC 6376 section 6.1.2
    return [text.decode("latin-1") for text in texts]


def _usable_record(text: str, signature: Signature) -> KeyRecord:
    """RFC 6376 section 6.1.2, steps 4 to 8."""
    try:
        record = parse_key_record(text)
    except KeyRecordSyntaxError as error:
        raise _Refused(DkimResult.PERMERROR, f"the key record is not valid: {error.message}") from error
    if record.hashes and "sha256" not in record.hashes:
        raise _Refused(DkimResult.PERMERROR, "the key record's h= does not allow sha256")
    if not record.serves_email:
        raise _Refused(DkimResult.PERMERROR, "the key record's s= does not allow e-mail")
    if record.is_revoked:
        raise _Refused(DkimResult.PERMERROR, "the key is revoked")
    if record.key_type is not _ALGORITHMS[signature.algorithm]:
        raise _Refused(DkimResult.PERMERROR, f"the key is {record.key_type}, the signature {signature.algorithm}")
    if record.is_strict and signature.identity.rpartition("@")[2] != signature.domain.ascii:
        raise _Refused(DkimResult.PERMERROR, "t=s: the domain of i= differs from d=")
    return record


def header_hash_input(fields: Sequence[HeaderField], signature_field: HeaderField, signature: Signature) -> bytes:
    """What the signature is made over (RFC 6376 section 3.7): the named fields bottom up, then its own without b=."""
    algorithm = signature.header_canonicalization
    by_name: dict[str, list[bytes]] = {}
    wanted = Counter(signature.signed_names)
    for field in fields:
        if field.name in wanted and field is not signature_field:
            by_name.setdefault(field.name, []).append(field.octets)
    # A name that has run out of fields stands for the null string (RFC 6376 section 5.4.2).
    chosen = [by_name[name].pop() for name in signature.signed_names if by_name.get(name)]
    name, colon, value = signature_field.octets.partition(b":")
    own = name + colon + value[: signature.b_area.start] + value[signature.b_area.end :]
    return b"\r\n".join([canonical.header_field(algorithm, field) for field in [*chosen, own]])
