"""What lets others see into a process: its logs, its traces, its metrics; and what does not."""

import resource

from runtime import logs, metrics, tracing
from runtime.settings import Settings, fail


def start(settings: Settings, service: str) -> None:
    """Switches on what the settings ask for; ends the process where it cannot be had.

    No core is dumped: it would hold the users' keys and texts.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logs.configure(settings, service)
    tracing.configure(settings, service)
    try:
        metrics.serve(settings)
    except OSError as error:
        fail(service, f"ADMIN_ADDR: cannot listen there ({error.strerror})")
