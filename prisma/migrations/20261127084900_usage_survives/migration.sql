-- What a user has created today must survive a crash of Postgres.
ALTER TABLE "UserUsage" SET LOGGED;
