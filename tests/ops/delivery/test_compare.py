"""Two variants side by side: what is said of them, and how sure."""

from collections.abc import Mapping
from dataclasses import dataclass

from ops.delivery.compare import Variant, differences, variants
from ops.delivery.confidence import Share
from ops.delivery.measure import Prometheus
from ops.delivery.swap import series


def variant(name: str, failed: int, requests: int, quick: float) -> Variant:
    """Return one of whose requests a part took 0.1 s, and the others 1 s."""
    return Variant(name, Share(failed, requests), {0.1: round(quick * requests), 1.0: requests})


def test_what_does_not_differ_is_said_to() -> None:
    failures, times = differences(variant("a", 3, 1000, 0.5), variant("b", 2, 1000, 0.51))
    assert failures == "a and b: no difference that is 99 % sure (0 %) (Fisher's exact test)"
    assert times.startswith("a and b: no difference that is 99 % sure (")


def test_what_differs_is_named_with_its_confidence() -> None:
    failures, times = differences(variant("a", 2, 1000, 0.7), variant("b", 25, 1000, 0.5))
    assert failures == "a and b: b fails more, 99.99 % sure (Fisher's exact test)"
    assert times == "a and b: their times differ, 99.99 % sure (Mann-Whitney test)"


def test_times_are_shown_to_the_bound_of_a_bucket() -> None:
    one = variant("a", 0, 100, 0.7)
    assert (one.quantile(0.5), one.quantile(0.95)) == ("<= 0.1 s", "<= 1 s")
    assert list(one.counts) == [70, 30]


@dataclass(frozen=True)
class Recorded(Prometheus):
    """Answers for an alias with two variants, one of which nobody asked."""

    url: str = ""
    user: str = ""
    password: str = ""
    ca_certificate: str = ""

    def ask(self, query: str, at: float) -> list[tuple[Mapping[str, str], float]]:
        assert 'alias="chat:latest"}[5m]' in query
        if "bucket" in query:
            return [({"variant": "new", "le": "0.1"}, 7.6), ({"variant": "new", "le": "+Inf"}, 10.2)]
        return [
            ({"variant": "new", "code": "200"}, 9.2),
            ({"variant": "new", "code": "503"}, 1.0),
            ({"variant": "old", "code": "200"}, 0.0),
        ]


def test_variants_are_counted_by_what_prometheus_has() -> None:
    (found,) = variants(Recorded(), series("chat", "", ""), 5)
    assert found == Variant("new", Share(1, 10), {0.1: 8, float("inf"): 10})
