-- Where in the stream a published event is: what NATS loses can be told and published again.
ALTER TABLE "Timeline" ADD COLUMN "sequence" BIGINT;
