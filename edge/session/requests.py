"""What one request has to say to its device: frames that wait, and frames that were
numbered and may have to be said again (PROTOCOL §4.5, §4.8).

A frame gets its `seq` as it leaves for a socket and never changes again; until then
text that waits is joined.
"""

from collections import deque
from collections.abc import Iterable, Iterator, MutableSet
from enum import Enum, auto
from itertools import islice
from typing import Final

from edge.access.budgets import Share
from edge.session.limits import Limits
from switchboard.v3.frames_pb2 import Mutation, ServerFrame, StreamText

JOIN_CHARS: Final = 4096
"""Text is joined up to so much: longer pieces would be copied again for each token."""

PIECE_CHARS: Final = 64 * 1024
"""More text than this is more than one frame: escaped, a character may take six bytes of JSON."""

FRAME_BYTES: Final = 1024
"""What a frame takes beside what it says, as an object: 0.9 KiB of one of 50 bytes, measured."""


def numbered(frame: ServerFrame) -> int:
    """The `seq` of a request's frame; 0 while it has none."""
    seq: int = getattr(frame, frame.WhichOneof("frame") or "").seq
    return seq


class State(Enum):
    """Where a request stands."""

    RUNNING = auto()
    CANCELLING = auto()
    ENDED = auto()


class Answer:
    """The frames of one request, in order.

    `attached`: the device's socket of now reads it. `abandoned`: nobody will read it any
    more, so nothing is kept. `quiet`: asked by REST; `offered`: to a device elsewhere, which has
    not begun to read it. `held`: what the request itself takes up while it runs.
    `next_step_at`: when a cancelled one ends at the latest, then when one that has ended may be
    forgotten. Sizes in bytes.
    """

    def __init__(
        self, request_id: str, *, quiet: bool, attached: bool, held: int, journal_bytes: int
    ) -> None:
        self.request_id = request_id
        self.quiet = quiet
        self.held = held
        self.attached = attached
        self.abandoned = False
        self.state = State.RUNNING
        self.agent: str | None = None
        self.mutations: list[Mutation] = []
        self.away_until: float | None = None
        self.offered = False
        self.next_step_at: float | None = None
        self.seq = 0
        self.waiting_bytes = 0
        self.journal_bytes = 0
        self._unread_bytes = 0
        self._limit = journal_bytes
        self._waiting: deque[tuple[ServerFrame, int]] = deque()
        self._journal: deque[tuple[ServerFrame, int]] = deque()
        self._replay: deque[ServerFrame] = deque()

    def __repr__(self) -> str:
        where = "abandoned" if self.abandoned else "attached" if self.attached else "away"
        return (
            f"Answer({self.request_id} {self.state.name.lower()} {where} seq={self.seq}"
            f" waiting={len(self._waiting)} journal={len(self._journal)})"
        )

    @property
    def running(self) -> bool:
        """Whether its end is still to come."""
        return self.state is not State.ENDED

    def due(self, state: State, now: float) -> bool:
        """Whether its time in that state is over.

        An alarm may be an earlier answer's: a request id is free again once its answer is
        forgotten.
        """
        return self.state is state and self.next_step_at is not None and self.next_step_at <= now

    @property
    def ready(self) -> bool:
        """Whether a frame could leave now."""
        return self.attached and bool(self._replay or self._waiting)

    @property
    def full(self) -> bool:
        """Whether all that may be kept for a device that is away is kept."""
        return not self.abandoned and self.waiting_bytes + self.journal_bytes >= self._limit

    @property
    def in_vain(self) -> bool:
        """Whether more was said than would be kept, since nobody will read it any more."""
        return not self.quiet and self._unread_bytes >= self._limit

    @property
    def kept_bytes(self) -> int:
        """What it takes of memory, itself and its frames."""
        frames = 1 + len(self._waiting) + len(self._journal)
        return self.waiting_bytes + self.journal_bytes + frames * FRAME_BYTES

    def say(self, frame: ServerFrame) -> None:
        """Adds a frame without a number."""
        if self.abandoned:
            self._unread_bytes += frame.ByteSize()
            return
        if len(frame.stream_text.chunk) > PIECE_CHARS:
            for start in range(0, len(text := frame.stream_text.chunk), PIECE_CHARS):
                piece = StreamText(
                    request_id=self.request_id, chunk=text[start : start + PIECE_CHARS]
                )
                self.say(ServerFrame(stream_text=piece))
            return
        size = frame.ByteSize()
        self.waiting_bytes += size
        if frame.HasField("stream_text") and self._waiting:
            last, before = self._waiting[-1]
            if last.HasField("stream_text") and len(last.stream_text.chunk) < JOIN_CHARS:
                last.stream_text.chunk += frame.stream_text.chunk
                self._waiting[-1] = last, before + size
                return
        self._waiting.append((frame, size))

    def next(self) -> ServerFrame:
        """The next frame to leave, numbered; only while `ready`."""
        if self._replay:
            return self._replay.popleft()
        frame, size = self._waiting.popleft()
        self.waiting_bytes -= size
        self.seq += 1
        getattr(frame, frame.WhichOneof("frame") or "").seq = self.seq
        self._journal.append((frame, size))
        self.journal_bytes += size
        self.shorten(self._limit)
        return frame

    def shorten(self, most_bytes: int = 0) -> None:
        """Keeps so many bytes of the frames that have left, and in any case the last of them."""
        while self.journal_bytes > most_bytes and len(self._journal) > 1:
            self.journal_bytes -= self._journal.popleft()[1]

    def withdraw_calls(self) -> None:
        """Takes back what the device has not been asked yet."""
        kept = [
            entry
            for entry in self._waiting
            if not entry[0].HasField("tool_call") and not entry[0].HasField("data_request")
        ]
        self._waiting = deque(kept)
        self.waiting_bytes = sum(size for _, size in kept)

    def resume(self, seq: int, pending: Iterable[ServerFrame] = ()) -> bool:
        """Goes back to the frame after `seq`; False where that cannot be done in full.

        `pending`: frames up to `seq` that still want an answer. They are said again first:
        who has seen a call need not have kept it, or its answer may have been lost.
        """
        oldest = self.seq - len(self._journal)
        if self.abandoned or not oldest <= seq <= self.seq:
            return False
        self._replay = deque(pending)
        self._replay += (frame for frame, _ in islice(self._journal, seq - oldest, None))
        self.attached, self.away_until, self.offered = True, None, False
        return True

    def detach(self, away_until: float) -> None:
        """Nobody reads it for now. Until `away_until` it is kept."""
        self._replay.clear()
        self.attached, self.away_until = False, away_until

    def abandon(self) -> None:
        """Nobody will read it: nothing is kept."""
        self.attached, self.abandoned, self.away_until = False, True, None
        self.waiting_bytes = self.journal_bytes = 0
        for frames in (self._waiting, self._journal, self._replay):
            frames.clear()


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
