"""Runs the real command line in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec


class Answer(msgspec.Struct, frozen=True):
    status: int
    value: Any
    log: list[dict[str, Any]]

    @property
    def refusal(self) -> str:
        return f"{self.value['error']['code']}: {self.value['error']['detail']}"


def environment(home: Path, **settings: str) -> dict[str, str]:
    """This process's environment without its own marketplace settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MARKETPLACE_")}
    return kept | {"MARKETPLACE_HOME": str(home)} | settings


def marketplace(*arguments: str, home: Path, stdin: str = "", **settings: str) -> Answer:
    """`marketplace … --json`: its exit status, the one JSON object it printed, and its log lines."""
    ran = subprocess.run(
        [sys.executable, "-m", "marketplace", *arguments, "--json"],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment(home, **settings),
    )
    lines = ran.stdout.splitlines()
    assert len(lines) == 1, ran.stdout + ran.stderr
    return Answer(ran.returncode, json.loads(lines[0]), [json.loads(line) for line in ran.stderr.splitlines()])


def printed(*arguments: str, home: Path, **settings: str) -> str:
    """What `marketplace …` prints to a person."""
    return subprocess.run(
        [sys.executable, "-m", "marketplace", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env=environment(home, COLUMNS="200", **settings),
    ).stdout
