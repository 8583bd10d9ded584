WITH v AS (SELECT vendor, sum(judged) AS judged, sum(rejects) AS rejects FROM f WHERE p = 'N' GROUP BY vendor)
SELECT vendor, judged::bigint AS judged, rejects::bigint AS rejects, round(100.0 * rejects / judged, 2) AS rate,
       round(100 * wilson(rejects::double, judged::double, -1), 2) AS low, round(100 * wilson(rejects::double, judged::double, 1), 2) AS high
FROM v WHERE judged >= 1000 ORDER BY rate, vendor
