"""All settings in one tree: a TOML file, then environment variables over it; unknown keys are errors.

``POSTWRIGHT_CONFIG`` names the file (``postwright.toml`` beside the working directory otherwise). A variable such as
``POSTWRIGHT_HTTP__PORT`` sets ``port`` of section ``http``. Paths are relative to the file's folder. Durations are in
seconds or in ISO 8601. ``config.example.toml`` and ``docs/configuration.md`` are generated from this module.
"""

import os
import re
import tomllib
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from mailtypes.errors import ConfigurationError

CONFIG_VARIABLE = "POSTWRIGHT_CONFIG"
_PREFIX = "POSTWRIGHT_"
_NO_SETTINGS = (CONFIG_VARIABLE, "POSTWRIGHT_SHARED")  # the second names conformance data, for the tests
# Kubernetes sets such variables for a service that is called postwright (or postwright-something).
_SERVICE_LINK = re.compile(
    r"(?:[A-Z0-9_]+_)?(?:SERVICE_HOST=|SERVICE_PORT(?:_[A-Z0-9_]+)?=|PORT_[0-9]+_|PORT=(?:tcp|udp|sctp)://)"
)
DEFAULT_CONFIG = Path("postwright.toml")
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def _seconds(given: object) -> object:
    """A number in a variable comes as text, which pydantic would take for ISO 8601."""
    try:
        return float(given) if isinstance(given, str) else given
    except ValueError:
        return given


Duration = Annotated[timedelta, BeforeValidator(_seconds)]


class Section(BaseModel):
    """A part of the tree."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DatabaseSettings(Section):
    """Where everything is kept."""

    url: str = Field(
        "sqlite:///postwright.db",
        description="sqlite:///FILE (embedded, one machine) or postgresql://USER@HOST/NAME (any number of machines).",
    )
    url_file: Path | None = Field(None, description="A file that holds the URL, for URLs with a password.")


class KeySettings(Section):
    """Files with secrets, made by `postwright init`; each line is `id base64`, the first line is the one in use."""

    master_file: Path = Field(Path("keys/master.key"), description="Encrypts the private DKIM keys in the database.")
    token_file: Path = Field(Path("keys/token.key"), description="Signs tracking and unsubscribe tokens.")
    return_path_file: Path = Field(Path("keys/return-path.key"), description="Signs return paths (VERP).")
    erasure_file: Path = Field(
        Path("keys/erasure.key"), description="Hashes the addresses of erased people, so that they stay suppressed."
    )


class HttpSettings(Section):
    """The web application and the API."""

    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8025, ge=0, le=65535, description="The port to listen on.")
    public_url: str = Field("http://127.0.0.1:8025", description="How people reach it; https in production.")
    session_lifetime: Duration = Field(timedelta(hours=12), description="How long a browser stays signed in.")
    max_upload: int = Field(64 * 1024 * 1024, gt=0, description="The largest import file, in bytes.")
    trusted_proxies: tuple[Network, ...] = Field(
        (),
        description="Addresses and networks of proxies in front that are believed about whom they ask for"
        " (X-Forwarded-For): for the limits of signing in, and in the audit log. One on this machine is named, too.",
    )


class ApiSettings(Section):
    """The API's limits."""

    rate_limit: int | None = Field(
        None, gt=0, description="Requests a second for keys without a limit of their own; none: no limit."
    )
    max_in_flight: int = Field(
        256 * 1024 * 1024, ge=64 * 1024 * 1024, description="Bytes of requests that the process works on at a time."
    )


class TrackSettings(Section):
    """The tracking and unsubscribe endpoints, behind the hosts named in mails."""

    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8026, ge=0, le=65535, description="The port to listen on.")
    processes: int = Field(1, ge=1, le=64, description="How many tracking processes `serve` starts, on one port.")
    hostname: str = Field("localhost", description="The host that the tracking hosts of sender domains point to.")
    public_port: int = Field(443, gt=0, le=65535, description="The port in links; 443 is left out of them.")
    certificate_file: Path | None = Field(
        None, description="A certificate chain (PEM), where no proxy in front ends TLS."
    )
    certificate_key_file: Path | None = Field(None, description="The certificate's private key (PEM).")
    journal_dir: Path = Field(
        Path("track"), description="The folder on this machine for visits that are not in the database yet."
    )
    trusted_proxies: tuple[Network, ...] = Field(
        (),
        description="Networks of proxies in front, beside this machine, that are believed about whom they ask for"
        " (X-Forwarded-For).",
    )
    networks_file: Path | None = Field(
        None, description="Further networks of scanners and data centres (TOML); the narrowest range counts."
    )
    honeypots: bool = Field(
        False,
        description="Put a link that no reader sees into mail whose clicks are tracked, and tell machines by it. Such"
        " links are patented in the US (12,489,787): find out whether you may use them; see docs/tracking.md.",
    )


