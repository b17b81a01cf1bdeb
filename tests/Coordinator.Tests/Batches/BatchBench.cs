using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Resumption;
using Lamina.Coordinator.Batches;
using Lamina.Coordinator.Batches.Files;
using Lamina.Coordinator.Quotas;
using Lamina.Coordinator.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lamina.Coordinator.Tests.Batches;

/// <summary>A tenant's batches on disk over an endpoint whose answers the test decides; may be closed and opened again, as a coordinator that is started anew.</summary>
internal sealed class BatchBench : IAsyncDisposable
{
    public const string Endpoint = "/v1/chat/completions";

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-batches-").FullName;
    private readonly Func<string, CancellationToken, Task<(int Status, string Text)>> _answer;
    private int _running;

    /// <param name="answer">From a request's <c>ask</c> to a status and a text.</param>
    public BatchBench(Func<string, CancellationToken, Task<(int Status, string Text)>> answer, BatchOptions? options = null)
    {
        _answer = answer;
        Options = options ?? new BatchOptions();
        Open();
    }

    public BatchOptions Options { get; }

    public ManualTime Time { get; } = new();

    /// <summary>What opening anew finds.</summary>
    public BatchAccess Access { get; set; } = BatchAccess.Open;

    public TenantBatches Batches { get; private set; } = null!;

    public Caller Caller { get; } = new(new TenantId("acme"), "key");

    /// <summary>What was asked, in order; repeated where a request was tried again.</summary>
    public ConcurrentQueue<string> Asked { get; } = new();

    /// <summary>Lines whose answers were said to be kept (true) or not, in order.</summary>
    public ConcurrentQueue<(string Line, bool Kept)> Settled { get; } = new();

    public int MostRunning { get; private set; }

    public string FolderOf(BatchRecord batch) => Path.Combine(_folder, "acme", "runs", batch.Id);

    public string Root => Path.Combine(_folder, "acme");

    public void Open()
    {
        Directory.CreateDirectory(_folder);
        Batches = TenantBatches.Open(
            Caller.Tenant, new StoreFolder(_folder).Within("acme"), Options, new Dictionary<string, BeginLine> { [Endpoint] = Begin }, Access, Time, NullLogger.Instance);
    }

    public ValueTask CloseAsync() => Batches.DisposeAsync();

    public async Task<StoredFile> UploadAsync(string content)
    {
        await using FileUpload upload = Batches.Files.BeginUpload();
        await upload.AppendAsync(Encoding.UTF8.GetBytes(content), CancellationToken.None);
        return await upload.CompleteAsync("input.jsonl", null, CancellationToken.None);
    }

    public async Task<BatchRecord> CreateAsync(params IEnumerable<string> asks)
    {
        StoredFile input = await UploadAsync(string.Join('\n', asks.Select((ask, i) => $$"""{"body":{"ask":"{{ask}}"},"custom_id":"id-{{i}}","method":"POST","url":"{{Endpoint}}"}""")));
        return Batches.Create(new BatchRequest(input.Id, Endpoint, null, null), Caller);
    }

    public async Task<BatchRecord> UntilAsync(string batch, Func<BatchRecord, bool> condition)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!condition(Batches.Require(batch)))
        {
            await Task.Delay(2, deadline.Token);
        }

        return Batches.Require(batch);
    }

    /// <summary>Waits until it has ended and what it wrote while it ran is gone.</summary>
    public Task<BatchRecord> EndAsync(string batch) => UntilAsync(batch, record => record.HasEnded && !Directory.Exists(FolderOf(record)));

    /// <summary>The lines of a file, each custom id with what it got: a status and text, or the code of an error.</summary>
    public (string CustomId, int Status, string Text)[] Read(string? file)
    {
        if (file is null)
        {
            return [];
        }

        using var reader = new StreamReader(Batches.Files.OpenContent(Batches.Files.Require(file)));
        return [.. reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line =>
        {
            using JsonDocument json = JsonDocument.Parse(line);
            JsonElement response = json.RootElement.GetProperty("response");
            return response.ValueKind == JsonValueKind.Null
                ? (json.RootElement.GetProperty("custom_id").GetString()!, 0, json.RootElement.GetProperty("error").GetProperty("code").GetString()!)
                : (json.RootElement.GetProperty("custom_id").GetString()!, response.GetProperty("status_code").GetInt32(), response.GetProperty("body").ToString());
        })];
    }

    public async ValueTask DisposeAsync()
    {
        await CloseAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private PendingAnswer Begin(Caller caller, ReadOnlyMemory<byte> body, int priority, string line)
    {
        Assert.Equal((Caller, -1), (caller, priority));
        using JsonDocument json = JsonDocument.Parse(body);
        string ask = json.RootElement.GetProperty("ask").GetString()!;
        return new PendingAnswer("request", ask == "stream", 0, null, cancellation => RunAsync(ask, cancellation)) 
        {
            Meter = new AnswerMeter("m", "sha256:0", default), Settle = kept => Settled.Enqueue((line, kept)),
        };
    }

    private async IAsyncEnumerable<byte[]> RunAsync(string ask, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellation)
    {
        Asked.Enqueue(ask);
        int running = Interlocked.Increment(ref _running);
        lock (_answer)
        {
            MostRunning = Math.Max(MostRunning, running);
        }

        try
        {
            (int status, string text) = await _answer(ask, cancellation);
            yield return status == 200 ? Encoding.UTF8.GetBytes($"\"{text}\"") : throw new ApiError(status, "t", text, text).AsException();
        }
        finally
        {
            Interlocked.Decrement(ref _running);
        }
    }
}
