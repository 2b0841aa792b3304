"""The tests of chance, against tables and what they are defined by, and over all that they may be given."""

import math
import random
import statistics
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.delivery.confidence import (
    Sample,
    Share,
    chance_of_difference,
    chance_of_rank,
    chance_of_share,
    chance_of_slope,
    sample,
    slope,
)

shares = st.integers(0, 60).flatmap(lambda whole: st.builds(Share, st.integers(0, whole), st.just(whole)))


@given(found=st.integers(0, 5), of=st.integers(1, 5), beside=st.integers(0, 5), whole=st.integers(1, 5))
def test_a_share_is_as_likely_as_counting_all_ways_says(found: int, of: int, beside: int, whole: int) -> None:
    found, beside = min(found, of), min(beside, whole)
    ways = [sum(one < of for one in chosen) for chosen in combinations(range(of + whole), found + beside)]
    expected = sum(one >= found for one in ways) / len(ways)
    assert chance_of_share(Share(found, of), Share(beside, whole)) == pytest.approx(expected)


@given(found=shares, beside=shares)
def test_a_share_that_is_no_larger_is_no_surprise(found: Share, beside: Share) -> None:
    chance = chance_of_share(found, beside)
    assert 0 <= chance <= 1
    if found.value <= beside.value:
        assert chance > 0.4


def test_a_share_of_large_counts_is_as_the_table_of_the_normal_distribution_says() -> None:
    # A difference of 1.645 times sqrt(2 × 0.01 × 0.99 / 100,000): once in twenty.
    assert chance_of_share(Share(1073, 100_000), Share(1000, 100_000)) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize(
    ("t", "freedom", "chance"),
    [(4.303, 2, 0.025), (2.571, 5, 0.025), (4.144, 10, 0.001), (2.042, 30, 0.025)],
)
def test_students_distribution_is_that_of_the_tables(t: float, freedom: int, chance: float) -> None:
    """A slope that is just t times its error."""
    times = [float(n) for n in range(freedom + 2)]
    noise = [math.cos(2 * math.pi * n / len(times)) + 0.1 * n for n in range(len(times))]
    rise, error = slope(times, noise)
    assert chance_of_slope(times, noise, rise - t * error) == pytest.approx(chance, rel=0.01)
    assert chance_of_slope(times, noise, rise + t * error) == pytest.approx(1 - chance, rel=0.01)


@given(values=st.dictionaries(st.floats(-100, 100), st.integers(1, 50), min_size=1, max_size=10))
def test_a_sample_is_what_its_values_are(values: dict[float, int]) -> None:
    whole = [one for one, count in values.items() for _ in range(count)]
    found = sample(values)
    assert found.count == len(whole)
    assert found.mean == pytest.approx(statistics.fmean(whole), abs=1e-9)
    if len(whole) > 1:
        assert found.variance == pytest.approx(statistics.variance(whole), abs=1e-6)


def test_a_difference_is_as_likely_as_the_normal_distribution_says() -> None:
    # Means apart by 1.645 times sqrt(4 / 100 + 9 / 100).
    apart = 1.645 * math.sqrt(0.13)
    found, beside = Sample(100, 5 + apart, 4), Sample(100, 4, 9)
    assert chance_of_difference(found, beside, 1) == pytest.approx(0.05, abs=0.001)


@given(
    found=st.builds(Sample, st.integers(0, 50), st.floats(-9, 9), st.floats(0, 9)),
    beside=st.builds(Sample, st.integers(0, 50), st.floats(-9, 9), st.floats(0, 9)),
    limit=st.floats(-9, 9),
    more=st.floats(0, 9),
)
def test_a_higher_limit_is_never_passed_more_surely(
    found: Sample, beside: Sample, limit: float, more: float
) -> None:
    assert chance_of_difference(found, beside, limit + more) >= chance_of_difference(found, beside, limit)


def test_too_few_values_prove_nothing() -> None:
    assert chance_of_difference(Sample(0, 0, 0), Sample(9, -9, 1), 0) == 1
    assert chance_of_slope([0, 1, 2], [0, 100, 200], 1) == 1


@given(rise=st.floats(-50, 50), start=st.floats(-50, 50), count=st.integers(4, 20))
def test_the_slope_of_a_line_is_found(rise: float, start: float, count: int) -> None:
    times = [float(n) for n in range(count)]
    found, error = slope(times, [start + rise * one for one in times])
    assert found == pytest.approx(rise, abs=1e-6)
    assert error == pytest.approx(0, abs=1e-6)


def test_noise_alone_is_taken_for_more_than_chance_as_seldom_as_is_said() -> None:
    dice = random.Random(8)  # noqa: S311 - no secret
    runs, level = 1000, 0.05
    means = 0
    for _ in range(runs):
        one, other = (sample(Counter(dice.gauss(0, 1) for _ in range(40))) for _ in range(2))
        means += chance_of_difference(one, other, 0) < level
    times = list(map(float, range(8)))
    slopes = sum(chance_of_slope(times, [dice.gauss(0, 1) for _ in times], 0) < level for _ in range(runs))
    assert means / runs == pytest.approx(level, abs=0.025)
    assert slopes / runs == pytest.approx(level, abs=0.025)


def test_ranks_are_compared_as_in_the_textbook() -> None:
    # Five values each, none the same, U = 5: z = (12.5 - 5) / sqrt(5 * 5 * 11 / 12).
    first, second = [1, 1, 1, 0, 1, 0, 0, 0, 1, 0], [0, 0, 0, 1, 0, 1, 1, 1, 0, 1]
    assert chance_of_rank(first, second) == pytest.approx(math.erfc(7.5 / math.sqrt(275 / 12) / math.sqrt(2)))


@given(counts=st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=15))
def test_ranks_do_not_care_who_is_first(counts: list[tuple[int, int]]) -> None:
    first, second = [one for one, _ in counts], [other for _, other in counts]
    chance = chance_of_rank(first, second)
    assert 0 <= chance <= 1
    assert chance == pytest.approx(chance_of_rank(second, first))
    assert chance_of_rank(first, first) == pytest.approx(1)
