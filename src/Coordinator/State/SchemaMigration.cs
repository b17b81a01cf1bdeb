using System.Data;
using System.Data.Common;
using System.Globalization;
using Npgsql;

namespace Lamina.Coordinator.State;

/// <summary>Brings a database's schema up to the program's, in one transaction and under a lock, so that two coordinators may start at once.</summary>
internal static class SchemaMigration
{
    /// <summary>Held to the end of the transaction by whoever changes schema or content. The number is any that nobody else locks in this database.</summary>
    public const string TakePostgresLock = "SELECT pg_advisory_xact_lock(83634586316385)";

    /// <summary>Migrates and opens the server secret. Throws <see cref="InvalidDataException"/> when a newer program made the schema.</summary>
    /// <param name="openSecret">Given the fingerprint of the secret that the database's hashes were made with, or null for a new database.</param>
    public static async Task<ServerSecret> RunAsync(
        DbConnection connection, IReadOnlyList<SchemaVersion> versions, Func<string?, ServerSecret> openSecret, CancellationToken cancellation)
    {
        await connection.OpenAsync(cancellation);
        try
        {
            bool postgres = connection is NpgsqlConnection;
            if (!postgres)
            {
                // Readers and the writer do not wait for each other; kept in the file.
                await ExecuteAsync(connection, null, "PRAGMA journal_mode = WAL", cancellation);
            }

            // PostgreSQL must see what was committed while it waited for the lock; SQLite takes its write lock at the beginning.
            await using DbTransaction transaction = await connection.BeginTransactionAsync(postgres ? IsolationLevel.ReadCommitted : IsolationLevel.Serializable, cancellation);
            if (postgres)
            {
                await ExecuteAsync(connection, transaction, TakePostgresLock, cancellation);
            }

            await ExecuteAsync(connection, transaction, "CREATE TABLE IF NOT EXISTS schema_versions (number INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL)", cancellation);
            long present = Convert.ToInt64(await ScalarAsync(connection, transaction, "SELECT COALESCE(MAX(number), 0) FROM schema_versions", cancellation), CultureInfo.InvariantCulture);
            if (present > versions[^1].Number)
            {
                throw new InvalidDataException($"the database has schema {present}, and this program knows only up to {versions[^1].Number}: a newer one has used it");
            }

            foreach (SchemaVersion version in versions.Where(version => version.Number > present))
            {
                await ExecuteAsync(connection, transaction, version.Sql.Replace("{blob}", postgres ? "BYTEA" : "BLOB", StringComparison.Ordinal), cancellation);
                await ExecuteAsync(connection, transaction, $"INSERT INTO schema_versions (number, name) VALUES ({version.Number}, '{version.Name}')", cancellation);
            }

            var fingerprint = await ScalarAsync(connection, transaction, $"SELECT value FROM facts WHERE name = '{FactRow.SecretFingerprint}'", cancellation) as string;
            ServerSecret secret = openSecret(fingerprint);
            if (fingerprint is null)
            {
                await ExecuteAsync(connection, transaction, $"INSERT INTO facts (name, value) VALUES ('{FactRow.SecretFingerprint}', '{secret.Fingerprint}')", cancellation);
            }

            await transaction.CommitAsync(cancellation);
            return secret;
        }
        finally
        {
            await connection.CloseAsync();
        }
    }

    private static async Task ExecuteAsync(DbConnection connection, DbTransaction? transaction, string sql, CancellationToken cancellation)
    {
        await using DbCommand command = Command(connection, transaction, sql);
        await command.ExecuteNonQueryAsync(cancellation);
    }

    private static async Task<object?> ScalarAsync(DbConnection connection, DbTransaction transaction, string sql, CancellationToken cancellation)
    {
        await using DbCommand command = Command(connection, transaction, sql);
        return await command.ExecuteScalarAsync(cancellation);
    }

    // The statements are this program's own: none holds a word from outside.
#pragma warning disable CA2100
    private static DbCommand Command(DbConnection connection, DbTransaction? transaction, string sql)
    {
        DbCommand command = connection.CreateCommand();
        command.Transaction = transaction;
        command.CommandText = sql;
        return command;
    }
#pragma warning restore CA2100
}
