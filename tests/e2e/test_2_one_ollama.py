"""All that Ollama's clients and OpenAI's do, done to one Ollama and to the platform: the answers are equal.

They are compared as they come over the wire, fields and their order included, but for times and random names.
docs/api.md lists what differs; a difference that is gone fails here as one that is new does.
"""

import base64
import json
import os
import re
import ssl
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import httpx2
import ollama
import openai
import pytest

from tests.e2e.compared import Side, answers, differences, settled
from tests.e2e.conftest import STACK, Platform, docker
from tests.e2e.signer import Signer
from tests.e2e.waiting import eventually

CLIENTS = Path(__file__).parent / "clients"
REFERENCE = f"ollamamax-{STACK}-one-ollama"
PORT = 11434
ASK = [{"role": "user", "content": "hello"}]
SURE = {"temperature": 0, "seed": 1, "num_predict": 8}
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SCHEMA = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    },
}


@pytest.fixture(scope="module")
def sides(platform: Platform) -> Iterator[tuple[Side, Side]]:
    """One Ollama, as the stack's workers are, and the platform."""
    worker = f"ollamamax-{STACK}-worker-1"
    image = docker("inspect", "--format", "{{.Config.Image}}", worker)
    settings = json.loads(docker("inspect", "--format", "{{json .Config.Env}}", worker))
    subprocess.run(["docker", "rm", "--force", "--volumes", REFERENCE], capture_output=True, check=False)
    docker(
        *("run", "--detach", "--name", REFERENCE, "--publish", f"127.0.0.1::{PORT}"),
        *(word for setting in settings for word in ("--env", setting)),
        image,
    )
    try:
        port = docker("port", REFERENCE, f"{PORT}/tcp").rpartition(":")[2]
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: _answers(url), 30, "the one Ollama answers")
        docker(
            "exec", "--env", f"OLLAMA_HOSTS=127.0.0.1:{PORT}", REFERENCE, "/usr/local/bin/load-models", "tiny"
        )
        yield Side(url, "", ssl.create_default_context()), Side(platform.url, platform.key, platform.trust)
    finally:
        docker("rm", "--force", "--volumes", REFERENCE)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.HTTPError:
        return False


