"""Settings that make a stack's secrets anew."""

from typing import Annotated

from pydantic import Field

from stacks.block import GENERATION, Block

Generation = Annotated[str, Field(pattern=GENERATION)] | None


class RotationSettings(Block):
    """Which generation of each secret the stack has.

    A new word, such as the month, has the next ``make up`` make the secret anew and carry it everywhere;
    docs/operations.md says what clients notice. None: the secret that was made with the stack.
    """

    api_key: Generation = None
    """The stack's first API key. The one before it stays good for 24 hours; one more rotation ends it."""
    database: Generation = None
    """Passwords of the platform's database: its owner's, and that of PostgreSQL's administrator, which on AWS
    is RDS's matter."""
    cache: Generation = None
    """Password of Redis."""
    monitoring: Generation = None
    """Password of the pages of Prometheus and Alertmanager."""
    certificates: Generation = None
    """Keys and certificates of all servers that the stack's own authority vouches for, the edge's too."""
    authority: Generation = None
    """Key and certificate of that authority, and with them all server certificates. Every client has to trust
    the new one before it can connect again."""
