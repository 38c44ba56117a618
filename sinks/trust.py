"""Whom a sink trusts over TLS."""

import ssl

import httpx

from engine.model.errors import Retryable


def trust(ca_file: str | None) -> ssl.SSLContext:
    """Return a client context: the public authorities, and those of `ca_file` (PEM).

    The environment has no say in it.

    Raises:
        Retryable: the file cannot be read or holds no certificate.
    """
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except ssl.SSLError:
            raise Retryable(f"ca_file {ca_file}: holds no PEM certificate") from None
        except OSError as error:
            raise Retryable(f"ca_file {ca_file}: {error.strerror or 'cannot be read'}") from None
    return context
