"""The stack's authority in the databases of browsers, by the real certutil."""

import datetime
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ops import trust
from ops.stack import StackError


def authority(stack: str) -> str:
    """Return a new authority of a stack, named as the platform names it, PEM."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"OllamaMax {stack} CA")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the home of a user who has a profile of Firefox and never started Chromium."""
    profile = tmp_path / ".mozilla" / "firefox" / "abc.default"
    profile.mkdir(parents=True)
    certutil(profile, "-N", "--empty-password")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def certutil(database: Path, *words: str) -> str:
    command = ["certutil", "-d", f"sql:{database}", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def trusted(home: Path) -> dict[str, set[str]]:
    """Return the names of the authorities in each database, by the folder that it is in."""
    return {
        file.parent.name: {
            line.rsplit(maxsplit=1)[0]
            for line in certutil(file.parent, "-L").splitlines()
            if line.rstrip().endswith(" C,,")
        }
        for file in home.rglob("cert9.db")
    }


def test_chromium_and_firefox_trust_the_authority_until_they_are_told_otherwise(home: Path) -> None:
    said = trust.trust("some", authority("some"))
    assert trusted(home) == {"nssdb": {"OllamaMax some"}, "abc.default": {"OllamaMax some"}}
    assert str(home / ".pki" / "nssdb") in said
    assert "no longer" in trust.untrust("some")
    assert trusted(home) == {"nssdb": set(), "abc.default": set()}
    assert trust.untrust("some") == "no browser trusted the authority of stack some"


def test_a_new_authority_takes_the_place_of_the_stacks_old_one_and_of_no_others(home: Path) -> None:
    first, second = authority("some"), authority("some")
    for stack, certificate in (("some", first), ("something", authority("something")), ("some", second)):
        trust.trust(stack, certificate)
    assert trusted(home)["nssdb"] == {"OllamaMax some", "OllamaMax something"}
    assert second.strip() in certutil(home / ".pki" / "nssdb", "-L", "-n", "OllamaMax some", "-a").replace(
        "\r", ""
    )


def test_without_certutil_it_says_which_package_has_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(StackError, match="libnss3-tools"):
        trust.untrust("some")
