"""The image beside a real Prometheus: it forecasts from what that recorded, and again after a restart."""

import io
import json
import math
import re
import subprocess
import tarfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import docker
import pytest
from docker.models.containers import Container
from docker.models.networks import Network

from components.service import CONFIG_DIR, Service
from ollamamax_autoscaler.configuration import load
from ollamamax_autoscaler.forecast import Forecast, Forecaster, Parameters
from ollamamax_autoscaler.prometheus import LOAD
from tests.containers import build, running, secrets, serving
from tests.identity import Identity
from tests.templates.rendered import archive, output_of, plain_config, run_in, wait_until_healthy

LARGEST_MIB = 60
STEP, DAY = 30, 86_400
DAYS = 3
PRESENT = 100.0
PATIENCE_S = 90
DATA = "/var/lib/prometheus"
ASKED = ("--format=json", "--http.config.file=/etc/ollamamax/promtool.yml", "https://127.0.0.1:9090")


def recorded(at: int, begun: int) -> float:
    """Return load that rises every day, most steeply at the time at which the tests have begun."""
    return PRESENT + 90 * math.sin((at - begun) / DAY * 2 * math.pi) + at // STEP * 7 % 5


def history(begun: int) -> str:
    """Return the load of the days before, as text that Prometheus reads."""
    times = range(begun - DAYS * DAY, begun, STEP)
    # In the middle of the step that it stands for: the first moment of one is also the last of another.
    samples = [f'{LOAD}{{pool="worker"}} {recorded(at, begun)} {at - STEP // 2}' for at in times]
    return "\n".join([f"# TYPE {LOAD} gauge", *samples, "# EOF", ""])


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    connection = docker.from_env()
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def network(client: docker.DockerClient) -> Iterator[Network]:
    made = client.networks.create(
        f"ollamamax-forecast-{uuid.uuid4().hex[:8]}", driver="bridge", internal=True
    )
    yield made
    made.remove()


@pytest.fixture(scope="module")
def begun() -> int:
    """Return when the tests began, at the end of a step."""
    return math.floor(time.time() / STEP) * STEP


def gateway(client: docker.DockerClient, network: Network) -> AbstractContextManager[Container]:
    """Run one of two gateways, as far as Prometheus sees: what it serves is half of the load."""
    metrics = f'ollamamax_pool_load{{pool="worker",model="tiny"}} {PRESENT / 2}\n'
    serve = ["-m", "http.server", "9090", "--directory", CONFIG_DIR]
    files = archive({"metrics": metrics}, {})
    return running(
        client,
        network,
        "gateway-1",
        build("autoscaler"),
        files,
        entrypoint="/usr/bin/python3",
        command=serve,
    )


@pytest.fixture(scope="module")
def prometheus(
    client: docker.DockerClient,
    network: Network,
    services: Mapping[str, Service],
    identity: Identity,
    begun: int,
) -> Iterator[Container]:
    """Return a Prometheus that knows the load of three days."""
    volume = client.volumes.create(f"{network.name}-data")
    service, mounted = services["prometheus"], [f"{volume.name}:{DATA}"]
    backfill = ["tsdb", "create-blocks-from", "openmetrics", f"{CONFIG_DIR}/history.txt", DATA]
    try:
        with running(
            client,
            network,
            "backfill",
            build("prometheus"),
            archive({"history.txt": history(begun)}, {}),
            entrypoint="/usr/bin/promtool",
            command=backfill,
            volumes=mounted,
        ) as filling:
            assert filling.wait(timeout=PATIENCE_S)["StatusCode"] == 0, output_of(filling)
        with (
            gateway(client, network),
            running(
                client,
                network,
                service.name,
                build("prometheus"),
                archive(plain_config(service), secrets(service, identity)),
                command=["--storage.tsdb.retention.time=30d"],
                volumes=[CONFIG_DIR, *mounted],
            ) as container,
        ):
            wait_until_healthy(container, service)
            yield container
    finally:
        volume.remove()


def confined(service: Service) -> dict[str, object]:
    """Return how the target runs a service."""
    return {
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "mem_limit": f"{service.limits.memory_mib}m",
        "memswap_limit": f"{service.limits.memory_mib}m",
    }


def asked(prometheus: Container, *question: str) -> list[dict[str, Any]]:
    """Return what Prometheus answers."""
    done = run_in(prometheus, "promtool", "query", *question)
    assert done.returncode == 0, done.stdout
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def sampled(prometheus: Container, name: str) -> float | None:
    """Return what Prometheus has sampled of the forecaster last."""
    found = asked(prometheus, "instant", *ASKED, f"ollamamax_{name}")
    return float(found[0]["value"][1]) if found else None


