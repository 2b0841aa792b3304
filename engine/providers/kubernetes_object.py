"""An object of any kind, as pulumi-kubernetes 4.34 shows it and by server-side apply.

An object's inputs are its manifest. Its outputs are the live object and, as the plugin keeps them, the
manifest, the API version that it was made with, and the name under which its fields are owned.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

from engine.provider import NEEDS_CLI, Context, Diff, Found, InitError, ProviderError, Resource
from engine.providers.kubernetes_api import APPLY, PATCH, ApiError, Cluster, failing
from engine.providers.kubernetes_await import (
    SKIP,
    SKIPPING,
    NotReadyError,
    check_annotations,
    until_gone,
    until_ready,
)
from engine.providers.kubernetes_manifest import (
    IMMUTABLE,
    annotation,
    changes,
    condition,
    drifted,
    label,
    normal,
    others,
    owned,
    owns,
    path_of,
    replaces,
    scaled,
    underscored,
)
from engine.values import Properties, Secret, at, graft, has_unknown, steps_of

AUTONAMED, REPLACE_UNREADY = "pulumi.com/autonamed", "pulumi.com/replaceUnready"
FORCE, MANAGER = "pulumi.com/patchForce", "pulumi.com/patchFieldManager"
PROPAGATION, POLICIES = "pulumi.com/deletionPropagationPolicy", ("Background", "Foreground", "Orphan")
INPUTS, FIELD_MANAGER, API_VERSION = "__inputs", "__fieldManager", "__initialApiVersion"
APPEARS_S = 30
"""How long a creation waits for its namespace or its kind, which the program may be creating beside it."""
NAME: list[str | int] = ["metadata", "name"]
NAMESPACE: list[str | int] = ["metadata", "namespace"]
REPLICAS: list[str | int] = ["spec", "replicas"]


class KubernetesObject(Resource):
    """An object of any kind."""

    by_path = True

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._leaving = set[str]()  # whose object goes before its replacement comes

    def check(self, ctx: Context, olds: Properties, news: Properties, seed: bytes) -> Properties:
        """Write the manifest as the API server keeps it; an automatic name is kept for the object's life."""
        api_version, _, kind = _parts(ctx)
        manifest: Properties = normal({"apiVersion": api_version, "kind": kind, **news})
        if kind == "CustomResourceDefinition":
            group, own, scope = (
                at(manifest, ["spec", *key]) for key in (["group"], ["names", "kind"], ["scope"])
            )
            self.cluster.scopes[group, own] = scope == "Namespaced"
        if kind == "Secret" and "data" in manifest:
            manifest["data"] = Secret(manifest["data"])
        meta = manifest.setdefault("metadata", {})
        if not isinstance(meta, dict):
            return manifest  # it is not known yet
        check_annotations(ctx, manifest)
        if meta.get("generateName"):
            raise ctx.error(NEEDS_CLI.format("metadata.generateName"))
        if not meta.get("name"):
            drawn = f"{ctx.name}-{hashlib.sha256(seed).hexdigest()[:8]}"
            meta["name"] = olds["metadata"]["name"] if annotation(olds, AUTONAMED) else drawn
            if isinstance(notes := meta.setdefault("annotations", {}), dict):
                notes[AUTONAMED] = "true"
        if not meta.get("namespace") and self.cluster.known and self._namespaced(manifest):
            meta["namespace"] = self.cluster.namespace
        return manifest

    def diff(self, ctx: Context, olds: Properties, inputs: Properties, news: Properties) -> Diff:
        """Compare manifests; what was imported has none, and is compared as it is live."""
        before, news = normal(inputs or drifted(news, normal(olds))), normal(news)
        if at(before, NAMESPACE) != at(
            news, NAMESPACE
        ):  # one may have been written before its kind was known
            before, news = self._placed(before), self._placed(news)
        _, group, kind = _parts(ctx)
        mutable = self.cluster.settings.get(f"enable{kind}Mutable") == "true" and not news.get("immutable")
        rules = () if mutable else IMMUTABLE.get(f"{group}/{kind}", ())
        found = {
            path_of(steps): f"{how}-replace" if replaces(rules, steps, before, news) else how
            for steps, how in changes(before, news)
        }
        if annotation(news, REPLACE_UNREADY) == "true" and kind == "Job" and self.cluster.known:
            live = self._find(news)
            if live and condition(live, "Complete")[0] != "True":
                found[path_of(("metadata", "annotations", REPLACE_UNREADY))] = "update-replace"
        there = at(olds, NAME) == at(news, NAME) and at(olds, NAMESPACE) == at(news, NAMESPACE)
        first = there and not annotation(news, AUTONAMED)
        if first:
            self._leaving.add(ctx.urn)
        return Diff(found, delete_before_replace=first)

    def plan(self, ctx: Context, olds: Properties, news: Properties) -> Properties | None:
        """Let the API server validate and complete it, as far as it knows kind and namespace already."""
        if not self.cluster.known or has_unknown(news):
            return None
        manager = _manager(ctx, olds, news)
        try:
            live = self._find(news)
            if live and not olds and (ctx.urn in self._leaving or self._taken(live, news, manager)):
                return None  # it is replaced, and not gone yet
            body = self._over(ctx, live, olds, news, manager) if olds and live else news
            planned = self._apply(body, manager, force=bool(live), dryRun="All")
        except ApiError as error:
            if error.status in (403, 404):  # who may only read can plan, too
                return None
            raise
        if not olds:
            planned.pop("status", None)
        return _outputs(planned, news, manager, olds)

    def create(self, ctx: Context, inputs: Properties) -> tuple[str, Properties]:
        """Apply it, if it is not there or an interrupted creation left it, and wait until it is ready."""
        manager = _manager(ctx, {}, inputs)

        def make() -> Properties:
            there = self._find(inputs)
            force = bool(there and self._taken(there, inputs, manager))
            return self._apply(inputs, manager, force=force)

        return self._settle(ctx, self._patiently(ctx, make), inputs, manager, {})

    def read(self, ctx: Context, id_: str, inputs: Properties, olds: Properties) -> Found:
        """Look at it; what an interrupted creation left is known by the owner of its fields."""
        api_version, _, kind = _parts(ctx)
        namespace, _, name = id_.rpartition("/")
        live = self.cluster.find(api_version, kind, namespace or at(inputs, NAMESPACE) or "", name)
        manager = _manager(ctx, olds, inputs)
        if live is None or (inputs and not olds and not owns(live, manager)):
            return None
        now = given = normal(inputs)
        if olds:
            now = drifted(given, live, normal(olds))
            if self._autoscaled(live):
                now = graft(now, REPLICAS, at(given, REPLICAS))
        return _id(live), _outputs(live, now, manager, olds), now

    def update(self, ctx: Context, id_: str, olds: Properties, news: Properties) -> Properties:
        """Apply it over what the plan has seen, and wait until it is ready."""
        manager = _manager(ctx, olds, news)
        live = self._find(news)
        if live and (owners := owned(live, manager)):
            with failing(f"{label(live)} could not be taken over from client-side apply"):
                version = live["metadata"]["resourceVersion"]
                patch = [
                    {"op": "replace", "path": "/metadata/managedFields", "value": owners},
                    {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
                ]
                live = self.cluster.request("PATCH", self._path(news), patch, PATCH)
        body = self._over(ctx, live, olds, news, manager) if live else news
        return self._settle(ctx, self._apply(body, manager, force=True), news, manager, olds)[1]

    def delete(self, ctx: Context, id_: str, olds: Properties) -> None:
        """Delete it and, by default before it, what it owns; wait until it is gone."""
        live, given = self._find(olds), olds.get(INPUTS, olds)
        if live is None:
            return
        policy = annotation(given, PROPAGATION).capitalize()
        policy = policy if policy in POLICIES else "Foreground"
        with failing(f"{label(live)} could not be deleted", gone_is_fine=True):
            self.cluster.request("DELETE", self._path(live), propagationPolicy=policy)
        if annotation(given, SKIP) != "true" or live["kind"] not in SKIPPING:
            until_gone(self.cluster, ctx, live)

    # Parts

    def _namespaced(self, manifest: Properties) -> bool:
        return self.cluster.namespaced(manifest["apiVersion"], manifest["kind"])

    def _placed(self, manifest: Properties) -> Properties:
        """A manifest with the namespace that its object ends up in."""
        own = at(manifest, NAMESPACE) or self.cluster.namespace
        placed: Properties = graft(manifest, NAMESPACE, own if self._namespaced(manifest) else None)
        return placed

    def _autoscaled(self, live: Properties) -> bool:
        """Whether an autoscaler sets the replicas of an object."""
        if not scaled(live):
            return False
        meta = live["metadata"]
        path = f"/apis/autoscaling/v2/namespaces/{meta['namespace']}/horizontalpodautoscalers"
        targets = [at(one, ["spec", "scaleTargetRef"]) for one in self.cluster.listed(path)]
        return any((one["kind"], one["name"]) == (live["kind"], meta["name"]) for one in targets)

    def _path(self, manifest: Properties) -> str:
        meta = manifest["metadata"]
        return self.cluster.path(
            manifest["apiVersion"], manifest["kind"], meta.get("namespace", ""), meta["name"]
        )

    def _find(self, manifest: Properties) -> Properties | None:
        meta = manifest["metadata"]
        return self.cluster.find(
            manifest["apiVersion"], manifest["kind"], meta.get("namespace", ""), meta["name"]
        )

    def _apply(self, manifest: Properties, manager: str, force: bool, **query: str) -> Properties:
        body = manifest if self._namespaced(manifest) else graft(manifest, NAMESPACE, None)
        query |= {"fieldManager": manager, "force": str(force).lower()}
        with failing(f"{label(manifest)} could not be applied"):
            return self.cluster.request("PATCH", self._path(manifest), body, APPLY, **query)

    def _taken(self, live: Properties, news: Properties, manager: str) -> bool:
        """Whether what is there is of this stack; refuse what is somebody else's."""
        if owns(live, manager) or self.cluster.settings.get("upsertExistingObjects") == "true":
            return True
        way_out = "give it another name, delete that one, or take it over with ResourceOptions(import_=…)"
        raise ProviderError(f"{label(news)} exists already, and this stack did not create it: {way_out}")

    def _over(
        self, ctx: Context, live: Properties, olds: Properties, news: Properties, manager: str
    ) -> Properties:
        """What to apply over a live object: all but what is ignored or an autoscaler's.

        What somebody changed after the last refresh was in no plan: it is not overwritten.
        """
        body = graft(news, REPLICAS, None) if self._autoscaled(live) else news
        for path in ctx.ignored:
            steps = steps_of(path)
            mine = owns(live, manager, tuple(steps)) or any(isinstance(step, int) for step in steps)
            body = graft(body, steps, at(live, steps) if mine else None)
        forced = annotation(news, FORCE) == "true" or self.cluster.settings.get("enablePatchForce") == "true"
        strangers = [] if forced else others(live, manager)
        if strangers and INPUTS in olds:
            before = normal(olds[INPUTS])
            now = drifted(before, live, normal(olds))
            moved = [
                steps
                for steps, _ in changes(before, now)
                if at(body, list(steps)) not in (None, at(now, list(steps)))
            ]
            if moved:
                what, who = ", ".join(map(path_of, moved)), ", ".join(strangers)
                way_out = f"run `refresh` to see that in a plan, or overwrite it with the annotation {FORCE}"
                raise ProviderError(
                    f"{label(news)}: {what} changed since the last refresh (by {who}): {way_out}"
                )
        return body

    def _patiently(self, ctx: Context, make: Callable[[], Properties]) -> Properties:
        """Give what has to be there first, and is being made, the time for it."""
        deadline = time.monotonic() + APPEARS_S
        while True:
            try:
                return make()
            except ApiError as error:
                if error.status != 404 or time.monotonic() > deadline:
                    raise
                ctx.log(f"waiting: {error}")
            if self.cluster.cancelled.wait(1):
                raise ctx.error("cancelled before it was created")

    def _settle(
        self, ctx: Context, live: Properties, inputs: Properties, manager: str, olds: Properties
    ) -> tuple[str, Properties]:
        try:
            live = until_ready(self.cluster, ctx, live)
        except NotReadyError as error:
            outputs = _outputs(error.live, inputs, manager, olds)
            raise InitError(_id(error.live), outputs, str(error)) from error
        return _id(live), _outputs(live, inputs, manager, olds)


def _parts(ctx: Context) -> tuple[str, str, str]:
    """API version, group and kind of a type token."""
    _, module, kind = ctx.type.split(":")
    return module.removeprefix("core/"), module.partition("/")[0], kind


def _manager(ctx: Context, olds: Properties, inputs: Properties) -> str:
    """The owner of the fields: made from the URN, so that an interrupted creation is known again."""
    drawn = f"pulumi-kubernetes-{hashlib.sha256(ctx.urn.encode()).hexdigest()[:8]}"
    return annotation(inputs, MANAGER) or olds.get(FIELD_MANAGER) or drawn


def _id(live: Properties) -> str:
    meta = live["metadata"]
    return "/".join(filter(None, (meta.get("namespace"), meta["name"])))


def _outputs(live: Properties, inputs: Properties, manager: str, olds: Properties) -> Properties:
    first = olds.get(API_VERSION, live["apiVersion"])
    kept = {INPUTS: inputs, API_VERSION: first, FIELD_MANAGER: manager}
    outputs: Properties = underscored({**live, **kept})
    return outputs
