WITH s AS (SELECT vendor, sum(invoices)::bigint AS invoices, count(DISTINCT site) AS sites FROM f WHERE p = 'N' GROUP BY vendor)
SELECT row_number() OVER (ORDER BY invoices DESC, vendor) AS place, vendor, sites, invoices, round(100.0 * invoices / sum(invoices) OVER (), 2) AS share,
       round(100.0 * sum(invoices) OVER (ORDER BY invoices DESC, vendor ROWS UNBOUNDED PRECEDING) / sum(invoices) OVER (), 2) AS cumulated
FROM s ORDER BY place
