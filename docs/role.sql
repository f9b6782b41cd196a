-- The role that the service logs in with: it works with rows, and can neither change tables nor create any but temporary ones.
-- Those may all roles of a database make; if none needs them, its owner can say REVOKE TEMPORARY ON DATABASE … FROM PUBLIC.
-- Run it as the role that migrates, once, after the first `alembic upgrade head`:
--
--     psql "$MIGRATION_DATABASE_URL" -v ON_ERROR_STOP=1 -v role=shop_service -f docs/role.sql
--     psql "$MIGRATION_DATABASE_URL" -c '\password shop_service'
CREATE ROLE :"role" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
GRANT USAGE ON SCHEMA "starter-fastapi-project" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "starter-fastapi-project" TO :"role";
GRANT USAGE ON ALL SEQUENCES IN SCHEMA "starter-fastapi-project" TO :"role";
-- Tables that later migrations create, as long as the same role runs them.
ALTER DEFAULT PRIVILEGES IN SCHEMA "starter-fastapi-project" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"role";
ALTER DEFAULT PRIVILEGES IN SCHEMA "starter-fastapi-project" GRANT USAGE ON SEQUENCES TO :"role";
-- At which revision the database is, only migrations say.
REVOKE INSERT, UPDATE, DELETE ON "starter-fastapi-project".alembic_version FROM :"role";
