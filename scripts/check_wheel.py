"""Builds the wheel, installs it with its dependencies into a fresh environment, and looks for collisions of names.

Our packages stand flat at the top level (docs/adr/0001-flat-packages.md), so it must be shown that no dependency
brings a package of the same name, and that the wheel holds everything that the command needs.
"""

import importlib.metadata
import json
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

_OWNERS = """
import importlib.metadata, json
owners = {name: sorted(set(who)) for name, who in importlib.metadata.packages_distributions().items()}
print(json.dumps(owners))
"""


def main() -> int:
    """Print what is wrong; the exit status is 1 where something is."""
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    names = ours["packages"]
    with tempfile.TemporaryDirectory() as folder:
        wheel = _build(Path(folder))
        python = _install(wheel, Path(folder) / "environment")
        owners = json.loads(_run([str(python), "-c", _OWNERS]))
        problems = [
            f"the top-level name {name} belongs to {', '.join(owners.get(name, ['nobody']))}, not to postwright alone"
            for name in names
            if owners.get(name) != ["postwright"]
        ]
        version = _run([str(python.with_name("postwright")), "--version"]).strip()
        if version != f"postwright {importlib.metadata.version('postwright')}":
            problems.append(f"the installed command says {version!r}")
        problems += _missing_files(python)
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    return 1 if problems else 0


def _build(folder: Path) -> Path:
    _run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT)]
    )
    (wheel,) = folder.glob("postwright-*.whl")
    return wheel


def _install(wheel: Path, environment: Path) -> Path:
    venv.create(environment)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    install = [*pip, "install", "-q", "--no-compile"]  # of what is installed, next to nothing is imported
    _run([*install, "--require-hashes", "-r", str(ROOT / "requirements.lock")])
    _run([*install, "--no-deps", str(wheel)])
    _run([*pip, "check"])
    return python


def _missing_files(python: Path) -> list[str]:
    """Files that are no modules but belong to the packages (templates, styles, migrations) must be in the wheel."""
    code = "import postwright, pathlib; print(pathlib.Path(postwright.__file__).parent.parent)"
    installed = Path(_run([str(python), "-c", code], cwd=python.parent).strip())
    tracked = _run(["git", "ls-files", "postwright", "mailtypes", "mta", "rendering"], cwd=ROOT).splitlines()
    return [f"{name} is not in the wheel" for name in tracked if not (installed / name).exists()]


def _run(command: list[str], cwd: Path | None = None) -> str:
    return subprocess.run(command, check=True, text=True, capture_output=True, cwd=cwd).stdout


if __name__ == "__main__":
    raise SystemExit(main())
