ALTER TABLE incentives.buyer_progress NO FORCE ROW LEVEL SECURITY
;;
ALTER TABLE incentives.buyer_grant NO FORCE ROW LEVEL SECURITY
;;
ALTER TABLE incentives.buyer_contribution NO FORCE ROW LEVEL SECURITY
;;
ALTER TABLE demand.merchant_order NO FORCE ROW LEVEL SECURITY
;;
UPDATE incentives.buyer_progress AS t SET span = CAST(w.entity_id AS text) || ':' || t.span
FROM (SELECT c.buyer_id, c.promotion_id, c.span, min(o.entity_id) AS entity_id
      FROM (SELECT buyer_id, promotion_id, span, CAST(event_id AS bigint) AS order_id
            FROM incentives.buyer_contribution WHERE span ~ '^[0-9]{4}-') AS c
      JOIN demand.merchant_order o ON o.buyer_id = c.buyer_id AND o.order_id = c.order_id
      GROUP BY c.buyer_id, c.promotion_id, c.span) AS w
WHERE t.buyer_id = w.buyer_id AND t.promotion_id = w.promotion_id AND t.span = w.span
;;
UPDATE incentives.buyer_grant AS t SET span = CAST(w.entity_id AS text) || ':' || t.span
FROM (SELECT c.buyer_id, c.promotion_id, c.span, min(o.entity_id) AS entity_id
      FROM (SELECT buyer_id, promotion_id, span, CAST(event_id AS bigint) AS order_id
            FROM incentives.buyer_contribution WHERE span ~ '^[0-9]{4}-') AS c
      JOIN demand.merchant_order o ON o.buyer_id = c.buyer_id AND o.order_id = c.order_id
      GROUP BY c.buyer_id, c.promotion_id, c.span) AS w
WHERE t.buyer_id = w.buyer_id AND t.promotion_id = w.promotion_id AND t.span = w.span
;;
UPDATE incentives.buyer_contribution AS t SET span = CAST(w.entity_id AS text) || ':' || t.span
FROM (SELECT c.buyer_id, c.promotion_id, c.span, min(o.entity_id) AS entity_id
      FROM (SELECT buyer_id, promotion_id, span, CAST(event_id AS bigint) AS order_id
            FROM incentives.buyer_contribution WHERE span ~ '^[0-9]{4}-') AS c
      JOIN demand.merchant_order o ON o.buyer_id = c.buyer_id AND o.order_id = c.order_id
      GROUP BY c.buyer_id, c.promotion_id, c.span) AS w
WHERE t.buyer_id = w.buyer_id AND t.promotion_id = w.promotion_id AND t.span = w.span
;;
CREATE INDEX ix_buyer_grant_grant_id ON incentives.buyer_grant (grant_id)
;;
ALTER TABLE incentives.buyer_progress FORCE ROW LEVEL SECURITY
;;
ALTER TABLE incentives.buyer_grant FORCE ROW LEVEL SECURITY
;;
ALTER TABLE incentives.buyer_contribution FORCE ROW LEVEL SECURITY
;;
ALTER TABLE demand.merchant_order FORCE ROW LEVEL SECURITY
;;
CREATE INDEX ix_payer_share_reserved ON billing.payer_share (merchant_id, source_ref) WHERE state = 'reserved'
