"""What is asked of a model, in the form that it takes, and what a refusal changes of it."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from typing import Any, Final

from agent_svc.apis import Api
from agent_svc.context import Calibration, Message, fitted, size_of, without_blanks
from agent_svc.events import Usage
from agent_svc.responses_request import KEPT
from runtime.model.lessons import MOST, lesson, window
from runtime.model.profiles import KEPT_S, Lesson, Profile, Profiles
from runtime.model.refusals import Refusal
from switchboard.v3.errors_pb2 import ErrorCode

log = logging.getLogger(__name__)

_TIGHTER: Final = 0.6
"""What is left of a conversation that was too long, where nobody told the window."""
_MOST_TRIMS: Final = 4

_ANSWER_SHARE: Final = 4
_ANSWER_TOKENS: Final = 4096
"""Left free in the window for the answer, at most; and at most a fourth of the window."""

_OPTIONAL: Final = frozenset(
    (
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "temperature", "top_p"),
        *("stream_options", "parallel_tool_calls", "reasoning_effort", "reasoning", "seed"),
        *("stop", "frequency_penalty", "presence_penalty", "logprobs", "n", "user", "store"),
    )
)

_OWN: Final = frozenset({"role", "content", "tool_calls"})
_OWN_OF_CALL: Final = frozenset({"id", "type", "function"})
_OWN_OF_FUNCTION: Final = frozenset({"name", "arguments"})


class Taught:
    """What this process has learned of one model, beside its profile."""

    def __init__(self, profiles: Profiles, model: str) -> None:
        self.profiles = profiles
        self.model = model
        self.calibration = Calibration()
        self._room: tuple[float, int] | None = None

    @property
    def profile(self) -> Profile:
        """What is known of it by now."""
        return self.profiles.of(self.model)

    @property
    def room(self) -> int | None:
        """How many bytes of messages it took lately, after more had been too much: how many
        tokens these are is a guess, which reports go on to change."""
        return self._room[1] if self._room and self._room[0] > time.monotonic() else None

    def takes(self, room: int) -> None:
        """Told that so many bytes were not too much."""
        self._room = time.monotonic() + KEPT_S, room


class Request:
    """One request, which may be made several times, each time in a form of its own."""

    def __init__(
        self, taught: Taught, messages: Sequence[Message], tools: Sequence[dict[str, Any]]
    ) -> None:
        self._taught = taught
        self._given = without_blanks(messages)
        self._tools = list(tools)
        self._tools_size = size_of(self._tools)
        self._lessons: list[Lesson] = []
        self._trims = 0
        self._told: int | None = None  # the window, as a refusal named it
        self._too_much = 0  # in bytes of messages, the least that was
        self.profile = taught.profile
        self._tried = [self.profile]
        self._was_odd = False
        self._room = _least(self._room_in(self.profile.context_window), taught.room)
        self.messages: list[Message] = []
        self._fit()

    @property
    def offered(self) -> frozenset[str]:
        """The names of the tools that may be called."""
        return frozenset(tool["function"]["name"] for tool in self._tools)

    @property
    def asked(self) -> int:
        """How many tokens are sent, about."""
        return self.tokens(self._size + self._tools_size)

    def tokens(self, size: int) -> int:
        """How many tokens so many bytes or characters are, about."""
        return self._taught.calibration.tokens(size)

    def body(self, api: Api) -> dict[str, Any]:
        """The body to send."""
        messages = [_said_back(self.profile, each) for each in self.messages]
        if self._tools and not self.profile.tools:  # as was learned only now
            messages = _told_of_no_tools(messages)
        return api.body(self.profile, self._taught.model, messages, self._tools)

    def mended(self, refusal: Refusal | None, code: ErrorCode.ValueType) -> bool:
        """Whether the failure taught something, so that it is worth to ask again at once."""
        if refusal is not None and (self._learned(refusal) or self._odd_refusal(refusal)):
            return True
        return code == ErrorCode.ERROR_CODE_CONTEXT_TOO_LONG and self._tightened(refusal)

    def succeeded(self, reported: Usage | None) -> None:
        """Keeps what made the difference."""
        taught = self._taught
        if reported is not None:
            taught.calibration.note(self._size + self._tools_size, reported.input_tokens)
        if self._trims:
            self._lessons.append(Lesson("context_window", {"context_window": self._window()}))
        for each in self._lessons:
            taught.profiles.keep(taught.model, each)

    def begins_thinking(self, found: bool) -> None:
        """Learns whether the model's answers begin inside its thinking."""
        lesson = Lesson("opens_thinking", {"opens_thinking": True})
        if found:
            self._taught.profiles.keep(self._taught.model, lesson)
        else:
            self._taught.profiles.forget(self._taught.model, lesson)

    def _room_in(self, tokens: int | None) -> int | None:
        """How many bytes the messages may have in this window; None: as many as they are."""
        if tokens is None:
            return None
        answer = self.profile.max_output_tokens or min(_ANSWER_TOKENS, tokens // _ANSWER_SHARE)
        return int((tokens - answer) * self._taught.calibration.bytes_per_token) - self._tools_size

    def _window(self) -> int:
        """The window in tokens: as it was told, if by our count that is less than was too much;
        else what was taken now, and room for the answer."""
        room = self._room_in(self._told)
        if self._told is not None and room is not None and 0 < room < self._too_much:
            return self._told
        self._taught.takes(self._size)
        answer = min(_ANSWER_TOKENS, -(-self.asked // (_ANSWER_SHARE - 1)))
        return self.asked + (self.profile.max_output_tokens or answer)

    def _fit(self) -> None:
        self.messages = fitted(self._given, self._room) if self._room is not None else self._given
        self._size = sum(map(size_of, self.messages))

    def _tightened(self, refusal: Refusal | None) -> bool:
        before = self._too_much = self._size
        if self._trims == _MOST_TRIMS:
            return False
        self._trims += 1
        self._told = (window(refusal) if refusal else None) or self._told
        room = self._room_in(self._told) or 0
        self._room = room if 0 < room < before else int(before * _TIGHTER)
        self._fit()
        log.info(
            "the conversation is too long for the model: %d bytes in place of %d",
            self._size,
            before,
        )
        return self._size < before

    def _learned(self, refusal: Refusal) -> bool:
        taught = self._of_messages(refusal) or lesson(refusal, self.profile, self._tried)
        if taught is None or len(self._lessons) == MOST:
            return False
        profile = taught.applied(self.profile)
        if profile in self._tried:
            return False
        self._lessons.append(taught)
        self._tried.append(profile)
        self.profile = profile
        return True

    def _odd_refusal(self, refusal: Refusal) -> bool:
        """Whether, for the first time, a parameter is refused that no request of ours has now: a
        gateway's doing, which adds its own and may ask another upstream the next time."""
        odd = refusal.status in {400, 422} and refusal.param in _OPTIONAL and not self._was_odd
        self._was_odd = self._was_odd or odd
        return odd

    def _of_messages(self, refusal: Refusal) -> Lesson | None:
        """What is learned where the provider refuses its own messages as they are said back."""
        if refusal.status not in {400, 422}:
            return None
        words = f"{refusal.param} {refusal.words}"
        said = [each for each in self.messages if each["role"] == "assistant"]
        if self.profile.says_back and any(
            _named(name, words) for each in said for name in _foreign(each)
        ):
            return Lesson("says_back", {"says_back": False})
        silent = any(each.get("content") is None for each in said)
        if silent and not self.profile.blank_content and _WANTS_CONTENT.search(words):
            return Lesson("blank_content", {"blank_content": True})
        return None


def _least(*rooms: int | None) -> int | None:
    return min((room for room in rooms if room is not None), default=None)


def _said_back(profile: Profile, message: Message) -> Message:
    """A message as the model takes it, if it wrote it itself."""
    if message["role"] != "assistant":
        return message
    if not profile.says_back:
        message = _bare(message)
    elif profile.api != "responses" and KEPT in message:
        message = {name: value for name, value in message.items() if name != KEPT}
    if profile.blank_content and message.get("content") is None:
        message = message | {"content": ""}
    return message


_NO_TOOLS: Final = """
# No tools after all
None of the tools that are told of above can be called: you can neither read nor change the user's
data. Where the answer needs that, say so in one sentence. Never make data up, and never say that
you changed anything. Answer in plain text.
"""


def _told_of_no_tools(messages: list[Message]) -> list[Message]:
    first, *rest = messages
    if first["role"] != "system":
        return messages
    return [first | {"content": first["content"] + _NO_TOOLS}, *rest]


_WANTS_CONTENT: Final = re.compile(
    r"content.{0,80}(?:missing|required|null|none|valid string|must be|should be|empty)"
    r"|(?:missing|required|null|none|must have|must contain).{0,80}content"
)


def _named(name: str, words: str) -> bool:
    return re.search(rf"\b{re.escape(name.lower())}\b", words.lower()) is not None


def _foreign(message: Message) -> set[str]:
    """The names of fields that are the provider's alone, of a message and its calls."""
    names = set(message) - _OWN
    for call in message.get("tool_calls", ()):
        names |= call.keys() - _OWN_OF_CALL
        names |= call["function"].keys() - _OWN_OF_FUNCTION
    return names


def _bare(message: Message) -> Message:
    """The message without what is the provider's alone."""
    bare = {name: value for name, value in message.items() if name in _OWN}
    if isinstance(content := bare.get("content"), list):
        texts = (part.get("text") for part in content if part.get("type", "text") == "text")
        bare["content"] = "".join(text for text in texts if isinstance(text, str))
    if calls := bare.get("tool_calls"):
        bare["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {name: call["function"][name] for name in ("name", "arguments")},
            }
            for call in calls
        ]
    return bare
