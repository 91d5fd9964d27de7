"""Take in what lies in a folder: files of banks and processors that some other program puts there.

A file in a folder of its own is read by the mapping of that folder's name. What is taken in goes to `done`, what is not
to `failed`. Files must be moved in whole; a name that begins with a dot or ends with `.part` is left alone.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from billing.bank_files.model import BankFileState
from marketplace.core.db import Database, is_lost
from marketplace.core.errors import AppError
from marketplace.flows.bank.import_bank_file import import_bank_file

DONE, FAILED = "done", "failed"

log = structlog.get_logger(__name__)


async def take_bank_folder(db: Database, actor: str, folder: Path, *, processor: str) -> int:
    """Take in every file of the folder; returns how many it tried. Several may do so at once: each is taken in once.

    A file that cannot be dealt with stays where it is, for the next time, and holds up no other.
    """
    waiting = await asyncio.to_thread(_waiting, folder)
    for path in waiting:
        try:
            await _take(db, actor, folder, path, processor)
        except Exception as fault:
            if not isinstance(fault, OSError) and is_lost(fault):
                raise
            log.exception("bank file not taken in", file=path.name)
    return len(waiting)


def _waiting(folder: Path) -> Sequence[Path]:
    if not folder.is_dir():
        log.warning("there is no such folder of bank files", folder=str(folder))
        return []
    inside = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name not in {DONE, FAILED}]
    found = [path for one in (folder, *inside) for path in sorted(one.iterdir())]
    return [path for path in found if path.is_file() and not path.name.startswith(".") and path.suffix != ".part"]


async def _take(db: Database, actor: str, folder: Path, path: Path, processor: str) -> None:
    mapping = None if path.parent == folder else path.parent.name
    try:
        with path.open("rb") as stream:
            read = await import_bank_file(db, actor, path.name, stream, processor=processor, mapping=mapping)
    except FileNotFoundError:  # another worker has moved it
        return
    except AppError as refusal:
        log.warning("bank file refused", file=path.name, reason=refusal.detail)
        await asyncio.to_thread(_move, path, folder / FAILED, path.name)
        return
    done = read.state is BankFileState.READ
    told = {"state": read.state.value, "new_lines": read.new_lines, "again": read.again}
    log.info("bank file", file=path.name, file_id=read.file_id, **told)
    await asyncio.to_thread(_move, path, folder / (DONE if done else FAILED), f"{read.file_id}-{path.name}")


def _move(path: Path, folder: Path, name: str) -> None:
    """Move a file unless somebody else has; none is written over."""
    folder.mkdir(exist_ok=True)
    number = 1
    while (folder / name).exists():
        number, name = number + 1, f"{number}-{name}"
    with suppress(FileNotFoundError):
        path.rename(folder / name)