def test_pypi_ollama(sides: tuple[Side, Side], tmp_path: Path) -> None:
    gguf = tmp_path / "tiny.gguf"
    docker("cp", f"{REFERENCE}:/usr/share/ollamamax/tiny.gguf", str(gguf))
    calls: dict[str, Callable[[ollama.Client], object]] = {
        "list": lambda c: c.list(),
        "show": lambda c: c.show("tiny"),
        "show of no model": lambda c: c.show("absent"),
        "chat": lambda c: c.chat("tiny", ASK, options=SURE),
        "chat, streamed": lambda c: c.chat("tiny", ASK, options=SURE, stream=True),
        "chat in a form": lambda c: c.chat("tiny", ASK, options=SURE, format=SCHEMA),
        "chat in JSON": lambda c: c.chat("tiny", ASK, options=SURE, format="json", stream=True),
        "chat with a tool": lambda c: c.chat("tiny", ASK, options=SURE, tools=[TOOL]),
        "chat with an image": lambda c: c.chat("tiny", [{**ASK[0], "images": [PIXEL]}], options=SURE),
        "chat with thoughts": lambda c: c.chat("tiny", ASK, options=SURE, think=True),
        "chat with probabilities": lambda c: c.chat("tiny", ASK, options=SURE, logprobs=True, top_logprobs=2),
        "chat with no model": lambda c: c.chat("absent", ASK),
        "chat that only loads": lambda c: c.chat("tiny"),
        "generate": lambda c: c.generate("tiny", "hello", options=SURE),
        "generate, streamed": lambda c: c.generate("tiny", "hello", options=SURE, stream=True),
        "generate with a system prompt": lambda c: c.generate(
            "tiny", "hello", options=SURE, system="be brief"
        ),
        "generate with a template": lambda c: c.generate(
            "tiny", "hello", options=SURE, template="{{ .Prompt }}"
        ),
        "generate with a context": lambda c: c.generate("tiny", "hello", options=SURE, context=[65, 66]),
        "generate raw": lambda c: c.generate("tiny", "hello", options=SURE, raw=True),
        "generate before a suffix": lambda c: c.generate("tiny", "hello", suffix="world", options=SURE),
        "generate with an image": lambda c: c.generate("tiny", "hello", images=[PIXEL], options=SURE),
        "generate an image": lambda c: c.generate("tiny", "hello", options=SURE, width=8, height=8, steps=1),
        "generate in a form": lambda c: c.generate("tiny", "hello", options=SURE, format=SCHEMA),
        "generate with thoughts": lambda c: c.generate("tiny", "hello", options=SURE, think="high"),
        "generate with an option that is none": lambda c: c.generate(
            "tiny", "hello", options={"num_ctx": "many"}
        ),
        "embed": lambda c: c.embed("tiny", "hello"),
        "embed several": lambda c: c.embed("tiny", ["hello", "you"]),
        "embed to fewer dimensions": lambda c: c.embed("tiny", "hello", dimensions=8),
        "embed too much": lambda c: c.embed("tiny", "hello " * 5000, truncate=False),
        "embed with no model": lambda c: c.embed("absent", "hello"),
        "embeddings": lambda c: c.embeddings("tiny", "hello"),
        "ps": lambda c: c.ps(),
        "create": lambda c: c.create("made", from_="tiny", system="be brief", parameters={"num_predict": 3}),
        "create, streamed": lambda c: c.create("made2", from_="tiny", template="{{ .Prompt }}", stream=True),
        "create_blob, and create of it": lambda c: c.create("blob", files={"tiny.gguf": c.create_blob(gguf)}),
        "create of no model": lambda c: c.create("made3", from_="localhost:1/a/absent"),
        "show of what was made": lambda c: c.show("made"),
        "generate with what was made": lambda c: c.generate(
            "made", "hello", options={"temperature": 0}, keep_alive=0
        ),
        "copy": lambda c: c.copy("made", "copied"),
        "copy of no model": lambda c: c.copy("absent", "copied"),
        **{
            f"delete of {name}": partial(ollama.Client.delete, model=name)
            for name in ("made", "made2", "blob", "copied")
        },
        "delete of no model": lambda c: c.delete("absent"),
        "pull from nowhere": lambda c: c.pull("localhost:1/library/absent:latest", insecure=True),
        "pull from nowhere, streamed": lambda c: c.pull(
            "localhost:1/a/absent:latest", insecure=True, stream=True
        ),
        "push to nowhere": lambda c: c.push("localhost:1/library/absent:latest", insecure=True),
        "push to nowhere, streamed": lambda c: [
            c.copy("tiny", "localhost:1/library/tiny"),
            list(c.push("localhost:1/library/tiny", insecure=True, stream=True)),
        ],
        "delete of what was pushed": lambda c: c.delete("localhost:1/library/tiny"),
        "systemone": lambda c: c.systemone("tiny", "state", {"a": {"type": "noul", "instructions": "b"}}),
    }
    said = []
    for side in sides:
        with ollama.Client(host=side.url, headers=side.headers, transport=side.transport(httpx)) as client:
            said.append(answers(side, {name: partial(call, client) for name, call in calls.items()}))
    different = differences(*said)
    assert not different, different


