"""The document of the gateway's routes keeps to OpenAPI 3.1, and to what a linter asks of one.

That it says what the gateway does, the gateway's own tests check.
"""

import os
import shutil
import subprocess
from pathlib import Path

from tests.containers import REPOSITORY

DOCUMENT = REPOSITORY / "docker" / "gateway" / "internal" / "openapi" / "openapi.yaml"
LINTER = Path(__file__).parent / "openapi"


def test_the_document_passes_its_linter_without_a_warning(tmp_path: Path) -> None:
    shutil.copytree(LINTER, tmp_path, dirs_exist_ok=True)
    subprocess.run(["npm", "ci", "--silent"], cwd=tmp_path, check=True, timeout=120)
    done = subprocess.run(
        ["npx", "--no-install", "redocly", "lint", "--config", "redocly.yaml", str(DOCUMENT)],
        cwd=tmp_path,
        env={**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
