SELECT b.vendor AS from_vendor, n.vendor AS to_vendor, count(*) AS sites FROM clients b JOIN clients n USING (site)
WHERE b.p = 'N1' AND n.p = 'N' AND b.vendor <> n.vendor GROUP BY ALL ORDER BY sites DESC, from_vendor, to_vendor
