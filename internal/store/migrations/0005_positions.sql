-- The last position of a run's jobs is asked for with each new job, and the list
-- of them is in this order.
CREATE INDEX jobs_position ON jobs (run, position);
