-- What a create costs by the operator's prices: {amount, currency}.
ALTER TABLE "SceneVideo" ADD COLUMN "cost" JSONB;

-- What each user has spent in a month, and on its last day, in millionths of the currency.
CREATE TABLE "UserSpend" (
  "userId" UUID NOT NULL,
  "month" DATE NOT NULL,
  "monthMicros" BIGINT NOT NULL,
  "day" DATE NOT NULL,
  "dayMicros" BIGINT NOT NULL,
  CONSTRAINT "UserSpend_pkey" PRIMARY KEY ("userId", "month")
);
