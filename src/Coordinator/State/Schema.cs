namespace Lamina.Coordinator.State;

/// <summary>One step of the database's schema. Steps are only ever added, never changed: installations have run them.</summary>
/// <param name="Sql">Statements that SQLite and PostgreSQL both understand; <c>{blob}</c> stands for their type of bytes.</param>
internal sealed record SchemaVersion(int Number, string Name, string Sql);

/// <summary>All steps in order, numbered from 1. Texts are TEXT, numbers and times BIGINT, bytes {blob}.</summary>
internal static class Schema
{
    public static IReadOnlyList<SchemaVersion> Versions { get; } =
    [
        new(1, "tenants and keys", """
            CREATE TABLE facts (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);
            INSERT INTO facts (name, value) VALUES ('access_version', '0');
            CREATE TABLE tenants (id TEXT NOT NULL PRIMARY KEY, created BIGINT NOT NULL, suspended BIGINT, settings TEXT NOT NULL);
            CREATE TABLE api_keys (
                id TEXT NOT NULL PRIMARY KEY,
                tenant TEXT REFERENCES tenants (id) ON DELETE CASCADE,
                name TEXT NOT NULL,
                scopes TEXT NOT NULL,
                hash {blob} NOT NULL,
                old_hash {blob},
                old_hash_until BIGINT,
                created BIGINT NOT NULL,
                expires BIGINT,
                revoked BIGINT,
                last_used_day INTEGER);
            CREATE INDEX api_keys_tenant ON api_keys (tenant);
            """),
        new(2, "quotas and usage", """
            CREATE TABLE quotas (tenant TEXT NOT NULL, api_key TEXT NOT NULL, rules TEXT NOT NULL, PRIMARY KEY (tenant, api_key));
            CREATE TABLE usage (
                id TEXT NOT NULL PRIMARY KEY,
                tenant TEXT NOT NULL,
                api_key TEXT NOT NULL,
                model TEXT NOT NULL,
                started BIGINT NOT NULL,
                prompt_tokens BIGINT NOT NULL,
                generated_tokens BIGINT NOT NULL,
                outcome TEXT NOT NULL,
                retry TEXT);
            CREATE INDEX usage_started ON usage (started);
            CREATE TABLE usage_days (
                tenant TEXT NOT NULL,
                day BIGINT NOT NULL,
                api_key TEXT NOT NULL,
                model TEXT NOT NULL,
                requests BIGINT NOT NULL,
                prompt_tokens BIGINT NOT NULL,
                generated_tokens BIGINT NOT NULL,
                PRIMARY KEY (tenant, day, api_key, model));
            CREATE TABLE suspensions (kind TEXT NOT NULL, name TEXT NOT NULL, tenant TEXT NOT NULL, reason TEXT NOT NULL, since BIGINT NOT NULL, PRIMARY KEY (kind, tenant, name));
            INSERT INTO facts (name, value) VALUES ('control_version', '0');
            """),
        new(3, "where charges begin", "ALTER TABLE usage ADD COLUMN first_token BIGINT NOT NULL DEFAULT 0;"),
        new(4, "who suspended", "ALTER TABLE suspensions ADD COLUMN imposed_by TEXT NOT NULL DEFAULT 'operator';"),
    ];
}
