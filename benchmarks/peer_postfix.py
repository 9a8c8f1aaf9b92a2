"""Postfix with OpenDKIM as a milter over a UNIX socket: a private instance in a folder of its own."""

import os
import pwd
import shutil
import sys
import time
from pathlib import Path

import stage
from peer_processes import Place, Processes
from submission_stage import await_port

_SYSTEM_PATH = "/usr/sbin:/usr/local/sbin:/usr/lib/postfix/sbin:/usr/libexec/postfix"
_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {daemons}
command_directory = {commands}
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.peer.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
relayhost = [127.0.0.1]:{sink}
alias_maps =
local_recipient_maps =
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtp_dns_support_level = disabled
smtp_host_lookup = native
milter_default_action = tempfail
smtpd_milters = unix:{socket}
in_flow_delay = 0
"""
# As Postfix comes, but for what is not needed here (delivery to mailboxes, sendmail), without chroot.
_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
"""
_OPENDKIM = """\
Syslog no
Mode s
Canonicalization relaxed/relaxed
Domain {domain}
Selector {selector}
KeyFile {key}
Socket local:{socket}
UserID postfix
UMask 0000
OversignHeaders From
InternalHosts 127.0.0.1
Background no
RequireSafeKeys no
"""


def why_not() -> str:
    """Why it cannot be measured here; empty where it can."""
    if os.geteuid():
        return "Postfix needs root to begin."
    for name in ("postfix", "opendkim"):
        if _program(name) is None:
            return f"{name} is not installed."
    try:
        pwd.getpwnam("postfix")
    except KeyError:
        return "There is no user postfix."
    return ""


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=_SYSTEM_PATH)


class PostfixWithOpenDkim:
    """Begun in an empty folder; ends with it."""

    name = "Postfix + OpenDKIM"
    key = ""

    def __init__(self, place: Place) -> None:
        postfix, opendkim, master = _program("postfix"), _program("opendkim"), _program("master")
        if postfix is None or opendkim is None or master is None:
            sys.exit("Postfix or OpenDKIM is not installed.")
        self.port, self.signature = place.port, place.signature
        folder = place.folder
        owner = pwd.getpwnam("postfix")
        for name in ("queue", "data", "dkim"):
            (folder / name).mkdir()
        for name in ("data", "dkim"):
            os.chown(folder / name, owner.pw_uid, owner.pw_gid)
        key, socket = folder / "dkim" / "key.pem", folder / "dkim" / "socket"
        shutil.copy(place.private_key, key)
        os.chown(key, owner.pw_uid, owner.pw_gid)
        key.chmod(0o600)
        words = {"folder": folder, "daemons": Path(master).parent, "commands": Path(postfix).parent, "socket": socket}
        (folder / "main.cf").write_text(_MAIN.format(sink=place.sink_port, **words), "ascii")
        (folder / "master.cf").write_text(_MASTER.format(port=place.port), "ascii")
        said = {"domain": stage.SENDER, "selector": place.signature.selector, "key": key, "socket": socket}
        (folder / "opendkim.conf").write_text(_OPENDKIM.format(**said), "ascii")
        self._processes = Processes()
        milter = self._processes.begin([opendkim, "-f", "-x", str(folder / "opendkim.conf")], folder)
        for _ in range(200):
            if socket.exists() or milter.poll() is not None:
                break
            time.sleep(0.05)
        started = self._processes.begin([postfix, "-c", str(folder), "start-fg"], folder)
        try:
            await_port(started, place.port)
        finally:
            # The master makes a session of its own.
            file = folder / "queue" / "pid" / "master.pid"
            if file.exists():
                self._processes.adopt(int(file.read_text("ascii")))

    def cpu(self) -> float:
        """See ``Relay``."""
        return self._processes.cpu()

    def close(self) -> None:
        """See ``Relay``."""
        self._processes.close()
