"""How a service connects, over TLS and with a password, to another one or to a managed data store."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.service import SECRETS_DIR, Outside, Peer, Store

STACK_CA = "ca.pem"
"""File with the certificate of the stack's own authority, which its services are checked with."""


@dataclass(frozen=True)
class Connection:
    """One thing that a service connects to."""

    name: str
    """How its files are called."""
    to: Peer | Store
    password: pulumi.Input[str]
    """Of a service; a store has its own."""
    ca_certificate: pulumi.Input[str]
    """Of the stack's authority, PEM; a store has its own."""

    @property
    def host(self) -> pulumi.Input[str]:
        """Where it is; plain for a service."""
        return self.to.service if isinstance(self.to, Peer) else self.to.host

    @property
    def password_file(self) -> str:
        """Name of the file with the password."""
        return f"{self.name}-password"

    @property
    def ca_file(self) -> str | None:
        """Path of the authority's certificate; None is what every machine trusts."""
        found = self._ca()
        return f"{SECRETS_DIR}/{found[0]}" if found else None

    @property
    def files(self) -> dict[str, pulumi.Input[str]]:
        """File name under ``SECRETS_DIR`` → content: password and certificate."""
        password = self.password if isinstance(self.to, Peer) else self.to.password
        return {self.password_file: password, **self.ca_files}

    @property
    def ca_files(self) -> dict[str, pulumi.Input[str]]:
        """As ``files``, the certificate alone."""
        found = self._ca()
        return dict([found]) if found else {}

    def _ca(self) -> tuple[str, pulumi.Input[str]] | None:
        if isinstance(self.to, Peer):
            return STACK_CA, self.ca_certificate
        return (f"{self.name}-{STACK_CA}", self.to.ca_certificate) if self.to.ca_certificate else None


def peers(connections: Sequence[Connection]) -> tuple[Peer, ...]:
    """Return the services among what is connected to."""
    return tuple(one.to for one in connections if isinstance(one.to, Peer))


def outside(connections: Sequence[Connection]) -> tuple[Outside, ...]:
    """Return where the stores among what is connected to are."""
    return tuple(one.to.outside for one in connections if isinstance(one.to, Store))
