WITH v AS (
  SELECT vendor, bool_or(category IN ('EPS', 'ESPIC')) AS pub, bool_or(category = 'CP') AS cp, bool_or(category = 'HIA') AS hia,
         bool_or(category = 'PSAD') AS psad FROM f WHERE p = 'N' AND vendor <> '(non renseigné)' GROUP BY vendor)
SELECT CASE WHEN pub AND cp THEN 'EPS ou ESPIC, et CP' WHEN pub THEN 'EPS ou ESPIC seulement' WHEN cp THEN 'CP seulement' WHEN hia THEN 'HIA seulement'
            WHEN psad THEN 'PSAD seulement' ELSE 'autres' END AS segment, count(*) AS vendors
FROM v GROUP BY segment ORDER BY vendors DESC, segment
