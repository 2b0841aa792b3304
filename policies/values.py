"""Property values as rules see them: plain, but for marks on what is secret and what is not known yet."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pulumi_policy import deserialize
from pulumi_policy.proxy import UnknownValueError

Properties = dict[str, Any]


class SecretText(str):
    """A string that Pulumi keeps as a secret."""

    __slots__ = ()


class Unknown:
    """A value that only the deployment will tell: a preview holds nothing against it.

    It is true, is empty, holds whatever is looked for in it, and is neither less nor more than anything.
    """

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __contains__(self, item: object) -> bool:
        return True

    def __lt__(self, other: object) -> bool:
        return False

    __gt__ = __le__ = __ge__ = __lt__


UNKNOWN = Unknown()


def opened(value: Any, mark_secrets: bool = False) -> Any:  # noqa: ANN401 - any JSON value
    """Return a copy without the proxies that a policy gets, which raise at what is unknown.

    Args:
        value: what a policy's arguments hold.
        mark_secrets: whether the strings in it are secret.
    """
    if isinstance(value, Mapping):
        return {key: _item(value, key, mark_secrets) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_item(value, index, mark_secrets) for index in range(len(value))]
    if isinstance(value, str):
        return SecretText(value) if mark_secrets or isinstance(value, SecretText) else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _item(value: Any, key: Any, mark_secrets: bool) -> Any:  # noqa: ANN401
    try:
        return opened(value[key], mark_secrets)
    except UnknownValueError:
        return UNKNOWN


def keep_secrets_marked() -> None:
    """Let the SDK, which hands secrets to policies as ordinary values, mark their strings.

    Without that, a rule against plain text secrets cannot tell a secret from a mistake.
    """
    open_one = deserialize._deserialize_property

    def marking(value: Any, proxy_secrets: bool = False) -> Any:  # noqa: ANN401
        found = open_one(value, proxy_secrets)
        is_secret = (
            isinstance(value, dict)
            and value.get(deserialize.SPECIAL_SIG_KEY) == deserialize.SPECIAL_SECRET_SIG
        )
        return opened(found, mark_secrets=True) if is_secret and not proxy_secrets else found

    vars(deserialize)["_deserialize_property"] = marking


def dig(value: Any, *path: str) -> Any:  # noqa: ANN401
    """Return what is at ``path`` in nested objects: None where nothing is, UNKNOWN below what is unknown."""
    for key in path:
        if value is UNKNOWN:
            return UNKNOWN
        value = value.get(key) if isinstance(value, dict) else None
    return value


def items(value: Any) -> list[Any]:  # noqa: ANN401
    """Return a list's elements: one value is a list of itself, what is missing or unknown has none."""
    if isinstance(value, list):
        return [one for one in value if one is not UNKNOWN]
    return [] if value is None or value is UNKNOWN else [value]


def may_be(value: Any, *wanted: Any) -> bool:  # noqa: ANN401
    """Tell whether a value is one of ``wanted``, or may turn out to be."""
    return value is UNKNOWN or value in wanted


def uncertain(values: Any) -> bool:  # noqa: ANN401
    """Tell whether a list, or one of its elements, is not known yet."""
    return values is UNKNOWN or (isinstance(values, list) and any(one is UNKNOWN for one in values))


def document(value: Any) -> Any:  # noqa: ANN401
    """Return a JSON document that a property holds as text or as it is; UNKNOWN for what is none."""
    if not isinstance(value, str):
        return UNKNOWN if value is None else value
    try:
        return json.loads(value)
    except ValueError:
        return UNKNOWN


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:  # noqa: ANN401
    """Yield every string in a value with its path: ``spec.containers[0].image``."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from texts(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from texts(inner, f"{path}[{index}]")
