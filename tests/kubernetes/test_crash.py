"""An engine that dies while objects are made: the next run converges, and nothing is there twice."""

import os
import re
import signal

from tests.kubernetes.stack import PLATFORM, Stack, get, patch, wait_for


def test_a_killed_up_is_finished_by_the_next_one(stack: Stack) -> None:
    waiting = '"nodeSelector": {"opens": "later"}, "containers": [container]'
    stack.program(PLATFORM.replace('"containers": [container]', waiting))
    running = stack.start("up", "--yes")
    try:
        wait_for(lambda: re.search("Deployment gateway creating .*Unschedulable", running.said()))
    finally:
        os.kill(running.pid, signal.SIGKILL)
        running.process.join()
    pending = [one["resource"]["urn"].rpartition("::")[2] for one in stack.latest["pending_operations"]]
    assert "gateway" in pending
    patch(stack.plane, "/api/v1/nodes/node-1", {"metadata": {"labels": {"opens": "later"}}})
    said = stack.up().stdout
    assert "whose creation was interrupted" in said
    assert "pending_operations" not in stack.latest
    assert stack.live("gateway")["status"]["availableReplicas"] == 2
    assert stack.preview()["changeSummary"] == {"same": 5}
    space = stack.resources["platform"]["id"]
    found = get(stack.plane, f"/apis/apps/v1/namespaces/{space}/deployments")["items"]
    assert [one["metadata"]["name"] for one in found] == [stack.resources["gateway"]["id"].rpartition("/")[2]]
    patch(stack.plane, "/api/v1/nodes/node-1", {"metadata": {"labels": {"opens": None}}})


def test_an_object_that_does_not_become_ready_is_recorded_and_finished_next_time(stack: Stack) -> None:
    notes = '{"namespace": namespace.metadata.name, "annotations": {"pulumi.com/timeoutSeconds": "2"}}'
    program = PLATFORM.replace('"gateway", metadata=meta', f'"gateway", metadata={notes}')
    stack.program(
        program.replace('"containers": [container]', '"nodeSelector": {"a": "b"}, "containers": [container]')
    )
    failed = stack.up(status=1)
    assert "was not ready after 2 s: 0 of 2 new pods are available" in failed.stdout + failed.stderr
    assert stack.resources["gateway"]["initErrors"]
    path = stack.path("gateway")
    stack.program(program)
    assert "~ 1 updated" in stack.up().stdout
    assert stack.path("gateway") == path
    assert "initErrors" not in stack.resources["gateway"]


def test_a_cluster_that_is_not_there_is_one_message(stack: Stack) -> None:
    stack.env["KUBECONFIG"] = "/not/there"
    stack.program(PLATFORM)
    for command, flags in (("preview", ()), ("up", ("--yes",))):
        said = stack.run(command, *flags, status=1)
        assert "kubeconfig /not/there does not exist" in said.stdout + said.stderr
