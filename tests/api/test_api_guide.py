"""The commands of docs/guides/api.md, run in their order against a real server."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "api.md"


def test_the_commands_of_the_guide(served: Any, tmp_path: Path) -> None:
    if shutil.which("curl") is None or shutil.which("bash") is None:
        assert not os.environ.get("CI"), "curl is not installed"
        pytest.skip("curl is not installed")
    served.verified_domain()
    blocks = re.findall(r"^```bash\n(.*?)^```$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 8
    script = "set -euo pipefail\n" + "\n".join(blocks)
    environment = {
        "PATH": os.environ["PATH"],
        "URL": served.url,
        "KEY": served.key,
        "TEMPLATE": served.template(),
        "NO_PROXY": "127.0.0.1",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        ["bash", "-x", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
