"""What differs between environments: the stack files and the typed settings read from them."""

from stacks.loading import SettingsError, catalogue, load, read
from stacks.settings import Settings

__all__ = ["Settings", "SettingsError", "catalogue", "load", "read"]
