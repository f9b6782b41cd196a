-- The schema after the last revision, made from the revisions. Do not edit; `handrail schema --write` renews it.
-- Revision: f4625ec5c157

CREATE SCHEMA "starter-fastapi-project";

CREATE TABLE "starter-fastapi-project".attempts (
    key bytea NOT NULL,
    count integer NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    CONSTRAINT pk_attempts PRIMARY KEY (key)
);

CREATE INDEX ix_attempts_ends_at ON "starter-fastapi-project".attempts USING btree (ends_at);

CREATE TABLE "starter-fastapi-project".credentials (
    user_id uuid NOT NULL,
    password_hash text NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT pk_credentials PRIMARY KEY (user_id)
);

CREATE TABLE "starter-fastapi-project".email_tokens (
    token_hash bytea NOT NULL,
    user_id uuid,
    purpose text NOT NULL,
    new_email text,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT pk_email_tokens PRIMARY KEY (token_hash)
);

CREATE INDEX ix_email_tokens_expires_at ON "starter-fastapi-project".email_tokens USING btree (expires_at);

CREATE INDEX ix_email_tokens_user_id ON "starter-fastapi-project".email_tokens USING btree (user_id);

CREATE TABLE "starter-fastapi-project".outbox (
    id uuid NOT NULL,
    recipient text NOT NULL,
    subject text NOT NULL,
    body text NOT NULL,
    attempts integer NOT NULL,
    due_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT pk_outbox PRIMARY KEY (id)
);

CREATE INDEX ix_outbox_due_at ON "starter-fastapi-project".outbox USING btree (due_at);

CREATE TABLE "starter-fastapi-project".sessions (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    family_hash bytea NOT NULL,
    refresh_hash bytea NOT NULL,
    access_hash bytea NOT NULL,
    access_expires_at timestamp with time zone NOT NULL,
    idle_expires_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    last_used_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    device text NOT NULL,
    network text NOT NULL,
    CONSTRAINT pk_sessions PRIMARY KEY (id),
    CONSTRAINT uq_sessions_access_hash UNIQUE (access_hash),
    CONSTRAINT uq_sessions_family_hash UNIQUE (family_hash)
);

CREATE INDEX ix_sessions_expires_at ON "starter-fastapi-project".sessions USING btree (expires_at);

CREATE INDEX ix_sessions_user_id ON "starter-fastapi-project".sessions USING btree (user_id);

CREATE TABLE "starter-fastapi-project".sign_ups (
    id uuid NOT NULL,
    email text NOT NULL,
    name text NOT NULL,
    password_hash text NOT NULL,
    token_hash bytea NOT NULL,
    idempotency_hash bytea,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT pk_sign_ups PRIMARY KEY (id),
    CONSTRAINT uq_sign_ups_idempotency_hash UNIQUE (idempotency_hash),
    CONSTRAINT uq_sign_ups_token_hash UNIQUE (token_hash)
);

CREATE INDEX ix_sign_ups_expires_at ON "starter-fastapi-project".sign_ups USING btree (expires_at);

CREATE TABLE "starter-fastapi-project".users (
    id uuid NOT NULL,
    email text NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    role character varying(20) DEFAULT 'user'::character varying NOT NULL,
    active boolean DEFAULT true NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    sessions_since timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT pk_users PRIMARY KEY (id),
    CONSTRAINT ck_users_role CHECK (((role)::text = ANY (ARRAY['user'::character varying, 'admin'::character varying])))
);

CREATE UNIQUE INDEX uq_users_email_lower ON "starter-fastapi-project".users USING btree (lower(email));

ALTER TABLE "starter-fastapi-project".credentials ADD CONSTRAINT fk_credentials_user_id_users FOREIGN KEY (user_id) REFERENCES "starter-fastapi-project".users(id) ON DELETE CASCADE;

ALTER TABLE "starter-fastapi-project".email_tokens ADD CONSTRAINT fk_email_tokens_user_id_users FOREIGN KEY (user_id) REFERENCES "starter-fastapi-project".users(id) ON DELETE CASCADE;

ALTER TABLE "starter-fastapi-project".sessions ADD CONSTRAINT fk_sessions_user_id_users FOREIGN KEY (user_id) REFERENCES "starter-fastapi-project".users(id) ON DELETE CASCADE;
