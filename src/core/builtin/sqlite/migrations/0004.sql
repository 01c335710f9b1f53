-- Schema 4. What came out of journals that others can write, too.

-- URI of the journal that the event was folded from; NULL: recorded here.
ALTER TABLE events ADD COLUMN origin TEXT;

-- Objects of journals that are in this database: each is read once.
CREATE TABLE folded (
    journal TEXT NOT NULL,
    object TEXT NOT NULL,
    PRIMARY KEY (journal, object)
) WITHOUT ROWID;
