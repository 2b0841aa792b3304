"""A stack that is worked on, and one operation over it."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import orjson

from engine.backend import Backend, write_file
from engine.deployment import Deployment, Options
from engine.display import Shown
from engine.errors import EngineError
from engine.monitor import Monitor
from engine.plugins import Plugins
from engine.policy import Policies
from engine.policy_pack import About
from engine.project import Config, Project
from engine.secrets import Crypter, passphrase
from engine.simulated import Simulation
from engine.state import Journal, Resource, Snapshot, deployment_document, read_deployment
from engine.values import Properties, freeze, secret, thaw


class Session:
    """One stack: its project and backend, and once it is open its config, secrets and state."""

    def __init__(self, stack: str, config_file: Path | None, simulate: bool = False) -> None:
        if not stack:
            raise EngineError("no stack is named; use --stack NAME or set PULUMI_STACK")
        self.project, self.stack = Project.find(), stack
        self.prefix = f"urn:pulumi:{stack}::{self.project.name}"
        url = os.environ.get("PULUMI_BACKEND_URL", "file://~") + "/simulated" * simulate
        self.backend = Backend(url, self.project.name, stack)
        self.cloud = self.backend.root / "cloud" / self.project.name / stack if simulate else None
        self._own_file = config_file is not None
        self._file = (config_file or self.project.config_folder / f"Pulumi.{stack}.yaml").resolve()
        self.snapshot = Snapshot()
        self._encoded = dict[Resource, tuple[list[object], orjson.Fragment]]()

    def open(self, create: bool = False) -> Session:
        """Load the stack; with `create` one that does not exist yet is made."""
        latest = self.backend.load()
        if latest is None and not create:
            raise EngineError(f"no stack named '{self.stack}' in {self.backend.root.parent}; `up` makes it")
        provider = (latest or {}).get("secrets_providers") or {"type": "passphrase"}
        if provider["type"] != "passphrase":
            raise EngineError(f"secrets provider {provider['type']!r} needs the Pulumi CLI")
        self.config, phrase = Config.read(self._file), passphrase()
        salt = provider.get("state", {}).get("salt") or self.config.salt
        if not salt and not self._own_file:
            why = "encryptionsalt is missing, and the engine does not write into a shared file"
            raise EngineError(f"{self._file}: {why}; name one of your own with --config-file")
        self.crypter = Crypter(phrase, salt)
        if not self.config.salt and self._own_file:
            self.config.keep_salt(self.crypter.salt)
        same = self.config.salt in ("", self.crypter.salt)
        self.config.open(self.crypter if same else Crypter(phrase, self.config.salt), self.project.name)
        self.snapshot = read_deployment(latest or {}, partial(thaw, decrypt=self.crypter.decrypt))
        return self

    def save(self, snapshot: Snapshot) -> None:
        """Write a checkpoint."""
        self.backend.save(deployment_document(snapshot, self.crypter.salt, self._encode))

    def _encode(self, one: Resource) -> orjson.Fragment:
        """Return a resource as JSON: that of the last time, where no field has been set since."""
        fields, (known, text) = [*vars(one).values()], self._encoded.get(one, ([], orjson.Fragment(b"")))
        if [*map(id, fields)] != [*map(id, known)]:
            found = one.encode(partial(freeze, encrypt=self.crypter.encrypt))
            text = orjson.Fragment(json.dumps(found, separators=(",", ":"), ensure_ascii=False))
            self._encoded[one] = fields, text
        return text

    def package_config(self) -> dict[str, Properties]:
        """Return what the config says about packages (`docker:host`), for their default providers."""
        packages = defaultdict[str, Properties](dict)
        for key, value in self.config.values.items():
            package, name = key.split(":", 1)
            packages[package][name] = secret(value) if key in self.config.secret_keys else value
        return packages


class Run:
    """One operation over a session, in phases: what a phase ends with is what the next begins with."""

    def __init__(self, session: Session, options: Options, shown: Shown) -> None:
        self._session, self._options, self._shown = session, options, shown
        self._monitor = Monitor(shown)
        self.simulation = Simulation(
            session.cloud, options.preview, write_file, session.snapshot.resources,
            session.config.values.get("simulated:existing", ""), options.kubeconfig,
        )  # fmt: skip
        log, address = partial(shown.log, "info"), self._monitor.address
        self._plugins = Plugins(address, lambda urn, text: log(text, urn, True), self.simulation)
        self._deployment: Deployment | None = None
        about = (session.project.name, session.stack, options.preview, session.config.values)
        self.policies = Policies(options.packs, About(*about, address), shown)
        self.changes: Counter[str] = Counter()
        self.failed = self.interrupted = False
        for one in session.snapshot.resources:
            shown.learn(one.inputs, one.outputs)
        shown.learn({key: secret(session.config.values[key]) for key in session.config.secret_keys})

    def phase(self, work: Callable[[Deployment], None]) -> None:
        """Do one part of the operation, unless one before it failed."""
        if self.failed:
            return
        session = self._session
        journal = Journal(session.snapshot, None if self._options.preview else session.save)
        self._monitor.deployment = self._deployment = deployment = Deployment(
            session.prefix, session.snapshot, journal, self._plugins, self._shown, self._options,
            session.package_config(), self.policies.analyze,
        )  # fmt: skip
        try:
            if why := self.simulation.refusal():
                raise EngineError(why)
            work(deployment)
            journal.write()
        except EngineError as error:
            deployment.fail(str(error))
        session.snapshot = journal.snapshot()
        self.changes += deployment.changes
        self.failed = deployment.failed.is_set() or self.interrupted

    def program(self, deployment: Deployment) -> None:
        """Run the program, then delete what it no longer has."""
        session = self._session
        self._monitor.run(session.project, session.stack, session.config, self.simulation.refusal)
        if not deployment.failed.is_set():
            deployment.delete_unregistered()
        if not deployment.failed.is_set():
            self.policies.analyze_stack(deployment.registered)
        if self.policies.broken:
            deployment.failed.set()

    def interrupt(self, *_: object) -> None:
        """Finish what is in flight and begin nothing new; the second time, tell providers to give up."""
        if self.interrupted:
            self._plugins.cancel()
        self.interrupted = True
        if self._deployment:
            self._deployment.failed.set()
        self._shown.log("warning", "interrupted: finishing what is in flight; once more to give it up")

    def stop(self) -> None:
        """Stop what was started for the operation."""
        self.policies.stop()
        self._plugins.stop()
        self._monitor.stop()
