-- Models that a node keeps in memory because somebody asked for it. The release before does not look.
ALTER TABLE nodes ADD COLUMN pinned text[] NOT NULL DEFAULT '{}';
