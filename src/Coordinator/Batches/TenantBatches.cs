using System.Collections.Concurrent;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Batches.Files;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Batches;

/// <summary>
/// One tenant's files and batches, in a folder of the tenant's own. One process at a time holds it; batches that had not ended go on when it is opened.
/// <code>
/// lock                  held while a coordinator runs
/// files/                inputs, outputs and errors
/// records/batch_...json what is known of a batch
/// runs/batch_.../       answers and errors of one that runs
/// </code>
/// </summary>
internal sealed class TenantBatches : IAsyncDisposable
{
    private static readonly TimeSpan s_repeatDelay = TimeSpan.FromSeconds(10);

    private readonly TenantId _tenant;
    private readonly StoreFolder _folder;
    private readonly BatchWorkshop _shop;
    private readonly ILogger _logger;
    private readonly FileStream _lock;
    private readonly Lock _creating = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<string, BatchRun> _runs = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, Task> _running = new(StringComparer.Ordinal);
    private long _sequence;

    private TenantBatches(TenantId tenant, StoreFolder folder, BatchWorkshop shop, FileStream held, ILogger logger) =>
        (_tenant, _folder, _shop, _lock, _logger) = (tenant, folder, shop, held, logger);

    /// <summary>Throws <see cref="IOException"/> while another process holds the folder, or when it or a folder in it is a symbolic link.</summary>
    public static TenantBatches Open(
        TenantId tenant, StoreFolder folder, BatchOptions options, IReadOnlyDictionary<string, BeginLine> endpoints, BatchAccess access, TimeProvider time, ILogger logger)
    {
        folder.Create();
        FileStream held = folder.OpenOrCreate("lock", options: FileOptions.Asynchronous);
        try
        {
            FileStore files = FileStore.Open(folder.Within("files"), options, time);
            var shop = new BatchWorkshop(files, options, time, endpoints, access, new SemaphoreSlim(options.InFlight));
            var batches = new TenantBatches(tenant, folder, shop, held, logger);
            batches.Resume();
            return batches;
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    public FileStore Files => _shop.Files;

    public BatchOptions Options => _shop.Options;

    /// <summary>Newest first.</summary>
    public IEnumerable<BatchRecord> All => _runs.Values.Select(run => run.Record).OrderByDescending(record => record.Sequence);

    public BatchRecord Require(string? id) => RunOf(id).Record;

    public BatchRecord Create(BatchRequest request, Caller caller)
    {
        lock (_creating)
        {
            if (_runs.Values.Count(run => !run.Record.HasEnded) >= _shop.Options.MaxOpen)
            {
                throw BatchErrors.TooManyOpen(_shop.Options.MaxOpen);
            }

            StoredFile input = Files.Require(request.InputFileId);
            if (input.Purpose != StoredFile.InputPurpose)
            {
                throw BatchErrors.Invalid("input_file_id", $"the file's purpose is {input.Purpose}, expected {StoredFile.InputPurpose}");
            }

            var record = new BatchRecord
            {
                Id = BatchId.NewBatch(),
                Sequence = ++_sequence,
                CallerKey = caller.Key,
                Endpoint = request.Endpoint,
                InputFileId = input.Id,
                OutputName = BatchId.NewFile(),
                ErrorName = BatchId.NewFile(),
                Metadata = request.Metadata,
                OutputExpiresAfter = request.OutputExpiresAfter,
                CreatedAt = _shop.Time.GetUtcNow().ToUnixTimeSeconds(),
            };
            Save(record);
            Start(record);
            return record;
        }
    }

    public BatchRecord Cancel(string? id)
    {
        BatchRun run = RunOf(id);
        run.Cancel();
        return run.Record;
    }

    public void DeleteFile(string? id)
    {
        lock (_creating)
        {
            StoredFile file = Files.Require(id);
            if (UserOf(file.Id) is { } batch)
            {
                throw BatchErrors.FileInUse(batch);
            }

            Files.Delete(file);
        }
    }

    /// <summary>Drops files whose time is over, and batches that ended long ago.</summary>
    public void Sweep()
    {
        long now = _shop.Time.GetUtcNow().ToUnixTimeSeconds();
        lock (_creating)
        {
            foreach (StoredFile file in Files.All.Where(file => file.ExpiresAt <= now && UserOf(file.Id) is null))
            {
                Files.Delete(file);
            }

            foreach (BatchRecord record in All.Where(record => record.EndedAt <= now - (_shop.Options.RetentionDays * 86400L)))
            {
                _runs.TryRemove(record.Id, out _);
                Records.Delete(record.Id + ".json");
            }
        }
    }

    /// <summary>Stops where it is; everything goes on at the next start.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_running.Values);
        await _lock.DisposeAsync();
    }

    private void Resume()
    {
        Records.Create();
        _folder.Within("runs").Create();
        foreach (string name in Records.Names("batch_*.json"))
        {
            if (DurableFile.Read(Records, name, BatchStateJson.Default.BatchRecord) is { } record && BatchId.IsBatch(record.Id))
            {
                _sequence = Math.Max(_sequence, record.Sequence);
                Start(record);
            }
            else
            {
                _logger.LogError("the record {File} of a batch cannot be read; the batch is left alone", name);
            }
        }
    }

    private void Start(BatchRecord record)
    {
        var run = new BatchRun(_shop, new Caller(_tenant, record.CallerKey), record, _folder.Within("runs").Within(record.Id), Save);
        _runs[record.Id] = run;
        if (!record.HasEnded)
        {
            _running[record.Id] = Task.Run(() => RunAsync(run));
        }
    }

    private async Task RunAsync(BatchRun run)
    {
        string id = run.Record.Id;
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await run.RunAsync(_stop.Token);
                _running.TryRemove(id, out _);
                return;
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                // A full disk, most likely. What is on disk is whole, so it goes on from there.
                _logger.LogError(e, "batch {Id} was interrupted and goes on in {Seconds} s", id, s_repeatDelay.TotalSeconds);
                await Task.Delay(s_repeatDelay, _shop.Time, _stop.Token).ContinueWith(_ => { }, TaskScheduler.Default);
            }
        }
    }

    private BatchRun RunOf(string? id) => BatchId.IsBatch(id) && _runs.TryGetValue(id!, out BatchRun? run) ? run : throw BatchErrors.BatchNotFound();

    private string? UserOf(string file) => _runs.Values.Select(run => run.Record).FirstOrDefault(record => !record.HasEnded && record.InputFileId == file)?.Id;

    private void Save(BatchRecord record) => DurableFile.Write(Records, record.Id + ".json", record, BatchStateJson.Default.BatchRecord);

    private StoreFolder Records => _folder.Within("records");
}
