"""``make release``, ``promote`` and ``rollback``."""

import contextlib
import math
import signal
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import FrameType

from ops import console
from ops.delivery import cluster, gate, machine
from ops.delivery.beside import Beside
from ops.delivery.reach import Reach
from ops.delivery.releases import Record, Releases
from ops.delivery.swap import Aliases, Swap, left_unfinished, only
from ops.delivery.trial import Course, Say, Trial
from ops.stack import Stack, StackError
from stacks import Settings
from stacks.delivery import ALL


@dataclass(frozen=True)
class Delivery:
    """Brings releases of a stack out, and back."""

    stack: Stack
    say: Say

    @property
    def releases(self) -> Releases:
        """Those that are written down."""
        return Releases(self.stack)

    def release(self, until: int) -> None:
        """Try the checkout as a release, step by step up to ``until``; at 100 it takes over.

        Raises:
            StackError: if it was taken back; the message says why.
        """
        settings = self._checked(until)
        with self.releases.locked(), _terminated_as_interrupted():
            if left := self.releases.tried:
                self._settle(left)
            running = self.releases.running
            if running and self.releases.of(running).rotation != self.stack.rotation:
                raise StackError(
                    "the setting rotation is not that of what runs, and a release is tried with the secrets "
                    f"that are there: make up STACK={self.stack.name} makes them anew"
                )
            there = gateways(self.stack)
            if up := there.is_up:
                self._take_back_unknown(there)
                there.check()
            record = self._begin()
            if not up:
                self.say("nothing runs that it could be compared with: it is brought up as it is")
                with self._forgotten_where_it_fails(record):
                    self._deploy(record)
                return
            self.say(f"release {record.number}: migrations, and its gateways beside those that are there")
            self._try(record, settings, above=0, until=until)

    def promote(self) -> None:
        """Go on with the release that is held, or was left unfinished, to the end.

        Raises:
            StackError: if there is none, or it was taken back.
        """
        self._checked(ALL)
        with self.releases.locked(), _terminated_as_interrupted():
            record = self.releases.tried
            if record is None:
                raise StackError(f"no release is being tried: make release STACK={self.stack.name} tries one")
            settings = self.releases.of(record).settings()
            # A share that was not watched to its end is watched again.
            steps = settings.release.steps_percent
            done = [one for one in steps if one < record.percent or (one == record.percent and record.held)]
            gateways(self.stack).check()
            self.say(f"release {record.number}: going on after {max(done, default=0)} %")
            self._try(record, settings, above=max(done, default=0), until=ALL)

    def rollback(self, to: int | None) -> None:
        """Take back the release that is tried; or, if none is, bring up a kept one with its settings.

        Raises:
            StackError: if that is not kept, or does not come up.
        """
        self._checked(ALL)
        with self.releases.locked(), _terminated_as_interrupted():
            running, left = self.releases.running, self.releases.tried
            wanted = self.releases.find(to) if to else None
            if left:
                self._take_back(left)
                self.say(f"release {left.number} is taken back")
                if to is None and not _takes_over(left):
                    return
            elif self._take_back_unknown(gateways(self.stack)) and to is None:
                return
            if running is None:
                raise StackError("no release is kept that could be gone back to")
            back_to = wanted or (running if left else self.releases.before(running))
            self.say(f"bringing up release {back_to.number} of {back_to.began:%Y-%m-%d %H:%M} UTC")
            self._deploy(back_to)

    def _settle(self, left: Record) -> None:
        """Deal with a release whose command ended in its midst."""
        began = f"{left.began:%Y-%m-%d %H:%M} UTC"
        what = f"release {left.number} of {began} was left unfinished at {left.percent} %"
        if _takes_over(left):
            self.say(f"{what}, found good: it takes over first")
            self._take_over(left)
        else:
            self.say(f"{what}: it is taken back first")
            self._take_back(left)

    def swap(self, alias: str, model: str, slower_percent: int | None) -> None:
        """Try another model behind an alias; in the end it takes the place of the one that is there.

        Raises:
            StackError: if it was taken back; the message says why.
        """
        settings, reach = self.stack.settings(), Reach(self.stack)
        outputs = reach.outputs
        if missing := {"url", "apiKey"} - outputs.keys():
            raise StackError(f"the stack has no output {min(missing)}: it is not up, make up brings it up")
        aliases = Aliases(reach.edge, outputs["apiKey"], outputs.get("caCertificate"))
        with self.releases.locked(), _terminated_as_interrupted():
            targets = aliases.get(alias)
            if left := left_unfinished(targets):
                self.say(f"{left['model']} was left unfinished at {left['weight']} %: it is taken back first")
                targets = [one for one in targets if one is not left]
            there = only(alias, targets)
            candidate = Swap(aliases, reach.prometheus, alias, there, model)
            candidate.take_back()
            held_to = gate.limits(settings)
            slower = held_to.slower if slower_percent is None else slower_percent / ALL
            self.say(f"{alias}: {model} in the place of {there}")
            trial = Trial(
                candidate,
                Course.of(settings, heard_s=0),
                replace(held_to, slower=slower, slow_ms=math.inf),
                self.say,
                lambda percent: self.say(f"{percent} % of the requests"),
            )
            if reason := trial.run():
                raise StackError(f"{alias}: {model} was taken back {reason}")
            candidate.take_over()
            self.say(f"{alias} is answered by {model}")

    def check_settled(self) -> None:
        """Raise StackError while a release is tried: its gateways would be gone."""
        back = f"make rollback STACK={self.stack.name} takes it back"
        if left := self.releases.tried:
            raise StackError(
                f"release {left.number} is being tried: make promote STACK={self.stack.name} goes on, {back}"
            )
        if gateways(self.stack).is_tried:
            raise StackError(f"a release is being tried of which nothing is written down here: {back}")

    def keep(self) -> None:
        """Write down what ``make up`` has brought up, unless that is the release that runs already."""
        with self.releases.locked():
            record = self._begin()
            running = self.releases.running
            if running and running.digest == record.digest:
                self.releases.forget(record)
            else:
                self.releases.keep(record, gateways(self.stack).images)

    def _try(self, record: Record, settings: Settings, *, above: int, until: int) -> None:
        candidate = gateways(self.releases.of(record))

        def note(percent: int) -> None:
            self.releases.write(record.model_copy(update={"percent": percent}))
            self.say(f"{percent} % of the requests")

        def taken_back() -> None:
            self.releases.forget(record)

        course, held_to = Course.of(settings, candidate.heard_s), gate.limits(settings)
        trial = Trial(candidate, course, held_to, self.say, note, taken_back=taken_back)
        if reason := trial.run(above, until):
            raise StackError(f"release {record.number} was taken back {reason}")
        held = record.model_copy(update={"percent": until, "held": True})
        self.releases.write(held)
        if until < ALL:
            number = f"release {record.number}"
            self.say(f"{number} is held at {until} %: make promote goes on, make rollback takes it back")
            return
        self._take_over(held)

    def _take_over(self, record: Record) -> None:
        self.say(f"release {record.number} takes the place of the one before")
        gateways(self.releases.of(record)).take_over()
        self._runs(record)

    def _deploy(self, record: Record) -> None:
        """Bring a release up as it is, without a trial."""
        stack = self.releases.of(record)
        stack.prepare()
        stack.up()
        self._runs(record)

    def _runs(self, record: Record) -> None:
        """Do what is left to do for a release that has come up."""
        self.releases.keep(record, gateways(self.stack).images)
        if self.stack.in_cloud:
            console.bring(self.releases.of(record), self.say)
        self.say(f"release {record.number} runs")

    def _take_back_unknown(self, there: Beside) -> bool:
        """Take back what is tried though nothing is written down of it here, as by another machine."""
        if not there.is_tried:
            return False
        self.say("a release is being tried of which nothing is written down here: it is taken back")
        there.take_back()
        return True

    def _take_back(self, record: Record) -> None:
        gateways(self.releases.of(record)).take_back()
        self.releases.forget(record)

    @contextlib.contextmanager
    def _forgotten_where_it_fails(self, record: Record) -> Iterator[None]:
        """What comes up without a trial has nothing to be taken back; the next run finds what is there."""
        try:
            yield
        except BaseException:
            self.releases.forget(record)
            raise

    def _begin(self) -> Record:
        version = tomllib.loads((self.stack.root / "pyproject.toml").read_text())["project"]["version"]
        return self.releases.begin(version)

    def _checked(self, until: int) -> Settings:
        """Return the settings of the checkout, if it can be released."""
        settings = self.stack.settings()
        self.stack.check_possible(changing=True)
        if until not in settings.release.steps_percent:
            shown = ", ".join(map(str, settings.release.steps_percent))
            raise StackError(f"UNTIL={until} is not among release.stepsPercent: {shown}")
        self.stack.prepare()
        return settings


def gateways(stack: Stack) -> Beside:
    """Return the gateways of a release where its stack runs."""
    return machine.Gateways(stack) if stack.on_machine else cluster.Gateways(stack)


def _takes_over(record: Record) -> bool:
    """Tell whether a release has been found good, and its gateways may be on their way into place."""
    return record.held and record.percent == ALL


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM, which make passes on, take a release back as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
