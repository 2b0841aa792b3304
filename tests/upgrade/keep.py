"""Keep of this release what later ones are tested to upgrade from: ``python -m tests.upgrade.keep``.

It brings a stack up, puts data into it, and writes ``tests/upgrade/VERSION/`` from its backup.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from ops import archive, backup
from tests.e2e.conftest import Checkout, copy_checkout, docker, sweep
from tests.upgrade.kept import FOLDER, PASSPHRASE, STACK, Kept

ENVIRONMENT = {"PULUMI_CONFIG_PASSPHRASE": PASSPHRASE}


def main() -> int:
    """Do it, and leave nothing of the stack behind."""
    sweep()
    with tempfile.TemporaryDirectory() as folder:
        checkout = copy_checkout(Path(folder))
        try:
            _make(checkout, "up")
            psql = ["psql", "--username=postgres", "--quiet", "--set=ON_ERROR_STOP=1", backup.DATABASE]
            subprocess.run(
                ["docker", "exec", "--interactive", f"ollamamax-{STACK}-postgres-1", *psql],
                input=(FOLDER / "data.sql").read_text(), text=True, check=True,
            )  # fmt: skip
            file = Path(folder) / "stack.tar"
            _make(checkout, "backup", f"OUT={file}")
            with archive.reading(file, lambda _: None) as found:
                _write(found)
        finally:
            _make(checkout, "down", "DATA=1")
            sweep()
    return 0


def _make(checkout: Checkout, target: str, *words: str) -> None:
    done = checkout.make(target, f"STACK={STACK}", *words, env=ENVIRONMENT)
    if done.status:
        raise SystemExit(done.text)


def _write(found: archive.Archive) -> None:
    kept = Kept(found.manifest.version)
    kept.checkpoint.parent.mkdir(exist_ok=True)
    kept.checkpoint.write_text(json.dumps(json.loads(found.text(backup.STATE)), indent=1) + "\n")
    image = found.manifest.images["postgres"]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / backup.DUMP).write_bytes(found.open(backup.DUMP).read())
        mount = f"{folder}:/mnt:ro"
        words = ["--volume", mount, "--user=0", "--entrypoint=pg_restore", image, "--file=-"]
        sql = docker("run", "--rm", "--network=none", *words, f"/mnt/{backup.DUMP}")
    kept.database.write_text(sql + "\n")


if __name__ == "__main__":
    sys.exit(main())
