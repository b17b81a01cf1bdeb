using Lamina.Cluster.Models;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Batches.Files;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Coordinator.Batches;

/// <summary>What the batches of one tenant share.</summary>
/// <param name="Slots">Requests that are computed at the same time.</param>
internal sealed record BatchWorkshop(FileStore Files, BatchOptions Options, TimeProvider Time, IReadOnlyDictionary<string, BeginLine> Endpoints, BatchAccess Access, SemaphoreSlim Slots);

/// <summary>One batch from its validation to its files. Everything it needs to go on after a crash is on disk: its record, and the journal of its answers.</summary>
internal sealed class BatchRun
{
    private readonly BatchWorkshop _shop;
    private readonly Caller _caller;
    private readonly StoreFolder _folder;
    private readonly Action<BatchRecord> _save;
    private readonly CancellationTokenSource _cancel = new();
    private readonly Lock _lock = new();
    private BatchRecord _record;
    private BatchJournal? _journal;

    /// <param name="folder">For what the batch writes while it runs.</param>
    /// <param name="save">Writes the record to disk.</param>
    public BatchRun(BatchWorkshop shop, Caller caller, BatchRecord record, StoreFolder folder, Action<BatchRecord> save)
    {
        (_shop, _caller, _record, _folder, _save) = (shop, caller, record, folder, save);
        if (record.Status == BatchStatus.Cancelling)
        {
            _cancel.Cancel();
        }
    }

    /// <summary>The record with the counts of this moment.</summary>
    public BatchRecord Record
    {
        get
        {
            lock (_lock)
            {
                return _journal is null ? _record : _record with { Counts = CountsOf(_journal) };
            }
        }
    }

    /// <summary>Ends it with the answers that it has. Throws <see cref="ApiException"/> when it has ended.</summary>
    public void Cancel()
    {
        Advance(record => record.Cancel(Now) ?? throw BatchErrors.NotRunning(BatchJson.Text(record.Status)));
        _cancel.Cancel();
    }

    /// <summary>Runs to the end, from wherever the record stands. What it throws leaves the batch as it is on disk; it may be run again.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        if (_record.FinalizingAt is null)
        {
            await AnswerAsync(stop);
        }

