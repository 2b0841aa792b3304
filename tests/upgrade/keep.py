"""Keep of this release what later ones are tested to upgrade from: ``python -m tests.upgrade.keep``.

It brings a stack up on this machine and puts data into it, and another up in a simulated cloud. Of a backup
of the one and the state of the other it writes ``tests/upgrade/VERSION/``.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ops import archive, backup
from tests.cloud.conftest import PASSPHRASE, deployed
from tests.e2e.conftest import Checkout, copy_checkout, docker, sweep
from tests.upgrade.kept import CLOUD, FOLDER, MACHINE, Kept, current

ENVIRONMENT = {"PULUMI_CONFIG_PASSPHRASE": PASSPHRASE}


def main() -> int:
    """Do it, and leave nothing of the stacks behind."""
    kept = Kept(current())
    kept.database.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        exported = deployed(CLOUD, Path(folder)).engine("export")
        _write(kept.checkpoint(CLOUD), json.loads(exported.stdout))
    sweep()
    with tempfile.TemporaryDirectory() as folder:
        checkout = copy_checkout(Path(folder))
        try:
            _make(checkout, "up")
            psql = ["psql", "--username=postgres", "--quiet", "--set=ON_ERROR_STOP=1", backup.DATABASE]
            subprocess.run(
                ["docker", "exec", "--interactive", f"ollamamax-{MACHINE}-postgres-1", *psql],
                input=(FOLDER / "data.sql").read_text(), text=True, check=True,
            )  # fmt: skip
            file = Path(folder) / "stack.tar"
            _make(checkout, "backup", f"OUT={file}")
            with archive.reading(file, lambda _: None) as found:
                _write(kept.checkpoint(MACHINE), json.loads(found.text(backup.STATE)))
                kept.database.write_text(_sql(found) + "\n")
        finally:
            _make(checkout, "down", "DATA=1")
            sweep()
    return 0


def _make(checkout: Checkout, target: str, *words: str) -> None:
    done = checkout.make(target, f"STACK={MACHINE}", *words, env=ENVIRONMENT)
    if done.status:
        raise SystemExit(done.text)


def _write(file: Path, state: dict[str, Any]) -> None:
    """Write a state with a resource a line, so that a review sees what is in it."""
    resources = state["deployment"].pop("resources")
    head = json.dumps(state).removesuffix("}}")
    lines = ",\n".join(map(json.dumps, resources))
    file.write_text(f'{head}, "resources": [\n{lines}\n]}}}}\n')


def _sql(found: archive.Archive) -> str:
    """Return the database's dump as SQL."""
    image = found.manifest.images["postgres"]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / backup.DUMP).write_bytes(found.open(backup.DUMP).read())
        words = ["--volume", f"{folder}:/mnt:ro", "--user=0", "--entrypoint=pg_restore", image, "--file=-"]
        return docker("run", "--rm", "--network=none", *words, f"/mnt/{backup.DUMP}")


if __name__ == "__main__":
    sys.exit(main())
