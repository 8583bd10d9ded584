SELECT vendor, crypto_vendor, count(DISTINCT site) AS sites, sum(invoices)::bigint AS invoices FROM f WHERE p = 'N' GROUP BY ALL ORDER BY vendor, crypto_vendor
