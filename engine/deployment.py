"""One run over a stack: what each registered resource needs (same, create, update, replace) and doing it."""

from __future__ import annotations

import contextlib
import re
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.display import Shown
from engine.errors import EngineError
from engine.plan import Diff, Step, is_default_provider
from engine.plugins import Plugins, Provider
from engine.state import STACK_TYPE, Change, Journal, Operation, Resource, Snapshot, now
from engine.values import UNKNOWN, Properties, at, graft, has_unknown, reveal, steps_of

PROVIDER_TYPE = "pulumi:providers:"


@dataclass(frozen=True)
class Options:
    """How a run is done; `targets` are URNs or globs, none means everything."""

    preview: bool = False
    parallel: int = 16
    targets: tuple[str, ...] = ()
    packs: tuple[tuple[Path, Path | None], ...] = ()  # of policies, with the config of each
    kubeconfig: Path | None = None  # of the cluster that stands in for that of the program


class StoppedError(EngineError):
    """Nothing new is started, because something failed, and was reported, or the user interrupted."""


class Deployment:
    """Brings a stack from `base` to what the program registers; once `failed` is set nothing new begins."""

    def __init__(
        self, prefix: str, base: Snapshot, journal: Journal, plugins: Plugins, shown: Shown, options: Options,
        config: dict[str, Properties], analyze: Callable[[Resource, Resource | None], None],
    ) -> None:  # fmt: skip
        self.options, self.failed, self.changes = options, threading.Event(), Counter[str]()
        self.skipped, self.busy = set[str](), list[str]()  # not targeted and not there; being worked on
        self._prefix, self._base, self._journal = prefix, base, journal
        self._plugins, self._shown, self._config, self._analyze = plugins, shown, config, analyze
        self._olds = {one.urn: one for one in base.resources if not one.delete and not one.external}
        self._news: dict[str, Resource] = {}
        self._taken, self._condemned = set[str](), set[str]()
        self._providers, self._defaults = dict[str, Provider](), dict[str, str]()
        self._slots = threading.BoundedSemaphore(max(options.parallel, 1))
        self._lock, self._defaults_lock = threading.RLock(), threading.Lock()

    # What the program asks for

    def register(
        self, new: Resource, aliases: Sequence[str] = (), version: str = "", delete_first: bool | None = None
    ) -> Resource:
        """Bring one resource to what the program asks for and return it as it is then."""
        self._shown.learn(new.inputs)
        with self._reporting(new.urn):
            old = self._claim(new, aliases)
            if new.type.startswith(PROVIDER_TYPE):
                return self._register_provider(new, old)
            if new.custom:
                new.provider = new.provider or self._default_provider(new.type.split(":")[0], version)
            if not self._targeted(new.urn) and new.type != STACK_TYPE:
                if old is None:
                    self.skipped.add(new.urn)
                    return new
                vars(new).update(vars(old))
                return self._same(old, new)
            if missing := ", ".join(sorted(new.needs() & self.skipped)):
                raise EngineError(f"{new.urn} needs {missing}, which is not there yet; add it to --target")
            return self._bring(new, old, delete_first)

    def _register_provider(self, new: Resource, old: Resource | None) -> Resource:
        provider, olds = self._plugins.start(new.type.removeprefix(PROVIDER_TYPE)), old.inputs if old else {}
        new.inputs = {**provider.check("CheckConfig", new.urn, olds, new.inputs), "__internal": {}}
        self._analyze(new, None)
        new.id = old.id if old else UNKNOWN if self.options.preview else str(uuid.uuid4())
        op = "create" if old is None else "same" if old.inputs == new.inputs else "update"
        with self._doing(Step(op, old, new)) as change:
            self._adopt(new, provider)
            if old and op == "same":
                new.inputs = old.inputs  # with the ciphertexts that its secrets have
            else:
                new.modified = now()
                new.created = new.created or new.modified
            change.add, change.remove = new, [old] if old else []
        return new

    def _bring(self, new: Resource, old: Resource | None, delete_first: bool | None) -> Resource:
        provider = self._provider(new.provider) if new.custom else None
        if new.import_id and provider and old is None:
            old = self._import(new, provider)
        if old is None:
            self._check(new, provider, {})
            return self._make(Step("create", None, new), provider)
        wanted, diff = new.inputs, None
        if old.urn not in self._condemned:
            for path in new.ignore_changes:
                steps = steps_of(path)
                new.inputs = graft(new.inputs, steps, at(old.inputs, steps))
            self._check(new, provider, old.inputs)
            diff = self._diff(new, old, provider)
            if not (diff.replaces or old.pending_replacement):
                if diff.changed or old.init_errors:
                    return self._make(Step("update", old, new, diff), provider)
                return self._same(old, new)
            if new.protect and old.protect:
                why = f'unable to replace resource "{new.urn}"\nas it is currently marked for protection'
                raise _protected(why, new.urn)
            if new.import_id:
                keys = ", ".join(diff.replaces)
                raise EngineError(f"{new.urn}: what import_ names differs in {keys}: it would be replaced")
        new.inputs = wanted
        self._check(new, provider, {})
        return self._replace(old, new, diff, provider, delete_first)

    def set_outputs(self, urn: str, outputs: Properties) -> None:
        """Take a component's outputs."""
        resource = self._news[urn]
        if self._targeted(urn) or resource.type == STACK_TYPE:
            resource.outputs = outputs
            with self._reporting(urn):
                self._journal.write()

    def invoke(self, token: str, args: Properties, provider: str, version: str) -> Any:
        """Call a provider's function."""
        client = self._provider(provider or self._default_provider(token.split(":")[0], version))
        return client.invoke(token, args, self.options.preview)

    def urn(self, type_: str, name: str, parent: str) -> str:
        """Return the URN of a resource."""
        above = parent.split("::")[2] if parent else STACK_TYPE
        return f"{self._prefix}::{type_ if above == STACK_TYPE else f'{above}${type_}'}::{name}"

    @property
    def registered(self) -> list[tuple[Resource, Resource | None]]:
        """What the program registered and is there, each with its provider."""
        there = [one for one in self._news.values() if one.urn not in self.skipped]
        return [(one, self._news.get(one.provider.rpartition("::")[0])) for one in there]

    def fail(self, message: str, urn: str = "") -> None:
        """Report an error and let nothing new begin."""
        self.failed.set()
        self._shown.log("error", message, urn)

    # Steps

    def _same(self, old: Resource, new: Resource) -> Resource:
        step = Step("same", old, new)
        self._shown.begin(step)  # before the outputs are there: so plans show a resource without them
        new.id, new.outputs = old.id, old.outputs
        if new.inputs == old.inputs:
            new.inputs = old.inputs  # with the ciphertexts that its secrets have
        self._journal.end(Change(add=new, remove=[old]), write=False)
        self._end(step)
        return new

    def _make(self, step: Step, provider: Provider | None) -> Resource:
        """Create or update what the step is about."""
        new, old, preview = step.resource, step.old, self.options.preview
        updated = old if step.op == "update" else None
        kind = "updating" if updated else "creating"
        with self._doing(step, kind if provider else "") as change:
            new.id = updated.id if updated else ""
            if provider is None:
                new.outputs = updated.outputs if updated else {}
            elif updated:
                provider.update(updated, new, preview)
            else:
                provider.create(new, preview)
            new.modified = now()
            new.created = new.created if updated else new.modified
            change.add = new
            if old:  # what is replaced goes at the end, unless it is gone already
                old.delete = not (updated or old.pending_replacement)
                change.remove = [] if old.delete else [old]
            if new.init_errors:  # it is recorded, and the next update finishes it
                raise EngineError("; ".join(new.init_errors))
        return new

    def _replace(
        self, old: Resource, new: Resource, diff: Diff | None, provider: Provider | None, first: bool | None
    ) -> Resource:
        """Replace `old`; one without a diff was deleted already, along with what it needs."""
        step = Step("replace", old, new, diff)
        create = Step("create-replacement", old, new, diff, logical=False)
        delete_first = diff is None or (diff.delete_before_replace if first is None else first)
        if not delete_first:
            self._make(create, provider)
        elif not old.pending_replacement:
            for one in [*reversed(self._dependent_replacements(old)), old]:
                if one.protect and one is not old:
                    raise _protected(f'unable to replace resource "{one.urn}" with "{new.urn}"', one.urn)
                self._condemned.add(one.urn)
                self._delete(Step("delete-replaced", one, logical=False), keep=True)
        self._condemned.discard(old.urn)
        self._shown.begin(step)
        self._end(step)
        return self._make(create, provider) if delete_first else new

    def _delete(self, step: Step, keep: bool = False) -> None:
        """Delete what `step.old` is; with `keep` it stays in state as one that waits for its replacement."""
        old = step.resource
        spared = old.retain_on_delete or old.external or not old.provider
        with self._doing(step, "" if spared else "deleting") as change:
            if not spared and not self.options.preview:
                self._provider(old.provider).delete(old)
            old.pending_replacement = keep
            change.remove = [] if keep else [old]

    def _import(self, new: Resource, provider: Provider) -> Resource:
        imported = replace(new, inputs={}, outputs={})
        with self._doing(Step("import", None, imported)) as change:
            if not provider.read(imported, new.import_id):
                raise EngineError(f"{new.urn}: {new.import_id} does not exist")
            new.created = imported.created = imported.modified = now()
            change.add = imported
        return imported

    # Steps that no registration asks for

    def delete_unregistered(self) -> None:
        """Delete what the program no longer has and what was replaced, dependents first."""
        found = self._base.resources
        self.delete([one for one in found if one.delete or one.external or one.urn not in self._taken])

    def delete(self, candidates: Sequence[Resource]) -> None:
        """Delete those of `candidates` that are targeted, dependents first."""
        wanted = {one.urn for one in candidates if self._targeted(one.urn)}
        for one in candidates:
            if one.urn not in wanted and one.needs() & wanted:
                needed = ", ".join(sorted(one.needs() & wanted))
                raise EngineError(f'"{one.urn}" needs {needed}, which would be destroyed; add it to --target')
        chosen = [one for one in candidates if one.urn in wanted]
        if held := [one.urn for one in chosen if one.protect and not one.delete]:
            more = f", as are {len(held) - 1} more" if len(held) > 1 else ""
            why = f'resource "{held[0]}" cannot be deleted\nbecause it is protected{more}'
            raise _protected(why, held[0])

        def work(one: Resource) -> None:
            if one.pending_replacement and not one.delete:  # it is gone already
                self._journal.end(Change(remove=[one]))
            else:
                op = "delete-replaced" if one.delete else "delete"
                self._delete(Step(op, one, logical=not one.delete))

        self._in_order(chosen, work, dependents_first=True)

    def refresh(self) -> None:
        """Read every resource; take over what is, and drop what is gone."""

        def work(old: Resource) -> None:
            step = Step("refresh", replace(old), replace(old))
            with self._doing(step) as change:
                new, step.op, provider = step.resource, "same", self._provider(old.provider)
                if not provider.read(new, old.id):
                    step.op, step.new, change.remove = "delete", None, [old]
                    return
                if (old.inputs, old.outputs) != (new.inputs, new.outputs):
                    # Drift is what an update of the unchanged program would mend; a status only moves on.
                    step.diff, new.modified = provider.diff(new, old.inputs, old.ignore_changes), now()
                    step.op = "update" if step.diff.changed else "same"
                vars(old).update(vars(new))  # in place, so that the order of the state stays

        chosen = [one for one in self._olds.values() if self._targeted(one.urn)]
        self.changes["same"] += sum(not (one.provider or is_default_provider(one.urn)) for one in chosen)
        self._in_order([one for one in chosen if one.provider and not one.pending_replacement], work)
        left = self._journal.snapshot().resources
        present = {one.urn for one in left}
        for one in left:  # nothing may point at what is gone
            one.repoint(lambda urns: [urn for urn in urns if urn in present])

    def settle(self) -> None:
        """Deal with what an interrupted run left: a creation that went through unrecorded is taken over.

        It is looked up by its name, and finished by an update. All else is simply done again.
        """
        resources = self._base.resources
        known = {(one.type, one.id) for one in resources if not one.pending_replacement}
        for operation in self._base.pending:
            change, lost = Change(operation), operation.resource
            named = at(lost.inputs, ["metadata", "name"]) or lost.inputs.get("name", "")
            name, inputs, lost.outputs = str(reveal(named)), lost.inputs, {}
            asked = operation.type == "creating" and lost.provider and name
            found = asked and self._provider(lost.provider).read(lost, name)
            if found and (lost.type, lost.id) not in known:
                self._shown.log("warning", f"taking over {name}, whose creation was interrupted", lost.urn)
                lost.inputs, lost.init_errors, lost.created = inputs, ["its creation was interrupted"], now()
                old = self._olds.get(lost.urn)
                resources.insert(resources.index(old) + 1 if old else len(resources), lost)
                if old:
                    old.delete = not old.pending_replacement
                    change.remove = [] if old.delete else [old]
            self._journal.end(change)

    # Parts

    @contextlib.contextmanager
    def _reporting(self, urn: str) -> Iterator[None]:
        """Report an error where it comes up; whatever waits for that only stops."""
        self.busy.append(urn)
        try:
            if self.failed.is_set():
                raise StoppedError("stopped")
            yield
        except StoppedError:
            raise
        except EngineError as error:
            self.fail(str(error), urn)
            raise StoppedError(str(error)) from error
        finally:
            self.busy.remove(urn)

    @contextlib.contextmanager
    def _doing(self, step: Step, kind: str = "") -> Iterator[Change]:
        """Take one of the parallel slots, show how a step begins and ends, and record what it changes."""
        with self._slots:
            if self.failed.is_set():
                raise StoppedError("stopped")
            self._shown.begin(step)
            change = Change()
            if kind and not self.options.preview:
                change.operation = Operation(step.resource, kind)
                self._journal.begin(change.operation)
            try:
                yield change
                self._journal.end(change)
            except EngineError as error:
                self._end(step, str(error))
                self._journal.end(change)
                raise
            self._end(step)

    def _end(self, step: Step, error: str = "") -> None:
        if step.logical and not error and not is_default_provider(step.resource.urn):
            with self._lock:
                self.changes[step.op] += 1
        self._shown.end(step, error)

    def _targeted(self, urn: str) -> bool:
        given = map(re.escape, self.options.targets)
        globs = [one.replace(r"\*\*", ".*").replace(r"\*", "[^:]*") for one in given]
        return not globs or any(re.fullmatch(glob, urn) for glob in globs)

    def _claim(self, new: Resource, aliases: Sequence[str]) -> Resource | None:
        """Let `new` be the only one of its name; return what the state has of it, maybe under an alias."""
        with self._lock:
            if new.urn in self._taken:
                raise EngineError(f"Duplicate resource URN '{new.urn}'; try giving it a unique name")
            self._taken.add(new.urn)
            self._news[new.urn] = new
            free = (one for one in aliases if one not in self._taken)
            urn = next((one for one in (new.urn, *free) if one in self._olds), "")
            if urn and urn != new.urn:
                self._taken.add(urn)
                new.aliases = [urn]
                self._rename(urn, new.urn)
            if old := self._olds.get(urn):
                new.created, new.modified = old.created, old.modified
            return old

    def _rename(self, before: str, after: str) -> None:
        """Let everything in the old state that pointed at `before` point at `after`."""
        for one in self._base.resources:
            one.urn, one.parent = (after if urn == before else urn for urn in (one.urn, one.parent))
            one.provider = re.sub(rf"^{re.escape(before)}(?=::[^:]+$)", lambda _: after, one.provider)
            one.repoint(lambda urns: [after if urn == before else urn for urn in urns])

    def _check(self, new: Resource, provider: Provider | None, olds: Properties) -> None:
        if provider:
            new.inputs = provider.check("Check", new.urn, olds, new.inputs)
        if not self.options.preview and has_unknown(new.inputs):
            raise EngineError(f"{new.urn}: an input is still unknown")
        self._analyze(new, self._news.get(new.provider.rpartition("::")[0]))

    def _diff(self, new: Resource, old: Resource, provider: Provider | None) -> Diff:
        if provider is None:
            return Diff(old.inputs != new.inputs)
        diff = provider.diff(old, new.inputs, new.ignore_changes)
        for path in diff.keys if diff.detailed is None else diff.detailed:
            rules = new.replace_on_changes
            if any(rule == "*" or re.match(re.escape(rule) + r"($|[.\[])", path) for rule in rules):
                diff.replaces = sorted({*diff.replaces, str(steps_of(path)[0])})
        return diff

    def _dependent_replacements(self, root: Resource) -> list[Resource]:
        """Return, in order, what an unknown change of `root` makes its provider ask a replacement for."""
        doomed, found = {root.urn}, []
        for one in self._olds.values():
            if not one.provider or one.urn in self._taken | self._condemned:
                continue
            goes = one.provider.rpartition("::")[0] in doomed
            changed = {key for key, urns in one.property_dependencies.items() if doomed & set(urns)}
            if changed and not goes:
                inputs = one.inputs | dict.fromkeys(changed & one.inputs.keys(), UNKNOWN)
                client = self._provider(one.provider)
                goes = bool(client.diff(one, inputs, one.ignore_changes).replaces)
            if goes:
                doomed.add(one.urn)
                found.append(one)
        return found

    def _default_provider(self, package: str, version: str) -> str:
        """Return the reference of the default provider of a package, registered when first needed."""
        name = f"default_{version.replace('.', '_')}" if version else "default"
        urn = self.urn(PROVIDER_TYPE + package, name, "")
        with self._defaults_lock:
            if urn not in self._defaults:
                inputs = {**self._config.get(package, {}), **({"version": version} if version else {})}
                provider = Resource(urn, True, type=PROVIDER_TYPE + package, inputs=inputs)
                self._defaults[urn] = self.register(provider).ref
            return self._defaults[urn]

    def _provider(self, ref: str) -> Provider:
        """Return the provider that `ref` (URN::ID) names, brought back from the state if need be."""
        with self._lock:
            if ref not in self._providers:
                old = next((one for one in self._base.resources if one.ref == ref), None)
                if old is None:
                    raise EngineError(f"provider {ref} is neither registered nor in the state")
                self._adopt(old, self._plugins.start(old.type.removeprefix(PROVIDER_TYPE)))
            return self._providers[ref]

    def _adopt(self, resource: Resource, provider: Provider) -> None:
        provider.configure(resource.inputs)
        resource.outputs = {key: value for key, value in resource.inputs.items() if key != "__internal"}
        with self._lock:
            self._providers[resource.ref] = provider

    def _in_order(
        self, items: Sequence[Resource], work: Callable[[Resource], None], dependents_first: bool = False
    ) -> None:
        """Do `work` for every item, if need be once it is done for what needs the item."""
        done: list[tuple[Resource, Future[None]]] = []

        def run(one: Resource, later: Sequence[tuple[Resource, Future[None]]]) -> None:
            with self._reporting(one.urn):
                for other, end in later:
                    if dependents_first and one.urn in other.needs():
                        end.result()
                work(one)

        with ThreadPoolExecutor(len(items) + 1) as pool:  # most of them wait; the slots limit what is done
            for one in reversed(items):
                done.append((one, pool.submit(run, one, tuple(done))))
        for _, end in done:
            with contextlib.suppress(StoppedError):
                end.result()


def _protected(message: str, urn: str) -> EngineError:
    how = "remove `protect` from it in the program and run `up`, or use the command:\n`pulumi state unprotect"
    return EngineError(f"{message}; to unprotect it, {how} '{urn}'`")
