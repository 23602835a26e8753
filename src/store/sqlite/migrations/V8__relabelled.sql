-- Which cylinders bore a code before they were relabelled: of a list in JSON there is no index.

CREATE TABLE cylinder_alias (
    alias TEXT NOT NULL,
    bears TEXT NOT NULL, -- the code that it bears now
    PRIMARY KEY (alias, bears)
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO cylinder_alias (alias, bears)
SELECT value, code FROM cylinder, json_each(cylinder.aliases) WHERE aliases IS NOT NULL;

CREATE TRIGGER cylinder_alias_of_new AFTER INSERT ON cylinder WHEN NEW.aliases IS NOT NULL
BEGIN
    INSERT OR IGNORE INTO cylinder_alias (alias, bears) SELECT value, NEW.code FROM json_each(NEW.aliases);
END;

CREATE TRIGGER cylinder_alias_of_changed AFTER UPDATE ON cylinder WHEN NEW.aliases IS NOT OLD.aliases
BEGIN
    DELETE FROM cylinder_alias
    WHERE bears = OLD.code AND alias IN (SELECT value FROM json_each(coalesce(OLD.aliases, '[]')));
    INSERT OR IGNORE INTO cylinder_alias (alias, bears)
    SELECT value, NEW.code FROM json_each(coalesce(NEW.aliases, '[]'));
END;

CREATE TRIGGER cylinder_alias_of_gone AFTER DELETE ON cylinder WHEN OLD.aliases IS NOT NULL
BEGIN
    DELETE FROM cylinder_alias WHERE bears = OLD.code AND alias IN (SELECT value FROM json_each(OLD.aliases));
END;
