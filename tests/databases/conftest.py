"""Databases as people run them, by `make test-databases`: `make test` passes them by."""

from __future__ import annotations

import os
from pathlib import Path

POSTGRES_15 = Path(os.environ.get("POSTGRES_15", ""))

collect_ignore_glob = [] if os.environ.get("POSTGRES_15") else ["test_*.py"]
