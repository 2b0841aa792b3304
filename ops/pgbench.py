"""PostgreSQL's own benchmark, through PgBouncer: what the gateways ask the database all day."""

import re
import subprocess

from ops.backup import check_place, database_of
from ops.stack import ROOT, Stack, StackError

CLIENTS = 16
"""As many as the performance report's."""
STATEMENTS = ROOT / "templates" / "pgbench" / "reads.sql"
RATE, LATENCY = "transactions a second", "mean latency, ms"
FOUND = {RATE: r"^tps = ([\d.]+) ", LATENCY: r"^latency average = ([\d.]+) ms"}
SECRETS = "/etc/ollamamax/secrets"
POOL = "host=pgbouncer port=6432 dbname=ollamamax user=ollamamax sslmode=verify-full"


def run(stack: Stack, seconds: int) -> dict[str, float]:
    """Run it beside the database's server, and return what it measured.

    Raises:
        StackError: if the stack is not up on this machine, or a transaction failed.
    """
    check_place(stack)
    where = f"{POOL} sslrootcert={SECRETS}/ca.pem"
    options = (
        f"--no-vacuum --protocol=prepared --client={CLIENTS} --jobs=2 --time={seconds} --progress=5 --file=-"
    )
    # The password is read inside the container: no command line shows it.
    script = f'PGPASSWORD=$(<{SECRETS}/database-password) exec pgbench {options} "{where}"'
    command = ["docker", "exec", "--interactive", str(database_of(stack).id), "bash", "-c", script]
    with STATEMENTS.open() as statements:
        done = subprocess.run(command, stdin=statements, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise StackError("pgbench failed through PgBouncer; the messages above say why")
    return measured(done.stdout)


def measured(said: str) -> dict[str, float]:
    """Return the measures in what pgbench said.

    Raises:
        StackError: if a transaction failed.
    """
    failed = re.search(r"^number of failed transactions: (\d+)", said, re.MULTILINE)
    if failed and failed[1] != "0":
        raise StackError(f"pgbench: {failed[1]} transactions failed")
    found = {what: re.search(pattern, said, re.MULTILINE) for what, pattern in FOUND.items()}
    return {what: float(match[1]) for what, match in found.items() if match}
