"""What every process does first: it lets others see into it, or does not; and has short pauses."""

import gc
import resource

from runtime import logs, metrics, tracing
from runtime.settings import Settings, fail


def start(settings: Settings, service: str) -> None:
    """Switches on what the settings ask for; ends the process where it cannot be had.

    No core is dumped: it would hold the users' keys and texts. What is imported by now is looked
    at by no garbage collection again: a whole one goes through 300,000 objects, nearly all of
    them modules, classes and messages' descriptors, and nobody is served for 70 to 110 ms.
    """
    gc.collect()
    gc.freeze()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logs.configure(settings, service)
    tracing.configure(settings, service)
    try:
        metrics.serve(settings)
    except OSError as error:
        fail(service, f"ADMIN_ADDR: cannot listen there ({error.strerror})")
