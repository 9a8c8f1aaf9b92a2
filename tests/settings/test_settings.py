from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mailtypes.errors import ConfigurationError
from postwright.keyrings import KeyRing, UnsealError, read_key_ring, seal, unseal, write_new_key
from postwright.settings import Settings, config_path, read_settings


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Reads settings from a text and from variables."""

    def read_these(content: str = "", **variables: str) -> Settings:
        file = tmp_path / "postwright.toml"
        file.write_text(content, "utf-8")
        with monkeypatch.context() as patched:
            for name, value in variables.items():
                patched.setenv(name, value)
            return read_settings(file)

    return read_these


def test_the_environment_is_over_the_file_and_the_file_over_the_default(read: Any) -> None:
    content = 'log_level = "debug"\n[http]\nhost = "192.0.2.1"\nport = 1000\n'
    found = read(content, POSTWRIGHT_HTTP__PORT="2000")
    assert (found.log_level, found.http.host, found.http.port) == ("debug", "192.0.2.1", 2000)
    assert found.http.public_url == "http://127.0.0.1:8025"
    assert read(content, POSTWRIGHT_LOG_LEVEL="error").log_level == "error"
    assert read(content, postwright_http__port="3000").http.port == 3000
    assert read("").http.port == 8025


def test_several_variables_of_one_section(read: Any) -> None:
    found = read(
        '[deliver]\nbatch = 7\n[[deliver.egress]]\nip = "192.0.2.9"\nehlo = "mta.test"\n',
        POSTWRIGHT_DELIVER__PROCESSES="3",
        POSTWRIGHT_DELIVER__SMTP_PORT="2525",
    )
    assert (found.deliver.batch, found.deliver.processes, found.deliver.smtp_port) == (7, 3, 2525)
    assert [str(one.ip) for one in found.deliver.egress] == ["192.0.2.9"]


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ("colour = 1\n", "colour"),
        ("[http]\nprot = 1\n", "http.prot"),
        ('[[deliver.egress]]\nip = "192.0.2.1"\nehlo = "a.test"\nname = "x"\n', "deliver.egress.0.name"),
        ("[http]\nport = 65536\n", "http.port"),
        ('[http]\nport = "many"\n', "http.port"),
        ('log_level = "loud"\n', "log_level"),
        ('[[deliver.egress]]\nip = "localhost"\nehlo = "a.test"\n', "deliver.egress.0.ip"),
        ("[http\n", "not TOML"),
    ],
)
def test_a_faulty_key_in_the_file_is_named(read: Any, content: str, key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(content)
    assert key in str(caught.value)
    assert "postwright.toml" in str(caught.value)


def test_every_faulty_key_is_named_at_once(read: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"(?s)http\.prot.*smtp\.size|smtp\.size.*http\.prot"):
        read("[http]\nprot = 1\n[smtp]\nsize = 1\n")


@pytest.mark.parametrize(
    "variable",
    [
        "POSTWRIGHT_HTTP__PROT", "POSTWRIGHT_HTPP__PORT", "POSTWRIGHT_LOGLEVEL", "POSTWRIGHT_HTTP_PORT",
        "POSTWRIGHT_DATABASE_URL", "POSTWRIGHT__HTTP__PORT",
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", ["1", "postgresql://postwright@db/postwright"])
def test_an_unknown_variable_is_refused(read: Any, variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read("", **{variable: value})
    assert variable.rsplit("__", maxsplit=1)[-1].lower() in str(caught.value).lower()


def test_what_kubernetes_says_of_a_service_called_postwright_is_no_setting(read: Any) -> None:
    read(
        "",
        POSTWRIGHT_PORT="tcp://10.0.0.1:8025",
        POSTWRIGHT_PORT_8025_TCP="tcp://10.0.0.1:8025",
        POSTWRIGHT_PORT_8025_TCP_ADDR="10.0.0.1",
        POSTWRIGHT_SERVICE_HOST="10.0.0.1",
        POSTWRIGHT_SERVICE_PORT_HTTP="8025",
        POSTWRIGHT_WEB_PORT="tcp://10.0.0.2:80",
        POSTWRIGHT_CONFIG="elsewhere.toml",
    )


def test_no_value_is_told_of_a_secret_setting(read: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read('[database]\nurl = ["postgresql://u:geheim@db/x"]\n')
    assert "geheim" not in str(caught.value)


def test_paths_are_relative_to_the_folder_of_the_file(
    read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = read(
        '[database]\nurl = "sqlite:///data/x.db"\n[keys]\nmaster_file = "/etc/master.key"\n'
        '[track]\ncertificate_file = "tls/chain.pem"\n[sandbox]\ndir = "box"\n'
    )
    assert found.database.url == f"sqlite:///{tmp_path}/data/x.db"
    assert found.keys.master_file == Path("/etc/master.key")
    assert found.keys.token_file == tmp_path / "keys/token.key"
    assert found.track.certificate_file == tmp_path / "tls/chain.pem"
    assert found.track.certificate_key_file is None
    assert found.sandbox.dir == tmp_path / "box"
    assert read('[database]\nurl = "sqlite:////var/x.db"\n').database.url == "sqlite:////var/x.db"


def test_the_url_of_the_database_may_lie_in_a_file(read: Any, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://u:p@db/x\n")
    assert read('[database]\nurl_file = "url"\n').database.url == "postgresql://u:p@db/x"
    found = read("", POSTWRIGHT_DATABASE__URL_FILE=str(tmp_path / "url"))
    assert found.database.url == "postgresql://u:p@db/x"
    with pytest.raises(ConfigurationError, match=r"database\.url_file"):
        read('[database]\nurl_file = "missing"\n')


@pytest.mark.parametrize("given", ["90", "PT1M30S", "90.0", "00:01:30"])
def test_durations_are_seconds_or_iso_8601(read: Any, given: str) -> None:
    assert read("", POSTWRIGHT_HTTP__SESSION_LIFETIME=given).http.session_lifetime == timedelta(seconds=90)
    assert read(f'[http]\nsession_lifetime = "{given}"\n').http.session_lifetime == timedelta(seconds=90)
    assert read("[http]\nsession_lifetime = 90\n").http.session_lifetime == timedelta(seconds=90)


def test_settings_are_frozen(read: Any) -> None:
    found = read("")
    with pytest.raises(ValueError, match="frozen"):
        found.http.port = 1


def test_which_file_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTWRIGHT_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    assert config_path() == tmp_path / "postwright.toml"
    monkeypatch.setenv("POSTWRIGHT_CONFIG", "etc/other.toml")
    assert config_path() == tmp_path / "etc/other.toml"
    assert read_settings().http.port == 8025  # no file: the defaults


def ring(tmp_path: Path, text: str) -> KeyRing:
    (tmp_path / "ring.key").write_text(text)
    return read_key_ring(tmp_path / "ring.key")


A, B = "QUFB" * 10 + "QUE=", "QkJC" * 10 + "QkI="


def test_the_first_key_is_in_use_and_the_others_still_open(tmp_path: Path) -> None:
    old = ring(tmp_path, f"1 {A}\n")
    sealed = seal(old, b"secret", "dkim")
    new = ring(tmp_path, f"2 {B}\n\n1 {A}\n")
    assert (new.active, unseal(new, "1", sealed, "dkim")) == ("2", b"secret")
    assert seal(old, b"secret", "dkim") != sealed
    for wrong in ((new, "2", sealed, "dkim"), (new, "1", sealed, "other"), (new, "3", sealed, "dkim"),
                  (new, "1", sealed[:-1], "dkim"), (new, "1", b"", "dkim")):  # fmt: skip
        with pytest.raises(UnsealError):
            unseal(*wrong)


@pytest.mark.parametrize("text", ["", "\n", "1 !!!\n", "1\n", f"1 {A}\n1 {B}\n", "1 QUFB\n", f" {A}\n", "1 \u05d0\n"])
def test_a_faulty_ring_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"ring\.key") as caught:
        ring(tmp_path, text)
    assert "QUFB" not in str(caught.value)


def test_a_new_key_is_for_its_owner_alone_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "master.key"
    write_new_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    write_new_key(path)
    assert path.read_bytes() == before
    assert len(read_key_ring(path).active_key) == 32
