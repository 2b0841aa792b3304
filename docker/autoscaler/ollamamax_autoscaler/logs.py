"""Structured logs: a JSON object a line, in the form that the gateway's have."""

import json
import logging
import sys
from datetime import UTC, datetime

LEVELS = {"WARNING": "WARN", "CRITICAL": "ERROR"}


class Line(logging.Formatter):
    """Time, level, message, then what ``extra={"fields": …}`` has."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "level": LEVELS.get(record.levelname, record.levelname),
            "msg": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def logger() -> logging.Logger:
    """Return the program's log, which goes to its output."""
    log = logging.getLogger("autoscaler")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Line())
    log.handlers, log.level, log.propagate = [handler], logging.INFO, False
    return log
