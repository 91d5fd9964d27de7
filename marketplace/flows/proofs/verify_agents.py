"""The invariants of commission for winning merchants; `verify_books` runs them with the others."""

_LEGS = "billing.entry e, unnest(e.accounts, e.dimensions, e.amounts) AS leg (account, dimension, amount)"

PROOFS: tuple[tuple[str, str, str], ...] = (
    (
        "agent-movements-are-entries",
        "what agents have earned and given back is in the house's books, owed to each, and nothing else is",
        f"""SELECT coalesce(m.movement_id, e.source_id), m.amount_minor, e.minor
           FROM (SELECT k.movement_id, k.kind, k.currency, k.amount_minor, a.provider_id
                 FROM supply.agent_movement k JOIN supply.agent a ON a.agent_id = k.agent_id) AS m
           FULL JOIN (SELECT e.kind, e.source_id, e.currency, leg.dimension, -leg.amount AS minor
                      FROM {_LEGS}
                      WHERE e.kind IN ('agent_commission_earned', 'agent_commission_clawed_back')
                        AND leg.account = 2060) AS e
             ON e.source_id = m.movement_id AND e.kind = m.kind
           WHERE (m.currency, m.amount_minor, m.provider_id) IS DISTINCT FROM (e.currency, e.minor, e.dimension)""",
    ),
    (
        "agent-commissions-are-movements",
        "what an agent has earned with a merchant is what was booked for it",
        """SELECT c.commission_id, c.earned_minor, coalesce(m.minor, 0)
           FROM supply.agent_commission c
           LEFT JOIN (SELECT commission_id, agent_id, merchant_id, currency, sum(amount_minor) AS minor
                      FROM supply.agent_movement GROUP BY 1, 2, 3, 4) AS m
             ON m.commission_id = c.commission_id AND m.agent_id = c.agent_id AND m.merchant_id = c.merchant_id
            AND m.currency = c.currency
           WHERE c.earned_minor <> coalesce(m.minor, 0)""",
    ),
    (
        "referrals-are-grants",
        "both sides of a referral are rewarded, or neither is: a referral said to be rewarded names both",
        """SELECT r.referral_id, r.state, count(DISTINCT w.side) FROM supply.referral r
           LEFT JOIN supply.referral_reward w ON w.referral_id = r.referral_id
           GROUP BY r.referral_id, r.state
           HAVING count(DISTINCT w.side) <> CASE WHEN r.state IN ('rewarded', 'clawed_back') THEN 2 ELSE 0 END""",
    ),
)
