"""The kubernetes package: any object that an API server has."""

from __future__ import annotations

import re

from engine.provider import NEEDS_CLI, Provider, ProviderError, Resource
from engine.providers.kubernetes_api import Cluster
from engine.providers.kubernetes_object import KubernetesObject
from engine.values import Properties


class KubernetesProvider(Provider):
    """The kubernetes package."""

    name, version = "kubernetes", "4.34.2"
    config_keys = frozenset({
        "cluster", "clusterIdentifier", "context", "enableConfigMapMutable", "enablePatchForce",
        "enableSecretMutable", "enableServerSideApply", "kubeconfig", "namespace",
        "suppressDeprecationWarnings", "suppressHelmHookWarnings", "upsertExistingObjects",
    })  # fmt: skip

    def __init__(self) -> None:
        super().__init__({})
        self.cluster = Cluster()
        self.object, self.cancelled = KubernetesObject(self.cluster), self.cluster.cancelled

    def resource(self, token: str) -> Resource:
        """Return the one resource type, for every kind that the API server itself has."""
        if not re.fullmatch(r"kubernetes:(?!helm\.sh/)[\w.-]+/v\w+:[A-Z]\w*(?<!Patch)", token):
            raise ProviderError(NEEDS_CLI.format(token))
        return self.object

    def configure(self, args: Properties) -> None:
        """Take the settings."""
        if args.get("enableServerSideApply", "true") != "true":
            raise ProviderError(NEEDS_CLI.format("provider kubernetes: enableServerSideApply false"))
        self.cluster.settings = args

    def close(self) -> None:
        """Hang up."""
        self.cluster.close()