class SmtpSettings(Section):
    """The listener for return paths: bounces and reports come in here."""

    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(2525, ge=0, le=65535, description="The port to listen on; 25 for the outside world.")
    hostname: str = Field("localhost", description="The name in the greeting; the MX of the return-path hosts.")
    max_size: int = Field(10 * 1024 * 1024, gt=0, description="The largest bounce or report taken, in bytes.")
    report_localpart: str = Field(
        "reports",
        pattern=r"^(?:[a-z0-9]+(?:[._-][a-z0-9]+)*)?$",
        max_length=64,
        description="What stands before the @ of the addresses for DMARC and TLS reports at the return-path hosts;"
        " empty: none are taken by mail.",
    )


class SubmissionSettings(Section):
    """The listeners for mail that clients submit by SMTP, with an API key as the password.

    Without a certificate keys are taken from this machine alone, since they may not cross a network in the clear.
    """

    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(2587, ge=0, le=65535, description="The port for STARTTLS; 587 for the outside world.")
    tls_port: int | None = Field(
        None, ge=0, le=65535, description="The port where TLS begins at once, 465 as a rule; none: not offered."
    )
    certificate_file: Path | None = Field(None, description="The certificate chain (PEM).")
    certificate_key_file: Path | None = Field(None, description="The certificate's private key (PEM).")
    connections: int = Field(2000, gt=0, description="How many may be open at once.")
    octets_in_flight: int = Field(
        256 * 1024 * 1024, gt=0, description="Bytes of mail held at once; beyond it new mail is answered with 452."
    )


class PlatformSettings(Section):
    """The domain in whose name mail of unverified sender domains may go out, where an admin allows it for them."""

    domain: str = Field("", description="A verified sender domain of this install; empty: unverified ones never send.")


class DnsSettings(Section):
    """The resolver."""

    nameservers: tuple[Address, ...] = Field((), description="Resolvers to ask; empty: those of the system.")
    port: int = Field(53, gt=0, le=65535, description="Their port.")
    timeout: Duration = Field(timedelta(seconds=5), description="How long one question may take.")
    trusted: bool = Field(
        False,
        description="Whether their word on DNSSEC (the AD bit) is believed: only validating resolvers on this machine.",
    )


class AuditSettings(Section):
    """The audit of sender domains."""

    block_lists: bool = Field(True, description="Whether block lists are asked about addresses and domains.")
    web: bool = Field(True, description="Whether policies, logos and certificates are fetched over HTTPS.")
    mark_roots_file: Path | None = Field(
        None, description="Trusted issuers of BIMI mark certificates (PEM); none: their trust stays unknown."
    )


DEFAULT_POOL = "default"


class EgressSettings(Section):
    """One address that mail leaves from."""

    ip: Address = Field(description="The source address; it must be this machine's.")
    ehlo: str = Field(description="The name said in EHLO; it should be the address's PTR name.")
    pool: str = Field(DEFAULT_POOL, min_length=1, max_length=100, description="The pool that the address is in.")


class DeliverSettings(Section):
    """The delivery engine."""

    processes: int = Field(
        0, ge=0, le=64, description="How many delivery processes `serve` starts; 0: one a core, at most four."
    )
    egress: tuple[EgressSettings, ...] = Field((), description="Addresses that mail leaves from.")
    pools: dict[str, str] = Field({}, description="The pool of a stream's mail, by stream; `default` where not named.")
    shaping_rules_file: Path | None = Field(None, description="Rules of your own about pace (TOML), asked before ours.")
    smtp_port: int = Field(25, gt=0, le=65535, description="The port of receiving hosts; 25 but in the sandbox.")
    allow_private_destinations: bool = Field(
        False, description="Whether loopback and private addresses may receive; only in the sandbox."
    )
    connections_per_destination: int = Field(10, ge=1, le=1000, description="Connections to one destination at a time.")
    messages_per_connection: int = Field(1000, ge=1, description="Messages after which a connection is closed.")
    batch: int = Field(100, ge=1, le=1000, description="Deliveries leased at a time.")
    signing_threads: int = Field(
        1, ge=1, le=64, description="Threads of a delivery process that compose and sign; more only with few processes."
    )
    lease: Duration = Field(timedelta(seconds=60), description="How long a worker that vanished keeps its mails.")
    retry_first: Duration = Field(timedelta(minutes=5), description="The wait after the first deferral.")
    retry_factor: float = Field(2.0, ge=1, le=10, description="How much longer each further wait is.")
    retry_longest: Duration = Field(timedelta(hours=4), description="The longest wait.")
    verify_tls: bool = Field(False, description="Whether STARTTLS checks certificates; opportunistic TLS does not.")


