-- A user that the operator turned away: its keys, tokens and JWTs are refused. Null: it is let in.
ALTER TABLE "User" ADD COLUMN "disabledAt" TIMESTAMPTZ(3);
