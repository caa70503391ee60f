"""Why a block was skipped: a closed list of words, safe to log and to count."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """One reason; the word stands in logs and in `FormatEnd.blocks_skipped`."""

    MALFORMED = "malformed"  # not JSON, for all that was mended
    UNCLOSED = "unclosed"  # the answer ended, or its next block began, inside it
    TOO_LARGE = "too_large"  # more than 256 KiB, or than a frame holds once it is mended
    TOO_DEEP = "too_deep"  # nested more than 32 levels
    DUPLICATE_KEY = "duplicate_key"  # two types: which one counts?
    BAD_TEXT = "bad_text"
    BAD_TABLE = "bad_table"
    TABLE_TOO_WIDE = "table_too_wide"  # more than 50 columns
    BAD_TIMELINE = "bad_timeline"
    BAD_ENTITY_REF = "bad_entity_ref"
    CHART_TYPE = "chart_type"
    CHART_DATA = "chart_data"
    CHART_X_KEY = "chart_x_key"
    CHART_SERIES = "chart_series"
    CHART_VALUES = "chart_values"
    CHART_CATEGORIES = "chart_categories"
    CHART_TOO_MANY_ROWS = "chart_too_many_rows"  # more than 1,000
    CHART_UNITS = "chart_units"  # one series in units that cannot be compared
    ENTITY_NOT_FOUND = "entity_not_found"
    NO_DEVICE = "no_device"  # an entity in no result, and no device to ask for it
    TOO_MANY_QUERIES = "too_many_queries"  # the answer asked its device often enough
    WAITED_TOO_LONG = "waited_too_long"  # too much waited behind an unanswered query


class Invalid(Exception):
    """A block breaks a rule of PROTOCOL §6."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason
