"""The API server of a cluster: which one it is, what kinds it knows, and what it says when it refuses."""

from __future__ import annotations

import binascii
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from urllib3.exceptions import HTTPError

from engine.provider import WORKERS, ProviderError
from engine.values import UNKNOWN, Properties

TIMEOUTS_S = (5, 60)
"""For a connection, and for an answer."""
APPLY = "application/apply-patch+yaml"
PATCH = "application/json-patch+json"
NO_KUBECONFIG = "no kubeconfig is given: set KUBECONFIG to one, or the provider's kubeconfig"
CLUSTER_WIDE = frozenset((
    "APIService", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "IngressClass",
    "MutatingWebhookConfiguration", "Namespace", "Node", "PersistentVolume", "PriorityClass", "RuntimeClass",
    "StorageClass", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
))  # fmt: skip
"""Kinds that are in no namespace, for plans made before there is a cluster to ask."""


class ApiError(ProviderError):
    """What the API server answered instead of an object."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class UnreachableError(ProviderError):
    """No API server answers."""


@contextmanager
def failing(what: str, gone_is_fine: bool = False) -> Iterator[None]:
    """Say what failed, and why in the API server's words."""
    try:
        yield
    except ApiError as error:
        if gone_is_fine and error.status == 404:
            return
        immutable = "immutable" in str(error) or "may not change" in str(error)
        way_out = "; replace it with the option replace_on_changes" if immutable else ""
        raise ApiError(error.status, f"{what}: {error}{way_out}") from error


class Cluster:
    """The client of an API server, made when first needed, which many threads share."""

    def __init__(self) -> None:
        self.settings: Properties = {}
        self.cancelled = threading.Event()
        self.scopes: dict[tuple[str, str], bool] = {}
        """Whether custom resources, by group and kind, are in namespaces: of CRDs that the program has."""
        self._kinds: dict[str, dict[str, tuple[str, bool]]] = {}
        self._client: Any = None
        self._where = self._namespace = ""
        self._lock = threading.RLock()

    @property
    def known(self) -> bool:
        """Whether the settings are known: before its cluster is created, a plan cannot ask it."""
        return UNKNOWN not in self.settings.values()

    @property
    def namespace(self) -> str:
        """The namespace of what names none."""
        if not self.known:
            return "default"
        self._connected()
        return self._namespace

    def namespaced(self, api_version: str, kind: str) -> bool:
        """Whether a kind is in namespaces, as the cluster, the program or, at last, its name says."""
        if self.known and (found := self._kind(api_version, kind)):
            return found[1]
        return self.scopes.get((api_version.rpartition("/")[0], kind), kind not in CLUSTER_WIDE)

    def find(self, api_version: str, kind: str, namespace: str, name: str) -> Properties | None:
        """Return an object, None when there is none."""
        try:
            return self.request("GET", self.path(api_version, kind, namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def listed(self, path: str, **query: str) -> list[Properties]:
        """Return the objects of a list."""
        found: list[Properties] = self.request("GET", path, **query)["items"]
        return found

    def path(self, api_version: str, kind: str, namespace: str, name: str) -> str:
        """Return the path of an object, which need not exist."""
        found = self._kind(api_version, kind)
        if not found:
            way_out = "create its CustomResourceDefinition first (depends_on), or use a version that it has"
            raise ApiError(404, f"the cluster has no kind {kind} in {api_version}: {way_out}")
        plural, namespaced = found
        within = f"/namespaces/{namespace or self.namespace}" if namespaced else ""
        return f"{_group_path(api_version)}{within}/{plural}/{name}"

    def request(self, method: str, path: str, body: Any = None, kind: str = "", **query: str) -> Properties:
        """Send a request, with a body of the content type `kind`; return the object that is answered."""
        client = self._connected()
        from kubernetes.dynamic.exceptions import DynamicApiError  # here, as the client

        try:
            answer = client.request(
                method, path, body=body, content_type=kind or "application/json", serialize=False,
                query_params=list(query.items()), _request_timeout=TIMEOUTS_S,
            )  # fmt: skip
            found: Properties = json.loads(answer.data)
        except DynamicApiError as error:
            raise self._refused(error) from error
        except (HTTPError, OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            last = str(reason).rpartition(": ")[2].rstrip("')")
            why = re.sub(r"^\[Errno \d+\] ", "", last) or type(reason).__name__
            way_out = "start it, or check the server, certificates and context of the kubeconfig"
            raise UnreachableError(
                f"cannot reach the API server of {self._where}: {why}; {way_out}"
            ) from error
        return found

    def close(self) -> None:
        """Hang up."""
        if self._client:
            self._client.client.close()

    def _refused(self, error: Any) -> ApiError:
        try:
            message = json.loads(error.body or "")["message"]
        except (ValueError, KeyError, TypeError):
            message = f"{error.status} {error.reason}"
        if error.status == 401:
            why = "does not accept the credentials (401 Unauthorized)"
            message = (
                f"the API server of {self._where} {why}: they may have expired; renew them and try again"
            )
        return ApiError(error.status, message)

    def _kind(self, api_version: str, kind: str) -> tuple[str, bool] | None:
        """How a kind is called in paths and whether it is in namespaces; asked again until it is there."""
        with self._lock:
            if kind not in self._kinds.get(api_version, {}):
                try:
                    found = self.request("GET", _group_path(api_version))["resources"]
                except ApiError as error:
                    if error.status != 404:
                        raise
                    return None
                own = [one for one in found if "/" not in one["name"]]  # no subresources
                self._kinds[api_version] = {one["kind"]: (one["name"], one["namespaced"]) for one in own}
            return self._kinds[api_version].get(kind)

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                # Here: it takes a second, which a plan without a cluster need not wait for.
                from kubernetes.client import ApiClient, Configuration
                from kubernetes.config import ConfigException
                from kubernetes.config.kube_config import KubeConfigLoader
                from kubernetes.dynamic import DynamicClient

                where, document, folder = _kubeconfig(self.settings.get("kubeconfig"))
                context = self._choose(document, where)
                settings = Configuration()
                settings.connection_pool_maxsize = WORKERS
                try:
                    loader = KubeConfigLoader(document, context, config_base_path=folder)
                    loader.load_and_set(settings)
                except (ConfigException, OSError, binascii.Error) as error:
                    raise ProviderError(f"{where}: {error}") from error
                self._where = f"{settings.host} (context {context} of {where})"
                # The cache of this client's own discovery is a file that every user of the machine shares.
                self._client = DynamicClient(ApiClient(settings), discoverer=lambda *_: None)
            return self._client

    def _choose(self, document: Properties, where: str) -> str:
        """Apply the settings to a kubeconfig; return the name of its context."""
        contexts = dict(_named(document, "contexts", "context", where))
        clusters = dict(_named(document, "clusters", "cluster", where))
        name = self.settings.get("context") or document.get("current-context") or ""
        if name not in contexts:
            has = ", ".join(sorted(contexts)) or "none"
            raise ProviderError(f"{where}: there is no context {name!r}: it has {has}")
        context = contexts[name]
        context["cluster"] = self.settings.get("cluster") or context.get("cluster")
        if context["cluster"] not in clusters:
            has = ", ".join(sorted(clusters)) or "none"
            raise ProviderError(f"{where}: there is no cluster {context['cluster']!r}: it has {has}")
        self._namespace = self.settings.get("namespace") or context.get("namespace") or "default"
        return str(name)


def _group_path(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _kubeconfig(given: str | None) -> tuple[str, Properties, str]:
    """What a kubeconfig is called in messages, what is in it, and where its relative paths start."""
    given = given or os.environ.get("KUBECONFIG") or ""
    if "\n" in given or given.lstrip().startswith("{"):
        where, text, folder = "the provider's kubeconfig", given, ""
    else:
        path = Path(given or "~/.kube/config").expanduser()
        where, folder = f"kubeconfig {path}", str(path.parent)
        try:
            text = path.read_text()
        except FileNotFoundError as error:
            raise ProviderError(f"{where} does not exist" if given else NO_KUBECONFIG) from error
        except (OSError, UnicodeDecodeError) as error:
            raise ProviderError(f"{where} cannot be read: {error}") from error
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ProviderError(f"{where} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise ProviderError(f"{where} is no kubeconfig: it must hold a mapping with clusters and contexts")
    return where, document, folder


def _named(document: Properties, section: str, key: str, where: str) -> Iterator[tuple[str, Properties]]:
    """Yield the named entries of a section of a kubeconfig."""
    for one in document.get(section) or []:
        if not (
            isinstance(one, Mapping) and isinstance(one.get("name"), str) and isinstance(one.get(key), dict)
        ):
            raise ProviderError(f"{where}: each of its {section} must have a name and a {key}")
        yield one["name"], one[key]
