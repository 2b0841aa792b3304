"""The one exception whose message goes to the user as it stands."""


class EngineError(Exception):
    """An expected failure: one clear message that names the thing and the way out."""
