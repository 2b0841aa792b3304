"""The clients that people already have, unchanged: base URL, key and CA given."""

import base64
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import httpx2
import ollama
import openai
import pytest

from tests.e2e.conftest import STACK, Platform, docker
from tests.e2e.signer import Signer
from tests.e2e.waiting import eventually

ASK = [{"role": "user", "content": "hello"}]
FEW = {"num_predict": 8}


def worker(path: str, body: object) -> httpx.Response:
    """Ask a worker itself, past the platform: what Ollama says is the measure."""
    address = docker(
        "inspect",
        "--format",
        "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
        f"ollamamax-{STACK}-worker-1",
    )
    return httpx.post(f"http://{address}:11434{path}", json=body, trust_env=False)


@pytest.fixture
def client(platform: Platform) -> Iterator[ollama.Client]:
    """The PyPI ollama client."""
    with ollama.Client(host=platform.url, headers=platform.headers, verify=platform.trust) as client:
        yield client


def test_pypi_ollama_lists_and_shows(client: ollama.Client) -> None:
    assert [model.model for model in client.list().models] == ["tiny:latest"]
    assert client.show("tiny").details.family == "llama"  # type: ignore[union-attr]


def test_pypi_ollama_chats_streamed_and_not(client: ollama.Client) -> None:
    whole = client.chat("tiny", ASK, options=FEW)
    assert whole.message.content
    assert whole.eval_count == 8
    pieces = list(client.chat("tiny", ASK, stream=True, options=FEW))
    assert len(pieces) == 9, "eight tokens and the end, each on its own"
    assert pieces[-1].done


def test_pypi_ollama_generates_streamed_and_not(client: ollama.Client) -> None:
    assert client.generate("tiny", "hello", options=FEW).response
    assert len(list(client.generate("tiny", "hello", stream=True, options=FEW))) == 9


def test_pypi_ollama_embeds(client: ollama.Client) -> None:
    assert [len(vector) for vector in client.embed("tiny", ["a", "b"]).embeddings] == [64, 64]


def test_an_unknown_model_is_refused_in_ollamas_own_words(client: ollama.Client, platform: Platform) -> None:
    for path, body in (
        ("/api/chat", {"model": "absent", "messages": ASK}),
        ("/api/generate", {"model": "absent", "prompt": "x"}),
        ("/api/embed", {"model": "absent", "input": "x"}),
        ("/api/show", {"model": "absent"}),
        ("/v1/chat/completions", {"model": "absent", "messages": ASK}),
    ):
        theirs = worker(path, body)
        ours = httpx.post(platform.url + path, json=body, headers=platform.headers, verify=platform.trust)
        assert (ours.status_code, ours.json()) == (theirs.status_code, theirs.json()), path
    with pytest.raises(ollama.ResponseError, match="model 'absent' not found"):
        client.chat("absent", ASK)


def test_malformed_json_is_refused_in_ollamas_own_words(platform: Platform) -> None:
    address = docker(
        "inspect",
        "--format",
        "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
        f"ollamamax-{STACK}-worker-1",
    )
    for body in (b'{"model": ', b"", b"[1]", b'{"model": 3}'):
        theirs = httpx.post(f"http://{address}:11434/api/chat", content=body, trust_env=False)
        ours = httpx.post(
            f"{platform.url}/api/chat", content=body, headers=platform.headers, verify=platform.trust
        )
        assert ours.status_code == theirs.status_code == 400, body
        assert ours.json() == theirs.json(), body


def test_pypi_openai_speaks_to_the_platform(platform: Platform) -> None:
    with (
        httpx2.Client(verify=platform.trust) as transport,
        openai.OpenAI(base_url=f"{platform.url}/v1", api_key=platform.key, http_client=transport) as client,
    ):
        assert [model.id for model in client.models.list()] == ["tiny:latest"]
        assert client.models.retrieve("tiny").id == "tiny"
        whole = client.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": "hello"}], max_tokens=8
        )
        assert whole.choices[0].message.content
        pieces = list(
            client.chat.completions.create(
                model="tiny", messages=[{"role": "user", "content": "hello"}], max_tokens=8, stream=True
            )
        )
        assert len(pieces) >= 8
        assert client.completions.create(model="tiny", prompt="hello", max_tokens=8).choices[0].text
        assert len(client.embeddings.create(model="tiny", input="a").data[0].embedding) == 64
        with pytest.raises(openai.NotFoundError, match="model 'absent' not found"):
            client.chat.completions.create(model="absent", messages=[{"role": "user", "content": "x"}])


def test_keys_are_made_and_revoked_in_a_gateways_container(platform: Platform) -> None:
    def keys(*words: str) -> Any:
        command = ("/ollama-distributed", "keys", *words, "--json")
        return json.loads(docker("exec", f"ollamamax-{STACK}-gateway-1", *command))

    made = keys("create", "--name", "e2e", "--scopes", "models:read", "--rpm", "1")
    identity = made["key"]["id"]
    assert [one["name"] for one in keys("list")["keys"] if one["id"] == identity] == ["e2e"]

    def ask(path: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {made['secret']}"}
        return httpx.get(f"{platform.url}{path}", headers=headers, verify=platform.trust)

    first = ask("/v1/models")
    assert (first.status_code, first.headers["x-ratelimit-remaining-requests"]) == (200, "0")
    assert ask("/api/v1/nodes").status_code == 403
    eventually(
        lambda: all(ask("/v1/models").status_code == 429 for _ in range(4)),
        10,
        "both gateways know that the minute is used up",
    )
    limited = ask("/v1/models")
    assert 0 < int(limited.headers["retry-after"]) <= 120
    assert limited.json()["error"]["code"] == "rate_limit_exceeded"
    keys("revoke", str(identity))
    eventually(lambda: ask("/v1/models").status_code == 401, 2, "a revoked key works nowhere")


def test_the_ollama_command_line_is_let_in_by_its_registered_key(platform: Platform, signer: Signer) -> None:
    assert signer.before.returncode != 0, "a key that is not registered is not let in"
    touched = re.findall(r"(\S+) (?:created|updated|replaced|deleted)", signer.up)
    assert "gateway-1" in touched, signer.up
    assert "worker-1" not in touched, "a new key touches the gateways alone"

    listed = signer.run(platform.url, "list")
    assert listed.returncode == 0, listed.stderr
    assert "tiny:latest" in listed.stdout
    assert "llama" in signer.run(platform.url, "show", "tiny").stdout
    answered = signer.run(platform.url, "run", "tiny", "hello")
    assert answered.returncode == 0, answered.stderr
    assert len(answered.stdout.split()) > 3
    absent = signer.run(platform.url, "show", "absent")
    assert "model 'absent' not found" in absent.stderr

    def signed(age_s: int) -> int:
        """Return the status of a request that was signed ``age_s`` seconds ago."""
        stamp = int(time.time()) - age_s
        signature = base64.b64encode(signer.key.sign(f"GET,/api/tags?ts={stamp}".encode())).decode()
        return httpx.get(
            f"{platform.url}/api/tags?ts={stamp}",
            headers={"Authorization": f"{signer.public.split()[1]}:{signature}"},
            verify=platform.trust,
        ).status_code

    assert signed(0) == 200
    assert signed(30) == 401, "a replayed request is refused once its signed time is past"
