"""What the make targets run: set-up, the choice of engine, the smoke test, status and logs."""
