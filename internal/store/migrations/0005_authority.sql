-- On whose behalf a delivery is made: '' is the operator's own order, any other
-- that of pipelines that name one credential (see mirror/authority.go). What one
-- may not push is not pushed with the credential of another. Deliveries of before
-- are a pipeline's wherever one may have asked.
ALTER TABLE deliveries ADD COLUMN authority TEXT NOT NULL DEFAULT '';
UPDATE deliveries SET authority = (
	SELECT 'pipeline' || char(10) || t.secret || char(10) || t.auth FROM targets t
	WHERE t.git_dir = deliveries.git_dir AND t.url = deliveries.url
) WHERE EXISTS (
	SELECT 1 FROM targets t WHERE t.git_dir = deliveries.git_dir AND t.url = deliveries.url AND t.asked
);
