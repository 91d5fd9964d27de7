"""Bad input on the command line: one JSON object that says what is wrong, exit status 1, and nothing stored."""

import asyncio
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import insert, make_url

from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.tables import app_user
from marketplace.flows.books.roll_ledger import roll_ledger
from tests.billing.commands import Run, command_line
from tests.billing.contents import contents
from tests.billing.market import MAKER, MAY, order, prepare
from tests.conftest import NOW, connect, copy_template

FILES = {
    "not.toml": "[[contract",
    "wrong.toml": "[[promotion]]\nname = 'x'",
    "float.toml": "[[contract]]\nname = 'c'\ncurrency = 'EUR'\nvalid_from = 2018-01-01\nrate_ppm = 0.12",
    "text.toml": "[[contract]]\nname = 'c'\ncurrency = 'EUR'\nvalid_from = 2018-01-01\nrate_ppm = '100'",
    "currency.toml": "[[contract]]\nname = 'c'\ncurrency = 'XXX'\nvalid_from = 2018-01-01\nrate_ppm = 1",
    "negative.toml": "[[contract]]\nname = 'c'\ncurrency = 'EUR'\nvalid_from = 2018-01-01\nrate_ppm = 1\nmin_minor=-1",
    "gap.toml": (
        "[[contract]]\nname = 'c'\ncurrency = 'EUR'\nvalid_from = 2018-01-01\n"
        "tiers = [{ from_minor = 5, rate_ppm = 1 }]"
    ),
    "overlap.toml": "[[contract]]\nname = 'flat'\ncurrency = 'EUR'\nvalid_from = 2018-02-01\nrate_ppm = 1",
    "used.toml": "[[contract]]\nname = 'flat'\ncurrency = 'EUR'\nvalid_from = 2018-01-01\nrate_ppm = 7",
}
INVALID, NOT_FOUND, CONFLICT, FORBIDDEN = "invalid-input", "not-found", "conflict", "forbidden"
OUT = ("--output", "FOLDER/out.csv")

REFUSED: list[tuple[tuple[str, ...], str, str]] = [
    (("apply", "FOLDER/none.toml"), INVALID, "none.toml: No such file"),
    (("apply", "FOLDER"), INVALID, "Is a directory"),
    (("apply", "FOLDER/not.toml"), INVALID, "not a TOML document"),
    (("apply", "FOLDER/wrong.toml"), INVALID, "promotion: unknown table"),
    (("apply", "FOLDER/float.toml"), INVALID, "contract[0].rate_ppm"),
    (("apply", "FOLDER/text.toml"), INVALID, "contract[0].rate_ppm"),
    (("apply", "FOLDER/currency.toml"), INVALID, "contract[0].currency: 'XXX'"),
    (("apply", "FOLDER/negative.toml"), INVALID, "contract[0].min_minor: -1"),
    (("apply", "FOLDER/gap.toml"), INVALID, "contract[0].tiers: gap"),
    (("apply", "FOLDER/overlap.toml"), INVALID, "'flat': the version from 2018-02-01 overlaps"),
    (("apply", "FOLDER/gap.toml", "--as", "nobody"), FORBIDDEN, "no active user 'nobody'"),
    (("apply", "FOLDER/gap.toml", "--as", "clerk"), FORBIDDEN, "'clerk' is accountant; this needs one of controller"),
    *[
        (("settle", "--through", day), INVALID, f"--through: {day!r} is not a date written YYYY-MM-DD")
        for day in ("2018-02-30", "tomorrow", "20180531", "2018-W22-4", "31.05.2018", "2018-5-31", "")
    ],
    (("settle", "--through", "2018-05-31", "--as", "gone"), FORBIDDEN, "no active user 'gone'"),
    *[
        (("billing", "run", "--period", period), INVALID, f"period: {period!r} is not a month written YYYY-MM")
        for period in ("2018-13", "2018-5", "May", "2018-05-01", "9999-12", "")
    ],
    (("billing", "run", "--period", "2018-05", "--payout-on", "soon"), INVALID, "--payout-on: 'soon'"),
    (("billing", "run", "--period", "2018-05", "--entity", "9"), NOT_FOUND, "legal entity"),
    (("billing", "run", "--period", "2018-05", "--as", "ops"), FORBIDDEN, "'ops' is ops"),
    *[(("billing", step, "77"), NOT_FOUND, "no billing run 77") for step in ("approve", "finalise", "reverse")],
    (("billing", "reverse", "77", "--as", "clerk"), FORBIDDEN, "needs one of controller"),
    (("export", "statements", "--period", "2018-05", *OUT), NOT_FOUND, "2018-05 has no billing run"),
    (("export", "statements", "--period", "2018-99", *OUT), INVALID, "'2018-99' is not a month"),
    (("export", "orders", "--period", "2018", *OUT), INVALID, "'2018' is not a month"),
    *[
        (("export", *what, "--output", output), INVALID, f"--output: {reason}")
        for what in (("orders", "--period", "2018-05"), ("journal", "--format", "beancount"))
        for output, reason in (
            ("FOLDER/missing/out.csv", "FOLDER/missing is no folder"),
            ("FOLDER/taken", "FOLDER/taken is no ordinary file"),
            ("FOLDER/" + "x" * 250, "FOLDER/" + "x" * 250 + " cannot be written: File name too long"),
        )
    ],
]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    with command_line() as started:
        yield started


