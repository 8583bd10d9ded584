WITH g AS (
  SELECT 'Ensemble' AS segment, vendor, invoices FROM f WHERE p = 'N'
  UNION ALL SELECT CASE WHEN category IN ('EPS', 'ESPIC') THEN 'EPS et ESPIC' ELSE category END, vendor, invoices FROM f WHERE p = 'N'),
     s AS (SELECT segment, vendor, 100.0 * sum(invoices) / sum(sum(invoices)) OVER (PARTITION BY segment) AS share FROM g GROUP BY segment, vendor),
     r AS (SELECT *, row_number() OVER (PARTITION BY segment ORDER BY share DESC, vendor) AS place FROM s WHERE vendor <> '(non renseigné)')
SELECT segment, count(*) AS vendors, round(sum(share) FILTER (place <= 3), 1) AS cr3, round(sum(share * share)) AS hhi
FROM r GROUP BY segment ORDER BY segment <> 'Ensemble', segment
