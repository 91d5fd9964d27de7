"""Whatever becomes of a file on its way, it is read or refused: no reader fails in another way."""

import io
from random import Random

import pytest

from billing.bank_files import readers
from billing.bank_files.model import Unreadable
from billing.bank_files.packing import unpacked
from billing.bank_files.proofs import prove
from tests.bank_files import writers
from tests.bank_files.test_hostile import BAI2, CAMT, LINES, MT940, PAYPAL, STRIPE

FILES = {
    "camt": CAMT.encode(),
    "mt940": MT940.encode(),
    "mt942": b":20:i\n:25:DE00\n:28C:1/1\n:34F:EUR0,\n:61:1809010901C5,00NTRFA//B\n:86:/NAME/y\n:90C:1EUR5,00\n-\n",
    "bai2": BAI2.encode(),
    "stripe": STRIPE.encode(),
    "adyen": writers.adyen(LINES, "EUR"),
    "paypal": PAYPAL.encode(),
    "alipay": writers.alipay(LINES),
    "wechat": writers.wechat(LINES),
}
_BITS = (
    b"",
    b"0",
    b"-",
    b",",
    b"\n",
    b'"',
    b"9" * 30,
    b"/",
    b":61:",
    b":",
    b"\xff",
    b"\xe9",
    b"<x>",
    b"+",
    b".",
    b"EUR",
    b"`",
)


def mutated(content: bytes, rng: Random) -> bytes:
    for _ in range(rng.randint(1, 4)):
        at, upto = rng.randrange(len(content)), rng.choice((0, 1, 1, 2, 5, 40))
        content = content[:at] + rng.choice(_BITS) + content[at + upto :]
    return content


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_changed_is_read_or_refused(name: str) -> None:
    rng = Random(name)
    refused = 0
    for _ in range(400):
        stream = unpacked(io.BytesIO(mutated(FILES[name], rng)))
        try:
            list(prove(readers.read(stream, readers.detect(stream))))
        except Unreadable:
            refused += 1
    assert 0 < refused < 400
