"""The lock files hold exact versions and hashes, agree with each other and the project; no download address."""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_REQUIREMENT = re.compile(r"([a-z0-9][a-z0-9._-]*)(\[[^]]*\])?==[^\s;]+(?: ;[^\\]*)?\s*\\?$")
_HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?$")


def faults(path: Path) -> list[str]:
    """What is wrong with one lock file."""
    found = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if "://" in line or (line.lstrip().startswith("-") and not _HASH.match(line)):
            found.append(f"{path.name}:{number}: an address or an option: {line.strip()[:60]}")
        elif not (_REQUIREMENT.match(line) or _HASH.match(line)):
            found.append(f"{path.name}:{number}: not `name==version` nor a hash: {line.strip()[:60]}")
    return found


def pins(path: Path) -> dict[str, str]:
    """Name to version."""
    lines = path.read_text("utf-8").splitlines()
    matches = [line.split(" ")[0] for line in lines if _REQUIREMENT.match(line)]
    return {re.sub(r"\[.*\]", "", one.split("==")[0]): one.split("==")[1] for one in matches}


def missing(names: list[str], pinned: dict[str, str]) -> list[str]:
    """Requirements of the project that the lock does not pin."""
    bare = [re.split(r"[\[<>=~! ]", name)[0].lower().replace("_", "-") for name in names]
    return [f"{name} is not in the lock; run: make lock" for name in bare if name not in pinned]


def main() -> int:
    """Print every fault; the exit status is 1 where there is one."""
    runtime, development = ROOT / "requirements.lock", ROOT / "requirements-dev.lock"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    problems = faults(runtime) + faults(development)
    problems += missing(project["project"]["dependencies"], pins(runtime))
    problems += missing(project["dependency-groups"]["dev"], pins(development))
    for name, version in pins(runtime).items():
        if pins(development).get(name) != version:
            problems.append(f"{name} {version} of requirements.lock is not in requirements-dev.lock; run: make lock")
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
