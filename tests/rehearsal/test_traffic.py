"""The traffic model: what it must have in common with real queues, and how Prometheus reads it."""

import re
import urllib.request
from socket import create_server

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehearsal.scenario import Load, Traffic
from rehearsal.traffic import Model, Pool, Release, served, waits_at_all

POOL = Pool("worker-chat", "chat", ("llama2:7b", "mistral:7b"), slots=8, most=50, queue=1000, max_wait_s=30)


def played(load: Load, workers: int, seconds: int = 60, release: Release | None = None) -> Model:
    model = Model((POOL,), Traffic())
    model.release = release
    model.turn(0, load)
    for second in range(1, seconds + 1):
        model.step(second, {"worker-chat": workers})
    return model


def test_a_load_keeps_its_part_of_all_slots_busy() -> None:
    model = played(Load(percent=40), workers=50)
    assert model.load("worker-chat") == 160
    assert model.in_flight("worker-chat") == pytest.approx(160, rel=0.02)
    assert model.busy_percent("worker-chat", 50) == pytest.approx(40, rel=0.02)


def test_enough_workers_let_nobody_wait_and_fail_nobody() -> None:
    model = played(Load(percent=40), workers=40)
    assert model.wait_ms("worker-chat") == 0
    assert model.requests()[1] == 0


def test_too_few_workers_let_requests_wait_and_at_last_send_them_away() -> None:
    model = played(Load(percent=40), workers=10)
    assert model.wait_ms("worker-chat") > 10_000
    answered, failed = model.requests()
    assert failed > 0
    assert answered == pytest.approx(2 * 80 / 4 * 60, rel=0.15), "ten workers answer what ten can"


def test_without_a_worker_requests_wait_as_long_as_they_may_and_are_sent_away() -> None:
    model = played(Load(percent=10), workers=0)
    answered, failed = model.requests()
    assert answered == 0
    assert failed == pytest.approx(2 * 40 / 4 * (60 - POOL.max_wait_s))
    assert model.in_flight("worker-chat") == 40 / 4 * POOL.max_wait_s


def test_a_worker_that_goes_takes_what_it_had_begun() -> None:
    model = played(Load(percent=40), workers=50)
    before = model.requests()[1]
    model.step(61, {"worker-chat": 0})
    assert model.requests()[1] - before > 2 * 160, "of both models"


def test_a_bad_version_fails_its_part_of_the_answers() -> None:
    model = played(Load(percent=40), workers=50, release=Release(share=0.25, failing=0.2))
    answered, failed = model.requests()
    assert failed / (answered + failed) == pytest.approx(0.25 * 0.2)


def test_a_release_and_what_is_there_are_counted_apart() -> None:
    text = played(Load(percent=40), workers=50, release=Release(share=0.25, failing=0.2)).exposition()

    def requests(code: str, release: str) -> float:
        labels = f'api="ollama",model="llama2:7b",code="{code}"{release}'
        (found,) = re.findall(rf"^ollamamax_requests_total\{{{labels}\}} (\S+)$", text, re.MULTILINE)
        return float(found)

    tried = ',release="canary"'
    assert requests("500", "") == 0
    assert requests("500", tried) / requests("200", tried) == pytest.approx(0.2 / 0.8)
    assert requests("200", tried) / requests("200", "") == pytest.approx(0.25 * 0.8 / 0.75)
    assert 'ollamamax_overhead_seconds_count{release="canary"}' in text


def test_without_a_release_there_are_no_numbers_of_one() -> None:
    assert "release" not in played(Load(percent=40), workers=50).exposition()


def test_the_next_release_counts_from_none_and_what_the_last_one_answered_stays_counted() -> None:
    model = played(Load(percent=40), workers=50, release=Release(share=0.25, failing=0.2))
    before = model.requests()
    model.release = None
    assert model.requests() == pytest.approx(before)
    model.release = Release(share=0.25)
    counts = re.findall(r'requests_total\{[^}]*release="canary"\} (\S+)', model.exposition())
    assert counts, "it has numbers"
    assert {float(count) for count in counts} == {0.0}


def test_a_load_rises_in_its_time_and_then_swings() -> None:
    model = played(Load(percent=40, over_s=20, wobble_percent=10, wobble_s=8), workers=50, seconds=10)
    assert model.load("worker-chat") == 80
    for second, expected in ((20, 160), (22, 176), (26, 144)):
        model.step(second, {"worker-chat": 50})
        assert model.load("worker-chat") == pytest.approx(expected)


def test_a_load_that_has_just_changed_may_be_asked_for_a_moment_before() -> None:
    model = played(Load(percent=40), workers=50, seconds=10)
    model.turn(10.5, Load(percent=80))
    model.step(10.4, {"worker-chat": 50})
    assert model.load("worker-chat") == 320


def test_a_load_of_named_pools_leaves_the_others_and_the_gateways_as_they_are() -> None:
    other = Pool("worker-code", "code", ("codellama:7b",), slots=2, most=20, queue=1000, max_wait_s=30)
    model = Model((POOL, other), Traffic())
    model.turn(0, Load(percent=50))
    model.turn(0, Load(percent=10, pools=("code",)))
    model.step(1, {})
    assert (model.load("worker-chat"), model.load("worker-code")) == (200, 4)
    assert model.gateways_percent() == 50


def test_who_finds_no_free_server_is_what_tables_of_erlangs_c_say() -> None:
    assert waits_at_all(1, 0.5) == pytest.approx(0.5)
    assert waits_at_all(2, 1.0) == pytest.approx(1 / 3)
    assert waits_at_all(10, 8.0) == pytest.approx(0.409, abs=0.001)


@given(st.integers(1, 200), st.floats(0, 300))
def test_that_part_is_a_part(servers: int, load: float) -> None:
    assert 0 <= waits_at_all(servers, load) <= 1


@given(st.integers(0, 60), st.integers(0, 150), st.integers(1, 30))
def test_every_request_is_answered_or_sent_away_or_still_there(
    workers: int, percent: int, seconds: int
) -> None:
    model = played(Load(percent=percent), workers, seconds)
    came = 2 * percent / 100 * 50 * 8 / 4 * seconds
    answered, failed = model.requests()
    assert answered + failed + 2 * model.in_flight("worker-chat") == pytest.approx(came, abs=1e-6)


def test_the_histogram_rises_to_its_count() -> None:
    text = played(Load(percent=70), workers=30, seconds=5).exposition()
    found = re.findall(r'slot_wait_seconds_bucket\{model="llama2:7b",le="[^"]+"\} (\S+)', text)
    buckets = [float(value) for value in found]
    assert buckets == sorted(buckets)
    assert buckets[-1] > buckets[0]


def test_prometheus_is_served_what_the_gateways_would_say() -> None:
    with create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    model = played(Load(percent=40), workers=50)
    with served(port, model), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    assert text == model.exposition()
    assert '\nollamamax_pool_load{pool="chat",model="mistral:7b"} 162.' in text
    assert text.count("# TYPE ollamamax_slot_wait_seconds histogram") == 1
