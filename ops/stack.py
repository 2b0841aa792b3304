"""One stack: the folder of its state, and what an engine is asked to do with it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

import yaml

from ops.private import NEXT_PASSPHRASE, PASSPHRASE, new_passphrase, write_private
from ops.process import run, search_path
from stacks import Settings, shared_state
from stacks.loading import document, parse, raw, readable

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "ollamamax"
INSTALL = "install the Pulumi CLI (https://www.pulumi.com/docs/install/)"
RUNNING_PARTS = (
    "urn:pulumi:*::*::**docker:index/container:Container::*",
    "urn:pulumi:*::*::**docker:index/network:Network::*",
)
"""What ``down`` removes: everything that runs. Volumes, passwords and certificates stay."""

ENCRYPTION = ("encryptionsalt", "secretsprovider", "encryptedkey")
"""What a stack file says of how its secrets are encrypted, besides its settings."""

GIVEN_FREE = ("blast-radius", "deletion-protection", "force-destroy")
"""The policies that heed ``policy.allowReplace``."""


class StackError(Exception):
    """The command cannot go on; the message says why and what to do."""


@dataclass(frozen=True)
class Stack:
    """One stack of this project, with its state under ``.state/``.

    Attributes:
        name: the stack's name; its settings are in ``stacks/Pulumi.<name>.yaml``.
        root: the checkout.
        simulate: whether to work in a simulated cloud or cluster, whatever is installed.
        beside: settings that engines read beside those of the stack file, by their names there.
    """

    name: str
    root: Path = ROOT
    simulate: bool = False
    beside: Mapping[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        """The folder that holds state, passphrase and the engine's copy of the settings."""
        return self.root / ".state"

    @property
    def folder(self) -> Path:
        """The folder of the program and of its ``Pulumi.yaml``."""
        return self.root

    @property
    def project(self) -> str:
        """The project's name in ``Pulumi.yaml``."""
        return PROJECT

    @property
    def settings_file(self) -> Path:
        """The stack file that people edit, tracked by git."""
        return self.root / "stacks" / f"Pulumi.{self.name}.yaml"

    @property
    def models(self) -> tuple[str, ...]:
        """The models that the stack file names; empty where it leaves the default."""
        return tuple(self._setting("models") or ())

    @property
    def rotation(self) -> dict[str, str]:
        """The generations of secrets that the stack file names."""
        return dict(self._setting("rotation") or {})

    @property
    def on_machine(self) -> bool:
        """Whether the stack runs in Docker on this machine."""
        return bool(self._setting("target") == "docker")

    @property
    def way_in(self) -> str:
        """How the edge of a stack on a cluster is reached from here, in words."""
        context = self._setting("kubernetes", "context")
        namespace = self._setting("kubernetes", "namespace") or "ollamamax"
        return f"kubectl --context {context} --namespace {namespace} port-forward service/edge 8443"

    @property
    def in_cloud(self) -> bool:
        """Whether the stack's parts are a cloud's, which the embedded engine can only simulate."""
        return bool(self._setting("target") == "aws")

    @property
    def region(self) -> str:
        """The region of a stack on AWS."""
        return str(self._setting("aws", "region"))

    @property
    def simulated(self) -> bool:
        """Whether commands work in a simulated cloud or cluster."""
        return self.simulate or (self.in_cloud and not self.cli)

    @property
    def shared(self) -> bool:
        """Whether its state is not on this machine, but where all that deploy it find it."""
        return self.in_cloud and self.cli is not None

    @property
    def config_file(self) -> Path:
        """The stack file that engines read: the tracked one plus the salt."""
        return self.state / f"Pulumi.{self.name}.yaml"

    @property
    def cli(self) -> str | None:
        """The Pulumi CLI on the PATH, or None: then the embedded engine does the work."""
        return None if self.simulate else shutil.which("pulumi")

    @property
    def engine_name(self) -> str:
        """What deploys this stack, in words."""
        if self.cli:
            return f"the Pulumi CLI ({self.cli})"
        return f"the embedded engine ({'simulated' if self.simulate else 'no pulumi on the PATH'})"

    def prepare(self) -> None:
        """Make the state folder, the passphrase and the stack's configuration, where they are missing.

        Raises:
            StackError: if there is no stack file of this name, or the state folder cannot be written.
        """
        self.check_name()
        try:
            self._prepare_state()
        except OSError as error:
            raise StackError(
                f"cannot write {error.filename or self.state}: {error.strerror}; the state is kept in "
                f"{self.state}: make it a folder that can be written, with space left"
            ) from error

    def settings(self) -> Settings:
        """Return the stack's settings, those ``beside`` them included.

        Raises:
            StackError: if there is no stack file of this name.
            SettingsError: if it does not describe a platform.
        """
        self.check_name()
        return parse({**raw(self.settings_file, self.name), **self.beside}, self.name)

    def check_possible(self, *, changing: bool) -> None:
        """Raise StackError if what is installed cannot change the stack, or show what would change."""
        if self.simulate and self.on_machine:
            raise StackError(f"stack {self.name} runs on this machine: nothing of it is simulated")
        if self.in_cloud and self.cli and (lack := _lack_of_credentials()):
            raise StackError(
                f"stack {self.name} is on AWS, and {lack}: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
                f"AWS_SECRET_ACCESS_KEY, of account {self._setting('aws', 'accountId')}, or SIMULATE=1 for a "
                "simulated cloud"
            )
        if self.cli or self.simulate:
            return
        if self.in_cloud and changing:
            raise StackError(
                f"stack {self.name} is on AWS, which only the Pulumi CLI can change: {INSTALL}, "
                "or set SIMULATE=1 to change a simulated cloud; nothing was changed"
            )
        if self._setting("kubernetes", "registry"):
            raise StackError(
                f"stack {self.name} pushes its images to kubernetes.registry, which only the Pulumi CLI can "
                f"do: {INSTALL}, leave kubernetes.registry out, or set SIMULATE=1 for a simulated cluster"
            )

    def check_name(self) -> None:
        """Raise StackError if there is no stack file of this name."""
        if not self.settings_file.exists():
            known = sorted(p.name.split(".")[1] for p in (self.root / "stacks").glob("Pulumi.*.yaml"))
            raise StackError(
                f"STACK={self.name}: no {self.settings_file.name} in stacks/; there are: {', '.join(known)}"
            )

    def _prepare_state(self) -> None:
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        passphrase = self.state / PASSPHRASE
        if not passphrase.exists() and "PULUMI_CONFIG_PASSPHRASE" not in os.environ:
            write_private(passphrase, new_passphrase())
        salt = _salt_in(self.config_file.read_text() if self.config_file.exists() else "")
        if self.shared:
            salt = [f"secretsprovider: {self._secrets_provider}"]
        elif self.cli and not self._checkpoint.exists():
            salt = self._initialise()
        self._write_settings(salt)
        write_private(self._policy_file, json.dumps(self._policy_levels()))

    def _write_settings(self, salt: list[str]) -> None:
        """Write the stack file that engines read; one with secrets of its own has their salt or key already.

        What is simulated needs no secret, and has nothing that decrypts one.
        """
        text = self.settings_file.read_text().rstrip("\n")
        has_secrets = bool(_lines(text, *ENCRYPTION))
        unsealed = has_secrets and self.simulated
        salt = [] if has_secrets and not self.simulated else salt
        if self.beside or unsealed:
            found = document(self.settings_file)
            found = {"config": readable(found["config"])} if unsealed else found
            found["config"] |= {f"{PROJECT}:{name}": value for name, value in self.beside.items()}
            text = yaml.safe_dump(found, sort_keys=False).rstrip("\n")
        write_private(self.config_file, "\n".join([text, *salt, ""]))

    def create(self) -> None:
        """Make the stack in its shared state, where it is not there yet."""
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(self.folder / "Pulumi.yaml", folder)
            words = ["--create", "--secrets-provider", self._secrets_provider, "--cwd", folder]
            self._run(["stack", "select", self.name, *words])

    def up(self, *targets: str) -> None:
        """Bring the stack, or only the ``targets`` of it, to what its settings say."""
        # In the cloud a preview comes first: what a policy forbids is then refused before anything is made.
        skip = ["--skip-preview"] if self.cli and not self.in_cloud else []
        self._run(["up", "--yes", *skip, *_only(targets), *self._policies])

    def preview(self, *, as_json: bool = False) -> None:
        """Show what ``up`` would change, and what the policies say of it."""
        self._run(["preview", "--json" if as_json else "--diff", *self._policies])

    def plan(self) -> tuple[dict[str, Any], bool]:
        """Return what ``up`` would change, as the engines tell it, and whether it could.

        Raises:
            StackError: if the engine did not get as far as a plan; it has said why.
        """
        status, printed = self._engine(["preview", "--json", *self._policies], subprocess.PIPE)
        try:
            plan: dict[str, Any] = json.loads(printed)
        except ValueError as error:
            raise StackError(f"preview of stack {self.name} failed; the messages above say why") from error
        return plan, status == 0

    def refresh(self) -> None:
        """Bring the state to what is really there; nothing else changes. What it says goes to stderr."""
        self._run(["refresh", "--yes", *(["--skip-preview"] if self.cli else [])], to=sys.stderr)

    def destroy(self, *, data: bool) -> None:
        """Remove what runs; with ``data`` everything, volumes and secrets included."""
        if not self.on_machine and not data:
            raise StackError(
                f"down of stack {self.name} would delete its data stores too: confirm with make down "
                f"STACK={self.name} DATA=1"
            )
        try:
            # Without a preview the CLI deletes all else before it says that something is protected.
            self._run(["destroy", "--yes", *_only(() if data else RUNNING_PARTS)])
        except StackError as error:
            if not self.in_cloud:
                raise
            raise StackError(
                f"{error}. If resources are protected, set policy.allowReplace to "
                f'["*"] in stacks/{self.settings_file.name}, run make up, then make down again: '
                "docs/aws.md#taking-a-stack-down"
            ) from error

    def remove(self, *targets: str) -> None:
        """Remove what ``targets`` name, and nothing else."""
        self._run(["destroy", "--yes", *_only(targets)])

    def outputs(self, *, show_secrets: bool) -> dict[str, Any]:
        """Return the stack's outputs; secret ones are "[secret]" unless they are asked for."""
        command = ["stack", "output"] if self.cli else ["outputs"]
        words = [*command, "--json", *(["--show-secrets"] if show_secrets else [])]
        done = self._run(words, capture=True)
        outputs: dict[str, Any] = json.loads(done)
        return outputs

    @property
    def exists(self) -> bool:
        """Whether it has a state on this machine, be it an empty one."""
        return self._checkpoint.exists()

    def exported(self) -> dict[str, Any]:
        """Return the stack's state, its secrets encrypted, as the engines export it."""
        exported: dict[str, Any] = json.loads(self._run([*self._state_word, "export"], capture=True))
        return exported

    def load(self, state: dict[str, Any], settings: str) -> None:
        """Replace the stack's state by an exported one, and take the salt over from its ``settings``."""
        with tempfile.NamedTemporaryFile("w", dir=self.state) as file:
            json.dump(state, file)
            file.flush()
            self._run([*self._state_word, "import", "--file", file.name], capture=True)
        self._write_settings(_salt_in(settings))

    def encrypt(self, setting: str, text: str, file: Path) -> None:
        """Have the Pulumi CLI write a setting into a stack file, encrypted as that file says."""
        words = ["--secret", "--path", f"{PROJECT}:{setting}", "--config-file", str(file)]
        self._run(["config", "set", *words], given=text)

    def _setting(self, *path: str) -> Any:  # noqa: ANN401 - whatever the stack file holds
        """Return what the stack file says at ``path``; None where it leaves the default."""
        value: Any = self._given
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    @cached_property
    def _given(self) -> dict[str, Any]:
        """The settings as the stack file gives them, unchecked: it can be taken down with bad ones."""
        self.check_name()
        return raw(self.settings_file, self.name)

    @property
    def _policy_file(self) -> Path:
        return self.state / f"policies.{self.name}.json"

    @property
    def _policies(self) -> list[str]:
        return ["--policy-pack", str(self.root / "policies"), "--policy-pack-config", str(self._policy_file)]

    def _policy_levels(self) -> dict[str, Any]:
        """Return the configuration of the policy pack: the stack's own, and what may be replaced."""
        file = self.root / "stacks" / f"policies.{self.name}.json"
        levels: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        for rule in GIVEN_FREE:
            level = levels.get(rule, {})
            found = {"enforcementLevel": level} if isinstance(level, str) else level
            free = {*found.get("allowReplace", []), *(self._setting("policy", "allowReplace") or [])}
            levels[rule] = found | {"allowReplace": sorted(free)}
        return levels

    @property
    def _backend(self) -> str:
        """Where the state is: shared for a cloud stack, in this checkout for what is local or simulated."""
        if self.shared:
            return shared_state.backend(str(self._setting("aws", "accountId")), self.region)
        return f"file://{self.state}"

    @property
    def _secrets_provider(self) -> str:
        return shared_state.secrets_provider(self.name, self.region)

    @property
    def _checkpoint(self) -> Path:
        return self.state / ".pulumi" / "stacks" / self.project / f"{self.name}.json"

    @property
    def _state_word(self) -> list[str]:
        """What the CLI has before its words for states."""
        return ["stack"] if self.cli else []

    def _initialise(self) -> list[str]:
        """Create the stack with the Pulumi CLI and return the line with its salt.

        The CLI writes the salt into the stack file that it finds, so it is shown a folder without ours.
        """
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(self.folder / "Pulumi.yaml", folder)
            self._run(["stack", "init", self.name, "--cwd", folder], capture=True)
            return _salt_in((Path(folder) / self.settings_file.relative_to(self.root)).read_text())

    def _run(
        self, words: list[str], *, capture: bool = False, to: TextIO | None = None, given: str | None = None
    ) -> str:
        """Run the engine with ``words``, and what it is ``given`` to read.

        Returns:
            What it printed, if captured; else that goes ``to`` a file.

        Raises:
            StackError: if the engine fails; it has said why.
        """
        status, printed = self._engine(words, subprocess.PIPE if capture else to, given)
        if status != 0:
            raise StackError(f"{words[0]} of stack {self.name} failed; the messages above say why")
        return printed

    def _engine(
        self, words: list[str], stdout: int | TextIO | None, given: str | None = None
    ) -> tuple[int, str]:
        """Run the engine with ``words`` and return its exit status, and what it printed if that is piped."""
        if (self.state / NEXT_PASSPHRASE).exists():
            raise StackError("a change of the passphrase was interrupted: make rotate-passphrase ends it")
        program = [self.cli, "--non-interactive"] if self.cli else [sys.executable, "-m", "engine"]
        stack = [] if words[:2] in (["stack", "init"], ["stack", "select"]) else ["--stack", self.name]
        reads_settings = words[0] in {"up", "destroy", "preview", "refresh", "import"}
        config = ["--config-file", str(self.config_file)] if reads_settings else []
        env = {
            **os.environ,
            "PATH": search_path(),
            "PULUMI_BACKEND_URL": self._backend,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "VIRTUAL_ENV": str(self.root / ".venv"),
            "PYTHONPATH": str(self.root),  # the engine is run in the program's folder
        }
        if "PULUMI_CONFIG_PASSPHRASE" not in env:
            env["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(self.state / PASSPHRASE)
        simulate = ["--simulate"] if self.simulated else []
        return run([*program, *words, *stack, *config, *simulate], self.folder, env, stdout, given)


def _lack_of_credentials() -> str:
    """Return why AWS cannot be asked from here; empty where there are credentials."""
    import botocore.session  # here: without the CLI nothing is asked
    from botocore.exceptions import BotoCoreError

    try:
        return "" if botocore.session.get_session().get_credentials() else "there are no credentials for it"
    except BotoCoreError as error:
        return str(error).rstrip(".")


def _only(targets: Sequence[str]) -> list[str]:
    """Return the words that keep an engine to ``targets``."""
    return [word for urn in targets for word in ("--target", urn)]


def _salt_in(settings: str) -> list[str]:
    """Return the line with the salt in a stack file that an engine has written, if it has."""
    return _lines(settings, "encryptionsalt")


def _lines(settings: str, *keys: str) -> list[str]:
    """Return the lines of a stack file that begin with one of the keys."""
    return [line for line in settings.splitlines() if line.startswith(tuple(f"{key}:" for key in keys))]
