"""Credential plugins of a kubeconfig: run only if allowed, and never for ever."""

import asyncio
import base64
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from engine.model.errors import ClusterError

MAX_ANSWER_BYTES = 1 << 20


async def run_plugin(
    spec: Mapping[str, Any], folder: Path, allowed: frozenset[str], *, timeout_s: float
) -> dict[str, str]:
    """Run the plugin of `users[].user.exec` and return the fields of a user that it gave.

    Args:
        spec: {command, args, env, apiVersion} as in the kubeconfig.
        folder: where the kubeconfig lies; relative commands start there.
        allowed: commands that may be run, written as in the kubeconfig.
        timeout_s: seconds before the plugin is killed.

    Returns:
        `token`, or `client-certificate-data` and `client-key-data` in base64.

    Raises:
        ClusterError: `config` if it is not allowed or can not be started, `timeout`,
            `unauthorized` if it fails or answers something else.

    Source: Kubernetes reference, client-go credential plugins (ExecCredential).
    """
    command = str(spec.get("command", ""))
    if command not in allowed:
        listed = ", ".join(sorted(allowed)) or "none"
        raise ClusterError(
            "config",
            f"the credential plugin '{command}' is not allowed; exec_commands lists: {listed}",
        )
    answer = await _answer([command, *map(str, spec.get("args") or [])], spec, folder, timeout_s)
    try:
        status = msgspec.json.decode(answer)["status"]
        return _user(status)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ClusterError(
            "unauthorized", f"the credential plugin '{command}' gave no ExecCredential"
        ) from error


async def _answer(
    argv: list[str], spec: Mapping[str, Any], folder: Path, timeout_s: float
) -> bytes:
    version = str(spec.get("apiVersion", "client.authentication.k8s.io/v1"))
    asked = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
    given = {str(e["name"]): str(e["value"]) for e in spec.get("env") or []}
    told = {"KUBERNETES_EXEC_INFO": msgspec.json.encode(asked).decode()}
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=folder,
            env={**os.environ, **given, **told},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        raise ClusterError(
            "config", f"the credential plugin '{argv[0]}' can not be started: {error.strerror}"
        ) from error
    try:
        async with asyncio.timeout(timeout_s):
            answer, _ = await process.communicate()
    except TimeoutError as error:
        raise ClusterError(
            "timeout", f"the credential plugin '{argv[0]}' took longer than {timeout_s:g} s"
        ) from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0 or len(answer) > MAX_ANSWER_BYTES:
        raise ClusterError(
            "unauthorized", f"the credential plugin '{argv[0]}' ended with {process.returncode}"
        )
    return answer


def _user(status: Mapping[str, Any]) -> dict[str, str]:
    if status.get("token"):
        return {"token": str(status["token"])}
    certificate, key = status["clientCertificateData"], status["clientKeyData"]
    return {
        "client-certificate-data": base64.b64encode(certificate.encode()).decode(),
        "client-key-data": base64.b64encode(key.encode()).decode(),
    }
