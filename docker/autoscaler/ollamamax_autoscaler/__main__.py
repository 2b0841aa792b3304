"""The forecaster's command line.

Each command imports what it needs alone: a health check comes every few seconds.
"""

import argparse
import os
import signal
import sys
import time
import urllib.request
from pathlib import Path

from ollamamax_autoscaler import PORT

CONFIGURATION = Path("/etc/ollamamax/autoscaler.yaml")
COMMANDS = {
    "serve": "forecast, and tell Prometheus",
    "check-config": "report every problem of the configuration file",
    "healthcheck": "exit 0 if the forecaster on this machine is at work",
    "version": "print the version",
}
STUCK_INTERVALS = 3
"""Intervals without a forecast, however it ended, after which the program counts as stuck."""
REBUILT_S = 60
"""Time beside, in which the history of all pools is read."""


def main() -> int:
    """Run a command; return 0, 1 for a failure. Wrong usage exits with 2."""
    parser = argparse.ArgumentParser(
        prog="ollamamax-autoscaler", description="Forecasts how many workers a pool will need."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose)
        if name in ("serve", "check-config"):
            command.add_argument("--config", type=Path, default=CONFIGURATION, help="configuration file")
        if name in ("serve", "healthcheck"):
            command.add_argument("--port", type=int, default=PORT, help=f"where its pages are ({PORT})")
    given = parser.parse_args()
    match given.command:
        case "serve":
            return _serve(given.config, given.port)
        case "check-config":
            return _check(given.config)
        case "healthcheck":
            return _healthcheck(given.port)
        case _:
            print(os.environ.get("OLLAMAMAX_VERSION", "dev"))
            return 0


def _healthcheck(port: int) -> int:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=3).close()
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _check(file: Path) -> int:
    from ollamamax_autoscaler.configuration import ConfigurationError, load

    try:
        load(file)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 1
    print("configuration is valid")
    return 0


def _serve(file: Path, port: int) -> int:
    from ollamamax_autoscaler import logs, server
    from ollamamax_autoscaler.cluster import Cluster
    from ollamamax_autoscaler.configuration import ConfigurationError, load
    from ollamamax_autoscaler.metrics import Metrics
    from ollamamax_autoscaler.pools import Pools
    from ollamamax_autoscaler.prometheus import Prometheus

    log, metrics = logs.logger(), Metrics()
    try:
        settings = load(file)
        services = [pool.service for pool in settings.pools]
        cluster = Cluster(Path(settings.cluster.account), services) if settings.cluster else None
        pools = Pools(settings, Prometheus(settings.prometheus), cluster, metrics, log)
        pulse = server.Pulse(STUCK_INTERVALS * settings.interval_s + REBUILT_S)
        server.serve(metrics.registry, pools.told, pulse, port)
    except (ConfigurationError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    # Nothing has to be brought to an end: what is in memory is rebuilt from Prometheus.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    log.info("started", extra={"fields": {"pools": [pool.name for pool in settings.pools]}})
    try:
        while True:
            wait_s = pools.look()
            pulse.beat()
            time.sleep(wait_s)
    except (SystemExit, KeyboardInterrupt):
        log.info("stopped")
        return 0
    except Exception:
        log.exception("ended by a fault of its own")
        return 1


if __name__ == "__main__":
    sys.exit(main())
