-- Test results are for a release file; a release may have a documentation archive called like a release file.
ALTER TABLE links ADD COLUMN for_path TEXT;
DROP INDEX links_present;
CREATE UNIQUE INDEX links_present ON links (project_id, version, relation, file_name) WHERE removed_at IS NULL;

-- `changed_at` is the serial that last changed the row or anything below it.
ALTER TABLE users RENAME COLUMN revision TO changed_at;
ALTER TABLE projects RENAME COLUMN revision TO changed_at;