@pytest.fixture(scope="module")
def database(maintenance_url: str) -> Iterator[str]:
    """A market with orders to settle and a contract; a clerk, someone of ops, and someone who has left."""
    url = asyncio.run(_make(maintenance_url))
    yield url
    asyncio.run(_drop(maintenance_url, url))


async def _make(maintenance_url: str) -> str:
    url = await copy_template(maintenance_url)
    db = Database(url, FixedClock(NOW), pool_size=1)
    await db.write(WORKER, MAKER, prepare, [order(1, 1, date(2018, 5, 3)), order(2, 2, date(2018, 5, 4))])
    await roll_ledger(db, MAKER)  # the roll-up is a cache that a refused command may have brought up to date
    users = [("clerk", ["accountant"], True), ("ops", ["ops"], True), ("gone", ["admin"], False)]
    for number, (login, roles, active) in enumerate(users):
        row = {"user_id": number, "login": login, "name": login, "roles": roles, "active": active, "created_at": NOW}
        await db.write(WORKER, "test", Tx.execute, insert(app_user), row)
    await db.close()
    return url


async def _drop(maintenance_url: str, url: str) -> None:
    connection = await connect(maintenance_url)
    await connection.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")
    await connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "taken").mkdir()
    return tmp_path


def test_each_is_refused_in_one_object_and_nothing_is_stored(run: Run, database: str, folder: Path) -> None:
    before = asyncio.run(contents(database))
    for arguments, code, reason in REFUSED:
        answer = run(*(argument.replace("FOLDER", str(folder)) for argument in arguments), database=database)
        assert answer.refusal.startswith(f"{code}: "), arguments
        assert reason.replace("FOLDER", str(folder)) in answer.refusal, arguments
        assert "Traceback" not in answer.err, arguments
        assert {path.name for path in folder.iterdir()} == {*FILES, "taken"}, arguments
        assert list((folder / "taken").iterdir()) == [], arguments
    assert asyncio.run(contents(database)) == before


def test_steps_out_of_turn_are_refused_and_change_nothing(run: Run, database: str, folder: Path) -> None:
    """The month up to its end, with what may not happen at each stage tried in between."""
    out = str(folder / "out.csv")
    statements = ("export", "statements", "--period", MAY.name, "--output", out)
    contract = ("apply", str(folder / "used.toml"))

    def refused(*arguments: str, because: str) -> None:
        before = asyncio.run(contents(database))
        answer = run(*arguments, database=database)
        assert because in answer.refusal
        assert answer.refusal.startswith(f"{CONFLICT}: ")
        assert asyncio.run(contents(database)) == before
        assert not Path(out).exists()

    def done(*arguments: str) -> None:
        answer = run(*arguments, database=database)
        assert answer.status == 0, answer

    done("settle", "--through", "2018-05-31")
    refused(*contract, because="'flat' from 2018-01-01: orders were sold or rated under it")
    done("billing", "run", "--period", MAY.name)
    refused("billing", "finalise", "1", because="run 1 is previewed")
    refused("billing", "reverse", "1", because="run 1 is previewed")
    refused(
        "billing", "run", "--period", "2018-06", because="run 1 of 2018-05 is previewed: finalise or abort it first"
    )
    refused(*statements, because="run 1 of 2018-05 is previewed; statements are exported once it is final")
    done("billing", "approve", "1")
    refused("billing", "approve", "1", because="run 1 is approved")
    done("billing", "finalise", "1")
    refused("billing", "run", "--period", "2018-07", because="the next one begins on 2018-06-01, as 2018-07 does not")
    refused("billing", "run", "--period", "2018-04", because="as 2018-04 does not")
    done(*statements)
    assert Path(out).read_text().count("\n") == 3
