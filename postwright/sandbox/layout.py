"""Where a sandbox keeps its files and which addresses and ports it uses; written down for those who come later."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mailtypes.errors import ConfigurationError

DEFAULT_PROVIDER_ADDRESSES: Mapping[str, str] = MappingProxyType(
    {"mailhub": "127.0.0.11", "postbox": "127.0.0.12", "doar": "127.0.0.13"}
)
_FILE_NAME = "sandbox.json"


@dataclass(frozen=True, slots=True)
class SandboxLayout:
    """One sandbox: its directory, its loopback addresses and ports, and how its providers behave.

    A port of 0 means "pick a free one when starting"; the file then holds the port that was picked, and a
    restart on the same directory uses it again. All MX hosts listen on ``smtp_port``, each provider on an
    address of its own, so whoever delivers needs the port as an explicit override.
    """

    directory: Path
    dns_address: str = "127.0.0.1"
    dns_port: int = 0
    smtp_port: int = 0
    provider_addresses: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_PROVIDER_ADDRESSES))
    greylist_delay: timedelta = timedelta(seconds=3)
    judge: bool = True
    """Whether SPF, DKIM and DMARC are judged; off only where the speed of the sender is measured."""
    judge_processes: int = 1
    keep_bodies: bool = True
    """Whether the stored copies keep their bodies; off where very many messages are received."""

    def __post_init__(self) -> None:
        if missing := DEFAULT_PROVIDER_ADDRESSES.keys() - self.provider_addresses.keys():
            raise ConfigurationError(f"provider_addresses lacks {', '.join(sorted(missing))}")
        addresses = [self.dns_address, *self.provider_addresses.values()]
        for address in addresses:
            if not address.startswith("127."):
                raise ConfigurationError(f"the sandbox listens on loopback only; {address} is not in 127.0.0.0/8")
        if not 1 <= self.judge_processes <= 64:
            raise ConfigurationError("judge_processes is a number from 1 to 64")

    @property
    def zones_directory(self) -> Path:
        """Holds the zone files ``<origin>.zone`` that senders publish."""
        return self.directory / "zones"

    @property
    def authority_directory(self) -> Path:
        """Holds the root certificate and everything that it signed."""
        return self.directory / "ca"

    @property
    def root_certificate_path(self) -> Path:
        """The certificate that clients have to trust, PEM."""
        return self.authority_directory / "root.pem"

    @property
    def mailboxes_path(self) -> Path:
        """The SQLite file with everything that the providers received and refused."""
        return self.directory / "mailboxes.db"

    @property
    def file(self) -> Path:
        """Where this layout is written down."""
        return self.directory / _FILE_NAME

    def save(self) -> None:
        """Write the layout to ``sandbox.json``, whole or not at all."""
        content = {
            "dns_address": self.dns_address,
            "dns_port": self.dns_port,
            "smtp_port": self.smtp_port,
            "provider_addresses": dict(self.provider_addresses),
            "greylist_delay_seconds": self.greylist_delay.total_seconds(),
            "judge": self.judge,
            "judge_processes": self.judge_processes,
            "keep_bodies": self.keep_bodies,
        }
        write_atomically(self.file, json.dumps(content, indent=2).encode() + b"\n")

    @classmethod
    def load(cls, directory: Path) -> "SandboxLayout":
        """Read ``sandbox.json`` of ``directory``; raise ``ConfigurationError`` where it is absent or broken."""
        path = directory / _FILE_NAME
        try:
            content: dict[str, Any] = json.loads(path.read_bytes())
            seconds = float(content.pop("greylist_delay_seconds"))
            return cls(directory=directory, greylist_delay=timedelta(seconds=seconds), **content)
        except FileNotFoundError as error:
            raise ConfigurationError(f"there is no sandbox in {directory}: {_FILE_NAME} is missing") from error
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ConfigurationError(f"{path} cannot be read ({error}); remove it to begin anew") from error


def write_atomically(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Put ``content`` into ``path`` by an atomic rename, so that readers see the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
