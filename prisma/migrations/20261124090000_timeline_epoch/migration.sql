-- Which owner caused the entry: the epoch its report carried. Null where no owner did.
ALTER TABLE "Timeline" ADD COLUMN "epoch" BIGINT;
