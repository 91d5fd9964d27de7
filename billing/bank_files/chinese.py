"""Bills of Alipay and WeChat Pay: a preamble, a table whose cells may be marked by a backtick, totals behind. Pure.

What merchants get (fund and trade bills) and what the apps export to anybody. All amounts are in yuan; the totals that
a bill states, before or behind its table, are compared with its lines.
"""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import BinaryIO

import msgspec

from billing.bank_files.model import Items, Kind, Line, Statement, Unreadable
from billing.bank_files.text import Row, amount, day, lines, named, rows, short
from marketplace.core.money import text_from_minor

CURRENCY = "CNY"
PREAMBLE_ROWS_MAX = 60

_ACCOUNT = re.compile(r"(?:账号|支付宝账户|微信昵称)[:：]\s*\[?([^\],，]*)\]?")
_STATED = re.compile(r"(收入|支出|交易|退款)(?:合计)?[:：]\s*(\d+)笔\D*?(-?[\d.]+)元")
_COUNTED = re.compile(r"共(\d+)笔记录")
_BEHIND = ("#", "-", "总", "资金流水总笔数")
"""How the first row behind the lines begins."""
_SIGNS = {"收入": 1, "支出": -1}
Sums = dict[str, list[int]]
"""Number and amount by what the bill calls it."""


class _Bill(msgspec.Struct, frozen=True):
    """A kind of bill: the columns it is known by, and how a row is read."""

    provider: str
    columns: frozenset[str]
    read: Callable[[str, Row, dict[str, str], Sums], Line]


def read(stream: BinaryIO) -> Items:
    """The lines of a bill and its statement. Raises Unreadable naming the line."""
    body = _plain(rows(lines(stream)))
    told: list[str] = []
    bill, header = _header(body, told)
    counted: Sums = {}
    behind: list[Row] = []
    account = ""
    for row in body:
        if behind or row.cells[0].startswith(_BEHIND):
            behind.append(row)
            continue
        cells = named(row, header)
        account = account or cells.get("商户号", "")
        yield bill.read(f"line {row.number}", row, cells, counted)
    texts = told + [",".join(row.cells) for row in behind]
    named_account = next((found[1].strip() for text in texts if (found := _ACCOUNT.search(text))), account)
    yield Statement(
        kind=Kind.PROCESSOR,
        account=short("account", f"{bill.provider}:{named_account}" if named_account else bill.provider),
        currency=CURRENCY,
        flaws=(*_wrong_words(texts, counted), *_wrong_table(behind, counted)),
    )


def is_header(cells: list[str]) -> bool:
    """Whether a row names the columns of a bill that is known here."""
    return any(bill.columns <= set(map(_column, cells)) for bill in _BILLS)


def _plain(body: Iterator[Row]) -> Iterator[Row]:
    for row in body:
        yield Row(row.number, [cell.removeprefix("`").strip() for cell in row.cells])


def _column(cell: str) -> str:
    return cell.replace("（", "(").replace("）", ")").strip()


def _header(body: Iterator[Row], told: list[str]) -> tuple[_Bill, list[str]]:
    for row in body:
        names = [_column(cell) for cell in row.cells]
        for bill in _BILLS:
            if bill.columns <= set(names):
                return bill, names
        told.append(",".join(row.cells))
        if len(told) > PREAMBLE_ROWS_MAX:
            break
    raise Unreadable("the file has no header of a bill that is known here")


def _count(sums: Sums, name: str, minor: int) -> None:
    found = sums.setdefault(name, [0, 0])
    found[0] += 1
    found[1] += minor


def _minor(place: str, name: str, cells: dict[str, str]) -> int:
    return amount(f"{place}: {name}", cells.get(name) or "0", CURRENCY)


def _none(text: str) -> str:
    return "" if text == "/" else text


