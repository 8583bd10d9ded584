WITH target AS (SELECT DISTINCT service, site FROM cibles WHERE since <= $last AND $last < until),
     active AS (
  SELECT DISTINCT 'FIDES' AS service, site FROM f WHERE month = $high AND device LIKE 'FIDES%'
  UNION SELECT DISTINCT 'TRANSPORT', site FROM f WHERE month = $high AND algorithm IN ('AES', '3DES')
  UNION SELECT DISTINCT 'FACTURATION', site FROM f WHERE month = $high
  UNION SELECT DISTINCT service, site FROM appels WHERE month = $high)
SELECT t.service, count(*) AS target, count(a.site) AS active, round(100.0 * count(a.site) / count(*), 2) AS rate
FROM target t LEFT JOIN active a USING (service, site) GROUP BY t.service ORDER BY t.service
