SELECT month, category, sum(invoices)::bigint AS invoices, coalesce(sum(invoices) FILTER (vendor = '(non renseigné)'), 0)::bigint AS unknown,
       round(100.0 * coalesce(sum(invoices) FILTER (vendor = '(non renseigné)'), 0) / sum(invoices), 2) AS share
FROM f WHERE p = 'N' GROUP BY month, category ORDER BY month, category
