"""The real command line in processes of its own, forked from one that has imported it: a command costs no start-up.

    with command_line() as run:
        run("settle", "--through", "2018-05-31", database=url)

A child is the program as `marketplace …` runs it, with its own environment, and may be killed by SIGKILL.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NoReturn

import msgspec

_NOW = "2018-09-03T12:00:00+00:00"
_ROOT = Path(__file__).parents[2]
_MODULES = ("billing", "export", "data", "payouts", "promotion")
_SMALL = {
    "marketplace.flows.commission.settle_orders.PARTS_PER_BUCKET": 2,
    "marketplace.flows.runs.draft_run.ENTRIES_PER_BUCKET": 3,
    "marketplace.flows.books.roll_ledger.ENTRIES_PER_STEP": 3,
    "marketplace.flows.payments.import_processor_file.PART_LINES": 2,
    "marketplace.flows.bank.import_bank_file.BATCH_LINES": 2,
    "marketplace.flows.bank.import_bank_file.PART_BYTES": 200,
}
"""Buckets so small that a small market has several of each kind."""


class Answer(msgspec.Struct, frozen=True):
    """How a command ended: its exit status (negative: killed by that signal) and what it printed."""

    status: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """The one JSON object on standard output."""
        assert self.out.count("\n") == 1, self.out + self.err
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value

    @property
    def refusal(self) -> str:
        """The reason of a command that was refused with exit status 1."""
        assert self.status == 1, self
        return f"{self.value['error']['code']}: {self.value['error']['detail']}"


Run = Callable[..., Answer]


@contextmanager
def command_line(*, small_buckets: bool = False) -> Iterator[Run]:
    """Calls `marketplace ARGUMENTS --json` as the user operator; `env` adds to the environment of that process."""
    command = [sys.executable, "-m", "tests.billing.commands", *(["small"] if small_buckets else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT) as server:
        assert server.stdin
        assert server.stdout

        def run(*arguments: str, database: str, **env: str) -> Answer:
            assert server.stdin
            assert server.stdout
            settings = {
                "MARKETPLACE_DATABASE_URL": database, "MARKETPLACE_USER": "operator", "MARKETPLACE_CLOCK_AT": _NOW,
            }  # fmt: skip
            order = {"arguments": [*arguments, "--json"], "env": settings | env}
            server.stdin.write(json.dumps(order).encode() + b"\n")
            server.stdin.flush()
            return msgspec.json.decode(server.stdout.readline(), type=Answer)

        yield run
        server.stdin.close()


def _serve(constants: dict[str, int]) -> None:
    """Read orders, fork a child for each, and tell how it ended."""
    cli = import_module("marketplace.cli")
    for module in _MODULES:
        import_module(f"marketplace.cli.{module}")
    for name, value in constants.items():
        module, _, constant = name.rpartition(".")
        assert isinstance(getattr(import_module(module), constant), int)
        setattr(import_module(module), constant, value)
    for line in sys.stdin:
        order = json.loads(line)
        with TemporaryFile() as out, TemporaryFile() as err:
            child = os.fork()
            if child == 0:
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                os.environ.update(order["env"])
                sys.argv = ["marketplace", *order["arguments"]]
                _end_with(cli.main)
            _, ended = os.waitpid(child, 0)
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode())
            answer = Answer(os.waitstatus_to_exitcode(ended), *texts)
            sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
            sys.stdout.flush()


def _end_with(main: Callable[[], None]) -> NoReturn:
    """Run the program and leave: what the process has imported is taken apart by nobody, which took as long again."""
    try:
        main()
    except SystemExit as ended:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended.code if isinstance(ended.code, int) else 98)  # ours always end with a number
    os._exit(99)  # main always exits by itself


if __name__ == "__main__":
    _serve(_SMALL if sys.argv[1:] == ["small"] else {})
