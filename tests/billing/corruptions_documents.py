"""What `test_verify` plants to have the proofs of documents fail."""

DOCUMENT_CORRUPTIONS: dict[str, tuple[list[str], set[str]]] = {
    "a document that is missing": (
        ["UPDATE billing.document SET state = 'reversed' WHERE merchant_id = 1"], {"documents-are-vat"},
    ),
    "a document's VAT that nobody booked": (
        ["UPDATE billing.document SET vat_minor = vat_minor + 1 WHERE merchant_id = 1 AND from_on = '2018-05-01'",
         """UPDATE billing.document_tax SET vat_minor = vat_minor + 1 WHERE (merchant_id, document_id) IN
            (SELECT merchant_id, document_id FROM billing.document
             WHERE merchant_id = 1 AND from_on = '2018-05-01')"""],
        {"documents-are-vat"},
    ),
    "a document that is not the sum of its lines": (
        ["UPDATE billing.document_line SET net_minor = net_minor + 1 WHERE merchant_id = 1"], {"documents-are-lines"},
    ),
    "a document that is not the sum of its taxes": (
        ["UPDATE billing.document_tax SET net_minor = net_minor + 1 WHERE merchant_id = 1"], {"documents-are-lines"},
    ),
    "a number that was left out": (
        ["UPDATE billing.document SET serial = serial + 1 WHERE merchant_id = 1 AND from_on = '2018-06-01'"],
        {"series-have-no-gaps"},
    ),
    "a number taken for nothing": (
        ["UPDATE billing.document_series SET last_serial = last_serial + 1"], {"series-have-no-gaps"},
    ),
    "a series that nobody keeps": (["DELETE FROM billing.document_series"], {"series-have-no-gaps"}),
    "a credit note over more than was charged": (
        ["""INSERT INTO billing.document
            SELECT merchant_id, 1, run_id, entity_id, 'credit_note', 'correction', 0, '1-CRN-99', 1, currency, from_on,
                   to_on, issued_on, NULL, net_minor + 1, 0, seller, buyer, document_id, document_id, NULL, 'issued',
                   NULL, NULL, NULL, NULL, issued_by, issued_at
            FROM billing.document WHERE merchant_id = 1 AND from_on = '2018-05-01' AND kind = 'invoice'""",
         """INSERT INTO billing.document_line SELECT merchant_id, 1, 1, 'refund', '', 1, 200000, net_minor, NULL, NULL
            FROM billing.document WHERE document_id = 1""",
         """INSERT INTO billing.document_tax SELECT merchant_id, 1, 200000, net_minor, 0
            FROM billing.document WHERE document_id = 1""",
         "INSERT INTO billing.document_series VALUES ('1-CRN-99', 1, 1)"],
        {"credits-are-charged"},
    ),
}  # fmt: skip