def test_pypi_openai(sides: tuple[Side, Side]) -> None:
    few: Any = {"model": "tiny", "messages": ASK, "max_tokens": 8, "temperature": 0, "seed": 1}
    more: Any = {"model": "tiny", "prompt": "hello", "max_tokens": 8, "temperature": 0, "seed": 1}
    respond: Any = {"model": "tiny", "input": "hello", "max_output_tokens": 8, "temperature": 0}
    picture: Any = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "hello"},
                {
                    "type": "image_url",
                    "image_url": {"url": f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"},
                },
            ],
        }
    ]
    form: Any = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}

    calls: dict[str, Callable[[openai.OpenAI], object]] = {
        "models": lambda c: list(c.models.list()),
        "a model": lambda c: c.models.retrieve("tiny"),
        "no model": lambda c: c.models.retrieve("absent"),
        "deletion of a model": lambda c: c.models.delete("absent"),
        "chat": lambda c: c.chat.completions.create(**few),
        "chat, streamed": lambda c: c.chat.completions.create(**few, stream=True),
        "chat, streamed, with usage": lambda c: c.chat.completions.create(
            **few, stream=True, stream_options={"include_usage": True}
        ),
        "chat with a tool": lambda c: c.chat.completions.create(**few, tools=[TOOL]),
        "chat with an image": lambda c: c.chat.completions.create(**few | {"messages": picture}),
        "chat in a form": lambda c: c.chat.completions.create(**few, response_format=form),
        "chat in JSON": lambda c: c.chat.completions.create(**few, response_format={"type": "json_object"}),
        "chat with probabilities": lambda c: c.chat.completions.create(**few, logprobs=True, top_logprobs=2),
        "chat with thoughts": lambda c: c.chat.completions.create(**few, reasoning_effort="high"),
        "chat to a stop": lambda c: c.chat.completions.create(**few, stop=["a", "e"]),
        "chat with no model": lambda c: c.chat.completions.create(**few | {"model": "absent"}),
        "chat with no message": lambda c: c.chat.completions.create(**few | {"messages": []}),
        "completions": lambda c: c.completions.create(**more),
        "completions, streamed, with usage": lambda c: c.completions.create(
            **more, stream=True, stream_options={"include_usage": True}
        ),
        "completions before a suffix": lambda c: c.completions.create(**more, suffix="world"),
        "completions with no model": lambda c: c.completions.create(**more | {"model": "absent"}),
        "embeddings": lambda c: c.embeddings.create(model="tiny", input="hello"),
        "embeddings of several": lambda c: c.embeddings.create(
            model="tiny", input=["hello", "you"], encoding_format="float"
        ),
        "embeddings to fewer dimensions": lambda c: c.embeddings.create(
            model="tiny", input="hello", dimensions=8
        ),
        "embeddings with no model": lambda c: c.embeddings.create(model="absent", input="hello"),
        "responses": lambda c: c.responses.create(**respond),
        "responses, streamed": lambda c: c.responses.create(**respond, stream=True),
        "responses with instructions": lambda c: c.responses.create(**respond, instructions="be brief"),
        "responses with no model": lambda c: c.responses.create(**respond | {"model": "absent"}),
        "responses that are kept": lambda c: c.responses.retrieve("resp_1"),
        "an image": lambda c: c.images.generate(model="tiny", prompt="hello", size="256x256"),
        "a moderation": lambda c: c.moderations.create(input="hello"),
        "files": lambda c: c.files.list(),
    }
    said = []
    for side in sides:
        with openai.OpenAI(
            base_url=f"{side.url}/v1",
            api_key=side.key or "none",
            http_client=httpx2.Client(transport=side.transport(httpx2)),
            max_retries=0,
        ) as client:
            said.append(answers(side, {name: partial(call, client) for name, call in calls.items()}))
    different = differences(*said)
    assert not different, different


