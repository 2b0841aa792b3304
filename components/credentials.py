"""Passwords and the first API key: generated once, kept encrypted in the stack's state."""

import pulumi
import pulumi_random as random

from stacks.rotation import RotationSettings

PASSWORD_LENGTH = 32
"""Letters and digits: 190 bits. No special characters, so that no file format needs quoting."""
API_KEY_PREFIX = "omx-"
"""Lets secret scanners and people recognise a leaked key."""


class Credentials(pulumi.ComponentResource):
    """The secrets that the services share; each property is a secret output."""

    def __init__(
        self, name: str, rotation: RotationSettings, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ollamamax:index:Credentials", name, None, opts)
        self._api_key = self._password("api-key", rotation.api_key)
        self._database = self._password("database-password", rotation.database)
        self._database_admin = self._password("database-admin-password", rotation.database)
        self._cache = self._password("cache-password", rotation.cache)
        self._monitoring = self._password("monitoring-password", rotation.monitoring)
        self.register_outputs({})

    @property
    def api_key(self) -> pulumi.Output[str]:
        """The stack's first API key."""
        return pulumi.Output.concat(API_KEY_PREFIX, self._api_key.result)

    @property
    def database(self) -> pulumi.Output[str]:
        """Password of the role that owns the platform's database."""
        return self._database.result

    @property
    def database_admin(self) -> pulumi.Output[str]:
        """Password of PostgreSQL's superuser."""
        return self._database_admin.result

    @property
    def cache(self) -> pulumi.Output[str]:
        """Password of Redis."""
        return self._cache.result

    @property
    def monitoring(self) -> pulumi.Output[str]:
        """Password of Prometheus's own pages, user ``prometheus``."""
        return self._monitoring.result

    @property
    def monitoring_hash(self) -> pulumi.Output[str]:
        """Hash (bcrypt) of the monitoring password, as Prometheus's web configuration takes it."""
        return self._monitoring.bcrypt_hash

    def _password(self, name: str, generation: str | None) -> random.RandomPassword:
        return random.RandomPassword(
            name,
            length=PASSWORD_LENGTH,
            special=False,
            keepers={"generation": generation} if generation else None,
            opts=pulumi.ResourceOptions(parent=self),
        )
