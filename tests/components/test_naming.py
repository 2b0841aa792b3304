"""Names, addresses and content hashes, over all that they can be given."""

import os
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import naming

HIGHEST_REPLICAS = {"postgres": 1, "gateway-canary": 8, "gateway": 50}
"""What the settings allow."""
subnets = st.builds(
    lambda start, prefix: IPv4Network((start, prefix), strict=False),
    st.integers(0, 2**32 - 1),
    st.integers(8, 25),
)
replicas = st.integers(1, max(HIGHEST_REPLICAS.values()))
words = st.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True)


@given(subnet=subnets, service=st.sampled_from(sorted(naming.FIXED_ADDRESSES)), index=replicas)
def test_a_fixed_address_is_where_docker_gives_out_none(
    subnet: IPv4Network, service: str, index: int
) -> None:
    address = IPv4Address(naming.fixed_address(subnet, service, index))
    lower, upper = subnet.subnets()
    assert address in lower
    assert naming.dynamic_range(subnet) == upper
    assert address not in (subnet.network_address, subnet[1]), "the network's own, and the bridge"


@given(subnet=subnets)
def test_fixed_addresses_are_unique(subnet: IPv4Network) -> None:
    addresses = [
        naming.fixed_address(subnet, service, index)
        for service in naming.FIXED_ADDRESSES
        for index in range(1, HIGHEST_REPLICAS[service] + 1)
    ]
    assert len(addresses) == len(set(addresses))


@given(ours=st.tuples(words, words, replicas), theirs=st.tuples(words, words, replicas))
def test_two_containers_have_two_names(ours: tuple[str, str, int], theirs: tuple[str, str, int]) -> None:
    same = naming.container_name(*ours) == naming.container_name(*theirs)
    assert same == (ours == theirs)


@given(seconds=st.integers(0, 86_400 * 3))
def test_a_duration_is_as_docker_writes_it(seconds: int) -> None:
    text = naming.duration(seconds)
    read = 0
    number = ""
    for character in text:
        if character.isdigit():
            number += character
        else:
            read += int(number) * {"h": 3600, "m": 60, "s": 1}[character]
            number = ""
    assert read == seconds
    assert ("m" in text) == (seconds >= 60)
    assert ("h" in text) == (seconds >= 3600)


contents = st.dictionaries(words, st.text(max_size=20), min_size=1, max_size=4)


@given(one=contents, other=contents)
def test_a_digest_is_that_of_names_and_contents(one: dict[str, str], other: dict[str, str]) -> None:
    assert (naming.digest(one) == naming.digest(other)) == (one == other)
    assert naming.digest(dict(reversed(one.items()))) == naming.digest(one)


files = st.dictionaries(words, st.binary(max_size=20), min_size=1, max_size=4)


@given(files=files, changed=st.binary(max_size=20), data=st.data())
def test_the_hash_changes_with_the_content(
    files: dict[str, bytes], changed: bytes, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(files)))
    with TemporaryDirectory() as folder:
        write(Path(folder), files)
        before = naming.content_hash(Path(folder))
        (Path(folder) / name).write_bytes(changed)
        assert (naming.content_hash(Path(folder)) == before) == (files[name] == changed)


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """Return a small build context."""
    (tmp_path / "folder").mkdir()
    write(tmp_path, {"Dockerfile": b"FROM scratch", "main.go": b"package main", "folder/notes": b"notes"})
    return tmp_path


def test_the_hash_changes_with_a_name(context: Path) -> None:
    before = naming.content_hash(context)
    (context / "main.go").rename(context / "other.go")
    assert naming.content_hash(context) != before


def test_the_hash_changes_with_a_name_in_a_folder(context: Path) -> None:
    before = naming.content_hash(context)
    (context / "folder").rename(context / "other")
    assert naming.content_hash(context) != before


def test_the_hash_changes_with_the_right_to_execute(context: Path) -> None:
    before = naming.content_hash(context)
    (context / "main.go").chmod(0o755)
    assert naming.content_hash(context) != before


def test_the_hash_changes_with_a_build_argument(context: Path) -> None:
    assert naming.content_hash(context, "VERSION=1") != naming.content_hash(context, "VERSION=2")


def test_file_times_do_not_count(context: Path) -> None:
    before = naming.content_hash(context)
    os.utime(context / "main.go", (0, 0))
    assert naming.content_hash(context) == before


def test_the_umask_does_not_count(context: Path) -> None:
    before = naming.content_hash(context)
    (context / "main.go").chmod(0o600)
    assert naming.content_hash(context) == before


def test_what_dockerignore_leaves_out_does_not_count(context: Path) -> None:
    (context / ".dockerignore").write_text("folder\n*_test.go\n")
    before = naming.content_hash(context)
    (context / "folder" / "notes").write_text("other notes")
    (context / "main_test.go").write_text("package main")
    assert naming.content_hash(context) == before
    (context / "main.go").write_text("package other")
    assert naming.content_hash(context) != before


def test_dockerignore_is_read_as_docker_does(context: Path) -> None:
    (context / ".dockerignore").write_text("# no pattern: main.go\n\nfolder/*\n!folder/kept file\n")
    (context / "folder" / "kept file").write_text("kept")
    before = naming.content_hash(context)
    (context / "folder" / "notes").write_text("other notes")
    assert naming.content_hash(context) == before
    (context / "folder" / "kept file").write_text("changed")
    assert naming.content_hash(context) != before