class ScheduleSettings(Section):
    """The scheduler: prepares runs, finds routes, releases what the budget allows."""

    tick: Duration = Field(timedelta(milliseconds=500), description="How often it looks.")
    route_lifetime: Duration = Field(timedelta(hours=1), description="How long a route is believed.")


class RetentionSettings(Section):
    """How long contents are kept; what happened to a message is told by its events for longer."""

    messages: Duration = Field(
        timedelta(days=30), description="Contents of API clients' messages, once all recipients are settled."
    )
    test_mailbox: Duration = Field(timedelta(days=7), description="What test keys sent.")
    engagement: Duration = Field(
        timedelta(days=395),
        ge=timedelta(days=1),
        description="The detail of opens and clicks, by which verdicts can be judged anew.",
    )
    events: Duration = Field(
        timedelta(days=1_095),
        ge=timedelta(days=30),
        description="The event log, opens and clicks in it; counts and what is known of contacts stay.",
    )


class PreflightSettings(Section):
    """What keeps a campaign from being sent, beside what always does."""

    risk_that_blocks: Literal["never", "high", "medium"] = Field(
        "never",
        description="The band of the spam risk from which a campaign is blocked, until somebody overrules it with a"
        " note; never: it is only shown.",
    )
    fetch_images: bool = Field(
        True,
        description="Fetch the images of a campaign's mails before it is sent, over HTTPS and from public addresses"
        " only: is each there, how large is it, in which format? At most 20 a mail, within five seconds.",
    )
    fetch_links: bool = Field(
        False,
        description="Ask whether the links of a campaign's mails lead anywhere before it is sent, public addresses"
        " only: at most 50 a mail, within ten seconds, by HEAD, and by GET where HEAD finds no page. Links with"
        " merge values in them are never asked for. Off, since asking for an address can do what it is there for.",
    )


class SecondOpinionSettings(Section):
    """Spam filters of your own that are asked beside the built-in score; what they say is shown, and blocks nothing."""

    spamassassin: str = Field(
        "", pattern=r"^(?:[^\s:]+:[0-9]{1,5})?$", description="HOST:PORT of a SpamAssassin daemon (spamd); empty: none."
    )
    rspamd_url: str | None = Field(
        None, pattern=r"^https?://", description="The address of rspamd's normal worker; none: not asked."
    )
    rspamd_password_file: Path | None = Field(None, description="A file that holds the worker's password.")
    rspamd_password: str | None = Field(None, repr=False, description="The worker's password; better in a file.")
    timeout: Duration = Field(timedelta(seconds=10), description="How long each may take.")

    @property
    def spamassassin_place(self) -> tuple[str, int] | None:
        """Host and port, ``None`` where none is named."""
        host, _, port = self.spamassassin.rpartition(":")
        return (host, int(port)) if host else None


class WebhookSettings(Section):
    """Webhooks: how endpoints are told of events, and how long it is remembered what became of it."""

    timeout: Duration = Field(timedelta(seconds=15), description="How long one endpoint may take for one answer.")
    concurrency: int = Field(32, ge=1, le=1000, description="How many endpoints a process tells at once.")
    in_flight: int = Field(8, ge=1, le=64, description="How many webhooks are on their way to one endpoint at once.")
    keep_log: Duration = Field(timedelta(days=15), description="How long the log of deliveries is kept.")
    allow_private_targets: bool = Field(
        False, description="Whether endpoints may lie on loopback and private addresses; only in the sandbox."
    )
    ca_file: Path | None = Field(
        None, description="Certificates (PEM) that are trusted instead of the public authorities; only in the sandbox."
    )
    port: int = Field(443, gt=0, le=65535, description="The port that is spoken to instead of 443; for the sandbox.")


class SandboxSettings(Section):
    """A small Internet on loopback instead of the real one, for trying out and for tests."""

    dir: Path | None = Field(None, description="The sandbox's folder; none: mail goes to the real Internet.")


