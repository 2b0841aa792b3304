"""The comment under a pull request: one, whose text is replaced, at a GitHub that answers here."""

import pytest

from ops import github
from ops.stack import StackError
from tests.ops.conftest import Repository

MARK = "<!-- ours -->"


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
