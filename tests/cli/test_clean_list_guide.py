"""The commands of docs/guides/clean-list.md, run in their order in an install of their own, on a smaller list."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "clean-list.md"


@pytest.mark.timeout(600)
def test_the_commands_of_the_guide(tmp_path: Path, initialised: Path) -> None:
    if shutil.which("bash") is None:
        assert not os.environ.get("CI"), "bash is not installed"
        pytest.skip("bash is not installed")
    shutil.copytree(initialised, tmp_path, dirs_exist_ok=True)
    blocks = re.findall(r"^```bash\n(.*?)^```$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 10
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "POSTWRIGHT_CONFIG": str(tmp_path / "postwright.toml"),
        "LIST": str(tmp_path / "list"),
        "CONTACTS": "1500",
        "COLUMNS": "160",
        "LC_ALL": "C.UTF-8",
    }
    script = f"set -euo pipefail\ncd {tmp_path}\nln -s {ROOT}/scripts scripts\n" + "\n".join(blocks)
    done = subprocess.run(
        ["bash", "-x", "-c", script], env=environment, capture_output=True, text=True, timeout=540, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    plan = json.loads((tmp_path / "list" / "plan.json").read_text("utf-8"))
    suppressed = plan["moves"]["suppress"]
    assert plan["before"]["contacts"] - suppressed == plan["after"]["contacts"] > 0
    assert f"{suppressed} contacts." in done.stdout  # were on the list for winning back
    assert done.stdout.count(f"Plan 1 is applied: {suppressed} done.") == 1
    assert f"Plan 2 is undone: {suppressed} undone." in done.stdout
    assert "dormant" in done.stdout
