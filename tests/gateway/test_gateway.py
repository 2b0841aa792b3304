"""The gateway's own tests, in the container that its image is built in, and what its image is."""

import re
import subprocess

import docker
import pytest

from tests.containers import REPOSITORY, build
from tests.gateway.conftest import SOURCES, Go, Parts

IMAGE_LIMIT = 15 * 1024 * 1024
"""Bytes: the program and the certificates that it trusts, nothing else."""
RACE_LIMIT = "300s"
"""Against a deadlock: how long the tests take depends on the machine."""
FUZZERS = sorted(
    (str(file.parent.relative_to(SOURCES)), name)
    for file in SOURCES.rglob("*_test.go")
    for name in re.findall(r"^func (Fuzz\w+)\(", file.read_text(), re.MULTILINE)
)
"""Package and function of each."""
FUZZED = "60s"


def test_the_sources_are_formatted_and_vetted(go: Go) -> None:
    status, _ = go("sh", "-c", 'test -z "$(gofmt -l . | tee /dev/stderr)" && go vet -tags integration ./...')
    assert status == 0


def test_the_go_tests_pass_under_the_race_detector(go: Go) -> None:
    status, _ = go("go", "test", "-race", "-timeout", RACE_LIMIT, "./...")
    assert status == 0


@pytest.mark.long
@pytest.mark.parametrize(("package", "fuzzer"), FUZZERS)
def test_a_fuzzer_finds_nothing(go: Go, package: str, fuzzer: str) -> None:
    # In a copy, where Go can write down what it finds.
    fuzz = f"go test -run '^$' -fuzz '^{fuzzer}$' -fuzztime {FUZZED} ./{package}"
    found = f"{{ tail -n +1 {package}/testdata/fuzz/{fuzzer}/*; exit 1; }}"
    status, _ = go("sh", "-c", f"cp -r . /tmp/src && cd /tmp/src && {fuzz} || {found}")
    assert status == 0


def test_a_gateway_under_more_than_its_memory_refuses_requests_before_the_kernel_kills(go: Go) -> None:
    # Compiled where there is room for the compiler, and kept beside what it keeps.
    program = "/root/.cache/go-build/server.test"
    status, _ = go("go", "test", "-tags", "integration", "-c", "-o", program, "./internal/server")
    assert status == 0
    name = "TestBodiesThatWouldTakeTwiceTheContainersMemory"
    limited = f"GOMEMLIMIT=400MiB GOMAXPROCS=2 {program} -test.v -test.run {name}"
    status, output = go("sh", "-c", limited, memory_mib=512)
    assert status == 0
    assert "served" in output


def test_the_gateway_works_with_real_ollama_postgresql_pgbouncer_and_redis(go: Go, parts: Parts) -> None:
    # One package at a time: they share a database.
    packages = (".", "./internal/accounts", "./internal/bus", "./internal/cache", "./internal/store")
    status, _ = go(
        *("go", "test", "-tags", "integration", "-count=1", "-p", "1", "-timeout", "480s"),
        *packages,
        parts=parts,
    )
    assert status == 0


def test_every_module_in_the_program_has_its_licence_recorded(go: Go) -> None:
    status, output = go("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")
    assert status == 0
    page = (REPOSITORY / "docs" / "licences.md").read_text()
    recorded = set(re.findall(r"^\| `([^`]+\.[^`]+/[^`]+)` \| \S", page, re.MULTILINE))
    assert recorded == set(output.split()) - {"ollamamax/gateway"}


def test_the_image_is_small_and_unprivileged_and_starts_by_itself(client: docker.DockerClient) -> None:
    image = client.images.get(build("gateway"))
    assert image.attrs["Size"] <= IMAGE_LIMIT, f"the image has {image.attrs['Size']} bytes"
    config = image.attrs["Config"]
    assert config["User"] == "10001:0"
    assert config["Entrypoint"] == ["/ollama-distributed"]
    assert config["Cmd"] == ["serve"]


def test_the_image_says_which_version_it_is() -> None:
    command = ["docker", "run", "--rm", "--network=none", build("gateway"), "version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "dev\n"


def test_the_image_has_certificates_and_a_place_for_its_files(client: docker.DockerClient) -> None:
    container = client.containers.create(build("gateway"))
    try:
        for path in ("/etc/ssl/certs/ca-certificates.crt", "/etc/passwd", "/etc/ollamamax/secrets"):
            done = subprocess.run(
                ["docker", "cp", f"{container.id}:{path}", "-"], capture_output=True, check=False
            )
            assert done.returncode == 0, done.stderr.decode()
    finally:
        container.remove(force=True)
