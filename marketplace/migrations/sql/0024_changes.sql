CREATE INDEX ix_lead_campaign ON supply.lead (campaign, channel_id) WHERE campaign <> ''
;;
CREATE INDEX ix_touch_campaign ON supply.touch (campaign, channel_id) WHERE campaign <> ''
;;
CREATE INDEX ix_attribution_share_campaign ON supply.attribution_share (campaign, model) WHERE campaign <> ''
