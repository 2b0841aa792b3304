# ruff: noqa: D102, N802 - the protocol names and describes the methods
"""Running the program, and what it talks to meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import runpy
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi import RunError, log
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, language_pb2, resource_pb2, resource_pb2_grpc

from engine.deployment import Deployment, StoppedError
from engine.display import Shown
from engine.errors import EngineError
from engine.project import Config, Project
from engine.provider import LIMITS
from engine.state import Resource
from engine.values import UNKNOWN, from_wire, to_wire

_FEATURES = [getattr(resource_pb2, f"RESOURCE_MONITOR_FEATURE_{name}") for name in (
    # The last ones are announced so that a program that uses them hears our refusal, not "update the CLI".
    "SECRETS", "OUTPUT_VALUES", "INVOKE_DEPENDS_ON", "INVOKE_PARENT", "DELETED_WITH", "TRANSFORMS",
    "INVOKE_TRANSFORMS", "PARAMETERIZATION", "RESOURCE_HOOKS", "ERROR_HOOKS",
)]  # fmt: skip
_REFUSED = {
    "Call": "a resource method", "RegisterPackage": "a parameterized package", "ReadResource": "Resource.get",
    "RegisterStackTransform": "a transform", "RegisterStackInvokeTransform": "a transform",
    "RegisterResourceHook": "a hook", "RegisterErrorHook": "a hook",
}  # fmt: skip
_CRASH = "python inline source runtime error: "  # how the SDK reports an exception of the program
_STOPPED = re.compile(f"{_CRASH}|Resource monitor has terminated")  # what it makes of UNAVAILABLE, too


class Monitor(resource_pb2_grpc.ResourceMonitorServicer, engine_pb2_grpc.EngineServicer):
    """`pulumirpc.ResourceMonitor` and `pulumirpc.Engine` at `address`, for the program and providers."""

    deployment: Deployment  # what is under way

    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        for method, what in _REFUSED.items():
            setattr(self, method, lambda request, context, what=what: self._refuse(what, context))
        self._server = grpc.server(ThreadPoolExecutor(1024, "monitor"), options=LIMITS)
        resource_pb2_grpc.add_ResourceMonitorServicer_to_server(self, self._server)
        engine_pb2_grpc.add_EngineServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.stop(grace=None)

    def run(self, project: Project, stack: str, config: Config, refusal: Callable[[], str]) -> None:
        """Run the program to its end; a failure of it is a failure of the deployment.

        The SDK registers nothing before the program is read to its end: then it may still be refused.
        """
        deployment, options = self.deployment, self.deployment.options
        about: dict[str, Any] = {
            "project": project.name, "stack": stack, "organization": "organization", "config": config.values,
            "configSecretKeys": config.secret_keys, "dryRun": options.preview, "parallel": options.parallel,
        }  # fmt: skip
        self._info = resource_pb2.DeploymentInfo(**about, supportedFeatures=_FEATURES)

        async def program() -> None:
            try:
                runpy.run_path(str(project.program), run_name="__main__")
            except SystemExit as error:
                if error.code:
                    raise RunError(f"the program ended with {error.code!r}") from error
            if why := refusal():
                deployment.fail(why)
            # Lets the registrations begin: the SDK then waits for those, and not, in a far costlier way, for
            # each output that hangs on them.
            await asyncio.sleep(0)

        log.debug = lambda *_, **__: None  # the SDK's own steps: a call each, of what nobody is shown
        os.chdir(project.program.parent)
        sys.path.insert(0, str(project.program.parent))
        request = language_pb2.RunRequest(**about, monitor_address=self.address, args=[self.address])
        try:
            if LanguageServer(program).Run(request, None).error:  # type: ignore[no-untyped-call]
                deployment.failed.set()
        except Exception as error:  # the SDK's own clean-up fails after a program that was stopped half-way
            if not deployment.failed.is_set():
                deployment.fail(str(error))
        while deployment.busy:  # a program that failed leaves work in flight, which ends and is recorded
            time.sleep(0.02)

    def Log(self, request: Any, context: Any) -> empty_pb2.Empty:
        """Show a message; what a program that was stopped says about that is no news."""
        severity, text = engine_pb2.LogSeverity.Name(request.severity).lower(), request.message
        stopped = self.deployment.failed.is_set() and _STOPPED.search(text)
        if severity != "debug" and text and not stopped:
            text = own_frames(text, Path.cwd()) if _CRASH in text else text
            self._shown.log(severity, text, request.urn, request.ephemeral)
        return empty_pb2.Empty()

    def GetDeploymentInfo(self, request: Any, context: Any) -> resource_pb2.DeploymentInfo:
        return self._info

    def RegisterResource(self, request: Any, context: Any) -> Any:
        for used, what in (
            (request.remote, "a remote component"), (request.transforms, "a transform"),
            (request.packageRef, "a parameterized package"), (request.replace_with, "replace_with"),
            (request.HasField("hooks") and request.hooks.ListFields(), "a hook"),
            (request.HasField("replacement_trigger"), "replacement_trigger"),
            (request.HasField("customTimeouts") and request.customTimeouts.ListFields(), "custom_timeouts"),
            ("*" in "".join(request.ignoreChanges), "a * in ignore_changes"),
            (request.deletedWith, "deleted_with"),
        ):  # fmt: skip
            if used:
                self._refuse(f"{request.type} {request.name}: {what}", context)
        with _answering(context):
            new = Resource(
                self.deployment.urn(request.type, request.name, request.parent), request.custom,
                type=request.type, inputs=from_wire(request.object), parent=request.parent,
                protect=request.protect, dependencies=list(request.dependencies), provider=request.provider,
                property_dependencies={k: list(one.urns) for k, one in request.propertyDependencies.items()},
                additional_secret_outputs=list(request.additionalSecretOutputs), import_id=request.importId,
                retain_on_delete=request.retainOnDelete, ignore_changes=list(request.ignoreChanges),
                replace_on_changes=list(request.replaceOnChanges),
            )  # fmt: skip
            if request.version and request.type.startswith("pulumi:providers:"):
                new.inputs.setdefault("version", request.version)
            first = request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None
            self.deployment.register(new, list(request.aliasURNs), request.version, first)
            results, skipped = resource_pb2.Result, new.urn in self.deployment.skipped
            return resource_pb2.RegisterResourceResponse(
                urn=new.urn, id="" if new.id == UNKNOWN else new.id, unknown=new.id == UNKNOWN,
                object=to_wire(new.outputs if new.custom else new.inputs),
                result=results.FAIL if skipped else results.SUCCESS,
            )  # fmt: skip

    def RegisterResourceOutputs(self, request: Any, context: Any) -> Any:
        with _answering(context):
            self.deployment.set_outputs(request.urn, from_wire(request.outputs))
            return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        with _answering(context):
            args = from_wire(request.args)
            answer = self.deployment.invoke(request.tok, args, request.provider, request.version)
            result = {"return": getattr(answer, "return"), "failures": answer.failures}
            return resource_pb2.ResourceInvokeResponse(**result)

    def _refuse(self, what: str, context: Any) -> None:
        self.deployment.fail(f"{what} needs the Pulumi CLI; the embedded engine does not do it")
        context.abort(grpc.StatusCode.UNAVAILABLE, what)


@contextlib.contextmanager
def _answering(context: grpc.ServicerContext) -> Iterator[None]:
    """Answer an error: one that is on display already ends the program, another one it may catch."""
    try:
        yield
    except EngineError as error:
        code = grpc.StatusCode.UNAVAILABLE if isinstance(error, StoppedError) else grpc.StatusCode.UNKNOWN
        context.abort(code, str(error))


def own_frames(crash: str, folder: Path) -> str:
    """Return a traceback without the frames of the SDK, the engine and Python's library."""
    blocks = crash.removeprefix(_CRASH).split("Traceback (most recent call last):\n")
    own = [block for block in blocks[1:] if f'  File "{folder}/' in block] or blocks[-1:]
    kept, keep = ["the program failed:"], True
    for line in own[-1].rstrip().splitlines():
        if line.startswith('  File "'):
            keep = line.startswith(f'  File "{folder}/') and "site-packages" not in line
        if keep or not line.startswith(" "):
            kept.append(line)
    return "\n".join(kept)
