"""Benchmarks of the gateway: ``make bench``."""
