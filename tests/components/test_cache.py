"""Redis in the graph."""

from components.cache import PORT
from tests.components.conftest import SECRET, Graph, Plan

CONF = "/etc/ollamamax/redis.conf"


def test_redis_keeps_nothing_on_disk(local: Graph) -> None:
    redis = local.container("redis-1").inputs
    assert [volume["containerPath"] for volume in redis["volumes"]] == ["/etc/ollamamax"]
    assert 'save ""' in local.files("redis")[CONF]


def test_the_limits_reach_redis(plan: Plan) -> None:
    conf = plan(cache={"maxMemoryMib": 64, "maxClients": 77}).files("redis")[CONF]
    assert "maxmemory 64mb" in conf
    assert "maxclients 77" in conf


def test_redis_listens_with_tls_only(local: Graph) -> None:
    conf = local.files("redis")[CONF].splitlines()
    assert f"tls-port {PORT}" in conf
    assert "port 0" in conf


def test_the_password_is_in_a_file_of_its_own(local: Graph) -> None:
    assert local.files("redis")["/etc/ollamamax/secrets/redis.conf"] == SECRET
    lines = local.files("redis")[CONF].splitlines()
    assert "include /etc/ollamamax/secrets/redis.conf" in lines
    assert not [line for line in lines if line.startswith("requirepass")]
