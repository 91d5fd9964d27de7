"""What waits for a second person: one row a proposal, of every kind."""

_KINDS = (
    """
    SELECT 'bank_account', merchant_id, account_id, NULL::bigint, NULL::text, scheme || ' … ' || right(number, 4),
           proposed_by, verified_at, NULL::text
    FROM billing.bank_account WHERE state = 'verified'
    """,
    """
    SELECT 'payout_terms', merchant_id, terms_id, minimum_minor, currency, reason, made_by, made_at, NULL
    FROM billing.payout_terms WHERE state = 'proposed'
    """,
    """
    SELECT 'payout_file', 0, file_id, total_minor, currency, payouts::text, made_by, made_at, NULL
    FROM billing.payout_file WHERE state = 'made'
    """,
    """
    SELECT 'ad_grant', merchant_id, grant_id, amount_minor, currency, reason, proposed_by, proposed_at, NULL
    FROM billing.ad_grant WHERE state = 'proposed'
    """,
    """
    SELECT 'write_off', w.merchant_id, w.write_off_id, w.amount_minor, c.currency, w.reason, w.made_by, w.made_at, NULL
    FROM billing.write_off w
    JOIN billing.charge c ON c.merchant_id = w.merchant_id AND c.charge_id = w.charge_id
    WHERE w.state = 'proposed'
    """,
    """
    SELECT 'journal', merchant_id, journal_id,
           (SELECT sum(greatest(leg, 0)) FROM unnest(amounts) AS leg)::bigint, currency, reason, made_by, made_at, NULL
    FROM billing.journal WHERE state = 'proposed'
    """,
    """
    SELECT 'exchange_rate', 0, rate_id, NULL, NULL,
           from_currency || ' → ' || to_currency || ' ' || rate || ', ' || rate_on || ', ' || source,
           made_by, made_at, NULL
    FROM billing.exchange_rate WHERE state = 'proposed'
    """,
    """
    SELECT 'document_void', merchant_id, document_id, net_minor + vat_minor, currency, void_reason, void_asked_by,
           issued_at, NULL
    FROM billing.document WHERE state = 'issued' AND void_asked_by IS NOT NULL
    """,
    """
    SELECT 'payer_document_void', d.payer_id, d.document_id, d.net_minor + d.vat_minor, d.currency,
           p.name || ': ' || d.void_reason, d.void_asked_by, d.issued_at, NULL
    FROM billing.payer_document d JOIN billing.payer p ON p.payer_id = d.payer_id
    WHERE d.state = 'issued' AND d.void_asked_by IS NOT NULL
    """,
    """
    SELECT 'rerating', coalesce(merchant_id, 0), rerating_id, NULL, NULL, from_on::text, made_by, made_at, NULL
    FROM billing.rerating WHERE state = 'proposed'
    """,
    """
    SELECT 'billing_run', 0, run_id, NULL, NULL, from_on || ' – ' || (to_on - 1), made_by, made_at,
           '/finance/runs/' || run_id
    FROM billing.billing_run WHERE state = 'previewed'
    """,
    """
    SELECT p.action, 0, p.proposal_id, i.minor, i.currency, p.reason, p.made_by, p.made_at,
           '/finance/workbench/proposals/' || p.proposal_id
    FROM billing.match_proposal p
    CROSS JOIN LATERAL (SELECT sum(amount_minor)::bigint AS minor, min(currency) AS currency
                        FROM billing.match_item WHERE item_id = ANY(p.theirs)) AS i
    WHERE p.state = 'proposed'
    """,
    """
    SELECT CASE state WHEN 'accepting' THEN 'break_accept' ELSE 'break_write_off' END, 0, break_id, amount_minor,
           nullif(currency, ''), reason, asked_by, opened_at, '/finance/breaks/' || break_id
    FROM billing.recon_break WHERE state IN ('accepting', 'writing_off')
    """,
    """
    SELECT 'match_rules', 0, version, NULL, NULL, version::text, made_by, made_at, '/finance/rules'
    FROM billing.match_rules r
    WHERE approved_at IS NULL
      AND NOT EXISTS (SELECT FROM billing.match_rules n WHERE n.version > r.version AND n.approved_at IS NOT NULL)
    """,
    """
    SELECT 'fee_schedule', 0, version, NULL, NULL, p.name || ', ' || f.from_on, f.made_by, f.made_at,
           '/finance/rules#fees'
    FROM billing.fee_schedule f JOIN billing.processor p ON p.processor_id = f.processor_id
    WHERE f.approved_at IS NULL
      AND NOT EXISTS (SELECT FROM billing.fee_schedule n
                      WHERE n.processor_id = f.processor_id AND n.version > f.version AND n.approved_at IS NOT NULL)
    """,
    """
    SELECT 'period_break', 0, a.approval_id, NULL, NULL, to_char(a.month_on, 'YYYY-MM') || ' · ' || a.reason,
           a.asked_by, a.asked_at, '/finance/close?entity=' || a.entity_id || '&month='
           || to_char(a.month_on, 'YYYY-MM')
    FROM billing.period_approval a
    LEFT JOIN billing.period p ON p.entity_id = a.entity_id AND p.month_on = a.month_on
    WHERE a.approved_by IS NULL AND p.state IS DISTINCT FROM 'closed'
    """,
    """
    SELECT 'period_reopening', 0, entity_id, NULL, NULL, to_char(month_on, 'YYYY-MM') || ' · ' || reopening_reason,
           reopening_by, moved_at, '/finance/close?entity=' || entity_id || '&month=' || to_char(month_on, 'YYYY-MM')
    FROM billing.period WHERE state = 'closed' AND reopening_by IS NOT NULL
    """,
    """
    SELECT 'campaign', 0, campaign_id, NULL, currency, name, authors[1], made_at, '/ops/campaigns/' || campaign_id
    FROM incentives.campaign WHERE state = 'in_review'
    """,
    """
    SELECT 'promotion', 0, promotion_id, NULL, currency, name, authors[1], made_at, '/ops/promotions/' || promotion_id
    FROM incentives.promotion WHERE state = 'in_review'
    """,
    """
    SELECT 'promotion_version', 0, p.promotion_id, NULL, p.currency, p.name || ', ' || v.version_no, v.author,
           v.made_at, '/ops/promotions/' || p.promotion_id
    FROM incentives.promotion_version v JOIN incentives.promotion p ON p.promotion_id = v.promotion_id
    WHERE v.state = 'proposed' AND p.approved_at IS NOT NULL AND p.state NOT IN ('reviewed', 'cancelled', 'closing')
    """,
    """
    SELECT 'incentive_change', 0, change_id, NULL, NULL, reason, made_by, made_at,
           '/ops/' || owner || 's/' || owner_id
    FROM incentives.change WHERE state = 'proposed'
    """,
)

WAITING = f"""
SELECT w.kind, w.merchant_id, m.name, w.proposal_id, w.amount_minor, w.currency, w.words, w.made_by, w.made_at, w.href,
       r.batch_id
FROM ({" UNION ALL ".join(_KINDS)})
    AS w (kind, merchant_id, proposal_id, amount_minor, currency, words, made_by, made_at, href)
LEFT JOIN supply.merchant m ON m.merchant_id = w.merchant_id AND w.kind <> 'payer_document_void'
LEFT JOIN billing.billing_run r ON w.kind = 'billing_run' AND r.run_id = w.proposal_id
ORDER BY w.made_at, w.proposal_id LIMIT :limit
"""
