"""`make bench-memory`: what memory costs, finds, keeps and forgets; printed as tables.

SET=path takes a retrieval set in LoCoMo's format instead of our tiny one. With
OPENAI_API_KEY set its embeddings are real ones. QUICK=1 does less of everything; ONLY=growth weighs
what users cost, and does nothing else.
"""

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography.fernet import Fernet

from bench.memory import forgetting, growth, hygiene, latency, retrieval
from bench.memory.seed import Free
from devstack.offline_model import embed as offline
from memory_svc import migrate
from memory_svc.app import App
from memory_svc.crypto.embedding_rotation import Vector
from memory_svc.recall.embed import Embedder, checked
from memory_svc.settings import MemorySettings
from tests.support.postgres import Postgres, serve

TINY = Path(__file__).with_name("tiny.json")


class Offline(Embedder):
    """The offline model's embeddings, in this process."""

    def __init__(self) -> None:
        self.model = "offline feature hashing"

    async def embed(self, texts: Sequence[str], timeout: float) -> list[Vector]:
        return [checked(offline.embed(text)) for text in texts]

    async def close(self) -> None:
        """Nothing runs in the background."""


def application(url: str, folder: Path, embedder: Embedder | None) -> App:
    given = {
        "database_url": url,
        "database_pool": 16,
        "master_keys": Fernet.generate_key().decode(),
        "erasure_ledger": folder / "erasures",
        "listen_addr": "127.0.0.1:0",
        **{name.lower(): value for name, value in os.environ.items() if name.startswith("OPENAI_")},
    }
    app = App(MemorySettings.model_validate(given))
    if embedder:
        for part in (app, app.context):
            vars(part)["embedder" if part is app else "_embedder"] = embedder
        app.worker._handlers = app._handlers()
        app.browse._model = embedder.model
    return app


async def run(server: Postgres, folder: Path) -> None:
    quick = bool(os.environ.get("QUICK"))
    path = Path(os.environ.get("SET") or TINY)
    with server.database("migrated") as url:
        app = application(url, folder, Free())
        await app.open()
        await growth.measure(app, 10 if quick else 30, *((30, 20) if quick else (200, 300)))
        await app.close()
    if os.environ.get("ONLY") == "growth":
        return
    with server.database("migrated") as url:
        app = application(url, folder, Free())
        await app.open()
        await latency.sizes(app, 100 if quick else 1_000, 60 if quick else 400)
        await app.close()
    with server.database("migrated") as url:
        app = application(url, folder, Free())
        await app.open()
        steps = (10, 100) if quick else (10, 1_000, 10_000)
        await latency.crowds(app, steps, 60 if quick else 300)
        await app.close()
    with server.database("migrated") as url:
        real = bool(os.environ.get("OPENAI_API_KEY"))
        app = application(url, folder, None if real else Offline())
        await app.open()
        await retrieval.measure(app, path.name, retrieval.load(path))
        await hygiene.measure(app)
        await forgetting.measure(app)
        await app.close()


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="switchboard-bench-"))
    with serve(folder / "pg") as server:
        server.run("CREATE DATABASE migrated")
        migrate.upgrade(server.url("migrated"))
        asyncio.run(run(server, folder))


if __name__ == "__main__":
    main()
