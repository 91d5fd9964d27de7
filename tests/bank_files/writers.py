"""Statements written in each format, as a bank would, to be read back: independent of the readers."""

import csv
import io
from collections.abc import Sequence
from datetime import date

from billing.bank_files.model import Line
from marketplace.core.money import MINOR_DIGITS

ACCOUNT = "DE89370400440532013000"


def major(minor: int, currency: str, point: str = ".") -> str:
    """Minor units as a decimal without a sign; in SWIFT the comma stands even where nothing follows."""
    digits = MINOR_DIGITS[currency]
    whole, rest = divmod(abs(minor), 10**digits)
    shown = f"{rest:0{digits}}" if digits else ""
    return f"{whole}{point}{shown}" if digits or point == "," else str(whole)


def signed(minor: int, currency: str) -> str:
    return ("-" if minor < 0 else "") + major(minor, currency)


def mark(minor: int) -> str:
    return "C" if minor >= 0 else "D"


def camt(lines: Sequence[Line], opening: int, currency: str, version: str = "08") -> bytes:
    """camt.053 with one detail an entry; from version 08 on the state and the parties' names are one level deeper."""
    closing = opening + sum(line.amount_minor for line in lines)
    new = int(version) >= 8
    party = ("<Pty>", "</Pty>") if new else ("", "")
    entries = []
    for line in lines:
        other = "Dbtr" if line.amount_minor >= 0 else "Cdtr"
        state = "<Sts><Cd>BOOK</Cd></Sts>" if new else "<Sts>BOOK</Sts>"
        entries.append(
            f'<Ntry><Amt Ccy="{currency}">{major(line.amount_minor, currency)}</Amt>'
            f"<CdtDbtInd>{'CRDT' if line.amount_minor >= 0 else 'DBIT'}</CdtDbtInd>{state}"
            f"<BookgDt><Dt>{line.day}</Dt></BookgDt><ValDt><Dt>{line.value_day}</Dt></ValDt>"
            f"<AcctSvcrRef>{line.bank_ref}</AcctSvcrRef><BkTxCd><Prtry><Cd>{line.type_code}</Cd></Prtry></BkTxCd>"
            f"<NtryDtls><TxDtls><Refs><EndToEndId>{line.end_to_end}</EndToEndId></Refs><RltdPties>"
            f"<{other}>{party[0]}<Nm>{line.party}</Nm>{party[1]}</{other}>"
            f"<{other}Acct><Id><IBAN>{line.party_account}</IBAN></Id></{other}Acct></RltdPties>"
            f"<RmtInf><Ustrd>{line.text}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
        )
    balances = "".join(
        f'<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="{currency}">{major(minor, currency)}</Amt>'
        f"<CdtDbtInd>{'CRDT' if minor >= 0 else 'DBIT'}</CdtDbtInd><Dt><Dt>2018-09-01</Dt></Dt></Bal>"
        for code, minor in (("OPBD", opening), ("CLBD", closing))
    )
    credits_, debits = [line for line in lines if line.amount_minor >= 0], [x for x in lines if x.amount_minor < 0]
    summary = "".join(
        f"<{name}><NbOfNtries>{len(of)}</NbOfNtries>"
        f"<Sum>{major(sum(abs(line.amount_minor) for line in of), currency)}</Sum></{name}>"
        for name, of in (("TtlNtries", lines), ("TtlCdtNtries", credits_), ("TtlDbtNtries", debits))
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}">'
        f"<BkToCstmrStmt><GrpHdr><MsgId>M1</MsgId></GrpHdr><Stmt><Id>S1</Id><ElctrncSeqNb>7</ElctrncSeqNb>"
        f"<Acct><Id><IBAN>{ACCOUNT}</IBAN></Id><Ccy>{currency}</Ccy></Acct>{balances}"
        f"<TxsSummry>{summary}</TxsSummry>{''.join(entries)}</Stmt></BkToCstmrStmt></Document>"
    ).encode()


