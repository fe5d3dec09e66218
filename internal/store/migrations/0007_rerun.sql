-- `quire show`, the pages and the report of a push ask which run came of an interrupted one.
CREATE INDEX runs_rerun ON runs (retry_of) WHERE rerun;
