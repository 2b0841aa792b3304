"""A stack's containers, where there are none."""

import pytest

from ops import containers
from ops.stack import StackError
from tests.ops.conftest import Checkout


def test_a_stack_without_containers_has_no_status(embedded: Checkout) -> None:
    none = "^stack some has no containers: make up STACK=some brings it up$"
    with pytest.raises(StackError, match=none):
        containers.show(embedded.stack)
