WITH g AS (SELECT e.territory_group, count(DISTINCT k.vendor) AS vendors, count(DISTINCT k.site) AS sites FROM clients k JOIN (SELECT DISTINCT site, territory_group FROM etablissements WHERE territory_group IS NOT NULL) e USING (site) WHERE k.p = 'N' GROUP BY ALL)
SELECT vendors, count(*) AS groups, sum(sites)::bigint AS sites FROM g GROUP BY vendors ORDER BY vendors
