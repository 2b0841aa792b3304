"""Requests for JSON over HTTP, with every failure told as one."""

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TIMEOUT_S = 5


class UnavailableError(Exception):
    """What was asked did not answer, or not as it should."""


def trusting(authority: Path) -> ssl.SSLContext:
    """Return what trusts the servers of one authority, by its certificate in a file.

    Raises:
        OSError: naming the file, if it cannot be read or holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=str(authority))
    except OSError as error:
        raise OSError(f"{authority}: {error.strerror}") from error
    # Authorities of clusters do not keep to RFC 5280 by the letter: that of EKS names no key identifier.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def get(url: str, headers: Mapping[str, str], context: ssl.SSLContext) -> Any:  # noqa: ANN401 - JSON
    """Return what ``url`` answers, decoded from JSON.

    Raises:
        UnavailableError: saying why.
    """
    request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - http or https, as configured
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=context) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            said = error.read(500).decode(errors="replace").strip()
        raise UnavailableError(f"HTTP {error.code}: {said}") from error
    except urllib.error.URLError as error:
        raise UnavailableError(str(error.reason)) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnavailableError(f"{type(error).__name__}: {error}") from error
