-- Schema 2. What backs a lease beside time, and the clock that its time is told by.

-- The epoch, the kernel (boot) and the file of the lock that the lease's process holds; empty when it holds none.
ALTER TABLE leases ADD COLUMN backing TEXT NOT NULL DEFAULT '';

-- By boot of the machine: seconds since 1970 at which it was booted, by the store's clock.
CREATE TABLE clocks (
    boot TEXT NOT NULL PRIMARY KEY,
    anchor DOUBLE PRECISION NOT NULL
) WITHOUT ROWID;
