"""Which format a file is in, and its reader. Pure."""

from collections.abc import Callable
from enum import StrEnum
from itertools import islice
from typing import BinaryIO

from billing.bank_files import bai2, camt, chinese, mt940, processors
from billing.bank_files.mapping import Mapping, read_table
from billing.bank_files.model import Items, Unreadable
from billing.bank_files.text import Numbered, lines, rows
from billing.bank_files.workbook import is_workbook
from billing.payments import settlement_file

_HEAD_LINES = 100


class Format(StrEnum):
    CAMT = "camt"
    MT940 = "mt940"
    BAI2 = "bai2"
    STRIPE = "stripe"
    ADYEN = "adyen"
    PAYPAL = "paypal"
    CHINESE = "alipay_wechat"
    SETTLEMENT = "settlement"
    TABLE = "table"


_READERS: dict[Format, Callable[[BinaryIO], Items]] = {
    Format.CAMT: camt.read,
    Format.MT940: mt940.read,
    Format.BAI2: bai2.read,
    Format.STRIPE: processors.read_stripe,
    Format.ADYEN: processors.read_adyen,
    Format.PAYPAL: processors.read_paypal,
    Format.CHINESE: chinese.read,
}


def detect(stream: BinaryIO) -> Format:
    """The format of an unpacked file, by how it begins. Raises Unreadable when it is none that is known."""
    stream.seek(0)
    begins = stream.read(2**10)
    if not begins:
        raise Unreadable("the file is empty")
    if begins.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<") or begins[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return Format.CAMT
    found = None if is_workbook(stream) else _of_text(list(islice(lines(stream), _HEAD_LINES)))
    if found is None:
        raise Unreadable("the file is in no format that is known here; name a mapping of its columns")
    return found


def _of_text(head: list[Numbered]) -> Format | None:
    first = next((line.text for line in head if line.text.strip()), "")
    if any(line.text.startswith(":20:") for line in head):
        return Format.MT940
    if first.startswith("01,"):
        return Format.BAI2
    if first.replace('"', "").startswith("RH,"):
        return Format.PAYPAL
    return _of_table([row.cells for row in rows(head)])


def _of_table(table: list[list[str]]) -> Format | None:
    columns = set(next(iter(table), []))
    if columns == set(settlement_file.COLUMNS):
        return Format.SETTLEMENT
    if any(columns >= known for known in processors.STRIPE):
        return Format.STRIPE
    if columns >= processors.STRIPE_MEMBERS:
        raise Unreadable(
            "the file says which payout pays a transaction out, and no amount; bring the balance transactions,"
            " which say it, too"
        )
    if columns >= processors.ADYEN:
        return Format.ADYEN
    return Format.CHINESE if any(map(chinese.is_header, table)) else None


def read(stream: BinaryIO, file_format: Format, mapping: Mapping | None = None) -> Items:
    """The lines and statements of an unpacked file. Raises Unreadable naming line or element."""
    stream.seek(0)
    return read_table(stream, mapping) if mapping is not None else _READERS[file_format](stream)
