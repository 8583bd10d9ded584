SELECT coalesce(category, 'Ensemble') AS category, count(*) FILTER (p = 'N') AS n, count(*) FILTER (p = 'N1') AS n1,
       round(100.0 * (count(*) FILTER (p = 'N') - count(*) FILTER (p = 'N1')) / nullif(count(*) FILTER (p = 'N1'), 0), 1) AS evolution
FROM sites GROUP BY GROUPING SETS ((category), ()) ORDER BY category IS NULL, n DESC, category
