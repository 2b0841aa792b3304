"""The ollama command line, with a key that the platform knows."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True)
class Signer:
    """A user of the command line.

    Attributes:
        home: the home folder, with the key pair in it, mounted where the command runs.
        ca: the certificate authority that is trusted.
        before: what the command line was told before its key was registered.
        up: what ``make up`` said as it was.
    """

    key: Ed25519PrivateKey
    public: str
    home: Path
    ca: Path
    image: str
    before: subprocess.CompletedProcess[str]
    up: str

    def run(self, url: str, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run the command line on the host's network."""
        return run(self.image, self.home, self.ca, url, *words, stdin=stdin)


def run(
    image: str, home: Path, ca: Path, url: str, *words: str, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line of an image, with the key pair in ``home``."""
    settings = {"OLLAMA_HOST": url, "OLLAMA_AUTH": "1", "SSL_CERT_FILE": "/ca.pem", "HOME": "/home/user"}
    return subprocess.run(
        [
            *("docker", "run", "--rm", "--interactive", "--network", "host"),
            *("--user", f"{os.getuid()}:{os.getgid()}", "--workdir", "/home/user"),
            *(word for name, value in settings.items() for word in ("--env", f"{name}={value}")),
            *("--volume", f"{ca}:/ca.pem:ro", "--volume", f"{home}:/home/user"),
            *(image, *words),
        ],
        input=stdin,
        stdin=None if stdin is not None else subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
