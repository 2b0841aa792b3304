"""HTTP requests to a stack, whose certificate authority is its own."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import niquests


@contextmanager
def trusting(ca_certificate: str | None) -> Iterator[niquests.Session]:
    """Yield a session that trusts this authority, PEM, alone; without one, whom the machine does."""
    with niquests.Session() as session, tempfile.NamedTemporaryFile("w", suffix=".pem") as ca:
        ca.write(ca_certificate or "")
        ca.flush()
        session.verify = ca.name if ca_certificate else True
        session.trust_env = False  # a CA bundle in the environment would go before the stack's own
        yield session
