"""What all tests share."""

from hypothesis import settings

pytest_plugins = ["tests.support.postgres"]

# A busy machine takes its time; a law holds or it does not.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
