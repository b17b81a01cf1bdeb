using System.Globalization;
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

    private readonly string _folder;
    private readonly string _name;
    private readonly ILogger _logger;
    private readonly Channel<Entry> _queue = Channel.CreateBounded<Entry>(new BoundedChannelOptions(MaxQueued) { SingleReader = true });
    private readonly Task _writer;
    private FileStream _file;
    private byte[] _previous;
    private long _number;
    private long _lost;
    private readonly Lock _recentLock = new();
    private readonly Queue<(byte[] Json, string? Tenant)> _recent = new(MostRecent);

    private sealed record Entry(AuditRecord Record, TaskCompletionSource? Written);

    private AuditLog(string folder, string name, FileStream file, byte[] previous, long number, ILogger logger)
    {
        (_folder, _name, _file, _previous, _number, _logger) = (folder, name, file, previous, number, logger);
        _writer = Task.Run(WriteAllAsync);
    }

    /// <summary>Opens the log where it ends. A last line that a crash cut off is dropped, and that is recorded; a log that does not hold is not continued.</summary>
    /// <param name="name">The coordinator's.</param>
    public static AuditLog Open(string folder, string name, TimeProvider time, ILogger logger)
    {
        Directory.CreateDirectory(folder);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        string[] files = AuditVerifier.Find(folder).GetValueOrDefault(name) ?? [];
        string path = files.Length > 0 ? files[^1] : PathOf(folder, name, 1);
        var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        bool cut = CutOffLastLine(file);
        file.Seek(0, SeekOrigin.End);
        (byte[] previous, long number) = LastOf(files);
        var log = new AuditLog(folder, name, file, previous, number, logger);
        if (cut)
        {
            log.Add(new AuditRecord(time.GetUtcNow(), "system", null, "log", "repaired") { Target = "a line that was cut off by a crash was dropped" });
        }

        return log;
    }

    /// <summary>Records soon. Never waits; when the disk does not keep up, what is left out is counted in a later record.</summary>
    public void Add(AuditRecord record)
    {
        if (!_queue.Writer.TryWrite(new Entry(record, null)))
        {
            Interlocked.Increment(ref _lost);
        }
    }

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
        await _file.DisposeAsync();
    }

    private static string PathOf(string folder, string name, long first) =>
        Path.Combine(folder, $"{name}-{first.ToString($"D{NumberDigits}", CultureInfo.InvariantCulture)}.audit");

    private static bool CutOffLastLine(FileStream file)
    {
        long end = file.Length;
        for (; end > 0; end--)
        {
            file.Position = end - 1;
            if (file.ReadByte() == '\n')
            {
                break;
            }
        }

        bool cut = end < file.Length;
        file.SetLength(end);
        return cut;
    }

    private static (byte[] Previous, long Number) LastOf(string[] files)
    {
        if (files.Length == 0)
        {
            return (AuditChain.Start, 0);
        }

        AuditVerdict verdict = AuditVerifier.Verify(files);
        return verdict.Problem is null
            ? (Convert.FromHexString(verdict.LastHash), verdict.Records)
            : throw new InvalidDataException($"the audit log cannot be continued: {verdict.Problem}; move its files away to begin a new one");
    }

    private async Task WriteAllAsync()
    {
        var waiting = new List<TaskCompletionSource>();
        while (await _queue.Reader.WaitToReadAsync())
        {
            // Those who wait for their record are not kept waiting to gather more.
            if (!_queue.Reader.TryPeek(out Entry? first) || first.Written is null)
            {
                await Task.Delay(s_gather);
            }

            try
            {
                using var lines = new MemoryStream();
                while (_queue.Reader.TryRead(out Entry? entry))
                {
                    long lost = Interlocked.Exchange(ref _lost, 0);
                    Append(lines, lost == 0 ? entry.Record : entry.Record with { Suppressed = (entry.Record.Suppressed ?? 0) + lost });
                    if (entry.Written is not null)
                    {
                        waiting.Add(entry.Written);
                    }
                }

                lines.WriteTo(_file);
                _file.Flush(flushToDisk: true);
                waiting.ForEach(one => one.SetResult());
                if (_file.Length >= MaxFileBytes)
                {
                    await _file.DisposeAsync();
                    _file = new FileStream(PathOf(_folder, _name, _number + 1), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Read);
                }
            }
            catch (Exception e)
            {
                _logger.LogError(e, "the audit log cannot be written");
                waiting.ForEach(one => one.TrySetException(new IOException("the audit log cannot be written", e)));
            }

            waiting.Clear();
        }
    }

    private void Append(MemoryStream lines, AuditRecord record)
    {
        byte[] json = record.ToJson(++_number);
        _previous = AuditChain.Next(_previous, json);
        lines.Write(AuditChain.Line(_previous, json));
        lock (_recentLock)
        {
            if (_recent.Count == MostRecent)
            {
                _recent.Dequeue();
            }

            _recent.Enqueue((json, record.Tenant));
        }
    }
}
