"""The forecaster: what load will come while a replica that is asked for now is still starting."""

PORT = 9090
"""Where its two pages are."""
