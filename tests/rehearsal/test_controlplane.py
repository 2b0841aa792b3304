"""The control plane: what can be said of it without one."""

from pathlib import Path

import pytest

from rehearsal.controlplane import ControlPlane
from rehearsal.processes import RehearsalError, free_ports


def test_an_api_server_that_does_not_answer_is_no_traceback(tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path, tmp_path)
    plane._write_certificates(f"https://127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(RehearsalError, match=r"^the API server does not answer get /readyz: "):
        plane.request("get", "/readyz")
    assert not plane._is_ready()
    plane.stop()
