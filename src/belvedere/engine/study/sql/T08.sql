WITH billing AS (SELECT DISTINCT vendor FROM f WHERE p = 'N' AND vendor <> '(non renseigné)'), crypto AS (SELECT DISTINCT crypto_vendor AS vendor FROM f WHERE p = 'N' AND crypto_vendor <> '(non renseigné)')
SELECT CASE WHEN b.vendor IS NULL THEN 'chiffrement seulement' ELSE 'facturation et chiffrement' END AS kind, count(*) AS vendors
FROM crypto c LEFT JOIN billing b USING (vendor) GROUP BY kind ORDER BY kind
