-- Which cylinders bore a code before they were relabelled: few were.
CREATE INDEX cylinder_relabelled ON cylinder USING gin (aliases) WHERE aliases IS NOT NULL;
