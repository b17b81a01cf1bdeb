using System.Data;
using System.Data.Common;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using Npgsql;

namespace Lamina.Coordinator.State;

/// <summary>
/// The coordinator's database: tenants, keys and whatever else must outlive the process. Each piece of work has a context of its own. When the database cannot be
/// reached, work ends with <see cref="StateUnavailableException"/>; nothing that streams may wait for it.
/// </summary>
public sealed class StateDatabase
{
    private const int MaxAttempts = 5;

    private readonly DbContextOptions<StateContext> _context;
    private readonly StateOptions _options;

    private StateDatabase(StateOptions options, ServerSecret secret)
    {
        _options = options;
        _context = ContextOptions(options);
        Secret = secret;
    }

    /// <summary>What the hashes of keys are made with; it is never in the database.</summary>
    public ServerSecret Secret { get; }

    /// <summary>Opens the database, creates or migrates its tables, and checks that the server secret is the one its hashes were made with. Throws with one sentence.</summary>
    public static async Task<StateDatabase> OpenAsync(StateOptions options, CancellationToken cancellation)
    {
        if (options.Database is null)
        {
            StateFiles.Prepare(options);
        }

        DbContextOptions<StateContext> context = ContextOptions(options);
        try
        {
            await using var migrating = new StateContext(context);
            ServerSecret secret = await SchemaMigration.RunAsync(
                migrating.Database.GetDbConnection(), Schema.Versions, fingerprint => ServerSecret.Open(options.SecretFile, fingerprint), cancellation);
            return new StateDatabase(options, secret);
        }
        catch (Exception e) when (IsUnavailable(e))
        {
            throw new IOException($"{options.Description} cannot be opened: {Innermost(e).Message.ReplaceLineEndings(" ")}", e);
        }
    }

    /// <summary>Runs one piece of work with a context of its own.</summary>
    public async Task<T> RunAsync<T>(Func<StateContext, Task<T>> work, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        try
        {
            await using var context = new StateContext(_context);
            return await work(context);
        }
        catch (Exception e) when (IsUnavailable(e))
        {
            throw new StateUnavailableException($"{_options.Description} does not answer", e);
        }
    }

    /// <summary>
    /// As <see cref="RunAsync{T}"/>, within a transaction that is committed when the work returns. The work may be run again when another transaction was in its way,
    /// so it must do nothing but read and change the context.
    /// </summary>
    public async Task<T> ChangeAsync<T>(Func<StateContext, Task<T>> work, CancellationToken cancellation)
    {
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                return await RunAsync(context => CommitAsync(context, work, cancellation), cancellation);
            }
            catch (StateUnavailableException e) when (attempt < MaxAttempts && IsConflict(e))
            {
                // Serialised behind the other one, it succeeds.
            }
        }
    }

    private static async Task<T> CommitAsync<T>(StateContext context, Func<StateContext, Task<T>> work, CancellationToken cancellation)
    {
        // One change at a time, so that what was read is still so when it is written: SQLite begins with its write lock, PostgreSQL waits for the lock and sees what came before.
        bool postgres = context.Database.IsNpgsql();
        await using IDbContextTransaction transaction = await context.Database.BeginTransactionAsync(postgres ? IsolationLevel.ReadCommitted : IsolationLevel.Serializable, cancellation);
        if (postgres)
        {
            await context.Database.ExecuteSqlRawAsync(SchemaMigration.TakePostgresLock, cancellation);
        }

        T result = await work(context);
        await context.SaveChangesAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        return result;
    }

    private static bool IsConflict(Exception? e) => e is PostgresException { SqlState: PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.DeadlockDetected }
        || (e?.InnerException is { } inner && IsConflict(inner));

    private static DbContextOptions<StateContext> ContextOptions(StateOptions options)
    {
        var builder = new DbContextOptionsBuilder<StateContext>();
        if (options.Database is null)
        {
            // Commands and a coordinator write the same file: on a busy machine one of them may have to wait for the others' disk for long.
            builder.UseSqlite(new SqliteConnectionStringBuilder { DataSource = options.SqlitePath, DefaultTimeout = 60, ForeignKeys = true }.ToString());
        }
        else
        {
            builder.UseNpgsql(options.Database);
        }

        return builder.Options;
    }

    private static bool IsUnavailable(Exception e) => e switch
    {
        DbUpdateConcurrencyException => false,
        DbException or TimeoutException or System.Net.Sockets.SocketException => true,
        DbUpdateException or InvalidOperationException or NpgsqlException => e.InnerException is { } inner && IsUnavailable(inner),
        _ => false,
    };

    private static Exception Innermost(Exception e) => e.InnerException is { } inner ? Innermost(inner) : e;
}

/// <summary>The database is away: what needs it must be tried again later.</summary>
public sealed class StateUnavailableException(string message, Exception? cause) : IOException(message, cause);
