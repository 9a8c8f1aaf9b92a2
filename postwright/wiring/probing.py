"""How mail hosts are asked about STARTTLS."""

from datetime import timedelta

from postwright.sandbox.layout import SandboxLayout
from postwright.settings import Settings
from postwright.starttls_probe import ProbePolicy


def probe_policy(settings: Settings) -> ProbePolicy:
    """How mail hosts are asked about STARTTLS: strangers' at public addresses alone, or the sandbox's."""
    egress = settings.deliver.egress
    name, session = egress[0].ehlo if egress else settings.smtp.hostname, timedelta(seconds=10)
    if settings.sandbox.dir is None:
        return ProbePolicy(name, session)
    layout = SandboxLayout.load(settings.sandbox.dir)
    root = str(layout.root_certificate_path)
    return ProbePolicy(name, session, port=layout.smtp_port, ca_file=root, allow_private=True)