def forecast_after(prometheus: Container, container: Container, at: float) -> tuple[float, float]:
    """Return the first forecast that Prometheus sees from after a time: when it was made, and the load."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        made, found = (
            sampled(prometheus, f"forecast_{name}") for name in ("timestamp_seconds", "load_slots")
        )
        if made is not None and made > at and found is not None:
            return made, found
        time.sleep(0.5)  # between two looks at the condition
    raise AssertionError(f"no forecast after {PATIENCE_S} s:\n{output_of(container)}")


def expected(prometheus: Container, now: float, begun: int, horizon_s: float) -> Forecast:
    """Return what is forecast here of what Prometheus has recorded."""
    start, end = begun - DAYS * DAY, math.floor(now / STEP) * STEP
    times = (f"--start={start}", f"--end={end}", f"--step={STEP}s")
    found = asked(prometheus, "range", *times, *ASKED, f"avg_over_time({LOAD}[{STEP}s])")
    loads = {at: float(value) for at, value in found[0]["values"]}
    assert len(loads) >= DAYS * DAY // STEP - 1
    forecaster = Forecaster(Parameters(step_s=STEP))
    for at in range(start, end + 1, STEP):
        forecaster.observe(at, loads.get(at))
    return forecaster.forecast(now, horizon_s)


def test_it_forecasts_from_what_prometheus_has_recorded_and_again_after_it_was_killed(
    client: docker.DockerClient,
    network: Network,
    prometheus: Container,
    services: Mapping[str, Service],
    identity: Identity,
    begun: int,
    tmp_path: Path,
) -> None:
    service = services["autoscaler"]
    file = tmp_path / "autoscaler.yaml"
    file.write_text(plain_config(service)["autoscaler.yaml"])
    settings = load(file)
    assert settings.interval_s == STEP
    horizon_s = settings.startup_s + settings.reaction_s
    with serving(client, network, service, identity, **confined(service)) as container:
        wait_until_healthy(container, service)
        made, found = forecast_after(prometheus, container, 0)
        assert found == pytest.approx(expected(prometheus, made, begun, horizon_s).load)
        assert found > PRESENT + 1
        wanted = sampled(prometheus, "forecast_replicas")
        assert wanted == math.ceil(found / settings.pools[0].slots)
        container.kill()
        container.start()
        again, after = forecast_after(prometheus, container, made)
        assert after == pytest.approx(expected(prometheus, again, begun, horizon_s).load)
        container.stop(timeout=10)
        assert container.wait()["StatusCode"] == 0, output_of(container)
        lines = [json.loads(line) for line in output_of(container).splitlines()]
    assert [line["msg"] for line in lines] == [
        *("started", "the forecast is made") * 2,
        "stopped",
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\S+Z", line["time"]) for line in lines)


def test_it_waits_for_prometheus_and_says_so(
    client: docker.DockerClient, network: Network, services: Mapping[str, Service], identity: Identity
) -> None:
    text = plain_config(services["autoscaler"])["autoscaler.yaml"].replace("prometheus:9090", "nobody:9090")
    service = replace(services["autoscaler"], config={"autoscaler.yaml": text})
    with serving(client, network, service, identity, **confined(service)) as container:
        deadline = time.monotonic() + PATIENCE_S
        while len(lines := output_of(container).splitlines()) < 2 and time.monotonic() < deadline:
            time.sleep(0.2)  # between two looks at the condition
        wait_until_healthy(container, service)
    said = json.loads(lines[1])
    assert (said["level"], said["msg"]) == ("WARN", "prometheus does not answer")


def test_its_image_is_small_and_unprivileged_and_starts_by_itself(client: docker.DockerClient) -> None:
    image = client.images.get(build("autoscaler"))
    assert image.attrs["Size"] <= LARGEST_MIB * 1024 * 1024, f"the image has {image.attrs['Size']} bytes"
    config = image.attrs["Config"]
    assert config["User"] == "10001:0"
    assert config["Cmd"] == ["serve"]


def test_its_image_names_every_package_that_is_in_it_and_has_its_licence(client: docker.DockerClient) -> None:
    container = client.containers.create(build("autoscaler"))
    try:
        done = subprocess.run(["docker", "export", str(container.id)], capture_output=True, check=True)
    finally:
        container.remove()
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as root:
        licences = {name.split("/")[3] for name in root.getnames() if name.endswith("/copyright")}
        packages = {
            Path(file.name).name: told(root.extractfile(file), "Package")
            for file in root
            if file.isfile() and Path(file.name).is_relative_to("var/lib/dpkg/status.d")
        }
        assert told(root.extractfile("usr/lib/os-release"), "ID", "=") == "debian"
    some = {"libc6", "liblapack3", "libssl3t64", "python3-numpy", "python3.13-minimal"}
    assert {*some, "gcc-14-base"} <= licences
    assert {*some, "libgcc-s1"} <= packages.keys()
    assert packages == {name: name for name in packages}


def told(file: IO[bytes] | None, field: str, sign: str = ": ") -> str:
    """Return what a file of lines says in a field."""
    assert file
    lines = (line.partition(sign) for line in file.read().decode().splitlines())
    return next(value for name, _, value in lines if name == field)


@pytest.mark.parametrize(("command", "output"), [("version", "dev\n"), ("--help", None)])
def test_its_commands_work_in_the_empty_image(command: str, output: str | None) -> None:
    run = ["docker", "run", "--rm", "--network=none", "--read-only", build("autoscaler"), command]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert done.stdout == output if output else "check-config" in done.stdout


def test_it_reports_every_problem_of_its_file(client: docker.DockerClient, network: Network) -> None:
    bad = (Path(__file__).parent / "bad/many.yaml").read_text()
    with running(
        client, network, "bad", build("autoscaler"), archive({"autoscaler.yaml": bad}, {}), command=["serve"]
    ) as container:
        assert container.wait(timeout=30)["StatusCode"] == 1
        assert output_of(container) == (Path(__file__).parent / "bad/many.txt").read_text()
