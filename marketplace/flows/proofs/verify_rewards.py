"""The invariants of merchants' rewards, and of buyers' discounts; `verify_books` runs them with the others."""

from marketplace.flows.proofs import verify_discounts

_KINDS = "('incentive_earned', 'incentive_unearned', 'incentive_vested', 'incentive_clawed_back')"
_ROLES = (
    ("merchant", "rewards", "merchants' rewards", "s.merchant_id = g.merchant_id"),
    ("buyer", "rebates", "buyers' rebates", "g.form <> 'discount'"),
)
"""Role, nouns, and which shares of payers may be of its grants: a buyer's are in a house's books."""

PROOFS: tuple[tuple[str, str, str], ...] = (
    (
        "rewards-are-entries",
        "what rewards have cost, and what of them has not vested, is the same by the ledger and by the grants",
        f"""SELECT merchant_id, promotion_id, sum(cost), sum(granted), sum(payable), sum(pending)
            FROM (SELECT e.merchant_id, leg.dimension AS promotion_id,
                         CASE WHEN leg.account = 5000 THEN leg.amount ELSE 0 END AS cost, 0 AS granted,
                         CASE WHEN leg.account = 2050 THEN -leg.amount ELSE 0 END AS payable, 0 AS pending
                  FROM billing.entry e, unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)
                  WHERE e.kind IN {_KINDS} AND leg.account IN (5000, 2050)
                  UNION ALL
                  SELECT g.merchant_id, g.promotion_id, 0,
                         CASE WHEN part.funder = 'platform' THEN part.minor ELSE 0 END, 0,
                         CASE WHEN g.state = 'pending' THEN part.minor ELSE 0 END
                  FROM incentives.merchant_grant g, unnest(g.funders, g.funder_minor) AS part (funder, minor)
                  WHERE g.state <> 'void' AND part.funder <> 'merchant') AS said
            GROUP BY merchant_id, promotion_id HAVING sum(cost) <> sum(granted) OR sum(payable) <> sum(pending)""",
    ),
    *(
        (
            f"{noun}-are-shares",
            f"what payers bear of {whose} is what is left of their shares, grant by grant and taken back",
            f"""SELECT party_id, promotion_id, span, contract_id, sum(granted), sum(borne)
                FROM (SELECT g.{role}_id AS party_id, g.promotion_id, g.span, c.contract_id, part.minor AS granted,
                             0 AS borne
                      FROM incentives.{role}_grant g
                      CROSS JOIN LATERAL unnest(g.funders, g.funder_minor) AS part (funder, minor)
                      JOIN billing.payer_contract c ON c.name = part.funder AND c.pays = 'promotion'
                      WHERE g.state <> 'void' AND g.form <> 'discount'
                      UNION ALL
                      SELECT g.{role}_id, g.promotion_id, g.span, s.contract_id, 0, s.amount_minor - s.back_minor
                      FROM incentives.{role}_grant g
                      JOIN (SELECT merchant_id, source_id, contract_id, amount_minor, back_minor
                            FROM billing.payer_share WHERE source = 'promotion' AND state = 'committed') AS s
                        ON {of} AND s.source_id = g.grant_id) AS said
                GROUP BY 1, 2, 3, 4 HAVING sum(granted) <> sum(borne)""",
        )
        for role, noun, whose, of in _ROLES
    ),
    (
        "promises-are-shares",
        "what payers' caps hold for promotions is for orders that are not paid, or for promises that stand",
        """SELECT s.merchant_id, s.source_ref, s.contract_id, s.amount_minor FROM billing.payer_share s
           WHERE s.source = 'promotion' AND s.state = 'reserved'
             AND NOT EXISTS (SELECT FROM incentives.order_discount d
                             WHERE d.merchant_id = s.merchant_id AND d.grant_id = s.source_id)
             AND NOT EXISTS (SELECT FROM incentives.merchant_progress p
                             WHERE p.merchant_id = s.merchant_id AND s.source_ref = ANY(p.promise_keys))""",
    ),
    *(
        (
            f"{noun}-are-budgets",
            f"what {whose} of a window come to is what is spent of the budgets that they draw on",
            f"""SELECT s.party_id, s.promotion_id, s.span, s.budget_id, s.spent, w.granted
                FROM (SELECT g.{role}_id AS party_id, g.promotion_id, g.span, b.budget_id,
                             sum(CASE r.state WHEN 'committed' THEN r.amount_minor - r.recycled_minor ELSE 0 END)
                             AS spent
                      FROM incentives.{role}_grant g
                      JOIN incentives.budget b ON b.scope IN ('total', 'day')
                       AND b.owner_id = CASE b.owner WHEN 'promotion' THEN g.promotion_id ELSE g.campaign_id END
                      LEFT JOIN (SELECT budget_id, key, state, amount_minor, recycled_minor
                                 FROM incentives.budget_reservation) AS r
                        ON r.budget_id = b.budget_id AND r.key = g.reservation_key
                      WHERE g.state <> 'void' AND g.amount_minor > 0 AND g.form <> 'discount'
                      GROUP BY 1, 2, 3, 4) AS s
                JOIN (SELECT {role}_id AS party_id, promotion_id, span, sum(amount_minor) AS granted
                      FROM incentives.{role}_grant WHERE state <> 'void' AND form <> 'discount' GROUP BY 1, 2, 3) AS w
                  ON w.party_id = s.party_id AND w.promotion_id = s.promotion_id AND w.span = s.span
                WHERE s.spent <> w.granted""",
        )
        for role, noun, whose, _ in _ROLES
    ),
    (
        "rewards-are-progress",
        "what a window says was granted is what its grants come to",
        """SELECT coalesce(p.merchant_id, g.merchant_id), coalesce(p.promotion_id, g.promotion_id),
                  coalesce(p.span, g.span), p.granted_minor, g.granted
           FROM incentives.merchant_progress p
           FULL JOIN (SELECT merchant_id, promotion_id, span, sum(amount_minor) AS granted
                      FROM incentives.merchant_grant WHERE state <> 'void' GROUP BY 1, 2, 3) AS g
             ON g.merchant_id = p.merchant_id AND g.promotion_id = p.promotion_id AND g.span = p.span
           WHERE coalesce(p.granted_minor, -1) <> coalesce(g.granted, 0)""",
    ),
    (
        "vouchers-are-used-once",
        "a merchant's voucher that was used was paid with the order that it says, and one order uses no other",
        """SELECT v.merchant_id, v.voucher_id, v.used_for, sum(p.amount_minor), count(DISTINCT v.grant_id)
           FROM incentives.merchant_voucher v
           JOIN incentives.merchant_grant g ON g.merchant_id = v.merchant_id AND g.grant_id = v.grant_id
           LEFT JOIN incentives.merchant_grant p ON p.merchant_id = g.merchant_id AND p.promotion_id = g.promotion_id
            AND p.span = g.span AND p.event_id = v.used_for AND p.state = 'paid'
           WHERE v.state = 'used'
           GROUP BY v.merchant_id, v.voucher_id, v.used_for HAVING coalesce(sum(p.amount_minor), 0) <= 0
           UNION ALL
           SELECT merchant_id, min(voucher_id), used_for, NULL, count(*) FROM incentives.merchant_voucher
           WHERE state = 'used' GROUP BY merchant_id, used_for HAVING count(*) > 1""",
    ),
    (
        "budgets-are-reservations",
        "what is reserved and spent of a budget is what its reservations say",
        """SELECT budget_id, period_from, sum(reserved), sum(spent)
           FROM (SELECT budget_id, period_from, reserved_minor AS reserved, spent_minor AS spent
                 FROM incentives.budget_shard
                 UNION ALL
                 SELECT budget_id, period_from, CASE WHEN state = 'reserved' THEN -amount_minor ELSE 0 END,
                        CASE WHEN state = 'committed' THEN recycled_minor - amount_minor ELSE 0 END
                 FROM incentives.budget_reservation) AS said
           GROUP BY budget_id, period_from HAVING sum(reserved) <> 0 OR sum(spent) <> 0""",
    ),
    *verify_discounts.PROOFS,
)
