WITH c AS (SELECT * FROM appels WHERE month BETWEEN $low AND $high),
     target AS (SELECT DISTINCT service, site FROM cibles WHERE since <= $last AND $last < until),
     ready AS (SELECT DISTINCT service, vendor FROM integrations WHERE certified AND since <= $last AND $last < until),
     heads AS (SELECT sum(insured) AS insured FROM regimes),
     s AS (
  SELECT service, count(DISTINCT site) FILTER (result = '00') AS equipped, sum(calls)::bigint AS calls, round(100.0 * sum(calls) FILTER (result = '00') / sum(calls), 1) AS success,
         count(DISTINCT regime) AS regimes, round(sum(p50 * calls) / nullif(sum(calls) FILTER (p50 IS NOT NULL), 0))::bigint AS p50, max(p95) AS p95 FROM c GROUP BY service),
     covered AS (SELECT service, sum(insured) AS insured FROM (SELECT DISTINCT service, regime FROM c WHERE result = '00') JOIN regimes USING (regime) GROUP BY service),
     near AS (
  SELECT t.service, count(*) AS target, count(r.vendor) AS sites FROM target t LEFT JOIN clients k ON k.p = 'N' AND k.site = t.site
  LEFT JOIN ready r ON r.service = t.service AND r.vendor = k.vendor GROUP BY t.service),
     weight AS (SELECT r.service, 100.0 * sum(f.invoices) / (SELECT sum(invoices) FROM f WHERE p = 'N') AS share FROM f JOIN ready r ON r.vendor = f.vendor_now WHERE f.p = 'N' GROUP BY r.service)
SELECT s.service, s.equipped, n.target, round(100.0 * s.equipped / nullif(n.target, 0), 1) AS equipped_share, s.calls, s.success, s.p50, s.p95, s.regimes,
       round(100.0 * v.insured / nullif(h.insured, 0), 1) AS insured_share, round(100.0 * n.sites / nullif(n.target, 0), 1) AS potential_sites, round(w.share, 1) AS potential_invoices
FROM s CROSS JOIN heads h LEFT JOIN covered v USING (service) LEFT JOIN near n USING (service) LEFT JOIN weight w USING (service) ORDER BY s.service