class Settings(BaseSettings):
    """The whole tree; frozen once read."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged.")
    database: DatabaseSettings = DatabaseSettings()
    keys: KeySettings = KeySettings()
    http: HttpSettings = HttpSettings()
    api: ApiSettings = ApiSettings()
    track: TrackSettings = TrackSettings()
    smtp: SmtpSettings = SmtpSettings()
    submission: SubmissionSettings = SubmissionSettings()
    platform: PlatformSettings = PlatformSettings()
    dns: DnsSettings = DnsSettings()
    audit: AuditSettings = AuditSettings()
    deliver: DeliverSettings = DeliverSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    retention: RetentionSettings = RetentionSettings()
    preflight: PreflightSettings = PreflightSettings()
    second_opinions: SecondOpinionSettings = SecondOpinionSettings()
    webhooks: WebhookSettings = WebhookSettings()
    sandbox: SandboxSettings = SandboxSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over file; the file's content comes as initial values."""
        return env_settings, init_settings


def config_path() -> Path:
    """The configuration file that counts: ``POSTWRIGHT_CONFIG`` or the default."""
    return Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG)).resolve()


def read_settings(path: Path | None = None) -> Settings:
    """Read file and environment; raises ``ConfigurationError`` naming each faulty key."""
    file = path or config_path()
    _refuse_unknown_variables()
    try:
        content = tomllib.loads(file.read_text("utf-8")) if file.exists() else {}
        settings = Settings(**content)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file.name} is not TOML: {error}") from error
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()
        )
        raise ConfigurationError(f"{file.name} or the environment: {faults}") from error
    return _anchored(settings, file.parent)


def _refuse_unknown_variables() -> None:
    """A misspelt variable would be as if it were not set; pydantic notices only those within a known section."""
    for variable, value in os.environ.items():
        name = variable.removeprefix(_PREFIX)
        if (
            name == variable
            or variable in _NO_SETTINGS
            or ("__" not in name and _SERVICE_LINK.match(f"{name}={value}"))
        ):
            continue
        if name.partition("__")[0].lower() not in Settings.model_fields:
            raise ConfigurationError(f"{variable} is no setting. docs/configuration.md lists them all.")


def _anchored(settings: Settings, folder: Path) -> Settings:
    """The settings with their paths made absolute and the database URL read from its file."""
    keys = settings.keys.model_copy(
        update={name: folder / getattr(settings.keys, name) for name in KeySettings.model_fields}
    )
    places: dict[str, Path] = {"journal_dir": folder / settings.track.journal_dir}
    if settings.track.networks_file is not None:
        places["networks_file"] = folder / settings.track.networks_file
    track = settings.track.model_copy(update=_certificate_paths(settings.track, folder) | places)
    submission = settings.submission.model_copy(update=_certificate_paths(settings.submission, folder))
    sandbox = settings.sandbox
    if sandbox.dir is not None:
        sandbox = sandbox.model_copy(update={"dir": folder / sandbox.dir})
    audit = settings.audit
    if audit.mark_roots_file is not None:
        audit = audit.model_copy(update={"mark_roots_file": folder / audit.mark_roots_file})
    changes: dict[str, Any] = {
        "keys": keys,
        "track": track,
        "submission": submission,
        "audit": audit,
        "sandbox": sandbox,
    }
    changes["second_opinions"] = _with_password(settings.second_opinions, folder)
    changes["database"] = settings.database.model_copy(update={"url": _database_url(settings.database, folder)})
    return settings.model_copy(update=changes)


def _certificate_paths(section: TrackSettings | SubmissionSettings, folder: Path) -> dict[str, Path]:
    """The section's certificate files with absolute paths, those that are set."""
    given = ((name, getattr(section, name)) for name in ("certificate_file", "certificate_key_file"))
    return {name: folder / value for name, value in given if value is not None}


def _with_password(opinions: SecondOpinionSettings, folder: Path) -> SecondOpinionSettings:
    if opinions.rspamd_password_file is None:
        return opinions
    try:
        password = (folder / opinions.rspamd_password_file).read_text("utf-8").strip()
    except OSError as error:
        raise ConfigurationError(f"second_opinions.rspamd_password_file cannot be read: {error.strerror}") from error
    return opinions.model_copy(update={"rspamd_password": password})


def _database_url(database: DatabaseSettings, folder: Path) -> str:
    url = database.url
    if database.url_file is not None:
        try:
            url = (folder / database.url_file).read_text("utf-8").strip()
        except OSError as error:
            raise ConfigurationError(f"database.url_file cannot be read: {error.strerror}") from error
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith(prefix + "/"):
        return f"{prefix}{folder / url.removeprefix(prefix)}"
    return url
