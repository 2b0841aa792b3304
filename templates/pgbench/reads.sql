SELECT m.id, m.digest, coalesce(array_agg(n.name) FILTER (WHERE n.name IS NOT NULL), '{}') FROM models m
LEFT JOIN node_models nm ON nm.model = m.id LEFT JOIN nodes n ON n.name = nm.node AND n.active
WHERE m.id = (SELECT min(id) FROM models WHERE active) GROUP BY m.id;
SELECT name, address, healthy, drained, last_seen FROM nodes WHERE active ORDER BY name;
SELECT gateway, sampled_at, requests, failures FROM metrics WHERE sampled_at > now() - interval '1 hour' LIMIT 100;
