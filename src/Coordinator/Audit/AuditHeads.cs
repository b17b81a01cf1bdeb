using System.Data.Common;
using System.Globalization;
using Lamina.Coordinator.State;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Lamina.Coordinator.Audit;

/// <summary>The last record of a log: what is cut off at its end shows when this was noted elsewhere.</summary>
/// <param name="Hash">In hexadecimal.</param>
public sealed record AuditHead(long Number, string Hash)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Number}:{Hash}");

    /// <summary>Null when the text is no number and hash.</summary>
    public static AuditHead? Parse(string text) =>
        text.Split(':') is [{ } number, { Length: 2 * AuditChain.HashLength } hash] && long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out long value) ? new AuditHead(value, hash) : null;
}

/// <summary>
/// Notes a log's head in the database, which lies apart from the log's files or at least is another file: whoever cuts the log must find it there, too. What is noted is
/// never newer than what is on the disk.
/// </summary>
public sealed class AuditHeads : IAsyncDisposable
{
    private const string FactPrefix = "audit_head/";

    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(3);

    private readonly StateDatabase _state;
    private readonly string _fact;
    private readonly AuditLog _log;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _noting;
    private AuditHead _noted;
    private bool _isFailing;

    private AuditHeads(StateDatabase state, string fact, AuditLog log, ILogger logger)
    {
        // Where the log was cut, what was noted stands until a record says so.
        (_state, _fact, _log, _logger, _noted) = (state, fact, log, logger, log.Head);
        _noting = Task.Run(NoteAllAsync);
    }

    public AuditLog Log => _log;

    /// <summary>Opens the log, compares it with what was noted of it, and goes on noting.</summary>
    /// <param name="owner">Of the coordinator, in case the database serves several of one name.</param>
    /// <param name="name">The coordinator's.</param>
    public static async Task<AuditHeads> OpenAsync(string folder, string owner, string name, StateDatabase state, TimeProvider time, ILogger logger, CancellationToken cancellation)
    {
        string fact = $"{FactPrefix}{owner}/{name}";
        AuditHead? noted = await state.RunAsync(async context => await context.Facts.FindAsync([fact], cancellation), cancellation) is { } row ? AuditHead.Parse(row.Value) : null;
        return new AuditHeads(state, fact, AuditLog.Open(folder, name, time, logger, noted), logger);
    }

    /// <summary>What is noted of logs, by whose coordinator and its name; of none where there is no database yet. Throws <see cref="IOException"/> when it cannot be read.</summary>
    public static async Task<IReadOnlyList<(string Owner, string Name, AuditHead Head)>> ReadAsync(StateOptions options, CancellationToken cancellation)
    {
        var found = new List<(string, string, AuditHead)>();
        if (options.Database is null && !File.Exists(options.SqlitePath))
        {
            return found;
        }

        try
        {
            await using DbConnection connection = options.Database is null
                ? new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = options.SqlitePath, Mode = SqliteOpenMode.ReadOnly, Pooling = false }.ToString())
                : new NpgsqlConnection(options.Database);
            await connection.OpenAsync(cancellation);
            await using DbCommand command = connection.CreateCommand();
            command.CommandText = $"SELECT name, value FROM facts WHERE name LIKE '{FactPrefix}%'";
            await using DbDataReader rows = await command.ExecuteReaderAsync(cancellation);
            while (await rows.ReadAsync(cancellation))
            {
                if (rows.GetString(0).Split('/') is [_, { } owner, { } name] && AuditHead.Parse(rows.GetString(1)) is { } head)
                {
                    found.Add((owner, name, head));
                }
            }
        }
        catch (Exception e) when (e is DbException or TimeoutException or System.Net.Sockets.SocketException)
        {
            throw new IOException($"{options.Description} cannot be read: {e.Message.ReplaceLineEndings(" ")}", e);
        }

        return found;
    }

    /// <summary>Closes the log and notes its end.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _noting;
        await _log.DisposeAsync();
        await NoteAsync();
        _stopping.Dispose();
    }

    private async Task NoteAllAsync()
    {
        using var timer = new PeriodicTimer(s_interval);
        try
        {
            do
            {
                await NoteAsync();
            }
            while (await timer.WaitForNextTickAsync(_stopping.Token));
        }
        catch (OperationCanceledException)
        {
            // The coordinator stops.
        }
    }

    private async Task NoteAsync()
    {
        AuditHead head = _log.Head;
        if (head == _noted)
        {
            return;
        }

        try
        {
            await _state.ChangeAsync(
                async context =>
                {
                    if (await context.Facts.FindAsync([_fact]) is { } row)
                    {
                        row.Value = head.ToString();
                    }
                    else
                    {
                        context.Facts.Add(new FactRow { Name = _fact, Value = head.ToString() });
                    }

                    return head;
                },
                CancellationToken.None);
            (_noted, _isFailing) = (head, false);
        }
        catch (Exception e)
        {
            // Whatever it is: who stopped noting would find nothing amiss in a log that was cut.
            if (!_isFailing)
            {
                _isFailing = true;
                _logger.LogWarning("the end of the audit log cannot be noted: {Problem}; trying again", e is IOException ? e.Message : $"{e.GetType().Name}: {e.Message}");
            }
        }
    }
}
