"""Who changed what on a stack: Kubernetes' managers of fields, and AWS's trail of the last ninety days."""

from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from stacks import Settings

OURS = "pulumi-kubernetes"
"""How the program's own managers of fields begin."""
READ_ONLY = "ReadOnly"


def manager(resource: dict[str, Any], path: str) -> str:
    """Return who manages a field of a Kubernetes object beside the program; empty where that is not known."""
    fields = resource.get("outputs", {}).get("metadata")
    entries = fields.get("managedFields") if isinstance(fields, dict) else None
    for entry in sorted(entries or [], key=lambda one: str(one.get("time")), reverse=True):
        if not str(entry.get("manager")).startswith(OURS) and _manages(entry.get("fieldsV1"), path):
            return f"`{entry['manager']}`, {entry.get('time')}"
    return ""


def _manages(fields: Any, path: str) -> bool:  # noqa: ANN401 - a tree of fields
    """Tell whether a tree of fields has the path; inside a list, the list is taken for its items."""
    for key in path.partition("[")[0].split("."):
        if not isinstance(fields, dict) or f"f:{key}" not in fields:
            return False
        fields = fields[f"f:{key}"]
    return True


class Asked:
    """Asks AWS's trail about resources of AWS, and Kubernetes' objects for the managers of their fields."""

    def __init__(self, settings: Settings, client: Any = None) -> None:  # noqa: ANN401 - botocore makes them
        region = settings.aws.region if settings.aws else None
        self._trail = client or botocore.session.get_session().create_client("cloudtrail", region_name=region)
        self._told: dict[str, str] = {}

    def __call__(self, resource: dict[str, Any], path: str) -> str:
        """Return who wrote to a resource last, when and how; empty where that is not known."""
        if not resource["type"].startswith("aws:"):
            return manager(resource, path)
        name = str(resource.get("id", ""))
        if name not in self._told:
            self._told[name] = self._last_write(name)
        return self._told[name]

    def _last_write(self, name: str) -> str:
        wanted = [{"AttributeKey": "ResourceName", "AttributeValue": name}]
        try:
            events = self._trail.lookup_events(LookupAttributes=wanted)["Events"]
        except (BotoCoreError, ClientError) as error:
            return f"not known: {error}"
        for event in events:  # the newest first
            if event.get(READ_ONLY) != "true":
                who = event.get("Username", "AWS itself")
                return f"`{who}`, {event['EventName']}, {event['EventTime']:%Y-%m-%d %H:%M} UTC"
        return ""
