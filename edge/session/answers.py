"""The requests of one session: which run, which are kept, and what of them waits."""

from collections.abc import Iterator, MutableSet

from edge.access.budgets import Share
from edge.session.answer import Answer, State
from edge.session.limits import Limits


class Answers:
    """Every answer that runs or is kept, by its request id, the oldest first.

    `claimed`: request ids of the user that are running or kept, and `share`: what those that
    run hold; both shared by the user's sessions.
    """

    def __init__(self, limits: Limits, claimed: MutableSet[str], share: Share) -> None:
        self._limits = limits
        self._claimed = claimed
        self._share = share
        self._answers: dict[str, Answer] = {}

    def __iter__(self) -> Iterator[Answer]:
        return iter(list(self._answers.values()))

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._answers

    def __bool__(self) -> bool:
        return bool(self._answers)

    @property
    def unheard(self) -> list[str]:
        """Requests of REST that the device cannot name, and has not had the end of."""
        return [
            answer.request_id
            for answer in self
            if answer.quiet and not answer.abandoned and (answer.running or answer.waiting_bytes)
        ]

    @property
    def running(self) -> int:
        """How many have not ended."""
        return sum(answer.running for answer in self)

    @property
    def waiting_bytes(self) -> int:
        """What has not left yet, of all of them."""
        return sum(answer.waiting_bytes for answer in self)

    @property
    def kept_bytes(self) -> int:
        """What of them is kept in memory: frames that wait, and frames that have left."""
        return sum(answer.kept_bytes for answer in self._answers.values())

    def shorten(self) -> None:
        """Gives up what left for a socket that reads: who comes back for it is told lost."""
        for answer in self._answers.values():
            if answer.attached:
                answer.shorten()

    def grow(self, answer: Answer, size: int) -> None:
        """A request that runs holds so many bytes more."""
        answer.held += size
        self._share.hold(size)

    def claims(self, request_id: str) -> bool:
        """Whether a request of this name runs or is kept for any device of the user."""
        return request_id in self._claimed

    def get(self, request_id: str) -> Answer | None:
        """The answer of a request, if it runs or is kept here."""
        return self._answers.get(request_id)

    def accept(self, request_id: str, *, quiet: bool, attached: bool, held: int) -> Answer:
        """Begins the answer of a new request that holds so many bytes."""
        journal_bytes = self._limits.journal_bytes
        answer = Answer(
            request_id, quiet=quiet, attached=attached, held=held, journal_bytes=journal_bytes
        )
        self._answers[request_id] = answer
        self._claimed.add(request_id)
        self._share.begin(held)
        return answer

    def end(self, answer: Answer) -> None:
        """It runs no longer."""
        answer.state = State.ENDED
        self._share.end(answer.held)

    def release(self, answer: Answer) -> None:
        """It goes on in another session of the user, under its name."""
        del self._answers[answer.request_id]
        answer.abandon()
        self._share.end(answer.held)

    def forget(self, answer: Answer) -> None:
        """Nothing of it is kept, and its name may be used again."""
        del self._answers[answer.request_id]
        answer.abandon()
        self._claimed.discard(answer.request_id)

    def trim(self) -> None:
        """Forgets the oldest of what ended, where it is too much in all."""
        ended = [answer for answer in self if not answer.running]
        kept = sum(answer.journal_bytes for answer in ended)
        for answer in ended:
            if kept <= self._limits.kept_bytes:
                return
            if not answer.ready:
                kept -= answer.journal_bytes
                self.forget(answer)
