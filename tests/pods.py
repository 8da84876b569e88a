"""Runs on this machine what a pod of the chart would run: its arguments and environment, its volumes as folders."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.manifests import Manifest

__all__ = ("Pod",)

BIN = Path(sys.executable).parent


class Pod:
    """The volumes of a pod, filled; and its containers, to be run one by one."""

    def __init__(self, spec: Manifest, manifests: list[Manifest], *, root: Path, secrets: Mapping[str, str]) -> None:
        self.spec = spec
        self._secrets = secrets
        """Value by `SECRET/KEY`."""
        self._folders: dict[str, Path] = {}
        maps = {m["metadata"]["name"]: m["data"] for m in manifests if m["kind"] == "ConfigMap"}
        for volume in spec.get("volumes", ()):
            folder = self._folders[volume["name"]] = root / volume["name"]
            folder.mkdir(exist_ok=True)
            for file, text in maps[volume["configMap"]["name"]].items() if "configMap" in volume else ():
                (folder / file).write_text(text)

    def run(self, container: Manifest, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run one to its end."""
        command, env = self._command(container, more, environment)
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)

    @contextmanager
    def running(self, container: Manifest, *more: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Have one run, and told to stop in the end, within the time that the pod is given."""
        command, env = self._command(container, more, {})
        with log.open("wb") as sink:
            process = subprocess.Popen(command, env=env, stdout=sink, stderr=sink)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=self.spec.get("terminationGracePeriodSeconds", 30))
            finally:
                process.kill()

    def _command(
        self, container: Manifest, more: tuple[str, ...], environment: Mapping[str, str]
    ) -> tuple[list[str], dict[str, str]]:
        env = {"PATH": f"{BIN}:/usr/bin:/bin"} | self._environment(container) | dict(environment)
        told = [*container.get("command", ["trilemma"]), *container.get("args", ()), *more]
        return [self._here(_expanded(word, env), container) for word in told], env

    def _environment(self, container: Manifest) -> dict[str, str]:
        env: dict[str, str] = {}
        for variable in container.get("env", ()):
            env[variable["name"]] = _expanded(self._value(variable), env)
        return env

    def _value(self, variable: dict[str, Any]) -> str:
        if "value" in variable:
            return str(variable["value"])
        secret = variable["valueFrom"]["secretKeyRef"]
        return self._secrets[f"{secret['name']}/{secret['key']}"]

    def _here(self, word: str, container: Manifest) -> str:
        """Paths of the container as paths of this machine; the longest mount that fits."""
        mounts = {mount["mountPath"]: self._folders[mount["name"]] for mount in container.get("volumeMounts", ())}
        if not mounts:
            return word
        any_of_them = "|".join(map(re.escape, sorted(mounts, key=len, reverse=True)))
        return re.sub(rf"(?<![\w/])({any_of_them})(?=$|[/\s])", lambda found: str(mounts[found[1]]), word)


def _expanded(word: str, env: Mapping[str, str]) -> str:
    """`$(NAME)` as Kubernetes reads it."""
    return re.sub(r"\$\((\w+)\)", lambda found: env.get(found[1], found[0]), word)
