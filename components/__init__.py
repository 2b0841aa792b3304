"""The parts of the platform, one component resource a file; ``platform.py`` alone wires them together."""