def mt940(lines: Sequence[Line], opening: int, currency: str) -> bytes:
    """MT940 with structured details as German banks write them."""
    closing = opening + sum(line.amount_minor for line in lines)
    out = [
        ":20:S1",
        f":25:{ACCOUNT}",
        ":28C:7/1",
        f":60F:{mark(opening)}180901{currency}{major(opening, currency, ',')}",
    ]
    for line in lines:
        assert line.value_day
        out.append(
            f":61:{line.value_day:%y%m%d}{line.day:%m%d}{mark(line.amount_minor)}"
            f"{major(line.amount_minor, currency, ',')}{line.type_code}{line.end_to_end}//{line.bank_ref}"
        )
        out.append(f":86:166?00BOOKED?20SVWZ+{line.text}?31{line.party_account}?32{line.party}")
    out += [f":62F:{mark(closing)}180901{currency}{major(closing, currency, ',')}", "-"]
    return ("\r\n".join(out) + "\r\n").encode()


def bai2(lines: Sequence[Line], opening: int, currency: str) -> bytes:
    """BAI2 with one group and account, all totals as they must be."""
    closing = opening + sum(line.amount_minor for line in lines)
    body = [f"03,{ACCOUNT},{currency},010,{opening},,,015,{closing},,/"]
    for line in lines:
        assert line.value_day
        body.append(
            f"16,{line.type_code},{abs(line.amount_minor)},V,{line.value_day:%y%m%d},,{line.bank_ref},"
            f"{line.end_to_end},{line.text}/"
        )
    total = opening + closing + sum(abs(line.amount_minor) for line in lines)
    body.append(f"49,{total},{len(body) + 1}/")
    return "\n".join(
        [
            "01,BANK,US,180901,0800,1,80,1,2/",
            f"02,US,BANK,1,180901,2400,{currency},2/",
            *body,
            f"98,{total},1,{len(body) + 2}/",
            f"99,{total},1,{len(body) + 4}/",
        ]
    ).encode()


