-- Nodes that are to take nothing new, until somebody says otherwise. The release before does not look.
ALTER TABLE nodes ADD COLUMN drained boolean NOT NULL DEFAULT false;
