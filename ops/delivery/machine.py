"""Gateways of a release on this machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from docker.errors import DockerException

from ops import containers
from ops.delivery.beside import Beside
from ops.stack import StackError
from stacks import capacity
from stacks.delivery import CANARY, SWITCHES


@dataclass(frozen=True)
class Gateways(Beside):
    """The gateways of a release in Docker."""

    @property
    def is_up(self) -> bool:
        """Whether there are gateways that a release can be compared with."""
        return any(one.status == "running" for one in containers.find(self.stack, "gateway"))

    @property
    def is_tried(self) -> bool:
        """Whether there is something of a release beside them."""
        return bool(containers.find(self.stack, CANARY))

    @property
    def images(self) -> Mapping[str, str]:
        """The images that the stack's containers run: service → name with its tag, and its digest."""
        return {
            one.labels["ollamamax.service"]: f"{one.attrs['Config']['Image']}@{one.attrs['Image']}"
            for one in containers.find(self.stack)
            if one.labels["ollamamax.service"] != CANARY
        }

    @property
    def count(self) -> int:
        """How many a release needs."""
        return capacity.most_canaries(self.stack.settings())

    def tell(self, switches: Sequence[str]) -> None:
        """Have the edges find these switches on, and all others off: files in their memory."""
        script = f"cd {SWITCHES} && touch {' '.join(switches)}" if switches else f"rm -f {SWITCHES}/*"
        for edge in containers.find(self.stack, "edge"):
            if edge.status != "running":
                continue
            try:
                done = edge.exec_run(["sh", "-c", script])
            except DockerException as error:
                raise StackError(f"{edge.name} cannot be told of the release: {error}") from error
            if done.exit_code:
                raise StackError(
                    f"{edge.name} cannot be told of the release: {done.output!r}; one of a release without "
                    f"{SWITCHES} is brought up anew by make up STACK={self.stack.name}"
                )
