"""What every process does first: it lets others see into it, or does not; and has short pauses."""

import resource

from runtime import garbage, logs, memory_limit, metrics, tracing
from runtime.settings import ServiceSettings, Settings, fail


def start(settings: Settings, service: str) -> None:
    """Switches on what the settings ask for; ends the process where it cannot be had.

    No core is dumped: it would hold the users' keys and texts.
    """
    memory_limit.hoard_nothing()
    garbage.settle()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logs.configure(settings, service)
    tracing.configure(settings, service)
    try:
        metrics.serve(settings)
    except OSError as error:
        fail(service, f"ADMIN_ADDR: cannot listen there ({error.strerror})")


def watch(settings: ServiceSettings) -> None:
    """The same once its loop runs."""
    metrics.watch_tasks()
    garbage.watch(settings.memory)
