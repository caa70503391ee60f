"""PURE: what models were asked and said, in tokens."""

from __future__ import annotations

from dataclasses import dataclass

from agent_svc.events import MAX_TOKENS
from switchboard.v3.frames_pb2 import Usage


@dataclass(slots=True)
class Cost:
    """What models were asked and said, over any number of calls."""

    input_tokens: int = 0
    output_tokens: int = 0
    model_calls: int = 0
    estimated: bool = False

    @property
    def tokens(self) -> int:
        """Both together."""
        return self.input_tokens + self.output_tokens

    def add(self, other: Cost) -> None:
        """Adds what another call cost."""
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.model_calls += other.model_calls
        self.estimated |= other.estimated

    def to_proto(self) -> Usage:
        """The cost as it stands in frames; `estimated` only where it is true."""
        return Usage(
            input_tokens=min(self.input_tokens, MAX_TOKENS),
            output_tokens=min(self.output_tokens, MAX_TOKENS),
            model_calls=self.model_calls,
            estimated=self.estimated or None,
        )
