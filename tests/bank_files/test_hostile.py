"""Files that are damaged, or made to harm: refused in words that name the line or element, in bounded memory."""

import gzip
import io
import re
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from itertools import islice
from typing import BinaryIO, cast

import msgspec
import psutil
import pytest
from openpyxl import Workbook

from billing.bank_files import camt, readers, text
from billing.bank_files.mapping import Mapping, read_table
from billing.bank_files.model import Items, Line, Unreadable
from billing.bank_files.packing import unpacked
from billing.bank_files.proofs import prove
from tests.bank_files import writers
from tests.bank_files.writers import DAY

LINES = [
    Line(
        position=number,
        day=DAY,
        value_day=DAY,
        amount_minor=amount,
        currency="EUR",
        bank_ref=f"B{number}",
        end_to_end=f"E{number}",
        text="paid",
        type_code="NTRF",
        party="P",
        party_account="A",
        gross_minor=amount,
        fee_minor=0,
    )
    for number, amount in enumerate((500, -300), start=1)
]
CAMT = writers.camt(LINES, 10_000, "EUR").decode()
MT940 = writers.mt940(LINES, 10_000, "EUR").decode()
BAI2 = writers.bai2(
    [Line(position=1, day=DAY, value_day=DAY, amount_minor=500, currency="USD", type_code="142")], 1, "USD"
).decode()
STRIPE = writers.stripe(LINES, "EUR").decode()
ALIPAY = writers.alipay(LINES).decode("gb18030")
PAYPAL = writers.paypal(LINES, "EUR").decode()


def read(content: bytes | str) -> list[str]:
    """Read a file to its end; what of it does not hold."""
    stream = unpacked(io.BytesIO(content.encode() if isinstance(content, str) else content))
    proved = prove(readers.read(stream, readers.detect(stream)))
    return [flaw for one in proved for flaw in one.flaws]


