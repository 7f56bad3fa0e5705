"""What can go wrong, each with a sentence that says what to do."""

from __future__ import annotations

from .generated.models import Problem

_PREFIX = "urn:quicproquo:problem:"


class QuicproquoError(Exception):
    """Everything this package raises by itself."""


class ConfigurationError(QuicproquoError):
    """A setting is absent or not usable."""


class Unreachable(QuicproquoError):
    """The gateway did not answer for as long as requests are repeated."""


class Refused(QuicproquoError):
    """The gateway answered with a problem (RFC 9457) that repeating does not mend."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        detail = f": {problem.detail}" if problem.detail else ""
        fields = "".join(f"; {field.pointer}: {field.detail}" for field in problem.errors or [])
        super().__init__(f"{problem.status} {self.kind}: {problem.title}{detail}{fields}")

    @property
    def kind(self) -> str:
        """The word by which programs decide, such as `group-not-found`."""
        return self.problem.type_.removeprefix(_PREFIX)


class AlreadyDone(Refused):
    """A handler that ran before has used this request's idempotency key for another content.

    An event that comes again, after a crash, does what it does under the same keys. When what it
    sends is not the same then, the first one stands.
    """


def refusal(problem: Problem) -> Refused:
    """The exception for a problem."""
    if problem.type_ == _PREFIX + "idempotency-mismatch":
        return AlreadyDone(problem)
    return Refused(problem)