def test_npm_ollama(sides: tuple[Side, Side], platform: Platform, tmp_path: Path) -> None:
    for name in ("package.json", "package-lock.json", "client.mjs"):
        (tmp_path / name).write_bytes((CLIENTS / name).read_bytes())
    subprocess.run(["npm", "ci", "--silent"], cwd=tmp_path, check=True, timeout=120)
    said = []
    for side in sides:
        settings = {
            "NODE_EXTRA_CA_CERTS": str(platform.ca),
            "SERVER_URL": side.url,
            "SERVER_KEY": side.key,
            "IMAGE": base64.b64encode(PIXEL).decode(),
        }
        done = subprocess.run(
            ["node", "client.mjs"],
            cwd=tmp_path,
            env=os.environ | settings,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        seen = json.loads(done.stdout.splitlines()[-1])  # the client itself prints, too
        assert seen["ended"] == "AbortError"
        said.append(
            {
                name: [settled(*text.split("\n", 1)) for text in texts]
                for name, texts in seen["answers"].items()
            }
        )
    different = differences(*said)
    assert not different, different


PRINTED_BY_CHANCE = re.compile(
    r"\x1b\[[0-9;?]*[A-Za-z]|\r|[⠁-⣿]"  # what a terminal would draw
    r"|(?<=:)\s+[\d.]+ ?(?:[µmn]?s|tokens/s)$"  # durations and rates
    r"|(?:Less than a|About a|\d+) (?:second|minute|hour)s? (?:ago|from now)|Stopping\.\.\."
    r"|\b[0-9a-f]{12}\b",  # digests of models, which hold when they were made
    re.MULTILINE,
)


def test_the_ollama_command_line(sides: tuple[Side, Side], signer: Signer) -> None:
    (signer.home / "Modelfile").write_text(
        "FROM tiny\nSYSTEM be brief\nLICENSE free\n"
        "PARAMETER temperature 0\nPARAMETER seed 1\nPARAMETER num_predict 8\n"
    )
    (signer.home / "Weights").write_text("FROM /usr/share/ollamamax/tiny.gguf\n")
    (signer.home / "pixel.png").write_bytes(PIXEL)
    commands: Sequence[Sequence[str]] = (
        ("--version",),
        ("list",),
        ("create", "sure", "-f", "Modelfile"),
        ("create", "weights", "-f", "Weights"),
        ("create", "nothing", "-f", "absent"),
        ("show", "sure"),
        *(
            ("show", "sure", f"--{what}")
            for what in ("modelfile", "parameters", "template", "system", "license")
        ),
        ("show", "sure", "--verbose"),
        ("show", "absent"),
        ("run", "sure", "hello"),
        ("run", "sure", "hello", "--format", "json"),
        ("run", "sure", "hello", "--verbose"),
        ("run", "sure", "hello", "--nowordwrap", "--hidethinking", "--keepalive", "1m"),
        ("run", "sure", "hello", "--think"),
        ("run", "sure", "hello ./pixel.png"),
        ("run", "sure"),  # with what is piped into it
        ("run", "localhost:1/a/absent", "hello"),
        ("ps",),
        ("stop", "sure"),
        ("stop", "absent"),
        ("cp", "sure", "copied"),
        ("cp", "absent", "copied"),
        ("rm", "copied", "sure", "weights"),
        ("rm", "absent"),
        ("pull", "localhost:1/a/absent", "--insecure"),
        ("push", "localhost:1/a/absent", "--insecure"),
        ("list",),
    )
    said = []
    for side in sides:
        printed: dict[str, Sequence[str]] = {}
        for number, words in enumerate(commands):
            done = signer.run(side.url, *words, stdin="hello\n" if words == ("run", "sure") else None)
            text = PRINTED_BY_CHANCE.sub("", f"{done.returncode}\n{done.stdout}\n{done.stderr}")
            lines = [" ".join(line.split()) for line in text.replace(side.url, "the server").splitlines()]
            if words[0] in ("create", "pull", "push"):  # what a spinner shows depends on when it looks
                lines = [line for line in lines if line.startswith(("0", "1", "Error"))]
            if words[0] == "show":
                lines.sort()  # parameters come in another order each time
            if words == ("ps",):  # each worker lists what it has loaded, also for other tests
                lines = [line for line in dict.fromkeys(lines) if "tiny" not in line]
            # What a spinner leaves is empty.
            printed[f"{number} {' '.join(words)}"] = [line for line in lines if line]
        said.append(printed)
    different = differences(*said)
    assert not different, different
