SELECT month, algorithm, sum(invoices)::bigint AS invoices, round(100.0 * sum(invoices) / sum(sum(invoices)) OVER (PARTITION BY month), 2) AS share
FROM f WHERE p = 'N' GROUP BY month, algorithm ORDER BY month, algorithm
