WITH c AS (SELECT w.vendor, r.cause, any_value(r.label) AS label, sum(r.rejects)::bigint AS rejects FROM rejets r JOIN who w ON w.software IS NOT DISTINCT FROM r.software AND w.vendor_text IS NOT DISTINCT FROM r.vendor_text AND w.month = r.month
           WHERE r.month BETWEEN $low AND $high GROUP BY w.vendor, r.cause),
     t AS (SELECT *, sum(rejects) OVER (PARTITION BY vendor) AS own, sum(rejects) OVER (PARTITION BY cause) AS everywhere, sum(rejects) OVER () AS whole FROM c)
SELECT vendor, cause, label, rejects, round(100.0 * rejects / own, 2) AS share, round(100.0 * (everywhere - rejects) / nullif(whole - own, 0), 2) AS others FROM t ORDER BY vendor, rejects DESC, cause
