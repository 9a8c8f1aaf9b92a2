"""The commands of docs/guides/smtp.md, run in their order against a running install; and what arrived by them."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "smtp.md"


def test_the_commands_of_the_guide(install: Any, program: Callable[[str], str], tmp_path: Path) -> None:
    for name in ("bash", "curl", "jq", "swaks"):
        program(name)
    blocks = re.findall(r"^```bash\n(.*?)^```$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 9
    (tmp_path / "postwright-demo").symlink_to(install.stage.folder)
    environment = {
        **{name: value for name, value in install.environment.items() if not name.startswith("PW_")},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "NO_PROXY": "127.0.0.1",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        ["bash", "-x", "-c", "set -euo pipefail\n" + "\n".join(blocks)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for number in (1042, 1045, 1046):
        install.wait_for("ruth@mailhub.test", f"Your order {number}", 1)
    install.wait_for("dana@doar.test", "Your order 1043", 1)
    install.wait_for("eli@postbox.test", "Your order 1044", 1)
    install.wait_for("ruth@mailhub.test", "Undelivered mail returned to sender", 1)
    install.wait_for("dana@doar.test", "Your order has arrived", 0)
