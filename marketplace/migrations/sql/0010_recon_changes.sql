ALTER TABLE billing.match_item ADD COLUMN apart bigint[] NOT NULL DEFAULT '{}'
;;
UPDATE billing.match_item i
SET apart = a.others
FROM (SELECT item_id, array_agg(DISTINCT other ORDER BY other) AS others
      FROM (SELECT t AS item_id, o AS other
            FROM billing.match_group g, unnest(g.theirs) AS t, unnest(g.ours) AS o WHERE g.reverses_id IS NOT NULL
            UNION ALL
            SELECT o, t
            FROM billing.match_group g, unnest(g.theirs) AS t, unnest(g.ours) AS o WHERE g.reverses_id IS NOT NULL
           ) AS pair
      GROUP BY item_id) AS a
WHERE a.item_id = i.item_id
;;
UPDATE billing.match_item i
SET source_id = p.transfer_id
FROM billing.payment_command c,
     (SELECT DISTINCT ON (merchant_id, refund_id, payment_id, due_at)
             merchant_id, refund_id, payment_id, due_at, transfer_id
      FROM billing.refund_payment WHERE way = 'card'
      ORDER BY merchant_id, refund_id, payment_id, due_at, attempt) AS p
WHERE i.kind = 'refund' AND c.command_id = i.source_id AND p.merchant_id = c.merchant_id
  AND p.refund_id = c.refund_id AND p.payment_id = c.payment_id AND p.due_at = c.created_at
;;
DELETE FROM billing.match_item i
USING billing.bank_line l
WHERE i.kind = 'processor_line' AND i.group_id IS NULL AND i.owner_id = 0 AND l.line_id = i.source_id
  AND (lower(l.type_code) IN ('fee', 'stripe_fee', 'stripe_fx_fee', 'tax_fee', 'network_cost', 'misccosts',
                              'invoicededuction', 'paymentcost', '收费', '服务费')
       OR l.type_code LIKE 'T01%')
