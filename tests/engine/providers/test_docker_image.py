"""Images, built by a real daemon, against what Pulumi's own plugin recorded."""

from pathlib import Path
from typing import Any

import docker
import pytest

from engine.values import Secret
from tests.engine.providers.harness import (
    BASE,
    CONTAINER,
    IMAGE,
    PREFIX,
    REFERENCE,
    Failed,
    Plugin,
    container,
    opened,
)

PACKAGE = "docker"


def context(folder: Path, dockerfile: str) -> dict[str, Any]:
    (folder / "Dockerfile").write_text(dockerfile)
    return {"context": str(folder), "dockerfile": str(folder / "Dockerfile"), "platform": "linux/amd64"}


def test_the_digest_of_a_context_is_the_plugins(
    plugin: Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: dict[str, dict[str, Any]]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("ctx")
    folder.mkdir()
    want = recorded[IMAGE]["inputs"]
    (folder / "Dockerfile").write_bytes((REFERENCE / "Dockerfile").read_bytes())
    (folder / "Dockerfile").chmod(0o644)
    given = {"imageName": want["imageName"], "skipPush": True}
    build = {"context": "ctx", "dockerfile": "ctx/Dockerfile", "platform": "linux/amd64"}
    assert plugin.check(IMAGE, given | {"build": build}) == want

    def digest() -> str:
        value: str = plugin.check(IMAGE, given | {"build": build})["build"]["contextDigest"]
        return value

    seen = [digest()]
    (folder / "a").write_text("a")
    (folder / "sub").mkdir()
    (folder / "sub" / "b.log").write_text("b")
    seen.append(digest())
    (folder / "a").chmod(0o755)
    seen.append(digest())
    (folder / "link").symlink_to("a")
    seen.append(digest())
    (folder / ".dockerignore").write_text("# comment\n**/*.log\nlink\n!a\n")
    seen.append(digest())
    assert len(set(seen)) == len(seen)
    (folder / "sub" / "b.log").write_text("changed, but ignored")
    assert digest() == seen[-1]
    Path("ctx/Dockerfile.dockerignore").write_text("**\n!**/*.log\n")
    seen.append(digest())
    (folder / "a").write_text("ignored now, like .dockerignore itself")
    (folder / ".dockerignore").write_text("*\n")
    assert digest() == seen[-1] != seen[-2]
    (folder / "sub" / "b.log").write_text("kept again")
    assert digest() != seen[-1]


def test_an_image_is_built_with_progress_and_described_as_the_plugin_does(
    plugin: Plugin, daemon: docker.APIClient, tmp_path: Path, recorded: dict[str, dict[str, Any]]
) -> None:
    build = context(tmp_path, f"FROM {BASE}\nARG WORD=none\nRUN echo said $WORD > /word\n")
    name = PREFIX + "image:1"
    inputs = plugin.check(
        IMAGE, {"imageName": name, "skipPush": True, "build": build | {"args": {"WORD": "hi"}}}
    )
    id_, outputs = plugin.create(IMAGE, inputs)
    assert id_ == name
    assert outputs.keys() == recorded[IMAGE]["outputs"].keys()
    assert isinstance(outputs["__inputs"], Secret)
    assert opened(outputs)["__inputs"] == inputs
    assert outputs["repoDigest"] == daemon.images(name, quiet=True)[0]
    assert (outputs["dockerfile"], outputs["registryServer"]) == ("Dockerfile", "")
    assert any("RUN echo said" in line for line in plugin.log)
    job = container(
        plugin, "image", image=name, command=["cat", "/word"], attach=True, logs=True, mustRun=False
    )
    assert plugin.create(CONTAINER, job)[1]["containerLogs"] == "said hi\n"
    assert plugin.changes(IMAGE, outputs, inputs, inputs) == {}
    (tmp_path / "new").write_text("file")
    again = plugin.check(
        IMAGE, {"imageName": name, "skipPush": True, "build": build | {"args": {"WORD": "hi"}}}
    )
    assert plugin.changes(IMAGE, outputs, inputs, again) == {"build.contextDigest": "update"}
    assert opened(plugin.update(IMAGE, id_, outputs, again))["__inputs"] == again
    plugin.delete(IMAGE, id_, outputs)
    assert plugin.read(IMAGE, id_, inputs, outputs) == outputs


def test_a_build_that_fails_names_the_image_the_dockerfile_and_the_step(
    plugin: Plugin, daemon: docker.APIClient, tmp_path: Path
) -> None:
    build = context(tmp_path, f"FROM {BASE}\nRUN seq 1 40 && echo no luck && exit 7\n")
    inputs = plugin.check(IMAGE, {"imageName": PREFIX + "bad:1", "skipPush": True, "build": build})
    with pytest.raises(Failed) as failure:
        plugin.create(IMAGE, inputs)
    message = str(failure.value)
    start = f"image {PREFIX}bad:1 could not be built from {tmp_path}/Dockerfile: step [2/2] RUN seq 1 40 &&"
    assert message.startswith(start)
    assert "no luck" in message
    assert len(message.splitlines()) <= 16
    missing = {"imageName": "a", "skipPush": True, "build": {"context": str(tmp_path), "dockerfile": "none"}}
    with pytest.raises(Failed, match=f'^{IMAGE} "x": dockerfile none does not exist$'):
        plugin.check(IMAGE, missing)
