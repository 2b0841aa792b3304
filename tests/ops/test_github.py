"""The comment under a pull request: one, whose text is replaced, at a GitHub that answers here."""

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ops import github
from ops.stack import StackError

MARK = "<!-- ours -->"


class Repository:
    """A repository's comments, and the server that has them."""

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str]] = []
        self.token = ""
        self.status = 200

    def add(self, body: str, kind: str) -> dict[str, Any]:
        number = len(self.comments) + 1
        comment = {
            "id": number,
            "body": body,
            "user": {"type": kind},
            "html_url": f"https://somewhere/{number}",
        }
        self.comments.append(comment)
        return comment

    def answer(self, method: str, path: str, body: dict[str, Any]) -> Any:
        self.asked.append((method, path))
        if self.status != 200:
            return {"message": "Resource not accessible by integration"}
        if method == "POST":
            return self.add(body["body"], "Bot")
        if method == "PATCH":
            found = self.comments[int(path.rpartition("/")[2]) - 1]
            found.update(body)
            return found
        page = int(path.rpartition("page=")[2])
        return self.comments[(page - 1) * github.PAGE : page * github.PAGE]


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """Return a repository without comments, and let the environment name it."""
    found = Repository()

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            found.token = self.headers["Authorization"]
            told = found.answer(self.command, self.path, json.loads(self.rfile.read(size) or b"{}"))
            self.send_response(found.status)
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

        do_GET = do_POST = do_PATCH = answer  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("GITHUB_API_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("GITHUB_REPOSITORY", "example/ollamamax")
        monkeypatch.setenv("GITHUB_TOKEN", "of the job")
        yield found
        server.shutdown()


def test_the_first_time_a_comment_is_made(repository: Repository) -> None:
    assert github.put(7, f"{MARK}\nfirst", MARK) == "https://somewhere/1"
    assert [one["body"] for one in repository.comments] == [f"{MARK}\nfirst"]
    assert repository.asked[-1] == ("POST", "/repos/example/ollamamax/issues/7/comments")
    assert repository.token == "Bearer of the job"


def test_after_that_its_text_is_replaced(repository: Repository) -> None:
    github.put(7, f"{MARK}\nfirst", MARK)
    assert github.put(7, f"{MARK}\nsecond", MARK) == "https://somewhere/1"
    assert [one["body"] for one in repository.comments] == [f"{MARK}\nsecond"]
    assert repository.asked[-1] == ("PATCH", "/repos/example/ollamamax/issues/comments/1")


def test_it_is_found_behind_a_hundred_others(repository: Repository) -> None:
    for number in range(github.PAGE):
        repository.add(f"talk {number}", "User")
    repository.add(f"{MARK}\nfirst", "Bot")
    github.put(7, f"{MARK}\nsecond", MARK)
    assert len(repository.comments) == github.PAGE + 1
    assert repository.comments[-1]["body"] == f"{MARK}\nsecond"


def test_what_a_person_wrote_is_left_alone(repository: Repository) -> None:
    repository.add(f"{MARK}\nmine", "User")
    github.put(7, f"{MARK}\nfirst", MARK)
    assert [one["body"] for one in repository.comments] == [f"{MARK}\nmine", f"{MARK}\nfirst"]


def test_a_refusal_is_told_in_githubs_words(repository: Repository) -> None:
    repository.status = 403
    with pytest.raises(StackError, match=r"GitHub answers 403: .*not accessible by integration"):
        github.put(7, MARK, MARK)


def test_a_github_that_is_away_is_one_message(
    monkeypatch: pytest.MonkeyPatch, repository: Repository
) -> None:
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:1")
    with pytest.raises(StackError, match=r"GET http://127.0.0.1:1/repos/example/ollamamax/issues/7/comments"):
        github.put(7, MARK, MARK)


def test_an_environment_that_names_no_repository_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    with pytest.raises(
        StackError, match="PULL=7: GITHUB_REPOSITORY and GITHUB_TOKEN must be in the environment"
    ):
        github.put(7, MARK, MARK)
