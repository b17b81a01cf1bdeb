using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Audit;

/// <summary>
/// A coordinator's log of who did what, appended to files of its own and never changed. Whoever must not go on before a record is on the disk waits for it; all else is written
/// within a tenth of a second, several records at once.
/// </summary>
public sealed class AuditLog : IAsyncDisposable
{
    internal const int NumberDigits = 12;
    private const long MaxFileBytes = 64 << 20;
    private const int MaxQueued = 1 << 16;
    private const int MostRecent = 512;

    private static readonly TimeSpan s_gather = TimeSpan.FromMilliseconds(50);

    private readonly AuditFiles _files;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Channel<Entry> _queue = Channel.CreateBounded<Entry>(new BoundedChannelOptions(MaxQueued) { SingleReader = true });
    private readonly Task _writer;
    private byte[] _previous;
    private long _number;
    private volatile AuditHead _head;
    private long _lost;
    private bool _isFailing;
    private readonly Lock _recentLock = new();
    private readonly Queue<(byte[] Json, string? Tenant)> _recent = new(MostRecent);

    private sealed record Entry(AuditRecord Record, TaskCompletionSource? Written);

    private AuditLog(AuditFiles files, AuditHead last, TimeProvider time, ILogger logger)
    {
        (_files, _previous, _number, _time, _logger) = (files, Convert.FromHexString(last.Hash), last.Number, time, logger);
        _head = last;
        _writer = Task.Run(WriteAllAsync);
    }

    /// <summary>Opens the log where it ends. A last line that a crash cut off is dropped, and that is recorded; a log that does not hold is not continued.</summary>
    /// <param name="name">The coordinator's.</param>
    /// <param name="noted">A record that must be in it: where it is not, that is recorded, and the log goes on from what is left.</param>
    public static AuditLog Open(string folder, string name, TimeProvider time, ILogger logger, AuditHead? noted = null) =>
        Open(folder, name, time, logger, AuditFiles.OpenUnbuffered, MaxFileBytes, noted);

    /// <param name="open">How a file is opened; never buffered, so that what could not be written is not written again later.</param>
    internal static AuditLog Open(string folder, string name, TimeProvider time, ILogger logger, Func<string, FileMode, FileStream> open, long maxFileBytes, AuditHead? noted = null)
    {
        Directory.CreateDirectory(folder);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        string[] earlier = AuditVerifier.Find(folder).GetValueOrDefault(name) ?? [];
        var files = new AuditFiles(folder, name, earlier.LastOrDefault(), open, maxFileBytes, logger);
        try
        {
            (AuditHead last, string? missing) = LastOf(earlier, noted);
            var log = new AuditLog(files, last, time, logger);
            if (files.WasCut)
            {
                log.Add(new AuditRecord(time.GetUtcNow(), "system", null, "log", "repaired") { Target = "a line that was cut off by a crash was dropped" });
            }

            if (missing is not null)
            {
                logger.LogError("the audit log was cut off or replaced: {Missing}; it goes on, and says so", missing);
                log.Add(new AuditRecord(time.GetUtcNow(), "system", null, "log", "cut") { Target = missing });
            }

            return log;
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    /// <summary>Records soon. Never waits; when the disk does not keep up, what is left out is counted in a later record.</summary>
    public void Add(AuditRecord record)
    {
        if (!_queue.Writer.TryWrite(new Entry(record, null)))
        {
            Interlocked.Increment(ref _lost);
        }
    }

    /// <summary>The last record that is on the disk.</summary>
    public AuditHead Head => _head;

    /// <summary>The latest records of this process as lines of JSON, newest first.</summary>
    /// <param name="ofTenant">Which tenants' records to tell; one that concerns no tenant is null.</param>
    public IReadOnlyList<byte[]> Recent(int most, Func<string?, bool> ofTenant)
    {
        lock (_recentLock)
        {
            return [.. _recent.Reverse().Where(record => ofTenant(record.Tenant)).Take(most).Select(record => record.Json)];
        }
    }

    /// <summary>Completes when the record is on the disk. Throws <see cref="IOException"/> when it cannot be written.</summary>
    public async Task WriteAsync(AuditRecord record)
    {
        var written = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await _queue.Writer.WriteAsync(new Entry(record, written));
        await written.Task;
    }

    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        await _writer;
        _files.Dispose();
    }

    private static (AuditHead Last, string? Missing) LastOf(string[] files, AuditHead? noted)
    {
        AuditVerdict verdict = AuditVerifier.Verify(files, noted is null ? null : [noted]);
        return verdict.Problem is null || verdict.IsOnlyTheAnchor
            ? (new AuditHead(verdict.Records, verdict.LastHash), verdict.Problem)
            : throw new InvalidDataException($"the audit log cannot be continued: {verdict.Problem}; move its files away to begin a new one");
    }

    private async Task WriteAllAsync()
    {
        var batch = new List<Entry>();
        while (await _queue.Reader.WaitToReadAsync())
        {
            // Those who wait for their record are not kept waiting to gather more.
            if (!_queue.Reader.TryPeek(out Entry? first) || first.Written is null)
            {
                await Task.Delay(s_gather);
            }

            while (batch.Count < MaxQueued && _queue.Reader.TryRead(out Entry? entry))
            {
                batch.Add(entry);
            }

            Write(batch);
            batch.Clear();
        }

        if (Interlocked.Read(ref _lost) > 0)
        {
            Write([]);
        }
    }

    /// <summary>Puts all of them on the disk, or none: after a failure the log goes on from where it was, and its next record says how many were lost.</summary>
    private void Write(List<Entry> batch)
    {
        long lost = Interlocked.Exchange(ref _lost, 0);
        (byte[] previous, long number) = (_previous, _number);
        var written = new List<(byte[] Json, string? Tenant)>(batch.Count + 1);
        try
        {
            using var lines = new MemoryStream();
            if (lost > 0)
            {
                Append(new AuditRecord(_time.GetUtcNow(), "system", null, "log", "lost") { Target = "records that could not be written", Suppressed = lost });
            }

            foreach (Entry entry in batch)
            {
                Append(entry.Record);
            }

            _files.Write(lines, _number + 1);
            (_previous, _number) = (previous, number);
            _head = new AuditHead(number, Convert.ToHexStringLower(previous));
            Remember(written);
            batch.ForEach(entry => entry.Written?.SetResult());
            if (_isFailing)
            {
                _isFailing = false;
                _logger.LogWarning("the audit log is written again; {Count} records were lost", lost);
            }

            void Append(AuditRecord record)
            {
                byte[] json = record.ToJson(++number);
                previous = AuditChain.Next(previous, json);
                lines.Write(AuditChain.Line(previous, json));
                written.Add((json, record.Tenant));
            }
        }
        catch (Exception e)
        {
            Interlocked.Add(ref _lost, lost + batch.Sum(entry => 1 + (entry.Record.Suppressed ?? 0)));
            if (!_isFailing)
            {
                _isFailing = true;
                _logger.LogError(e, "the audit log cannot be written; what is lost is counted, and the next record that can be written says so");
            }

            batch.ForEach(entry => entry.Written?.TrySetException(new IOException("the audit log cannot be written", e)));
        }
    }

    private void Remember(List<(byte[] Json, string? Tenant)> written)
    {
        lock (_recentLock)
        {
            foreach ((byte[], string?) record in written)
            {
                if (_recent.Count == MostRecent)
                {
                    _recent.Dequeue();
                }

                _recent.Enqueue(record);
            }
        }
    }
}