def archive(name: str, content: bytes, *more: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as files:
        for each in (name, *more):
            files.writestr(each, content)
    return packed.getvalue()


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
XXE = '<!DOCTYPE Document [<!ENTITY x SYSTEM "file:///etc/passwd">]>'

REFUSED: dict[str, tuple[bytes | str, str]] = {
    "nothing": ("", "the file is empty"),
    "no format": ("a,b\n1,2\n", "in no format that is known here"),
    "not xml": ("<Document><a></b></Document>", "line 1: is not well-formed XML"),
    "another xml": ("<Document><Nothing/></Document>", "holds no Stmt, Rpt or Ntfctn"),
    "external entity": (CAMT.replace("<Document", f"{XXE}<Document").replace(">paid<", ">&x;<", 1), "document type"),
    "billion laughs": (
        CAMT.replace("<Document", f'<!DOCTYPE d [<!ENTITY l0 "lol">{LAUGHS}]><Document').replace(">paid<", ">&l9;<", 1),
        "document type",
    ),
    "deep nesting": ("<Document>" + "<a>" * 300, "Excessive depth"),
    "cut off xml": (CAMT[:-60], "is not well-formed XML"),
    "xml not in its encoding": (CAMT.encode().replace(b">paid<", b">p\xe4id<"), "is not well-formed XML"),
    "a signed amount": (CAMT.replace(">5.00<", ">-5.00<"), "Stmt 1/Ntry 1/Amt: '-5.00' has a sign"),
    "negative zero": (CAMT.replace('Ccy="EUR">5.00<', 'Ccy="EUR">-0.00<'), "Stmt 1/Ntry 1/Amt: '-0.00' has a sign"),
    "too many decimals": (CAMT.replace('Ccy="EUR">5.00<', 'Ccy="EUR">5.001<'), "Stmt 1/Ntry 1/Amt: '5.001' has more"),
    "a decimal comma": (CAMT.replace('Ccy="EUR">5.00<', 'Ccy="EUR">5,00<'), "Stmt 1/Ntry 1/Amt: '5,00' is not a dec"),
    "an exponent": (CAMT.replace('Ccy="EUR">5.00<', 'Ccy="EUR">5e2<'), "Stmt 1/Ntry 1/Amt: '5e2' is not a decimal"),
    "other digits": (CAMT.replace('Ccy="EUR">5.00<', 'Ccy="EUR">٥<'), "Stmt 1/Ntry 1/Amt"),
    "too much": (CAMT.replace('Ccy="EUR">5.00<', f'Ccy="EUR">{10**15}<'), "larger than this platform books"),
    "no such currency": (CAMT.replace('Ccy="EUR">5.00<', 'Ccy="XXX">5.00<'), "'XXX' is not a currency"),
    "neither credit nor debit": (CAMT.replace("CRDT</CdtDbtInd><Sts", "x</CdtDbtInd><Sts"), "Stmt 1/Ntry 1/CdtDbtInd"),
    "no day": (CAMT.replace("<BookgDt><Dt>2018-09-01", "<BookgDt><Dt>2018-02-30"), "Stmt 1/Ntry 1/BookgDt"),
    "no account": (CAMT.replace(f"<IBAN>{writers.ACCOUNT}</IBAN>", "", 1), "Stmt 1/Acct/Id: names no account"),
    "a long text": (CAMT.replace(">paid<", f">{'x' * 3000}<"), "Ntry 1/text: is longer than 2,000 characters"),
    "mt940 amount": (MT940.replace("C5,00N", "C5.00N"), "line 5: :61: has no transaction type behind"),
    "mt940 day": (MT940.replace(":61:180901", ":61:180931", 1), "line 5: 180931 is no day"),
    "mt940 too long an amount": (MT940.replace("C5,00N", f"C{'1' * 16},00N"), "no transaction type"),
    "mt940 two currencies": (MT940.replace(":62F:C180901EUR", ":62F:C180901USD"), "line 9: :62F: is in USD"),
    "mt940 without account": (MT940.replace(f":25:{writers.ACCOUNT}\r\n", ""), "names no account"),
    "mt940 line before balance": (MT940.replace(":60F:", ":65:"), "stands before any :60F:"),
    "bai2 cut off": (BAI2.rpartition("\n99")[0], "ends before its trailer"),
    "bai2 wrong total": (BAI2.replace("98,", "98,1"), "line 6: the control total is"),
    "bai2 record": (BAI2.replace("16,142", "17,142"), "line 4: '17' is no record code"),
    "bai2 type code": (BAI2.replace("16,142", "16,777"), "line 4: the type code 777"),
    "stripe fields": (STRIPE.replace(",EUR", "").replace(",eur", "", 1), "line 2: has 10 fields, the header has 11"),
    "stripe float": (STRIPE.replace(",5.00,", ",5e0,", 1), "line 2: gross: '5e0'"),
    "paypal cut off": (PAYPAL.rpartition("FF")[0], "ends before its footer"),
    "paypal float": (PAYPAL.replace(",500,", ",5.00,", 1), "line 5: gross: '5.00' is no amount in minor units"),
    "paypal count": (PAYPAL.replace("RC,2", "RC,3"), "counts 3 lines, there are 2"),
    "a NUL": (MT940.replace("paid", "pa\0id"), "holds a NUL"),
    "a mark that lies": (b"\xef\xbb\xbf" + MT940.encode().replace(b"paid", b"p\xe4id"), "mark of UTF-8"),
    "cut off gzip": (gzip.compress(CAMT.encode())[:-20], "cannot be unpacked"),
    "gzip of nothing": (b"\x1f\x8bno gzip at all", "cannot be unpacked"),
    "zip of nothing": (b"PK\x03\x04no zip at all", "cannot be unpacked"),
    "two files in one": (archive("a.xml", CAMT.encode(), "b.xml"), "the archive holds 2 files"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_the_place_and_the_reason(name: str) -> None:
    content, reason = REFUSED[name]
    with pytest.raises(Unreadable) as refused:
        read(content)
    assert reason in refused.value.detail


FLAWED: dict[str, tuple[str, str]] = {
    "balance": (CAMT.replace(">102.00<", ">102.01<"), "statement 7 of DE89370400440532013000: opening 100.00"),
    "count": (CAMT.replace("<NbOfNtries>2<", "<NbOfNtries>3<"), "Stmt 1/TxsSummry/TtlNtries: counts 3 entries"),
    "sum": (CAMT.replace("<Sum>8.00<", "<Sum>9.00<"), "Stmt 1/TxsSummry/TtlNtries: sums to 9.00"),
    "no closing balance": (CAMT.replace("CLBD", "XXXX"), "Stmt 1: has no closing balance"),
    "twice": (MT940 * 2, "is in the file twice"),
    "mt940 cut off": (MT940.partition(":62F:")[0], "has no balance :62F:"),
    "fee": (STRIPE.replace(",0.00,5.00,", ",0.01,5.00,"), "line 2: gross 5.00 less fee 0.01 is not net 5.00 EUR"),
    "alipay sums": (re.sub("(收入合计：.笔，共)", r"\g<1>9", ALIPAY), "lines of 95.00, it has 1 of 5.00 CNY"),
    "paypal sums": (
        PAYPAL.replace("SF,EUR,500", "SF,EUR,501"),
        "gross credits in EUR are said to be 5.01, the lines make 5.00",
    ),
}


@pytest.mark.parametrize("name", FLAWED)
def test_what_does_not_hold_is_said(name: str) -> None:
    content, reason = FLAWED[name]
    flaws = read(content)
    assert any(reason in flaw for flaw in flaws), flaws


@pytest.mark.parametrize("content", [CAMT, MT940, STRIPE, PAYPAL, BAI2])
def test_these_files_are_good_but_for_what_is_spoiled_in_them(content: str) -> None:
    assert read(content) == []


class Endless(io.RawIOBase):
    """A file of a size that is made as it is read: a head, then so many bytes of the same."""

    def __init__(self, head: bytes, size: int, tail: bytes = b"") -> None:
        self.head, self.tail, self.size, self.at = head, tail, len(head) + size + len(tail), 0
        self.middle = size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.at = offset if whence == io.SEEK_SET else self.size + offset
        return self.at

    def tell(self) -> int:
        return self.at

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]  # any buffer
        left = min(len(view), self.size - self.at)
        if left and self.at < len(self.head):
            left = min(left, len(self.head) - self.at)
            view[:left] = self.head[self.at : self.at + left]
        elif left and self.at < len(self.head) + self.middle:
            left = min(left, len(self.head) + self.middle - self.at)
            view[:left] = b"x" * left
        elif left:
            start = self.at - len(self.head) - self.middle
            view[:left] = self.tail[start : start + left]
        self.at += left
        return left


def endless(head: bytes, size: int, tail: bytes = b"") -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(Endless(head, size, tail)))


def peak_mib(deed: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        deed()
        return tracemalloc.get_traced_memory()[1] // 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("head", [b":20:x\n:25:A\n:61:", b"\xef\xbb\xbf01,a"])
def test_a_line_of_a_hundred_megabytes_is_refused_before_it_is_held(head: bytes) -> None:
    def deed() -> None:
        stream = endless(head, 100 * 2**20)
        with pytest.raises(Unreadable, match=r"is longer than 200,000 characters"):
            list(readers.read(stream, readers.detect(stream)))

    assert peak_mib(deed) < 20


def test_an_element_of_a_hundred_megabytes_is_refused() -> None:
    head, _, tail = CAMT.partition("<Ustrd>paid")
    stream = endless(f"{head}<Ustrd>".encode(), 100 * 2**20, tail.encode())
    with pytest.raises(Unreadable, match="is not well-formed XML"):
        list(readers.read(stream, readers.detect(stream)))


def test_a_document_of_nothing_we_know_is_not_held() -> None:
    stream = io.BytesIO(b"<Document>" + b"<a/>" * 2**24)
    with pytest.raises(Unreadable, match="bytes without an entry or a balance"):
        list(camt.read(stream))


def test_a_bomb_is_stopped_while_it_unpacks() -> None:
    bomb = gzip.compress(b"\0" * 60 * 2**20)

    def deed() -> None:
        with pytest.raises(Unreadable, match="becomes more than"):
            read(bomb)

    assert len(bomb) < 2**19
    assert peak_mib(deed) < 30
    with pytest.raises(Unreadable, match="becomes more than"):
        read(archive("statement.sta", b"\0" * 60 * 2**20))


TABLE = Mapping(account="till", currency="EUR", day="Day", amount="Amount")


def workbook(rows: list[tuple[object, ...]]) -> bytes:
    book, written = Workbook(write_only=True), io.BytesIO()
    sheet = book.create_sheet()
    for row in rows:
        sheet.append(row)
    book.save(written)
    return written.getvalue()


def respoiled(content: bytes, member: str, change: Callable[[bytes], bytes]) -> io.BytesIO:
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            part = old.read(info)
            new.writestr(info.filename, change(part) if info.filename == member else part)
    changed.seek(0)
    return changed


def test_hostile_workbooks() -> None:
    good = workbook([("Day", "Amount"), (DAY, 12.5)])
    sheet = "xl/worksheets/sheet1.xml"
    dtd = respoiled(good, sheet, lambda part: b'<!DOCTYPE x [<!ENTITY a "b">]>' + part)
    with pytest.raises(Unreadable, match="declares a document type"):
        list(read_table(dtd, TABLE))
    bomb = respoiled(good, sheet, lambda part: part + b" " * 2**28)
    with pytest.raises(Unreadable, match="becomes more than"):
        list(read_table(bomb, TABLE))
    torn = respoiled(good, sheet, lambda part: part[:-100])
    with pytest.raises(Unreadable, match="the workbook cannot be read"):
        list(read_table(torn, TABLE))


def entries(count: int) -> Iterator[bytes]:
    head, _, rest = CAMT.partition("<Ntry>")
    entry, tail = "<Ntry>" + rest.partition("</Ntry>")[0] + "</Ntry>", "</Stmt></BkToCstmrStmt></Document>"
    yield head.encode()
    for _ in range(count):
        yield entry.encode()
    yield tail.encode()


def test_memory_does_not_grow_with_the_number_of_entries() -> None:
    """The tree of these 20,000 entries alone would take ten times as much as is allowed here."""
    stream = io.BytesIO(b"".join(entries(20_000)))
    process = psutil.Process()
    items = camt.read(stream)
    assert sum(1 for _ in islice(items, 1_000)) == 1_000
    before = process.memory_info().rss
    assert sum(isinstance(item, Line) for item in items) == 19_000
    assert process.memory_info().rss - before < 20 * 2**20


class Repeated(io.RawIOBase):
    """A file that is made as it is read: a head, the same piece so many times, a tail."""

    def __init__(self, head: bytes, piece: bytes, times: int, tail: bytes) -> None:
        self.head, self.piece, self.tail = head, piece, tail
        self.middle, self.at = len(piece) * times, 0
        self.size = len(head) + self.middle + len(tail)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.at = offset if whence == io.SEEK_SET else self.size + offset
        return self.at

    def tell(self) -> int:
        return self.at

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]  # any buffer
        at, behind = self.at - len(self.head), self.at - len(self.head) - self.middle
        if at < 0:
            part = self.head[self.at :]
        elif behind < 0:
            part = self.piece[at % len(self.piece) :]
        else:
            part = self.tail[behind:]
        count = min(len(view), len(part))
        view[:count] = part[:count]
        self.at += count
        return count


TEXT = "x" * 1_900
HUGE = 200 * 2**20


def huge_camt() -> tuple[bytes, bytes, bytes]:
    head, entry, tail = b"".join(entries(0)), next(islice(entries(1), 1, 2)), b"</Stmt></BkToCstmrStmt></Document>"
    return head.removesuffix(tail), entry.replace(b">paid<", f">{TEXT}<".encode()), tail


def huge_table() -> tuple[bytes, bytes, bytes]:
    return b"Day,Amount,Words\n", f"2018-09-01,5.00,{TEXT}\n".encode(), b""


@pytest.mark.parametrize(("huge", "reader"), [
    (huge_camt, camt.read),
    (huge_table, lambda stream: read_table(stream, msgspec.structs.replace(TABLE, text="Words"))),
])  # fmt: skip
def test_two_hundred_megabytes_are_read_in_bounded_memory(
    huge: Callable[[], tuple[bytes, bytes, bytes]], reader: Callable[[BinaryIO], Items]
) -> None:
    """Every line of it, as it comes; a file that ends in the middle says so at its end, and held no more either."""
    head, piece, tail = huge()
    times = HUGE // len(piece) + 1
    process = psutil.Process()
    before, most, lines = process.memory_info().rss, 0, 0
    stream = cast("BinaryIO", io.BufferedReader(Repeated(head, piece, times, tail), 2**20))
    for number, each in enumerate(reader(stream)):
        lines += isinstance(each, Line)
        if number % 5_000 == 0:
            most = max(most, process.memory_info().rss)
    assert lines == times
    assert most - before < 64 * 2**20


def test_the_encoding_is_told_by_the_whole_file() -> None:
    late = b"plain\n" * 100_000
    for encoding, told in (("utf-8", "utf-8-sig"), ("latin-1", "latin-1")):
        assert text.encoding_of(io.BytesIO(late + "Müller größer".encode(encoding))) == told
    assert text.encoding_of(io.BytesIO(late + "云膳过桥米线".encode("gb18030"))) == "gb18030"
