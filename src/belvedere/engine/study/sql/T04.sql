WITH s AS (SELECT vendor, sum(invoices) AS invoices, bool_or(category = 'EPS') AS eps, bool_or(category = 'ESPIC') AS espic, bool_or(category = 'CP') AS cp,
                  bool_or(category NOT IN ('EPS', 'ESPIC', 'CP')) AS other FROM f WHERE p = 'N' AND vendor <> '(non renseigné)' GROUP BY vendor ORDER BY invoices DESC, vendor LIMIT 15)
SELECT vendor, CASE WHEN eps THEN '●' ELSE '' END AS eps, CASE WHEN espic THEN '●' ELSE '' END AS espic, CASE WHEN cp THEN '●' ELSE '' END AS cp, CASE WHEN other THEN '●' ELSE '' END AS other
FROM s ORDER BY vendor