def _alipay_fund(place: str, row: Row, cells: dict[str, str], sums: Sums) -> Line:
    income, expense = _minor(place, "收入金额(+元)", cells), abs(_minor(place, "支出金额(-元)", cells))
    if income:
        _count(sums, "收入", income)
    if expense:
        _count(sums, "支出", expense)
    return Line(
        position=row.number,
        day=day(f"{place}: 发生时间", cells["发生时间"].replace("/", "-")),
        amount_minor=income - expense,
        currency=CURRENCY,
        bank_ref=short(place, cells["账务流水号"]),
        end_to_end=short(place, cells.get("商户订单号", "")),
        party_account=short(place, cells.get("对方账号", "")),
        text=short(place, cells.get("商品名称") or cells.get("备注", "")),
        type_code=short(place, cells.get("业务类型", "")),
    )


def _alipay_trade(place: str, row: Row, cells: dict[str, str], sums: Sums) -> Line:
    received, fee = _minor(place, "商家实收(元)", cells), abs(_minor(place, "服务费(元)", cells))
    refund = bool(cells.get("退款批次号/请求号")) or received < 0
    _count(sums, "退款" if refund else "交易", received)
    fee = -fee if refund else fee
    return Line(
        position=row.number,
        day=day(f"{place}: 完成时间", cells["完成时间"].replace("/", "-")),
        amount_minor=received - fee,
        currency=CURRENCY,
        gross_minor=received,
        fee_minor=fee,
        bank_ref=short(place, cells.get("退款批次号/请求号") or cells["支付宝交易号"]),
        end_to_end=short(place, cells.get("商户订单号", "")),
        party_account=short(place, cells.get("对方账户", "")),
        text=short(place, cells.get("商品名称", "")),
        type_code=short(place, cells.get("业务类型", "")),
    )


def _wechat_trade(place: str, row: Row, cells: dict[str, str], sums: Sums) -> Line:
    refund = cells["交易状态"] == "REFUND"
    due_name = "应结订单金额" if "应结订单金额" in cells else "总金额"
    due, returned, fee = (_minor(place, name, cells) for name in (due_name, "退款金额", "手续费"))
    for name, minor in (("应结", due), ("退款", returned), ("手续费", fee)):
        _count(sums, name, minor)
    gross = -returned if refund else due
    return Line(
        position=row.number,
        day=day(f"{place}: 交易时间", cells["交易时间"]),
        amount_minor=gross - fee,
        currency=cells.get("货币种类") or CURRENCY,
        gross_minor=gross,
        fee_minor=fee,
        bank_ref=short(place, cells.get("微信退款单号", "") if refund else cells["微信订单号"]),
        end_to_end=short(place, cells.get("商户退款单号", "") if refund else cells["商户订单号"]),
        party_account=short(place, cells.get("用户标识", "")),
        text=short(place, cells.get("商品名称", "")),
        type_code=short(place, cells["交易状态"]),
    )


def _wechat_fund(place: str, row: Row, cells: dict[str, str], sums: Sums) -> Line:
    sign = _SIGNS.get(cells["收支类型"])
    if sign is None:
        raise Unreadable(f"{place}: 收支类型: {cells['收支类型'][:20]!r} is neither 收入 nor 支出")
    minor = _minor(place, "收支金额(元)", cells)
    _count(sums, cells["收支类型"], minor)
    return Line(
        position=row.number,
        day=day(f"{place}: 记账时间", cells["记账时间"]),
        amount_minor=sign * minor,
        currency=CURRENCY,
        bank_ref=short(place, cells["资金流水单号"]),
        end_to_end=short(place, cells.get("业务凭证号", "")),
        batch_ref=short(place, cells.get("微信支付业务单号", "")),
        text=short(place, cells.get("备注", "")),
        type_code=short(place, cells.get("业务类型", "")),
    )


