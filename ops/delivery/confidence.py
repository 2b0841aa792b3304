"""How sure one can be that what was measured is no chance: tests in closed forms."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """So many of a count."""

    part: int
    whole: int

    @property
    def value(self) -> float:
        """Between 0 and 1; 0 of nothing is 0."""
        return self.part / self.whole if self.whole else 0.0


def chance_of_share(found: Share, beside: Share) -> float:
    """Return how likely chance alone makes ``found`` as large as it is, were both shares the same.

    One-sided, as all here but the test of ranks.

    Fisher's exact test: the tail of the hypergeometric distribution. It holds for counts however small.
    R. A. Fisher, Journal of the Royal Statistical Society 85 (1922), 87-94.
    """
    parts, whole = found.part + beside.part, found.whole + beside.whole
    most = min(parts, found.whole)
    ways = _log_ways(whole, parts)
    terms = (
        math.exp(_log_ways(found.whole, one) + _log_ways(beside.whole, parts - one) - ways)
        for one in range(found.part, most + 1)
        if parts - one <= beside.whole
    )
    return min(1.0, sum(terms))


def chance_of_rank(first: Sequence[int], second: Sequence[int]) -> float:
    """Return how likely chance alone lets two histograms of the same bounds differ as much, either way.

    The rank-sum test with the normal distribution's tail, corrected for the ties that buckets are: it says
    nothing of differences within a bucket.
    H. B. Mann and D. R. Whitney, Annals of Mathematical Statistics 18 (1947), 50-60.
    """
    one, other = sum(first), sum(second)
    whole = one + other
    if not one or not other:
        return 1.0
    below, ranks, ties = 0, 0.0, 0
    for count, beside in zip(first, second, strict=True):
        tied = count + beside
        ranks += count * (below + (tied + 1) / 2)
        ties += tied**3 - tied
        below += tied
    spread = one * other / 12 * (whole + 1 - ties / (whole * (whole - 1)))
    if spread <= 0:
        return 1.0
    away = abs(ranks - one * (whole + 1) / 2) / math.sqrt(spread)
    return math.erfc(away / math.sqrt(2))


@dataclass(frozen=True)
class Sample:
    """Count, mean and variance of values."""

    count: int
    mean: float
    variance: float


def sample(values: Mapping[float, int]) -> Sample:
    """Return what is to be known of values that each were counted so many times."""
    count = sum(values.values())
    if not count:
        return Sample(0, 0.0, 0.0)
    mean = math.fsum(one * times for one, times in values.items()) / count
    off = math.fsum(times * (one - mean) ** 2 for one, times in values.items())
    return Sample(count, mean, off / max(1, count - 1))


def chance_of_difference(found: Sample, beside: Sample, limit: float) -> float:
    """Return how likely chance alone puts the mean of ``found`` so far above ``beside`` plus ``limit``.

    For samples of some dozens at least, whose means are distributed normally; their variances may differ.
    B. L. Welch, Biometrika 34 (1947), 28-35.
    """
    if not found.count or not beside.count:
        return 1.0
    spread = math.sqrt(found.variance / found.count + beside.variance / beside.count)
    away = found.mean - beside.mean - limit
    if spread == 0:
        return 0.0 if away > 0 else 1.0
    return math.erfc(away / spread / math.sqrt(2)) / 2


def slope(times: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Return by how much ``values`` rise in a unit of time, by least squares, and that number's error."""
    count = len(times)
    middle, mean = math.fsum(times) / count, math.fsum(values) / count
    width = math.fsum((one - middle) ** 2 for one in times)
    rise = math.fsum((t - middle) * (v - mean) for t, v in zip(times, values, strict=True)) / width
    off = math.fsum((v - mean - rise * (t - middle)) ** 2 for t, v in zip(times, values, strict=True))
    return rise, math.sqrt(off / (count - 2) / width)


def chance_of_slope(times: Sequence[float], values: Sequence[float], limit: float) -> float:
    """Return how likely chance alone lets ``values`` rise so much above ``limit``; 1 for fewer than 4."""
    if len(times) < 4:
        return 1.0
    rise, error = slope(times, values)
    if error == 0:
        return 0.0 if rise > limit else 1.0
    return _student_tail((rise - limit) / error, len(times) - 2)


def _log_ways(whole: int, part: int) -> float:
    """Return the logarithm of how many ways there are to take ``part`` of ``whole``."""
    return math.lgamma(whole + 1) - math.lgamma(part + 1) - math.lgamma(whole - part + 1)


def _student_tail(t: float, freedom: int) -> float:
    """Return how likely a value of Student's distribution is beyond ``t``.

    The finite series for whole degrees of freedom: Abramowitz and Stegun, Handbook of Mathematical Functions
    (1964), 26.7.3 and 26.7.4.
    """
    angle = math.atan2(abs(t), math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    term, total = (cosine, 0.0) if freedom % 2 else (1.0, 0.0)
    for step in range(1 + freedom % 2, freedom, 2):
        total += term
        term *= cosine**2 * step / (step + 1)
    within = 2 / math.pi * (angle + sine * total) if freedom % 2 else sine * total
    tail = max(0.0, 1 - within) / 2
    return tail if t >= 0 else 1 - tail
