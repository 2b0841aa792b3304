"""Record what the gateway's compiler is to optimise for: ``make profile``; see docs/bench.md."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import docker

from bench.cost import measure
from bench.machine import BenchError
from bench.stage import staged
from bench.workloads import GATEWAY, WORKLOADS

SOURCES = Path(__file__).parents[1] / "docker" / "gateway"
PROFILE = SOURCES / "image.pgo"
"""The image's build takes it. Of the name default.pgo, every build of the tests would be made twice."""
RECORDED = ("w1", "w4", "w5", "report")
SECONDS = 3
WRITTEN_S = 10


def recording(_: docker.DockerClient, folder: Path) -> Path:
    """Build the gateway so that it can record a profile; return the program."""
    program = folder / "recording"
    subprocess.run(
        ["go", "build", "-tags", "profile", "-trimpath", "-buildvcs=false", "-o", str(program), "."],
        cwd=SOURCES,
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": ""},
        check=True,
    )
    return program


def record(profile: Path) -> None:
    """Run workloads against the gateway alone, recording where it spends its time."""
    with staged(recording) as stage, ExitStack() as stack:
        recorded = stage.folder / "cpu.pprof"
        ours = stage.gateway.beside("profile", stack.enter_context(stage.load.mocks(1)))
        target = stack.enter_context(ours.serve(OLLAMAMAX_CPU_PROFILE=str(recorded)))
        for workload in WORKLOADS:
            if workload.name in RECORDED and GATEWAY in workload.targets and not workload.share_of_peak:
                print(f"{workload.name}: {workload.title}", file=sys.stderr)
                measure(stage.load, target, workload, SECONDS, next(stage.seeds))
        os.kill(target.pid, signal.SIGUSR1)
        deadline = time.monotonic() + WRITTEN_S
        while not recorded.exists():
            if time.monotonic() > deadline:
                raise BenchError(f"the gateway wrote no profile within {WRITTEN_S} s")
            time.sleep(0.1)  # between two looks at the condition
        profile.write_bytes(recorded.read_bytes())


if __name__ == "__main__":
    record(PROFILE)
    print(f"{PROFILE.relative_to(Path.cwd())}: {PROFILE.stat().st_size // 1024} KiB", file=sys.stderr)