def _app(place: str, row: Row, cells: dict[str, str], sums: Sums) -> Line:
    """What either app exports: what is neither income nor expense moves between own accounts and is not booked."""
    direction = cells["收/支"]
    minor = _minor(place, "金额(元)" if "金额(元)" in cells else "金额", cells)
    _count(sums, direction if direction in _SIGNS else "中性", minor)
    return Line(
        position=row.number,
        day=day(f"{place}: 交易时间", cells["交易时间"]),
        amount_minor=_SIGNS.get(direction, 1) * minor,
        currency=CURRENCY,
        bank_ref=short(place, _none(cells.get("交易订单号") or cells.get("交易单号", ""))),
        end_to_end=short(place, _none(cells.get("商家订单号") or cells.get("商户单号", ""))),
        party=short(place, _none(cells.get("交易对方", ""))),
        party_account=short(place, _none(cells.get("对方账号", ""))),
        text=short(place, _none(cells.get("商品说明") or cells.get("商品", ""))),
        type_code=short(place, cells.get("交易分类") or cells.get("交易类型", "")),
        booked=direction in _SIGNS,
    )


def _wrong_words(texts: list[str], counted: Sums) -> Iterator[str]:
    """What totals in words say otherwise, such as `收入合计：1笔，共1.00元`."""
    for text in texts:
        if found := _COUNTED.search(text):
            lines_found = sum(number for number, _ in counted.values())
            if int(found[1]) != lines_found:
                yield f"the bill says {found[1]} lines (共{found[1]}笔记录), it has {lines_found}"
        for name, number, total in _STATED.findall(text):
            is_so, minor = counted.get(name, [0, 0])
            stated = amount(f"total {name}", total, CURRENCY)
            if int(number) != is_so or abs(stated) != abs(minor):
                made = f"{is_so} of {text_from_minor(minor, CURRENCY)} {CURRENCY}"
                yield f"{name}: the bill says {number} lines of {total}, it has {made}"


_TOTALS = {
    "应结订单总金额": ("应结", 1), "总交易额": ("应结", 1), "退款总金额": ("退款", 1), "总退款金额": ("退款", 1),
    "手续费总金额": ("手续费", 1), "总交易单数": ("应结", 0), "收入笔数": ("收入", 0), "收入金额": ("收入", 1),
    "支出笔数": ("支出", 0), "支出金额": ("支出", 1),
}  # fmt: skip
"""What the table of totals behind a WeChat bill is about: the sum, and whether its number or its amount."""


def _wrong_table(behind: list[Row], counted: Sums) -> Iterator[str]:
    """What the table of totals behind a bill says otherwise."""
    for names, values in pairwise(behind):
        for name, value in zip(names.cells, values.cells, strict=False):
            if _column(name) not in _TOTALS:
                continue
            of, which = _TOTALS[_column(name)]
            found = counted.get(of, [0, 0])[which]
            place = f"line {values.number}: {name}"
            stated = amount(place, value, CURRENCY) if which else amount(place, value, CURRENCY) // 100
            if stated != found:
                made = f"{text_from_minor(found, CURRENCY)} {CURRENCY}" if which else found
                yield f"{place}: is said to be {value}, the lines make {made}"


_BILLS = (
    _Bill("alipay", frozenset({"账务流水号", "收入金额(+元)", "支出金额(-元)", "发生时间"}), _alipay_fund),
    _Bill("alipay", frozenset({"支付宝交易号", "商家实收(元)", "服务费(元)", "完成时间"}), _alipay_trade),
    _Bill("wechat", frozenset({"微信订单号", "交易状态", "退款金额", "手续费", "交易时间"}), _wechat_trade),
    _Bill("wechat", frozenset({"资金流水单号", "收支类型", "收支金额(元)", "记账时间"}), _wechat_fund),
    _Bill("alipay", frozenset({"交易时间", "收/支", "金额", "交易订单号"}), _app),
    _Bill("wechat", frozenset({"交易时间", "收/支", "金额(元)", "交易单号"}), _app),
)
