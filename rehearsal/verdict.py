"""What a rehearsal asserts, and what it found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A line of what a rehearsal does not take as the program has it, and why."""

    what: str
    of_the_program: str
    here: str
    why: str


@dataclass(frozen=True)
class Verdict:
    """One assertion of a rehearsal; it holds when there are no problems."""

    letter: str
    """``a`` to ``f``: how the report orders them."""
    claim: str
    """What is asserted, as a sentence."""
    problems: tuple[str, ...] = ()
    """What contradicts it: each names the object, what it has and what it should have."""

    @property
    def holds(self) -> bool:
        """Whether nothing contradicts it."""
        return not self.problems