def table(header: Sequence[object], rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue().encode()


def stripe(lines: Sequence[Line], currency: str) -> bytes:
    """The itemised payout reconciliation report."""
    header = (
        "automatic_payout_id", "balance_transaction_id", "created_utc", "available_on_utc", "currency", "gross", "fee",
        "net", "reporting_category", "source_id", "description",
    )  # fmt: skip
    return table(
        header,
        [
            (
                line.batch_ref, line.bank_ref, f"{line.day} 10:00:00", f"{line.value_day} 00:00:00", currency.lower(),
                signed(line.gross_minor or 0, currency), signed(line.fee_minor or 0, currency),
                signed(line.amount_minor, currency), line.type_code, line.end_to_end, line.text,
            )
            for line in lines
        ],
    )  # fmt: skip


def adyen(lines: Sequence[Line], currency: str) -> bytes:
    """The settlement details report: net amounts by side, the fee as a commission; then what is paid out."""
    header = (
        "Company Account", "Merchant Account", "Psp Reference", "Merchant Reference", "Payment Method", "Creation Date",
        "Type", "Modification Reference", "Net Currency", "Net Debit (NC)", "Net Credit (NC)", "Commission (NC)",
        "Markup (NC)", "Scheme Fees (NC)", "Interchange (NC)", "Batch Number",
    )  # fmt: skip

    def row(line: Line) -> tuple[object, ...]:
        debit, credit = (
            ("", major(line.amount_minor, currency))
            if line.amount_minor >= 0
            else (major(line.amount_minor, currency), "")
        )
        return (
            "House", "Shop", line.text, line.end_to_end, line.party, f"{line.day} 10:00:00", line.type_code,
            line.bank_ref, currency, debit, credit, signed(line.fee_minor or 0, currency), "", "", "", line.batch_ref,
        )  # fmt: skip

    return table(header, [row(line) for line in lines])


def paypal(lines: Sequence[Line], currency: str) -> bytes:
    """The settlement report with one section; amounts without sign and point."""
    header = (
        "Transaction ID", "Invoice ID", "Transaction Event Code", "Transaction Initiation Date",
        "Transaction Completion Date", "Transaction  Debit or Credit", "Gross Transaction Amount",
        "Gross Transaction Currency", "Fee Debit or Credit", "Fee Amount", "Fee Currency", "Consumer ID",
        "Transaction Subject",
    )  # fmt: skip
    rows: list[Sequence[object]] = [
        ("RH", "2018/09/02 00:00:00 +0000", "A", "SHOP", "009"),
        ("FH", "1"),
        ("SH", "2018/09/01 00:00:00 +0000", "2018/09/01 23:59:59 +0000", "SHOP", ""),
        ("CH", *header),
    ]
    sums = [0, 0, 0, 0]
    for line in lines:
        gross, fee = line.gross_minor or 0, line.fee_minor or 0
        sums[0 if gross >= 0 else 1] += abs(gross)
        sums[3 if fee >= 0 else 2] += abs(fee)
        at = f"{line.day:%Y/%m/%d} 10:00:00 +0000"
        rows.append(
            (
                "SB", line.bank_ref, line.end_to_end, line.type_code, at, at, "CR" if gross >= 0 else "DR", abs(gross),
                currency, "DR" if fee >= 0 else "CR", abs(fee), currency, line.party_account, line.text,
            )
        )  # fmt: skip
    closing = 1000 + sums[0] - sums[1] + sums[2] - sums[3]
    rows += [
        ("SF", currency, *sums, "CR", 1000, "CR" if closing >= 0 else "DR", abs(closing), "CR", 0, "CR", 0, len(lines)),
        ("SC", len(lines)),
        ("RF", currency, *sums),
        ("RC", len(lines)),
        ("FF", len(lines)),
    ]
    return table(rows[0], list(rows[1:]))


def alipay(lines: Sequence[Line]) -> bytes:
    """The merchant's fund bill, in GB18030 with comments before and totals behind."""
    income = [line.amount_minor for line in lines if line.amount_minor > 0]
    expense = [line.amount_minor for line in lines if line.amount_minor < 0]
    header = (
        "账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,"
        "收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注"
    )
    rows = [
        f"{line.bank_ref}\t,B,{line.end_to_end}\t,{line.text},{line.day} 10:00:00,{line.party_account},"
        f"{signed(line.amount_minor, 'CNY') if line.amount_minor > 0 else ' '},"
        f"{signed(line.amount_minor, 'CNY') if line.amount_minor < 0 else ' '},0.00,支付宝,{line.type_code},"
        for line in lines
    ]
    return "\n".join(
        [
            "#支付宝账务明细查询",
            "#账号：[20881234567890120156]",
            "#起始日期：[2018年09月01日 00:00:00]   终止日期：[2018年09月02日 00:00:00]",
            "#-----------------------------------------账务明细列表----------------------------------------",
            header,
            *rows,
            "#-----------------------------------------账务明细列表结束------------------------------------",
            f"#支出合计：{len(expense)}笔，共{signed(sum(expense), 'CNY')}元",
            f"#收入合计：{len(income)}笔，共{signed(sum(income), 'CNY')}元",
            "#导出时间：[2018年09月03日 10:00:00]",
        ]
    ).encode("gb18030")


def wechat(lines: Sequence[Line]) -> bytes:
    """The merchant's trade bill: cells marked by a backtick, totals behind; UTF-8 with its mark."""
    header = (
        "交易时间,公众账号ID,商户号,微信订单号,商户订单号,用户标识,交易类型,交易状态,货币种类,应结订单金额,"
        "微信退款单号,商户退款单号,退款金额,商品名称,手续费,费率"
    )
    rows = []
    for line in lines:
        gross = line.gross_minor or 0
        refund = gross < 0
        cells = (
            f"{line.day} 10:00:00", "wx", "1900009231", "" if refund else line.bank_ref,
            "" if refund else line.end_to_end, line.party_account, "JSAPI", "REFUND" if refund else "SUCCESS", "CNY",
            "0.00" if refund else signed(gross, "CNY"), line.bank_ref if refund else "",
            line.end_to_end if refund else "", signed(-gross, "CNY") if refund else "0.00", line.text,
            signed(line.fee_minor or 0, "CNY") + "000", "0.60%",
        )  # fmt: skip
        rows.append(",".join(f"`{cell}" for cell in cells))
    due = sum(max(line.gross_minor or 0, 0) for line in lines)
    back = sum(max(-(line.gross_minor or 0), 0) for line in lines)
    fees = sum(line.fee_minor or 0 for line in lines)
    totals = (str(len(lines)), signed(due, "CNY"), signed(back, "CNY"), signed(fees, "CNY"))
    return "\r\n".join(
        [header, *rows, "总交易单数,应结订单总金额,退款总金额,手续费总金额", ",".join(f"`{total}" for total in totals)]
    ).encode("utf-8-sig")


DAY = date(2018, 9, 1)
