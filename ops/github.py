"""One comment of a pull request, kept up to date through GitHub's API."""

import itertools
import os
from collections.abc import Iterator
from typing import Any

import niquests

from ops.stack import StackError

API = "https://api.github.com"
PAGE = 100
"""Comments asked for at once, the most that GitHub gives."""
PATIENCE_S = 30
NEEDED = ("GITHUB_REPOSITORY", "GITHUB_TOKEN")


def put(pull: int, body: str, mark: str) -> str:
    """Write the comment that begins with ``mark``, in the place of the one before, and return its address.

    Only a bot's comment is taken for it: what a person writes is left alone.

    Raises:
        StackError: if the environment does not say which repository, or GitHub refuses.
    """
    if missing := [name for name in NEEDED if not os.environ.get(name)]:
        raise StackError(f"PULL={pull}: {' and '.join(missing)} must be in the environment, as in a workflow")
    comments = f"repos/{os.environ['GITHUB_REPOSITORY']}/issues"
    before = next((one for one in _comments(f"{comments}/{pull}/comments") if _is_ours(one, mark)), None)
    if before:
        written = _ask("PATCH", f"{comments}/comments/{before['id']}", body={"body": body})
    else:
        written = _ask("POST", f"{comments}/{pull}/comments", body={"body": body})
    return str(written["html_url"])


def _is_ours(comment: dict[str, Any], mark: str) -> bool:
    return bool(comment["user"]["type"] == "Bot" and comment["body"].startswith(mark))


def _comments(path: str) -> Iterator[dict[str, Any]]:
    """Yield all comments, page by page."""
    for page in itertools.count(1):
        found: list[dict[str, Any]] = _ask("GET", f"{path}?per_page={PAGE}&page={page}")
        yield from found
        if len(found) < PAGE:
            return


def _ask(method: str, path: str, body: dict[str, str] | None = None) -> Any:  # noqa: ANN401 - any JSON
    url = f"{os.environ.get('GITHUB_API_URL', API)}/{path}"
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    try:
        answer = niquests.request(method, url, headers=headers, json=body, timeout=PATIENCE_S)
        if not answer.ok:
            raise StackError(f"{method} {url}: GitHub answers {answer.status_code}: {answer.text}")
        return answer.json()
    except niquests.RequestException as error:
        raise StackError(f"{method} {url}: {error}") from error
