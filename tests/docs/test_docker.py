"""What can be said of the containers without an engine: files, commands, configuration, and who may do what."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from postwright.cli.app import app
from postwright.serving.roles import Role
from postwright.settings import read_settings

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
LOOPBACK = "127.0.0.1:"


@pytest.fixture
def instructions() -> list[str]:
    text = (DOCKER / "Dockerfile").read_text("utf-8")
    joined = re.sub(r"\\\n\s*", "", text)
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


@pytest.fixture
def compose() -> dict[str, Any]:
    document = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))
    assert isinstance(document, dict)
    return document


def _sources(instructions: list[str]) -> list[str]:
    copies = [line.split()[1:-1] for line in instructions if line.startswith("COPY") and "--from" not in line]
    return [source for copy in copies for source in copy]


def test_every_copied_file_exists_and_is_in_the_context(instructions: list[str]) -> None:
    let_in = {line.removeprefix("!") for line in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()}
    for source in _sources(instructions):
        assert (ROOT / source).exists(), source
        assert source in let_in, source


def test_every_package_of_the_wheel_is_copied(instructions: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(wheel["packages"]) <= set(_sources(instructions))


def test_build_backend_and_extra_are_locked(instructions: list[str]) -> None:
    picked = [re.search(r"\^\(([\w|-]+)\)==", line) for line in instructions if "awk" in line]
    assert len(picked) == 2
    locked = (ROOT / "requirements-dev.lock").read_text("utf-8")
    for names in picked:
        assert names is not None
        for name in names[1].split("|"):
            assert re.search(rf"^{name}==", locked, re.MULTILINE), name


def test_everything_that_is_fetched_is_held_to_a_hash(instructions: list[str]) -> None:
    installs = [step for line in instructions for step in line.split("&&") if "pip install" in step]
    assert installs
    for step in installs:
        assert "--require-hashes" in step or "--no-deps dist/*.whl" in step, step


def test_the_image_runs_without_rights(instructions: list[str]) -> None:
    last_stage = instructions[max(at for at, line in enumerate(instructions) if line.startswith("FROM")) :]
    assert "USER 10001:10001" in last_stage
    assert last_stage.index("USER 10001:10001") > max(
        at for at, line in enumerate(last_stage) if line.startswith(("RUN", "COPY"))
    )
    assert any(line.startswith("HEALTHCHECK") for line in last_stage)
    assert not any("pip" in line for line in last_stage)


def test_each_role_has_a_container(compose: dict[str, Any]) -> None:
    services = [service for name, service in compose["services"].items() if name != "database"]
    commands = {tuple(service["command"]) for service in services if service["command"][0] == "serve"}
    assert commands == {("serve", "--role", str(role)) for role in Role}


def test_commands_are_commands(compose: dict[str, Any]) -> None:
    known = typer.main.get_command(app).commands
    for name, service in compose["services"].items():
        if name != "database":
            assert service["command"][0] in known, name


def test_containers_can_do_little(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            assert port.startswith(LOOPBACK), f"{name} publishes {port}"
        if name != "database":
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
            assert "privileged" not in service


def test_no_secret_is_written_down(compose: dict[str, Any]) -> None:
    text = (DOCKER / "compose.yaml").read_text("utf-8")
    assert "PASSWORD:" not in text
    for name, secret in compose["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}
    assert "secrets/" in (DOCKER / ".gitignore").read_text().splitlines()
    used = {one for service in compose["services"].values() for one in service.get("secrets", [])}
    assert used == set(compose["secrets"])


def test_the_configuration_is_accepted(
    compose: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The secret's file is in the container alone, so another takes its place here; all else is as it is there."""
    url = "postgresql://postwright:secret@database/postwright"
    (tmp_path / "database_url").write_text(f"{url}\n")
    content = tomllib.loads((DOCKER / "postwright.toml").read_text("utf-8"))
    assert content["database"] == {"url_file": "/run/secrets/database_url"}
    monkeypatch.setenv("POSTWRIGHT_DATABASE__URL_FILE", str(tmp_path / "database_url"))
    settings = read_settings(DOCKER / "postwright.toml")
    assert settings.database.url == url
    assert str(settings.keys.master_file) == "/data/keys/master.key"
    assert settings.deliver.egress
    assert settings.sandbox.dir is None
    published = {
        port.rsplit(":", 1)[1] for one in ("http", "track", "smtp") for port in compose["services"][one]["ports"]
    }
    assert published == {str(settings.http.port), str(settings.track.port), str(settings.smtp.port)}
