"""How the workers' image serves a cluster: one store that is filled once, readiness, and a patient end."""

import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from components import models, worker
from components.service import USER
from tests.containers import build
from tests.kubernetes.stack import wait_for

LIKE_A_POD = (
    *("--read-only", "--user", USER, "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--tmpfs", f"{worker.HOME_DIR}:size=16m,mode=1777", "--tmpfs", "/tmp:size=64m,mode=1777"),  # noqa: S108
)
PULLED_WITHOUT_A_NETWORK = "smollm2:135m"


def docker(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *command], capture_output=True, text=True, check=False)


@dataclass
class Workplace:
    """An image, a network and volumes of one test's own."""

    image: str
    mark: str = field(default_factory=lambda: f"ollamamax-images-{uuid.uuid4().hex[:8]}")

    @property
    def store(self) -> str:
        return f"{self.mark}-store"

    def make(self) -> None:
        docker("network", "create", "--internal", self.mark)
        for volume in ("store", "work"):
            docker("volume", "create", f"{self.mark}-{volume}")
        # As a cluster hands them over: root's, and its group may write.
        self.beside("chmod 2775 /store /work", "--user", "0")

    def remove(self) -> None:
        left = docker("ps", "--all", "--quiet", "--filter", f"name={self.mark}").stdout.split()
        docker("rm", "--force", *left)
        docker("network", "rm", self.mark)
        docker("volume", "rm", "--force", f"{self.mark}-store", f"{self.mark}-work")

    def beside(self, script: str, *options: str) -> str:
        """Run a script on the volumes, with more rights than the image's own programs."""
        done = docker(
            *("run", "--rm", "--volume", f"{self.store}:/store", "--volume", f"{self.mark}-work:/work"),
            *options,
            *("--entrypoint", "bash", self.image, "-c", script),
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def fill(self, *names: str, status: int = 0) -> str:
        """Run the job that fills the store; return what it says."""
        job = models.describe(models.StoreArgs(names, "store", 1, worker.IMAGE, worker.HOME_DIR))
        store, work = job.volumes
        environment = [word for key, value in job.env.items() for word in ("--env", f"{key}={value}")]
        done = docker(
            *("run", "--rm", "--network", "none", *LIKE_A_POD, *environment),
            *("--volume", f"{self.store}:{store.path}", "--volume", f"{self.mark}-work:{work.path}"),
            *("--entrypoint", *(job.entrypoint or ()), self.image, *names),
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def files(self) -> dict[str, str]:
        """Return path → time of change and checksum of what is in the store."""
        one = "echo $file $(stat -c %y $file) $(md5sum <$file)"
        script = f"cd /store && find . -type f | sort | while read file; do {one}; done"
        lines = self.beside(script).splitlines()
        return {line.partition(" ")[0]: line.partition(" ")[2] for line in lines}

    def serve(self) -> None:
        """Start a worker on the store, which it cannot write."""
        done = docker(
            *("run", "--detach", "--name", self.mark, "--network", self.mark, *LIKE_A_POD),
            *("--env", "OLLAMA_NOPRUNE=1", "--env", "OLLAMA_KEEP_ALIVE=-1"),
            *("--volume", f"{self.store}:{worker.MODELS_DIR}:ro", self.image),
        )
        assert done.returncode == 0, done.stderr
        wait_for(lambda: self.inside("ollama", "ps").returncode == 0)

    def inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        return docker("exec", self.mark, *command)

    def connect(self, seconds: int) -> None:
        """Hold a connection to the worker for so long."""
        script = f"exec 3<>/dev/tcp/{self.mark}/{worker.PORT} && sleep {seconds}"
        command = ("--entrypoint", "bash", self.image, "-c", script)
        docker("run", "--rm", "--detach", "--name", f"{self.mark}-client", "--network", self.mark, *command)
        wait_for(lambda: self.established())

    def established(self) -> bool:
        port = f":{worker.PORT:04X} "
        table = self.inside("cat", "/proc/net/tcp", "/proc/net/tcp6").stdout
        return any(port in line and " 01 " in line for line in table.splitlines())


@pytest.fixture
def place() -> Iterator[Workplace]:
    made = Workplace(build("ollama"))
    made.make()
    yield made
    made.remove()


def test_the_store_is_filled_once_and_left_as_it_is_from_then_on(place: Workplace) -> None:
    assert "model tiny is in the store" in place.fill("tiny")
    files = place.files()
    assert [file for file in files if file.startswith("./manifests")] == [
        "./manifests/registry.ollama.ai/library/tiny/latest"
    ]
    assert all(Path(file).name.startswith("sha256-") for file in files if file.startswith("./blobs"))
    assert "pulling" not in place.fill("tiny")
    assert place.files() == files


def test_a_copy_that_was_cut_off_is_made_good(place: Workplace) -> None:
    place.fill("tiny")
    whole = {file: words.split()[-2] for file, words in place.files().items()}
    largest = place.beside("cd /store/blobs && ls -S | head -n 1").strip()
    place.beside(f"rm -r /store/manifests/*; truncate -s 1000 /store/blobs/{largest}", "--user", "0")
    assert "pulling model tiny" in place.fill("tiny")
    assert {file: words.split()[-2] for file, words in place.files().items()} == whole


def test_the_disk_of_the_job_is_free_again_for_the_next_model(place: Workplace) -> None:
    place.fill("tiny")
    assert place.beside("find /work -type f -name 'sha256-*'") == ""


def test_a_registry_that_cannot_be_reached_fails_the_job_and_leaves_nothing_half_done(
    place: Workplace,
) -> None:
    said = place.fill("tiny", PULLED_WITHOUT_A_NETWORK, status=1)
    assert f'error: models: "{PULLED_WITHOUT_A_NETWORK}" could not be pulled: Error: ' in said
    assert not any("smollm2" in file for file in place.files()), (
        "a stand-in would never be what workers wait for"
    )
    assert any("tiny" in file for file in place.files())


def test_a_worker_serves_from_a_store_that_it_cannot_write(place: Workplace) -> None:
    place.fill("tiny")
    files = place.files()
    place.serve()
    assert "tiny:latest" in place.inside("ollama", "list").stdout
    assert "llama" in place.inside("ollama", "show", "tiny").stdout
    answer = place.inside("ollama", "run", "tiny", "hello")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip()
    assert place.inside("ollama", "rm", "tiny").returncode != 0
    assert place.files() == files


def test_a_worker_is_ready_once_its_models_are_loaded_and_loads_them_itself(place: Workplace) -> None:
    place.fill("tiny")
    place.serve()
    ready = ("models-ready", "--loaded", "CPU", "tiny")
    first = place.inside(*ready)
    assert (first.returncode, first.stdout) == (1, "not in the memory of the CPU: tiny:latest\n")
    wait_for(lambda: place.inside(*ready).returncode == 0)
    place.inside("ollama", "stop", "tiny")
    wait_for(lambda: place.inside(*ready).returncode == 0)


def test_a_worker_that_answers_without_its_gpu_is_not_ready(place: Workplace) -> None:
    place.fill("tiny")
    place.serve()
    place.inside("ollama", "run", "tiny", "hello")
    said = place.inside("models-ready", "--loaded", "GPU", "tiny")
    assert (said.returncode, said.stdout) == (1, "not in the memory of the GPU: tiny:latest\n")


def test_a_worker_without_one_of_its_models_is_not_ready(place: Workplace) -> None:
    place.fill("tiny")
    place.serve()
    assert place.inside("models-ready", "tiny").returncode == 0
    assert place.inside("models-ready", "tiny:latest").returncode == 0
    for name in ("iny", "tin", "tiny:other"):
        said = place.inside("models-ready", "tiny", name)
        assert said.returncode == 1
        assert said.stdout.endswith("is not in the store\n")


def test_a_worker_is_drained_once_no_client_has_been_connected_for_a_while(place: Workplace) -> None:
    place.fill("tiny")
    place.serve()
    place.connect(seconds=4)
    assert place.inside("drain", "90").returncode == 0
    assert not place.established()


def test_a_drain_ends_at_its_deadline_whoever_is_connected(place: Workplace) -> None:
    place.fill("tiny")
    place.serve()
    place.connect(seconds=300)
    said = place.inside("drain", "3")
    assert (said.returncode, said.stderr) == (1, "clients are still connected after 3 seconds\n")
    assert place.established()


def test_the_released_build_gets_the_same_scripts() -> None:
    base = ("--build-arg", "CUDA_IMAGE=debian:trixie-slim", "--target", "cuda")
    image = build("ollama", *base)
    for script in ("drain", "models-ready"):
        assert (
            docker("run", "--rm", "--entrypoint", "test", image, "-x", f"/usr/local/bin/{script}").returncode
            == 0
        )
    described = docker("inspect", "--format", "{{.Config.User}} {{.Config.Env}}", image).stdout
    assert described.startswith(USER)
    assert f"OLLAMA_MODELS={worker.MODELS_DIR}" in described
