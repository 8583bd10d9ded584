SELECT on_day, title, source FROM evenements WHERE on_day BETWEEN $low AND $last ORDER BY on_day, title