        if (!_record.HasEnded)
        {
            Publish();
        }
    }

    private long Now => _shop.Time.GetUtcNow().ToUnixTimeSeconds();

    private async Task AnswerAsync(CancellationToken stop)
    {
        IReadOnlyList<BatchLine> lines = await ReadInputAsync(stop);
        if (_record.HasEnded || _record.FinalizingAt is not null)
        {
            return;
        }

        await using BatchJournal journal = await BatchJournal.OpenAsync(_folder, stop);
        lock (_lock)
        {
            _journal = journal;
        }

        try
        {
            bool expired = await AnswerAsync(lines, journal, stop);
            Advance(record => record.Finish(CountsOf(journal), expired, Now));
        }
        finally
        {
            lock (_lock)
            {
                _journal = null;
            }
        }
    }

    private async Task<IReadOnlyList<BatchLine>> ReadInputAsync(CancellationToken stop)
    {
        if (_record.Status == BatchStatus.Cancelling)
        {
            return [];
        }

        IReadOnlyList<BatchLine> lines = [];
        IReadOnlyList<BatchProblem> problems;
        if (_shop.Files.Find(_record.InputFileId) is { } file)
        {
            await using FileStream content = _shop.Files.OpenContent(file);
            (lines, problems) = await BatchInput.ReadAsync(content, _record.Endpoint, _shop.Options.MaxRequests, stop);
        }
        else
        {
            problems = [new BatchProblem("file_not_found", "the input file does not exist any more", "input_file_id", null)];
        }

        Advance(record => problems.Count > 0 ? record.Refuse(problems, Now) : record.Begin(lines.Count, Now));
        return lines;
    }

    /// <summary>Gives every request that has none an answer or an error, unless it is cancelled. True when the window ended first, and requests got that as their error.</summary>
    private async Task<bool> AnswerAsync(IReadOnlyList<BatchLine> lines, BatchJournal journal, CancellationToken stop)
    {
        bool[] answered = [.. lines.Select(line => journal.Answered.Contains(line.CustomId))];
        if (_shop.Files.Find(_record.InputFileId) is not { } file)
        {
            return false;
        }

        using SafeFileHandle input = _shop.Files.OpenHandle(file);
        TimeSpan left = DateTimeOffset.FromUnixTimeSeconds(_record.ExpiresAt) - _shop.Time.GetUtcNow();
        using var window = new CancellationTokenSource(left > TimeSpan.Zero ? left : TimeSpan.Zero, _shop.Time);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(stop, _cancel.Token, window.Token);
        try
        {
            IEnumerable<int> open = Enumerable.Range(0, lines.Count).Where(i => !answered[i]);
            await Parallel.ForEachAsync(open, new ParallelOptions { MaxDegreeOfParallelism = _shop.Options.InFlight, CancellationToken = ending.Token }, async (i, cancellation) =>
            {
                await AnswerAsync(input, lines[i], journal, cancellation);
                answered[i] = true;
            });
            return false;
        }
        catch (OperationCanceledException) when (ending.IsCancellationRequested)
        {
            stop.ThrowIfCancellationRequested();
        }

        if (_cancel.IsCancellationRequested)
        {
            return false;
        }

        await Task.WhenAll(Enumerable.Range(0, lines.Count).Where(i => !answered[i]).Select(i => journal.AppendAsync(failed: true, LineAnswer.ExpiredLine(lines[i].CustomId))));
        return true;
    }

    private async Task AnswerAsync(SafeFileHandle input, BatchLine line, BatchJournal journal, CancellationToken cancellation)
    {
        byte[] text = new byte[line.Length];
        _ = await RandomAccess.ReadAsync(input, text, line.Offset, cancellation);
        ReadOnlyMemory<byte> body = BatchInput.BodyOf(text);
        for (int attempt = 0; ; attempt++)
        {
            LineAnswer? answer = await TryAsync(body, $"{_record.Id}/{line.CustomId}", cancellation);
            if (answer is { MayPass: false })
            {
                bool kept = false;
                try
                {
                    await journal.AppendAsync(answer.Failed, answer.ToLine(line.CustomId));
                    kept = true;
                }
                finally
                {
                    answer.Settle?.Invoke(kept);
                }

                return;
            }

            await Task.Delay(RetryDelay.Of(attempt, answer?.RetryAfterSeconds, Random.Shared.NextDouble()), _shop.Time, cancellation);
        }
    }

    /// <summary>Null when the caller may not go on for the moment. A batch whose key is gone is cancelled.</summary>
    private async Task<LineAnswer?> TryAsync(ReadOnlyMemory<byte> body, string line, CancellationToken cancellation)
    {
        await _shop.Slots.WaitAsync(cancellation);
        try
        {
            switch (_shop.Access.RefusalOf(_caller))
            {
                case null:
                    break;
                case KeyRefusal.TenantSuspended or KeyRefusal.KeySuspended:
                    return null;
                default:
                    Advance(record => record.Cancel(Now) ?? record);
                    await _cancel.CancelAsync();
                    throw new OperationCanceledException("the batch's key is gone", cancellation);
            }

            using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellation, _shop.Access.EndOf(_caller));
            return await LineAnswer.OfAsync(_shop.Endpoints[_record.Endpoint], _caller, body, line, ending.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            // Its key has ended in this moment; the next look says how.
            return null;
        }
        finally
        {
            _shop.Slots.Release();
        }
    }

    /// <summary>Makes files of the answers and errors, forgets the journal, and ends the batch.</summary>
    private void Publish()
    {
        string? output = Publish(BatchJournal.OutputName, _record.OutputName, "output", _record.Counts.Completed);
        string? errors = Publish(BatchJournal.ErrorName, _record.ErrorName, "error", _record.Counts.Failed);
        Advance(record => record.End(output, errors, Now));
        if (Directory.Exists(_folder.FullPath))
        {
            Directory.Delete(_folder.FullPath, recursive: true);
        }
    }

    private string? Publish(string written, string id, string kind, int lines) =>
        lines == 0 ? null : _shop.Files.Adopt(_folder, written, id, $"{_record.Id}_{kind}.jsonl", _record.OutputExpiresAfter).Id;

    private void Advance(Func<BatchRecord, BatchRecord> step)
    {
        lock (_lock)
        {
            BatchRecord next = step(_record);
            if (next != _record)
            {
                _save(next);
                _record = next;
            }
        }
    }

    private BatchCounts CountsOf(BatchJournal journal) => new(_record.Counts.Total, journal.Completed, journal.Failed);
}
