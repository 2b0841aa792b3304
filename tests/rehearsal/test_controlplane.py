"""The control plane: what can be said of it without one."""

import socket
from pathlib import Path

import pytest

from rehearsal.controlplane import ControlPlane
from rehearsal.processes import Processes, RehearsalError


def test_an_api_server_that_does_not_answer_is_no_traceback(tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path, tmp_path)
    plane._write_certificates(f"https://127.0.0.1:{plane.processes.port()}")
    with pytest.raises(RehearsalError, match=r"^the API server does not answer get /readyz: "):
        plane.request("get", "/readyz")
    assert not plane._is_ready()
    plane.stop()


def test_a_port_is_its_programs_alone_whenever_that_starts_and_free_once_all_are_ended(
    tmp_path: Path,
) -> None:
    processes = Processes(tmp_path)
    address = "127.0.0.1", processes.port()
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        with socket.create_server(address), socket.create_connection(address):
            pass
    with socket.socket() as other, pytest.raises(OSError, match="Address already in use"):
        other.bind(address)
    processes.stop()
    with socket.socket() as other:
        other.bind(address)
