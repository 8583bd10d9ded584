WITH now AS (SELECT * FROM sites WHERE p = 'N'), before AS (SELECT * FROM sites WHERE p = 'N1'),
     taken AS (SELECT DISTINCT successor AS site FROM etablissements e JOIN before b USING (site) LEFT JOIN now n USING (site) WHERE n.site IS NULL AND successor IS NOT NULL),
     moves AS (
  SELECT n.category, CASE WHEN r.since BETWEEN $low_before AND $last THEN 'création' WHEN t.site IS NOT NULL THEN 'reprise d’un autre établissement' ELSE 'début de télétransmission' END AS cause, 1 AS effect
  FROM now n LEFT JOIN before b USING (site) LEFT JOIN (SELECT site, min(since) AS since FROM etablissements GROUP BY site) r USING (site) LEFT JOIN taken t USING (site) WHERE b.site IS NULL
  UNION ALL
  SELECT b.category, CASE WHEN r.successor IS NOT NULL THEN 'fusion' WHEN r.until BETWEEN $low_before AND $last THEN 'fermeture' ELSE 'arrêt de télétransmission' END, -1
  FROM before b LEFT JOIN now n USING (site) LEFT JOIN (SELECT site, max(until) AS until, max(successor) AS successor FROM etablissements GROUP BY site) r USING (site) WHERE n.site IS NULL
  UNION ALL
  SELECT n.category, 'changement de catégorie', 1 FROM now n JOIN before b USING (site) WHERE n.category <> b.category
  UNION ALL
  SELECT b.category, 'changement de catégorie', -1 FROM now n JOIN before b USING (site) WHERE n.category <> b.category)
SELECT category, cause, count(*) FILTER (effect > 0) AS arrived, count(*) FILTER (effect < 0) AS gone, sum(effect)::bigint AS effect FROM moves GROUP BY ALL ORDER BY category, cause
