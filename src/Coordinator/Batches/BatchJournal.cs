using System.Text.Json;
using System.Threading.Channels;
using Lamina.Cluster.Models;

namespace Lamina.Coordinator.Batches;

/// <summary>
/// The answers and errors of a running batch, a line each, as they will be in its files. A line is there once it is on disk, and only then counted; what a crash left of a
/// line is cut off at the next start. So a request is answered once, however often the coordinator starts anew.
/// </summary>
internal sealed class BatchJournal : IAsyncDisposable
{
    private const int MaxWaiting = 256;

    /// <summary>An answer is a few times a context of text, with log-probabilities more.</summary>
    private const int MaxLineBytes = 1 << 28;

    private readonly FileStream _output;
    private readonly FileStream _errors;
    private readonly HashSet<string> _answered = new(StringComparer.Ordinal);
    private readonly Channel<Entry> _entries = Channel.CreateBounded<Entry>(new BoundedChannelOptions(MaxWaiting) { SingleReader = true });
    private readonly Task _writing;
    private int _completed;
    private int _failed;

    private BatchJournal(FileStream output, FileStream errors)
    {
        _output = output;
        _errors = errors;
        _writing = Task.Run(WriteAllAsync);
    }

    public int Completed => Volatile.Read(ref _completed);

    public int Failed => Volatile.Read(ref _failed);

    /// <summary>The requests that had an answer or an error when the journal was opened.</summary>
    public IReadOnlySet<string> Answered => _answered;

    public const string OutputName = "output.jsonl";

    public const string ErrorName = "errors.jsonl";

    /// <summary>Throws <see cref="UnexpectedFileException"/> when the folder or a file of it is a link, and <see cref="IOException"/> while another process has it open.</summary>
    public static async Task<BatchJournal> OpenAsync(StoreFolder folder, CancellationToken cancellation)
    {
        folder.Create();
        FileStream output = folder.OpenOrCreate(OutputName, FileShare.Read, FileOptions.Asynchronous);
        FileStream errors = folder.OpenOrCreate(ErrorName, FileShare.Read, FileOptions.Asynchronous);
        var journal = new BatchJournal(output, errors);
        try
        {
            journal._completed = await journal.RecoverAsync(output, cancellation);
            journal._failed = await journal.RecoverAsync(errors, cancellation);
            return journal;
        }
        catch
        {
            await journal.DisposeAsync();
            throw;
        }
    }

    /// <summary>Completes once the line is on disk.</summary>
    /// <param name="failed">Whether it goes to the error file.</param>
    /// <param name="line">JSON without a line end.</param>
    public async Task AppendAsync(bool failed, byte[] line)
    {
        var entry = new Entry(failed, line, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        await _entries.Writer.WriteAsync(entry);
        await entry.Written.Task;
    }

    public async ValueTask DisposeAsync()
    {
        _entries.Writer.TryComplete();
        await _writing;
        await _output.DisposeAsync();
        await _errors.DisposeAsync();
    }

    private async Task<int> RecoverAsync(FileStream file, CancellationToken cancellation)
    {
        var source = new LineSource(file, MaxLineBytes);
        long whole = 0;
        int count = 0;
        while (await source.NextAsync(cancellation) is { } line && source.IsTerminated && CustomId(line) is { } id)
        {
            _answered.Add(id);
            whole = source.Offset + line.Length + 1;
            count++;
        }

        file.SetLength(whole);
        file.Position = whole;
        return count;
    }

    private static string? CustomId(ReadOnlyMemory<byte> line)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(line);
            return document.RootElement.GetProperty("custom_id").GetString();
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            // Blocks that a power loss left empty.
            return null;
        }
    }

    private async Task WriteAllAsync()
    {
        var group = new List<Entry>();
        while (await _entries.Reader.WaitToReadAsync())
        {
            while (_entries.Reader.TryRead(out Entry? entry))
            {
                group.Add(entry);
            }

            Write(group);
            group.Clear();
        }
    }

    /// <summary>All that waits goes to disk together.</summary>
    private void Write(List<Entry> group)
    {
        long output = _output.Position;
        long errors = _errors.Position;
        try
        {
            foreach (Entry entry in group)
            {
                FileStream file = entry.Failed ? _errors : _output;
                file.Write(entry.Line);
                file.WriteByte((byte)'\n');
            }

            Flush(_output, output);
            Flush(_errors, errors);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Restore(_output, output);
            Restore(_errors, errors);
            group.ForEach(entry => entry.Written.TrySetException(e));
            return;
        }

        int failed = group.Count(entry => entry.Failed);
        Volatile.Write(ref _failed, _failed + failed);
        Volatile.Write(ref _completed, _completed + group.Count - failed);
        group.ForEach(entry => entry.Written.TrySetResult());
    }

    private static void Flush(FileStream file, long before)
    {
        if (file.Position != before)
        {
            file.Flush(flushToDisk: true);
        }
    }

    /// <summary>Takes back what a full disk left; the next line would otherwise stand behind half of one.</summary>
    private static void Restore(FileStream file, long length)
    {
        try
        {
            file.Position = length;
            file.SetLength(length);
        }
        catch (IOException)
        {
            // The line stays torn; opening the journal anew cuts it off.
        }
    }

    private sealed record Entry(bool Failed, byte[] Line, TaskCompletionSource Written);
}
