-- A category as the flows or the registries tell it: the bucket itself, a FINESS code, else nothing.
CREATE TEMP TABLE heard AS
  SELECT DISTINCT software, vendor_text, month FROM flux UNION SELECT DISTINCT software, vendor_text, month FROM rejets;

-- Who edits a software: the agreement number first, then the dated alias, then the name as written.
CREATE TEMP TABLE named AS
  SELECT h.software, h.vendor_text, h.month,
         coalesce(min(p.vendor), min(a.vendor), min(v.vendor), h.vendor_text, '(non renseigné)') AS vendor
  FROM heard h
  LEFT JOIN produits p ON p.product = h.software
  LEFT JOIN alias a ON upper(a.alias) = upper(h.vendor_text) AND a.since <= h.month AND h.month < a.until
  LEFT JOIN editeurs v ON upper(v.vendor) = upper(h.vendor_text)
  GROUP BY h.software, h.vendor_text, h.month;

-- The same after mergers: as it was that month, and as it is today.
CREATE TEMP TABLE who AS
  SELECT n.software, n.vendor_text, n.month, coalesce(t.becomes, n.vendor) AS vendor, coalesce(d.becomes, n.vendor) AS vendor_now
  FROM named n
  LEFT JOIN heirs t ON t.vendor = n.vendor AND t.since <= n.month AND n.month < t.until
  LEFT JOIN heirs d ON d.vendor = n.vendor AND d.since <= $today AND $today < d.until;

CREATE TEMP TABLE encrypting AS
  SELECT c.crypto, coalesce(min(p.vendor), min(a.vendor), min(v.vendor), c.crypto, '(non renseigné)') AS crypto_vendor
  FROM (SELECT DISTINCT crypto FROM flux) c
  LEFT JOIN produits p ON p.product = c.crypto
  LEFT JOIN alias a ON upper(a.alias) = upper(c.crypto)
  LEFT JOIN editeurs v ON upper(v.vendor) = upper(c.crypto)
  GROUP BY c.crypto;

-- Real flows of the two periods, summed to what the tables ask.
CREATE TEMP TABLE f AS
  SELECT p, month, site, category, vendor, vendor_now, crypto_vendor, algorithm, device, sum(invoices)::bigint AS invoices,
         coalesce(sum(rejects), 0)::bigint AS rejects, coalesce(sum(invoices) FILTER (rejects IS NOT NULL), 0)::bigint AS judged
  FROM (
    SELECT CASE WHEN x.month BETWEEN $low AND $high THEN 'N' ELSE 'N1' END AS p, x.month, x.site,
           coalesce(c1.category, c2.category, e.category, c3.category, c4.category, '(non renseigné)') AS category,
           w.vendor, w.vendor_now, k.crypto_vendor, coalesce(upper(x.algorithm), '(non renseigné)') AS algorithm, upper(x.device) AS device, x.invoices, x.rejects
    FROM flux x
    JOIN who w ON w.software IS NOT DISTINCT FROM x.software AND w.vendor_text IS NOT DISTINCT FROM x.vendor_text AND w.month = x.month
    JOIN encrypting k ON k.crypto IS NOT DISTINCT FROM x.crypto
    LEFT JOIN categories c1 ON c1.zone = 'categorie' AND c1.code = upper(x.category)
    LEFT JOIN etablissements e ON e.site = x.site AND e.since <= x.month AND x.month < e.until
    LEFT JOIN categories c2 ON c2.zone = 'categorie' AND c2.code = upper(e.category)
    LEFT JOIN categories c3 ON c3.zone = 'codesph' AND c3.code = x.legal
    LEFT JOIN categories c4 ON c4.zone = 'statut' AND c4.code = x.status
    WHERE x.real AND x.invoices > 0 AND (x.month BETWEEN $low AND $high OR x.month BETWEEN $low_before AND $high_before)
  )
  GROUP BY ALL;

-- A site once a period: its last category, its first vendor by invoices (then and today).
CREATE TEMP TABLE sites AS
  SELECT p, site, arg_max(category, month) AS category, sum(invoices) AS invoices FROM f GROUP BY ALL;
CREATE TEMP TABLE clients AS
  SELECT p, site, vendor_now AS vendor, invoices FROM (
    SELECT p, site, vendor_now, sum(invoices) AS invoices, row_number() OVER (PARTITION BY p, site ORDER BY sum(invoices) DESC, vendor_now) AS place FROM f GROUP BY p, site, vendor_now
  ) WHERE place = 1;

CREATE MACRO wilson(hits, tries, sign) AS
  (hits / tries + 1.9208 / tries + sign * 1.96 * sqrt(hits / tries * (1 - hits / tries) / tries + 0.9604 / (tries * tries))) / (1 + 3.8416 / tries);
