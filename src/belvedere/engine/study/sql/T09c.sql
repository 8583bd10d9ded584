WITH held AS (SELECT vendor, list(DISTINCT service) AS services FROM integrations WHERE since <= $last AND $last < until GROUP BY vendor), every AS (SELECT count(DISTINCT service) AS n FROM integrations WHERE since <= $last AND $last < until)
SELECT count(*) AS vendors, count(*) FILTER (NOT list_contains(services, 'FACTURATION')) AS without_billing, count(*) FILTER (list_contains(services, 'FACTURATION')) AS billing,
       count(*) FILTER (len(services) = every.n) AS everything, count(*) FILTER (list_contains(services, 'FACTURATION') AND NOT list_contains(services, 'TRANSPORT')) AS billing_without_transport
FROM held CROSS JOIN every HAVING count(*) > 0
