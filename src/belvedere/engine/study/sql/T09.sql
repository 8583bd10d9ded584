SELECT vendor, service, CASE WHEN bool_or(certified) THEN '●' ELSE '○' END AS mark FROM integrations
WHERE since <= $last AND $last < until GROUP BY ALL ORDER BY vendor, service
