WITH m AS (SELECT p, month, device, sum(invoices)::bigint AS invoices FROM f GROUP BY ALL)
SELECT n.month, n.device, n.invoices, round(100.0 * n.invoices / sum(n.invoices) OVER (PARTITION BY n.month), 2) AS share, b.invoices AS before, round(100.0 * (n.invoices - b.invoices) / nullif(b.invoices, 0), 1) AS evolution
FROM m n LEFT JOIN m b ON b.p = 'N1' AND b.device = n.device AND b.month = n.month - INTERVAL 1 YEAR
WHERE n.p = 'N' ORDER BY n.month, n.device
